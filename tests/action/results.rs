//! Outputs, summary, annotations, check run, log.

use std::convert::Infallible;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream::pending;
use serde_json::{Value, json};

use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::workflow::{LIST, Step, Workflow};

fn put(workflow: &Workflow, tag: &str) {
    put_image(&workflow.source.memory, "team/app", Some(tag), &[tag.as_bytes()]);
}

#[test]
fn a_sync_tells_its_results_everywhere() {
    let workflow = Workflow::new().input("check-run", Some("true"));
    put(&workflow, "1");
    put(&workflow, "2");
    let at = format!("mirror/{}/team/app", workflow.source.host().replace(':', "_"));
    put_image(&workflow.target.memory, &at, Some("2"), &[b"other"]);
    let entries = ["source: SOURCE/team/app:1", "source: SOURCE/team/app:2", "source: SOURCE/team/app"];
    workflow.check_out(LIST, &workflow.list(&entries));
    let step = workflow.run("push", &json!({}));
    step.expect(1, "failed");
    let output = |name: &str| step.outputs[name].as_str();
    assert_eq!(
        (output("copied"), output("up-to-date"), output("conflicts"), output("failed")),
        ("1", "0", "1", "1")
    );
    let images: Vec<Value> = serde_json::from_str(output("images")).expect("JSON");
    assert_eq!(images.len(), 3);
    let copied = images.iter().find(|image| image["outcome"] == "copied").expect("the copied one");
    assert!(
        copied["target"].as_str().is_some_and(|target| target.contains("/team/app:1@sha256:")),
        "{copied}"
    );
    assert_eq!(output("plan-digest").len(), 64);
    let report = std::fs::read_to_string(workflow.workspace().join(output("report-file"))).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["plan_digest"], format!("sha256:{}", output("plan-digest")));
    assert_eq!(report["exit_code"], 1);
    assert!(step.summary.starts_with("## ❌ Sync: 1 conflict, 1 blocked, 1 copied\n"), "{}", step.summary);

    let annotations = step.annotations();
    let is_there = |start: &str| annotations.iter().any(|it| it.starts_with(start));
    assert!(is_there("error external-images.yaml:3: The tag `2` is at the target"), "{annotations:?}");
    assert!(is_there("error external-images.yaml:4: source: failed to read manifest"), "{annotations:?}");
    assert!(is_there("warning external-images.yaml:4: "), "{annotations:?}");

    let runs = workflow.github.check_runs();
    assert_eq!(
        (runs.len(), &runs[0]["conclusion"], &runs[0]["name"]),
        (1, &json!("failure"), &json!("image-syncer"))
    );
    assert_eq!(runs[0]["head_sha"], json!("f".repeat(40)));
    let on_lines = runs[0]["output"]["annotations"].as_array().expect("a list");
    assert_eq!(on_lines.len(), 3);
    assert_eq!((&on_lines[0]["path"], &on_lines[0]["start_line"]), (&json!(LIST), &json!(3)));

    let commands = step.commands();
    let groups = commands.iter().filter(|it| it.name == "group").count();
    assert_eq!(groups, commands.iter().filter(|it| it.name == "endgroup").count());
    assert!(groups >= 3, "a group for each image");
}

#[test]
fn what_is_not_wanted_is_not_written() {
    let workflow = Workflow::new().input("summary", Some("false")).input("annotations", Some("false"));
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/gone:1"]));
    let step = workflow.run("push", &json!({}));
    step.expect(1, "failed");
    assert_eq!(step.summary, "");
    assert_eq!(step.annotations(), Vec::<String>::new());
    assert_eq!(workflow.github.check_runs().len(), 0);
}

#[test]
fn more_annotations_than_github_takes_are_counted() {
    let workflow = Workflow::new();
    let entries: Vec<String> = (0..25).map(|number| format!("source: SOURCE/team/gone{number}:1")).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    workflow.check_out(LIST, &workflow.list(&entries));
    let step = workflow.run("push", &json!({}));
    let annotations = step.annotations();
    assert_eq!(annotations.len(), 10);
    assert!(annotations[9].contains("and 15 more errors"), "{annotations:?}");
}

#[test]
fn mistakes_in_the_list_are_annotated_where_they_are() {
    let workflow = Workflow::new();
    workflow.check_out(LIST, "images:\n  - sourc: org/app:1\n  - source: org/app:1\n    tage: x\n");
    let step = workflow.run("push", &json!({}));
    step.expect(2, "failed");
    let annotations = step.annotations();
    assert_eq!(annotations.len(), 2, "{annotations:?}");
    assert!(annotations[0].starts_with("error external-images.yaml:2: "), "{annotations:?}");
    assert!(annotations[1].starts_with("error external-images.yaml:4: "), "{annotations:?}");
    assert!(step.summary.contains("The list cannot be used"), "{}", step.summary);
}

/// Starts the step, sends it SIGINT as soon as `there` is set, and asserts that it ends before the
/// runner kills it, after 7.5 seconds.
fn cancelled_once(there: &AtomicBool, workflow: &Workflow, command: &mut Command) -> Step {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
    let began = Instant::now();
    while !there.load(Ordering::SeqCst) {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came so far");
        std::thread::sleep(Duration::from_millis(20));
    }
    let cancelled = Instant::now();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    let step = workflow.step(&child.wait_with_output().expect("an output"));
    assert!(cancelled.elapsed() < Duration::from_secs(7), "{:?}", cancelled.elapsed());
    step
}

