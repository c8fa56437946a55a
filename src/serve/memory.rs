//! A store in memory: what `serve --memory` and the demo keep their content in. Each repository has its
//! own manifests and blobs; the bytes of a blob that several have are held once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;

use super::backend::{Backend, Upload};
use crate::oci::{Descriptor, Digest, Digester, ManifestRef, MediaType, RawManifest, Repository, Tag};
use crate::store::{
    BlobOrigin, BlobStream, MANIFEST_LIMIT, Placed, Push, Source, StoreError, StoreErrorKind, Tags, Target,
    verified,
};

/// A store in memory. Its clones share the content.
#[derive(Clone, Default)]
pub struct Memory {
    repositories: Arc<Mutex<BTreeMap<Repository, Content>>>,
}

/// What a repository holds.
#[derive(Default)]
struct Content {
    blobs: HashMap<Digest, Arc<Pieces>>,
    manifests: HashMap<Digest, Stored>,
    tags: BTreeMap<Tag, Digest>,
}

/// A manifest, and what it is a referrer of.
struct Stored {
    manifest: RawManifest,
    refers: Option<(Digest, Descriptor)>,
}

/// A blob's bytes, in the pieces that they came in.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Bytes>,
    size: u64,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len() as u64;
        self.pieces.push(piece);
    }

    /// The bytes of the range, copied nowhere.
    fn range(&self, range: &Range<u64>) -> Vec<Bytes> {
        let mut start = 0;
        let mut found = Vec::new();
        for piece in &self.pieces {
            let end = start + piece.len() as u64;
            let (from, to) = (range.start.max(start), range.end.min(end));
            // Offsets within a piece fit a usize, as the piece is in memory.
            if from < to
                && let (Ok(from), Ok(to)) = (usize::try_from(from - start), usize::try_from(to - start))
            {
                found.push(piece.slice(from..to));
            }
            start = end;
        }
        found
    }
}

impl Memory {
    /// A store that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Repository, Content>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a blob into a repository.
    #[must_use = "the descriptor is what a manifest needs to name the blob"]
    pub fn put_blob(
        &self,
        repository: &Repository,
        media_type: MediaType,
        bytes: impl Into<Bytes>,
    ) -> Descriptor {
        let bytes = bytes.into();
        let blob = Descriptor::new(media_type, Digest::sha256(&bytes), bytes.len() as u64);
        let mut pieces = Pieces::default();
        pieces.push(bytes);
        self.keep_blob(repository, &blob.digest, Arc::new(pieces));
        blob
    }

    /// Puts a manifest into a repository as it is, as a cache would: nothing is looked up.
    pub fn put_manifest(&self, repository: &Repository, reference: &ManifestRef, manifest: &RawManifest) {
        let refers = manifest.parse().ok().and_then(|parsed| {
            let descriptor = manifest.referrer_descriptor(&parsed);
            parsed.subject.map(|subject| (subject.digest, descriptor))
        });
        let mut repositories = self.lock();
        let content = repositories.entry(repository.clone()).or_default();
        let stored = Stored { manifest: manifest.clone(), refers };
        content.manifests.insert(manifest.digest.clone(), stored);
        if let ManifestRef::Tag(tag) = reference {
            content.tags.insert(tag.clone(), manifest.digest.clone());
        }
    }

    fn keep_blob(&self, repository: &Repository, digest: &Digest, pieces: Arc<Pieces>) {
        self.lock().entry(repository.clone()).or_default().blobs.insert(digest.clone(), pieces);
    }

    fn find_blob(&self, repository: &Repository, digest: &Digest) -> Option<Arc<Pieces>> {
        self.lock().get(repository)?.blobs.get(digest).cloned()
    }

    fn find_manifest(&self, repository: &Repository, reference: &ManifestRef) -> Option<RawManifest> {
        let repositories = self.lock();
        let content = repositories.get(repository)?;
        let digest = match reference {
            ManifestRef::Tag(tag) => content.tags.get(tag)?,
            ManifestRef::Digest(digest) => digest,
        };
        content.manifests.get(digest).map(|stored| stored.manifest.clone())
    }

