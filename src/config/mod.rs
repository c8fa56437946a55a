//! What the operator and the list's authors ask for, validated.
//!
//! Texts are parsed loosely, with line and column, then validated once into [`Config`]; the rest of the
//! program sees the valid type only. All faults of all lists are reported together. The lists are
//! untrusted: they are bounded in size, and what messages quote of them is escaped.
//!
//! The parts that read YAML with its places (`yaml`, `fields`, `diagnostic`) are not about lists
//! alone: the policy is read with them too, so that its faults are said as well as a list's.

mod changes;
mod combine;
pub(crate) mod diagnostic;
mod entry;
pub(crate) mod fields;
pub(crate) mod file;
mod list;
mod pins;
pub(crate) mod platforms;
mod schema;
mod source;
mod target_name;
pub(crate) mod yaml;

pub use changes::{Change, Changes};
pub use combine::{PrefixSources, StatedPrefix, Trusted, Usable, load, read, usable};
pub use diagnostic::{Diagnostic, Fault, Faults, Location};
pub use file::ListFile;
pub use pins::{ListedSource, listed_sources, with_digests};
pub use schema::LIST_SCHEMA;
pub use target_name::{PrefixError, Target, TargetPrefix};

use crate::oci::{Digest, Digester, Platform, Reference};

/// The largest list or policy, in bytes.
pub const MAX_BYTES: usize = 5 * 1024 * 1024;

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

impl Config {
    /// Of what the lists ask for, in their order: runs with the same digest were given the same lists.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::sha256();
        for entry in &self.entries {
            // None of these has a control character in it.
            let platforms = entry.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            digester.update(format!("{}\t{}\t{platforms}\n", entry.target, entry.source).as_bytes());
        }
        digester.finish()
    }
}

/// An image of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place among all entries of the lists, from 0.
    pub position: usize,
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

/// What is done about companions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

#[cfg(test)]
mod tests;
