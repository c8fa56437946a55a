//! The run in a word, and its images in a few: what a workflow's next steps go by.

use serde_json::json;

use super::{Entry, Mode, Report, Status, Verdict};

impl Report {
    /// `noop`, `planned`, `synced`, `conflict` or `failed`.
    #[must_use]
    pub fn result(&self) -> &'static str {
        let works = |entry: &Entry<'_>| {
            entry.is_of_this_change()
                && matches!(
                    entry.status(),
                    Status::Copy
                        | Status::Copied
                        | Status::Companions
                        | Status::CompanionsCopied
                        | Status::Move
                        | Status::Moved
                )
        };
        match (self.verdict(), self.run.mode) {
            (Verdict::Conflict, _) => "conflict",
            (Verdict::Done, _) if !self.entries().any(|entry| works(&entry)) => "noop",
            (Verdict::Done | Verdict::Deferred, Mode::Plan) => "planned",
            (Verdict::Done | Verdict::Deferred, Mode::Sync) => "synced",
            _ => "failed",
        }
    }

    /// Whether a tag that is new or changed is in conflict, whatever that decides.
    #[must_use]
    pub fn has_conflict(&self) -> bool {
        self.totals_of_this_change().count(Status::Conflict) > 0
    }

    /// A JSON list of the images, of those that are new or changed if versions were compared, each with `source`, `target` (with the digest, where it is known) and
    /// `outcome` (in a plan the decision). In at most `limit` bytes: those that weigh least are left out, what
    /// was up to date before others. The number is how many are missing.
    #[must_use]
    pub fn images(&self, limit: usize) -> (String, usize) {
        let mut list = String::from("[");
        let mut entries = self.entries_by_weight();
        entries.retain(Entry::is_of_this_change);
        for (number, entry) in entries.iter().enumerate() {
            let target = match &entry.item.digest {
                Some(digest) => format!("{}@{digest}", entry.item.target),
                None => entry.item.target.to_string(),
            };
            let image = json!({
                "source": entry.item.source.to_string(),
                "target": target,
                "outcome": entry.status().word(),
            });
            let image = image.to_string();
            if list.len() + image.len() + 2 > limit {
                list.push(']');
                return (list, entries.len() - number);
            }
            if list.len() > 1 {
                list.push(',');
            }
            list.push_str(&image);
        }
        list.push(']');
        (list, 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Change, Changes};
    use crate::plan::{CauseKind, Decision, Outcome};
    use crate::report::sample::{cause, plan_report, sync_report};

    #[test]
    fn a_run_in_a_word() {
        let failure = || cause(CauseKind::Failure, "timed out");
        assert_eq!(plan_report(vec![]).result(), "noop");
        assert_eq!(plan_report(vec![Decision::UpToDate]).result(), "noop");
        assert_eq!(plan_report(vec![Decision::UpToDate, Decision::Companions]).result(), "planned");
        assert_eq!(plan_report(vec![Decision::Copy, Decision::Conflict]).result(), "conflict");
        assert_eq!(plan_report(vec![Decision::Blocked(failure()), Decision::Conflict]).result(), "failed");
        assert_eq!(sync_report(vec![Outcome::UpToDate]).result(), "noop");
        assert_eq!(sync_report(vec![Outcome::Copied, Outcome::UpToDate]).result(), "synced");
        assert_eq!(sync_report(vec![Outcome::NotRun]).result(), "failed");
    }

    #[test]
    fn what_was_there_before_decides_nothing() {
        let mut report = plan_report(vec![Decision::Conflict, Decision::Copy, Decision::UpToDate]);
        let changes =
            |last| Changes { entries: vec![Change::Unchanged, Change::Unchanged, last], removed: vec![] };
        report.changes = Some(changes(Change::Added));
        assert_eq!((report.result(), report.verdict().exit_code()), ("noop", 0));
        report.plan.items[2].decision = Decision::Conflict;
        assert_eq!((report.result(), report.verdict().exit_code()), ("conflict", 3));
    }

    #[test]
    fn images_are_a_list_within_its_limit() {
        let report = sync_report([vec![Outcome::UpToDate; 500], vec![Outcome::Copied]].concat());
        let (all, missing) = report.images(usize::MAX);
        let parsed: Vec<serde_json::Value> = serde_json::from_str(&all).expect("JSON");
        assert_eq!(missing, 0);
        assert_eq!(parsed.len(), 501);
        assert_eq!(parsed[0]["outcome"], "copied");
        assert!(parsed[0]["target"].as_str().is_some_and(|target| target.contains("@sha256:")));
        let (some, missing) = report.images(10_000);
        assert!(some.len() <= 10_000, "{}", some.len());
        let parsed: Vec<serde_json::Value> = serde_json::from_str(&some).expect("JSON");
        assert_eq!(parsed[0]["outcome"], "copied");
        assert_eq!(parsed.len() + missing, 501);
        assert_eq!(report.images(2).0, "[]");
    }
}
