//! What is to be known of a pull request besides its event ("Pulls", "Commits"), and which one brought a commit.

use serde::Deserialize;
use url::Url;

use super::error::{ApiError, ApiErrorKind, Operation};
use super::{Api, ONE_THING};
use crate::github::names::{CommitId, RepositoryName};

/// The most that is read of a comparison. Its first page holds up to 300 files with their differences, its second
/// none.
const COMPARISON: usize = 4 * 1024 * 1024;

/// The most that is read of the pull requests of a commit, each with its two repositories and a description.
const PULL_REQUESTS: usize = 8 * 1024 * 1024;

/// So many pull requests of a commit are looked at. Nearly every commit came with one.
const MOST_OF_A_COMMIT: &str = "10";

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

/// A pull request that was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Its number.
    pub number: u64,
    /// The commit that was merged, on its own branch.
    pub head: CommitId,
    /// The branch that it was merged into: `main`.
    pub base: String,
    /// Its page.
    pub url: Option<Url>,
}

impl Api {
    /// The head of a pull request, as it is now. It may have moved on since the event.
    pub async fn pull_request_head(
        &self,
        repository: &RepositoryName,
        number: u64,
    ) -> Result<CommitId, ApiError> {
        #[derive(Deserialize)]
        struct PullRequest {
            head: Commit,
        }
        let operation = Operation::new(format!("read pull request #{number}"), "pull-requests: read");
        let url = self.url(repository, &["pulls", &number.to_string()]);
        let pull_request: PullRequest = self.read(url, &operation, ONE_THING).await?;
        checked(&pull_request.head, &operation)
    }

    /// The pull requests with which a commit came to their base branches.
    pub async fn merged_with(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
    ) -> Result<Vec<Merged>, ApiError> {
        #[derive(Deserialize)]
        struct PullRequest {
            number: u64,
            merged_at: Option<String>,
            html_url: Option<String>,
            head: Commit,
            base: Base,
        }
        #[derive(Deserialize)]
        struct Base {
            #[serde(rename = "ref")]
            branch: String,
        }
        let what = format!("find the pull request of commit {}", commit.short());
        let operation = Operation::new(what, "pull-requests: read");
        let mut url = self.url(repository, &["commits", commit.as_str(), "pulls"]);
        url.query_pairs_mut().append_pair("per_page", MOST_OF_A_COMMIT);
        let all: Vec<PullRequest> = self.read(url, &operation, PULL_REQUESTS).await?;
        let merged = all.into_iter().filter(|pull_request| pull_request.merged_at.is_some());
        let merged = merged.map(|pull_request| {
            Ok(Merged {
                number: pull_request.number,
                head: checked(&pull_request.head, &operation)?,
                base: pull_request.base.branch,
                url: pull_request.html_url.and_then(|url| Url::parse(&url).ok()),
            })
        });
        merged.collect()
    }

    /// The latest commits up to `commit` that changed a file, the newest first; at most `most` of them, and 100.
    pub async fn commits_of(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        path: &str,
        most: u8,
    ) -> Result<Vec<CommitId>, ApiError> {
        let operation = Operation::about("list the commits that changed", path, "contents: read");
        let mut url = self.url(repository, &["commits"]);
        url.query_pairs_mut()
            .append_pair("sha", commit.as_str())
            .append_pair("path", path)
            .append_pair("per_page", &most.min(100).to_string());
        let commits: Vec<Commit> = self.read(url, &operation, COMPARISON).await?;
        commits.iter().map(|commit| checked(commit, &operation)).collect()
    }

    /// The newest commit that both have in their history: where the one departed from the other.
    pub async fn merge_base(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<CommitId, ApiError> {
        #[derive(Deserialize)]
        struct Comparison {
            merge_base_commit: Commit,
        }
        let what = format!("compare commit {} with {}", head.short(), base.short());
        let operation = Operation::new(what, "contents: read");
        let mut url = self.url(repository, &["compare", &format!("{}...{}", base.as_str(), head.as_str())]);
        url.query_pairs_mut().append_pair("per_page", "1").append_pair("page", "2");
        let comparison: Comparison = self.read(url, &operation, COMPARISON).await?;
        checked(&comparison.merge_base_commit, &operation)
    }
}

fn checked(commit: &Commit, operation: &Operation) -> Result<CommitId, ApiError> {
    commit.sha.parse().map_err(|error| operation.error(ApiErrorKind::Malformed, format!("{error}")))
}
