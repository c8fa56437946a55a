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
    bytes: Arc<AtomicU64>,
}

impl Events {
    /// A way for events and its listener's end.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender: Some(sender), bytes: Arc::default() }, receiver)
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
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of blobs that came from a source so far.
    #[must_use]
    pub fn bytes_moved(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
