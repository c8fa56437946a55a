//! What is known of the registries: stores in, [`Inventory`] out.
//!
//! Nothing is written here and nothing decided. A sync asks for as little as its decisions need; a plan
//! also asks for what a reader wants to know.

mod line;
mod odds;
mod platforms;
mod present;
mod source;
mod verification;

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use crate::config::{Config, Entry, Signatures};
use crate::event::{Event, Events};
use crate::fault::cause;
use crate::oci::{Digest, ManifestRef, RawManifest};
use crate::plan::{
    Cause, Companion, CompanionKind, Companions, Found, Graph, Inventory, Observation, Platforms, Side,
    SourceState, TargetState, Verification, forbidden, may_move,
};
use crate::policy::Policy;
use crate::store::{Source, Sources, StoreError, StoreErrorKind};
use crate::trust::{Sides, Verifier, companions};
use crate::walk::{digests, walk};
use line::{InTurn, Place};
use odds::Odds;
use source::AtSource;

pub use verification::written;

/// So many entries are looked at together. Each registry has its own limit of requests besides.
const AT_A_TIME: usize = 256;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What a sync has to know.
    Needed,
    /// What the reader of a plan wants to know as well: sizes and platforms of everything, and which
    /// bytes would have to move. A target that may not be read is no failure then.
    Full,
}

/// What is wanted of the images, and what their signatures are checked with.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The lists.
    pub config: &'a Config,
    /// The operator's rules.
    pub policy: &'a Policy,
    /// What signatures are checked with.
    pub verifier: &'a Verifier,
}

/// What was found out.
#[derive(Debug)]
pub struct Inspection {
    /// An observation for each entry.
    pub inventory: Inventory,
    /// The entries whose turn did not come before the run had to end.
    pub unseen: Vec<usize>,
}

/// Looks at all entries' images, on both sides, until `stop` completes.
///
/// Nobody is asked for an image whose source the policy does not allow.
pub async fn inspect(
    wanted: Wanted<'_>,
    sources: &Sources,
    target: &Arc<dyn Source>,
    depth: Depth,
    events: &Events,
    stop: impl Future<Output = ()> + Clone,
) -> Inspection {
    let Wanted { config, policy, verifier } = wanted;
    events.tell(Event::InspectionStarted { entries: config.entries.len() });
    let places = line::places(config);
    let (places, odds) = (&places, &Odds::of(config.entries.len()));
    let looked_at = stream::iter(in_turns(config, places))
        .map(|(index, entry)| async move {
            let look = Look {
                entry,
                policy,
                verifier,
                signatures: config.signatures,
                may_move: may_move(config, policy, entry),
                requires_platforms: policy.requires_platforms(),
                target: target.as_ref(),
                depth,
                odds,
            };
            let observation = match (forbidden(policy, entry), sources.get(&entry.source.registry)) {
                (Some(cause), _) => observation(SourceState::Blocked(cause), TargetState::Absent),
                (None, Some(source)) => {
                    let registry = &entry.source.registry;
                    let source = InTurn::new(source.as_ref(), registry, &places[index]);
                    let mut observation = look.observe(&source).await;
                    observation.verification = look.verify(&source, &observation).await;
                    observation
                }
                (None, None) => look.unknown_registry(),
            };
            places[index].leave();
            events.tell(Event::Inspected { entry: index });
            (index, observation)
        })
        .buffer_unordered(AT_A_TIME)
        .take_until(stop.clone());
    let mut observations: Vec<Option<Observation>> = config.entries.iter().map(|_| None).collect();
    looked_at
        .for_each(|(index, observation)| {
            observations[index] = Some(observation);
            std::future::ready(())
        })
        .await;
    let mut inspection = in_order(config, observations);
    if depth == Depth::Full {
        let present = present::present_blobs(config, policy, &inspection.inventory, target.as_ref());
        let present = present.take_until(stop).collect().await;
        inspection.inventory.present_blobs = Some(present);
    }
    inspection
}

