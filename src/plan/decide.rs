//! The decision itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::verification::{Consequence, consequence};
use super::{
    Cause, CauseKind, Companion, CompanionKind, CompanionPlace, Companions, Decision, Found, Graph,
    Inventory, Item, Observation, Plan, Platforms, Remark, RemarkKind, Side, SourceState, Standing,
    TargetState, Verification,
};
use crate::config::{Config, Entry, Signatures};
use crate::oci::{Descriptor, Digest, Repository};
use crate::policy::{Policy, Refusal};

/// Decides what is to be done. Cannot fail: what cannot be done is an item that says so.
///
/// # Panics
///
/// Never; an inventory with fewer observations than the list has entries yields a shorter plan.
#[must_use]
pub fn plan(config: &Config, policy: &Policy, inventory: Inventory) -> Plan {
    let mut moves = inventory.present_blobs.map(Moves::new);
    let mut seen_blobs = HashMap::new();
    let items: Vec<Item> = config
        .entries
        .iter()
        .zip(inventory.observations)
        .map(|(entry, mut observation)| {
            for blob in std::mem::take(&mut observation.seen_blobs) {
                seen_blobs.entry(blob).or_insert_with(|| entry.target.repository.clone());
            }
            let mut item = decide(config, policy, entry, observation);
            if let Some(moves) = &mut moves {
                item.bytes_to_move = Some(moves.bytes_of(&item));
            }
            item
        })
        .collect();
    Plan::new(items, config.signatures, policy.digest(), seen_blobs)
}

/// Why an entry's source may not be mirrored, if the policy says so. Nobody has to look at it then.
#[must_use]
pub fn forbidden(policy: &Policy, entry: &Entry) -> Option<Cause> {
    policy.allows(&entry.source).err().map(|refusal| violation(entry, &refusal))
}

/// Whether an entry's tag may move at the target, by the policy.
#[must_use]
pub fn may_move(config: &Config, policy: &Policy, entry: &Entry) -> bool {
    policy.lets_move(config.prefix.below(&entry.target), entry.target.tag.as_str())
}

fn violation(entry: &Entry, refusal: &Refusal) -> Cause {
    Cause {
        side: Side::Source,
        operation: "mirror".into(),
        reference: entry.source.to_string(),
        kind: CauseKind::Policy,
        message: refusal.to_string(),
    }
}

fn decide(config: &Config, policy: &Policy, entry: &Entry, observation: Observation) -> Item {
    let Observation { source, target, media_type, platforms, graph, companions, verification, seen_blobs: _ } =
        observation;
    let mut item = Item {
        position: entry.position,
        chosen: entry.platforms.clone(),
        location: entry.location.clone(),
        source: entry.source.clone(),
        target: entry.target.clone(),
        decision: Decision::UpToDate,
        source_digest: entry.source.digest.clone(),
        digest: None,
        target_digest: None,
        media_type,
        platforms: match &platforms {
            Platforms::Known(platforms) => platforms.clone(),
            _ => Vec::new(),
        },
        bytes: graph.as_ref().map(|graph| graph.bytes()),
        bytes_to_move: None,
        graph: None,
        derived: None,
        companions: None,
        reviewed: None,
        verification: None,
        remarks: Vec::new(),
    };
    if let TargetState::Present(digest) = &target {
        item.target_digest = Some(digest.clone());
    }
    // Whatever was seen: what the policy forbids is not mirrored.
    if let Some(cause) = forbidden(policy, entry) {
        item.decision = Decision::Blocked(cause);
        return item;
    }
    // What belongs at the target does not depend on how the target stands.
    match &source {
        SourceState::Found(found) => item.digest = Some(found.digest.clone()),
        SourceState::NotAsked => item.digest.clone_from(&entry.source.digest),
        SourceState::Gone(_) | SourceState::Blocked(_) => {}
    }
    item.decision = match (source, target) {
        (SourceState::Gone(cause), TargetState::Present(digest)) => {
            item.digest = Some(digest);
            item.remark(RemarkKind::SourceGone, format!("source is gone: {}", cause.message));
            Decision::UpToDate
        }
        (_, TargetState::Blocked(cause)) | (SourceState::Blocked(cause) | SourceState::Gone(cause), _) => {
            Decision::stopped(cause)
        }
        (SourceState::NotAsked, TargetState::Present(digest)) => {
            item.digest = Some(digest);
            Decision::UpToDate
        }
        // Nobody leaves the source out without having seen the target's tag.
        (SourceState::NotAsked, _) => Decision::Copy,
        (SourceState::Found(found), target) => {
            item.compare(found, target, graph, may_move(config, policy, entry))
        }
    };
    item.weigh_platforms(policy, entry, platforms);
    item.weigh_verification(policy, entry, verification);
    item.weigh_companions(config.signatures, companions);
    item.weigh_sizes(policy, entry);
    item
}

