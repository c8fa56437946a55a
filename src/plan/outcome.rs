//! What became of a plan's items.

use std::time::Duration;

use super::Cause;

/// What became of one item.
#[derive(Debug, Clone)]
pub struct Result {
    /// How it ended.
    pub outcome: Outcome,
    /// What was moved for it.
    pub transfer: Transfer,
    /// What was read back of its companions; `None` if none were copied. It can be less than all, with a
    /// failure, and the image can fail after it.
    pub proof: Option<Proof>,
    /// How long it took, from its first request to its last.
    pub duration: Duration,
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The image and its companions are at the target now.
    Copied,
    /// Its missing companions are at the target now.
    CompanionsCopied,
    /// Everything was there.
    UpToDate,
    /// The tag was moved, as the policy allows.
    Moved,
    /// The target's tag, or a companion's, has other content. It was left alone.
    Conflict(Cause),
    /// It could not be done, as the plan says.
    Blocked(Cause),
    /// It was tried and failed.
    Failed(Cause),
    /// A later run does it: what its source allows in a time is used up.
    Deferred(Cause),
    /// The run ended before its turn.
    NotRun,
}

impl Outcome {
    /// The outcome in reports: `copied`, `companions-copied`, `up-to-date`, `moved`, `conflict`, `blocked`,
    /// `failed`, `deferred`, `not-run`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::CompanionsCopied => "companions-copied",
            Self::UpToDate => "up-to-date",
            Self::Moved => "moved",
            Self::Conflict(_) => "conflict",
            Self::Blocked(_) => "blocked",
            Self::Failed(_) => "failed",
            Self::Deferred(_) => "deferred",
            Self::NotRun => "not-run",
        }
    }
}

/// What was moved: blobs and their bytes; manifests are counted, not weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfer {
    /// Blobs that crossed the wire.
    pub blobs_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Blobs that the target took over from another of its repositories.
    pub blobs_mounted: u64,
    /// Their bytes.
    pub bytes_mounted: u64,
    /// Blobs that the target's repository had.
    pub blobs_present: u64,
    /// Their bytes.
    pub bytes_present: u64,
    /// Manifests that were pushed, companions' included.
    pub manifests_pushed: u64,
}

impl std::ops::AddAssign for Transfer {
    fn add_assign(&mut self, other: Self) {
        // Reports are read back, and may hold any number.
        self.blobs_copied = self.blobs_copied.saturating_add(other.blobs_copied);
        self.bytes_copied = self.bytes_copied.saturating_add(other.bytes_copied);
        self.blobs_mounted = self.blobs_mounted.saturating_add(other.blobs_mounted);
        self.bytes_mounted = self.bytes_mounted.saturating_add(other.bytes_mounted);
        self.blobs_present = self.blobs_present.saturating_add(other.blobs_present);
        self.bytes_present = self.bytes_present.saturating_add(other.bytes_present);
        self.manifests_pushed = self.manifests_pushed.saturating_add(other.manifests_pushed);
    }
}

/// The companions of an item that were read back at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proof {
    /// How many were copied.
    pub expected: usize,
    /// How many of them were read back whole: the manifest by its digest, and its blobs are there.
    pub verified: usize,
}
