//! Registries as they are: for each row of what is known of them a stand-in that behaves so, and a run of the built
//! program through it. What counts is what is at the target then, and which requests were sent.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod clouds;
mod everywhere;
mod hubs;
mod self_hosted;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use http::Method;
use http::request::Parts;
use image_syncer::oci::RawManifest;
use image_syncer::serve::Memory;
use serde_json::Value;
use support::content::{reference, repository};
use support::registry::{Logged, TestRegistry};

/// Two stand-ins, and a home with a list, a policy and a docker configuration.
struct Mirror {
    source: TestRegistry,
    target: TestRegistry,
    home: tempfile::TempDir,
    list: String,
    policy: String,
}

impl Mirror {
    fn new() -> Self {
        Self::between(TestRegistry::start(), TestRegistry::start())
    }

    fn between(source: TestRegistry, target: TestRegistry) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        Self { source, target, home, list: "images:\n".to_owned(), policy: String::new() }
    }

    /// Lists `team/app:1` of the source; further keys can follow on lines of their own.
    fn lists(mut self, entry: &str) -> Self {
        writeln!(self.list, "  - source: {}/{entry}", self.source.host()).expect("a text");
        self
    }

    /// The source is of this kind.
    fn source_is(self, kind: &str) -> Self {
        let host = self.source.host();
        self.states(&host, &format!("kind: {kind}"))
    }

    /// The target is of this kind.
    fn target_is(self, kind: &str) -> Self {
        let host = self.target.host();
        self.states(&host, &format!("kind: {kind}"))
    }

    /// What the policy states of a registry.
    fn states(mut self, host: &str, rules: &str) -> Self {
        if self.policy.is_empty() {
            self.policy.push_str("registries:\n");
        }
        writeln!(self.policy, "  \"{host}\": {{{rules}}}").expect("a text");
        self
    }

    /// Known at a registry as `robot`.
    fn logged_in(self, host: &str) -> Self {
        let folder = self.home.path().join(".docker");
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = serde_json::json!({ "auths": { host: { "username": "robot", "password": "secret" } } });
        std::fs::write(folder.join("config.json"), config.to_string()).expect("a configuration");
        self
    }

    /// The target's repository for one of the source.
    fn at(&self, repository: &str) -> String {
        format!("mirror/{}/{repository}", self.source.host().replace(':', "_"))
    }

    /// What the target has for a tag of the source.
    fn mirrored(&self, repository: &str, tag: &str) -> Option<RawManifest> {
        self.target.manifest(&self.at(repository), tag)
    }

    fn sync(&self) -> Told {
        self.run("sync", &[])
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Told {
        let home = self.home.path();
        std::fs::write(home.join("external-images.yaml"), &self.list).expect("a list");
        let mut program = program(home);
        program.args([command, "--format", "json", "-r", &format!("{}/mirror/", self.target.host())]);
        if !self.policy.is_empty() {
            std::fs::write(home.join("policy.yaml"), &self.policy).expect("a policy");
            program.args(["--policy-file", "policy.yaml"]);
        }
        let output = program.args(arguments).output().expect("an output");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {errors}"));
        Told { report, code: output.status.code() }
    }
}

/// The program with nothing of our surroundings but a home.
fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home).stdin(Stdio::null());
    command
}

/// What a run told.
struct Told {
    report: Value,
    code: Option<i32>,
}

impl Told {
    /// The outcomes, or the decisions of a plan.
    fn words(&self) -> Vec<&str> {
        let items = self.report["items"].as_array().expect("items");
        let key = if self.report["mode"] == "plan" { "decision" } else { "outcome" };
        items.iter().map(|item| item[key].as_str().expect("a word")).collect()
    }

    #[track_caller]
    fn expect(&self, words: &[&str], code: i32) -> &Self {
        assert_eq!((self.words().as_slice(), self.code), (words, Some(code)), "{:#}", self.report["items"]);
        self
    }

    /// Why an item did not succeed.
    fn cause(&self, item: usize) -> String {
        let cause = &self.report["items"][item]["cause"];
        format!(
            "{} {}",
            cause["reference"].as_str().unwrap_or_default(),
            cause["message"].as_str().unwrap_or_default()
        )
    }
}

fn is(parts: &Parts, method: &Method, part: &str) -> bool {
    parts.method == *method && parts.uri.path().contains(part)
}

/// The repository that a mount is asked for from.
fn mount_from(query: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "from")
        .map(|(_, from)| from.into_owned())
}

/// The requests of a method, as lines.
fn lines(requests: &[Logged], method: &Method) -> Vec<String> {
    requests.iter().filter(|request| request.method == *method).map(Logged::line).collect()
}

/// Whether a registry's memory has a manifest.
fn has(memory: &Memory, name: &str, tag_or_digest: &str) -> bool {
    use image_syncer::store::Source as _;
    let (name, by) = (repository(name), reference(tag_or_digest));
    futures::executor::block_on(memory.resolve(&name, &by)).expect("an answer").is_some()
}
