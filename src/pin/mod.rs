//! Which digest each source of some lists is to have, and how that is told.
//!
//! Stores are asked what tags stand for; nothing is written here. One source that cannot be looked up means that
//! none gets its digest: a list is pinned as a whole, or not at all.

mod document;
mod look_up;
mod schema;
mod terminal;

pub use document::json;
pub use look_up::look_up;
pub use schema::{PIN_SCHEMA, pin_schema};
pub use terminal::text;

use crate::config::ListedSource;
use crate::oci::Digest;
use crate::report::Interruption;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sources without digest get one.
    Pin,
    /// The same, and those with tag and digest get the digest that the tag has today.
    Update,
    /// Nothing is looked up: a source without digest is a fault.
    Check,
}

impl Mode {
    /// `pin`, `update` or `check`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Update => "update",
            Self::Check => "check",
        }
    }
}

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It has a digest, and keeps it.
    Kept,
    /// It has a digest and no tag that could be looked up again.
    Untagged,
    /// It has no digest, and is to have none yet.
    Floats,
    /// It had no digest, and its tag stands for this one.
    Pinned(Digest),
    /// Its tag stands for this digest now.
    Updated(Digest),
    /// The policy does not allow it, so that nobody was asked.
    Refused(String),
    /// What its tag stands for could not be found out.
    Failed(String),
}

impl Finding {
    /// The digest that the source is to get.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Pinned(digest) | Self::Updated(digest) => Some(digest),
            _ => None,
        }
    }

    /// Whether it keeps all sources from being written.
    const fn is_fault(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Failed(_))
    }

    /// The word for it in JSON.
    const fn word(&self) -> &'static str {
        match self {
            Self::Kept | Self::Untagged => "kept",
            Self::Floats => "floats",
            Self::Pinned(_) => "pinned",
            Self::Updated(_) => "updated",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }
}

/// What was found out of some lists.
#[derive(Debug, Clone)]
pub struct Found {
    /// What was asked for.
    pub mode: Mode,
    /// List by list, each source in its order.
    pub lists: Vec<Vec<(ListedSource, Finding)>>,
    /// What ended it before its time, if anything did.
    pub interruption: Option<Interruption>,
    /// The names of the lists that were written anew.
    pub changed: Vec<String>,
    /// Whether a list could not be written, of which the digests were found.
    pub has_unwritten: bool,
}

impl Found {
    /// What was found, with nothing written yet.
    const fn new(
        mode: Mode,
        lists: Vec<Vec<(ListedSource, Finding)>>,
        interruption: Option<Interruption>,
    ) -> Self {
        Self { mode, lists, interruption, changed: Vec::new(), has_unwritten: false }
    }

    /// What a look at the lists alone shows.
    #[must_use]
    pub fn at_a_look(lists: Vec<Vec<ListedSource>>) -> Self {
        let look = |source: ListedSource| {
            let finding = if source.reference.digest.is_some() { Finding::Kept } else { Finding::Floats };
            (source, finding)
        };
        let lists = lists.into_iter().map(|list| list.into_iter().map(look).collect()).collect();
        Self::new(Mode::Check, lists, None)
    }

    /// The digests to write: for each list, and each of its sources, one or none. `None` if nothing may be written.
    #[must_use]
    pub fn digests(&self) -> Option<Vec<Vec<Option<Digest>>>> {
        if self.interruption.is_some() || self.all().any(|(_, finding)| finding.is_fault()) {
            return None;
        }
        let of_list = |list: &Vec<(ListedSource, Finding)>| {
            list.iter().map(|(_, finding)| finding.digest().cloned()).collect()
        };
        Some(self.lists.iter().map(of_list).collect())
    }

    /// All sources of all lists.
    fn all(&self) -> impl Iterator<Item = &(ListedSource, Finding)> {
        self.lists.iter().flatten()
    }
}

/// The exit code: 1 if a source could not be looked up or a list not be written, or the time was over before; 3 if the
/// policy does not allow one, or one floats that was only looked at.
#[must_use]
pub fn exit_code(found: &Found) -> u8 {
    match found.interruption {
        Some(Interruption::Interrupt) => return 130,
        Some(Interruption::Terminate) => return 143,
        Some(Interruption::TimeLimit) => return 1,
        None => {}
    }
    let has = |is: fn(&Finding) -> bool| found.all().any(|(_, finding)| is(finding));
    if found.has_unwritten || has(|finding| matches!(finding, Finding::Failed(_))) {
        1
    } else if has(|finding| matches!(finding, Finding::Refused(_) | Finding::Floats)) {
        3
    } else {
        0
    }
}

#[cfg(test)]
mod sample {
    //! One source of each kind.

    use super::{Finding, Found, Mode};
    use crate::config::{ListFile, listed_sources};
    use crate::oci::Digest;

    pub(super) fn found(mode: Mode, faults: bool) -> Found {
        let old = Digest::sha256(b"old");
        let text = format!(
            "images: [\n {{source: a}}, {{source: 'b:1@{old}'}}, {{source: 'c:1@{old}'}},\n {{source: 'd@{old}', tag: x}},\
             {{source: 'e:1'}}, {{source: 'f:1'}}]"
        );
        let lists = listed_sources(&[ListFile { name: "::error::list.yaml".to_owned(), text }]);
        let mut list = lists.expect("a list").remove(0);
        let new = Digest::sha256(b"new");
        let mut findings = vec![
            Finding::Pinned(new.clone()),
            Finding::Updated(new),
            Finding::Kept,
            Finding::Untagged,
            Finding::Refused("no pattern names it".to_owned()),
            Finding::Failed("the registry said \u{1b}[31m\n::error::no".to_owned()),
        ];
        if !faults {
            list.truncate(4);
            findings.truncate(4);
        }
        Found::new(mode, vec![list.into_iter().zip(findings).collect()], None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_keeps_everything_from_being_written() {
        assert_eq!(sample::found(Mode::Update, true).digests(), None);
        let mut found = sample::found(Mode::Update, false);
        let digests = found.digests().expect("digests");
        let is_there: Vec<bool> = digests[0].iter().map(Option::is_some).collect();
        assert_eq!(is_there, [true, true, false, false]);
        found.interruption = Some(Interruption::TimeLimit);
        assert_eq!(found.digests(), None);
    }

    #[test]
    fn the_strongest_finding_decides_the_exit_code() {
        let mut found = sample::found(Mode::Update, true);
        assert_eq!(exit_code(&found), 1);
        found.lists[0].pop();
        assert_eq!(exit_code(&found), 3);
        found.lists[0].pop();
        assert_eq!(exit_code(&found), 0);
        found.lists[0][0].1 = Finding::Floats;
        assert_eq!(exit_code(&found), 3);
        found.interruption = Some(Interruption::Interrupt);
        assert_eq!(exit_code(&found), 130);
    }
}
