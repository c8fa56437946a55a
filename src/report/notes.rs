//! Notes: what else there is to say, each with what it is about.

use super::Report;
use crate::oci::Registry;
use crate::plan::{Cause, CauseKind, RemarkKind, Side};

/// What the note on `--signatures skip` says. It is one for the whole run, whatever its number of images.
const SKIPPED: (&str, &str) =
    ("--signatures skip", "signatures and other companions are neither looked for nor copied");

impl Report {
    /// What there is to say of the run, then warnings of the lists' reader with their places, then remarks with those of their images, then what
    /// holds for the run. The texts hold what came from outside and are not escaped.
    pub(super) fn notes(&self) -> Vec<(String, String)> {
        let warnings =
            self.warnings.iter().map(|warning| (warning.location.to_string(), warning.message.clone()));
        let remarks = self
            .entries()
            .flat_map(|entry| entry.remarks().map(move |remark| (entry, remark)))
            .filter(|(_, remark)| !is_said_elsewhere(remark.kind))
            .map(|(entry, remark)| (entry.item.location.to_string(), remark.message.clone()));
        let skipped = self
            .entries()
            .any(|entry| entry.remarks().any(|remark| remark.kind == RemarkKind::CompanionsSkipped))
            .then(|| (SKIPPED.0.to_owned(), SKIPPED.1.to_owned()));
        let run = self.run.remarks.iter().map(|remark| ("the run".to_owned(), remark.clone()));
        let root = self.run.trust_root.iter().map(|root| {
            // Without its age in days, so that the same is said of the same.
            let date =
                |time: &Option<String>| time.as_ref().map(|time| time.chars().take(10).collect::<String>());
            let parts = [
                Some(root.origin.clone()),
                date(&root.published).map(|date| format!("of {date}")),
                date(&root.newest).map(|date| format!("its newest key counts since {date}")),
                Some(root.digest.clone()),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            ("trust root".to_owned(), format!("keyless signatures are checked by: {}", parts.join(", ")))
        });
        let review = self.run.review.iter().filter_map(|review| review.note.clone());
        let review = review.map(|note| ("the review".to_owned(), note));
        let remarks = remarks.chain(skipped);
        run.chain(warnings).chain(remarks).chain(review).chain(root).chain(self.examinations()).collect()
    }

    /// How to find out more of each registry at which the way or the login is out of order, however many images
    /// that concerns; the repository is that of the first.
    fn examinations(&self) -> Vec<(String, String)> {
        let mut known: Vec<Registry> = Vec::new();
        let mut notes = Vec::new();
        for entry in self.entries() {
            let cause = entry.cause();
            let Some(Cause { kind: CauseKind::Access | CauseKind::Denied, side, .. }) = cause else {
                continue;
            };
            let (source, target) = (&entry.item.source, &entry.item.target);
            let (registry, repository) = match side {
                Side::Source => (Some(source.registry.clone()), &source.repository),
                // The root of a folder is no registry.
                Side::Target => (target.root.trim_end_matches('/').parse().ok(), &target.repository),
            };
            let Some(registry) = registry.filter(|registry| !known.contains(registry)) else { continue };
            let message = format!("`image-syncer doctor {registry} {repository}` tells more");
            notes.push((registry.to_string(), message));
            known.push(registry);
        }
        notes
    }
}

/// Whether it is said once for all images, or among the conflicts.
const fn is_said_elsewhere(kind: RemarkKind) -> bool {
    matches!(kind, RemarkKind::CompanionsSkipped | RemarkKind::CompanionConflict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Decision, Outcome, Remark};
    use crate::report::Look;
    use crate::report::sample::{cause, plan_report, sync_report};

    #[test]
    fn what_holds_for_all_images_is_said_once() {
        let mut report = plan_report(vec![Decision::Copy; 3]);
        assert_eq!(report.notes(), []);
        for item in &mut report.plan.items {
            let message = "signatures and other companions are not copied".to_owned();
            item.remarks.push(Remark { kind: RemarkKind::CompanionsSkipped, message });
        }
        assert_eq!(report.notes(), [(SKIPPED.0.to_owned(), SKIPPED.1.to_owned())]);
        let text = report.terminal(Look { columns: 100, colour: false });
        for text in [text, report.markdown(usize::MAX)] {
            assert_eq!(text.matches("--signatures skip").count(), 1, "{text}");
        }
        assert_eq!(report.json().matches("companions-skipped").count(), 3);
    }
    /// However many images it concerns, and not where it would not help.
    #[test]
    fn a_registry_that_is_out_of_order_is_to_be_examined() {
        let failed = |kind| Outcome::Failed(cause(kind, "no"));
        let notes = |outcomes| sync_report(outcomes).notes();
        let report = notes(vec![Outcome::Copied, failed(CauseKind::Access), failed(CauseKind::Access)]);
        assert_eq!(report.len(), 1, "{report:?}");
        assert_eq!(report[0].0, "docker.io");
        assert!(report[0].1.starts_with("`image-syncer doctor docker.io "), "{report:?}");
        assert_eq!(notes(vec![failed(CauseKind::Failure), failed(CauseKind::Policy)]), []);
        let at_target = Outcome::Blocked(Cause { side: Side::Target, ..cause(CauseKind::Access, "no") });
        let report = notes(vec![at_target]);
        assert!(report[0].1.starts_with("`image-syncer doctor registry.example.com mirror/"), "{report:?}");
    }
}
