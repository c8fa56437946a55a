//! One blob's way to the target: there already, mounted, or sent; and each of them once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::event::Events;
use crate::fault::cause;
use crate::oci::{Descriptor, Digest, Repository};
use crate::plan::{Cause, Side};
use crate::store::{
    BlobOrigin, BlobStream, Midstates, Placed, Push, Source, StoreError, StoreErrorKind, Target,
};

/// What is said of a layer that the source lacks and that could be had elsewhere.
const NOT_FROM_URLS: &str = "; the layer has `urls`, from which none is ever fetched: push it to the source registry, \
                             or mirror an image that holds all its layers";

/// A blob of more bytes than this is large; a smaller one is soon through.
pub(super) const LARGE: u64 = 1024 * 1024;

/// So many large blobs of one source are on their way at a time: each takes some memory, and more of them would but
/// share the same line.
const LARGE_AT_A_TIME: usize = 32;

/// What a run knows of the target's content: from what it saw there, and from what it put there.
#[derive(Default)]
pub(super) struct Ledger {
    placed: Mutex<HashMap<(Repository, Digest), Arrived>>,
    homes: Mutex<HashMap<Digest, Arc<Home>>>,
    pushed: Mutex<HashSet<(Repository, Digest)>>,
    /// The places for large blobs, by the registry that they come from.
    large: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Set once the repository has the blob; whoever comes second waits for it. How it came there is for the first image
/// that needs it to count, which need not be who saw to it.
type Arrived = Arc<OnceCell<Mutex<Option<Placed>>>>;

/// Where at the target a blob can be mounted from.
#[derive(Default)]
struct Home {
    repository: Mutex<Option<Repository>>,
    /// How large it is, once it was read from end to end.
    size: OnceLock<u64>,
    /// Where the plan saw the blob before the run.
    seen: Option<Repository>,
    /// Held by whoever sends the blob for the first time; the others wait and then mount it.
    first: tokio::sync::Mutex<()>,
    /// How far it was read by those who did not bring it to the target, so that what is read again counts as that.
    broken_off: AtomicU64,
    /// When and where the blob could not be had last, and why.
    hung: Mutex<Option<Hung>>,
}

/// A source that did not come to an end with a blob.
struct Hung {
    at: Instant,
    registry: String,
    cause: Cause,
}

impl Home {
    fn get(&self) -> Option<Repository> {
        self.repository.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the blob could not be had from the same registry since `came`. If each image that has it tried on
    /// its own, one after the other, a base layer that hangs would use up the time of all others.
    fn hung_since(&self, came: Instant, passage: &Passage<'_>, blob: &Descriptor) -> Option<Cause> {
        let hung = self.hung.lock().unwrap_or_else(PoisonError::into_inner);
        let hung = hung.as_ref().filter(|hung| hung.at >= came && hung.registry == passage.registry())?;
        let reference = format!("{}@{}", passage.source_name, blob.digest);
        Some(Cause { reference, ..hung.cause.clone() })
    }

    /// Fails if the blob is known to have another size than the manifest says: where it is mounted nobody reads it.
    fn check_size(&self, passage: Passage<'_>, blob: &Descriptor) -> Result<(), Cause> {
        match self.size.get() {
            Some(size) if *size != blob.size => {
                let reference = format!("{}@{}", passage.source_name, blob.digest);
                let message = format!("it has {size} bytes, and the manifest says {}", blob.size);
                Err(Cause::failure(Side::Source, "read blob", reference, message))
            }
            _ => Ok(()),
        }
    }

    fn note_hung(&self, passage: &Passage<'_>, cause: &Cause) {
        let hung = Hung { at: Instant::now(), registry: passage.registry().to_owned(), cause: cause.clone() };
        *self.hung.lock().unwrap_or_else(PoisonError::into_inner) = Some(hung);
    }

    fn set(&self, repository: &Repository) {
        self.repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| repository.clone());
    }
}

/// A blob and the two repositories that it travels between.
#[derive(Clone, Copy)]
pub(super) struct Passage<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) source_name: &'a str,
    pub(super) from: &'a Repository,
    pub(super) target: &'a dyn Target,
    pub(super) to: &'a Repository,
    /// Whether source and target are one registry, which can mount across.
    pub(super) same_registry: bool,
    pub(super) events: &'a Events,
}