impl Item {
    fn remark(&mut self, kind: RemarkKind, message: String) {
        self.remarks.push(Remark { kind, message });
    }

    fn compare(
        &mut self,
        found: Found,
        target: TargetState,
        graph: Option<Arc<Graph>>,
        may_move: bool,
    ) -> Decision {
        let decision = match target {
            TargetState::Present(present) if present == found.digest => Decision::UpToDate,
            // Without its content there is nothing that the tag could move to.
            TargetState::Present(_) if may_move && graph.is_some() => Decision::Move,
            TargetState::Present(_) => Decision::Conflict,
            TargetState::NotReadable(cause) => {
                self.remark(RemarkKind::TargetNotReadable, format!("target not readable: {}", cause.message));
                Decision::Copy
            }
            TargetState::Absent | TargetState::Blocked(_) => Decision::Copy,
        };
        self.source_digest = Some(found.source_digest);
        self.digest = Some(found.digest);
        let foreign = graph.iter().flat_map(|graph| &graph.nodes).flat_map(|node| &node.foreign);
        for layer in foreign {
            let message = format!(
                "the layer {} is kept elsewhere by its author and the source registry lacks it; it is left out",
                layer.digest
            );
            self.remarks.push(Remark { kind: RemarkKind::ForeignLayer, message });
        }
        if let Some(derived) = found.derived {
            let names = derived.left_out.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "what has no platform" } else { &names };
            let message =
                format!("a smaller index without {names}; signatures of the original index do not cover it");
            self.remark(RemarkKind::PlatformsLeftOut, message);
            self.derived = Some(derived.manifest);
        }
        if matches!(decision, Decision::Copy | Decision::Move) {
            self.graph = graph;
        }
        decision
    }

    fn weigh_platforms(&mut self, policy: &Policy, entry: &Entry, platforms: Platforms) {
        if !matches!(self.decision, Decision::Copy | Decision::Move | Decision::UpToDate) {
            return;
        }
        let available = match platforms {
            Platforms::Artifact => return,
            Platforms::Blocked(cause) => {
                self.decision = Decision::stopped(cause);
                return;
            }
            Platforms::Known(available) => available,
            // The target has it, and the source is not there to be asked.
            Platforms::NotAsked if self.decision == Decision::UpToDate => return,
            // Nothing goes there of which nobody knows that it may.
            Platforms::NotAsked => Vec::new(),
        };
        if let Err(refusal) = policy.accepts_platforms(&available, self.derived.is_some()) {
            self.decision = Decision::Blocked(violation(entry, &refusal));
        }
    }

    /// What the policy's rule says of its signatures and its age.
    fn weigh_verification(&mut self, policy: &Policy, entry: &Entry, verification: Verification) {
        if !matches!(self.decision, Decision::Copy | Decision::Move | Decision::UpToDate) {
            return;
        }
        match (policy.signatures_of(&entry.source), verification) {
            (_, Verification::Blocked(cause)) => self.decision = Decision::stopped(cause),
            (Some(ruling), Verification::Checked(checked)) => {
                match consequence(&entry.source, &ruling, &checked) {
                    Consequence::None => {}
                    Consequence::Remark(message) => self.remark(RemarkKind::Unsigned, message),
                    Consequence::Violation(cause) => self.decision = Decision::Blocked(cause),
                }
                self.verification = Some(checked);
            }
            // Nothing goes there of which nobody knows that it may. What is there stays: of an image with fewer
            // platforms whose source is gone there is nothing left to look at.
            (Some(_), Verification::NotAsked) if self.decision != Decision::UpToDate => {
                let message =
                    "its signatures were not looked at, and the policy has a rule for them".to_owned();
                let cause = Cause::failure(Side::Source, "verify", entry.source.to_string(), message);
                self.decision = Decision::Blocked(cause);
            }
            _ => {}
        }
    }

    /// Whether what is to be copied is of a size that the policy allows.
    fn weigh_sizes(&mut self, policy: &Policy, entry: &Entry) {
        if !matches!(self.decision, Decision::Copy | Decision::Move | Decision::Companions) {
            return;
        }
        let companions = self.companions.iter().flatten().filter(|companion| companion.is_to_copy());
        let graphs =
            || self.graph.iter().chain(companions.clone().filter_map(|companion| companion.graph.as_ref()));
        let bytes = graphs().map(|graph| graph.bytes()).fold(0, u64::saturating_add);
        let largest = graphs().flat_map(|graph| graph.distinct_blobs()).map(|blob| blob.size).max();
        if let Err(refusal) = policy.accepts_size(bytes, largest.unwrap_or(0)) {
            self.decision = Decision::Blocked(violation(entry, &refusal));
        }
    }

    fn weigh_companions(&mut self, signatures: Signatures, companions: Companions) {
        if !matches!(self.decision, Decision::Copy | Decision::Move | Decision::UpToDate) {
            return;
        }
        match companions {
            Companions::NotAsked => {
                if signatures == Signatures::Skip {
                    self.remark(
                        RemarkKind::CompanionsSkipped,
                        "signatures and other companions are not copied".into(),
                    );
                }
            }
            Companions::Blocked(cause) => self.decision = Decision::stopped(cause),
            Companions::Found(companions) => {
                for gone in companions.iter().filter(|companion| companion.standing == Standing::Gone) {
                    let message = format!(
                        "the source lists the {} {} and does not have it; it cannot be copied",
                        gone.kind.word(),
                        gone.digest
                    );
                    self.remark(RemarkKind::CompanionGone, message);
                }
                if signatures == Signatures::Require
                    && let Some(cause) = self.unsigned(&companions)
                {
                    self.decision = Decision::Blocked(cause);
                } else if let Some(message) = companions.iter().find_map(differing) {
                    self.remark(RemarkKind::CompanionConflict, message);
                    self.decision = Decision::Conflict;
                } else if self.decision == Decision::UpToDate && companions.iter().any(Companion::is_to_copy)
                {
                    self.decision = Decision::Companions;
                }
                self.companions = Some(companions);
            }
        }
    }

    /// The violation, if nothing signs the manifest that belongs at the target.
    fn unsigned(&self, companions: &[Companion]) -> Option<Cause> {
        let digest = self.digest.as_ref()?;
        let signs = |companion: &Companion| {
            companion.kind == CompanionKind::Signature
                && companion.subject == *digest
                && companion.standing != Standing::Gone
        };
        if companions.iter().any(signs) {
            return None;
        }
        let message = if self.source_digest.as_ref() == Some(digest) {
            "no signature of it was found, and `--signatures require` wants one; \
             ask its publisher to sign it, or take it off the list"
        } else {
            "no signature covers an index that `platforms` makes smaller, and `--signatures require` wants one; \
             leave `platforms` out, or name the image of one platform by its digest"
        };
        Some(Cause {
            side: Side::Source,
            operation: "mirror".into(),
            reference: self.source.to_string(),
            kind: CauseKind::Policy,
            message: message.to_owned(),
        })
    }
}

