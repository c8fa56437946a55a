//! Lists that are pinned in place, by the built program.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image_syncer::oci::Digest;
use support::auth::Auth;
use support::content::put_image;
use support::fault::Fault;
use support::registry::{Logged, TestRegistry};

/// A source with `team/app:1`, `team/app:2` and `team/base:latest`, and a folder with lists.
struct Story {
    source: TestRegistry,
    home: tempfile::TempDir,
    one: Digest,
    two: Digest,
    base: Digest,
}

impl Story {
    fn new(source: TestRegistry) -> Self {
        let put =
            |name: &str, tag: &str, layer: &[u8]| put_image(&source.memory, name, Some(tag), &[layer]).digest;
        let (one, two) = (put("team/app", "1", b"one"), put("team/app", "2", b"two"));
        let base = put("team/base", "latest", b"base");
        Self { one, two, base, home: tempfile::tempdir().expect("a folder"), source }
    }

    /// Writes the list, with the registry's address for `SOURCE`.
    fn lists(self, text: &str) -> Self {
        self.write("external-images.yaml", text);
        self
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home.path().join(name), self.filled(text)).expect("a list");
    }

    fn filled(&self, text: &str) -> String {
        let digests = [("@ONE", &self.one), ("@TWO", &self.two), ("@BASE", &self.base)];
        let text = text.replace("SOURCE", &self.source.host());
        digests.iter().fold(text, |text, (name, digest)| text.replace(name, &format!("@{digest}")))
    }

    #[track_caller]
    fn assert_text(&self, name: &str, expected: &str) {
        let text = fs::read_to_string(self.home.path().join(name)).expect("a list");
        assert_eq!(text, self.filled(expected));
    }

    fn pin(&self, arguments: &[&str]) -> Command {
        program(self.home.path(), &[&["pin"], arguments].concat())
    }

    /// Runs it and gives what it said.
    #[track_caller]
    fn expect(&self, arguments: &[&str], code: i32) -> String {
        let output = self.pin(arguments).output().expect("an output");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        text(&output)
    }

    /// What the registry was asked for manifests.
    fn manifest_requests(&self) -> Vec<String> {
        let requests = self.source.requests();
        let mut lines: Vec<String> = requests
            .iter()
            .filter(|request| request.path.contains("/manifests/"))
            .map(Logged::line)
            .collect();
        lines.sort_unstable();
        lines
    }
}

/// The program with nothing of our surroundings but a home.
fn program(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home).stdin(Stdio::null());
    command.args(arguments);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const LIST: &str = "# the platform team's\r\nimages:\r\n  - source: SOURCE/team/app:1   # one\r\n  \
                    - {source: 'SOURCE/team/base', tag: v1}\r\n  - source: \"SOURCE/team/app:2@TWO\"\r\n  \
                    - source: SOURCE/team/app:1\r\n    target: other";

const PINNED: &str = "# the platform team's\r\nimages:\r\n  - source: SOURCE/team/app:1@ONE   # one\r\n  \
                      - {source: 'SOURCE/team/base:latest@BASE', tag: v1}\r\n  - source: \"SOURCE/team/app:2@TWO\"\r\n  \
                      - source: SOURCE/team/app:1@ONE\r\n    target: other";

#[test]
fn what_floats_is_pinned_in_place_and_nothing_else_changes() {
    let story = Story::new(TestRegistry::start()).lists(LIST);
    let path = story.home.path().join("external-images.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("permissions");
    let told = story.expect(&[], 0);
    story.assert_text("external-images.yaml", PINNED);
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o604);
    let line = story.filled("external-images.yaml:3:13: pinned: SOURCE/team/app:1@ONE\n");
    assert!(
        told.contains(&line) && told.contains("3 pinned, 0 updated, 1 kept; written: external-images.yaml."),
        "{told}"
    );
    // Each tag is asked for once, by HEAD, and what has a digest not at all.
    let asked = ["HEAD /v2/team/app/manifests/1 200", "HEAD /v2/team/base/manifests/latest 200"];
    assert_eq!(story.manifest_requests(), asked);
    assert!(story.source.writes().is_empty());

    story.source.clear_log();
    let before = fs::metadata(&path).expect("a file").modified().expect("a time");
    let told = story.expect(&[], 0);
    assert!(told.contains("Nothing to change: 4 sources."), "{told}");
    assert!(story.source.requests().is_empty());
    assert_eq!(fs::metadata(&path).expect("a file").modified().expect("a time"), before);
}

/// What was pinned is what a sync mirrors, under the names that it had.
#[test]
fn a_pinned_list_mirrors_the_same_images_to_the_same_names() {
    let story = Story::new(TestRegistry::start()).lists(LIST);
    let mirrored = || {
        let target = TestRegistry::start();
        let prefix = format!("{}/mirror/", target.host());
        let output = program(story.home.path(), &["sync", "-r", &prefix]).output().expect("an output");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        target.tags()
    };
    let before = mirrored();
    story.expect(&[], 0);
    assert_eq!(mirrored(), before);
    assert_eq!(before.len(), 4);
}

