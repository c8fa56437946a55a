//! The entries of one source in a line, for sources that count what is read of them.
//!
//! As long as enough is left, all look at once. Where little is left they go one after the other, in the order of the
//! list, so that what is left makes whole images and not parts of many. Whether a source counts is known with its
//! first answers: until then only the first that has to read goes, and the others wait for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::config::Config;
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Registry, Repository, Tag};
use crate::store::{BlobStream, Pulls, Source, StoreError, StoreErrorKind, Tags};

/// With fewer pulls left than this, images are looked at one after the other.
const FEW: u64 = 1000;

/// The line of one source.
#[derive(Debug)]
struct Line {
    turns: Mutex<Turns>,
    /// How many at the head of the line are over. Also sent where something else may have changed.
    head: watch::Sender<usize>,
}

#[derive(Debug)]
struct Turns {
    /// Whose turn is over, by their places.
    over: Vec<bool>,
    /// Who went first, to find out whether the source counts.
    scout: Option<usize>,
    /// Whether the scout is back: if it found nothing out, nobody need wait for the next one.
    scouted: bool,
}

/// An entry's place in the line of its source.
#[derive(Debug, Clone)]
pub(super) struct Place {
    line: Arc<Line>,
    /// Its turn among the entries of that source.
    pub(super) turn: usize,
}

/// The places of all entries, in the order of the list.
pub(super) fn places(config: &Config) -> Vec<Place> {
    let mut lengths: HashMap<&Registry, usize> = HashMap::new();
    let turns: Vec<usize> = config
        .entries
        .iter()
        .map(|entry| {
            let length = lengths.entry(&entry.source.registry).or_default();
            *length += 1;
            *length - 1
        })
        .collect();
    let lines: HashMap<&Registry, Arc<Line>> = lengths
        .into_iter()
        .map(|(registry, length)| {
            let turns = Turns { over: vec![false; length], scout: None, scouted: false };
            (registry, Arc::new(Line { turns: Mutex::new(turns), head: watch::Sender::new(0) }))
        })
        .collect();
    let place = |(entry, turn): (&crate::config::Entry, usize)| Place {
        line: Arc::clone(&lines[&entry.source.registry]),
        turn,
    };
    config.entries.iter().zip(turns).map(place).collect()
}

