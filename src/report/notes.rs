//! Notes: what else there is to say, each with what it is about.

use super::Report;
use crate::plan::RemarkKind;

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
        run.chain(warnings).chain(remarks).chain(skipped).collect()
    }
}

/// Whether it is said once for all images, or among the conflicts.
const fn is_said_elsewhere(kind: RemarkKind) -> bool {
    matches!(kind, RemarkKind::CompanionsSkipped | RemarkKind::CompanionConflict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Decision, Remark};
    use crate::report::Look;
    use crate::report::sample::plan_report;

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
}
