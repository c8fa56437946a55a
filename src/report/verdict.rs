//! The exit code.

use super::{Interruption, OnTagConflict, Report, Status};

/// What a run says to the shell, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The command line, a list or the policy is wrong; nothing was done. No report says this.
    Invalid,
    /// SIGINT ended the run.
    Interrupted,
    /// SIGTERM ended the run.
    Terminated,
    /// Something is blocked or failed, the time ran out, or one of several runs has no report.
    Failed,
    /// A tag is in conflict, or an image is not allowed, by the policy or by `--signatures require`.
    Conflict,
    /// Something is left to a later run, and all else is done.
    Deferred,
    /// Done, or nothing to do.
    Done,
}

impl Verdict {
    /// What a run says that was ended before its time.
    #[must_use]
    pub const fn of_interruption(how: Interruption) -> Self {
        match how {
            Interruption::Interrupt => Self::Interrupted,
            Interruption::Terminate => Self::Terminated,
            Interruption::TimeLimit => Self::Failed,
        }
    }

    /// The exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Failed => 1,
            Self::Conflict => 3,
            Self::Deferred => 4,
            Self::Done => 0,
        }
    }
}

impl Report {
    /// The strongest of what the run and each entry say.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let run = self.run.interruption.map_or(Verdict::Done, Verdict::of_interruption);
        let missing = if self.run.unreported.is_some() { Verdict::Failed } else { Verdict::Done };
        let of_entry = |entry: super::Entry<'_>| match entry.status() {
            _ if !entry.is_of_this_change() => Verdict::Done,
            Status::Blocked | Status::Failed if entry.violates_policy() => Verdict::Conflict,
            Status::Blocked | Status::Failed | Status::NotRun => Verdict::Failed,
            Status::Conflict if self.run.on_tag_conflict == OnTagConflict::Fail => Verdict::Conflict,
            Status::Deferred => Verdict::Deferred,
            _ => Verdict::Done,
        };
        self.entries().map(of_entry).fold(run.min(missing), Verdict::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CauseKind, Decision, Outcome};
    use crate::report::sample::{cause, plan_report, sync_report};

    fn failure() -> crate::plan::Cause {
        cause(CauseKind::Failure, "timed out")
    }

    fn violation() -> crate::plan::Cause {
        cause(CauseKind::Policy, "there is no signature")
    }

    #[test]
    fn the_strongest_word_decides_after_a_sync() {
        let later = || cause(CauseKind::Quota, "no pulls are left");
        let cases: [(Vec<Outcome>, u8); 8] = [
            (vec![], 0),
            (vec![Outcome::Copied, Outcome::UpToDate, Outcome::Moved, Outcome::CompanionsCopied], 0),
            (vec![Outcome::Blocked(violation())], 3),
            (vec![Outcome::Blocked(violation()), Outcome::Failed(failure())], 1),
            (vec![Outcome::Conflict(failure()), Outcome::Blocked(failure())], 1),
            (vec![Outcome::NotRun], 1),
            (vec![Outcome::Copied, Outcome::Deferred(later())], 4),
            (vec![Outcome::Deferred(later()), Outcome::Blocked(violation())], 3),
        ];
        for (outcomes, code) in cases {
            let report = sync_report(outcomes.clone());
            assert_eq!(report.verdict().exit_code(), code, "{outcomes:?}");
        }
    }

    #[test]
    fn a_plan_is_judged_by_its_decisions() {
        let cases: [(Vec<Decision>, u8); 5] = [
            (vec![Decision::Copy, Decision::Companions, Decision::Move, Decision::UpToDate], 0),
            (vec![Decision::Copy, Decision::Conflict], 3),
            (vec![Decision::Blocked(violation())], 3),
            (vec![Decision::Blocked(failure()), Decision::Conflict], 1),
            (vec![], 0),
        ];
        for (decisions, code) in cases {
            assert_eq!(plan_report(decisions.clone()).verdict().exit_code(), code, "{decisions:?}");
        }
    }

    #[test]
    fn a_conflict_that_only_warns_does_not_decide() {
        let mut report = sync_report(vec![Outcome::Conflict(failure()), Outcome::Copied]);
        report.run.on_tag_conflict = OnTagConflict::Warn;
        assert_eq!(report.verdict(), Verdict::Done);
        let mut report = sync_report(vec![Outcome::Blocked(violation())]);
        report.run.on_tag_conflict = OnTagConflict::Warn;
        assert_eq!(report.verdict(), Verdict::Conflict);
    }

    #[test]
    fn an_interruption_is_stronger_than_what_failed() {
        for (interruption, code) in
            [(Interruption::Interrupt, 130), (Interruption::Terminate, 143), (Interruption::TimeLimit, 1)]
        {
            let mut report = sync_report(vec![Outcome::Failed(failure()), Outcome::NotRun]);
            report.run.interruption = Some(interruption);
            assert_eq!(report.verdict().exit_code(), code);
        }
    }

    #[test]
    fn what_a_sync_did_not_reach_is_not_done() {
        let mut report = sync_report(vec![Outcome::Copied, Outcome::Copied]);
        report.results.as_mut().expect("results").pop();
        assert_eq!(report.verdict(), Verdict::Failed);
    }
}
