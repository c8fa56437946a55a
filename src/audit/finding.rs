//! What an audit can find, and what is said of it. Each finding says what to do.

use crate::config::{Location, Target};
use crate::oci::{Digest, Reference};
use crate::plan::Cause;

/// So many findings of one image are kept; the rest is counted.
const MOST: usize = 100;

/// Something at the target that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// What of the image it is about, in words, with the digest: `layer 2 of linux/arm64`. `None` for the tag itself.
    pub part: Option<String>,
    /// The digest that belongs there.
    pub expected: Option<Digest>,
    /// The digest that is there.
    pub found: Option<Digest>,
    /// What was found, a sentence without its full stop.
    pub message: String,
    /// What to do, a sentence without its full stop.
    pub advice: String,
}

/// What a finding is. The order is that of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The tag has another digest than the list says.
    Moved,
    /// The tag is not there.
    Missing,
    /// A manifest that the image needs is not there.
    ManifestMissing,
    /// A blob that the image needs is not there.
    BlobMissing,
    /// A manifest or a blob has another size than is said of it.
    WrongSize,
    /// The bytes are not those of the digest.
    Corrupt,
    /// The policy does not allow the image.
    NotAllowed,
    /// A signature is required, and there is none.
    Unsigned,
    /// A companion that the source has is not there, or only a part of it.
    CompanionMissing,
    /// A companion's tag has other content than at the source.
    CompanionDiffers,
    /// No list names the tag.
    Unlisted,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 11] = [
        Self::Moved,
        Self::Missing,
        Self::ManifestMissing,
        Self::BlobMissing,
        Self::WrongSize,
        Self::Corrupt,
        Self::NotAllowed,
        Self::Unsigned,
        Self::CompanionMissing,
        Self::CompanionDiffers,
        Self::Unlisted,
    ];

    /// The kind in reports, in kebab case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Missing => "missing",
            Self::ManifestMissing => "manifest-missing",
            Self::BlobMissing => "blob-missing",
            Self::WrongSize => "wrong-size",
            Self::Corrupt => "corrupt",
            Self::NotAllowed => "not-allowed",
            Self::Unsigned => "unsigned",
            Self::CompanionMissing => "companion-missing",
            Self::CompanionDiffers => "companion-differs",
            Self::Unlisted => "unlisted",
        }
    }
}

/// Something worth a word that is nobody's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it is about.
    pub kind: RemarkKind,
    /// The word, a sentence without its full stop.
    pub message: String,
}

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemarkKind {
    /// The source's tag has other content than the target's, and the list does not say which is meant.
    SourceMoved,
    /// The source no longer has the image.
    SourceGone,
    /// A layer that its author keeps elsewhere is not at the target.
    ForeignLayer,
    /// The source lists a companion and does not have it.
    CompanionGone,
}

impl RemarkKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::SourceMoved, Self::SourceGone, Self::ForeignLayer, Self::CompanionGone];

    /// The kind in reports, in kebab case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SourceMoved => "source-moved",
            Self::SourceGone => "source-gone",
            Self::ForeignLayer => "foreign-layer",
            Self::CompanionGone => "companion-gone",
        }
    }
}

/// What was found out of one entry of the list.
#[derive(Debug, Clone)]
pub struct Check {
    /// Where the list names the image.
    pub location: Location,
    /// The image, as a full reference.
    pub source: Reference,
    /// Where it belongs.
    pub target: Target,
    /// The digest that belongs there, where that is known.
    pub expected: Option<Digest>,
    /// The digest that the tag has.
    pub found: Option<Digest>,
    /// Whether its turn came before the run had to end.
    pub is_seen: bool,
    /// How many manifests were read, those of companions included.
    pub manifests: usize,
    /// How many blobs were looked at, those of companions included, each as often as it is named.
    pub blobs: usize,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// How many findings were not kept.
    pub more_findings: usize,
    /// What else there is to say.
    pub remarks: Vec<Remark>,
    /// What could not be looked up.
    pub failures: Vec<Cause>,
}

/// How an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Something is not as it should be.
    Found,
    /// Something could not be looked up, and nothing else was found.
    Failed,
    /// The run ended before its turn.
    NotRun,
    /// Everything is as it should be.
    Sound,
}

impl State {
    /// The state in reports: `findings`, `failed`, `not-run`, `sound`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Found => "findings",
            Self::Failed => "failed",
            Self::NotRun => "not-run",
            Self::Sound => "sound",
        }
    }
}

impl Check {
    /// How the entry stands.
    #[must_use]
    pub const fn state(&self) -> State {
        if !self.findings.is_empty() {
            State::Found
        } else if !self.failures.is_empty() {
            State::Failed
        } else if self.is_seen {
            State::Sound
        } else {
            State::NotRun
        }
    }

    /// Takes a finding in.
    pub(super) fn find(&mut self, finding: Finding) {
        // A blob that several children name is missed once.
        if self.findings.contains(&finding) {
            return;
        }
        if self.findings.len() < MOST {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }

    /// Takes in what could not be looked up. One registry that is away says so once.
    pub(super) fn fail(&mut self, cause: Cause) {
        if self.failures.len() < MOST && !self.failures.contains(&cause) {
            self.failures.push(cause);
        }
    }

    /// Takes a remark in.
    pub(super) fn remark(&mut self, kind: RemarkKind, message: String) {
        let remark = Remark { kind, message };
        if self.remarks.len() < MOST && !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}
