//! Tags at the target that no list names: in the repositories that the list names, and, where the target tells which
//! repositories it has, in all others below the prefix.
//!
//! Tags that belong to a digest, as cosign's and the referrers' do, go with their image and are none of these.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;

use super::finding::Check;
use crate::config::{Config, Target, TargetPrefix};
use crate::fault::cause;
use crate::oci::{Digest, Repository, Tag};
use crate::plan::{Cause, Side};
use crate::policy::belongs_to_a_digest;
use crate::store::{Catalog, Listing, StoreError, StoreErrorKind};

/// So many repositories are listed at a time.
const REPOSITORIES_AT_A_TIME: usize = 32;

/// So many tags of a repository are looked up at a time.
const TAGS_AT_A_TIME: usize = 16;

/// So many unlisted tags are told; the rest is counted.
const MOST: usize = 20_000;

/// What no list names.
#[derive(Debug, Clone)]
pub struct Unlisted {
    /// What the target said of its repositories.
    pub catalog: Known,
    /// How many repositories had their tags listed.
    pub repositories: usize,
    /// How many tags they have, those of companions left out.
    pub tags: usize,
    /// The tags that no list names, sorted.
    pub strays: Vec<Stray>,
    /// How many more there are.
    pub more_strays: usize,
    /// What could not be looked up.
    pub failures: Vec<Cause>,
    /// Whether all of it was looked at before the run had to end.
    pub is_whole: bool,
}

/// What is known of the target's repositories below the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// So many: all of them, as far as the target says.
    All(usize),
    /// The target tells some, and not so many of the list that are there: it may lack others, too.
    Partial(usize),
    /// It does not tell: why. Only repositories that the list names were looked at.
    Refused(String),
    /// Nobody knows: it could not be asked.
    Unknown,
}

impl Known {
    /// The word in reports: `all`, `partial`, `refused`, `unknown`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::All(_) => "all",
            Self::Partial(_) => "partial",
            Self::Refused(_) => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A tag that no list names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// The tag.
    pub target: Target,
    /// What it stands for, unless that could not be looked up.
    pub digest: Option<Digest>,
    /// Whether the list names other tags of its repository.
    pub in_listed_repository: bool,
}

/// The tags of a repository that the list names, each with whether it was found at the target.
type Names<'a> = BTreeMap<&'a Tag, bool>;

/// What came of one repository.
struct Listed {
    repository: Repository,
    /// How many tags it has; `None` if there is no such repository.
    tags: Option<usize>,
    strays: Vec<Stray>,
    more: usize,
    failures: Vec<Cause>,
}