/// The entries of each source's registry in turns, so that one that is slow or silent does not hold up the others.
fn in_turns<'a>(config: &'a Config, places: &[Place]) -> impl Iterator<Item = (usize, &'a Entry)> {
    let mut turns: Vec<(usize, &Entry)> = config.entries.iter().enumerate().collect();
    turns.sort_by_key(|(index, _)| (places[*index].turn, *index));
    turns.into_iter()
}

fn in_order(config: &Config, observations: Vec<Option<Observation>>) -> Inspection {
    let mut unseen = Vec::new();
    let ordered =
        observations.into_iter().zip(&config.entries).enumerate().map(|(index, (observation, entry))| {
            observation.unwrap_or_else(|| {
                unseen.push(index);
                let message = "the run ended before its turn".to_owned();
                let cause = Cause::failure(Side::Source, "look at", entry.source.to_string(), message);
                self::observation(SourceState::Blocked(cause), TargetState::Absent)
            })
        });
    let observations = ordered.collect();
    Inspection { inventory: Inventory { observations, present_blobs: None }, unseen }
}

/// One entry, being looked at.
#[derive(Clone, Copy)]
struct Look<'a> {
    entry: &'a Entry,
    policy: &'a Policy,
    verifier: &'a Verifier,
    signatures: Signatures,
    /// Whether the target's tag may move, so that what it would move to matters.
    may_move: bool,
    /// Whether it matters what the image runs on.
    requires_platforms: bool,
    target: &'a dyn Source,
    depth: Depth,
    odds: &'a Odds,
}

