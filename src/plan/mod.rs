//! The decision: what is wanted and what is known become a [`Plan`].
//!
//! [`plan`] is pure: no I/O, no clock, and it cannot fail. An image that cannot be mirrored is a
//! `blocked` item. What the copier does is what the plan says; it decides nothing.

mod decide;
mod graph;
mod inventory;
mod item;
mod outcome;

pub use decide::{forbidden, may_move, plan};
pub use graph::{Companion, CompanionKind, CompanionPlace, Graph, Node, Standing};
pub use inventory::{
    Companions, Derived, Found, Inventory, Observation, Platforms, SourceState, TargetState,
};
pub use item::{Cause, CauseKind, Decision, Item, Remark, RemarkKind, Side};
pub use outcome::{Outcome, Proof, Result, Transfer};

use std::collections::{HashMap, HashSet};

use crate::oci::{Digest, Registry, Repository};

/// What is to be done, an item for each entry of the list, in its order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What was decided to be at the target; see [`Plan::digest`] in ARCHITECTURE.md.
    pub digest: Digest,
    /// The items.
    pub items: Vec<Item>,
    /// Blobs that were seen at the target, each with a repository that has it: others can mount it there.
    pub seen_blobs: HashMap<Digest, Repository>,
}

impl Plan {
    /// How many manifests a sync reads from a source to do this: those of images and companions to be copied, each
    /// once.
    #[must_use]
    pub fn manifests_of(&self, source: &Registry) -> u64 {
        let items = self.items.iter().filter(|item| item.source.registry == *source);
        let graphs = items.flat_map(|item| {
            let companions = item.companions.iter().flatten().filter(|companion| companion.is_to_copy());
            item.graph.iter().chain(companions.filter_map(|companion| companion.graph.as_ref()))
        });
        let manifests: HashSet<&Digest> =
            graphs.flat_map(|graph| &graph.nodes).map(|node| &node.digest).collect();
        manifests.len() as u64
    }

    /// How many items are put off until a source lets more be read of it.
    #[must_use]
    pub fn deferred_of(&self, source: &Registry) -> u64 {
        let items = self.items.iter().filter(|item| item.source.registry == *source);
        items.filter(|item| matches!(item.decision, Decision::Deferred(_))).count() as u64
    }
}
