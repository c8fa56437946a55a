//! The part of the lists that this run does, where several runs share them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{Surroundings, UsageError};
use crate::cli::{ShardCount, ShardOptions, WhichShard};
use crate::config::Config;
use crate::oci::Repository;
use crate::plan::{Decision, Item};
use crate::report::{Part, Report, json};
use crate::shard::{Division, Shard, advised};

/// The largest report that is read back.
const LARGEST_REPORT: u64 = 256 * 1024 * 1024;

/// What an image weighs besides its bytes: its requests take their time, too.
const EACH: u64 = 1024 * 1024;

/// The variable by which Kubernetes says which pod of an Indexed Job this is, counted from 0.
const JOB_INDEX: &str = "JOB_COMPLETION_INDEX";

/// Leaves in `config` the entries of this run's shard, and says which part of the lists that is.
pub(super) fn share(
    options: &ShardOptions,
    config: &mut Config,
    surroundings: &Surroundings,
) -> Result<Option<Part>, UsageError> {
    let Some(which) = options.shard else { return Ok(None) };
    let shard = shard(which, surroundings).map_err(UsageError::Option)?;
    let division = match &options.shard_plan {
        None => Division::by_name(shard.count()),
        Some(path) => {
            let plan = read(path).map_err(|error| UsageError::Option(format!("--shard-plan: {error}")))?;
            Division::balanced(shard.count(), &weights(&plan))
        }
    };
    let part = Part { shard, images: config.entries.len(), lists: config.digest() };
    config.entries.retain(|entry| division.shard_of(&entry.target.repository) == shard.index());
    Ok(Some(part))
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
    let index = index.expose().trim().parse::<usize>().ok().and_then(|index| index.checked_add(1));
    index.and_then(|index| Shard::new(index, count).ok()).ok_or_else(|| {
        format!(
            "--shard job/{count}: the variable {JOB_INDEX} is none of 0 to {}; the Job's `completions` and N are the same",
            count - 1
        )
    })
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
