//! What was reviewed before a push: the plans in the comments of the pull requests with which the lists came to where
//! they are.
//!
//! A comment counts by its marker and by its author, who is whose token this is: anybody can write the marker. No run
//! fails because a review cannot be found; it is said, and who requires one gets nothing that lacks it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::Situation;
use super::review::in_repository;
use crate::cli::ActionOptions;
use crate::command::UsageError;
use crate::command::reviewing::{Found, Reviewing, Reviews};
use crate::github::api::{ApiError, Merged, StickyKey};
use crate::github::{Api, CommitId, RepositoryName};
use crate::plan::{Plan, Reviewed};
use crate::report::{self, Link};

/// So many commits of a list are looked at: as many merges can have waited for one sync.
const COMMITS: u8 = 10;

/// So many lists are looked at for their commits.
const LISTS: usize = 3;

/// What a run is compared with. A push is with what was reviewed; any sync is where that is required.
pub(super) fn reviewing(
    options: &ActionOptions,
    situation: &Situation,
) -> Result<Option<Reviewing>, UsageError> {
    let required = options.require_reviewed;
    if situation.review.is_some() || !(required || situation.is_whole_push(options)) {
        return Ok(None);
    }
    let Some(api) = &situation.api else {
        let message =
            "the input github-token is empty: with require-reviewed the review is read through GitHub's API";
        return if required { Err(UsageError::Option(message.to_owned())) } else { Ok(None) };
    };
    let runner = &situation.runner;
    let reviews = Merges {
        api: Arc::clone(api),
        repository: runner.repository.clone(),
        head: situation.head.clone(),
        branch: runner.git_ref.strip_prefix("refs/heads/").map(ToOwned::to_owned),
        lists: options.run.images_files.clone(),
        key: situation.comment_key.clone(),
    };
    Ok(Some(Reviewing { reviews: Arc::new(reviews), required }))
}

/// The pull requests of a repository that were merged.
#[derive(Debug)]
struct Merges {
    api: Arc<Api>,
    repository: RepositoryName,
    /// Whose lists are synced.
    head: CommitId,
    /// The branch that they are of.
    branch: Option<String>,
    lists: Vec<PathBuf>,
    key: StickyKey,
}

/// What was found so far.
#[derive(Default)]
struct Search {
    found: Found,
    seen: HashSet<u64>,
    notes: Vec<String>,
}

#[async_trait]
impl Reviews for Merges {
    async fn find(&self, plan: &Plan, targets: &[String]) -> Found {
        let mut search = Search::default();
        if let Err(error) = self.search(&mut search, plan, targets).await {
            search.notes.push(format!("not all was compared with what was reviewed: {error}"));
        } else if search.found.reviews.is_empty() && search.notes.is_empty() {
            search.notes.push(format!(
                "nothing to compare with: no merged pull request of commit {} has a plan in its comment",
                self.head.short()
            ));
        }
        let Search { mut found, notes, .. } = search;
        found.told.note = (!notes.is_empty()).then(|| notes.join("; "));
        found
    }
}

impl Merges {
    async fn search(&self, search: &mut Search, plan: &Plan, targets: &[String]) -> Result<(), ApiError> {
        self.add(search, plan, &self.head).await?;
        for list in self.lists.iter().take(LISTS) {
            if search.found.covers(targets) {
                return Ok(());
            }
            let path = in_repository(list);
            let commits = self.api.commits_of(&self.repository, &self.head, &path, COMMITS).await?;
            for commit in commits.iter().filter(|commit| **commit != self.head) {
                if search.found.covers(targets) {
                    return Ok(());
                }
                self.add(search, plan, commit).await?;
            }
        }
        Ok(())
    }

    /// Adds the plans of the pull requests with which a commit came.
    async fn add(&self, search: &mut Search, plan: &Plan, commit: &CommitId) -> Result<(), ApiError> {
        let merged = self.api.merged_with(&self.repository, commit).await?;
        let here = |merged: &Merged| self.branch.as_ref().is_none_or(|branch| *branch == merged.base);
        for merged in merged.into_iter().filter(here) {
            if !search.seen.insert(merged.number) {
                continue;
            }
            let sticky = self.api.sticky(&self.repository, merged.number, &self.key);
            let Some(comment) = sticky.existing().await? else { continue };
            let name = format!("#{}", merged.number);
            match report::reviewed(&comment.body, &name) {
                Ok(None) => {}
                Ok(Some((reviewed, of))) => {
                    search.notes.extend(doubts(&reviewed, &of, &merged, plan));
                    let url = comment.url.or(merged.url).map(|url| url.to_string()).unwrap_or_default();
                    let page = Link { name, url };
                    search.found.told.plans.push((page, reviewed.digest.clone()));
                    search.found.reviews.push(reviewed);
                }
                Err(error) => search.notes.push(format!("{name}: {error}")),
            }
        }
        Ok(())
    }
}

impl Found {
    fn covers(&self, targets: &[String]) -> bool {
        let entries = || self.reviews.iter().filter_map(|review| review.entries.as_ref());
        targets.iter().all(|target| entries().any(|entries| entries.contains_key(target)))
    }
}

/// What there is to say of a review besides its entries.
fn doubts(reviewed: &Reviewed, of: &str, merged: &Merged, plan: &Plan) -> Vec<String> {
    let name = &reviewed.name;
    let mut doubts = Vec::new();
    if of != merged.head.as_str() {
        let of: String = of.chars().filter(char::is_ascii_hexdigit).take(7).collect();
        doubts.push(format!("the plan in {name} is of commit {of}, and {} was merged", merged.head.short()));
    }
    if reviewed.policy != plan.policy {
        doubts.push(format!("the policy is another one than in {name}"));
    }
    if reviewed.entries.is_none() && reviewed.digest != plan.digest {
        doubts.push(format!(
            "the plan in {name} has more entries than its comment has room for, and its digest is another one: its \
             entries were not compared"
        ));
    }
    doubts
}