/// Looks for tags that no list names, until `stop` completes.
pub(super) async fn unlisted(
    config: &Config,
    checks: &[Check],
    target: &dyn Listing,
    stop: impl Future<Output = ()> + Clone,
) -> Unlisted {
    let mut listed: BTreeMap<&Repository, Names<'_>> = BTreeMap::new();
    for check in checks {
        let names = listed.entry(&check.target.repository).or_default();
        names.insert(&check.target.tag, check.found.is_some());
    }
    let root = config.prefix.root();
    let start = match &config.prefix {
        TargetPrefix::Registry { path, .. } => path.as_str(),
        TargetPrefix::Layout { .. } => "",
    };
    let mut found = Unlisted {
        catalog: Known::Unknown,
        repositories: 0,
        tags: 0,
        strays: Vec::new(),
        more_strays: 0,
        failures: Vec::new(),
        is_whole: false,
    };
    // Without an image there is nobody whose rights the question could be asked with.
    let Some(asking) = listed.keys().next() else {
        let message = "the list names no image".to_owned();
        return Unlisted { catalog: Known::Refused(message), is_whole: true, ..found };
    };
    let catalog = tokio::select! {
        catalog = target.catalog(start, asking) => catalog,
        () = stop.clone() => return found,
    };
    let mut told = BTreeSet::new();
    match catalog {
        Ok(Catalog::All(all)) => {
            found.catalog = Known::All(all.len());
            told = all;
        }
        Ok(Catalog::Refused(why)) => found.catalog = Known::Refused(why),
        Err(error) => found.failures.push(cause(Side::Target, error)),
    }
    let repositories: BTreeSet<Repository> =
        listed.keys().copied().cloned().chain(told.iter().cloned()).collect();
    let count = repositories.len();
    let lists = stream::iter(repositories)
        .map(|repository| {
            let (names, root) = (listed.get(&repository), Arc::clone(&root));
            async move { of_repository(target, repository, names, root).await }
        })
        .buffer_unordered(REPOSITORIES_AT_A_TIME)
        .take_until(stop);
    let mut lists = std::pin::pin!(lists);
    let (mut done, mut untold) = (0, 0);
    while let Some(list) = lists.next().await {
        done += 1;
        untold += usize::from(list.tags.is_some() && !told.contains(&list.repository));
        found.repositories += usize::from(list.tags.is_some());
        found.tags += list.tags.unwrap_or_default();
        found.more_strays += list.more;
        found.strays.extend(list.strays);
        found.failures.extend(list.failures);
    }
    found.is_whole = done == count;
    if let Known::All(_) = found.catalog
        && untold > 0
    {
        found.catalog = Known::Partial(untold);
    }
    found.strays.sort();
    found.more_strays += found.strays.len().saturating_sub(MOST);
    found.strays.truncate(MOST);
    found.failures.sort_by(|one, other| one.reference.cmp(&other.reference));
    found
}

async fn of_repository(
    target: &dyn Listing,
    repository: Repository,
    names: Option<&Names<'_>>,
    root: Arc<str>,
) -> Listed {
    let mut list = Listed { repository, tags: None, strays: Vec::new(), more: 0, failures: Vec::new() };
    let all = match target.tags_of(&list.repository).await {
        Ok(Some(all)) => all,
        Ok(None) => {
            list.failures
                .extend(names.and_then(|names| unbelievable(&list.repository, names, &BTreeSet::new())));
            return list;
        }
        Err(error) => {
            list.failures.push(cause(Side::Target, error));
            return list;
        }
    };
    list.failures.extend(names.and_then(|names| unbelievable(&list.repository, names, &all)));
    let images = || all.iter().filter(|tag| !belongs_to_a_digest(tag.as_str()));
    list.tags = Some(images().count());
    let strays = || images().filter(|tag| names.is_none_or(|names| !names.contains_key(tag)));
    list.more = strays().count().saturating_sub(MOST);
    let repository = &list.repository;
    let mut looked_up = stream::iter(strays().take(MOST).cloned())
        .map(|tag| async {
            let digest = target.resolve(repository, &tag.clone().into()).await;
            (tag, digest)
        })
        .buffered(TAGS_AT_A_TIME);
    while let Some((tag, digest)) = looked_up.next().await {
        let digest = match digest {
            Ok(Some(descriptor)) => Some(descriptor.digest),
            // It has gone meanwhile, or the list still has what is deleted.
            Ok(None) => continue,
            Err(error) => {
                list.failures.push(cause(Side::Target, error));
                None
            }
        };
        let target = Target { root: Arc::clone(&root), repository: repository.clone(), tag };
        list.strays.push(Stray { target, digest, in_listed_repository: names.is_some() });
    }
    drop(looked_up);
    list
}

/// Why a list of tags is not believed: one that lacks what is there may lack what nobody listed, too.
fn unbelievable(repository: &Repository, names: &Names<'_>, all: &BTreeSet<Tag>) -> Option<Cause> {
    let (lacking, _) = names.iter().find(|(tag, is_there)| **is_there && !all.contains(**tag))?;
    let message = format!("the registry's list lacks {lacking}, which is there, and so may lack others");
    let error = StoreError::new("list the tags of", repository, StoreErrorKind::Corrupt, message);
    Some(cause(Side::Target, error))
}
