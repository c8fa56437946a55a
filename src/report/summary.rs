//! The sentences that every view begins or ends with.

use std::collections::BTreeSet;

use super::units::{bytes, count, duration, number};
use super::{Mode, OnTagConflict, Part, Pulls, Report, Status, Totals, Unreported, Verdict, verification};
use crate::oci::Registry;

/// The run in one line: `Sync: 1 conflict, 5 copied, 3 up to date`.
pub(super) fn headline(report: &Report, totals: &Totals) -> String {
    let images = count(totals.items as u64, "image", "images");
    if totals.items == 0 && report.changes.is_some() {
        return "Nothing to sync: no image is new or changed".to_owned();
    }
    let part = report.run.part.as_ref().map(Part::name);
    let is_whole = report.run.unreported.is_none();
    if totals.items == 0 && is_whole {
        return format!("Nothing to do: {} has no images", part.as_deref().unwrap_or("the list"));
    }
    if totals.count(Status::UpToDate) == totals.items && report.run.interruption.is_none() && is_whole {
        let of = part.map_or_else(String::new, |part| format!(" of {part}"));
        return match totals.items {
            1 => format!("Nothing to do: the image{of} is up to date"),
            _ => format!("Nothing to do: all {images}{of} are up to date"),
        };
    }
    let name = match report.run.mode {
        Mode::Plan => "Plan",
        Mode::Sync => "Sync",
    };
    let part = part.map_or_else(String::new, |part| format!(", {part}"));
    let standing = tally(totals).map(|(_, text)| text).chain(not_reported(report));
    format!("{name}{part}: {}", standing.collect::<Vec<_>>().join(", "))
}

/// How many images are in no report, where some of several have none.
pub(super) fn not_reported(report: &Report) -> Option<String> {
    let unreported = report.run.unreported.as_ref()?;
    Some(format!("{} not reported", number(unreported.images as u64)))
}

/// What a report is of: `200 images`, or `25 of 200 images` where it is of a part.
pub(super) fn subject(report: &Report, totals: &Totals) -> String {
    let reported = totals.items as u64;
    let all = match (&report.run.part, &report.run.unreported) {
        (Some(part), _) => part.images as u64,
        (None, Some(unreported)) => reported.saturating_add(unreported.images as u64),
        (None, None) => return count(reported, "image", "images"),
    };
    format!("{} of {}", number(reported), count(all, "image", "images"))
}

