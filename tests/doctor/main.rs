//! `image-syncer doctor`, as people run it, at registries that are well and at others.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod login;
mod reach;
mod rights;

use std::path::Path;
use std::process::{Command, Stdio};

use http::Method;
use serde_json::{Value, json};
use support::registry::TestRegistry;

const USER: &str = "robot";
const PASSWORD: &str = "hunter2-is-secret";

/// A home, perhaps with a docker configuration.
struct Patient(tempfile::TempDir);

impl Patient {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Known as [`USER`] at `host` with a password.
    fn knows(self, host: &str, password: &str) -> Self {
        self.configured(&json!({ "auths": { host: { "username": USER, "password": password } } }))
    }

    fn configured(self, config: &Value) -> Self {
        let folder = self.home().join(".docker");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("config.json"), config.to_string()).expect("a configuration");
        self
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.home())
            .stdin(Stdio::null())
            .arg("doctor")
            .args(arguments);
        command
    }

    /// What the examination finds, as JSON and as text; neither has the password.
    fn examined(&self, arguments: &[&str]) -> Findings {
        self.examined_with(arguments, &[])
    }

    fn examined_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Findings {
        let run = |more: &[&str]| {
            let output = self
                .command(arguments)
                .args(more)
                .envs(variables.iter().copied())
                .output()
                .expect("an output");
            let (told, errors) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(!told.contains(PASSWORD) && !errors.contains(PASSWORD), "{told}{errors}");
            (output.status.code(), told.into_owned(), errors.into_owned())
        };
        let (code, json, errors) = run(&["--format", "json", "--debug"]);
        let document = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{json}{errors}"));
        let (same_code, text, _) = run(&[]);
        assert_eq!(code, same_code);
        Findings { document, text, code: code.expect("a code") }
    }
}

/// What was found.
struct Findings {
    document: Value,
    text: String,
    code: i32,
}

impl Findings {
    /// How something stands, and what is said of it.
    fn of(&self, name: &str) -> (&str, String) {
        let checks = self.document["checks"].as_array().expect("checks");
        let found = checks
            .iter()
            .filter(|check| check["name"] == name && check["area"] != "login")
            .chain(checks.iter().filter(|check| check["name"] == name && check["area"] == "login"));
        let check = found.last().unwrap_or_else(|| panic!("no {name} in\n{}", self.text));
        let advice = check["advice"].as_str().unwrap_or_default();
        let message = format!("{} → {advice}", check["message"].as_str().expect("a message"));
        (check["state"].as_str().expect("a state"), message)
    }

    #[track_caller]
    fn expect(&self, name: &str, state: &str, says: &str) -> &Self {
        let (found, message) = self.of(name);
        assert_eq!(found, state, "{name}: {message}\n{}", self.text);
        assert!(message.contains(says), "no `{says}` in: {message}");
        // The text is wrapped; its beginning is on the line of its name.
        let begin: String = message.split(' ').take(3).collect::<Vec<_>>().join(" ");
        let line = self.text.lines().find(|line| line.contains(name) && line.contains(&begin));
        assert!(line.is_some(), "{name} ({begin}) is not in the text:\n{}", self.text);
        self
    }

    #[track_caller]
    fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        assert_eq!(self.document["exit_code"], code);
        self
    }

    /// What was not looked at.
    #[track_caller]
    fn lacks(&self, name: &str) -> &Self {
        let checks = self.document["checks"].as_array().expect("checks");
        assert!(!checks.iter().any(|check| check["name"] == name), "{}", self.text);
        self
    }
}

/// Nothing but questions was asked, besides those of the token service.
#[track_caller]
fn assert_only_asked(registry: &TestRegistry) {
    for request in registry.requests() {
        let reads = matches!(request.method, Method::GET | Method::HEAD) || request.path == "/token";
        assert!(reads, "{}", request.line());
    }
}
