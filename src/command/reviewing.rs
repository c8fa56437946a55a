//! Comparing a plan with what was reviewed, before anything of it is done. Where reviews are found is for others to
//! know; nobody is asked where there is nothing to compare.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::plan::{Decision, Item, Plan, Reviewed, compare};
use crate::report;

/// Where reviews are found.
#[async_trait]
pub trait Reviews: fmt::Debug + Send + Sync {
    /// The plans that were reviewed, the newest first: the latest, and older ones until each of `targets` is in one, as
    /// far as that goes. What cannot be found out is said in the note.
    async fn find(&self, plan: &Plan, targets: &[String]) -> Found;
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The plans that were reviewed, the newest first.
    pub reviews: Vec<Reviewed>,
    /// What a report says of them.
    pub told: report::Review,
}

/// What a plan is compared with.
#[derive(Debug, Clone)]
pub struct Reviewing {
    /// Where reviews are found.
    pub reviews: Arc<dyn Reviews>,
    /// Whether nothing is done that is not as it was reviewed.
    pub required: bool,
}

impl Reviewing {
    /// Compares a plan with what was reviewed, and says with what; `None` if there is nothing to compare.
    pub(super) async fn compare(&self, plan: &mut Plan) -> Option<report::Review> {
        let matters = |item: &&Item| item.decision.writes() || item.decision == Decision::Conflict;
        if !plan.items.iter().any(|item| matters(&item)) {
            return None;
        }
        let unpinned = plan.items.iter().filter(matters).filter(|item| item.source.digest.is_none());
        let targets: Vec<String> = unpinned.map(|item| item.target.to_string()).collect();
        let Found { reviews, told } = self.reviews.find(plan, &targets).await;
        compare(plan, &reviews, self.required);
        Some(told)
    }

    /// Leaves nothing to be done that would have to be compared: there is no time for it any more.
    pub(super) fn give_up(&self, plan: &mut Plan) {
        compare(plan, &[], self.required);
    }
}
