//! The outputs of a step: what a workflow's next steps go by.

use std::path::Path;

use super::log;
use crate::github::files::{Delimiter, Outputs};
use crate::report::{Mode, Report, Status};

/// Sets outputs. The runner takes what was set before as well.
pub(super) fn set(outputs: impl IntoIterator<Item = (&'static str, String)>, path: &Path) {
    let mut all = Outputs::default();
    let set = outputs.into_iter().try_for_each(|(name, value)| all.set(name, value));
    let set = set.map_err(|error| error.to_string());
    let append = || Delimiter::random().and_then(|delimiter| all.append_to(path, &delimiter));
    if let Err(error) = set.and_then(|()| append().map_err(|error| error.to_string())) {
        log::warn(&format!("the outputs are not written: {error}"));
    }
}

/// The outputs of a run that looked at no image, but for its result.
pub(super) fn no_images() -> Vec<(&'static str, String)> {
    let numbers = ["copied", "up-to-date", "conflicts", "failed", "bytes"].map(|name| (name, "0".to_owned()));
    numbers.into_iter().chain([("images", "[]".to_owned())]).collect()
}

/// The numbers of a report, and the digest of its plan.
pub(super) fn of(report: &Report) -> Vec<(&'static str, String)> {
    let totals = report.totals_of_this_change();
    let count = |statuses: &[Status]| statuses.iter().map(|it| totals.count(*it)).sum::<usize>().to_string();
    // What nobody reported on is not known to be well.
    let unreported = report.run.unreported.as_ref().map_or(0, |unreported| unreported.images);
    let failed: usize =
        [Status::Failed, Status::Blocked, Status::NotRun].map(|it| totals.count(it)).iter().sum();
    let bytes = match report.run.mode {
        Mode::Plan => totals.bytes_to_move,
        Mode::Sync => report.run.bytes_moved,
    };
    let work = [
        Status::Copied,
        Status::Copy,
        Status::CompanionsCopied,
        Status::Companions,
        Status::Moved,
        Status::Move,
    ];
    vec![
        ("copied", count(&work)),
        ("up-to-date", count(&[Status::UpToDate])),
        ("conflicts", count(&[Status::Conflict])),
        ("failed", failed.saturating_add(unreported).to_string()),
        ("bytes", bytes.to_string()),
        ("plan-digest", report.plan.digest.hex()),
    ]
}
