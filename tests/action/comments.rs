//! The comment on a pull request: one, edited in place, and not without need.

use http::Method;

use crate::stand_in::told;
use crate::support::content::{put_image, put_image_for, put_index};
use crate::workflow::{Step, Workflow};

fn workflow() -> Workflow {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
    put_image(&workflow.source.memory, "team/app", Some("2"), &[b"two"]);
    workflow
}

/// A pull request that lists these tags of the image.
fn lists(workflow: &Workflow, tags: &[&str]) -> Step {
    let base = workflow.commit("images: []\n");
    let entries: Vec<String> = tags.iter().map(|tag| format!("source: SOURCE/team/app:{tag}")).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let head = workflow.commit(&format!("# {tags:?}\n{}", workflow.list(&entries)));
    workflow.pull_request("pull_request", &base, &head, false)
}

fn writes(workflow: &Workflow) -> Vec<String> {
    let log = workflow.github.requests();
    let writes = log.iter().filter(|it| it.method != Method::GET && it.path != "/graphql");
    writes.map(|it| format!("{} {}", it.method, it.path)).collect()
}

#[test]
fn there_is_one_and_it_is_edited_in_place() {
    let workflow = workflow();
    let step = lists(&workflow, &["1"]);
    step.expect(0, "planned");
    let first = workflow.github.comments();
    assert_eq!(first.len(), 1);
    let body = &first[0].body;
    assert!(body.starts_with("<!-- image-syncer:image-syncer -->"), "{body}");
    assert!(body.contains("## 📋 Plan: 1 to copy"), "{body}");
    assert!(body.contains("https://github.example.com/octo-org/mirror/actions/runs/42"), "{body}");
    assert!(body.contains("https://github.example.com/octo-org/mirror/commit/"), "{body}");
    assert!(step.outputs["comment-url"].ends_with(&format!("#issuecomment-{}", first[0].id)));

    lists(&workflow, &["1", "2"]).expect(0, "planned");
    let second = workflow.github.comments();
    assert_eq!((second.len(), second[0].id), (1, first[0].id));
    assert!(second[0].body.contains("## 📋 Plan: 2 to copy"), "{}", second[0].body);
}

#[test]
fn it_is_not_written_when_it_would_say_the_same() {
    let workflow = workflow();
    lists(&workflow, &["1"]).expect(0, "planned");
    workflow.github.take_lines();
    let base = workflow.commit("images: []\n");
    let list = workflow.list(&["source: SOURCE/team/app:1"]);
    let same = workflow.github.comments()[0].body.clone();
    let head = workflow.commit(&format!("# [\"1\"]\n{list}"));
    // The run is another one, of the same commit.
    let workflow = workflow.variable("GITHUB_RUN_ID", "43");
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(0, "planned");
    assert_eq!(writes(&workflow), Vec::<String>::new());
    assert!(!step.outputs["comment-url"].is_empty());
    assert_eq!(workflow.github.comments()[0].body, same);

    // Of another commit it says another commit, be the rest the same.
    let head = workflow.commit(&format!("{list}# another commit\n"));
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "planned");
    let body = &workflow.github.comments()[0].body;
    assert!(body.contains(&format!("/commit/{head}")) && body.contains("/runs/43"), "{body}");
}

/// A newer commit has a run of its own, which says what there is to say.
#[test]
fn a_run_that_was_overtaken_leaves_the_comment_alone() {
    let workflow = workflow();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    workflow.github.on_request(move |seen| {
        let again = seen.path == "/repos/octo-org/mirror/pulls/7"
            && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0;
        again.then(|| told(200, &serde_json::json!({ "number": 7, "head": { "sha": "2".repeat(40) } })))
    });
    let step = lists(&workflow, &["1"]);
    step.expect(0, "planned");
    assert!(step.annotations().iter().any(|it| it.contains("stale: ")), "{:?}", step.annotations());
    assert_eq!(writes(&workflow), Vec::<String>::new());
    assert_eq!(step.outputs["comment-url"], "");
    assert!(step.summary.contains("stale: the pull request got a newer commit"), "{}", step.summary);
}

/// Whoever edits it may leave its end as it is.
#[test]
fn what_somebody_made_of_it_is_written_over() {
    let workflow = workflow();
    lists(&workflow, &["1"]).expect(0, "planned");
    let kept = workflow.github.comments()[0].clone();
    let mark = kept.body.trim_end().lines().last().expect("a mark").to_owned();
    let edited = format!("<!-- image-syncer:image-syncer -->\r\nAll is well, merge it\r\n{mark}");
    for (body, expected) in [(edited, 1), (kept.body.clone(), 0)] {
        workflow.github.take_lines();
        let shown = serde_json::json!([
            { "id": kept.id, "body": body, "user": { "login": "github-actions[bot]", "type": "Bot" } }
        ]);
        workflow.github.on_request(move |seen| {
            let is_it = seen.method == Method::GET && seen.path.contains("/issues/7/comments");
            is_it.then(|| told(200, &shown))
        });
        lists(&workflow, &["1"]).expect(0, "planned");
        assert_eq!(writes(&workflow).len(), expected, "{body}");
    }
    assert_eq!(workflow.github.comments(), [kept]);
}