/// How many stand how: `1 conflict, 5 copied, 3 up to date`.
pub(super) fn standing(totals: &Totals) -> String {
    tally(totals).map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

/// How many stand how, as texts, without those that are none.
pub(super) fn tally(totals: &Totals) -> impl Iterator<Item = (Status, String)> {
    totals.statuses.iter().map(|(status, number)| (*status, status.count(*number)))
}

/// What was moved, or would be, in parts to be joined: `412.3 MiB moved`, `96.0 MiB mounted`.
pub(super) fn volume(report: &Report, totals: &Totals) -> Vec<String> {
    let transfer = &totals.transfer;
    let mut parts = Vec::new();
    match report.run.mode {
        Mode::Plan => {
            let at_least = if totals.bytes_to_move_incomplete { "at least " } else { "" };
            parts.push(format!("{at_least}{} to move", bytes(totals.bytes_to_move)));
        }
        Mode::Sync => {
            parts.push(format!("{} moved", bytes(report.run.bytes_moved)));
            parts.push(format!("{} mounted", bytes(transfer.bytes_mounted)));
            parts.push(format!("{} skipped (already there)", bytes(transfer.bytes_present)));
        }
    }
    let verified = report.entries().filter(|entry| verification::brief(entry.item).is_some()).count();
    if verified > 0 {
        parts.push(format!("{} verified", number(verified as u64)));
    }
    if totals.proof.expected > 0 {
        let proof = totals.proof;
        parts.push(format!("{} of {} companions read back", proof.verified, proof.expected));
    }
    parts.extend(report.run.pulls.iter().map(|pulls| self::pulls(pulls, report.run.mode)));
    let reviewed = compared(report).filter(|differs| !differs).count() as u64;
    parts.extend((reviewed > 0).then(|| format!("{} as reviewed", number(reviewed))));
    parts.extend(report.run.by_plan.iter().map(|plan| format!("by the plan {}", plan.short())));
    if totals.targets_not_readable > 0 {
        parts.push(count(totals.targets_not_readable as u64, "target not readable", "targets not readable"));
    }
    parts
}

/// Of each image that was compared with a review, whether it differs.
fn compared(report: &Report) -> impl Iterator<Item = bool> {
    let items = report.plan.items.iter();
    items.filter_map(|item| item.reviewed.as_ref()).map(|comparison| !comparison.differences.is_empty())
}

/// That images are not as people reviewed them, as a sentence without its full stop; `None` if all are.
pub(super) fn not_as_reviewed(report: &Report) -> Option<String> {
    match compared(report).filter(|differs| *differs).count() as u64 {
        0 => None,
        1 => Some("An image is not as it was reviewed".to_owned()),
        more => Some(format!("{} images are not as they were reviewed", number(more))),
    }
}

/// What a sync would take of what a registry still allows, or what a sync has left of it.
fn pulls(pulls: &Pulls, mode: Mode) -> String {
    let Pulls { registry, needed, is_minimum, remaining, limit, .. } = pulls;
    let left = number(*remaining);
    match (mode, limit) {
        (Mode::Plan, _) => {
            let least = if *is_minimum { "at least " } else { "" };
            format!("a sync needs {least}{} from {registry}, {left} left", count(*needed, "pull", "pulls"))
        }
        (Mode::Sync, Some(limit)) => format!("{left} of {} pulls left at {registry}", number(*limit)),
        (Mode::Sync, None) => format!("{} left at {registry}", count(*remaining, "pull", "pulls")),
    }
}

/// What it took, in parts to be joined: `2 retries`, `1.1 MiB downloaded again`, `3.2 s`.
pub(super) fn effort(report: &Report) -> Vec<String> {
    let mut parts = Vec::new();
    if report.run.retries > 0 {
        parts.push(count(report.run.retries, "retry", "retries"));
    }
    if report.run.bytes_downloaded_again > 0 {
        parts.push(format!("{} downloaded again", bytes(report.run.bytes_downloaded_again)));
    }
    if report.run.bytes_sent_twice > 0 {
        parts.push(format!("{} sent twice", bytes(report.run.bytes_sent_twice)));
    }
    parts.push(duration(report.run.duration));
    parts
}

/// What the exit code means, as a sentence without its full stop. `None` if all is well.
pub(super) fn verdict(report: &Report, totals: &Totals) -> Option<String> {
    let reason = reason(report, totals)?;
    Some(format!("Exit code {}: {}", report.verdict().exit_code(), lowercase_first(&reason)))
}

/// What the headline's numbers do not say of a run that did not end well, as a sentence without its full stop.
pub(super) fn moral(report: &Report, totals: &Totals) -> Option<String> {
    let is_said = report.verdict() == Verdict::Failed
        && report.run.interruption.is_none()
        && report.run.unreported.is_none();
    reason(report, totals).filter(|_| !is_said)
}

fn reason(report: &Report, totals: &Totals) -> Option<String> {
    let conflicts = totals.count(Status::Conflict);
    Some(match report.verdict() {
        Verdict::Done if conflicts > 0 && report.run.on_tag_conflict == OnTagConflict::Warn => {
            "Conflicts only warn, as asked for".to_owned()
        }
        Verdict::Done | Verdict::Invalid => return None,
        Verdict::Deferred => {
            let left = count(totals.count(Status::Deferred) as u64, "image is", "images are");
            let deferred = report.entries().filter(|entry| entry.status() == Status::Deferred);
            let registries: BTreeSet<&Registry> = deferred.map(|entry| &entry.item.source.registry).collect();
            let registries: Vec<&str> = registries.into_iter().map(Registry::as_str).collect();
            let allow = if registries.len() == 1 { "allows" } else { "allow" };
            format!(
                "{left} left to a later run, since {} {allow} no more pulls for now",
                registries.join(" and ")
            )
        }
        Verdict::Interrupted | Verdict::Terminated => {
            report.run.interruption.map_or_else(String::new, |how| match report.run.mode {
                Mode::Plan => format!("{}, this is what was found out", how.sentence()),
                Mode::Sync => format!("{}, this is what was done", how.sentence()),
            })
        }
        Verdict::Failed => failed(report, totals),
        Verdict::Conflict => not_done(report, totals),
    })
}

/// What is missing, and what ended the run or else did not succeed.
fn failed(report: &Report, totals: &Totals) -> String {
    let missing = report.run.unreported.as_ref().map(Unreported::sentence);
    if let Some(how) = report.run.interruption {
        return missing.into_iter().chain([how.sentence().to_owned()]).collect::<Vec<_>>().join("; ");
    }
    let failed = tally(totals)
        .filter(|(status, _)| matches!(status, Status::Failed | Status::Blocked | Status::NotRun))
        .map(|(_, text)| text);
    missing.into_iter().chain(failed).collect::<Vec<_>>().join(", ")
}

/// What the operator did not allow, and what stands in the way.
fn not_done(report: &Report, totals: &Totals) -> String {
    let numbered = |count: u64, one: &str, many: &str| match count {
        0 => None,
        1 => Some(one.to_owned()),
        _ => Some(format!("{} {many}", number(count))),
    };
    let violations = totals.policy_violations as u64;
    let not_allowed = numbered(violations, "An image is not allowed", "images are not allowed");
    let conflicts = totals.count(Status::Conflict) as u64;
    let one = if violations == 0 { "A tag is in conflict" } else { "a tag is in conflict" };
    let conflicts = numbered(conflicts, one, "tags are in conflict").map(|conflicts| match report.run.mode {
        Mode::Plan => format!("{conflicts}, and nothing will be overwritten"),
        Mode::Sync => format!("{conflicts}, and nothing was overwritten"),
    });
    not_allowed.into_iter().chain(conflicts).collect::<Vec<_>>().join("; ")
}

fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Outcome;
    use crate::report::sample::{plan_report, reviewed_sync, sync_report};

    #[test]
    fn what_a_registry_allows_is_told() {
        let pulls = Pulls {
            registry: "docker.io".parse().expect("a registry"),
            needed: 42,
            is_minimum: false,
            remaining: 58,
            limit: Some(100),
            window: None,
        };
        let part = |mut report: Report, limit| {
            report.run.pulls = vec![Pulls { limit, ..pulls.clone() }];
            volume(&report, &report.totals()).pop().expect("a part")
        };
        assert_eq!(part(plan_report(vec![]), Some(100)), "a sync needs 42 pulls from docker.io, 58 left");
        assert_eq!(part(sync_report(vec![]), Some(100)), "58 of 100 pulls left at docker.io");
        assert_eq!(part(sync_report(vec![]), None), "58 pulls left at docker.io");
    }

    #[test]
    fn what_was_reviewed_is_told() {
        let mut report = reviewed_sync();
        assert!(volume(&report, &report.totals()).contains(&"1 as reviewed".to_owned()));
        assert_eq!(not_as_reviewed(&report).as_deref(), Some("An image is not as it was reviewed"));
        let other = report.plan.items[1].reviewed.clone();
        report.plan.items[0].reviewed = other;
        assert_eq!(not_as_reviewed(&report).as_deref(), Some("2 images are not as they were reviewed"));
        assert_eq!(not_as_reviewed(&sync_report(vec![])), None);
    }

    #[test]
    fn nothing_to_do_is_said_so() {
        for (count, text) in [
            (0, "Nothing to do: the list has no images"),
            (1, "Nothing to do: the image is up to date"),
            (1200, "Nothing to do: all 1,200 images are up to date"),
        ] {
            let report = sync_report(vec![Outcome::UpToDate; count]);
            assert_eq!(headline(&report, &report.totals()), text);
            assert_eq!(verdict(&report, &report.totals()), None);
        }
    }
}
