//! An item of the plan with what became of it.

use super::units::{bytes, duration};
use super::{Mode, Status, companions, verification};
use crate::config::Change;
use crate::oci::Digest;
use crate::plan::{self, Cause, CauseKind, Decision, Item, Outcome, Remark};

/// An item of the plan with what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What was decided.
    pub item: &'a Item,
    /// What became of it; `None` in a plan, and where a sync did not get that far.
    pub result: Option<&'a plan::Result>,
    /// Whether somebody looked at it before the run had to end.
    pub(super) seen: bool,
    pub(super) mode: Mode,
    pub(super) change: Option<Change>,
}

impl<'a> Entry<'a> {
    /// How it stands: by its outcome after a sync, by its decision in a plan.
    #[must_use]
    pub fn status(&self) -> Status {
        match (self.result, self.decision(), self.mode) {
            (Some(result), ..) => Status::of_outcome(&result.outcome),
            (None, Some(decision), Mode::Plan) => Status::of_decision(decision),
            (None, ..) => Status::NotRun,
        }
    }

    /// Whether it is new or other than in an earlier version of the lists; so is everything where there is none.
    #[must_use]
    pub fn is_of_this_change(&self) -> bool {
        self.change != Some(Change::Unchanged)
    }

    /// What was decided; `None` if the run ended before anybody looked.
    #[must_use]
    pub fn decision(&self) -> Option<&'a Decision> {
        self.seen.then_some(&self.item.decision)
    }

    /// The outcome's word. In a plan nothing is carried out: what needs no work has its outcome already,
    /// the rest is `not-run`.
    #[must_use]
    pub fn outcome_word(&self) -> &'static str {
        match (self.result, self.decision()) {
            (Some(result), _) => result.outcome.word(),
            (
                None,
                Some(
                    decision @ (Decision::UpToDate
                    | Decision::Conflict
                    | Decision::Blocked(_)
                    | Decision::Deferred(_)),
                ),
            ) if self.mode == Mode::Plan => decision.word(),
            (None, _) => Outcome::NotRun.word(),
        }
    }

    /// Why it could not be done, if so.
    #[must_use]
    pub fn cause(&self) -> Option<&'a Cause> {
        match self.result {
            Some(plan::Result {
                outcome:
                    Outcome::Conflict(cause)
                    | Outcome::Blocked(cause)
                    | Outcome::Deferred(cause)
                    | Outcome::Failed(cause),
                ..
            }) => Some(cause),
            Some(_) => None,
            None => match self.decision() {
                Some(Decision::Blocked(cause) | Decision::Deferred(cause)) => Some(cause),
                _ => None,
            },
        }
    }

    /// Whether the operator's policy is what stands against it.
    #[must_use]
    pub fn violates_policy(&self) -> bool {
        matches!(self.status(), Status::Blocked | Status::Failed)
            && self.cause().is_some_and(|cause| cause.kind == CauseKind::Policy)
    }

    /// Whether it is not allowed because it has no signature: nobody looks for one of what is not allowed for
    /// another reason.
    #[must_use]
    pub fn lacks_signature(&self) -> bool {
        self.violates_policy()
            && self.item.companions.is_some()
            && companions::summary(self.item).signed != companions::Signed::Yes
    }

    /// What else there is to say.
    pub fn remarks(&self) -> impl Iterator<Item = &'a Remark> + use<'a> {
        self.item.remarks.iter()
    }

    /// What there is to say of it, by label, for a log. The texts hold what came from outside and are not escaped.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let item = self.item;
        let mut facts = vec![("list", item.location.to_string()), ("source", item.source.to_string())];
        facts.extend(self.shown_digest().map(|digest| ("digest", digest.to_string())));
        facts.extend(item.media_type.as_ref().map(|media_type| ("media type", media_type.to_string())));
        let platforms: Vec<String> = item.platforms.iter().map(ToString::to_string).collect();
        facts.extend((!platforms.is_empty()).then(|| ("platforms", platforms.join(", "))));
        facts.extend(item.bytes.map(|size| ("size", bytes(size))));
        facts.push(("companions", companions::summary(item).full()));
        facts.extend(verification::phrases(item).into_iter().map(|phrase| ("trust", phrase)));
        if let Some(result) = self.result {
            let transfer = &result.transfer;
            let parts = [("moved", transfer.bytes_copied), ("mounted", transfer.bytes_mounted)];
            facts.extend(
                parts.into_iter().filter(|(_, size)| *size > 0).map(|(what, size)| (what, bytes(size))),
            );
            facts.push(("took", duration(result.duration)));
        }
        facts.extend(self.cause().map(|cause| ("cause", cause.to_string())));
        facts.extend(self.remarks().map(|remark| ("note", remark.message.clone())));
        facts
    }

    /// The digest that says most of the entry: what belongs at the target, else what is there.
    #[must_use]
    pub fn shown_digest(&self) -> Option<&'a Digest> {
        let item = self.item;
        item.digest.as_ref().or(item.source_digest.as_ref()).or(item.target_digest.as_ref())
    }
}
