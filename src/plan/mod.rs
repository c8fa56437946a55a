//! The decision: what is wanted and what is known become a [`Plan`].
//!
//! [`plan`] is pure: no I/O, no clock, and it cannot fail. An image that cannot be mirrored is a
//! `blocked` item. What the copier does is what the plan says; it decides nothing.

mod decide;
mod graph;
mod inventory;
mod item;
mod outcome;
mod reviewed;
mod verification;

pub use decide::{forbidden, may_move, plan};
pub use graph::{Companion, CompanionKind, CompanionPlace, Graph, Node, Standing};
pub use inventory::{
    Companions, Derived, Found, Inventory, Observation, Platforms, SourceState, TargetState,
};
pub use item::{Cause, CauseKind, Decision, Item, Remark, RemarkKind, Side};
pub use outcome::{Outcome, Proof, Result, Transfer};
pub use reviewed::{Aspect, Comparison, Difference, Reviewed, ReviewedEntry, compare};
pub use verification::{Checked, Made, Signer, SignerName, Signing, Verification};

use std::collections::{HashMap, HashSet};

use serde_json::json;

use crate::config::Signatures;
use crate::oci::{Digest, Registry, Repository};

/// What is to be done, an item for each entry of the list, in its order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What was decided to be at the target; see [`Plan::digest`] in ARCHITECTURE.md.
    pub digest: Digest,
    /// The items.
    pub items: Vec<Item>,
    /// What is done about companions.
    pub signatures: Signatures,
    /// The digest of the operator's policy, if there is one.
    pub policy: Option<Digest>,
    /// Blobs that were seen at the target, each with a repository that has it: others can mount it there.
    pub seen_blobs: HashMap<Digest, Repository>,
}

impl Plan {
    /// A plan of these items, with its digest.
    #[must_use]
    pub fn new(
        items: Vec<Item>,
        signatures: Signatures,
        policy: Option<Digest>,
        seen_blobs: HashMap<Digest, Repository>,
    ) -> Self {
        let digest = digest(&items, signatures, policy.as_ref());
        Self { digest, items, signatures, policy, seen_blobs }
    }

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

/// What was decided to be at the target, and nothing of how the target stands: SHA-256 of the canonical
/// JSON (RFC 8785) of the items, sorted by target, and of the policy's digest.
fn digest(items: &[Item], signatures: Signatures, policy: Option<&Digest>) -> Digest {
    let mut entries: Vec<_> = items
        .iter()
        .map(|item| {
            json!({
                "target": item.target.to_string(),
                "source": item.source.to_string(),
                "digest": item.digest.as_ref().map(ToString::to_string),
                "platforms": item.chosen.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "signatures": signatures.word(),
            })
        })
        .collect();
    entries.sort_by(|one, other| one["target"].as_str().cmp(&other["target"].as_str()));
    let document = json!({ "entries": entries, "policy": policy.map(ToString::to_string) });
    // Strings, lists and null: this always has a canonical form.
    Digest::sha256(&serde_json_canonicalizer::to_vec(&document).unwrap_or_default())
}
