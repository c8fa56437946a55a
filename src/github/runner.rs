//! What GitHub's runner gives to a step: its `GITHUB_*` variables, checked once (GitHub Docs, "Default environment
//! variables"). On GitHub Enterprise Server the API is below `/api/v3` of the server's own host.
//!
//! The variables come in through a function: the process's environment is never read here.

use std::path::PathBuf;

use url::Url;

use super::names::{CommitId, RepositoryName, quotable};

/// What the runner told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// `GITHUB_EVENT_NAME`: `push`, `pull_request`, …
    pub event_name: String,
    /// `GITHUB_EVENT_PATH`: the webhook's payload.
    pub event_path: PathBuf,
    /// `GITHUB_REPOSITORY`: where the workflow runs. Of a fork's pull request it is the base.
    pub repository: RepositoryName,
    /// `GITHUB_API_URL`: `https://api.github.com`, `https://HOST/api/v3`.
    pub api_url: Url,
    /// `GITHUB_GRAPHQL_URL`: `https://api.github.com/graphql`, `https://HOST/api/graphql`.
    pub graphql_url: Url,
    /// `GITHUB_SERVER_URL`: what people open.
    pub server_url: Url,
    /// `GITHUB_RUN_ID`.
    pub run_id: u64,
    /// `GITHUB_RUN_ATTEMPT`: 1, and one more for each time that the run was started again.
    pub run_attempt: u64,
    /// `GITHUB_SHA`. Of a `pull_request_target` event it is a commit of the default branch, not the head's.
    pub sha: CommitId,
    /// `GITHUB_REF`: `refs/heads/main`, `refs/pull/7/merge`.
    pub git_ref: String,
    /// `GITHUB_BASE_REF`: the base branch, in pull request events only.
    pub base_ref: Option<String>,
    /// `GITHUB_WORKSPACE`: the working directory. Whether anything of it may be read is not said by this.
    pub workspace: PathBuf,
    /// `GITHUB_STEP_SUMMARY`: where a summary is appended. Old servers have none.
    pub step_summary: Option<PathBuf>,
    /// `GITHUB_OUTPUT`: where outputs are appended.
    pub output: Option<PathBuf>,
    /// `GITHUB_ACTIONS`: whether this is a runner, and not somebody who set some of its variables.
    pub is_actions: bool,
    /// `RUNNER_DEBUG`: whether the run was started with debug logging.
    pub is_debug: bool,
}

/// A variable of the runner's that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunnerError {
    /// It is not set, or empty.
    #[error(
        "the variable {name} is not set, which GitHub's runner sets: `action` runs as a step of a workflow"
    )]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// It is set to something else than the runner sets it to.
    #[error("the variable {name} is `{value}`: {expected}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// What it is set to, bounded and harmless.
        value: String,
        /// What it has to be.
        expected: String,
    },
}

impl Runner {
    /// Reads the variables; `lookup` gives the value of one.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, RunnerError> {
        let variables = Variables(lookup);
        Ok(Self {
            event_name: variables.text("GITHUB_EVENT_NAME")?,
            event_path: variables.text("GITHUB_EVENT_PATH")?.into(),
            repository: variables.parsed("GITHUB_REPOSITORY", "it has to be `owner/name`")?,
            api_url: variables.url("GITHUB_API_URL")?,
            graphql_url: variables.url("GITHUB_GRAPHQL_URL")?,
            server_url: variables.url("GITHUB_SERVER_URL")?,
            run_id: variables.parsed("GITHUB_RUN_ID", "it has to be a number")?,
            run_attempt: match variables.optional("GITHUB_RUN_ATTEMPT") {
                None => 1,
                Some(_) => variables.parsed("GITHUB_RUN_ATTEMPT", "it has to be a number")?,
            },
            sha: variables.parsed("GITHUB_SHA", "it has to be a commit's 40 or 64 hexadecimal digits")?,
            git_ref: variables.reference("GITHUB_REF")?,
            base_ref: match variables.optional("GITHUB_BASE_REF") {
                None => None,
                Some(_) => Some(variables.reference("GITHUB_BASE_REF")?),
            },
            workspace: variables.text("GITHUB_WORKSPACE")?.into(),
            step_summary: variables.optional("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: variables.optional("GITHUB_OUTPUT").map(PathBuf::from),
            is_actions: variables.optional("GITHUB_ACTIONS").as_deref() == Some("true"),
            is_debug: variables.optional("RUNNER_DEBUG").as_deref() == Some("1"),
        })
    }

    /// The page of this run, of this very attempt.
    #[must_use]
    pub fn run_url(&self) -> Url {
        let (id, attempt) = (self.run_id.to_string(), self.run_attempt.to_string());
        self.page(&["actions", "runs", &id, "attempts", &attempt])
    }

    /// The page of a commit.
    #[must_use]
    pub fn commit_url(&self, commit: &CommitId) -> Url {
        self.page(&["commit", commit.as_str()])
    }

    fn page(&self, segments: &[&str]) -> Url {
        let mut url = self.server_url.clone();
        // Web addresses can be a base, so that there always are segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([self.repository.owner(), self.repository.name()]).extend(segments);
        }
        url
    }
}