impl Look<'_> {
    fn unknown_registry(self) -> Observation {
        let registry = self.entry.source.registry.to_string();
        let cause = Cause::failure(Side::Source, "reach", registry, "no way to it was set up".to_owned());
        observation(SourceState::Blocked(cause), TargetState::Absent)
    }

    async fn observe(self, source: &InTurn<'_>) -> Observation {
        let pinned = self.entry.source.digest.as_ref();
        if let Some(pinned) = pinned.filter(|_| self.entry.platforms.is_empty()) {
            let target = self.target_state().await;
            return self.observe_pinned(source, pinned, target).await;
        }
        // The target comes first: where it lacks the tag, the source's manifest is needed anyway, and one
        // request for it also says what the source's tag stands for.
        let (target, found) = if self.entry.platforms.is_empty() {
            let (repository, reference) = (&self.entry.source.repository, self.entry.source.manifest_ref());
            self.odds.both(self.target_state(), async { source.resolve(repository, &reference).await }).await
        } else {
            (self.target_state().await, None)
        };
        match self.at_source(source, &target, found).await {
            AtSource::State(state) => observation(state, target),
            AtSource::Image { found, root } => self.observe_image(source, found, root, target).await,
        }
    }

    /// The list has the digest: the source need not say what the tag stands for, and is not asked at all
    /// where the target has it.
    async fn observe_pinned(self, source: &InTurn<'_>, pinned: &Digest, target: TargetState) -> Observation {
        let found = Found { source_digest: pinned.clone(), digest: pinned.clone(), derived: None };
        let target = self.by_the_algorithm_of(pinned, target).await;
        match &target {
            TargetState::Blocked(_) => observation(SourceState::NotAsked, target),
            TargetState::Present(present) if present == pinned => {
                let mut observation = observation(SourceState::NotAsked, target);
                self.describe_what_is_there(source, pinned, &mut observation).await;
                observation
            }
            TargetState::Present(_) if !self.may_move => observation(SourceState::Found(found), target),
            TargetState::Present(_) | TargetState::Absent | TargetState::NotReadable(_) => {
                self.observe_image(source, found, None, target).await
            }
        }
    }

    async fn observe_image(
        self,
        source: &InTurn<'_>,
        found: Found,
        root: Option<RawManifest>,
        target: TargetState,
    ) -> Observation {
        let digest = found.digest.clone();
        let target = self.by_the_algorithm_of(&digest, target).await;
        let derived = found.derived.as_ref().map(|derived| derived.manifest.clone());
        match &target {
            TargetState::Present(present) if *present == digest => {
                let mut observation = observation(SourceState::Found(found), target);
                self.describe_what_is_there(source, &digest, &mut observation).await;
                return observation;
            }
            TargetState::Present(_) if self.depth == Depth::Needed && !self.may_move => {
                return observation(SourceState::Found(found), target);
            }
            TargetState::Blocked(_) => return observation(SourceState::Found(found), target),
            _ => {}
        }
        let repository = &self.entry.source.repository;
        let is_there = matches!(target, TargetState::Present(_));
        let conflict = is_there && !self.may_move;
        let root = match derived.or(root) {
            Some(root) => Ok(Some(root)),
            None => source.manifest(repository, &digest.clone().into()).await,
        };
        let graph = match &root {
            Ok(Some(root)) => match source.check_need(repository, root) {
                Ok(()) => walk(source, repository, root).await,
                Err(error) => Err(error),
            },
            // The tag of a source that is gone can stay where it is; one that has to move can not.
            Ok(None) if is_there => {
                let state =
                    if conflict { SourceState::Found(found) } else { SourceState::Blocked(self.gone()) };
                return observation(state, target);
            }
            Ok(None) => return observation(SourceState::Gone(self.gone()), target),
            Err(error) => Err(error.clone()),
        };
        let graph = match graph {
            Ok(graph) => Arc::new(graph),
            // A conflict is one whatever the source's image is like.
            Err(_) if conflict => return observation(SourceState::Found(found), target),
            Err(error) => return observation(SourceState::Blocked(self.blocked(error)), target),
        };
        let subjects = graph.nodes.iter().map(|node| node.digest.clone()).collect();
        let readable = !matches!(target, TargetState::NotReadable(_));
        let mut observation = observation(SourceState::Found(found), target);
        observation.describe(graph);
        if let (Ok(Some(root)), true) = (&root, !conflict || self.depth == Depth::Full) {
            self.note_platforms(source, Side::Source, root, &mut observation).await;
        }
        if !conflict {
            // What a tag moves to can be there already, under another tag.
            observation.companions = self.companions(source, &digest, subjects, readable, is_there).await;
        }
        observation
    }

    /// The image is at the target already: its shape is read there, where it costs no quota.
    async fn describe_what_is_there(
        self,
        source: &dyn Source,
        digest: &Digest,
        observation: &mut Observation,
    ) {
        if self.depth == Depth::Needed && self.signatures == Signatures::Skip && !self.requires_platforms {
            return;
        }
        let repository = &self.entry.target.repository;
        let read = async {
            let reference = match digest {
                Digest::Sha256(_) => ManifestRef::Digest(digest.clone()),
                // Registries know what was pushed under a tag by its SHA-256 digest.
                Digest::Sha512(_) => ManifestRef::Tag(self.entry.target.tag.clone()),
            };
            let root = self.target.manifest(repository, &reference).await?;
            let root = root.ok_or_else(|| {
                let reference = format!("{}@{digest}", self.entry.target);
                let message = "the tag is there and its manifest is not";
                StoreError::new("read manifest", reference, StoreErrorKind::NotFound, message)
            })?;
            observation.media_type = Some(root.media_type.clone());
            if let Ok(manifest) = root.parse() {
                // A non-distributable layer may have been left out.
                let blobs = manifest.blobs().filter(|blob| !blob.media_type.is_foreign_layer());
                observation.seen_blobs = blobs.map(|blob| blob.digest.clone()).collect();
            }
            self.note_platforms(self.target, Side::Target, &root, observation).await;
            if self.depth == Depth::Full
                && let Ok(graph) = walk(self.target, repository, &root).await
            {
                observation.describe(Arc::new(graph));
            }
            digests(self.target, repository, &root).await
        };
        observation.companions = match read.await {
            Ok(subjects) => self.companions(source, digest, subjects, true, true).await,
            Err(error) if self.signatures != Signatures::Skip || self.requires_platforms => {
                Companions::Blocked(cause(Side::Target, error))
            }
            Err(_) => Companions::NotAsked,
        };
    }

    async fn companions(
        self,
        source: &dyn Source,
        image: &Digest,
        subjects: Vec<Digest>,
        readable: bool,
        at_target: bool,
    ) -> Companions {
        if self.signatures == Signatures::Skip {
            return Companions::NotAsked;
        }
        let sides = Sides {
            source,
            source_repository: &self.entry.source.repository,
            // Where a signature decides, it is asked for and not looked up in a list.
            believes_lists: self.signatures != Signatures::Require
                && self.policy.signatures_of(&self.entry.source).is_none(),
            source_tag: self.entry.source.tag.as_ref().filter(|_| self.entry.source.digest.is_none()),
            image,
            target: readable.then_some(self.target),
            target_repository: &self.entry.target.repository,
            at_target,
        };
        let mut found = match companions(sides, subjects.clone()).await {
            Ok(found) => found,
            Err(cause) => return Companions::Blocked(self.named(cause)),
        };
        let signs =
            |companion: &Companion| companion.kind == CompanionKind::Signature && companion.subject == *image;
        if self.signatures == Signatures::Require && at_target && !found.iter().any(signs) {
            // The signature that the source has lost may still be where it was mirrored to.
            let there = Sides {
                source: self.target,
                source_repository: &self.entry.target.repository,
                source_tag: Some(&self.entry.target.tag),
                ..sides
            };
            match companions(there, subjects).await {
                Ok(kept) => {
                    let known = |kept: &Companion| {
                        found.iter().any(|one| one.digest == kept.digest && one.place == kept.place)
                    };
                    let more: Vec<Companion> = kept.into_iter().filter(|kept| !known(kept)).collect();
                    found.extend(more);
                }
                Err(cause) => return Companions::Blocked(Cause { side: Side::Target, ..cause }),
            }
        }
        Companions::Found(found)
    }

    async fn target_state(self) -> TargetState {
        let reference = ManifestRef::Tag(self.entry.target.tag.clone());
        match self.target.resolve(&self.entry.target.repository, &reference).await {
            Ok(None) => TargetState::Absent,
            Ok(Some(descriptor)) => TargetState::Present(descriptor.digest),
            Err(error) if self.depth == Depth::Full && error.kind == StoreErrorKind::Denied => {
                TargetState::NotReadable(cause(Side::Target, error))
            }
            Err(error) => TargetState::Blocked(cause(Side::Target, error)),
        }
    }

    /// The target may call the wanted content by the digest of another algorithm: only the content tells.
    async fn by_the_algorithm_of(self, wanted: &Digest, target: TargetState) -> TargetState {
        let TargetState::Present(present) = &target else { return target };
        if present.algorithm() == wanted.algorithm() {
            return target;
        }
        let there = self.target.manifest(&self.entry.target.repository, &present.clone().into()).await;
        match there {
            Ok(Some(there)) if there.has_digest(wanted) => TargetState::Present(wanted.clone()),
            Ok(_) => target,
            Err(error) => TargetState::Blocked(cause(Side::Target, error)),
        }
    }

    fn gone(self) -> Cause {
        let message = "the registry does not have it".to_owned();
        Cause::failure(Side::Source, "read manifest", self.entry.source.to_string(), message)
    }

    fn unsupported(self, message: String) -> StoreError {
        StoreError::new("mirror", &self.entry.source, StoreErrorKind::Unsupported, message)
    }

    fn blocked(self, error: StoreError) -> Cause {
        self.named(cause(Side::Source, error))
    }

    /// A part of an image is named without its registry; here it is known.
    fn named(self, mut cause: Cause) -> Cause {
        let source = &self.entry.source;
        if cause.side == Side::Source && cause.reference.starts_with(source.repository.as_str()) {
            cause.reference = format!("{}/{}", source.registry, cause.reference);
        }
        cause
    }
}

fn observation(source: SourceState, target: TargetState) -> Observation {
    Observation {
        source,
        target,
        media_type: None,
        platforms: Platforms::NotAsked,
        graph: None,
        companions: Companions::NotAsked,
        verification: Verification::NotAsked,
        seen_blobs: Vec::new(),
    }
}

impl Observation {
    fn describe(&mut self, graph: Arc<Graph>) {
        self.media_type = Some(graph.root().media_type.clone());
        if graph.root().media_type.is_index() {
            self.platforms = Platforms::Known(graph.platforms());
        }
        self.graph = Some(graph);
    }
}