impl Ledger {
    /// A ledger of what is there already, by blob.
    pub(super) fn of(seen: &HashMap<Digest, Repository>) -> Self {
        let home = |seen: &Repository| Home { seen: Some(seen.clone()), ..Home::default() };
        let homes = seen.iter().map(|(blob, seen)| (blob.clone(), Arc::new(home(seen))));
        Self { homes: Mutex::new(homes.collect()), ..Self::default() }
    }

    /// Sees to it that the target's repository has the blob. Whoever comes second waits for the first.
    pub(super) async fn place(&self, passage: Passage<'_>, blob: &Descriptor) -> Result<Placed, Cause> {
        let arrived = self.arrive(passage, blob).await?;
        let placed = arrived.get().and_then(|it| it.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(placed.unwrap_or(Placed::Present))
    }

    /// The same, for somebody who does not count it.
    pub(super) async fn wait_for(&self, passage: Passage<'_>, blob: &Descriptor) -> Result<(), Cause> {
        self.arrive(passage, blob).await.map(drop::<Arrived>)
    }

    async fn arrive(&self, passage: Passage<'_>, blob: &Descriptor) -> Result<Arrived, Cause> {
        let came = Instant::now();
        let key = (passage.to.clone(), blob.digest.clone());
        let cell =
            Arc::clone(self.placed.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        cell.get_or_try_init(|| async {
            let placed = self.place_first(passage, blob, came).await?;
            Ok::<_, Cause>(Mutex::new(Some(placed)))
        })
        .await?;
        Ok(cell)
    }

    /// `came` is when this blob began to wait for its turn.
    async fn place_first(
        &self,
        passage: Passage<'_>,
        blob: &Descriptor,
        came: Instant,
    ) -> Result<Placed, Cause> {
        let home = self.home(&blob.digest);
        home.check_size(passage, blob)?;
        if home.get().is_none() {
            let _first = home.first.lock().await;
            home.check_size(passage, blob)?;
            if home.get().is_none() {
                if let Some(cause) = home.hung_since(came, &passage, blob) {
                    return Err(cause);
                }
                let _place =
                    if blob.size > LARGE { self.large_place(passage.registry()).await } else { None };
                return Self::send_first(passage, blob, &home).await;
            }
        }
        let placed = passage
            .try_push(blob, Push::IfMissing { mount_from: home.get().as_ref() }, &home.broken_off)
            .await;
        placed.map_err(|failed| failed.cause)
    }

    async fn send_first(passage: Passage<'_>, blob: &Descriptor, home: &Home) -> Result<Placed, Cause> {
        let seen = home.seen.as_ref().filter(|seen| *seen != passage.to);
        let mount_from = seen.or(passage.same_registry.then_some(passage.from));
        match passage.try_push(blob, Push::IfMissing { mount_from }, &home.broken_off).await {
            Ok(placed) => {
                if matches!(placed, Placed::Uploaded) {
                    let _ = home.size.set(blob.size);
                }
                home.set(passage.to);
                Ok(placed)
            }
            Err(failed) => {
                if failed.source_hangs {
                    home.note_hung(&passage, &failed.cause);
                }
                Err(failed.cause)
            }
        }
    }

    /// Waits for a place for a large blob. Whoever has one waits for no other blob.
    async fn large_place(&self, registry: &str) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
            let places = large.entry(registry.to_owned());
            Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(LARGE_AT_A_TIME))))
        };
        // Nobody closes it.
        places.acquire_owned().await.ok()
    }

    fn home(&self, digest: &Digest) -> Arc<Home> {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(homes.entry(digest.clone()).or_default())
    }

    /// Whether this run has pushed the manifest to that repository.
    pub(super) fn has_pushed(&self, repository: &Repository, digest: &Digest) -> bool {
        let pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        pushed.contains(&(repository.clone(), digest.clone()))
    }

    /// Notes that this run has pushed the manifest to that repository.
    pub(super) fn note_pushed(&self, repository: &Repository, digest: &Digest) {
        let mut pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        pushed.insert((repository.clone(), digest.clone()));
    }
}

/// A blob that did not arrive.
struct Failed {
    cause: Cause,
    /// Whether it is the source that cannot be reached, is silent or breaks off.
    source_hangs: bool,
}

