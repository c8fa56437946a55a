//! What is to be known of a pull request besides its event ("Pulls", "Commits").

use serde::Deserialize;

use super::error::{ApiError, ApiErrorKind, Operation};
use super::{Api, ONE_THING};
use crate::github::names::{CommitId, RepositoryName};

/// The most that is read of a comparison. Its first page holds up to 300 files with their differences, its second
/// none.
const COMPARISON: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Commit {
    sha: String,
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