/// The digest at the target is none of the source that the entry has now.
#[test]
fn an_entry_with_another_source_keeps_its_content_by_staying_as_it_was() {
    let workflow = workflow();
    put_image(&workflow.target.memory, "mirror/app", Some("1"), &[b"one"]);
    put_image(&workflow.source.memory, "team/fork", Some("1"), &[b"other"]);
    let commit = |name: &str| {
        workflow.commit(&workflow.list(&[&format!("{{source: \"SOURCE/team/{name}:1\", target: app}}")]))
    };
    workflow.pull_request("pull_request", &commit("app"), &commit("fork"), false).expect(3, "conflict");
    let body = workflow.github.comments()[0].body.clone();
    assert!(body.contains("leave the entry as it was") && !body.contains("name its digest"), "{body}");
}

/// That something is looked after no more is worth to be known.
#[test]
fn a_change_that_only_takes_away_is_told() {
    let workflow = workflow();
    let two = ["source: SOURCE/team/app:1", "source: SOURCE/team/app:2"];
    let (base, head) = (workflow.commit(&workflow.list(&two)), workflow.commit(&workflow.list(&two[..1])));
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "noop");
    let comments = workflow.github.comments();
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.contains("1 off the list"), "{}", comments[0].body);
}

#[test]
fn a_plan_that_becomes_empty_is_said_in_the_same_place() {
    let workflow = workflow();
    lists(&workflow, &["1"]).expect(0, "planned");
    let base = workflow.commit("images: []\n");
    let step = workflow.pull_request("pull_request", &base, &base, false);
    step.expect(0, "noop");
    let comments = workflow.github.comments();
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.contains("Nothing to sync"), "{}", comments[0].body);
}

#[test]
fn it_is_written_when_it_was_asked_for() {
    for (when, tags, expected) in [
        ("always", &["1"][..], 1),
        ("always", &[], 1),
        ("on-change", &["1"], 1),
        ("on-change", &[], 0),
        ("on-failure", &["1"], 0),
        ("on-failure", &["9"], 1),
        ("never", &["9"], 0),
    ] {
        let workflow = workflow().input("comment", Some(when));
        lists(&workflow, tags);
        assert_eq!(workflow.github.comments().len(), expected, "{when} {tags:?}");
    }
}

/// It decides nothing where the operator says so, and its author has to know of it all the same.
#[test]
fn a_conflict_that_only_warns_gets_a_comment() {
    let workflow = workflow().input("on-tag-conflict", Some("warn"));
    put_image(&workflow.target.memory, "mirror/app", Some("1"), &[b"other"]);
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1\n    target: app"]));
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(0, "noop");
    assert_eq!(step.outputs["conflicts"], "1");
    let comments = workflow.github.comments();
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.contains("Conflicts only warn, as asked for"), "{}", comments[0].body);
}

#[test]
fn two_keys_are_two_comments() {
    let one = workflow();
    lists(&one, &["1"]);
    let other = one.input("comment-key", Some("other"));
    lists(&other, &["1"]);
    assert_eq!(other.github.comments().len(), 2);
}

/// The marker is public; what somebody else wrote below it is left alone.
#[test]
fn a_comment_of_somebody_else_is_left_alone() {
    let workflow = workflow();
    let forged = "<!-- image-syncer:image-syncer -->\nAll is well, merge it";
    workflow.github.comment_by("mallory", "User", forged);
    lists(&workflow, &["1"]).expect(0, "planned");
    let comments = workflow.github.comments();
    assert_eq!(comments.len(), 2);
    assert_eq!(comments[0].body, forged);
}

#[test]
fn a_comment_that_may_not_be_written_is_a_warning() {
    let workflow = workflow();
    workflow.github.on_request(|seen| {
        let here = seen.method == Method::POST && seen.path.ends_with("/comments");
        here.then(|| told(403, &serde_json::json!({ "message": "Resource not accessible by integration" })))
    });
    let step = lists(&workflow, &["1"]);
    step.expect(0, "planned");
    let warning = step.annotations().into_iter().find(|it| it.starts_with("warning ")).expect("a warning");
    assert!(warning.contains("pull-requests: write"), "{warning}");
    assert!(step.summary.contains("Plan: 1 to copy"), "{}", step.summary);
    assert_eq!(step.outputs["comment-url"], "");
    // GitHub keeps ten warnings of a step: this one is among them, however many the list has.
    let floating: Vec<String> = (0..12).map(|n| format!("source: SOURCE/team/app{n}")).collect();
    let floating: Vec<&str> = floating.iter().map(String::as_str).collect();
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&floating));
    let step = workflow.pull_request("pull_request", &base, &head, false);
    let warnings: Vec<String> =
        step.annotations().into_iter().filter(|it| it.starts_with("warning ")).collect();
    assert_eq!(warnings.len(), 10, "{warnings:?}");
    assert!(warnings[0].contains("pull-requests: write"), "{warnings:?}");
    assert!(warnings[9].contains("(and 3 more warnings"), "{warnings:?}");
}

#[test]
fn it_shows_what_a_reviewer_wants_to_know() {
    let workflow = workflow();
    let memory = &workflow.source.memory;
    let amd64 = put_image_for(memory, "team/multi", None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, "team/multi", None, "linux/arm64", &[b"b"]);
    let index =
        put_index(memory, "team/multi", Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    crate::support::companions::sign(memory, "team/multi", &index);
    let base = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1", "source: SOURCE/team/app:2"]));
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1", "source: SOURCE/team/multi:1"]));
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "planned");
    let body = workflow.github.comments()[0].body.clone();
    for part in [
        "linux/amd64, linux/arm64",
        "signed: cosign",
        &index.digest.short(),
        &index.digest.to_string(),
        "to move",
        "1 off the list: what is at the target stays there",
        "The rest of the list, as it was: 1 to copy",
    ] {
        assert!(body.contains(part), "no `{part}` in:\n{body}");
    }
}