fn differing(companion: &Companion) -> Option<String> {
    let (Standing::Differs { found }, CompanionPlace::Tag(tag)) = (&companion.standing, &companion.place)
    else {
        return None;
    };
    Some(format!(
        "the tag {tag} at the target holds another {} ({found}) than the source; it is left alone",
        companion.kind.word()
    ))
}

/// Counts which bytes have to cross the wire: each distinct blob once, for the first item that needs it.
struct Moves {
    present: HashSet<(Repository, Digest)>,
    /// Blobs that some repository of the target has, or will have: the others mount them.
    reachable: HashSet<Digest>,
}

impl Moves {
    fn new(present: HashSet<(Repository, Digest)>) -> Self {
        let reachable = present.iter().map(|(_, digest)| digest.clone()).collect();
        Self { present, reachable }
    }

    fn bytes_of(&mut self, item: &Item) -> u64 {
        if !matches!(item.decision, Decision::Copy | Decision::Companions | Decision::Move) {
            return 0;
        }
        let companions = item.companions.iter().flatten().filter_map(|companion| companion.graph.as_ref());
        let graphs = item.graph.iter().chain(companions);
        let blobs = graphs.flat_map(|graph| &graph.nodes).flat_map(|node| &node.blobs);
        blobs.map(|blob| self.bytes_of_blob(&item.target.repository, blob)).fold(0, u64::saturating_add)
    }

    fn bytes_of_blob(&mut self, repository: &Repository, blob: &Descriptor) -> u64 {
        let fresh = self.present.insert((repository.clone(), blob.digest.clone()));
        if fresh && self.reachable.insert(blob.digest.clone()) { blob.size } else { 0 }
    }
}
