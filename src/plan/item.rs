//! The plan's vocabulary: an item, its decision, the causes and remarks.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{Checked, Companion, Comparison, Graph};
use crate::config::{Location, Target};
use crate::oci::{Digest, MediaType, Platform, RawManifest, Reference};

/// What is to be done about one entry of the list.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its place among all entries of the lists, from 0.
    pub position: usize,
    /// Where the list names the image.
    pub location: Location,
    /// The image, as a full reference.
    pub source: Reference,
    /// Where it belongs.
    pub target: Target,
    /// The platforms that the list chooses; empty means all of them.
    pub chosen: Vec<Platform>,
    /// What to do.
    pub decision: Decision,
    /// The digest that the source's reference stands for.
    pub source_digest: Option<Digest>,
    /// The digest that belongs at the target. It differs from the source's where only some platforms are
    /// copied.
    pub digest: Option<Digest>,
    /// The digest that the target's tag has now.
    pub target_digest: Option<Digest>,
    /// What the image is.
    pub media_type: Option<MediaType>,
    /// What the image runs on; empty for artifacts and where nobody had to look.
    pub platforms: Vec<Platform>,
    /// Bytes of the whole image without companions, where they are known.
    pub bytes: Option<u64>,
    /// Bytes that have to cross the wire for this item, companions included, with what the target already
    /// has and what other items bring left out. `None` where nobody asked.
    pub bytes_to_move: Option<u64>,
    /// The content to copy; there for `copy` and `move`.
    pub graph: Option<Arc<Graph>>,
    /// The index to put there, if it is one that was made smaller and that no source has.
    pub derived: Option<RawManifest>,
    /// What belongs to the image. `None` if nobody looked, an empty list if there is nothing.
    pub companions: Option<Vec<Companion>>,
    /// How it stands to what was reviewed, where that is known.
    pub reviewed: Option<Comparison>,
    /// What came of checking it by the policy's rule. `None` if there is no rule, or nobody looked.
    pub verification: Option<Checked>,
    /// What else there is to say.
    pub remarks: Vec<Remark>,
}

/// What to do about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The target lacks it: copy it with its companions.
    Copy,
    /// The target has it and lacks companions: copy those.
    Companions,
    /// The target has everything.
    UpToDate,
    /// The tag may move, by the operator's policy, and has to.
    Move,
    /// The target's tag has other content. Nothing is written.
    Conflict,
    /// It cannot be done.
    Blocked(Cause),
    /// A later run does it: what its source allows in a time is used up.
    Deferred(Cause),
}

impl Decision {
    /// What is decided where there is something in the way.
    #[must_use]
    pub const fn stopped(cause: Cause) -> Self {
        match cause.kind {
            CauseKind::Quota => Self::Deferred(cause),
            CauseKind::Failure | CauseKind::Access | CauseKind::Denied | CauseKind::Policy => {
                Self::Blocked(cause)
            }
        }
    }

    /// Whether something is to be written.
    #[must_use]
    pub const fn writes(&self) -> bool {
        matches!(self, Self::Copy | Self::Companions | Self::Move)
    }

    /// The decision in reports: `copy`, `companions`, `up-to-date`, `move`, `conflict`, `blocked`, `deferred`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Companions => "companions",
            Self::UpToDate => "up-to-date",
            Self::Move => "move",
            Self::Conflict => "conflict",
            Self::Blocked(_) => "blocked",
            Self::Deferred(_) => "deferred",
        }
    }
}

/// Why something cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Whose side it is on.
    pub side: Side,
    /// What was tried, to fit "failed to …".
    pub operation: Cow<'static, str>,
    /// On what.
    pub reference: String,
    /// Whether it failed or is forbidden.
    pub kind: CauseKind,
    /// What went wrong, and what to do where that is known.
    pub message: String,
}

impl Cause {
    /// The operation of a companion's tag that has other content than it should.
    pub const COMPANION_TAG: &'static str = "create companion tag";
    /// The operation of a look at what was just written.
    pub const READ_BACK: &'static str = "read back";

    /// Something that failed.
    #[must_use]
    pub const fn failure(side: Side, operation: &'static str, reference: String, message: String) -> Self {
        Self { side, operation: Cow::Borrowed(operation), reference, kind: CauseKind::Failure, message }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            CauseKind::Failure | CauseKind::Access | CauseKind::Denied => "failed to",
            CauseKind::Policy => "not allowed to",
            CauseKind::Quota => "waits to",
        };
        write!(f, "{}: {what} {} {}: {}", self.side.word(), self.operation, self.reference, self.message)
    }
}

/// What kind of obstacle a [`Cause`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseKind {
    /// Something failed, or cannot be mirrored (exit code 1).
    Failure,
    /// A failure of the way to a registry or of the login at it, which an examination of the registry explains.
    Access,
    /// The registry refuses whoever asks: 401 or 403.
    Denied,
    /// It could be done, but the operator does not allow it (exit code 3).
    Policy,
    /// What a registry allows in a time is used up (exit code 4).
    Quota,
}

/// One of the two sides of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where images come from.
    Source,
    /// Where images go.
    Target,
}

impl Side {
    /// `source` or `target`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// Something worth a word that changes no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it is about.
    pub kind: RemarkKind,
    /// The word, a sentence without its full stop.
    pub message: String,
}

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemarkKind {
    /// The source no longer has what the target has.
    SourceGone,
    /// The target could not be looked at, in a plan.
    TargetNotReadable,
    /// A smaller index is made, which signatures of the original do not cover.
    PlatformsLeftOut,
    /// A layer that its author keeps elsewhere and the source registry lacks.
    ForeignLayer,
    /// Companions were not looked at.
    CompanionsSkipped,
    /// A companion's tag at the target has other content.
    CompanionConflict,
    /// A companion that the source lists and does not have.
    CompanionGone,
    /// The source's tag stands for something else than the plan that is carried out has.
    SourceMoved,
    /// It is not as it was when people agreed to it.
    NotAsReviewed,
    /// An image without a signature, where the policy only warns of that.
    Unsigned,
}

impl RemarkKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::SourceGone,
        Self::TargetNotReadable,
        Self::PlatformsLeftOut,
        Self::ForeignLayer,
        Self::CompanionsSkipped,
        Self::CompanionConflict,
        Self::CompanionGone,
        Self::SourceMoved,
        Self::NotAsReviewed,
        Self::Unsigned,
    ];

    /// The kind in reports, in kebab case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SourceGone => "source-gone",
            Self::TargetNotReadable => "target-not-readable",
            Self::PlatformsLeftOut => "platforms-left-out",
            Self::ForeignLayer => "foreign-layer",
            Self::CompanionsSkipped => "companions-skipped",
            Self::CompanionConflict => "companion-conflict",
            Self::CompanionGone => "companion-gone",
            Self::SourceMoved => "source-moved",
            Self::NotAsReviewed => "not-as-reviewed",
            Self::Unsigned => "unsigned",
        }
    }
}
