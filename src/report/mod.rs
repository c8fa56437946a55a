//! What became of a list: one [`Report`], and its views.
//!
//! A report is a plan, the results of a sync if there was one, and a few facts of the run. All that the
//! views say is derived from these, so that JSON, Markdown, the terminal and the exit code cannot
//! disagree. Data → bytes, no I/O: where the bytes go is decided elsewhere.
//!
//! All text that came from outside is escaped for where it goes: the rules are in [`text`] for terminals
//! and in [`markdown`] for GitHub.

mod annotation;
pub mod companions;
mod diagnostics;
mod entry;
mod explanation;
pub mod json;
pub mod markdown;
mod merge;
mod notes;
mod part;
mod result;
mod review;
mod run;
mod status;
mod summary;
pub mod terminal;
pub mod text;
mod totals;
pub mod units;
mod verdict;
mod verification;

#[cfg(test)]
mod sample;

#[cfg(test)]
pub(crate) use sample::schema_is_current;

pub use annotation::{Annotation, Weight};
pub use diagnostics::diagnostics;
pub use entry::Entry;
pub use explanation::{Advice, Explanation};
pub use markdown::{faults, nothing};
pub use merge::{MergeError, merge};
pub use part::{Part, Unreported};
pub use review::{ReviewError, reviewed};
pub use run::{Interruption, Link, Mode, OnTagConflict, Pulls, Review, Run, TrustRoot};
pub use status::{Status, Tone};
pub use terminal::{Ink, Look, finished};
pub use totals::Totals;
pub use verdict::Verdict;

use std::collections::BTreeSet;

use crate::config::{Changes, Diagnostic, TargetPrefix};
use crate::plan::{self, Plan};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A table and a summary for people at a terminal.
    #[default]
    Text,
    /// The versioned document for programs.
    Json,
    /// GitHub's Markdown.
    Markdown,
}

/// What is to become, or became, of a list.
#[derive(Debug, Clone)]
pub struct Report {
    /// The facts of the run.
    pub run: Run,
    /// What was decided.
    pub plan: Plan,
    /// What all targets begin with.
    pub prefix: TargetPrefix,
    /// The items, by their place in the plan, that nobody looked at before the run had to end. Nothing was
    /// decided of them, whatever the plan holds in their places.
    pub unseen: BTreeSet<usize>,
    /// What became of the plan's items, in their order. `None` if the run only planned.
    pub results: Option<Vec<plan::Result>>,
    /// How the entries stand to an earlier version of the lists. With one, only what is new decides the verdict:
    /// the rest is not the change's fault.
    pub changes: Option<Changes>,
    /// What the lists' reader had to say.
    pub warnings: Vec<Diagnostic>,
}

impl Report {
    /// The items with their results, in the list's order. An item of a sync that has no result was not run.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.plan.items.iter().enumerate().map(|(index, item)| Entry {
            item,
            seen: !self.unseen.contains(&index),
            result: self.results.as_ref().and_then(|results| results.get(index)),
            mode: self.run.mode,
            change: self.changes.as_ref().and_then(|changes| changes.entries.get(index)).copied(),
        })
    }

    /// What became of it, in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        summary::headline(self, &self.totals_of_this_change())
    }

    /// The entries in the order of their weight: conflicts and failures first, what was there last.
    #[must_use]
    pub fn entries_by_weight(&self) -> Vec<Entry<'_>> {
        let mut entries: Vec<Entry<'_>> = self.entries().collect();
        entries.sort_by_key(Entry::status);
        entries
    }

    /// The report in one of its forms. `look` is for the text alone.
    #[must_use]
    pub fn render(&self, format: Format, look: Look) -> String {
        match format {
            Format::Text => self.terminal(look),
            Format::Json => self.json(),
            Format::Markdown => self.markdown(usize::MAX),
        }
    }
}
