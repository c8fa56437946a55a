//! A source that is asked everything once a run.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{BlobStream, Pulls, SingleFlight, Source, StoreError, Tags};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Repository, Tag};

/// Remembers what a source said: a tag stands for one digest all through a run, however often it is
/// asked for, and a manifest that was inspected need not be fetched again to be copied.
///
/// Manifests are kept up to a number of bytes, the latest ones; what was dropped is fetched again.
/// Failures are not remembered.
pub struct Remembered {
    inner: Arc<dyn Source>,
    resolved: Once<(Repository, Tag), Option<Arc<Descriptor>>>,
    tags: Once<Repository, Option<Tags>>,
    referrers: Once<(Repository, Digest), Vec<Descriptor>>,
    manifests: Mutex<Kept>,
}

impl Remembered {
    /// Remembers what `inner` says, with at most `limit` bytes of manifests.
    #[must_use]
    pub fn new(inner: Arc<dyn Source>, limit: usize) -> Self {
        Self {
            inner,
            resolved: Once::default(),
            tags: Once::default(),
            referrers: Once::default(),
            manifests: Mutex::new(Kept { limit, ..Kept::default() }),
        }
    }
}

impl Remembered {
    async fn fetch(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        let manifest = self.inner.manifest(repository, reference).await?;
        if let Some(manifest) = &manifest {
            self.manifests.lock().unwrap_or_else(PoisonError::into_inner).keep(manifest);
        }
        Ok(manifest)
    }
}

/// Answers that are asked for once, even if many ask at the same time.
struct Once<K, V>(Mutex<HashMap<K, Answer<V>>>);

/// What is kept of a question. There are several for each image of a list: what is answered takes no more room than
/// its answer.
enum Answer<V> {
    Known(V),
    Asked(Arc<SingleFlight<V>>),
}

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Once<K, V> {
    async fn get(
        &self,
        key: K,
        ask: impl Future<Output = Result<V, StoreError>> + Send,
    ) -> Result<V, StoreError> {
        let flight = {
            let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match answers.entry(key.clone()).or_insert_with(|| Answer::Asked(Arc::default())) {
                Answer::Known(answer) => return Ok(answer.clone()),
                Answer::Asked(flight) => Arc::clone(flight),
            }
        };
        let answer = flight.get(|_| true, ask).await?;
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(key, Answer::Known(answer.clone()));
        Ok(answer)
    }
}

/// The manifests that are kept, the oldest first.
#[derive(Default)]
struct Kept {
    limit: usize,
    bytes: usize,
    by_digest: HashMap<Digest, RawManifest>,
    order: VecDeque<Digest>,
}

impl Kept {
    fn keep(&mut self, manifest: &RawManifest) {
        if self.by_digest.contains_key(&manifest.digest) || manifest.bytes.len() > self.limit {
            return;
        }
        self.bytes += manifest.bytes.len();
        self.order.push_back(manifest.digest.clone());
        self.by_digest.insert(manifest.digest.clone(), manifest.clone());
        while self.bytes > self.limit {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(dropped) = self.by_digest.remove(&oldest) {
                self.bytes -= dropped.bytes.len();
            }
        }
    }
}

#[async_trait]
impl Source for Remembered {
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError> {
        let Some(tag) = reference.tag() else { return self.inner.resolve(repository, reference).await };
        let key = (repository.clone(), tag.clone());
        let ask = async { Ok(self.inner.resolve(repository, reference).await?.map(Arc::new)) };
        Ok(self.resolved.get(key, ask).await?.map(Arc::unwrap_or_clone))
    }

    async fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        let digest = match reference {
            ManifestRef::Digest(digest) => digest.clone(),
            ManifestRef::Tag(tag) => {
                let fetch = async {
                    let manifest = self.fetch(repository, reference).await?;
                    Ok(manifest.map(|manifest| Arc::new(manifest.descriptor())))
                };
                match self.resolved.get((repository.clone(), tag.clone()), fetch).await? {
                    Some(descriptor) => descriptor.digest.clone(),
                    None => return Ok(None),
                }
            }
        };
        let held = {
            let kept = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
            kept.by_digest.get(&digest).cloned()
        };
        match held {
            Some(manifest) => Ok(Some(manifest)),
            None => self.fetch(repository, &digest.into()).await,
        }
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
        let key = (repository.clone(), subject.clone());
        self.referrers.get(key, self.inner.referrers(repository, subject, tags)).await
    }

    async fn all_tags(&self, repository: &Repository) -> Result<Option<Tags>, StoreError> {
        // A list only spares questions: one that cannot be had is done without, and not asked for again.
        let list = async { Ok(self.inner.all_tags(repository).await.unwrap_or(None)) };
        self.tags.get(repository.clone(), list).await
    }

    fn pulls(&self) -> Pulls {
        self.inner.pulls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::MediaType;

    fn manifest(size: usize, fill: u8) -> RawManifest {
        RawManifest::new(MediaType::OCI_MANIFEST, vec![fill; size])
    }

    #[test]
    fn only_the_latest_manifests_are_kept() {
        let mut kept = Kept { limit: 10, ..Kept::default() };
        for fill in 0..3 {
            kept.keep(&manifest(4, fill));
        }
        kept.keep(&manifest(11, 9));
        assert_eq!(kept.bytes, 8);
        assert!(!kept.by_digest.contains_key(&manifest(4, 0).digest));
        assert!(kept.by_digest.contains_key(&manifest(4, 1).digest));
        assert!(kept.by_digest.contains_key(&manifest(4, 2).digest));
    }
}