struct Variables<F>(F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &'static str) -> Result<String, RunnerError> {
        self.optional(name).ok_or(RunnerError::Missing { name })
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str, expected: &str) -> Result<T, RunnerError> {
        let value = self.text(name)?;
        value.parse().map_err(|_| malformed(name, &value, expected))
    }

    fn reference(&self, name: &'static str) -> Result<String, RunnerError> {
        let value = self.text(name)?;
        if value.len() > 1024 || value.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(malformed(name, &value, "it has to be a branch or a reference"));
        }
        Ok(value)
    }

    fn url(&self, name: &'static str) -> Result<Url, RunnerError> {
        let value = self.text(name)?;
        let expected = "it has to be a web address without user, query and fragment";
        let url = Url::parse(&value).map_err(|_| malformed(name, &value, expected))?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        // An address with a user may hold a password, which is not repeated.
        let shown = if url.username().is_empty() && url.password().is_none() { &value } else { "***" };
        if is_plain { Ok(url) } else { Err(malformed(name, shown, expected)) }
    }
}

fn malformed(name: &'static str, value: &str, expected: &str) -> RunnerError {
    RunnerError::Malformed { name, value: quotable(value), expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const VARIABLES: [(&str, &str); 15] = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", "https://api.github.com"),
        ("GITHUB_BASE_REF", "main"),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_EVENT_PATH", "/github/workflow/event.json"),
        ("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql"),
        ("GITHUB_OUTPUT", "/github/file_commands/set_output_1"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_REPOSITORY", "octo-org/mirror"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_RUN_ID", "9876543210"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567"),
        ("GITHUB_STEP_SUMMARY", "/github/file_commands/step_summary_1"),
        ("GITHUB_WORKSPACE", "/github/workspace"),
    ];

    fn read(changes: &[(&str, Option<&str>)]) -> Result<Runner, RunnerError> {
        let mut variables: BTreeMap<&str, &str> = VARIABLES.into_iter().collect();
        for (name, value) in changes {
            match value {
                Some(value) => variables.insert(name, value),
                None => variables.remove(name),
            };
        }
        Runner::read(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn all_that_the_runner_gives_is_read() {
        let runner = read(&[]).expect("a runner");
        assert_eq!(runner.repository.to_string(), "octo-org/mirror");
        assert_eq!((runner.run_id, runner.run_attempt), (9_876_543_210, 2));
        assert_eq!(
            (runner.base_ref.as_deref(), runner.is_actions, runner.is_debug),
            (Some("main"), true, false)
        );
        assert_eq!(
            runner.run_url().as_str(),
            "https://github.com/octo-org/mirror/actions/runs/9876543210/attempts/2"
        );
        assert!(
            runner
                .commit_url(&runner.sha)
                .as_str()
                .ends_with("octo-org/mirror/commit/0123456789abcdef0123456789abcdef01234567")
        );
    }

    #[test]
    fn what_old_servers_do_not_set_is_not_needed() {
        let absent = ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_RUN_ATTEMPT", "GITHUB_ACTIONS"];
        let mut changes: Vec<_> = absent.iter().map(|name| (*name, None)).collect();
        changes.push(("GITHUB_BASE_REF", Some("")));
        let runner = read(&changes).expect("a runner");
        assert_eq!((runner.step_summary, runner.output, runner.base_ref), (None, None, None));
        assert_eq!((runner.run_attempt, runner.is_actions), (1, false));
    }

    #[test]
    fn a_server_of_its_own_has_its_own_addresses() {
        let runner = read(&[
            ("GITHUB_API_URL", Some("https://github.example.com/api/v3")),
            ("GITHUB_GRAPHQL_URL", Some("https://github.example.com/api/graphql")),
            ("GITHUB_SERVER_URL", Some("https://github.example.com/")),
        ]);
        let runner = runner.expect("a runner");
        assert_eq!(runner.api_url.path(), "/api/v3");
        assert!(runner.run_url().as_str().starts_with("https://github.example.com/octo-org/mirror/actions/"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let all = VARIABLES.map(|(name, _)| name);
        let optional = [
            "GITHUB_STEP_SUMMARY",
            "GITHUB_OUTPUT",
            "GITHUB_RUN_ATTEMPT",
            "GITHUB_ACTIONS",
            "GITHUB_BASE_REF",
        ];
        for name in all.iter().filter(|name| !optional.contains(name)) {
            for nothing in [None, Some("")] {
                let error = read(&[(name, nothing)]).expect_err("an error");
                assert_eq!(error, RunnerError::Missing { name });
            }
        }
        for (name, value) in [
            ("GITHUB_REPOSITORY", "mirror"),
            ("GITHUB_API_URL", "api.github.com"),
            ("GITHUB_API_URL", "file:///etc/passwd"),
            ("GITHUB_SERVER_URL", "https://github.com/?a=b"),
            ("GITHUB_RUN_ID", "12x"),
            ("GITHUB_RUN_ATTEMPT", "-1"),
            ("GITHUB_SHA", "main"),
            ("GITHUB_REF", "refs/heads/a\nb"),
            ("GITHUB_BASE_REF", "a b"),
        ] {
            let error = read(&[(name, Some(value))]).expect_err("an error").to_string();
            assert!(error.contains(name) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let error =
            read(&[("GITHUB_API_URL", Some("https://u:hunter2@api.github.com"))]).expect_err("an error");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
