//! A sync of what was merged, compared with what was reviewed: by the plan in the comment of the pull request.

use serde_json::{Value, json};

use crate::stand_in::told;
use crate::support::content::put_image;
use crate::workflow::{LIST, Step, Workflow};

const ONE: &str = "source: SOURCE/team/app:1\n    target: app";
const TWO: &str = "source: SOURCE/team/app:2\n    target: app";

fn workflow() -> Workflow {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put(&workflow, "1", "one");
    put(&workflow, "2", "two");
    workflow
}

fn put(workflow: &Workflow, tag: &str, content: &str) -> String {
    let image = put_image(&workflow.source.memory, "team/app", Some(tag), &[content.as_bytes()]);
    image.digest.to_string()
}

/// Has pull request `number` plan these entries, which its base lacks, and merges it; says the commit on main.
fn merged(workflow: &Workflow, number: u64, before: &[&str], entries: &[&str]) -> String {
    let base = workflow.commit(&workflow.list(before));
    let head = workflow.commit(&format!("# {number}\n{}", workflow.list(entries)));
    let step = workflow.review(number, &base, &head);
    assert_eq!(step.outputs["result"], "planned", "{}", step.text);
    let main = workflow.commit(&format!("# merged {number}\n{}", workflow.list(entries)));
    workflow.github.merge(&main, number, &head, "main");
    workflow.check_out(LIST, &workflow.list(entries));
    main
}

fn report(workflow: &Workflow, step: &Step) -> Value {
    let path = workflow.workspace().join(&step.outputs["report-file"]);
    serde_json::from_str(&std::fs::read_to_string(path).expect("a report")).expect("JSON")
}

fn mirrored(workflow: &Workflow, tag: &str) -> Option<String> {
    workflow.target.tag("mirror/app", tag).map(|digest| digest.to_string())
}

#[test]
fn what_was_merged_is_said_to_be_as_reviewed() {
    let workflow = workflow();
    let main = merged(&workflow, 7, &[], &[ONE, TWO]);
    let step = workflow.push(&main);
    step.expect(0, "synced");
    assert!(step.summary.contains("2 as reviewed"), "{}", step.summary);
    assert!(!step.summary.contains("⚠️"), "{}", step.summary);
    let report = report(&workflow, &step);
    assert_eq!(report["review"]["plans"][0]["name"], "#7");
    assert_eq!(report["review"]["plans"][0]["plan_digest"], report["plan_digest"]);
    assert_eq!(report["review"]["note"], Value::Null, "{report}");
    for item in report["items"].as_array().expect("items") {
        assert_eq!(item["review"], json!({"review": "#7", "as_reviewed": true, "differences": []}));
    }
}

#[test]
fn a_source_that_moved_since_the_review_is_told_with_both_digests() {
    let workflow = workflow();
    let main = merged(&workflow, 7, &[], &[ONE, TWO]);
    let old = put(&workflow, "1", "one");
    let new = put(&workflow, "1", "something else");
    let step = workflow.push(&main);
    step.expect(0, "synced");
    assert_eq!(mirrored(&workflow, "1").as_ref(), Some(&new), "a warning stops nothing");
    assert!(step.summary.contains("⚠️ An image is not as it was reviewed."), "{}", step.summary);
    assert!(step.summary.contains("1 as reviewed"), "{}", step.summary);
    let message = format!("not as reviewed in #7: its digest was {old} and is {new}");
    let annotations = step.annotations();
    assert!(annotations.contains(&format!("warning external-images.yaml:2: {message}")), "{annotations:?}");
    let item = &report(&workflow, &step)["items"][0];
    assert_eq!(
        item["review"],
        json!({"review": "#7", "as_reviewed": false,
            "differences": [{"what": "digest", "reviewed": old, "now": new}]})
    );
    assert_eq!(item["remarks"][0]["code"], "not-as-reviewed");
}

