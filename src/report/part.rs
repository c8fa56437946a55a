//! What several runs of one list did, each its part.

use super::units::{count, number};
use crate::oci::Digest;
use crate::shard::Shard;

/// The part of the lists that a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which of how many.
    pub shard: Shard,
    /// How many images the lists have altogether.
    pub images: usize,
    /// The digest of what the lists ask for altogether.
    pub lists: Digest,
}

impl Part {
    /// Its name: `shard 2 of 8`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("shard {} of {}", self.shard.index(), self.shard.count())
    }
}

/// The parts of which there is no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreported {
    /// The numbers of their shards, in order; there is at least one.
    pub shards: Vec<usize>,
    /// How many shards there are.
    pub count: usize,
    /// How many images of the lists are in no report.
    pub images: usize,
}

impl Unreported {
    /// What is missing, as a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let shards: Vec<String> = self.shards.iter().map(ToString::to_string).collect();
        let (shards, have) = match shards.split_last() {
            Some((last, [])) => (format!("Shard {last}"), "has"),
            Some((last, others)) => (format!("Shards {} and {last}", others.join(", ")), "have"),
            None => ("No shard".to_owned(), "has"),
        };
        let images = count(self.images as u64, "image", "images");
        format!(
            "{shards} of {} {have} no report: {images} of the list not reported",
            number(self.count as u64)
        )
    }
}
