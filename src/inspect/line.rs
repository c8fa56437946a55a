//! The entries of one source in a line, for sources that count what is read of them.
//!
//! As long as enough is left, all look at once. Where little is left they go one after the other, in the order of the
//! list, so that what is left makes whole images and not parts of many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::config::Config;
use crate::oci::Registry;
use crate::store::{Pulls, Source};

/// With fewer pulls left than this, images are looked at one after the other.
const FEW: u64 = 1000;

/// The line of one source.
#[derive(Debug)]
struct Line {
    /// Whose turn is over, by their places.
    over: Mutex<Vec<bool>>,
    /// How many at the head of the line are over.
    head: watch::Sender<usize>,
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
            let line = Line { over: Mutex::new(vec![false; length]), head: watch::Sender::new(0) };
            (registry, Arc::new(line))
        })
        .collect();
    let place = |(entry, turn): (&crate::config::Entry, usize)| Place {
        line: Arc::clone(&lines[&entry.source.registry]),
        turn,
    };
    config.entries.iter().zip(turns).map(place).collect()
}

impl Place {
    /// Waits for its turn, if the source's pulls are few.
    pub(super) async fn wait(&self, source: &dyn Source) {
        let mut head = self.line.head.subscribe();
        while is_scarce(source.pulls()) && *head.borrow_and_update() < self.turn {
            if head.changed().await.is_err() {
                return;
            }
        }
    }

    /// Its turn is over.
    pub(super) fn leave(&self) {
        let mut over = self.line.over.lock().unwrap_or_else(PoisonError::into_inner);
        over[self.turn] = true;
        let mut head = *self.line.head.borrow();
        while over.get(head) == Some(&true) {
            head += 1;
        }
        self.line.head.send_replace(head);
    }
}

/// Whether it matters who goes first. What is not known may be little: the first one finds out.
fn is_scarce(pulls: Pulls) -> bool {
    match pulls {
        Pulls::Unlimited => false,
        Pulls::Unknown => true,
        Pulls::Left(quota) => quota.remaining < FEW,
    }
}
