//! The target's blobs: whether each is there, as large as it should be and, if asked, made of the right bytes.
//!
//! Each blob of a repository is looked at once, however many images have it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use tokio::sync::OnceCell;

use crate::oci::{Descriptor, Digest, Repository};
use crate::store::{Source, StoreError, StoreErrorKind, verified};

/// What arrives corrupt is read so often: something on the way may have done it.
const READS: usize = 2;

/// How a blob stands.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    Sound,
    Missing,
    /// It has another size than is said of it: what the store says.
    WrongSize(String),
    /// Its bytes are others: what they are.
    Corrupt(String),
    /// Nobody knows.
    Unknown(Arc<StoreError>),
}

/// A blob of a repository. Two manifests can say two sizes of it.
type Key = (Repository, Digest, u64);

/// What is known of the target's blobs.
pub(super) struct Shelf<'a> {
    target: &'a dyn Source,
    /// Whether the bytes are read.
    is_deep: bool,
    known: Mutex<HashMap<Key, Arc<OnceCell<Condition>>>>,
    bytes_read: AtomicU64,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(target: &'a dyn Source, is_deep: bool) -> Self {
        Self { target, is_deep, known: Mutex::default(), bytes_read: AtomicU64::new(0) }
    }

    /// How many bytes of blobs were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// How a blob stands.
    pub(super) async fn condition(&self, repository: &Repository, blob: &Descriptor) -> Condition {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((repository.clone(), blob.digest.clone(), blob.size)).or_default())
        };
        cell.get_or_init(|| self.look(repository, blob)).await.clone()
    }

    async fn look(&self, repository: &Repository, blob: &Descriptor) -> Condition {
        match self.target.has_blob(repository, blob).await {
            Ok(true) if self.is_deep => self.read(repository, blob).await,
            Ok(true) => Condition::Sound,
            Ok(false) => Condition::Missing,
            Err(error) if error.kind == StoreErrorKind::Corrupt => Condition::WrongSize(error.message),
            Err(error) => Condition::Unknown(Arc::new(error)),
        }
    }

    async fn read(&self, repository: &Repository, blob: &Descriptor) -> Condition {
        let mut condition = Condition::Sound;
        for _ in 0..READS {
            condition = match self.drain(repository, blob).await {
                Ok(()) => return Condition::Sound,
                Err(error) => match error.kind {
                    StoreErrorKind::Corrupt => Condition::Corrupt(error.message),
                    StoreErrorKind::NotFound => return Condition::Missing,
                    _ => return Condition::Unknown(Arc::new(error)),
                },
            };
        }
        condition
    }

    async fn drain(&self, repository: &Repository, blob: &Descriptor) -> Result<(), StoreError> {
        let name = format!("{repository}@{}", blob.digest);
        let mut pieces = verified(self.target.blob(repository, blob).await?, blob, name);
        while let Some(piece) = pieces.next().await {
            self.bytes_read.fetch_add(piece?.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}