#[test]
fn a_cancelled_run_ends_soon_with_a_partial_summary() {
    let workflow = Workflow::new();
    put(&workflow, "1");
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
    let slow = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&slow);
    workflow.source.on_request(move |parts| {
        parts.uri.path().contains("/blobs/").then(|| {
            seen.store(true, Ordering::SeqCst);
            Fault::Stall
        })
    });
    let mut command = workflow.command("push", &json!({}));
    let step = cancelled_once(&slow, &workflow, &mut command);
    step.expect(130, "failed");
    assert!(step.summary.contains("not run") || step.summary.contains("not-run"), "{}", step.summary);
    assert!(workflow.target.tags().is_empty());
}

/// Also before there is anything to do: the first process of a container has to listen.
#[test]
fn a_run_that_waits_for_github_can_be_cancelled() {
    let workflow = Workflow::new();
    let (base, head) =
        (workflow.commit("images: []\n"), workflow.commit(&workflow.list(&["source: SOURCE/x:1"])));
    workflow.github.move_head(&head);
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    workflow.github.on_request(move |_| {
        seen.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(3));
        None
    });
    let mut command = workflow.command("pull_request", &crate::workflow::pull_request(&base, &head, false));
    let step = cancelled_once(&asked, &workflow, &mut command);
    step.expect(130, "failed");
    assert!(step.summary.contains("The run was interrupted"), "{}", step.summary);
}

/// A pull request with an image that is not there, and a GitHub that begins an answer at such a path and never ends it.
fn told_to_nobody(silent: &'static str) -> (Workflow, Value, Arc<AtomicBool>) {
    let workflow =
        Workflow::new().input("allow-private-networks", Some("true")).input("check-run", Some("true"));
    let list = workflow.list(&["source: SOURCE/team/gone:1"]);
    let (base, head) = (workflow.commit("images: []\n"), workflow.commit(&list));
    workflow.github.move_head(&head);
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    workflow.github.on_request(move |request| {
        let is_it = request.path.contains(silent);
        seen.fetch_or(is_it, Ordering::SeqCst);
        is_it.then(|| Response::new(Body::from_stream(pending::<Result<Bytes, Infallible>>())))
    });
    let event = crate::workflow::pull_request(&base, &head, false);
    (workflow, event, asked)
}

#[track_caller]
fn assert_all_but_github_is_told(step: &Step, why: &str) {
    step.expect(1, "failed");
    assert_eq!(step.outputs["failed"], "1");
    assert!(step.summary.contains("1 blocked"), "{}", step.summary);
    let annotations = step.annotations();
    let is_there = |start: &str, what: &str| {
        annotations.iter().any(|it| it.starts_with(start) && it.contains(what) && it.contains(why))
    };
    assert!(is_there("warning :: ", "in time") || is_there("warning :: ", "not written"), "{annotations:?}");
    assert!(
        annotations.iter().any(|it| it.starts_with("error external-images.yaml:2: source: ")),
        "{annotations:?}"
    );
}

/// Results that are there already are not lost with those that GitHub does not take.
#[test]
fn a_run_that_tells_its_results_can_be_cancelled() {
    for silent in ["/comments", "graphql", "check-runs"] {
        let (workflow, event, asked) = told_to_nobody(silent);
        let mut command = workflow.command("pull_request", &event);
        let step = cancelled_once(&asked, &workflow, &mut command);
        assert_all_but_github_is_told(&step, "The run was interrupted");
        // What is asked for before the check run is not lost with it.
        assert_eq!(step.outputs["comment-url"].is_empty(), silent != "check-runs");
    }
}

/// A killed process tells nothing more: what the next steps go by is there before GitHub is asked for anything.
#[test]
fn outputs_are_there_before_github_is_asked_for_anything() {
    let (workflow, event, asked) = told_to_nobody("/comments");
    let mut command = workflow.command("pull_request", &event);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
    while !asked.load(Ordering::SeqCst) {
        assert!(child.try_wait().expect("a process").is_none(), "it never came so far");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("a process");
    let step = workflow.step(&child.wait_with_output().expect("an output"));
    assert_eq!(step.outputs["result"], "failed");
    assert!(step.summary.contains("1 blocked"), "{}", step.summary);
}

/// The time limit is the whole run's: GitHub would be waited for much longer.
#[test]
fn the_time_limit_holds_for_what_is_told_as_well() {
    let (workflow, event, _) = told_to_nobody("check-runs");
    let workflow = workflow.input("timeout", Some("2s")).input("comment", Some("never"));
    let step = workflow.step(&workflow.command("pull_request", &event).output().expect("an output"));
    assert_eq!(step.outputs["result"], "failed");
    let annotations = step.annotations();
    let why = "warning :: the check run was not made in time. The run's time limit was reached";
    assert!(annotations.iter().any(|it| it.starts_with(why)), "{annotations:?}");
}
