//! A step of a workflow: the built program as GitHub's runner starts it, with an event, inputs and files, and what
//! the runner makes of its output.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::runner_commands::{self, Names, Sight, command};
use crate::runner_files::outputs;
use crate::stand_in::{Entry, GitHub, REPOSITORY, TOKEN};
use crate::support::registry::TestRegistry;

/// The list's path.
pub(crate) const LIST: &str = "external-images.yaml";

/// A workflow's surroundings.
pub(crate) struct Workflow {
    pub(crate) github: GitHub,
    pub(crate) source: TestRegistry,
    pub(crate) target: TestRegistry,
    folder: tempfile::TempDir,
    inputs: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
}

/// What a step did.
pub(crate) struct Step {
    pub(crate) code: i32,
    /// All that it printed.
    pub(crate) text: String,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) summary: String,
}

impl Workflow {
    pub(crate) fn new() -> Self {
        Self::with(GitHub::start())
    }

    pub(crate) fn with(github: GitHub) -> Self {
        Self::between(github, TestRegistry::start(), TestRegistry::start())
    }

    /// With what `action.yml` gives: all inputs that have a default.
    pub(crate) fn between(github: GitHub, source: TestRegistry, target: TestRegistry) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["workspace", "home", "temp", "workflow"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let defaults = [
            ("mode", "auto"),
            ("dry-run", "false"),
            ("comment", "on-change"),
            ("comment-key", "image-syncer"),
            ("summary", "true"),
            ("annotations", "true"),
            ("check-run", "false"),
            ("create-repositories", "false"),
            ("require-reviewed", "false"),
            ("allow-private-networks", "false"),
            ("github-token", TOKEN),
            ("debug", "false"),
        ];
        let mut inputs: BTreeMap<String, String> =
            defaults.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for name in [
            "images-file",
            "target-repo-auth-key",
            "access-token",
            "auth",
            "policy-file",
            "on-tag-conflict",
            "plan",
            "trust-root",
            "shard",
            "shard-plan",
            "shards",
            "merge-reports",
        ] {
            inputs.insert(name.to_owned(), String::new());
        }
        inputs.insert("target-repo-prefix".to_owned(), format!("{}/mirror/", target.host()));
        Self { github, source, target, folder, inputs, variables: BTreeMap::new() }
    }

    /// Gives an input; with `None` it is not there at all.
    pub(crate) fn input(mut self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.inputs.insert(name.to_owned(), value.to_owned()),
            None => self.inputs.remove(name),
        };
        self
    }

    /// Sets a variable of the step.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.folder.path().join("temp")
    }

    /// A list of images, `SOURCE` and `TARGET` being the registries.
    pub(crate) fn list(&self, entries: &[&str]) -> String {
        if entries.is_empty() {
            return "images: []\n".to_owned();
        }
        let entries: Vec<String> = entries.iter().map(|entry| format!("  - {entry}\n")).collect();
        format!("images:\n{}", entries.concat())
            .replace("SOURCE", &self.source.host())
            .replace("TARGET", &self.target.host())
    }

    /// Puts a file into the workspace, as a checkout would.
    pub(crate) fn check_out(&self, path: &str, text: &str) {
        std::fs::write(self.workspace().join(path), text).expect("a file");
    }

    /// A commit with a list.
    pub(crate) fn commit(&self, list: &str) -> String {
        self.github.commit(&[(LIST, Entry::File(list.as_bytes()))])
    }

    /// A step of a pull request, whose head is what GitHub says that it is.
    pub(crate) fn pull_request(&self, event: &str, base: &str, head: &str, fork: bool) -> Step {
        self.github.move_head(head);
        self.run(event, &pull_request(base, head, fork))
    }

    /// A step of pull request `number`, opened from the repository itself.
    pub(crate) fn review(&self, number: u64, base: &str, head: &str) -> Step {
        self.github.move_head(head);
        let mut payload = pull_request(base, head, false);
        payload["number"] = json!(number);
        self.run("pull_request", &payload)
    }

    /// The step of a push whose commit is `head`.
    pub(crate) fn push(&self, head: &str) -> Step {
        let output = self.command("push", &json!({})).env("GITHUB_SHA", head).output().expect("an output");
        self.step(&output)
    }

    /// Runs the step.
    pub(crate) fn run(&self, event: &str, payload: &Value) -> Step {
        let output = self.command(event, payload).output().expect("an output");
        self.step(&output)
    }

    pub(crate) fn step(&self, output: &Output) -> Step {
        let file = |name: &str| {
            let path = self.folder.path().join("workflow").join(name);
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let _ = std::fs::remove_file(path);
            text
        };
        let set = outputs(&file("output")).expect("outputs that the runner understands");
        Step {
            code: output.status.code().unwrap_or(-1),
            text: format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
            outputs: set.into_iter().collect(),
            summary: file("summary"),
        }
    }

    /// The program as the runner starts it, in an environment of its own.
    pub(crate) fn command(&self, event: &str, payload: &Value) -> Command {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let payload_file = self.folder.path().join("workflow/event.json");
        std::fs::write(&payload_file, payload.to_string()).expect("a payload");
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
        command.env_clear().arg("action").current_dir(self.workspace()).stdin(Stdio::null());
        for (name, value) in &self.inputs {
            command.env(format!("INPUT_{}", name.to_uppercase().replace(' ', "_")), value);
        }
        let github = &self.github;
        command
            .envs([("CI", "true"), ("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", event)])
            .env("HOME", path("home"))
            .env("GITHUB_REPOSITORY", REPOSITORY)
            .env("GITHUB_API_URL", github.api_url().as_str().trim_end_matches('/'))
            .env("GITHUB_GRAPHQL_URL", github.graphql_url().as_str())
            .env("GITHUB_SERVER_URL", "https://github.example.com")
            .envs([("GITHUB_RUN_ID", "42"), ("GITHUB_RUN_ATTEMPT", "1"), ("GITHUB_REF", "refs/heads/main")])
            .env("GITHUB_SHA", "f".repeat(40))
            .env("GITHUB_WORKSPACE", path("workspace"))
            .env("RUNNER_TEMP", path("temp"))
            .env("GITHUB_EVENT_PATH", payload_file)
            .env("GITHUB_STEP_SUMMARY", path("workflow/summary"))
            .env("GITHUB_OUTPUT", path("workflow/output"))
            .envs(&self.variables);
        command
    }
}

