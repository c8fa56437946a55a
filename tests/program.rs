//! The built program, as people run it.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use http::Method;
use support::content::put_image;
use support::fault::Fault;
use support::registry::TestRegistry;

/// The program with nothing of our surroundings but a home that is empty.
fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home).stdin(Stdio::null());
    command
}

/// A home with a list of `team/app:1` and `team/app:2` of `source`.
fn home_with_list(source: &TestRegistry) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let host = source.host();
    let list = format!("images:\n  - source: {host}/team/app:1\n  - source: {host}/team/app:2\n");
    std::fs::write(home.path().join("external-images.yaml"), list).expect("a list");
    home
}

fn two_images(source: &TestRegistry) {
    put_image(&source.memory, "team/app", Some("1"), &[b"one"]);
    put_image(&source.memory, "team/app", Some("2"), &[b"two"]);
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn mirror(target: &TestRegistry) -> String {
    format!("{}/mirror/", target.host())
}

fn at_target(source: &TestRegistry) -> String {
    format!("mirror/{}/team/app", source.host().replace(':', "_"))
}

#[test]
fn the_demo_tells_its_story_in_seconds() {
    let home = tempfile::tempdir().expect("a folder");
    let kept = home.path().join("kept");
    let started = Instant::now();
    let output = program(home.path()).arg("demo").arg("--keep").arg(&kept).output().expect("an output");
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(started.elapsed() < Duration::from_secs(60));
    for part in ["4 to copy", "4 copied", "Nothing to do", "1 conflict", "Exit code 3", "What to try next"] {
        assert!(told.contains(part), "`{part}` is missing:\n{told}");
    }
    let report = std::fs::read(kept.join("report-4.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["items"][0]["outcome"], "conflict");
    assert!(kept.join("mirror/index.json").is_file());
}

#[test]
fn kymas_command_line_runs_unchanged() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    two_images(&source);
    let home = home_with_list(&source);
    let key = home.path().join("key.json");
    std::fs::write(&key, r#"{"type":"service_account","client_email":"a@b.example","private_key":"k"}"#)
        .expect("a key");
    let run = |dry_run: &str| {
        let output = program(home.path())
            .args(["--images-file", "external-images.yaml", "--target-repo-auth-key"])
            .arg(&key)
            .arg(dry_run)
            .env("SYNCER_TARGET_REPO_PREFIX", mirror(&target))
            .output()
            .expect("an output");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    };
    run("--dry-run=true");
    assert!(target.writes().is_empty());
    run("--dry-run=false");
    assert_eq!(target.tags().len(), 2);
}

#[test]
fn reports_go_where_they_were_asked_for() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    two_images(&source);
    let home = home_with_list(&source);
    let run = || {
        let output = program(home.path())
            .args(["sync", "--report", "report.json", "--summary", "summary.md", "--format", "json"])
            .args(["-r", &mirror(&target)])
            .output()
            .expect("an output");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        output.stdout
    };
    let printed: serde_json::Value = serde_json::from_slice(&run()).expect("JSON");
    let written = std::fs::read(home.path().join("report.json")).expect("a report");
    assert_eq!(printed, serde_json::from_slice::<serde_json::Value>(&written).expect("JSON"));
    assert_eq!(printed["items"][1]["outcome"], "copied");
    run();
    let summary = std::fs::read_to_string(home.path().join("summary.md")).expect("a summary");
    assert!(summary.contains("copied") && summary.contains("up to date"), "appended:\n{summary}");
}

/// What the program prints is what its schemas say, a plan's being the narrower one.
#[test]
fn json_is_as_the_schema_that_the_program_prints() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    two_images(&source);
    let home = home_with_list(&source);
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = program(home.path()).args(arguments).output().expect("an output");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let validator = |name: &str| jsonschema::validator_for(&json(&["schema", name])).expect("a schema");
    let (of_plans, of_reports) = (validator("plan"), validator("report"));
    let run = |command: &str| json(&[command, "--format", "json", "-r", &mirror(&target)]);
    let planned = run("plan");
    for (validator, document) in [(&of_plans, &planned), (&of_reports, &planned), (&of_reports, &run("sync"))]
    {
        let faults: Vec<String> = validator.iter_errors(document).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
    assert!(of_plans.is_valid(&run("plan")), "nothing to do is a plan, too");
    assert!(!of_plans.is_valid(&run("sync")), "a sync is no plan");
}

#[test]
fn what_is_wrong_with_a_list_is_said_at_once_and_with_its_place() {
    let home = tempfile::tempdir().expect("a folder");
    let list = "images:\n  - source: \"a:b:c\"\n  - source: busybox:1\n    tage: x\n";
    std::fs::write(home.path().join("external-images.yaml"), list).expect("a list");
    let output = program(home.path()).args(["-r", "r.example.com/m/"]).output().expect("an output");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("external-images.yaml:2:13: "), "{said}");
    assert!(said.contains("external-images.yaml:4:5: ") && said.contains("`tag`"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_variable_that_does_not_parse_never_means_a_live_run() {
    let home = tempfile::tempdir().expect("a folder");
    for typed in [None, Some("--dry-run=false")] {
        let mut program = program(home.path());
        let output = program.args(typed).env("SYNCER_DRY_RUN", "yes").output().expect("an output");
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains("SYNCER_DRY_RUN"), "{}", text(&output));
    }
}

#[test]
fn a_signal_ends_the_run_with_a_partial_report() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (source, target) = (TestRegistry::start(), TestRegistry::start());
        two_images(&source);
        let stuck = source.manifest("team/app", "2").expect("a manifest").parse().expect("a manifest");
        let layer = stuck.layers()[0].digest.to_string();
        source
            .on_request(move |request| request.uri.path().ends_with(&layer).then_some(Fault::StallAfter(1)));
        let home = home_with_list(&source);
        let child = program(home.path())
            .args(["--report", "report.json", "-r", &mirror(&target)])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let began = Instant::now();
        while target.tag(&at_target(&source), "1").is_none() && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        let asked = Instant::now();
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
        assert!(killed.success());
        let output = child.wait_with_output().expect("an output");
        assert!(asked.elapsed() < Duration::from_secs(20));
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        let report = std::fs::read(home.path().join("report.json")).expect("a report");
        let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
        assert_eq!(report["items"][0]["outcome"], "copied");
        assert_eq!(report["items"][1]["outcome"], "not-run");
        assert_eq!(target.tag(&at_target(&source), "2"), None);
    }
}

/// Nothing was decided of an image that nobody looked at: it is neither blocked nor anything else.
#[test]
fn what_nobody_looked_at_is_not_called_blocked() {
    for (arguments, signal, code) in [
        (["plan", "--timeout", "30m"], Some("-INT"), 130),
        (["plan", "--timeout", "2s"], None, 1),
        (["sync", "--timeout", "2s"], None, 1),
    ] {
        let (source, target) = (TestRegistry::start(), TestRegistry::start());
        two_images(&source);
        source.on_request(|request| request.uri.path().ends_with("/manifests/2").then_some(Fault::Stall));
        let home = home_with_list(&source);
        let child = program(home.path())
            .args(arguments)
            .args(["--report", "report.json", "-r", &mirror(&target)])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        if let Some(signal) = signal {
            let began = Instant::now();
            while source.count(&Method::GET, "/manifests/1") == 0 && began.elapsed() < Duration::from_secs(60)
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(500));
            let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
            assert!(killed.success());
        }
        let output = child.wait_with_output().expect("an output");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        let report = std::fs::read(home.path().join("report.json")).expect("a report");
        let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
        let (looked_at, unseen) = (&report["items"][0], &report["items"][1]);
        assert_eq!((&looked_at["decision"], &looked_at["outcome"]), (&"copy".into(), &"not-run".into()));
        assert_eq!((&unseen["decision"], &unseen["outcome"]), (&serde_json::Value::Null, &"not-run".into()));
        assert_eq!(unseen["cause"], serde_json::Value::Null);
        assert_eq!(report["totals"]["decisions"]["blocked"], 0);
        assert!(!text(&output).contains("blocked"), "{}", text(&output));
    }
}

