//! How an entry stands: an outcome after a sync, a decision in a plan; its word, icon and weight.

use crate::plan::{Decision, Outcome};

/// How an entry stands. The order is that of reports: what needs someone comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The target has other content; nothing was overwritten.
    Conflict,
    /// It was tried and failed.
    Failed,
    /// It cannot be done.
    Blocked,
    /// A later run does it: what its source allows in a time is used up.
    Deferred,
    /// The run ended before its turn.
    NotRun,
    /// The tag moved, as the policy allows.
    Moved,
    /// A plan would move the tag.
    Move,
    /// The image was copied.
    Copied,
    /// A plan would copy the image.
    Copy,
    /// Companions were copied to an image that was there.
    CompanionsCopied,
    /// A plan would copy companions.
    Companions,
    /// Everything was there.
    UpToDate,
}

/// The colour of a status, by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Done.
    Good,
    /// To be done.
    Coming,
    /// Nothing to look at.
    Quiet,
    /// To be looked at some time.
    Attention,
    /// To be looked at now.
    Bad,
}

impl Status {
    /// All, in their order.
    pub const ALL: [Self; 12] = [
        Self::Conflict,
        Self::Failed,
        Self::Blocked,
        Self::Deferred,
        Self::NotRun,
        Self::Moved,
        Self::Move,
        Self::Copied,
        Self::Copy,
        Self::CompanionsCopied,
        Self::Companions,
        Self::UpToDate,
    ];

    /// The decision's or outcome's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Deferred => "deferred",
            Self::NotRun => "not-run",
            Self::Moved => "moved",
            Self::Move => "move",
            Self::Copied => "copied",
            Self::Copy => "copy",
            Self::CompanionsCopied => "companions-copied",
            Self::Companions => "companions",
            Self::UpToDate => "up-to-date",
        }
    }

    /// One column of a terminal.
    #[must_use]
    pub const fn mark(self) -> char {
        match self {
            Self::Conflict => '≠',
            Self::Failed => '✗',
            Self::Blocked => '⊘',
            Self::Deferred => '⧗',
            Self::NotRun => '·',
            Self::Moved | Self::Move => '↻',
            Self::Copied | Self::UpToDate => '✓',
            Self::Copy | Self::CompanionsCopied | Self::Companions => '+',
        }
    }

    /// An emoji for Markdown.
    #[must_use]
    pub const fn icon(self) -> &'static str {
        match self {
            Self::Conflict => "❗",
            Self::Failed => "❌",
            Self::Blocked => "⛔",
            Self::Deferred => "⏳",
            Self::NotRun => "⏸️",
            Self::Moved | Self::Move => "🔁",
            Self::Copied => "✅",
            Self::Copy => "➕",
            Self::CompanionsCopied | Self::Companions => "🔏",
            Self::UpToDate => "✔️",
        }
    }

    /// What its colour means.
    #[must_use]
    pub const fn tone(self) -> Tone {
        match self {
            Self::Conflict | Self::Failed | Self::Blocked => Tone::Bad,
            Self::Deferred | Self::NotRun | Self::Moved | Self::Move => Tone::Attention,
            Self::Copied | Self::CompanionsCopied => Tone::Good,
            Self::Copy | Self::Companions => Tone::Coming,
            Self::UpToDate => Tone::Quiet,
        }
    }

    /// Whether someone has to look at it.
    #[must_use]
    pub const fn needs_someone(self) -> bool {
        matches!(self, Self::Conflict | Self::Failed | Self::Blocked)
    }

    /// Whether a tag moves, or would in a plan.
    #[must_use]
    pub const fn moves(self) -> bool {
        matches!(self, Self::Move | Self::Moved)
    }

    /// Whether the next run has to do it.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::NotRun | Self::Deferred)
    }

    /// So many of these, in a sentence: `3 copied`, `2 conflicts`.
    #[must_use]
    pub fn count(self, count: usize) -> String {
        let words = match self {
            Self::Conflict if count == 1 => "conflict",
            Self::Conflict => "conflicts",
            Self::NotRun => "not run",
            Self::Move => "to move",
            Self::Copy => "to copy",
            Self::CompanionsCopied => "got companions",
            Self::Companions if count == 1 => "lacks companions",
            Self::Companions => "lack companions",
            Self::UpToDate => "up to date",
            Self::Failed | Self::Blocked | Self::Deferred | Self::Moved | Self::Copied => self.word(),
        };
        format!("{} {words}", super::units::number(count as u64))
    }

    /// The status of an outcome.
    #[must_use]
    pub const fn of_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Copied => Self::Copied,
            Outcome::CompanionsCopied => Self::CompanionsCopied,
            Outcome::UpToDate => Self::UpToDate,
            Outcome::Moved => Self::Moved,
            Outcome::Conflict(_) => Self::Conflict,
            Outcome::Blocked(_) => Self::Blocked,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Deferred(_) => Self::Deferred,
            Outcome::NotRun => Self::NotRun,
        }
    }

    pub(super) const fn of_decision(decision: &Decision) -> Self {
        match decision {
            Decision::Copy => Self::Copy,
            Decision::Companions => Self::Companions,
            Decision::UpToDate => Self::UpToDate,
            Decision::Move => Self::Move,
            Decision::Conflict => Self::Conflict,
            Decision::Blocked(_) => Self::Blocked,
            Decision::Deferred(_) => Self::Deferred,
        }
    }
}
