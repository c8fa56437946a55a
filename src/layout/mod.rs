//! A store over an OCI image layout folder (OCI image-spec, image-layout.md).
//!
//! Tag T of repository R is the entry of `index.json` whose `org.opencontainers.image.ref.name` is `R:T`.
//! A name that is a tag only, as `skopeo copy … oci:DIR:TAG` writes it, is a tag of the repository named
//! after the folder. Blobs have no repository: what one has, all have. Manifests with a subject that have
//! no tag are entries without a name, which is where oras looks for referrers; regctl's way is kept up, too
//! (see `referrers`).
//!
//! Several processes can write at the same time: `index.json` is replaced as a whole, under a lock on
//! `oci-layout`. Nothing gets a blob's name before it is whole, checked and on the disk.

mod folder;
mod incoming;
mod index;
mod manage;
mod manifests;
mod referrers;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::OnceCell;
use tokio_util::io::ReaderStream;

use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Repository, Tag};
use crate::store::{
    BlobOrigin, BlobStream, Placed, Push, Source, StoreError, StoreErrorKind, Tags, Target, verified,
};

pub use incoming::Incoming;

use folder::{Folder, Stamp};
use index::Index;

/// How much of a blob is read at a time.
const PIECE: usize = 256 * 1024;

/// An image layout folder. Its clones share what they know of it.
#[derive(Debug, Clone)]
pub struct Layout {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: Folder,
    /// The repository of names that are a tag only.
    unnamed: Option<Repository>,
    /// Set once this process has made sure that the folder is a layout that it can write.
    prepared: OnceCell<()>,
    /// One writer of `index.json` at a time waits for other processes.
    writer: tokio::sync::Mutex<()>,
    index: Mutex<Option<(Stamp, Arc<Index>)>>,
    /// What each manifest refers to, if to anything. A digest's content never changes, so neither does this.
    refers: Mutex<HashMap<Digest, Option<(Digest, Descriptor)>>>,
}

impl Layout {
    /// The layout in a folder. Nothing is looked at or made before there is something to read or write;
    /// a folder that does not exist or is empty is a layout without content.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let unnamed = repository_of(&folder);
        Self {
            inner: Arc::new(Inner {
                folder: Folder::new(folder),
                unnamed,
                prepared: OnceCell::new(),
                writer: tokio::sync::Mutex::new(()),
                index: Mutex::default(),
                refers: Mutex::default(),
            }),
        }
    }

    /// Makes sure that the folder is a layout, or makes it one if it does not exist or is empty.
    ///
    /// # Errors
    ///
    /// Fails if the folder has other files, or cannot be written.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let prepare = || {
            self.blocking("prepare", String::new(), |inner| {
                inner.folder.prepare(&inner.empty_index().to_bytes()).map_err(Problem::from)
            })
        };
        self.inner.prepared.get_or_try_init(prepare).await.copied()
    }

    /// Runs what blocks where it may, and names the operation where it fails.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: String,
        work: impl FnOnce(&Inner) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let result = tokio::task::spawn_blocking(move || work(&inner)).await;
        let result = result.unwrap_or_else(|error| Err(Problem::other(error.to_string())));
        result.map_err(|problem| self.error(operation, &name, problem))
    }

    fn error(&self, operation: &'static str, name: &str, problem: Problem) -> StoreError {
        let folder = self.inner.folder.path().display();
        let folder = folder.to_string();
        let folder = folder.trim_end_matches('/');
        let reference =
            if name.is_empty() { format!("oci:{folder}") } else { format!("oci:{folder}/{name}") };
        StoreError::new(operation, reference, problem.kind, problem.message)
    }

    /// Changes `index.json`, unless `change` says that there is nothing to change.
    async fn change_index<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: String,
        change: impl FnOnce(&Inner, &mut Index) -> Result<(T, bool), Problem> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _writer = self.inner.writer.lock().await;
        self.blocking(operation, name, move |inner| {
            let _lock = inner.folder.lock()?;
            let mut index = inner.read_index()?;
            let (result, changed) = change(inner, &mut index)?;
            if changed {
                inner.folder.write_index(&index.to_bytes())?;
            }
            Ok(result)
        })
        .await
    }

    async fn open_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<BlobStream, StoreError> {
        let name = format!("{repository}@{digest}");
        let problem = |problem| self.error("read blob", &name, problem);
        let mut file = match tokio::fs::File::open(self.inner.folder.blob_path(digest)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(problem(Problem::new(StoreErrorKind::NotFound, "there is no such blob")));
            }
            file => file.map_err(|error| problem(error.into()))?,
        };
        let length = match range {
            Some(range) => {
                let start = io::SeekFrom::Start(range.start);
                file.seek(start).await.map_err(|error| problem(error.into()))?;
                range.end - range.start
            }
            None => u64::MAX,
        };
        let layout = self.clone();
        let pieces = ReaderStream::with_capacity(file.take(length), PIECE)
            .map_err(move |error| layout.error("read blob", &name, error.into()));
        Ok(pieces.boxed())
    }
}

