//! What a store must be able to do beyond [`Source`](crate::store::Source) and [`Target`] to be served.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::oci::{Digest, ManifestRef, Repository, Tag};
use crate::store::{BlobStream, StoreError, Target};

/// A store that can be served.
#[async_trait]
pub trait Backend: Target {
    /// All repositories, in the order of their names.
    async fn repositories(&self) -> Result<Vec<Repository>, StoreError>;

    /// All tags of a repository in their order, or `None` if there is no such repository.
    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<Tag>>, StoreError>;

    /// The length in bytes of a blob of the repository, or `None` if it is not there.
    async fn blob_size(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>, StoreError>;

    /// Some bytes of a blob; the range lies within the blob.
    async fn blob_range(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError>;

    /// A place for a blob whose digest is not known yet.
    async fn start_upload(&self) -> Result<Box<dyn Upload>, StoreError>;

    /// Takes a blob over from the repository `from`, or from whichever has it; `false` if none has.
    async fn mount(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: Option<&Repository>,
    ) -> Result<bool, StoreError>;

    /// Deletes a tag, or a manifest with all its tags; `false` if it was not there.
    async fn delete_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<bool, StoreError>;

    /// Deletes a blob from the repository; `false` if it was not there. A store that shares blobs between
    /// repositories refuses ([`Unsupported`](crate::store::StoreErrorKind::Unsupported)) while one is used.
    async fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, StoreError>;
}

/// A blob on its way in. One that is dropped leaves nothing behind.
#[async_trait]
pub trait Upload: Send {
    /// Takes the next piece.
    async fn append(&mut self, piece: Bytes) -> Result<(), StoreError>;

    /// Puts what came into the repository, if it has this digest; else fails with
    /// [`Corrupt`](crate::store::StoreErrorKind::Corrupt).
    async fn finish(self: Box<Self>, repository: &Repository, digest: &Digest) -> Result<(), StoreError>;
}
