//! What a registry over the layout needs beyond reading and writing: lists, ranges and deletes.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use async_trait::async_trait;

use super::index::{Entry, Index, Name};
use super::{Inner, Layout, Problem, full_name};
use crate::oci::{Digest, ManifestRef, Repository, Tag};
use crate::store::{BlobStream, Catalog, Listing, StoreError, StoreErrorKind};

impl Layout {
    /// All repositories that have a tag, in the order of their names.
    ///
    /// # Errors
    ///
    /// Fails if the folder is something else than a layout, or cannot be read.
    pub async fn repositories(&self) -> Result<Vec<Repository>, StoreError> {
        self.blocking("read", String::new(), |inner| Ok(inner.index()?.names().keys().cloned().collect()))
            .await
    }

    /// The tags of a repository in their order, or `None` if it has none.
    ///
    /// # Errors
    ///
    /// Fails if the folder is something else than a layout, or cannot be read.
    pub async fn tags(&self, repository: &Repository) -> Result<Option<Vec<Tag>>, StoreError> {
        let of = repository.clone();
        self.blocking("list tags of", repository.to_string(), move |inner| {
            Ok(inner.index()?.names().get(&of).map(|tags| tags.keys().cloned().collect()))
        })
        .await
    }

    /// The length in bytes of a blob, or `None` if it is not there.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read.
    pub async fn blob_size(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        let of = digest.clone();
        self.blocking("read blob", format!("{repository}@{digest}"), move |inner| {
            inner.folder.blob_size(&of).map_err(Problem::from)
        })
        .await
    }

    /// Some bytes of a blob.
    ///
    /// # Errors
    ///
    /// Fails if the blob is not there ([`StoreErrorKind::NotFound`]), or cannot be read.
    pub async fn blob_range(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError> {
        self.open_blob(repository, digest, Some(range)).await
    }

    /// Deletes a tag, or a manifest with all its tags in the repository; `false` if it was not there.
    ///
    /// A manifest's file goes once no name leads to it. Blobs stay until they are deleted themselves.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreErrorKind::Unsupported`] if the manifest is part of something that has a name.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<bool, StoreError> {
        self.prepare().await?;
        let of = repository.clone();
        let name = full_name(repository, reference);
        match reference.clone() {
            ManifestRef::Tag(tag) => {
                self.change_index("delete", name, move |inner, index| inner.remove_tag(index, &of, &tag))
                    .await
            }
            ManifestRef::Digest(digest) => {
                self.change_index("delete", name, move |inner, index| {
                    inner.remove_manifest(index, &of, &digest)
                })
                .await
            }
        }
    }

    /// Deletes a blob; `false` if it was not there.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreErrorKind::Unsupported`] if an image of any repository needs it.
    pub async fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, StoreError> {
        self.prepare().await?;
        let digest = digest.clone();
        let name = format!("{repository}@{digest}");
        self.change_index("delete", name, move |inner, index| {
            if inner.folder.blob_size(&digest)?.is_none() {
                return Ok((false, false));
            }
            if inner.reachable(index)?.contains(&digest) {
                return Err(needed());
            }
            inner.folder.remove_blob(&digest)?;
            Ok((true, false))
        })
        .await
    }
}

#[async_trait]
impl Listing for Layout {
    async fn tags_of(&self, repository: &Repository) -> Result<Option<BTreeSet<Tag>>, StoreError> {
        Ok(self.tags(repository).await?.map(BTreeSet::from_iter))
    }

    async fn catalog(&self, start: &str, _asking: &Repository) -> Result<Catalog, StoreError> {
        let mut all = self.repositories().await?;
        all.retain(|repository| repository.as_str().starts_with(start));
        Ok(Catalog::All(BTreeSet::from_iter(all)))
    }
}

fn needed() -> Problem {
    Problem::new(StoreErrorKind::Unsupported, "an image of the layout needs it; delete that first")
}

impl Inner {
    /// Removes a name. A referrer stays, without the name: it still belongs to its subject.
    fn remove_tag(
        &self,
        index: &mut Index,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<(bool, bool), Problem> {
        let Some(digest) = index.find(repository, tag).cloned() else { return Ok((false, false)) };
        let refers = self.refers(index, &digest)?;
        let name = Some(Name::Tag(repository.clone(), tag.clone()));
        index.retain(|entry, _| entry.name != name);
        if let Some((_, mut descriptor)) = refers {
            descriptor.annotations.clear();
            index.add(&descriptor);
        }
        Ok((true, true))
    }

    /// Removes what names the manifest in the repository or without one, and its file if nothing needs it.
    fn remove_manifest(
        &self,
        index: &mut Index,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(bool, bool), Problem> {
        if self.stored(index, digest)?.is_none() {
            return Ok((false, false));
        }
        let refers = self.refers(index, digest)?;
        let stays = |entry: &Entry, named: bool| match &entry.name {
            Some(Name::Tag(of, _)) => of != repository,
            // A list goes with the last referrer that it names.
            Some(Name::Referrers(_)) => true,
            // A name that means nothing here is another tool's.
            None => named,
        };
        let other = |entry: &Entry| entry.manifest.digest != *digest;
        let removed = index.retain(|entry, named| other(entry) || stays(entry, named));
        let is_needed = self.reachable(index)?.contains(digest);
        if is_needed && removed == 0 {
            return Err(needed());
        }
        if is_needed {
            return Ok((true, true));
        }
        // The name goes first: what is interrupted here leaves a file too many, not a name too many.
        self.folder.write_index(&index.to_bytes())?;
        self.folder.remove_blob(digest)?;
        let changed = match refers {
            Some((subject, _)) => self.list_referrers(index, &subject)?,
            None => false,
        };
        Ok((true, changed))
    }

    /// All manifests and blobs that the entries lead to. A list of referrers needs nothing: it is made from
    /// what is there.
    fn reachable(&self, index: &Index) -> Result<HashSet<Digest>, Problem> {
        let mut seen = HashSet::new();
        let is_list = |entry: &&Entry| matches!(entry.name, Some(Name::Referrers(_)));
        let entries = index.entries().iter().filter(|entry| !is_list(entry));
        let mut open: Vec<Digest> = entries.map(|entry| entry.manifest.digest.clone()).collect();
        while let Some(digest) = open.pop() {
            if !seen.insert(digest.clone()) {
                continue;
            }
            let Some(manifest) = self.stored(index, &digest)? else { continue };
            let parsed = manifest.parse().map_err(|error| Problem::other(format!("{digest}: {error}")))?;
            seen.extend(parsed.blobs().map(|blob| blob.digest.clone()));
            open.extend(parsed.children().iter().map(|child| child.digest.clone()));
        }
        Ok(seen)
    }
}