    fn stream(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<BlobStream, StoreError> {
        let pieces = self.find_blob(repository, digest).ok_or_else(|| {
            let reference = format!("{repository}@{digest}");
            StoreError::new("read blob", reference, StoreErrorKind::NotFound, "there is no such blob")
        })?;
        let found = pieces.range(&range.unwrap_or(0..pieces.size));
        Ok(Box::pin(futures::stream::iter(found.into_iter().map(Ok))))
    }

    /// What the manifest names and the repository lacks.
    fn missing(&self, repository: &Repository, manifest: &RawManifest) -> Result<Option<Digest>, StoreError> {
        let parsed = manifest.parse().map_err(|error| {
            let reference = format!("{repository}@{}", manifest.digest);
            StoreError::new("push manifest", reference, StoreErrorKind::Unsupported, error.to_string())
        })?;
        let repositories = self.lock();
        let content = repositories.get(repository);
        let has_manifest =
            |digest: &Digest| content.is_some_and(|content| content.manifests.contains_key(digest));
        let has_blob = |digest: &Digest| content.is_some_and(|content| content.blobs.contains_key(digest));
        let child = parsed.children().iter().find(|child| {
            !has_manifest(&child.digest) && (child.media_type.is_manifest() || !has_blob(&child.digest))
        });
        let elsewhere = |blob: &Descriptor| blob.media_type.is_foreign_layer() && !blob.urls.is_empty();
        let blob = parsed.blobs().find(|blob| !has_blob(&blob.digest) && !elsewhere(blob));
        Ok(child.or(blob).map(|missing| missing.digest.clone()))
    }
}

#[async_trait]
impl Source for Memory {
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError> {
        Ok(self.find_manifest(repository, reference).map(|manifest| manifest.descriptor()))
    }

    async fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        Ok(self.find_manifest(repository, reference))
    }

    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.find_blob(repository, &blob.digest).is_some_and(|pieces| pieces.size == blob.size))
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<BlobStream, StoreError> {
        self.stream(repository, &blob.digest, None)
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        _tags: Option<&HashSet<Tag>>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let repositories = self.lock();
        let Some(content) = repositories.get(repository) else { return Ok(Vec::new()) };
        let refers = content.manifests.values().filter_map(|stored| stored.refers.as_ref());
        let mut found: Vec<Descriptor> =
            refers.filter(|(of, _)| of == subject).map(|(_, descriptor)| descriptor.clone()).collect();
        found.sort_by(|one, other| one.digest.cmp(&other.digest));
        Ok(found)
    }

    async fn all_tags(&self, repository: &Repository) -> Result<Option<Tags>, StoreError> {
        let tags = self.tags(repository).await?.unwrap_or_default();
        Ok(Some(Arc::new(tags.into_iter().collect())))
    }
}

#[async_trait]
impl Target for Memory {
    async fn push_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        push: Push<'_>,
        origin: &dyn BlobOrigin,
    ) -> Result<Placed, StoreError> {
        if let Push::IfMissing { mount_from } = push {
            if self.has_blob(repository, blob).await? {
                return Ok(Placed::Present);
            }
            if let Some(from) = mount_from
                && self.mount(repository, &blob.digest, Some(from)).await?
            {
                return Ok(Placed::Mounted);
            }
        }
        let reference = format!("{repository}@{}", blob.digest);
        let pieces = verified(origin.open().await?, blob, reference)
            .try_fold(Pieces::default(), |mut pieces, piece| async move {
                pieces.push(piece);
                Ok(pieces)
            })
            .await?;
        self.keep_blob(repository, &blob.digest, Arc::new(pieces));
        Ok(Placed::Uploaded)
    }

    async fn push_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
        manifest: &RawManifest,
    ) -> Result<(), StoreError> {
        let error = |kind, message: String| {
            StoreError::new("push manifest", format!("{repository}@{}", manifest.digest), kind, message)
        };
        if manifest.bytes.len() > MANIFEST_LIMIT {
            let message = format!("a manifest has {MANIFEST_LIMIT} bytes at most");
            return Err(error(StoreErrorKind::TooLarge, message));
        }
        let found = manifest.digest.same_algorithm(&manifest.bytes);
        if found != manifest.digest || reference.digest().is_some_and(|wanted| *wanted != found) {
            return Err(error(StoreErrorKind::Corrupt, format!("the content has the digest {found}")));
        }
        if let Some(missing) = self.missing(repository, manifest)? {
            return Err(error(
                StoreErrorKind::ContentUnknown,
                format!("it names {missing}, which is not here"),
            ));
        }
        self.put_manifest(repository, reference, manifest);
        Ok(())
    }
}

#[async_trait]
impl Backend for Memory {
    async fn repositories(&self) -> Result<Vec<Repository>, StoreError> {
        Ok(self.lock().keys().cloned().collect())
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<Tag>>, StoreError> {
        Ok(self.lock().get(repository).map(|content| content.tags.keys().cloned().collect()))
    }

    async fn blob_size(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.find_blob(repository, digest).map(|pieces| pieces.size))
    }

