//! What can go wrong with GitHub's API, by what it means to whoever called it.

use http::StatusCode;

use crate::github::names::quotable;
use crate::github::workflow_command::{cut, harmless_line};

/// A request that came to nothing. It fits "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct ApiError {
    /// What it means.
    pub kind: ApiErrorKind,
    /// What was tried.
    pub operation: String,
    /// The status, if there was an answer that refused.
    pub status: Option<StatusCode>,
    /// What happened, and what to do about it where that is known. One harmless line without the token.
    pub message: String,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// The token is not accepted.
    Unauthorized,
    /// The token has no right to do this; for a write also where GitHub says that nothing is there.
    Forbidden,
    /// What was to be read is not there, or must not be seen.
    NotFound,
    /// Too many requests.
    RateLimited,
    /// More than is accepted: of an answer, or of a text that was to be sent.
    TooLarge,
    /// No answer, or one that could be another later.
    Unreachable,
    /// An answer that cannot be understood.
    Malformed,
    /// Any other refusal.
    Refused,
}

/// What is tried, and what it takes.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    name: String,
    /// The permission of the job that it takes; empty if it takes none.
    permission: &'static str,
}

impl Operation {
    pub(super) fn new(name: impl Into<String>, permission: &'static str) -> Self {
        Self { name: name.into(), permission }
    }

    pub(super) fn has_permission(&self) -> bool {
        !self.permission.is_empty()
    }

    pub(super) fn advice(&self) -> String {
        if self.has_permission() {
            // A right to read is a fork's, too.
            let where_forks_have_it = if self.permission.ends_with(": write") {
                ", which a fork's pull request has under `pull_request_target` only"
            } else {
                ""
            };
            format!("; the job needs `permissions: {}`{where_forks_have_it}", self.permission)
        } else {
            String::new()
        }
    }

    pub(super) fn error(&self, kind: ApiErrorKind, message: impl AsRef<str>) -> ApiError {
        let message = cut(&harmless_line(message.as_ref()), 1000);
        ApiError { kind, operation: self.name.clone(), status: None, message }
    }

    /// As [`Self::error`], of something that somebody else named.
    pub(super) fn about(name: &str, what: &str, permission: &'static str) -> Self {
        Self::new(format!("{name} `{}`", quotable(what)), permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_right_to_write_is_kept_from_forks() {
        let advice = |permission| Operation::new("do it", permission).advice();
        assert_eq!(advice("contents: read"), "; the job needs `permissions: contents: read`");
        assert!(advice("pull-requests: write").ends_with("under `pull_request_target` only"));
        assert_eq!(advice(""), "");
    }
}
