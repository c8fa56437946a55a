//! A source of which an earlier look counts: what its tags stood for then, they stand for now.
//!
//! Nothing is found out anew: images and companions are read by the digests that were settled, and what was not settled
//! is not there. A tag of an image is looked up for one reason, so that it can be said if it has moved since; a look-up
//! that fails changes nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{BlobStream, Pulls, Source, StoreError, StoreErrorKind, Tags};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Repository, Tag};

/// What an earlier look at a source found.
#[derive(Debug, Clone, Default)]
pub struct Settlement {
    /// The tags of images; `None` is one that the source did not have.
    images: HashMap<(Repository, Tag), Option<Digest>>,
    /// The tags of companions.
    companions: HashMap<(Repository, Tag), Digest>,
    /// The referrers of each manifest.
    referrers: HashMap<(Repository, Digest), HashSet<Digest>>,
}

impl Settlement {
    /// Settles what the tag of an image stands for, `None` being nothing at all. `false` if something else was settled
    /// before.
    #[must_use]
    pub fn image(&mut self, repository: &Repository, tag: &Tag, digest: Option<&Digest>) -> bool {
        let settled = self.images.entry((repository.clone(), tag.clone())).or_insert_with(|| digest.cloned());
        settled.as_ref() == digest
    }

    /// Settles what the tag of a companion stands for. `false` if something else was settled before.
    #[must_use]
    pub fn companion(&mut self, repository: &Repository, tag: &Tag, digest: &Digest) -> bool {
        let settled =
            self.companions.entry((repository.clone(), tag.clone())).or_insert_with(|| digest.clone());
        settled == digest
    }

    /// Settles that a manifest has a referrer.
    pub fn referrer(&mut self, repository: &Repository, subject: &Digest, referrer: &Digest) {
        self.referrers.entry((repository.clone(), subject.clone())).or_default().insert(referrer.clone());
    }
}

/// What became of a tag since it was settled.
#[derive(Debug, Clone)]
pub enum Moved {
    /// It stands for something else.
    To(Digest),
    /// The source does not have it any more.
    Away,
    /// Nobody knows.
    Unknown(StoreError),
}

/// A source of which an earlier look counts.
pub struct Settled {
    inner: Arc<dyn Source>,
    settlement: Settlement,
    /// The tags of images that were looked up, with what became of those that are not as they were.
    looked_up: Mutex<HashMap<(Repository, Tag), Option<Moved>>>,
}

impl Settled {
    /// Reads from `inner` what was settled.
    #[must_use]
    pub fn new(inner: Arc<dyn Source>, settlement: Settlement) -> Self {
        Self { inner, settlement, looked_up: Mutex::default() }
    }

    /// What became of the tag of an image since it was settled, as far as it was looked up; `None` if nothing did.
    #[must_use]
    pub fn moved(&self, repository: &Repository, tag: &Tag) -> Option<Moved> {
        self.notes().get(&(repository.clone(), tag.clone())).cloned().flatten()
    }

