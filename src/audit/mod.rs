//! An audit of the target: is it still what list and policy say, is it whole, and is there more than they say?
//!
//! Nothing is written here, by type: sources and target are read as [`Source`]s. What was found is told as text, JSON
//! and Markdown. What could not be looked up is never "missing".
//!
//! A tag that was mirrored stays what it is. So where the list has no digest, another one at the source is a remark;
//! where it has one, another one at the target is a finding.

mod companions;
mod document;
mod finding;
mod image;
mod markdown;
#[cfg(test)]
mod sample;
mod schema;
mod shelf;
mod summary;
mod terminal;
mod unlisted;
mod whole;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};

pub use document::json;
pub use finding::{Check, Finding, Kind, Remark, RemarkKind, State};
pub use markdown::markdown;
pub use schema::{VERIFY_SCHEMA, verify_schema};
pub use summary::exit_code;
pub use terminal::text;
pub use unlisted::{Known, Stray, Unlisted};

use crate::config::{Config, Diagnostic, Entry, Signatures, TargetPrefix};
use crate::event::{Event, Events};
use crate::policy::Policy;
use crate::report::Interruption;
use crate::store::{Listing, Remembered, Source, Sources};
use image::Auditor;
use shelf::Shelf;

/// So many entries are looked at together. Each registry has its own limit of requests besides.
const AT_A_TIME: usize = 64;

/// Manifests of the target are kept up to so many bytes: images share children, and companions are asked for twice.
const REMEMBERED_BYTES: usize = 16 * 1024 * 1024;

/// How far an audit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Every blob is read and hashed, not only asked for.
    pub deep: bool,
    /// Tags are looked for that no list names.
    pub unlisted: bool,
}

/// What an audit found.
#[derive(Debug, Clone)]
pub struct Audit {
    /// What all targets begin with.
    pub prefix: TargetPrefix,
    /// What was to be done about companions.
    pub signatures: Signatures,
    /// How far it was to go.
    pub asked: Asked,
    /// What was found of each entry, in the list's order.
    pub checks: Vec<Check>,
    /// What no list names, if that was asked for.
    pub unlisted: Option<Unlisted>,
    /// How many bytes of blobs were read and hashed.
    pub bytes_read: u64,
    /// From the first request to the last.
    pub duration: Duration,
    /// What ended it before its time.
    pub interruption: Option<Interruption>,
    /// What the readers of lists and policy had to say.
    pub warnings: Vec<Diagnostic>,
}

/// Looks at all entries' images at the target, until `stop` says why it must end.
///
/// Nobody is asked for an image whose source the policy does not allow.
pub async fn audit(
    config: &Config,
    policy: &Policy,
    sources: &Sources,
    target: &Arc<dyn Listing>,
    asked: Asked,
    events: &Events,
    stop: impl Future<Output = Interruption> + Send,
) -> Audit {
    use futures::FutureExt as _;

    let started = Instant::now();
    let stop = stop.shared();
    let stopped = stop.clone().map(drop::<Interruption> as fn(_)).shared();
    let remembered = Remembered::new(Arc::<dyn Listing>::clone(target), REMEMBERED_BYTES);
    let remembered: &dyn Source = &remembered;
    let shelf = Shelf::new(remembered, asked.deep);
    let auditor = Auditor { config, policy, sources, target: remembered, shelf: &shelf };
    let mut checks: Vec<Check> = config.entries.iter().map(Check::of).collect();
    events.tell(Event::InspectionStarted { entries: checks.len() });
    let mut looked_at = stream::iter(config.entries.iter().enumerate())
        .map(|(index, entry)| async move { (index, auditor.check(entry).await) })
        .buffer_unordered(AT_A_TIME)
        .take_until(stopped.clone());
    while let Some((index, check)) = looked_at.next().await {
        events.tell(Event::Inspected { entry: index });
        checks[index] = check;
    }
    drop(looked_at);
    let unlisted = if asked.unlisted {
        Some(unlisted::unlisted(config, &checks, target.as_ref(), stopped).await)
    } else {
        None
    };
    let is_whole = checks.iter().all(|check| check.is_seen)
        && unlisted.as_ref().is_none_or(|unlisted| unlisted.is_whole);
    let mut warnings = policy.warnings().to_vec();
    warnings.extend(config.warnings.iter().cloned());
    Audit {
        prefix: config.prefix.clone(),
        signatures: config.signatures,
        asked,
        checks,
        unlisted,
        bytes_read: shelf.bytes_read(),
        duration: started.elapsed(),
        // What came when all was done ended nothing.
        interruption: stop.peek().copied().filter(|_| !is_whole),
        warnings,
    }
}

impl Check {
    /// What is known of an entry before its turn.
    fn of(entry: &Entry) -> Self {
        Self {
            location: entry.location.clone(),
            source: entry.source.clone(),
            target: entry.target.clone(),
            expected: None,
            found: None,
            is_seen: false,
            manifests: 0,
            blobs: 0,
            findings: Vec::new(),
            more_findings: 0,
            remarks: Vec::new(),
            failures: Vec::new(),
        }
    }
}