impl Step {
    /// The commands that the runner obeys, in whatever way it looks for them.
    pub(crate) fn commands(&self) -> Vec<runner_commands::Command> {
        let lines = runner_commands::lines(&self.text);
        let of = |sight| -> Vec<_> {
            lines.iter().filter_map(|line| command(line, sight, Names::Registered)).collect()
        };
        let (one, other) = (of(Sight::Ordinal), of(Sight::Collation));
        assert_eq!(one, other, "{}", self.text);
        one
    }

    /// The annotations: `error external-images.yaml:3: message`.
    pub(crate) fn annotations(&self) -> Vec<String> {
        let commands = self.commands().into_iter();
        commands
            .filter(|it| matches!(it.name.as_str(), "error" | "warning" | "notice"))
            .map(|it| {
                let property = |name: &str| it.properties.get(name).cloned().unwrap_or_default();
                format!("{} {}:{}: {}", it.name, property("file"), property("line"), it.data)
            })
            .collect()
    }

    /// All that is not a command to hide something.
    pub(crate) fn shown(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.starts_with("::add-mask::"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32, result: &str) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        assert_eq!(self.outputs.get("result").map(String::as_str), Some(result), "{}", self.text);
        self
    }
}

/// The payload of an event of pull request 7, with the fields that are read and some that are not.
pub(crate) fn pull_request(base: &str, head: &str, fork: bool) -> Value {
    let head_repository = if fork { "mallory/mirror" } else { REPOSITORY };
    json!({
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "number": 7,
            "title": "@team ::error::x",
            "body": "::set-output name=result::synced",
            "user": { "login": "mallory" },
            "head": { "ref": "patch-1", "sha": head, "repo": { "full_name": head_repository, "fork": fork } },
            "base": { "ref": "main", "sha": base, "repo": { "full_name": REPOSITORY, "fork": false } },
        },
        "repository": { "full_name": REPOSITORY },
        "sender": { "login": "mallory" },
    })
}

/// The payload of a merge queue's event.
pub(crate) fn merge_group(base: &str, head: &str) -> Value {
    json!({
        "action": "checks_requested",
        "merge_group": {
            "head_sha": head,
            "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-x",
            "base_sha": base,
            "base_ref": "refs/heads/main",
        },
        "repository": { "full_name": REPOSITORY },
    })
}

/// Whether there is a file of that name in a folder.
pub(crate) fn has(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}