/// The repository of names that are a tag only: the folder's name, with `-` for what no repository's name
/// has; `None` for a folder such as `/`.
fn repository_of(folder: &std::path::Path) -> Option<Repository> {
    let absolute = std::path::absolute(folder).ok()?;
    let name = absolute.file_name()?.to_str()?.to_ascii_lowercase();
    let plain = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    name.parse().or_else(|_| plain.trim_matches('-').parse()).ok()
}

/// What went wrong, before it is said where.
#[derive(Debug)]
struct Problem {
    kind: StoreErrorKind,
    message: String,
}

impl Problem {
    fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn other(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Other, message)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::Unsupported => StoreErrorKind::Unsupported,
            io::ErrorKind::FileTooLarge => StoreErrorKind::TooLarge,
            _ => StoreErrorKind::Other,
        };
        Self::new(kind, error.to_string())
    }
}

impl Inner {
    /// The index as it is now, read again only where the file has changed.
    fn index(&self) -> Result<Arc<Index>, Problem> {
        let stamp = self.folder.index_stamp()?;
        let mut cached = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(stamp), Some((of, index))) = (&stamp, &*cached)
            && stamp == of
        {
            return Ok(Arc::clone(index));
        }
        // The stamp is older than what is read here: at worst the next call reads again.
        let index = Arc::new(self.read_index()?);
        *cached = stamp.map(|stamp| (stamp, Arc::clone(&index)));
        Ok(index)
    }

    fn empty_index(&self) -> Index {
        Index::empty(self.unnamed.clone())
    }

    fn read_index(&self) -> Result<Index, Problem> {
        if !self.folder.is_layout()? {
            return Ok(self.empty_index());
        }
        match self.folder.read_index()? {
            Some(bytes) => Index::parse(&bytes, self.unnamed.clone()).map_err(|error| {
                Problem::new(StoreErrorKind::Corrupt, format!("its index.json cannot be read: {error}"))
            }),
            None => Ok(self.empty_index()),
        }
    }
}

#[async_trait]
impl Source for Layout {
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError> {
        let manifest = self.manifest(repository, reference).await?;
        Ok(manifest.map(|manifest| manifest.descriptor()))
    }

    async fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        let name = full_name(repository, reference);
        let (repository, reference) = (repository.clone(), reference.clone());
        self.blocking("read manifest", name, move |inner| inner.manifest(&repository, &reference)).await
    }

    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.blob_size(repository, &blob.digest).await? == Some(blob.size))
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<BlobStream, StoreError> {
        self.open_blob(repository, &blob.digest, None).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        _tags: Option<&HashSet<Tag>>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let name = format!("{repository}@{subject}");
        let subject = subject.clone();
        self.blocking("list referrers of", name, move |inner| inner.referrers(&subject)).await
    }

    async fn all_tags(&self, repository: &Repository) -> Result<Option<Tags>, StoreError> {
        let tags = self.tags(repository).await?.unwrap_or_default();
        Ok(Some(Arc::new(tags.into_iter().collect())))
    }
}

#[async_trait]
impl Target for Layout {
    /// Writes the blob, unless the folder has it: then another repository, or an earlier run, put it there.
    async fn push_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        push: Push<'_>,
        origin: &dyn BlobOrigin,
    ) -> Result<Placed, StoreError> {
        if push != Push::Again && self.has_blob(repository, blob).await? {
            return Ok(Placed::Present);
        }
        let mut incoming = self.start_upload().await?;
        let mut pieces = verified(origin.open().await?, blob, format!("{repository}@{}", blob.digest));
        while let Some(piece) = pieces.next().await {
            incoming.append(&piece?).await?;
        }
        incoming.finish(repository, &blob.digest).await?;
        Ok(Placed::Uploaded)
    }

    async fn push_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
        manifest: &RawManifest,
    ) -> Result<(), StoreError> {
        let operation = "push manifest";
        let name = full_name(repository, reference);
        if reference.digest().is_some_and(|wanted| *wanted != manifest.digest) {
            let message = format!("the manifest has the digest {}", manifest.digest);
            return Err(self.error(operation, &name, Problem::new(StoreErrorKind::Corrupt, message)));
        }
        self.prepare().await?;
        let kept = manifest.clone();
        let subject = self.blocking(operation, name.clone(), move |inner| inner.keep_manifest(&kept)).await?;
        let tag = reference.tag().cloned();
        if tag.is_none() && subject.is_none() {
            return Ok(());
        }
        let (repository, descriptor) = (repository.clone(), manifest.descriptor());
        self.change_index(operation, name, move |inner, index| {
            match tag {
                Some(tag) => index.set(&repository, &tag, &descriptor),
                None => index.add(&descriptor),
            }
            let changed = match subject {
                Some(subject) => inner.list_referrers(index, &subject)?,
                None => true,
            };
            Ok(((), changed))
        })
        .await
    }
}

/// `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
fn full_name(repository: &Repository, reference: &ManifestRef) -> String {
    match reference {
        ManifestRef::Tag(tag) => format!("{repository}:{tag}"),
        ManifestRef::Digest(digest) => format!("{repository}@{digest}"),
    }
}