    async fn blob_range(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError> {
        self.stream(repository, digest, Some(range))
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>, StoreError> {
        Ok(Box::new(MemoryUpload {
            store: self.clone(),
            pieces: Pieces::default(),
            digester: Digester::sha256(),
        }))
    }

    async fn mount(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: Option<&Repository>,
    ) -> Result<bool, StoreError> {
        let pieces = match from {
            Some(from) => self.find_blob(from, digest),
            None => self.lock().values().find_map(|content| content.blobs.get(digest).cloned()),
        };
        let Some(pieces) = pieces else { return Ok(false) };
        self.keep_blob(repository, digest, pieces);
        Ok(true)
    }

    async fn delete_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<bool, StoreError> {
        let mut repositories = self.lock();
        let Some(content) = repositories.get_mut(repository) else { return Ok(false) };
        Ok(match reference {
            ManifestRef::Tag(tag) => content.tags.remove(tag).is_some(),
            ManifestRef::Digest(digest) => {
                content.tags.retain(|_, tagged| tagged != digest);
                content.manifests.remove(digest).is_some()
            }
        })
    }

    async fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, StoreError> {
        let mut repositories = self.lock();
        let content = repositories.get_mut(repository);
        Ok(content.is_some_and(|content| content.blobs.remove(digest).is_some()))
    }
}

struct MemoryUpload {
    store: Memory,
    pieces: Pieces,
    /// What most digests are made with; another algorithm costs a second look at the bytes.
    digester: Digester,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn append(&mut self, piece: Bytes) -> Result<(), StoreError> {
        self.digester.update(&piece);
        self.pieces.push(piece);
        Ok(())
    }

    async fn finish(self: Box<Self>, repository: &Repository, digest: &Digest) -> Result<(), StoreError> {
        let found = match digest {
            Digest::Sha256(_) => self.digester.finish(),
            Digest::Sha512(_) => {
                let mut digester = Digester::new(digest);
                self.pieces.pieces.iter().for_each(|piece| digester.update(piece));
                digester.finish()
            }
        };
        if found != *digest {
            let reference = format!("{repository}@{digest}");
            let message = format!("the content has the digest {found}");
            return Err(StoreError::new("upload blob", reference, StoreErrorKind::Corrupt, message));
        }
        self.store.keep_blob(repository, digest, Arc::new(self.pieces));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BlobOrigin;

    const IF_MISSING: Push<'static> = Push::IfMissing { mount_from: None };

    struct Origin(&'static [u8]);

    #[async_trait]
    impl BlobOrigin for Origin {
        async fn open(&self) -> Result<BlobStream, StoreError> {
            let piece = Bytes::from_static(self.0);
            Ok(Box::pin(futures::stream::iter([Ok(piece)])))
        }
    }

    fn repository(name: &str) -> Repository {
        name.parse().expect("a repository")
    }

    fn blob(bytes: &[u8]) -> Descriptor {
        Descriptor::new(MediaType::OCI_LAYER, Digest::sha256(bytes), bytes.len() as u64)
    }

    #[tokio::test]
    async fn a_repository_has_what_was_put_into_it_and_nothing_else() {
        let memory = Memory::new();
        let (a, b) = (repository("a"), repository("b"));
        let layer = blob(b"layer");
        let wrong = memory.push_blob(&a, &layer, IF_MISSING, &Origin(b"lay3r")).await.expect_err("refused");
        assert_eq!(wrong.kind, StoreErrorKind::Corrupt);
        assert!(!memory.has_blob(&a, &layer).await.expect("read"));

        let placed = memory
            .push_blob(&a, &layer, Push::IfMissing { mount_from: Some(&b) }, &Origin(b"layer"))
            .await
            .expect("pushed");
        assert_eq!(placed, Placed::Uploaded);
        assert!(!memory.has_blob(&b, &layer).await.expect("read"));
        let placed = memory
            .push_blob(&b, &layer, Push::IfMissing { mount_from: Some(&a) }, &Origin(b""))
            .await
            .expect("mounted");
        assert_eq!(placed, Placed::Mounted);
        assert!(memory.has_blob(&b, &layer).await.expect("read"));
        assert!(memory.delete_blob(&a, &layer.digest).await.expect("deleted"));
        assert!(memory.has_blob(&b, &layer).await.expect("read"));
    }

    #[tokio::test]
    async fn a_manifest_needs_its_content_in_the_same_repository() {
        let memory = Memory::new();
        let config = memory.put_blob(&repository("a"), MediaType::OCI_CONFIG, "{}");
        let document = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": null });
        let manifest = RawManifest::new(MediaType::OCI_MANIFEST, document.to_string());
        let v1 = ManifestRef::Tag("v1".parse().expect("a tag"));
        memory.push_manifest(&repository("a"), &v1, &manifest).await.expect("pushed");
        let error = memory.push_manifest(&repository("b"), &v1, &manifest).await.expect_err("refused");
        assert_eq!(error.kind, StoreErrorKind::ContentUnknown);
        // As a cache would, whoever fills the store can do without.
        memory.put_manifest(&repository("b"), &v1, &manifest);
        assert_eq!(memory.resolve(&repository("b"), &v1).await.expect("read"), Some(manifest.descriptor()));
    }

    #[test]
    fn a_range_can_lie_across_pieces() {
        let mut pieces = Pieces::default();
        for piece in [&b"012"[..], b"", b"345", b"6789"] {
            pieces.push(Bytes::from_static(piece));
        }
        for (range, expected) in
            [(0..10, "0123456789"), (2..7, "23456"), (3..6, "345"), (4..4, ""), (9..10, "9")]
        {
            assert_eq!(pieces.range(&range).concat(), expected.as_bytes());
        }
    }
}