#[test]
fn where_a_review_is_required_nothing_else_is_copied() {
    let workflow = workflow().input("require-reviewed", Some("true"));
    let main = merged(&workflow, 7, &[], &[ONE, TWO]);
    let two = put(&workflow, "2", "two");
    put(&workflow, "1", "something else");
    for event in ["push", "schedule"] {
        let output =
            workflow.command(event, &json!({})).env("GITHUB_SHA", &main).output().expect("an output");
        let step = workflow.step(&output);
        step.expect(3, "conflict");
        assert_eq!(
            (mirrored(&workflow, "1"), mirrored(&workflow, "2").as_ref()),
            (None, Some(&two)),
            "{event}"
        );
        assert!(step.summary.contains("not allowed: not as reviewed in"), "{}", step.summary);
        let item = &report(&workflow, &step)["items"][0];
        assert_eq!((&item["outcome"], &item["cause"]["kind"]), (&json!("blocked"), &json!("policy")));
    }
    // The way out: its digest in the list, which whoever merges that agrees to.
    let new = put(&workflow, "1", "something else");
    let pinned = format!("source: SOURCE/team/app:1@{new}\n    target: app");
    workflow.check_out(LIST, &workflow.list(&[&pinned, TWO]));
    workflow.push(&"e".repeat(40)).expect(0, "synced");
    assert_eq!(mirrored(&workflow, "1"), Some(new));
}

/// Each pull request is compared with what it brought, not with what others did.
#[test]
fn another_merge_in_between_is_no_difference() {
    for required in ["false", "true"] {
        let workflow = workflow().input("require-reviewed", Some(required));
        // Both depart from the same list. One sync does what both brought: GitHub keeps the newest that waits.
        merged(&workflow, 8, &[], &[TWO]);
        let main = merged(&workflow, 7, &[], &[ONE]);
        workflow.check_out(LIST, &workflow.list(&[ONE, TWO]));
        let step = workflow.push(&main);
        step.expect(0, "synced");
        assert!(step.summary.contains("2 as reviewed"), "{}", step.summary);
        let report = report(&workflow, &step);
        let reviews: Vec<&Value> = (0..2).map(|place| &report["items"][place]["review"]["review"]).collect();
        assert_eq!(reviews, ["#7", "#8"]);
    }
}

/// Anybody can write the marker and the data.
#[test]
fn a_comment_of_somebody_else_counts_for_nothing() {
    let workflow = workflow().input("require-reviewed", Some("true"));
    let main = merged(&workflow, 7, &[], &[ONE]);
    let comment = workflow.github.comments()[0].body.clone();
    assert!(comment.contains("<!-- image-syncer-plan 1 "), "{comment}");
    put(&workflow, "1", "something else");
    // What a review of that would say: one of another pull request, which nobody merged.
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&format!("# 9\n{}", workflow.list(&[ONE])));
    workflow.review(9, &base, &head).expect(0, "planned");
    let forged = workflow.github.comments()[1].body.clone();
    for (login, kind) in [("mallory", "User"), ("github-actions", "User"), ("octo-app[bot]", "Bot")] {
        workflow.github.comment_by(login, kind, &forged);
    }
    workflow.push(&main).expect(3, "conflict");
    assert_eq!(mirrored(&workflow, "1"), None);

    // Without a comment of ours there is no review, be there as many of others' as there may.
    let workflow = self::workflow().input("require-reviewed", Some("true")).input("comment", Some("never"));
    let main = merged(&workflow, 7, &[], &[ONE]);
    workflow.github.comment_by("mallory", "User", &comment);
    let step = workflow.push(&main);
    step.expect(3, "conflict");
    assert!(step.summary.contains("nobody is known to have reviewed it"), "{}", step.summary);
    assert_eq!(mirrored(&workflow, "1"), None);
}

#[test]
fn without_the_right_to_look_it_is_said_and_nothing_fails() {
    for status in [403, 404, 500] {
        let workflow = workflow();
        let main = merged(&workflow, 7, &[], &[ONE]);
        workflow.github.on_request(move |seen| {
            let refused = json!({ "message": "Resource not accessible by integration" });
            seen.path.contains("/pulls").then(|| told(status, &refused))
        });
        let step = workflow.push(&main);
        step.expect(0, "synced");
        let report = report(&workflow, &step);
        let note = report["review"]["note"].as_str().expect("a note");
        assert!(note.starts_with("not all was compared with what was reviewed: "), "{note}");
        assert!(status == 500 || note.contains("pull-requests: read"), "{note}");
        assert!(step.annotations().is_empty(), "{:?}", step.annotations());
        assert!(step.summary.contains("not all was compared"), "{}", step.summary);

        // Who requires one gets nothing without.
        let workflow = workflow.input("require-reviewed", Some("true"));
        workflow.check_out(LIST, &workflow.list(&[ONE, TWO]));
        let step = workflow.push(&main);
        step.expect(3, "conflict");
        assert_eq!(mirrored(&workflow, "2"), None);
    }
}

