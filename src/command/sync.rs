//! `sync` and `plan`: the main job.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures::FutureExt as _;

use crate::config::{Config, TargetPrefix};
use crate::copy::copy;
use crate::event::Events;
use crate::inspect::{Depth, Inspection, inspect};
use crate::layout::Layout;
use crate::oci::Registry;
use crate::plan::{Plan, plan};
use crate::policy::Policy;
use crate::registry::{Credential, Credentials, Registries, Settings, SetupError};
use crate::report::{Interruption, Mode, OnTagConflict, Part, Pulls, Report, Run};
use crate::store::{self, Remembered, Source, Sources, Target};

/// Manifests are kept between inspection and copy up to so many bytes for each registry.
const REMEMBERED_BYTES: usize = 16 * 1024 * 1024;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Job {
    /// The images, and where they go.
    pub config: Config,
    /// Which part of the lists the images are, where several runs share them.
    pub part: Option<Part>,
    /// What the operator asks for.
    pub policy: Policy,
    /// Whether it is done or only said.
    pub mode: Mode,
    /// What a conflict means for the exit code.
    pub on_tag_conflict: OnTagConflict,
    /// How registries are reached.
    pub settings: Settings,
    /// Who we are at registries.
    pub credentials: Arc<Credentials>,
    /// Who we are at the registry of the target prefix, before what `credentials` say.
    pub target_credential: Option<Credential>,
}

/// The target, as far as the mode needs it: a plan never holds anything that can be written to.
enum Sink {
    ToRead(Arc<dyn Source>),
    ToWrite(Arc<dyn Target>),
}

impl Job {
    /// Runs it, until it is done or `stop` says why it must end.
    ///
    /// # Errors
    ///
    /// Fails only if registries cannot be spoken to at all. What goes wrong with an image is in the report.
    pub async fn run(
        self,
        events: &Events,
        stop: impl Future<Output = Interruption> + Send,
    ) -> Result<Report, SetupError> {
        let started = Instant::now();
        let stop = stop.shared();
        let stopped = stop.clone().map(drop::<Interruption> as fn(_)).shared();
        let registries = Registries::new(self.settings.clone(), Arc::clone(&self.credentials))?;
        let sources = Arc::new(self.sources(&registries));
        let sink = self.sink(&registries);
        let (readable, depth): (Arc<dyn Source>, _) = match &sink {
            Sink::ToRead(target) => (Arc::clone(target), Depth::Full),
            Sink::ToWrite(target) => (Arc::<dyn Target>::clone(target), Depth::Needed),
        };
        let Inspection { inventory, unseen } =
            inspect(&self.config, &self.policy, &sources, &readable, depth, events, stopped.clone()).await;
        let plan = Arc::new(plan(&self.config, &self.policy, inventory));
        for item in &plan.items {
            tracing::debug!(source = %item.source, target = %item.target, decision = item.decision.word());
        }
        let counted = Arc::clone(&sources);
        let results = match sink {
            Sink::ToRead(_) => None,
            Sink::ToWrite(target) => {
                Some(copy(Arc::clone(&plan), &unseen, sources, target, events, stopped).await)
            }
        };
        let mut pulls: Vec<Pulls> =
            counted.iter().filter_map(|(registry, source)| pulls(registry, source.as_ref(), &plan)).collect();
        pulls.sort_by(|one, other| one.registry.cmp(&other.registry));
        let traffic = registries.traffic();
        let skipped = if results.is_some() { traffic.skipped.load(Ordering::Relaxed) } else { 0 };
        let run = Run {
            mode: self.mode,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            duration: started.elapsed(),
            retries: traffic.retries.load(Ordering::Relaxed),
            bytes_moved: events.bytes_moved() + skipped,
            bytes_downloaded_again: events.meter().moved_again() + skipped,
            bytes_sent_twice: traffic.sent_twice.load(Ordering::Relaxed),
            on_tag_conflict: self.on_tag_conflict,
            pulls,
            part: self.part,
            unreported: None,
            interruption: stop.peek().copied(),
            remarks: Vec::new(),
            commit: None,
            log: None,
        };
        let mut warnings = self.policy.warnings().to_vec();
        warnings.extend(self.config.warnings);
        Ok(Report {
            run,
            plan: Arc::unwrap_or_clone(plan),
            prefix: self.config.prefix,
            unseen: unseen.into_iter().collect(),
            results,
            changes: None,
            warnings,
        })
    }

    pub(super) fn sources(&self, registries: &Registries) -> Sources {
        let mut sources: Sources = HashMap::new();
        for entry in &self.config.entries {
            sources.entry(entry.source.registry.clone()).or_insert_with_key(|registry| {
                Arc::new(Remembered::new(Arc::new(registries.source(registry)), REMEMBERED_BYTES))
            });
        }
        sources
    }

    fn sink(&self, registries: &Registries) -> Sink {
        let credential = self.target_credential.clone();
        match (&self.config.prefix, self.mode) {
            (TargetPrefix::Registry { registry, .. }, Mode::Plan) => {
                Sink::ToRead(Arc::new(registries.target_to_read(registry, credential)))
            }
            (TargetPrefix::Registry { registry, .. }, Mode::Sync) => {
                Sink::ToWrite(Arc::new(registries.target(registry, credential)))
            }
            (TargetPrefix::Layout { folder }, Mode::Plan) => Sink::ToRead(Arc::new(Layout::new(folder))),
            (TargetPrefix::Layout { folder }, Mode::Sync) => Sink::ToWrite(Arc::new(Layout::new(folder))),
        }
    }
}

/// What a source still allows, if it counts and has said so.
fn pulls(registry: &Registry, source: &dyn Source, plan: &Plan) -> Option<Pulls> {
    let store::Pulls::Left(quota) = source.pulls() else { return None };
    // Of what could not be read at least one manifest will be.
    let deferred = plan.deferred_of(registry);
    Some(Pulls {
        registry: registry.clone(),
        needed: plan.manifests_of(registry) + deferred,
        is_minimum: deferred > 0,
        remaining: quota.remaining,
        limit: quota.limit,
        window: quota.window,
    })
}
