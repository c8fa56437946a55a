//! The part of the lists that this run does, where several runs share them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{Surroundings, UsageError};
use crate::cli::{ShardCount, ShardOptions, WhichShard};
use crate::config::Config;
use crate::oci::Repository;
use crate::plan::{Decision, Item};
use crate::report::{Part, Report, json};
use crate::shard::{Division, Shard, advised, number};

/// The largest report that is read back.
const LARGEST_REPORT: u64 = 256 * 1024 * 1024;

/// What an image weighs besides its bytes: its requests take their time, too.
const EACH: u64 = 1024 * 1024;

/// The variable by which Kubernetes says which pod of an Indexed Job this is, counted from 0.
const JOB_INDEX: &str = "JOB_COMPLETION_INDEX";

/// The part of the lists that a run does.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Which it is; `None` if it is all of them.
    pub(super) part: Option<Part>,
    /// What there is to say of how they were divided.
    pub(super) remarks: Vec<String>,
}

/// Leaves in `config` the entries of this run's shard, and says which part of the lists that is.
pub(super) fn share(
    options: &ShardOptions,
    config: &mut Config,
    surroundings: &Surroundings,
) -> Result<Share, UsageError> {
    let Some(which) = options.shard else { return Ok(Share::default()) };
    let shard = shard(which, surroundings).map_err(UsageError::Option)?;
    let mut remarks = Vec::new();
    let division = match &options.shard_plan {
        None => Division::by_name(shard.count()),
        Some(path) => {
            let plan =
                read_plan(path).map_err(|error| UsageError::Option(format!("--shard-plan: {error}")))?;
            let weights = weights(&plan);
            remarks.extend(doubt(&plan, &weights, config));
            Division::balanced(shard.count(), &weights)
        }
    };
    let part = Part { shard, images: config.entries.len(), lists: config.digest() };
    config.entries.retain(|entry| division.shard_of(&entry.target.repository) == shard.index());
    Ok(Share { part: Some(part), remarks })
}

/// Why a plan may not be the one that was meant, as a sentence without its full stop. It is the same for all shards, so
/// that it is said once of all of them.
fn doubt(plan: &Report, weights: &BTreeMap<Repository, u64>, config: &Config) -> Option<String> {
    let listed: BTreeSet<&Repository> = config.entries.iter().map(|entry| &entry.target.repository).collect();
    let known = listed.iter().filter(|repository| weights.contains_key(**repository)).count();
    let what = if listed.is_empty() {
        return None;
    } else if let Some(part) = &plan.run.part {
        format!("is of {} alone", part.name())
    } else if plan.plan.items.is_empty() {
        "has no images".to_owned()
    } else if plan.prefix != config.prefix {
        format!("is of another target prefix, `{}`", plan.prefix)
    } else if known * 2 < listed.len() {
        let known = if known == 0 { "none".to_owned() } else { known.to_string() };
        format!("has {known} of the {} target repositories of the list", listed.len())
    } else {
        return None;
    };
    Some(format!(
        "The plan of `--shard-plan` {what}: the shards do the whole list, but may be unbalanced; make a plan of \
         that list, without `--shard`, and give the same one to all of them"
    ))
}

fn shard(which: WhichShard, surroundings: &Surroundings) -> Result<Shard, String> {
    let count = match which {
        WhichShard::This(shard) => return Ok(shard),
        WhichShard::OfJob(count) => count,
    };
    let index = surroundings.environment.get(JOB_INDEX).ok_or_else(|| {
        format!(
            "--shard job/{count}: the variable {JOB_INDEX} is not set; the Job needs `completionMode: Indexed`, or write \
             the number of this run: 1/{count}"
        )
    })?;
    let index = number(index.expose()).ok().and_then(|index| index.checked_add(1));
    index.and_then(|index| Shard::new(index, count).ok()).ok_or_else(|| {
        format!(
            "--shard job/{count}: the variable {JOB_INDEX} is none of 0 to {}; the Job's `completions` and N are the same",
            count - 1
        )
    })
}

/// Reads the plan by which shards are balanced. All of them read the same one: a pipe can be read once, and one that
/// nobody writes to, or a device, would be waited for without an end.
fn read_plan(path: &Path) -> Result<Report, String> {
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return Err(format!("{} is no file: give the report that `plan --report` wrote", path.display()));
    }
    read(path)
}

/// Reads a report that a run wrote.
pub(super) fn read(path: &Path) -> Result<Report, String> {
    let failed = |error: io::Error| format!("failed to read {}: {error}", path.display());
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LARGEST_REPORT + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST_REPORT {
        return Err(format!("{} is larger than {LARGEST_REPORT} bytes: is it a report?", path.display()));
    }
    json::read(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The shards that a plan is to be divided into, as a JSON list for a matrix: `["1/2","2/2"]`.
pub(super) fn matrix(count: ShardCount, plan: &Report) -> String {
    let count = match count {
        ShardCount::Number(count) => count,
        ShardCount::Auto => advised(&weights(plan)),
    };
    let shards: Vec<String> = Shard::all(count).map(|shard| shard.to_string()).collect();
    serde_json::Value::from(shards).to_string()
}

/// What there is to do for each target repository.
fn weights(plan: &Report) -> BTreeMap<Repository, u64> {
    let mut weights = BTreeMap::new();
    for item in &plan.plan.items {
        let weight: &mut u64 = weights.entry(item.target.repository.clone()).or_default();
        *weight = weight.saturating_add(bytes(item)).saturating_add(EACH);
    }
    weights
}

fn bytes(item: &Item) -> u64 {
    match item.decision {
        Decision::Copy | Decision::Companions | Decision::Move => {
            item.bytes_to_move.or(item.bytes).unwrap_or_default()
        }
        _ => 0,
    }
}