#[test]
fn what_came_without_a_review_is_said() {
    let workflow = workflow();
    workflow.check_out(LIST, &workflow.list(&[ONE]));
    let step = workflow.push(&"e".repeat(40));
    step.expect(0, "synced");
    let note = report(&workflow, &step)["review"]["note"].as_str().expect("a note").to_owned();
    assert!(note.contains("no merged pull request of commit eeeeeee has a plan"), "{note}");
    // One that was merged into another branch has reviewed nothing of this one.
    let main = merged(&workflow, 7, &[], &[TWO]);
    let elsewhere = workflow.commit("# elsewhere\nimages: []\n");
    workflow.github.merge(&elsewhere, 7, &"1".repeat(40), "release");
    workflow.check_out(LIST, &workflow.list(&[ONE, TWO]));
    workflow.github.on_request(|seen| seen.path.contains("/commits?").then(|| told(200, &json!([]))));
    let step = workflow.push(&elsewhere);
    step.expect(0, "synced");
    assert_eq!(report(&workflow, &step)["items"][1]["review"], Value::Null, "{main}");
}

/// What was reviewed is another commit than what was merged.
#[test]
fn a_comment_that_was_overtaken_is_said_to_be_old() {
    let workflow = workflow();
    merged(&workflow, 7, &[], &[ONE]);
    let main = workflow.commit("# later\nimages: []\n");
    workflow.github.merge(&main, 7, &"2".repeat(40), "main");
    let step = workflow.push(&main);
    step.expect(0, "synced");
    let note = report(&workflow, &step)["review"]["note"].as_str().expect("a note").to_owned();
    assert!(note.contains("and 2222222 was merged"), "{note}");
}

#[test]
fn a_plan_of_an_earlier_job_is_carried_out() {
    let workflow = workflow().input("mode", Some("plan"));
    workflow.check_out(LIST, &workflow.list(&[ONE]));
    let step = workflow.run("push", &json!({}));
    step.expect(0, "planned");
    let from = workflow.workspace().join(&step.outputs["report-file"]);
    std::fs::copy(from, workflow.workspace().join("plan.json")).expect("a copy");
    let old = put(&workflow, "1", "one");
    put(&workflow, "1", "something else");
    let workflow = workflow.input("mode", Some("sync")).input("plan", Some("plan.json"));
    let step = workflow.run("push", &json!({}));
    step.expect(0, "synced");
    assert_eq!(mirrored(&workflow, "1"), Some(old));
    let annotations = step.annotations();
    assert!(
        annotations
            .iter()
            .any(|it| it.starts_with("warning external-images.yaml:2: the source's tag has moved")),
        "{annotations:?}"
    );
    // What is proposed is planned by itself.
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&[ONE]));
    let step = workflow.review(7, &base, &head);
    step.expect(2, "failed");
    assert!(step.text.contains("the input plan is given"), "{}", step.text);
}

#[test]
fn a_review_is_looked_for_by_those_who_are_told_to() {
    for (name, value) in [("mode", "plan"), ("shard", "1/1")] {
        let workflow = workflow().input(name, Some(value));
        workflow.check_out(LIST, &workflow.list(&[ONE]));
        workflow.run("push", &json!({}));
        assert_eq!(workflow.github.take_lines(), [""; 0], "{name}");
    }
    let workflow = workflow().input("require-reviewed", Some("true")).input("github-token", Some(""));
    workflow.check_out(LIST, &workflow.list(&[ONE]));
    let step = workflow.run("push", &json!({}));
    step.expect(2, "failed");
    assert!(step.text.contains("the input github-token is empty"), "{}", step.text);
}
