//! Credential helpers: programs that fail in all the ways in which programs fail.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use image_syncer::registry::Helpers;
use serde_json::json;
use tempfile::TempDir;

use crate::support::content::put_image;
use crate::support::scenario::Scenario;
use crate::{PASSWORD, USER, basic, bearer, guarded, helped};

/// Helpers by name, and what they do after they were told the registry.
fn scripts() -> [(&'static str, String); 10] {
    let credential = format!(r#"{{"ServerURL":"x","Username":"{USER}","Secret":"{PASSWORD}"}}"#);
    let identity = format!(r#"{{"ServerURL":"x","Username":"<token>","Secret":"{PASSWORD}"}}"#);
    [
        ("good", format!("echo '{credential}'")),
        ("identity", format!("echo '{identity}'")),
        ("counting", format!("echo \"$1 $host\" >> \"$0.log\"; echo '{credential}'")),
        ("absent", "echo 'credentials not found in native keychain'; exit 1".into()),
        ("failing", format!("echo '{credential}'; exit 7")),
        ("garbage", format!("echo 'Password: {PASSWORD}'")),
        ("endless", "exec sleep 60".into()),
        ("family", "sleep 60 & echo $! > \"$0.child\"; wait".into()),
        ("flood", "exec yes".into()),
        ("deaf", format!("echo '{credential}'; exit 0")),
    ]
}

/// The folder of the helpers. They are all written before the first one is run: a program that is still
/// open for writing in a process that was just forked cannot be run.
fn folder() -> &'static TempDir {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, does) in scripts() {
            let path = folder.path().join(format!("docker-credential-{name}"));
            let listens = if name == "deaf" { "" } else { "read -r host\n" };
            std::fs::write(&path, format!("#!/bin/sh\n{listens}{does}\n")).expect("a script");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a script");
        }
        folder
    })
}

fn how() -> Helpers {
    let path = format!("{}:/usr/bin:/bin", folder().path().display());
    Helpers { patience: Duration::from_secs(5), path: Some(path.into()) }
}

/// Two images of a source whose credentials a helper has.
fn story(auth: fn() -> crate::support::auth::Auth, helper: &str, how: Helpers) -> Scenario {
    let mut story = guarded(auth);
    for name in ["team/a", "team/b"] {
        put_image(&story.source.memory, name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    helped(story, helper, how)
}

/// Both images fail with a cause that says so, and nothing was tried anonymously.
#[track_caller]
fn fails(helper: &str, how: Helpers, says: &str) {
    let story = story(bearer, helper, how);
    let began = Instant::now();
    let told = story.sync();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    told.expect(&["blocked", "blocked"]);
    let cause = told.cause(0);
    assert!(cause.contains(&format!("the credential helper docker-credential-{helper} {says}")), "{cause}");
    assert!(cause.contains(&format!("try `echo {} | docker-credential-{helper} get`", story.source.host())));
    assert!(!told.0.json().contains(PASSWORD));
    assert_eq!(story.source.requests().len(), 0);
}

#[test]
fn a_helper_is_asked() {
    story(basic, "good", how()).sync().expect(&["copied", "copied"]);
    story(bearer, "good", how()).sync().expect(&["copied", "copied"]);
    story(bearer, "identity", how()).sync().expect(&["copied", "copied"]);
}

#[test]
fn a_helper_that_does_not_listen_is_understood() {
    story(basic, "deaf", how()).sync().expect(&["copied", "copied"]);
}

#[test]
fn a_helper_is_asked_once_a_run_and_registry() {
    let story = story(bearer, "counting", how());
    story.sync().expect(&["copied", "copied"]);
    let log = folder().path().join("docker-credential-counting.log");
    let log = std::fs::read_to_string(log).expect("a log");
    assert_eq!(log, format!("get {}\n", story.source.host()));
}

#[test]
fn a_helper_that_knows_nothing_is_nobody() {
    let story = story(bearer, "absent", how());
    story.sync().expect(&["copied", "copied"]);
    assert!(story.source.token_requests().iter().all(|token| token.user.is_none()));
}

#[test]
fn a_helper_that_is_missing() {
    fails("missing", how(), "is named in the docker configuration but not installed");
}

#[test]
fn a_helper_that_fails() {
    fails("failing", how(), "failed with exit status: 7");
}

#[test]
fn a_helper_that_prints_something_else() {
    fails("garbage", how(), "printed something that is no `{\"Username\":…,\"Secret\":…}`");
}

#[test]
fn a_helper_that_hangs() {
    fails(
        "endless",
        Helpers { patience: Duration::from_millis(300), ..how() },
        "did not answer within 0.3 s",
    );
}

/// What it started itself hangs on no longer than it does.
#[test]
fn a_helper_that_hangs_ends_with_all_that_it_started() {
    fails("family", Helpers { patience: Duration::from_millis(500), ..how() }, "did not answer within 0.5 s");
    let child = std::fs::read_to_string(folder().path().join("docker-credential-family.child"));
    let child = child.expect("a process").trim().to_owned();
    // Whoever is to bury it may take a moment: one that is dead has the state Z.
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    let began = Instant::now();
    while is_alive() {
        assert!(began.elapsed() < Duration::from_secs(20), "{child} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_helper_that_prints_without_end() {
    fails("flood", how(), "printed more than 65536 bytes");
}

#[test]
fn a_helper_with_a_path_in_its_name_is_not_run() {
    fails("../../bin/good", how(), "has a name with a path in it");
}

/// It is no right that is lacking, so that a plan does not pass over it either.
#[test]
fn a_missing_helper_for_the_target_blocks_a_plan() {
    let mut story = Scenario::new().lists("team/a:1");
    put_image(&story.source.memory, "team/a", Some("1"), &[b"a"]);
    let config = json!({ "credHelpers": { story.target.host(): "nowhere" } });
    story = story.credentials(crate::configured(&config).with_helpers(how()));
    let told = story.plan();
    told.expect(&["blocked"]);
    assert!(told.cause(0).contains("docker-credential-nowhere is named"), "{}", told.cause(0));
    assert_eq!(story.target.requests().len(), 0);
}
