//! What a workflow was started by (GitHub Docs, "Events that trigger workflows", "Webhook events and payloads").
//!
//! A payload is read for the few fields that are needed, within limits of size and depth. Whoever opens a pull
//! request writes parts of it: what is taken over is a number or checked. An event that nobody thought of is an
//! error, never a reason to write.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::names::{CommitId, RepositoryName, quotable};

/// The largest payload that is read. Those of pull requests have some 30 KiB, and a description of at most 256.
pub const LARGEST_PAYLOAD: u64 = 8 * 1024 * 1024;

/// The events that are known, for messages.
const SUPPORTED: &str = "push, workflow_dispatch, schedule, pull_request, pull_request_target, merge_group";

/// What started the workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Commits came to a branch.
    Push,
    /// Somebody started it by hand.
    WorkflowDispatch,
    /// It was time.
    Schedule,
    /// Something happened to a pull request.
    PullRequest(PullRequest),
    /// A merge queue wants to know whether a group of pull requests can be merged.
    MergeGroup(MergeGroup),
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Which of the two events it is.
    pub trigger: Trigger,
    /// Its number.
    pub number: u64,
    /// What happened: `opened`, `synchronize`, `closed`, …
    pub action: String,
    /// The commit that is proposed, at the time of the event.
    pub head: CommitId,
    /// Where it comes from; `None` where that repository was deleted.
    pub head_repository: Option<RepositoryName>,
    /// The commit of the base branch, at the time of the event.
    pub base: CommitId,
    /// The base branch: `main`.
    pub base_ref: String,
    /// Where it is to go.
    pub base_repository: RepositoryName,
    /// Whether it comes from another repository, or from one that is gone: somebody wrote it who may not be
    /// trusted with secrets.
    pub fork: bool,
}

/// The two events of pull requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The workflow is the head's, and a fork's has no secrets.
    PullRequest,
    /// The workflow is the default branch's, and has its secrets.
    PullRequestTarget,
}

/// A group of a merge queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeGroup {
    /// The commit that would become the base branch's.
    pub head: CommitId,
    /// The commit that it is built on.
    pub base: CommitId,
    /// The base branch: `refs/heads/main`.
    pub base_ref: String,
}

/// An event that cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Nothing is known about this event.
    #[error("the event `{0}` is not supported; these are: {SUPPORTED}")]
    Unsupported(String),
    /// The payload cannot be read.
    #[error("the event's payload cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The payload is longer than is accepted.
    #[error("the event's payload has more than {LARGEST_PAYLOAD} bytes")]
    TooLarge,
    /// The payload is not what GitHub sends with this event.
    #[error("the payload of the event `{event}` cannot be understood: {fault}")]
    Malformed {
        /// The event.
        event: &'static str,
        /// What is wrong.
        fault: String,
    },
}