#[test]
fn check_asks_nobody_and_fails_at_what_floats() {
    let story = Story::new(TestRegistry::start()).lists(LIST);
    let told = story.expect(&["--check"], 3);
    for place in
        ["external-images.yaml:3:13: floats: ", "external-images.yaml:4:14: floats: ", "yaml:6:13: floats: "]
    {
        assert!(told.contains(place), "{told}");
    }
    assert!(!told.contains("yaml:5:"), "{told}");
    assert!(told.contains("3 of 4 sources without a digest. Exit code 3."), "{told}");
    assert!(story.source.requests().is_empty());
    story.assert_text("external-images.yaml", LIST);
    story.expect(&[], 0);
    story.source.clear_log();
    assert!(story.expect(&["--check"], 0).contains("0 of 4 sources without a digest."));
    assert!(story.source.requests().is_empty());
}

#[test]
fn update_takes_the_digest_that_the_tag_has_now() {
    let list = "images:\n  - source: SOURCE/team/app:1@ONE # moved\n  - source: SOURCE/team/app:2@TWO\n  \
                - source: SOURCE/team/app@ONE\n    tag: old\n  - source: SOURCE/team/base\n";
    let story = Story::new(TestRegistry::start()).lists(list);
    let new = put_image(&story.source.memory, "team/app", Some("1"), &[b"new"]).digest;
    let told = story.expect(&["--update"], 0);
    let expected = list.replacen("app:1@ONE", &format!("app:1@{new}"), 1).replace("base", "base:latest@BASE");
    story.assert_text("external-images.yaml", &expected);
    let host = story.source.host();
    assert!(told.contains(&format!(":2:13: updated: {host}/team/app:1 {} → {new}\n", story.one)), "{told}");
    assert!(told.contains(":4:13: kept: ") && told.contains("no tag in its source"), "{told}");
    assert!(told.contains("1 pinned, 1 updated, 2 kept"), "{told}");
    // Without it, what is pinned is nobody's business.
    put_image(&story.source.memory, "team/app", Some("2"), &[b"newer"]);
    story.expect(&[], 0);
    story.assert_text("external-images.yaml", &expected);
}

#[test]
fn nothing_is_written_if_one_look_up_fails_and_all_that_failed_are_told() {
    let list = "images:\n  - source: SOURCE/team/app:1\n  - source: SOURCE/team/app:none\n  \
                - source: SOURCE/team/broken:1\n";
    let story = Story::new(TestRegistry::start()).lists(list);
    story.source.on_request(|request| {
        request.uri.path().contains("broken").then(|| Fault::body(403, "application/json", "{}"))
    });
    let told = story.expect(&[], 1);
    story.assert_text("external-images.yaml", list);
    let host = story.source.host();
    assert!(
        told.contains(&format!(":3:13: failed: {host}/team/app:none: {host} does not have it")),
        "{told}"
    );
    assert!(told.contains(&format!(":4:13: failed: {host}/team/broken:1: failed to ")), "{told}");
    assert!(
        told.contains(":2:13: not pinned: ") && told.contains("2 problems; nothing is written. Exit code 1."),
        "{told}"
    );
}

#[test]
fn nobody_is_asked_for_what_the_policy_does_not_allow() {
    let list = "images:\n  - source: SOURCE/team/app:1\n  - source: SOURCE/team/base\n";
    let story = Story::new(TestRegistry::start()).lists(list);
    story.write("policy.yaml", "allowedSources: [\"SOURCE/team/app\"]\n");
    let told = story.expect(&["--policy-file", "policy.yaml"], 3);
    story.assert_text("external-images.yaml", list);
    assert!(
        told.contains(":3:13: refused: ") && told.contains("`allowedSources` (policy.yaml:1:17)"),
        "{told}"
    );
    assert_eq!(story.manifest_requests(), ["HEAD /v2/team/app/manifests/1 200"]);
}

#[test]
fn several_lists_are_pinned_each_behind_its_link() {
    let story = Story::new(TestRegistry::start()).lists("images:\n  - source: SOURCE/team/app:1\n");
    fs::create_dir(story.home.path().join("deep")).expect("a folder");
    story.write("deep/real.yaml", "{\"images\": [{\"source\": \"SOURCE/team/app:2\"}]}");
    story.write("kept.yaml", "images: []\n");
    symlink("deep/real.yaml", story.home.path().join("link.yaml")).expect("a link");
    let lists =
        ["-i", "external-images.yaml", "-i", "link.yaml", "-i", "kept.yaml", "-i", "external-images.yaml"];
    let told = story.expect(&lists, 0);
    story.assert_text("external-images.yaml", "images:\n  - source: SOURCE/team/app:1@ONE\n");
    story.assert_text("deep/real.yaml", "{\"images\": [{\"source\": \"SOURCE/team/app:2@TWO\"}]}");
    assert!(fs::symlink_metadata(story.home.path().join("link.yaml")).expect("a link").is_symlink());
    assert!(told.contains("written: external-images.yaml, link.yaml."), "{told}");
}

