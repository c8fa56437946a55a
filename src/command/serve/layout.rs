//! A layout as what `serve` serves. The two know nothing of each other, so they meet here.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::layout::{Incoming, Layout};
use crate::oci::{Digest, ManifestRef, Repository, Tag};
use crate::serve::{Backend, Upload};
use crate::store::{BlobStream, StoreError};

#[async_trait]
impl Backend for Layout {
    async fn repositories(&self) -> Result<Vec<Repository>, StoreError> {
        self.repositories().await
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<Tag>>, StoreError> {
        self.tags(repository).await
    }

    async fn blob_size(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>, StoreError> {
        self.blob_size(repository, digest).await
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError> {
        self.blob_range(repository, digest, range).await
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>, StoreError> {
        Ok(Box::new(self.start_upload().await?))
    }

    /// What one repository of a layout has, all have.
    async fn mount(
        &self,
        repository: &Repository,
        digest: &Digest,
        _from: Option<&Repository>,
    ) -> Result<bool, StoreError> {
        Ok(self.blob_size(repository, digest).await?.is_some())
    }

    async fn delete_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<bool, StoreError> {
        self.delete_manifest(repository, reference).await
    }

    async fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, StoreError> {
        self.delete_blob(repository, digest).await
    }
}

#[async_trait]
impl Upload for Incoming {
    async fn append(&mut self, piece: Bytes) -> Result<(), StoreError> {
        self.append(&piece).await
    }

    async fn finish(self: Box<Self>, repository: &Repository, digest: &Digest) -> Result<(), StoreError> {
        Incoming::finish(*self, repository, digest).await
    }
}
