//! A change that somebody proposes: a pull request, or a merge queue's group of them.

use std::path::Path;

use crate::github::event::{MergeGroup, PullRequest};
use crate::github::{CommitId, Event, RepositoryName, Runner};

/// A change that somebody proposes.
#[derive(Debug, Clone)]
pub(super) struct Review {
    /// What is proposed.
    pub(super) head: CommitId,
    /// What it is proposed for.
    pub(super) base: CommitId,
    /// Where both are to be had: a fork's commits are in the network of its base.
    pub(super) repository: RepositoryName,
    /// Whether it comes from somebody who may not be trusted with secrets.
    pub(super) fork: bool,
    /// The pull request's number; a merge group has none.
    pub(super) number: Option<u64>,
    /// Whether there is nothing to look at any more.
    pub(super) closed: bool,
}

impl Review {
    /// The change that an event is about, if it is about one.
    pub(super) fn of(event: &Event, runner: &Runner) -> Option<Self> {
        match event {
            Event::Push | Event::WorkflowDispatch | Event::Schedule => None,
            Event::PullRequest(PullRequest { number, action, head, base, base_repository, fork, .. }) => {
                Some(Self {
                    head: head.clone(),
                    base: base.clone(),
                    repository: base_repository.clone(),
                    fork: *fork,
                    number: Some(*number),
                    closed: action == "closed",
                })
            }
            Event::MergeGroup(MergeGroup { head, base, .. }) => Some(Self {
                head: head.clone(),
                base: base.clone(),
                repository: runner.repository.clone(),
                fork: false,
                number: None,
                closed: false,
            }),
        }
    }
}

/// A path of the workspace as one of the repository: without what leads nowhere.
pub(super) fn in_repository(path: &Path) -> String {
    let name = path.display().to_string();
    let mut rest = name.as_str();
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    rest.to_owned()
}
