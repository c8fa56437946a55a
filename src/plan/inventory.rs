//! What is known of the registries: the plan's input.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Cause, Companion, Graph};
use crate::oci::{Digest, Platform, Repository};

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
    /// What belongs to the image, as far as the source could be asked.
    pub companions: Companions,
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
    /// The platforms that were left out of the index, if a smaller one is made.
    pub left_out: Vec<Platform>,
    /// All content; `None` if the target has it and nobody had to look.
    pub graph: Option<Arc<Graph>>,
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
