//! Progress: what happens while it happens, for whoever wants to show it. Nobody waits for a listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::plan::{Outcome, Transfer};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The registries are being asked about so many entries.
    InspectionStarted {
        /// How many.
        entries: usize,
    },
    /// An entry has been looked at.
    Inspected {
        /// Its place in the list, from 0.
        entry: usize,
    },
    /// So many items are about to be copied.
    CopyStarted {
        /// How many have something to copy.
        items: usize,
        /// Bytes of their images, as far as they are known.
        bytes: u64,
    },
    /// An item's turn has come.
    ItemStarted {
        /// Its place in the plan, from 0.
        item: usize,
        /// Its target's name.
        target: String,
        /// Bytes of the image.
        bytes: u64,
    },
    /// An item has ended.
    ItemFinished {
        /// Its place in the plan, from 0.
        item: usize,
        /// Its target's name.
        target: String,
        /// How it ended.
        outcome: Outcome,
        /// What was moved for it.
        transfer: Transfer,
    },
}

/// Where events go, and a meter of the bytes that cross the wire.
#[derive(Debug, Clone, Default)]
pub struct Events {
    sender: Option<mpsc::UnboundedSender<Event>>,
    meter: Meter,
}

/// The bytes that were moved and those that did not have to be, so far. It can be read while they move,
/// and keeps no listener waiting for further events.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    moved: Arc<AtomicU64>,
    again: Arc<AtomicU64>,
    spared: Arc<AtomicU64>,
}

impl Meter {
    /// Bytes of blobs that came from a source.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Those of [`Meter::moved`] that had come before.
    #[must_use]
    pub fn moved_again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Bytes of blobs that were mounted or that the target had.
    #[must_use]
    pub fn spared(&self) -> u64 {
        self.spared.load(Ordering::Relaxed)
    }
}

impl Events {
    /// A way for events and its listener's end.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender: Some(sender), meter: Meter::default() }, receiver)
    }

    /// A way that nobody listens on.
    #[must_use]
    pub fn ignored() -> Self {
        Self::default()
    }

    /// Tells an event.
    pub fn tell(&self, event: Event) {
        if let Some(sender) = &self.sender {
            // A listener that has gone has no interest in what follows.
            let _ = sender.send(event);
        }
    }

    /// Counts bytes of blobs that came from a source.
    pub fn moved(&self, bytes: u64) {
        self.meter.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts those of them that had come before.
    pub fn moved_again(&self, bytes: u64) {
        self.meter.again.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of blobs that were mounted or that the target had.
    pub fn spared(&self, bytes: u64) {
        self.meter.spared.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The meter.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Bytes of blobs that came from a source so far.
    #[must_use]
    pub fn bytes_moved(&self) -> u64 {
        self.meter.moved()
    }
}
