//! What is known of the registries: the plan's input.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Cause, Companion, Graph, Verification};
use crate::oci::{Digest, MediaType, Platform, RawManifest, Repository};

/// What was found out, an observation for each entry, in the list's order.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The observations.
    pub observations: Vec<Observation>,
    /// The blobs that the target's repositories are known to have. `None` if nobody asked: a sync learns
    /// it while it copies.
    pub present_blobs: Option<HashSet<(Repository, Digest)>>,
}

/// What was found out about one entry.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The source's side.
    pub source: SourceState,
    /// The target's side.
    pub target: TargetState,
    /// What the image that belongs at the target is, as far as it was looked at.
    pub media_type: Option<MediaType>,
    /// What it runs on.
    pub platforms: Platforms,
    /// All its content, from whichever side it was read; there at least if the target lacks it.
    pub graph: Option<Arc<Graph>>,
    /// What belongs to the image, as far as the source could be asked.
    pub companions: Companions,
    /// What its signatures are worth, where the policy has a rule for its source.
    pub verification: Verification,
    /// Blobs that the target's repository has, as a manifest says that was read there.
    pub seen_blobs: Vec<Digest>,
}

/// An entry's image at the source.
#[derive(Debug, Clone)]
pub enum SourceState {
    /// It was not asked: the list has the digest, and the target has that digest under the tag.
    NotAsked,
    /// It is there.
    Found(Found),
    /// The source says that it is not there.
    Gone(Cause),
    /// Nobody knows, or it cannot be mirrored.
    Blocked(Cause),
}

/// An image that the source has.
#[derive(Debug, Clone)]
pub struct Found {
    /// The digest that the source's reference stands for.
    pub source_digest: Digest,
    /// The digest that belongs at the target: another one if only some platforms are copied.
    pub digest: Digest,
    /// The smaller index, if only some platforms are copied.
    pub derived: Option<Derived>,
}

/// An index that was made here, with only some children of the source's.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Its document, which no source has.
    pub manifest: RawManifest,
    /// The platforms that it lacks.
    pub left_out: Vec<Platform>,
}

/// An entry's tag at the target.
#[derive(Debug, Clone)]
pub enum TargetState {
    /// The tag is not there.
    Absent,
    /// The tag has this digest.
    Present(Digest),
    /// The credentials do not allow to look, and the run only plans.
    NotReadable(Cause),
    /// Nobody knows.
    Blocked(Cause),
}

/// What an entry's image runs on.
#[derive(Debug, Clone)]
pub enum Platforms {
    /// Nobody looked: no required platform depends on it, or the image itself is a conflict, gone or blocked.
    NotAsked,
    /// On nothing: it is an artifact.
    Artifact,
    /// On these, as the index says, or the configuration of a single image.
    Known(Vec<Platform>),
    /// A look-up failed. This is never "on nothing".
    Blocked(Cause),
}

/// What belongs to an entry's image.
#[derive(Debug, Clone)]
pub enum Companions {
    /// Nobody looked: they are not to be copied, or the image itself is a conflict or blocked.
    NotAsked,
    /// These; none at all means that the source has none.
    Found(Vec<Companion>),
    /// A look-up failed. This is never "there are none".
    Blocked(Cause),
}