impl Event {
    /// Reads an event from what the runner gives: its name, and the file with its payload. The payload of an event
    /// that is known by its name alone is not read.
    pub fn read(name: &str, payload: &Path) -> Result<Self, EventError> {
        Self::decide(name, || {
            let mut bytes = Vec::new();
            File::open(payload)?.take(LARGEST_PAYLOAD + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// Reads an event from its name and its payload.
    pub fn parse(name: &str, payload: &[u8]) -> Result<Self, EventError> {
        Self::decide(name, || Ok(payload.to_vec()))
    }

    fn decide(name: &str, payload: impl FnOnce() -> Result<Vec<u8>, EventError>) -> Result<Self, EventError> {
        let pull_request = |event, trigger, payload: &[u8]| {
            let payload: PullRequestPayload = understood(event, payload)?;
            payload.checked(event, trigger).map(Event::PullRequest)
        };
        match name {
            "push" => Ok(Self::Push),
            "workflow_dispatch" => Ok(Self::WorkflowDispatch),
            "schedule" => Ok(Self::Schedule),
            "pull_request" => pull_request("pull_request", Trigger::PullRequest, &payload()?),
            "pull_request_target" => {
                pull_request("pull_request_target", Trigger::PullRequestTarget, &payload()?)
            }
            "merge_group" => {
                let payload: MergeGroupPayload = understood("merge_group", &payload()?)?;
                payload.merge_group.checked().map(Self::MergeGroup)
            }
            other => Err(EventError::Unsupported(quotable(other))),
        }
    }
}

/// The payload as a tree first: that bounds its depth, also where nobody looks.
fn understood<T: for<'a> Deserialize<'a>>(event: &'static str, payload: &[u8]) -> Result<T, EventError> {
    if payload.len() as u64 > LARGEST_PAYLOAD {
        return Err(EventError::TooLarge);
    }
    let malformed = |error: serde_json::Error| malformed(event, &error.to_string());
    let tree: serde_json::Value = serde_json::from_slice(payload).map_err(malformed)?;
    T::deserialize(tree).map_err(malformed)
}

fn malformed(event: &'static str, fault: &str) -> EventError {
    EventError::Malformed { event, fault: quotable(fault) }
}

#[derive(Deserialize)]
struct PullRequestPayload {
    action: String,
    number: u64,
    pull_request: Ends,
}

#[derive(Deserialize)]
struct Ends {
    head: End,
    base: End,
}

#[derive(Deserialize)]
struct End {
    sha: String,
    #[serde(rename = "ref")]
    branch: String,
    repo: Option<EndRepository>,
}

#[derive(Deserialize)]
struct EndRepository {
    id: Option<u64>,
    full_name: String,
}

impl PullRequestPayload {
    fn checked(self, event: &'static str, trigger: Trigger) -> Result<PullRequest, EventError> {
        let fault = |fault: &dyn std::fmt::Display| malformed(event, &fault.to_string());
        let Ends { head, base } = self.pull_request;
        let base_repo = base.repo.ok_or_else(|| fault(&"`pull_request.base.repo` is null"))?;
        let name = |name: &str| name.parse::<RepositoryName>().map_err(|error| fault(&error));
        let base_repository = name(&base_repo.full_name)?;
        let head_repository = head.repo.as_ref().map(|repo| name(&repo.full_name)).transpose()?;
        // Names can be given to somebody else; both the name and the number have to be the base's.
        let same_number = |repo: &EndRepository| match (repo.id, base_repo.id) {
            (Some(head), Some(base)) => head == base,
            _ => true,
        };
        let at_home =
            head.repo.as_ref().is_some_and(same_number) && head_repository.as_ref() == Some(&base_repository);
        if self.action.len() > 64 || !self.action.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Err(fault(&"`action` is not a word"));
        }
        if self.number == 0 {
            return Err(fault(&"`number` is 0"));
        }
        Ok(PullRequest {
            trigger,
            number: self.number,
            action: self.action,
            head: head.sha.parse().map_err(|error| fault(&error))?,
            head_repository,
            base: base.sha.parse().map_err(|error| fault(&error))?,
            base_ref: checked_branch(event, base.branch)?,
            base_repository,
            fork: !at_home,
        })
    }
}

#[derive(Deserialize)]
struct MergeGroupPayload {
    merge_group: Group,
}

#[derive(Deserialize)]
struct Group {
    head_sha: String,
    base_sha: String,
    base_ref: String,
}

impl Group {
    fn checked(self) -> Result<MergeGroup, EventError> {
        let id = |text: &str| {
            text.parse::<CommitId>().map_err(|error| malformed("merge_group", &error.to_string()))
        };
        Ok(MergeGroup {
            head: id(&self.head_sha)?,
            base: id(&self.base_sha)?,
            base_ref: checked_branch("merge_group", self.base_ref)?,
        })
    }
}

/// A branch as Git allows one, as far as it can do harm.
fn checked_branch(event: &'static str, branch: String) -> Result<String, EventError> {
    let is_tame = |c: char| !c.is_control() && !c.is_whitespace();
    if branch.is_empty() || branch.len() > 1024 || !branch.chars().all(is_tame) {
        return Err(malformed(event, &format!("`{branch}` is not a branch")));
    }
    Ok(branch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const HEAD: &str = "1111111111111111111111111111111111111111";
    const BASE: &str = "2222222222222222222222222222222222222222";

    fn payload() -> Value {
        let repo = json!({"id": 5, "full_name": "octo-org/mirror", "private": false});
        json!({
            "action": "synchronize", "number": 7, "before": HEAD,
            "pull_request": {
                "head": {"label": "octo-org:x", "ref": "x", "sha": HEAD, "repo": repo},
                "base": {"label": "octo-org:main", "ref": "main", "sha": BASE, "repo": repo},
            },
        })
    }

    fn pull_request(payload: &Value) -> Result<PullRequest, EventError> {
        match Event::parse("pull_request", payload.to_string().as_bytes())? {
            Event::PullRequest(pull_request) => Ok(pull_request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pull_request_is_read() {
        let read = pull_request(&payload()).expect("a pull request");
        assert_eq!((read.number, read.action.as_str(), read.fork), (7, "synchronize", false));
        assert_eq!((read.head.as_str(), read.base.as_str(), read.base_ref.as_str()), (HEAD, BASE, "main"));
        assert_eq!(read.base_repository.to_string(), "octo-org/mirror");
        let target = Event::parse("pull_request_target", payload().to_string().as_bytes()).expect("an event");
        assert!(
            matches!(&target, Event::PullRequest(read) if read.trigger == Trigger::PullRequestTarget),
            "{target:?}"
        );
    }

    #[test]
    fn whatever_is_not_the_base_is_a_fork() {
        let mut other = payload();
        other["pull_request"]["head"]["repo"] = json!({"id": 6, "full_name": "mallory/mirror"});
        assert!(pull_request(&other).expect("a pull request").fork);
        other["pull_request"]["head"]["repo"] = Value::Null;
        let gone = pull_request(&other).expect("a pull request");
        assert!(gone.fork && gone.head_repository.is_none());
        // The same name with another number, and the other way round.
        other["pull_request"]["head"]["repo"] = json!({"id": 6, "full_name": "octo-org/mirror"});
        assert!(pull_request(&other).expect("a pull request").fork);
        other["pull_request"]["head"]["repo"] = json!({"id": 5, "full_name": "mallory/mirror"});
        assert!(pull_request(&other).expect("a pull request").fork);
        other["pull_request"]["head"]["repo"] = json!({"full_name": "Octo-Org/Mirror"});
        assert!(!pull_request(&other).expect("a pull request").fork);
    }

    #[test]
    fn what_github_would_not_send_is_refused() {
        for (pointer, value) in [
            ("/pull_request/head/sha", json!("refs/heads/main")),
            ("/pull_request/base/sha", json!(null)),
            ("/pull_request/base/repo", json!(null)),
            ("/pull_request/base/ref", json!("a\n::error::b")),
            ("/pull_request/head/repo/full_name", json!("../../x")),
            ("/number", json!(0)),
            ("/number", json!(-1)),
            ("/action", json!("::error::")),
            ("/pull_request", json!([])),
        ] {
            let mut changed = payload();
            *changed.pointer_mut(pointer).expect("a place") = value;
            let error = pull_request(&changed).expect_err(pointer).to_string();
            assert!(error.contains("`pull_request`") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_merge_group_is_read() {
        let group = json!({"action": "checks_requested", "merge_group": {
            "head_sha": HEAD, "base_sha": BASE, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-2222",
            "base_ref": "refs/heads/main", "head_commit": {},
        }});
        let event = Event::parse("merge_group", group.to_string().as_bytes()).expect("an event");
        let Event::MergeGroup(read) = event else { panic!("{event:?}") };
        assert_eq!((read.head.as_str(), read.base.as_str()), (HEAD, BASE));
        assert_eq!(read.base_ref, "refs/heads/main");
    }

    #[test]
    fn some_events_are_known_by_their_name() {
        let nowhere = Path::new("/nonexistent/event.json");
        for (name, event) in [
            ("push", Event::Push),
            ("workflow_dispatch", Event::WorkflowDispatch),
            ("schedule", Event::Schedule),
        ] {
            assert_eq!(Event::read(name, nowhere).expect("an event"), event);
        }
        assert!(matches!(Event::read("pull_request", nowhere), Err(EventError::Unreadable(_))));
    }

    #[test]
    fn any_other_event_is_an_error_that_names_those_that_are_known() {
        for name in ["issue_comment", "workflow_run", "pull_request_review", "", "PUSH", "push\n::error::x"] {
            let error = Event::parse(name, b"{}").expect_err(name).to_string();
            assert!(error.contains("not supported") && error.contains("merge_group"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_payload_is_bounded_in_size_and_depth() {
        let deep = format!("{{\"number\":7,\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(Event::parse("pull_request", deep.as_bytes()), Err(EventError::Malformed { .. })));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("event.json");
        std::fs::write(&path, vec![b' '; usize::try_from(LARGEST_PAYLOAD).expect("a size") + 1])
            .expect("written");
        assert!(matches!(Event::read("pull_request", &path), Err(EventError::TooLarge)));
        assert!(matches!(Event::parse("pull_request", b"\xff{}"), Err(EventError::Malformed { .. })));
    }
}
