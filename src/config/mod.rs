//! What the operator and the list's authors ask for, validated.
//!
//! Texts are parsed loosely, with line and column, then validated once into [`Config`]; the rest of the
//! program sees the valid type only. All faults of all lists are reported together.

mod target_name;

use std::fmt;
use std::sync::Arc;

pub use target_name::{PrefixError, Target, TargetPrefix};

use crate::oci::{Platform, Reference};

/// Everything that a plan is made from, apart from the state of the registries.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the images go.
    pub prefix: TargetPrefix,
    /// What is done about companions.
    pub signatures: Signatures,
    /// The images, in the order of the lists, each target once.
    pub entries: Vec<Entry>,
    /// What is not wrong but deserves a word: floating tags, legacy keys, entries that are there twice.
    pub warnings: Vec<Diagnostic>,
}

/// An image of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the entry's `source` stands.
    pub location: Location,
    /// The source as the list has it.
    pub written: String,
    /// The source, with a tag wherever there is no digest.
    pub source: Reference,
    /// Where it goes.
    pub target: Target,
    /// The platforms to copy; empty means all of them.
    pub platforms: Vec<Platform>,
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something to say of a place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where.
    pub location: Location,
    /// What, and what to do.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// What is done about companions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Signatures {
    /// Copy all companions.
    #[default]
    Copy,
    /// Copy all companions, and block an image that has no signature.
    Require,
    /// Copy none.
    Skip,
}

impl Signatures {
    /// `copy`, `require` or `skip`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Require => "require",
            Self::Skip => "skip",
        }
    }
}