#[test]
fn what_was_killed_leaves_no_tag_and_the_next_run_completes() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    two_images(&source);
    let image = source.manifest("team/app", "2").expect("a manifest");
    let layer = image.parse().expect("a manifest").layers()[0].digest.to_string();
    source.on_request(move |request| request.uri.path().ends_with(&layer).then_some(Fault::StallAfter(1)));
    let home = home_with_list(&source);
    let mut command = program(home.path());
    command.args(["-r", &mirror(&target)]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a process");
    let began = Instant::now();
    // Somewhere in the middle of the layer: its upload has begun and does not end.
    while target.tag(&at_target(&source), "1").is_none() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("killed");
    child.wait().expect("an end");
    assert_eq!(target.tag(&at_target(&source), "2"), None);
    source.heal();
    source.clear_log();
    let output = program(home.path()).args(["-r", &mirror(&target)]).output().expect("an output");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(target.manifest(&at_target(&source), "2"), Some(image));
    // The config had arrived, and was not fetched again.
    assert_eq!(source.count(&Method::GET, "/blobs/"), 1);
}

#[test]
fn what_the_program_prints_into_a_closed_pipe_is_no_crash() {
    let home = tempfile::tempdir().expect("a folder");
    let mut child = program(home.path()).arg("schema").stdout(Stdio::piped()).spawn().expect("a process");
    drop(child.stdout.take());
    let status = child.wait().expect("an end");
    assert_eq!(status.code(), Some(0));
}

/// A report that nobody can write would be missed only after the run.
#[test]
fn a_place_for_the_report_that_is_not_there_is_said_before_the_run() {
    let source = TestRegistry::start();
    let home = home_with_list(&source);
    for option in ["--report", "--summary"] {
        let output = program(home.path())
            .args(["plan", "-r", "127.0.0.1:1/m/", option, "no/such/file"])
            .output()
            .expect("an output");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(
            text(&output).contains(&format!("{option}: there is no folder no/such")),
            "{}",
            text(&output)
        );
    }
    assert_eq!(source.requests().len(), 0);
}
