//! What all views of an audit say: sums, the headline, and the exit code. None of it is stored.

use std::collections::BTreeMap;

use super::{Audit, Check, Kind, Known, State};
use crate::config::Signatures;
use crate::report::Interruption;
use crate::report::units::{bytes, count, duration};

/// The sums of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Totals {
    /// Findings of each kind, unlisted tags among them.
    pub(super) findings: BTreeMap<Kind, usize>,
    /// Images without a finding that were looked at whole.
    pub(super) sound: usize,
    /// Images with findings.
    pub(super) unsound: usize,
    /// Images of which something could not be looked up, with findings or not.
    pub(super) failed: usize,
    /// Images whose turn did not come.
    pub(super) not_run: usize,
    pub(super) remarks: usize,
    pub(super) manifests: usize,
    pub(super) blobs: usize,
}

impl Totals {
    pub(super) fn of(audit: &Audit) -> Self {
        let mut totals = Self::default();
        for check in &audit.checks {
            match check.state() {
                State::Found => totals.unsound += 1,
                State::Sound => totals.sound += 1,
                State::NotRun => totals.not_run += 1,
                State::Failed => {}
            }
            totals.failed += usize::from(!check.failures.is_empty());
            totals.remarks += check.remarks.len();
            totals.manifests += check.manifests;
            totals.blobs += check.blobs;
            for finding in &check.findings {
                *totals.findings.entry(finding.kind).or_default() += 1;
            }
        }
        let strays =
            audit.unlisted.as_ref().map_or(0, |unlisted| unlisted.strays.len() + unlisted.more_strays);
        if strays > 0 {
            totals.findings.insert(Kind::Unlisted, strays);
        }
        totals
    }

    /// All findings that are told.
    pub(super) fn all_findings(&self) -> usize {
        self.findings.values().sum()
    }
}

/// Whether something could not be looked up.
fn has_failures(audit: &Audit) -> bool {
    audit.checks.iter().any(|check| !check.failures.is_empty())
        || audit.unlisted.as_ref().is_some_and(|unlisted| !unlisted.failures.is_empty())
}

/// The exit code, the strongest that applies: 130 or 143 interrupted; 1 something could not be looked up, or the time
/// was over before; 3 findings; 0 everything is as it should be.
#[must_use]
pub fn exit_code(audit: &Audit) -> u8 {
    match audit.interruption {
        Some(Interruption::Interrupt) => return 130,
        Some(Interruption::Terminate) => return 143,
        Some(Interruption::TimeLimit) => return 1,
        None => {}
    }
    if has_failures(audit) {
        1
    } else if Totals::of(audit).all_findings() > 0 {
        3
    } else {
        0
    }
}

/// What was found, in a line without its full stop.
pub(super) fn headline(audit: &Audit) -> String {
    let totals = Totals::of(audit);
    let images = count(audit.checks.len() as u64, "image", "images");
    let strays = totals.findings.get(&Kind::Unlisted).copied().unwrap_or_default();
    let findings = totals.all_findings() - strays;
    let mut parts = Vec::new();
    if findings > 0 {
        let of = format!("{} of {images}", totals.unsound);
        parts.push(format!("{} at {of}", count(findings as u64, "finding", "findings")));
    }
    if strays > 0 {
        parts.push(count(strays as u64, "tag that no list names", "tags that no list names"));
    }
    if has_failures(audit) {
        parts.push("not all could be looked up".to_owned());
    }
    if totals.not_run > 0 {
        parts.push(format!("{} not looked at", count(totals.not_run as u64, "image", "images")));
    }
    if parts.is_empty() {
        return format!("The target is as it should be: {images}");
    }
    parts.join(", ")
}

/// What was looked at, as sentences.
pub(super) fn effort(audit: &Audit) -> String {
    let totals = Totals::of(audit);
    let how = if audit.asked.deep {
        format!("All bytes of the blobs were read and hashed ({}).", bytes(audit.bytes_read))
    } else {
        "Blobs were asked for and not read; `--deep` reads and hashes them.".to_owned()
    };
    let companions = match audit.signatures {
        Signatures::Skip => " Signatures and other companions were left out.",
        Signatures::Copy | Signatures::Require => "",
    };
    format!(
        "Looked at {} and {} in {}. {how}{companions}",
        count(totals.manifests as u64, "manifest", "manifests"),
        count(totals.blobs as u64, "blob", "blobs"),
        duration(audit.duration),
    )
}

/// Where unlisted tags were looked for, as a sentence. Empty if nobody asked.
pub(super) fn reach(audit: &Audit) -> String {
    let Some(unlisted) = &audit.unlisted else { return String::new() };
    let tags = count(unlisted.tags as u64, "tag", "tags");
    let repositories = count(unlisted.repositories as u64, "repository", "repositories");
    let prefix = &audit.prefix;
    let looked = format!("Unlisted tags were looked for among {tags} of {repositories}");
    match &unlisted.catalog {
        Known::All(_) => format!("{looked}, all that the target's catalog has below {prefix}."),
        Known::Partial(lacks) => format!(
            "{looked}. The target's catalog lacks {} of the list, so that it may lack others: of repositories that no \
             list names only those were looked at that it has.",
            count(*lacks as u64, "repository", "repositories")
        ),
        Known::Refused(why) => {
            format!("{looked}, those of the list: the target does not tell which others it has ({why}).")
        }
        Known::Unknown => format!("{looked}, those of the list: the target's catalog could not be read."),
    }
}

/// The checks in the order of their weight: findings first, then what could not be looked up.
pub(super) fn by_weight(audit: &Audit) -> Vec<&Check> {
    let mut checks: Vec<&Check> = audit.checks.iter().collect();
    checks.sort_by_key(|check| (check.state(), check.findings.first().map(|finding| finding.kind)));
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::sample;

    #[test]
    fn the_strongest_decides_the_exit_code() {
        let mut audit = sample::audit();
        assert_eq!(exit_code(&audit), 1);
        audit.checks.iter_mut().for_each(|check| check.failures.clear());
        assert_eq!(exit_code(&audit), 1, "a list of tags failed");
        audit.unlisted.as_mut().expect("asked for").failures.clear();
        assert_eq!(exit_code(&audit), 3);
        audit.checks.iter_mut().for_each(|check| check.findings.clear());
        assert_eq!(exit_code(&audit), 3, "a tag is unlisted");
        audit.unlisted = None;
        assert_eq!(exit_code(&audit), 0);
        for (interruption, code) in
            [(Interruption::Interrupt, 130), (Interruption::Terminate, 143), (Interruption::TimeLimit, 1)]
        {
            audit.interruption = Some(interruption);
            assert_eq!(exit_code(&audit), code);
        }
    }

    #[test]
    fn where_tags_were_looked_for_is_told() {
        let mut audit = sample::audit();
        let mut told = |catalog: Known| {
            audit.unlisted.as_mut().expect("asked for").catalog = catalog;
            reach(&audit)
        };
        assert!(
            told(Known::All(3))
                .ends_with("all that the target's catalog has below registry.example.com/mirror/.")
        );
        assert!(told(Known::Partial(1)).contains("lacks 1 repository of the list"));
        assert!(told(Known::Refused("r answered 403".to_owned())).contains("(r answered 403)"));
        assert!(told(Known::Unknown).contains("could not be read"));
    }
}
