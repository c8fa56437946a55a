//! Where an image goes: prefix + repository + `:` + tag.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::oci::{Registry, Repository, Tag};

/// What all targets of a run have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPrefix {
    /// `registry/path/`: repositories below a path of a registry.
    Registry {
        /// The registry.
        registry: Registry,
        /// The path below it: empty, or ending in `/`.
        path: String,
    },
    /// `oci:DIR/`: an OCI image layout folder.
    Layout {
        /// The folder.
        folder: PathBuf,
    },
}

/// The name of an image at the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// What stands before the repository in the full name: `registry/` or `oci:DIR/`.
    pub root: Arc<str>,
    /// The repository at the target, the prefix's path included.
    pub repository: Repository,
    /// The tag at the target.
    pub tag: Tag,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", self.root, self.repository, self.tag)
    }
}

/// Why a text is no target prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// There is no `/` at the end.
    #[error("the target prefix `{0}` does not end with `/`; write it as `{0}/`")]
    NoSlash(String),
}
