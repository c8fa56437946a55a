//! Places that say what they hold: all their tags, and all their repositories where they tell.
//!
//! Only an audit asks for this. Nothing else must need it: registries list slowly, in pages, and not for everyone.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{Source, StoreError};
use crate::oci::{Repository, Tag};

/// A source that can be asked what it holds.
#[async_trait]
pub trait Listing: Source {
    /// All tags of a repository, of whatever page, or `None` if there is no such repository. What is no tag by the
    /// specification is left out.
    async fn tags_of(&self, repository: &Repository) -> Result<Option<BTreeSet<Tag>>, StoreError>;

    /// The repositories whose names begin with `start`. `asking` is one of those that we deal with: who may read it
    /// asks.
    async fn catalog(&self, start: &str, asking: &Repository) -> Result<Catalog, StoreError>;
}

/// What a store says of its repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catalog {
    /// These are all, it says.
    All(BTreeSet<Repository>),
    /// It does not tell, or not us: why.
    Refused(String),
}