    fn notes(&self) -> MutexGuard<'_, HashMap<(Repository, Tag), Option<Moved>>> {
        self.looked_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a tag stands for.
    fn settled(&self, repository: &Repository, tag: &Tag) -> Result<Standing<'_>, StoreError> {
        let key = (repository.clone(), tag.clone());
        if let Some(image) = self.settlement.images.get(&key) {
            return Ok(image.as_ref().map_or(Standing::Nothing, Standing::Image));
        }
        if let Some(companion) = self.settlement.companions.get(&key) {
            return Ok(Standing::Companion(companion));
        }
        if ["sha256-", "sha512-"].iter().any(|start| tag.as_str().starts_with(start)) {
            return Ok(Standing::Nothing);
        }
        let reference = format!("{repository}:{tag}");
        let message = "the plan has no digest for it; make a new plan";
        Err(StoreError::new("resolve", reference, StoreErrorKind::Other, message))
    }

    /// Looks up once what the tag of an image stands for by now, and takes note if that is another digest. Gives what
    /// it stands for, if that is the settled digest.
    async fn look_up(&self, repository: &Repository, tag: &Tag, digest: &Digest) -> Option<Descriptor> {
        let key = (repository.clone(), tag.clone());
        let found = self.inner.resolve(repository, &ManifestRef::Tag(tag.clone())).await;
        let (moved, same) = match found {
            Ok(Some(found)) if found.digest == *digest => (None, Some(found)),
            Ok(Some(found)) => (Some(Moved::To(found.digest)), None),
            Ok(None) => (Some(Moved::Away), None),
            Err(error) => (Some(Moved::Unknown(error)), None),
        };
        self.notes().insert(key, moved);
        same
    }

    fn is_looked_up(&self, repository: &Repository, tag: &Tag) -> bool {
        self.notes().contains_key(&(repository.clone(), tag.clone()))
    }

    /// A settled referrer that the source does not list any more, by its digest.
    async fn unlisted(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<Option<Descriptor>, StoreError> {
        let Some(manifest) = self.inner.manifest(repository, &referrer.clone().into()).await? else {
            // Whoever asks finds out that it is gone, and says so.
            let media_type = crate::oci::MediaType::OCI_MANIFEST;
            return Ok(Some(Descriptor::new(media_type, referrer.clone(), 0)));
        };
        let Ok(parsed) = manifest.parse() else { return Ok(None) };
        let refers = parsed.subject.as_ref().is_some_and(|named| named.digest == *subject);
        Ok(refers.then(|| manifest.referrer_descriptor(&parsed)))
    }
}

/// What was settled of a tag.
enum Standing<'a> {
    Image(&'a Digest),
    Companion(&'a Digest),
    Nothing,
}

#[async_trait]
impl Source for Settled {
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError> {
        let Some(tag) = reference.tag() else { return self.inner.resolve(repository, reference).await };
        let digest = match self.settled(repository, tag)? {
            Standing::Nothing => return Ok(None),
            Standing::Companion(digest) => digest,
            Standing::Image(digest) => {
                if let Some(found) = self.look_up(repository, tag, digest).await {
                    return Ok(Some(found));
                }
                digest
            }
        };
        self.inner.resolve(repository, &digest.clone().into()).await
    }

    async fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        let Some(tag) = reference.tag() else { return self.inner.manifest(repository, reference).await };
        let digest = match self.settled(repository, tag)? {
            Standing::Nothing => return Ok(None),
            Standing::Companion(digest) => digest,
            Standing::Image(digest) => {
                if !self.is_looked_up(repository, tag) {
                    self.look_up(repository, tag, digest).await;
                }
                digest
            }
        };
        self.inner.manifest(repository, &digest.clone().into()).await
    }

    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, StoreError> {
        self.inner.has_blob(repository, blob).await
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<BlobStream, StoreError> {
        self.inner.blob(repository, blob).await
    }

    async fn blob_from(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        start: u64,
    ) -> Result<BlobStream, StoreError> {
        self.inner.blob_from(repository, blob, start).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        tags: Option<&HashSet<Tag>>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let Some(settled) = self.settlement.referrers.get(&(repository.clone(), subject.clone())) else {
            return Ok(Vec::new());
        };
        let mut found = self.inner.referrers(repository, subject, tags).await?;
        found.retain(|referrer| settled.contains(&referrer.digest));
        let mut missing: Vec<&Digest> =
            settled.iter().filter(|digest| found.iter().all(|listed| listed.digest != **digest)).collect();
        missing.sort();
        for digest in missing {
            found.extend(self.unlisted(repository, subject, digest).await?);
        }
        Ok(found)
    }

    /// A list is of today.
    async fn all_tags(&self, _: &Repository) -> Result<Option<Tags>, StoreError> {
        Ok(None)
    }

    fn pulls(&self) -> Pulls {
        self.inner.pulls()
    }
}
