//! One report of those that the jobs of a matrix wrote, each a shard of the lists.

use std::io;
use std::path::{Path, PathBuf};

use super::intake::Refusal;
use super::{Situation, is_in_workspace, of_the_workspace};
use crate::command::UsageError;
use crate::command::merge::merged;
use crate::report::Report;

/// Reads the reports in a folder, and in folders of it: each artifact that is downloaded has one of its own.
pub(super) fn reports(folder: &Path, situation: &Situation) -> Result<Report, Refusal> {
    let refused = |message: String| Refusal::Usage(UsageError::Option(message));
    if situation.review.is_some() && is_in_workspace(&situation.runner, folder) {
        return Err(refused(of_the_workspace("the input merge-reports")));
    }
    let folder = situation.runner.workspace.join(folder);
    let files = files(&folder).map_err(|error| {
        refused(format!("the input merge-reports: failed to read {}: {error}", folder.display()))
    })?;
    merged(&files).map_err(|faults| refused(faults.join("; ")))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(entries(&path)?);
        } else {
            files.push(path);
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}
