//! One report of those that the jobs of a matrix wrote, each a shard of the lists.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::intake::Refusal;
use super::{Situation, is_in_workspace, of_the_workspace};
use crate::cli::ActionOptions;
use crate::command::UsageError;
use crate::command::merge::merged;
use crate::report::Report;
use crate::shard::number;

/// Between a folder's name and the number of the job's attempt that wrote what is in it.
const ATTEMPT: &str = "-attempt-";

/// Reads the reports in a folder, and in folders of it: each artifact that is downloaded has one of its own. Of folders
/// that differ in nothing but the number after `-attempt-` the one with the highest counts: artifacts of jobs that were
/// run again stay beside the new ones.
pub(super) fn reports(
    folder: &Path,
    options: &ActionOptions,
    situation: &Situation,
) -> Result<Report, Refusal> {
    let refused = |message: String| Refusal::Usage(UsageError::Option(message));
    let share = &options.run.share;
    let others = [
        ("shard", share.shard.is_some()),
        ("shard-plan", share.shard_plan.is_some()),
        ("shards", options.shards.is_some()),
    ];
    if let Some((name, _)) = others.into_iter().find(|(_, is_given)| *is_given) {
        return Err(refused(format!(
            "the inputs merge-reports and {name} are both given: what makes one report of those of all shards is a step \
             of its own; leave one of them out"
        )));
    }
    if situation.review.is_some() && is_in_workspace(&situation.runner, folder) {
        return Err(refused(of_the_workspace("the input merge-reports")));
    }
    let folder = situation.runner.workspace.join(folder);
    let files = match files(&folder) {
        // Where no artifact is found none is downloaded, and no folder made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    };
    let files = files.map_err(|error| {
        refused(format!("the input merge-reports: failed to read {}: {error}", folder.display()))
    })?;
    if files.is_empty() {
        return Err(refused(format!(
            "the input merge-reports: there is no report in {}: no shard wrote one, and their logs say why",
            folder.display()
        )));
    }
    merged(&files).map_err(|faults| refused(faults.join("; ")))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (folders, mut files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    for folder in newest(folders) {
        files.extend(entries(&folder)?);
    }
    // What is neither, such as a pipe, would be waited for.
    files.retain(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// Of the folders of several attempts of one job the last one's, and all others.
fn newest(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut attempts: BTreeMap<String, (usize, PathBuf)> = BTreeMap::new();
    for folder in folders {
        let Some((job, attempt)) = attempt(&folder) else {
            all.push(folder);
            continue;
        };
        let last = attempts.entry(job).or_insert_with(|| (attempt, folder.clone()));
        if attempt > last.0 {
            *last = (attempt, folder);
        }
    }
    all.extend(attempts.into_values().map(|(_, folder)| folder));
    all
}

/// The job that a folder is of, by its name, and the number of its attempt.
fn attempt(folder: &Path) -> Option<(String, usize)> {
    let (job, attempt) = folder.file_name()?.to_str()?.rsplit_once(ATTEMPT)?;
    Some((job.to_owned(), number(attempt).ok()?))
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}