impl Place {
    /// Waits for its turn, if it matters who goes first.
    async fn wait(&self, source: &dyn Source) {
        let mut head = self.line.head.subscribe();
        loop {
            let first = *head.borrow_and_update();
            if self.may_go(source.pulls(), first) || head.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether it may go, with `head` of the line being over.
    fn may_go(&self, pulls: Pulls, head: usize) -> bool {
        match pulls {
            Pulls::Unlimited => true,
            Pulls::Left(quota) => quota.remaining >= FEW || head >= self.turn,
            Pulls::Unknown | Pulls::Unstated => {
                let mut turns = self.turns();
                if head >= self.turn && !turns.scouted {
                    turns.scout = Some(self.turn);
                }
                turns.scouted || head >= self.turn
            }
        }
    }

    /// Has the others look again whether they may go.
    fn tell(&self) {
        self.line.head.send_modify(|_| {});
    }

    /// Its turn is over.
    pub(super) fn leave(&self) {
        let mut turns = self.turns();
        turns.over[self.turn] = true;
        turns.scouted |= turns.scout == Some(self.turn);
        let mut head = *self.line.head.borrow();
        while turns.over.get(head) == Some(&true) {
            head += 1;
        }
        self.line.head.send_replace(head);
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.line.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source as one entry sees it: each manifest that it reads there waits for the entry's turn.
pub(super) struct InTurn<'a> {
    source: &'a dyn Source,
    registry: &'a Registry,
    place: &'a Place,
    /// What was read for this entry.
    read: Mutex<HashSet<Digest>>,
}

impl<'a> InTurn<'a> {
    pub(super) fn new(source: &'a dyn Source, registry: &'a Registry, place: &'a Place) -> Self {
        Self { source, registry, place, read: Mutex::default() }
    }

    /// Fails if an image takes more pulls than the source ever allows: what it lists is known before any of that is
    /// read, and would be read in vain.
    pub(super) fn check_need(&self, repository: &Repository, root: &RawManifest) -> Result<(), StoreError> {
        let Pulls::Left(quota) = self.source.pulls() else { return Ok(()) };
        let Ok(parsed) = root.parse() else { return Ok(()) };
        let children: HashSet<&Digest> = parsed.children().iter().map(|child| &child.digest).collect();
        let needed = 1 + children.len() as u64;
        match quota.limit.filter(|limit| needed > *limit) {
            Some(limit) => Err(self.too_much(format!("{repository}@{}", root.digest), needed, limit)),
            None => Ok(()),
        }
    }

    /// What was refused is never allowed if this entry alone has used up all there is.
    fn explained(&self, error: StoreError) -> StoreError {
        let Pulls::Left(quota) = self.source.pulls() else { return error };
        let needed = 1 + self.read().len() as u64;
        match quota.limit.filter(|limit| needed > *limit && error.kind == StoreErrorKind::UsedUp) {
            Some(limit) => self.too_much(error.reference, needed, limit),
            None => error,
        }
    }

    fn too_much(&self, reference: String, needed: u64, limit: u64) -> StoreError {
        let registry = self.registry;
        let message = format!(
            "it takes at least {needed} pulls, and {registry} allows {limit} at the most; log in to {registry} with an \
             account that is allowed more, or choose fewer `platforms`"
        );
        StoreError::new("read manifest", reference, StoreErrorKind::TooLarge, message)
    }

    fn read(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for InTurn<'_> {
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError> {
        self.source.resolve(repository, reference).await
    }

    async fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        // What is not there costs nothing, and need not wait.
        let asks_first = match self.source.pulls() {
            Pulls::Unstated => true,
            Pulls::Left(_) => reference.tag().is_some(),
            Pulls::Unlimited | Pulls::Unknown => false,
        };
        if asks_first && self.source.resolve(repository, reference).await?.is_none() {
            return Ok(None);
        }
        self.place.wait(self.source).await;
        let was_unknown = matches!(self.source.pulls(), Pulls::Unknown | Pulls::Unstated);
        let manifest = self.source.manifest(repository, reference).await;
        if was_unknown {
            self.place.tell();
        }
        let manifest = manifest.map_err(|error| self.explained(error))?;
        if let Some(manifest) = &manifest {
            self.read().insert(manifest.digest.clone());
        }
        Ok(manifest)
    }

    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, StoreError> {
        self.source.has_blob(repository, blob).await
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<BlobStream, StoreError> {
        self.source.blob(repository, blob).await
    }

    async fn blob_from(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        start: u64,
    ) -> Result<BlobStream, StoreError> {
        self.source.blob_from(repository, blob, start).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        tags: Option<&HashSet<Tag>>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        self.source.referrers(repository, subject, tags).await
    }

    async fn all_tags(&self, repository: &Repository) -> Result<Option<Tags>, StoreError> {
        self.source.all_tags(repository).await
    }

    fn pulls(&self) -> Pulls {
        self.source.pulls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Quota;

    #[test]
    fn a_scout_that_found_nothing_out_holds_nobody_up() {
        let turns = Turns { over: vec![false; 3], scout: None, scouted: false };
        let line = Arc::new(Line { turns: Mutex::new(turns), head: watch::Sender::new(0) });
        let places: Vec<Place> = (0..3).map(|turn| Place { line: Arc::clone(&line), turn }).collect();
        let may_go = |pulls| places.iter().map(|place| place.may_go(pulls, *line.head.borrow())).collect();
        let (all, one): (Vec<bool>, Vec<bool>) = (may_go(Pulls::Unlimited), may_go(Pulls::Unknown));
        assert_eq!((all, one), (vec![true; 3], vec![true, false, false]));
        places[0].leave();
        let all: Vec<bool> = may_go(Pulls::Unknown);
        assert_eq!(all, [true; 3]);
        // What becomes known counts all the same.
        let few = Quota { limit: None, remaining: 9, window: None };
        let in_order: Vec<bool> = may_go(Pulls::Left(few));
        assert_eq!(in_order, [true, true, false]);
    }
}
