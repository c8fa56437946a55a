//! What one version of the lists has that another has not.

use std::collections::HashMap;

use super::combine::{same_image, same_platforms};
use super::{Config, Entry, Target};

/// How an entry stands to an earlier version of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The earlier version has nothing for this target.
    Added,
    /// The earlier version has another image for this target, or other platforms of it.
    Changed,
    /// It is the same, in whatever words and place.
    Unchanged,
}

/// What became of the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// How each entry stands to the earlier version, in the order of the entries.
    pub entries: Vec<Change>,
    /// Entries of the earlier version for whose targets there is nothing now.
    pub removed: Vec<Entry>,
}

impl Changes {
    /// What `now` has that `before` had not. Of what is wrong with `before` nothing is known: without it,
    /// everything is added.
    #[must_use]
    pub fn between(before: Option<&Config>, now: &Config) -> Self {
        let entries = before.map_or(&[][..], |before| &before.entries);
        let earlier: HashMap<&Target, &Entry> = entries.iter().map(|entry| (&entry.target, entry)).collect();
        let change = |entry: &Entry| match earlier.get(&entry.target) {
            None => Change::Added,
            Some(was)
                if same_image(&was.source, &entry.source)
                    && same_platforms(&was.platforms, &entry.platforms) =>
            {
                Change::Unchanged
            }
            Some(_) => Change::Changed,
        };
        let current: HashMap<&Target, &Entry> =
            now.entries.iter().map(|entry| (&entry.target, entry)).collect();
        Self {
            entries: now.entries.iter().map(change).collect(),
            removed: entries.iter().filter(|entry| !current.contains_key(&entry.target)).cloned().collect(),
        }
    }
}