impl Passage<'_> {
    /// Sees to it that the target has the blob. A failure is put on the side that failed.
    pub(super) async fn push(self, blob: &Descriptor, push: Push<'_>) -> Result<Placed, Cause> {
        self.try_push(blob, push, &AtomicU64::new(0)).await.map_err(|failed| failed.cause)
    }

    async fn try_push(
        self,
        blob: &Descriptor,
        push: Push<'_>,
        broken_off: &AtomicU64,
    ) -> Result<Placed, Failed> {
        let origin = Origin::new(self, blob, broken_off.load(Ordering::Relaxed));
        let mut placed = self.target.push_blob(self.to, blob, push, &origin).await;
        // Something on the way may have kept a wrong answer, or cut it off: once it is tried again from the start.
        if placed.is_err() && origin.was_corrupt() {
            tracing::debug!(blob = %blob.digest, "arrived corrupt, and is read once more");
            placed = self.target.push_blob(self.to, blob, push, &origin).await;
        }
        // What arrived and is read once more, for a target that does not mount, did not break.
        let read_in_vain = if placed.is_err() { origin.farthest.load(Ordering::Relaxed) } else { 0 };
        broken_off.store(read_in_vain, Ordering::Relaxed);
        placed.map_err(|error| {
            let failure = origin.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            let source_hangs =
                failure.as_ref().is_some_and(|error| error.kind == StoreErrorKind::Unavailable);
            let cause = match failure {
                Some(mut error) => {
                    if error.kind == StoreErrorKind::NotFound && !blob.urls.is_empty() {
                        error.message.push_str(NOT_FROM_URLS);
                    }
                    cause(Side::Source, error)
                }
                None => cause(Side::Target, error),
            };
            Failed { cause, source_hangs }
        })
    }

    fn registry(&self) -> &str {
        self.source_name.split('/').next().unwrap_or_default()
    }
}

/// A blob at its source, checked and counted while it is read.
struct Origin<'a> {
    passage: Passage<'a>,
    blob: &'a Descriptor,
    /// What was read since the start was read last, so that a reader can begin in the middle.
    midstates: Mutex<Midstates>,
    /// How far it was read already.
    farthest: Arc<AtomicU64>,
    /// What the source did wrong in the last try.
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl<'a> Origin<'a> {
    /// `read` is how far others read it in vain.
    fn new(passage: Passage<'a>, blob: &'a Descriptor, read: u64) -> Self {
        let (midstates, failure) = Default::default();
        Self { passage, blob, midstates, farthest: Arc::new(AtomicU64::new(read)), failure }
    }

    /// Whether the source has sent other bytes than it should, and nothing worse went wrong.
    fn was_corrupt(&self) -> bool {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().is_some_and(|error| error.kind == StoreErrorKind::Corrupt)
    }

    /// Counts the bytes of a stream that begins at the byte `at`, those that were read before apart.
    fn counted(&self, stream: BlobStream, mut at: u64) -> BlobStream {
        let (events, farthest) = (self.passage.events.clone(), Arc::clone(&self.farthest));
        let counted = stream.inspect_ok(move |piece| {
            let (before, length) = (at, piece.len() as u64);
            at += length;
            let known = farthest.fetch_max(at, Ordering::Relaxed).saturating_sub(before);
            events.moved(length);
            events.moved_again(known.min(length));
        });
        Box::pin(counted)
    }
}

fn note(failure: Option<StoreError>, slot: &Mutex<Option<StoreError>>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = failure;
}

#[async_trait]
impl BlobOrigin for Origin<'_> {
    async fn open(&self) -> Result<BlobStream, StoreError> {
        self.open_from(0).await
    }

    async fn open_from(&self, start: u64) -> Result<BlobStream, StoreError> {
        let Passage { source, source_name, from, .. } = self.passage;
        note(None, &self.failure);
        let midstates = {
            let mut midstates = self.midstates.lock().unwrap_or_else(PoisonError::into_inner);
            if start == 0 {
                *midstates = Midstates::default();
            }
            midstates.clone()
        };
        let begin = midstates.begin(start);
        let opened = source.blob_from(from, self.blob, begin).await;
        let stream = opened.inspect_err(|error| note(Some(error.clone()), &self.failure))?;
        let reference = format!("{source_name}@{}", self.blob.digest);
        let checked = midstates.verified(self.counted(stream, begin), self.blob, reference, start);
        let failure = Arc::clone(&self.failure);
        Ok(Box::pin(checked.inspect_err(move |error| note(Some(error.clone()), &failure))))
    }
}