/// One list that cannot be pinned keeps all from being written.
#[test]
fn what_cannot_be_edited_is_told_and_nothing_is_written() {
    let list = "images:\n  - source: SOURCE/team/app:1\n";
    let shared = "images:\n  - source: &x base\n  - source: SOURCE/team/app:2\n    target: *x\n";
    let story = Story::new(TestRegistry::start()).lists(list);
    story.write("shared.yaml", shared);
    put_image(&story.source.memory, "library/base", Some("latest"), &[b"base"]);
    let endpoint = format!("docker.io={}", story.source.url());
    let lists = ["-i", "external-images.yaml", "-i", "shared.yaml", "--endpoint", &endpoint];
    let told = story.expect(&lists, 1);
    assert!(told.contains("shared.yaml:4:13: this is the text of the source on line 2"), "{told}");
    assert!(
        told.contains("error: nothing is written") && told.contains("Not all could be written"),
        "{told}"
    );
    story.assert_text("external-images.yaml", list);
    story.assert_text("shared.yaml", shared);
}

#[test]
fn json_is_as_the_schema_that_the_program_prints() {
    let story = Story::new(TestRegistry::start()).lists(LIST);
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = program(story.home.path(), arguments).output().expect("an output");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let validator = jsonschema::validator_for(&json(&["schema", "pin"])).expect("a schema");
    let check = |document: &serde_json::Value| {
        let faults: Vec<String> = validator.iter_errors(document).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    };
    let checked = json(&["pin", "--check", "--format", "json"]);
    check(&checked);
    assert_eq!((&checked["exit_code"], &checked["sources"][0]["state"]), (&3.into(), &"floats".into()));
    let pinned = json(&["pin", "--format", "json"]);
    check(&pinned);
    assert_eq!(pinned["changed"][0], "external-images.yaml");
    let first = &pinned["sources"][0];
    assert_eq!((&first["state"], &first["digest"]), (&"pinned".into(), &story.one.to_string().into()));
    assert_eq!((&first["line"], &first["digest_before"]), (&3.into(), &serde_json::Value::Null));
    assert_eq!(pinned["sources"][2]["state"], "kept");
}

#[test]
fn sources_are_asked_with_the_logins_of_the_docker_configuration() {
    let source = TestRegistry::builder().auth(Auth::basic("us", "secret")).start();
    let story = Story::new(source).lists("images:\n  - source: SOURCE/team/app:1\n");
    let told = story.expect(&[], 1);
    assert!(told.contains("failed: "), "{told}");
    fs::create_dir(story.home.path().join(".docker")).expect("a folder");
    // `us:secret`
    story.write(".docker/config.json", "{\"auths\":{\"SOURCE\":{\"auth\":\"dXM6c2VjcmV0\"}}}");
    let told = story.expect(&[], 0);
    assert!(!told.contains("secret"), "{told}");
    story.assert_text("external-images.yaml", "images:\n  - source: SOURCE/team/app:1@ONE\n");
    // What `auth` says comes first, and what it names has to be there.
    let auth = story.filled("\"SOURCE\": {provider: basic, username: us, passwordVariable: TEAM_PASSWORD}");
    let told = story.expect(&["--update", "--auth", &auth], 2);
    assert!(told.contains("the variable TEAM_PASSWORD is not set"), "{told}");
    let mut known = story.pin(&["--update", "--auth", &auth]);
    let output = known.env("TEAM_PASSWORD", "secret").output().expect("an output");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn the_time_is_limited_and_nothing_is_written_after_it() {
    let list = "images:\n  - source: SOURCE/team/app:1\n  - source: SOURCE/team/app:2\n";
    let story = Story::new(TestRegistry::start()).lists(list);
    story.source.on_request(|request| request.uri.path().ends_with("/2").then_some(Fault::Stall));
    let told = story.expect(&["--timeout", "2s"], 1);
    assert!(told.contains("nothing is written. Exit code 1."), "{told}");
    story.assert_text("external-images.yaml", list);
}

#[test]
fn a_list_that_is_wrong_or_not_there_is_told_before_anybody_is_asked() {
    let story =
        Story::new(TestRegistry::start()).lists("images:\n  - source: SOURCE/team/app:1\n    tage: x\n");
    let told = story.expect(&["-i", "external-images.yaml", "-i", "none.yaml"], 2);
    assert!(
        told.contains("external-images.yaml:3:5: ") && told.contains("`none.yaml`: there is no such file"),
        "{told}"
    );
    assert!(story.source.requests().is_empty());
}
