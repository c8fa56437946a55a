//! What each event does.

use serde_json::{Value, json};

use crate::stand_in::{Entry, GitHub};
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::signing::Key;
use crate::workflow::{LIST, Workflow, has, merge_group};

fn put(workflow: &Workflow, name: &str) {
    put_image(&workflow.source.memory, name, Some("1"), &[name.as_bytes()]);
}

fn tags(workflow: &Workflow) -> usize {
    workflow.target.tags().len()
}

#[test]
fn pushes_schedules_and_manual_runs_sync() {
    for event in ["push", "schedule", "workflow_dispatch"] {
        let workflow = Workflow::new();
        put(&workflow, "team/app");
        workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
        let step = workflow.run(event, &json!({}));
        step.expect(0, "synced");
        assert_eq!(step.outputs["copied"], "1");
        assert_eq!(tags(&workflow), 1, "{event}");
        assert!(has(&workflow.workspace(), &step.outputs["report-file"]));
        // What was pushed may have been reviewed; there is nothing else to ask GitHub, nor anything to compare later.
        let asked = workflow.github.take_lines();
        assert!(asked.iter().all(|line| line.contains("/commits")), "{event}: {asked:?}");
        assert_eq!(asked.is_empty(), event != "push", "{event}: {asked:?}");
        workflow.run(event, &json!({})).expect(0, "noop");
        assert_eq!(workflow.github.take_lines(), [""; 0]);
    }
}

#[test]
fn a_plan_can_be_asked_for() {
    for (name, value) in [("mode", "plan"), ("dry-run", "true")] {
        let workflow = Workflow::new().input(name, Some(value));
        put(&workflow, "team/app");
        workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
        workflow.run("push", &json!({})).expect(0, "planned");
        assert_eq!(workflow.target.writes().len(), 0);
    }
    for (name, value) in [("SYNCER_DRY_RUN", "true"), ("SYNCER_MODE", "plan")] {
        let workflow = Workflow::new().variable(name, value);
        put(&workflow, "team/app");
        workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
        workflow.run("push", &json!({})).expect(0, "planned");
        assert_eq!(workflow.target.writes().len(), 0);
    }
}

/// Inputs that a caller leaves out are as those that have a default.
#[test]
fn inputs_that_are_not_there_have_their_defaults() {
    let mut workflow = Workflow::new();
    for name in ["mode", "dry-run", "comment", "comment-key", "summary", "annotations", "check-run", "debug"]
    {
        workflow = workflow.input(name, None);
    }
    put(&workflow, "team/app");
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
    let step = workflow.run("push", &json!({}));
    step.expect(0, "synced");
    assert!(step.summary.starts_with("## ✅ Sync: 1 copied"), "{}", step.summary);
}

/// Whatever the inputs say, a change under review is planned.
#[test]
fn pull_requests_and_merge_groups_only_plan() {
    for event in ["pull_request", "pull_request_target", "merge_group"] {
        let workflow = Workflow::new()
            .input("mode", Some("sync"))
            .input("allow-private-networks", Some("true"))
            .variable("SYNCER_DRY_RUN", "false");
        put(&workflow, "team/app");
        put(&workflow, "team/old");
        let base = workflow.commit(&workflow.list(&["source: SOURCE/team/old:1"]));
        let head =
            workflow.commit(&workflow.list(&["source: SOURCE/team/old:1", "source: SOURCE/team/app:1"]));
        let step = match event {
            "merge_group" => workflow.run(event, &merge_group(&base, &head)),
            _ => workflow.pull_request(event, &base, &head, false),
        };
        step.expect(0, "planned");
        assert_eq!(step.outputs["copied"], "1", "the other entry is not this change's");
        assert_eq!(workflow.target.writes().len(), 0, "{event}");
        assert_eq!(workflow.source.writes().len(), 0);
        assert_eq!(tags(&workflow), 0);
        let comments = workflow.github.comments().len();
        assert_eq!(comments, usize::from(event != "merge_group"));
        assert_eq!(step.outputs["comment-url"].is_empty(), event == "merge_group");
    }
}

#[test]
fn an_event_that_nobody_thought_of_is_an_error() {
    let workflow = Workflow::new();
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
    for event in ["issue_comment", "workflow_run", "release", "pull_request_review"] {
        let step = workflow.run(event, &json!({}));
        step.expect(2, "failed");
        let error = format!("error :: the event `{event}` is not supported");
        assert!(step.annotations().iter().any(|it| it.starts_with(&error)), "{:?}", step.annotations());
        assert!(step.summary.contains("The run cannot begin"), "{}", step.summary);
    }
    assert!(workflow.source.requests().is_empty() && workflow.target.requests().is_empty());
    // Nor is there a summary where none is wanted.
    let workflow = workflow.input("summary", Some("false"));
    let step = workflow.run("release", &json!({}));
    step.expect(2, "failed");
    assert_eq!(step.summary, "");
}

#[test]
fn a_change_that_does_not_touch_the_lists_is_done_at_once() {
    let workflow = Workflow::new();
    let list = workflow.list(&["source: SOURCE/team/app:1"]);
    let base = workflow.commit(&list);
    let head = workflow.github.commit(&[(LIST, Entry::File(list.as_bytes())), ("x", Entry::File(b"x"))]);
    let without = workflow.github.commit(&[("x", Entry::File(b"x"))]);
    for head in [head, without] {
        let step = workflow.pull_request("pull_request", &base, &head, false);
        step.expect(0, "noop");
        assert_eq!(step.outputs["images"], "[]");
    }
    assert!(workflow.source.requests().is_empty() && workflow.target.requests().is_empty());
    assert_eq!(workflow.github.comments().len(), 0);
}

#[test]
fn a_head_that_moved_on_is_stale() {
    let workflow = Workflow::new().input("check-run", Some("true"));
    let base = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:2"]));
    workflow.github.move_head(&base);
    let step = workflow.run("pull_request", &crate::workflow::pull_request(&base, &head, false));
    step.expect(0, "noop");
    assert!(step.annotations()[0].starts_with("notice :: stale: "), "{:?}", step.annotations());
    assert_eq!(workflow.github.check_runs()[0]["output"]["title"], "Nothing done");
    assert!(workflow.source.requests().is_empty());
}

/// What came to the base branch since the change departed from it is no part of the change.
#[test]
fn a_change_is_compared_with_where_it_departed() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put(&workflow, "team/old");
    put(&workflow, "team/new");
    let (old, new) = ("source: SOURCE/team/old:1", "source: SOURCE/team/new:1");
    let start = workflow.commit(&workflow.list(&[old]));
    let base = workflow.commit(&workflow.list(&["source: SOURCE/team/meanwhile:1"]));
    let head = workflow.commit(&workflow.list(&[old, new]));
    workflow.github.departs(&head, &start);
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(0, "planned");
    assert_eq!(step.outputs["copied"], "1");
    let body = workflow.github.comments()[0].body.clone();
    assert!(body.contains("1 image new or changed") && !body.contains("off the list"), "{body}");

    // What only the base branch changed is nothing to sync here.
    let behind = workflow
        .github
        .commit(&[(LIST, Entry::File(workflow.list(&[old]).as_bytes())), ("x", Entry::File(b"x"))]);
    workflow.github.departs(&behind, &start);
    workflow.pull_request("pull_request", &base, &behind, false).expect(0, "noop");

    // Where GitHub does not tell, it is the base branch as it is.
    workflow.github.on_request(|seen| {
        seen.path
            .contains("/compare/")
            .then(|| crate::stand_in::told(404, &json!({ "message": "Not Found" })))
    });
    let step = workflow.pull_request("pull_request", &start, &head, false);
    step.expect(0, "planned");
    assert!(step.annotations().iter().any(|it| it.contains("compared with the base branch as it is")));
}

/// Whoever mends what is broken on the base branch is not stopped by it.
#[test]
fn a_list_that_was_not_in_order_can_be_mended() {
    let workflow =
        Workflow::new().input("allow-private-networks", Some("true")).input("target-repo-prefix", None);
    put(&workflow, "team/app");
    put(&workflow, "team/old");
    let prefix = format!("targetRepoPrefix: {}/mirror/\n", workflow.target.host());
    let (old, app) = ("source: SOURCE/team/old:1", "source: SOURCE/team/app:1");
    let good = format!("{prefix}{}", workflow.list(&[old, app]));
    let broken = format!("{prefix}{}", workflow.list(&[old, "source: SOURCE/team/app@"]));
    let base = workflow.commit(&broken);
    let step = workflow.pull_request("pull_request", &base, &workflow.commit(&good), false);
    step.expect(0, "planned");
    assert_eq!(step.outputs["copied"], "1", "what could be read of the broken list is not new");

    // Whoever does not mend it is told that it is not theirs.
    let also = format!("{broken}  - source: {}/team/more:1\n", workflow.source.host());
    let step = workflow.pull_request("pull_request", &base, &workflow.commit(&also), false);
    step.expect(2, "failed");
    assert!(step.annotations().iter().any(|it| it.contains("(this was so before the change")));

    // A link in the list's place, and a prefix that the policy overrides anyway.
    let other = format!("{}/other/", workflow.target.host());
    let workflow = workflow.input("target-repo-prefix", Some(&other));
    let link = workflow.github.commit(&[(LIST, Entry::Link("elsewhere.yaml"))]);
    let plain = workflow.commit(&workflow.list(&[app]));
    workflow.pull_request("pull_request", &link, &plain, false).expect(0, "planned");
    let base = workflow.commit(&format!("{prefix}images: []\n"));
    let step = workflow.pull_request("pull_request", &base, &workflow.commit(&good), false);
    step.expect(0, "planned");
    assert!(step.annotations().iter().any(|it| it.starts_with("warning external-images.yaml:1: ")));
}

#[test]
fn a_list_that_is_taken_away_is_said() {
    let workflow = Workflow::new()
        .input("allow-private-networks", Some("true"))
        .input("images-file", Some("./external-images.yaml\n././more.yaml"));
    put(&workflow, "team/app");
    put(&workflow, "team/more");
    let list = |name: &str| workflow.list(&[&format!("source: SOURCE/team/{name}:1")]);
    let (app, more) = (list("app"), list("more"));
    let base = workflow
        .github
        .commit(&[(LIST, Entry::File(app.as_bytes())), ("more.yaml", Entry::File(more.as_bytes()))]);
    let step = workflow.pull_request("pull_request", &base, &workflow.commit(&app), false);
    step.expect(0, "noop");
    let warning = "the change takes more.yaml away";
    assert!(step.annotations().iter().any(|it| it.contains(warning)), "{:?}", step.annotations());
    assert!(step.summary.contains(warning), "{}", step.summary);

    // With a path that never was there.
    let head = workflow.commit(&list("other"));
    put(&workflow, "team/other");
    let step = workflow.pull_request("pull_request", &workflow.commit(&app), &head, false);
    step.expect(0, "planned");
    let warning = "there is no more.yaml, neither with the change nor without it";
    assert!(step.annotations().iter().any(|it| it.contains(warning)), "{:?}", step.annotations());
    let comment = &workflow.github.comments()[0].body;
    assert!(comment.contains(warning), "{comment}");
}

/// Git may merge what the program refuses: two entries for one target.
#[test]
fn a_target_that_was_given_away_meanwhile_is_said() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put(&workflow, "team/one");
    let entry = |name: &str| format!("{{source: SOURCE/team/{name}:1, target: x}}");
    let start = workflow.commit("images: []\n");
    let base = workflow.commit(&workflow.list(&[&entry("two")]));
    let head = workflow.commit(&workflow.list(&[&entry("one")]));
    workflow.github.departs(&head, &start);
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(0, "planned");
    let warning = "the base branch has got another image meanwhile";
    assert!(step.annotations().iter().any(|it| it.contains(warning)), "{:?}", step.annotations());
    // The same entry on both sides is no reason to worry.
    let base = workflow.commit(&workflow.list(&[&entry("one")]));
    let step = workflow.pull_request("pull_request", &base, &head, false);
    assert!(!step.text.contains(warning), "{}", step.text);
}

/// Nobody waits for a run whose time is over: what it found is told as any other result is.
#[test]
fn a_run_whose_time_is_over_says_so_everywhere() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true")).input("timeout", Some("1s"));
    put(&workflow, "team/app");
    workflow.source.on_request(|parts| parts.uri.path().contains("silent").then_some(Fault::Stall));
    let base = workflow.commit("images: []\n");
    let head =
        workflow.commit(&workflow.list(&["source: SOURCE/team/app:1", "source: SOURCE/team/silent:1"]));
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(1, "failed");
    assert!(step.annotations().iter().any(|it| it.starts_with("error :: ")), "{:?}", step.annotations());
    let comment = &workflow.github.comments()[0].body;
    assert!(comment.contains("1 not run") && comment.contains("1 to copy"), "{comment}");
    assert!(!step.outputs["comment-url"].is_empty());
}

/// What was wrong before is not this change's fault: it is said, and decides nothing.
#[test]
fn only_what_a_change_brings_decides() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put(&workflow, "team/new");
    put(&workflow, "team/conflict");
    let at = format!("mirror/{}/team/conflict", workflow.source.host().replace(':', "_"));
    put_image(&workflow.target.memory, &at, Some("1"), &[b"other"]);
    let (gone, conflict) = ("source: SOURCE/team/gone:1", "source: SOURCE/team/conflict:1");
    let base = workflow.commit(&workflow.list(&[gone, conflict]));
    let head = workflow.commit(&workflow.list(&[gone, conflict, "source: SOURCE/team/new:1"]));
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(0, "planned");
    let annotations = step.annotations();
    assert!(annotations.iter().all(|it| it.starts_with("warning ")), "{annotations:?}");
    assert_eq!(annotations.len(), 2, "{annotations:?}");
    assert!(annotations[0].starts_with("warning external-images.yaml:2: "), "{annotations:?}");

    let step = workflow.pull_request("pull_request", &workflow.commit("images: []\n"), &head, false);
    step.expect(1, "failed");
    assert_eq!(step.outputs["conflicts"], "1");
    assert!(step.annotations().iter().any(|it| it.starts_with("error external-images.yaml:3: ")));
}

/// The policy is that of the base, whatever the change makes of it.
#[test]
fn the_policy_comes_from_the_base() {
    let workflow = Workflow::new()
        .input("allow-private-networks", Some("true"))
        .input("policy-file", Some("policy.yaml"));
    put(&workflow, "team/app");
    let list = workflow.list(&["source: SOURCE/team/app:1"]);
    let strict = "allowedSources: [\"quay.io/**\"]\n";
    let base = workflow.github.commit(&[("policy.yaml", Entry::File(strict.as_bytes()))]);
    let head = workflow.github.commit(&[
        (LIST, Entry::File(list.as_bytes())),
        ("policy.yaml", Entry::File(b"allowedSources: [\"**\"]\n")),
    ]);
    workflow.check_out("policy.yaml", "allowedSources: [\"**\"]\n");
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(3, "conflict");
    assert!(workflow.source.requests().is_empty(), "nobody asks for what is not allowed");

    // A change cannot bring the first policy either.
    let none = workflow.github.commit(&[("x", Entry::File(b"x"))]);
    let step = workflow.pull_request("pull_request", &none, &head, false);
    step.expect(2, "failed");
    assert!(
        step.annotations()[0].contains("policy.yaml is not in the base commit"),
        "{:?}",
        step.annotations()
    );
}

/// A key that stands in the policy itself counts; a file beside it would be the workspace's.
#[test]
fn a_policys_keys_are_its_own_and_not_the_workspaces() {
    let workflow = Workflow::new()
        .input("allow-private-networks", Some("true"))
        .input("policy-file", Some("policy.yaml"));
    let image = put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
    let key = Key::new();
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    workflow.check_out("cosign.pub", &key.pem());
    let base = |key: &str| {
        let policy = format!("signatures: [{{sources: [\"**\"], anyOf: [{{key: {key}}}]}}]\n");
        workflow.github.commit(&[("policy.yaml", Entry::File(policy.as_bytes()))])
    };
    let step = workflow.pull_request("pull_request", &base("cosign.pub"), &head, false);
    step.expect(2, "failed");
    assert!(step.annotations()[0].contains("write the key itself"), "{:?}", step.annotations());
    let base = base(&key.yaml());
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(3, "conflict");
    assert!(step.text.contains("no signature of it was found"), "{}", step.text);
    key.sign_image(&workflow.source.memory, "team/app", &image);
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "planned");
}

/// What the workspace holds may be the change's own: nothing of it is read.
#[test]
fn nothing_of_the_workspace_is_read_for_a_review() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put(&workflow, "team/app");
    put(&workflow, "evil/app");
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/evil/app:1"]));
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    let step = workflow.pull_request("pull_request_target", &base, &head, true);
    step.expect(0, "planned");
    assert!(!workflow.source.requests().iter().any(|request| request.path.contains("evil")));

    std::fs::create_dir(workflow.workspace().join("docker")).expect("a folder");
    workflow.check_out("docker/config.json", "{}");
    workflow.check_out("ca.pem", "x");
    workflow.check_out("there.json", "what-a-change-brings");
    for (name, value) in [
        ("DOCKER_CONFIG", workflow.workspace().join("docker").display().to_string()),
        ("SYNCER_CA_FILE", "ca.pem".to_owned()),
        ("SYNCER_TRUST_ROOT", "there.json".to_owned()),
        ("SSL_CERT_FILE", workflow.workspace().join("ca.pem").display().to_string()),
        ("SSL_CERT_DIR", workflow.workspace().display().to_string()),
        ("SYNCER_TARGET_REPO_AUTH_KEY", "key.json".to_owned()),
        ("SYNCER_TARGET_REPO_AUTH_KEY", "there.json".to_owned()),
        ("SYNCER_TARGET_REPO_AUTH_KEY", "../workspace/key.json".to_owned()),
    ] {
        let mut command =
            workflow.command("pull_request", &crate::workflow::pull_request(&base, &head, false));
        let step = workflow.step(&command.env(name, &value).output().expect("an output"));
        step.expect(2, "failed");
        assert!(step.text.contains("leads into the workspace"), "{name}={value}: {}", step.text);
        assert!(!step.text.contains("what-a-change-brings"), "{name}={value}: {}", step.text);
    }
}

#[test]
fn a_list_that_is_no_regular_file_is_refused() {
    let workflow = Workflow::new();
    let base = workflow.commit("images: []\n");
    for (entry, says) in [
        (Entry::Link("/etc/passwd"), "is a symbolic link, and only a regular file is read"),
        (Entry::Submodule, "is a submodule, and only a regular file is read"),
        (Entry::Lie(b"x", 50_000_000), "has 50000000 bytes"),
    ] {
        let head = workflow.github.commit(&[(LIST, entry)]);
        let step = workflow.pull_request("pull_request_target", &base, &head, true);
        step.expect(2, "failed");
        assert!(step.annotations().iter().any(|it| it.contains(says)), "{:?}", step.annotations());
    }
}

/// Where images go is not for a change of the list to say.
#[test]
fn a_change_does_not_decide_where_images_go() {
    let workflow =
        Workflow::new().input("allow-private-networks", Some("true")).input("target-repo-prefix", None);
    put(&workflow, "team/app");
    let list = |prefix: &str| {
        let list = workflow.list(&["source: SOURCE/team/app:1"]);
        format!("targetRepoPrefix: {prefix}\n{list}")
    };
    let good = format!("{}/mirror/", workflow.target.host());
    let base = workflow.commit(&format!("targetRepoPrefix: {good}\nimages: []\n"));
    workflow.pull_request("pull_request", &base, &workflow.commit(&list(&good)), false).expect(0, "planned");
    let evil = workflow.commit(&list("evil.example.com/x/"));
    let step = workflow.pull_request("pull_request", &base, &evil, false);
    step.expect(2, "failed");
    assert!(step.annotations()[0].contains("is not where the images go"), "{:?}", step.annotations());
    let comment = &workflow.github.comments()[0].body;
    assert!(
        comment.contains("The list cannot be used") && comment.contains("external-images.yaml:1:19"),
        "{comment}"
    );

    // A first list has nobody else to say it.
    let none = workflow.github.commit(&[("x", Entry::File(b"x"))]);
    let step = workflow.pull_request("pull_request", &none, &workflow.commit(&list(&good)), false);
    step.expect(2, "failed");
    assert!(step.annotations()[0].contains("no target prefix is known"), "{:?}", step.annotations());
}

/// Where nothing but the list says where images go, a plan without that line would promise what no sync can do.
#[test]
fn the_only_prefix_is_not_taken_out() {
    let workflow =
        Workflow::new().input("allow-private-networks", Some("true")).input("target-repo-prefix", None);
    put(&workflow, "team/app");
    let list = workflow.list(&["source: SOURCE/team/app:1"]);
    let prefix = format!("targetRepoPrefix: {}/mirror/", workflow.target.host());
    let stated = workflow.commit(&format!("{prefix}\nimages: []\n"));
    let without = workflow.commit(&list);
    let step = workflow.pull_request("pull_request", &stated, &without, false);
    step.expect(2, "failed");
    let error = step.annotations()[0].clone();
    assert!(error.contains("no sync can run after it") && error.contains(&prefix), "{error}");

    // Nor is that the advice for a line that says something else.
    let other = workflow.commit(&format!("targetRepoPrefix: other.example.com/x/\n{list}"));
    let step = workflow.pull_request("pull_request", &stated, &other, false);
    step.expect(2, "failed");
    let error = step.annotations()[0].clone();
    assert!(error.contains("; leave it as ") && !error.contains("take the line out"), "{error}");

    // It came to the base branch after the change departed: then it will be there.
    let start = workflow.commit("images: []\n");
    workflow.github.departs(&without, &start);
    workflow.pull_request("pull_request", &stated, &without, false).expect(0, "planned");
    // Where the workflow says it, nobody needs the line.
    let prefix = format!("{}/mirror/", workflow.target.host());
    let workflow = workflow.input("target-repo-prefix", Some(&prefix));
    workflow.github.departs(&without, &stated);
    workflow.pull_request("pull_request", &stated, &without, false).expect(0, "planned");
}

#[test]
fn a_server_of_ones_own_is_spoken_to() {
    let workflow = Workflow::with(GitHub::enterprise()).input("allow-private-networks", Some("true"));
    put(&workflow, "team/app");
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "planned");
    assert_eq!(workflow.github.comments().len(), 1);
}

#[test]
fn an_input_that_cannot_be_meant_is_annotated() {
    for (name, value, says) in [
        ("mode", "live", "the input mode: "),
        ("dry-run", "", "the input dry-run: "),
        ("imagefile", "x", "the input imagefile: it is not known; did you mean `images-file`?"),
        ("concurrency", "many", "the input concurrency: "),
        ("comment-key", "a b", "comment"),
    ] {
        let workflow = Workflow::new().input(name, Some(value));
        workflow.check_out(LIST, &workflow.list(&[]));
        let step = workflow.run("push", &Value::Null);
        step.expect(2, "failed");
        assert!(step.annotations()[0].contains(says), "{name}: {:?}", step.annotations());
    }
}

/// What the plan said of a pull request stands when it is merged, and when it moved on.
#[test]
fn a_pull_request_that_is_closed_is_left_as_it_is() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put(&workflow, "team/app");
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "planned");
    let before = workflow.github.comments();
    let mut payload = crate::workflow::pull_request(&base, &head, false);
    payload["action"] = json!("closed");
    workflow.run("pull_request", &payload).expect(0, "noop");
    workflow.github.move_head(&base);
    workflow.run("pull_request", &crate::workflow::pull_request(&base, &head, false)).expect(0, "noop");
    assert_eq!(workflow.github.comments(), before);
}

#[test]
fn a_list_that_was_not_checked_out_is_asked_for() {
    let workflow = Workflow::new().input("check-run", Some("true"));
    let step = workflow.run("push", &json!({}));
    step.expect(2, "failed");
    let annotations = step.annotations();
    assert!(
        annotations.iter().any(|it| it.starts_with("notice ") && it.contains("checks them out")),
        "{annotations:?}"
    );
    let left_out = "notice :: 1 annotation is not in the check run, ";
    assert!(annotations.iter().any(|it| it.starts_with(left_out)), "{annotations:?}");
}

/// Whoever writes a workflow knows inputs, and no command line.
#[test]
fn what_is_wrong_is_said_of_the_inputs() {
    let workflow = Workflow::new().input("target-repo-prefix", Some("x"));
    workflow.check_out(LIST, &workflow.list(&[]));
    let step = workflow.run("push", &json!({}));
    step.expect(2, "failed");
    let annotations = step.annotations();
    assert!(annotations[0].contains(":: the input target-repo-prefix "), "{annotations:?}");
    assert!(
        !annotations.iter().any(|it| it.contains("checks them out") || it.contains("--")),
        "{annotations:?}"
    );
}

/// A workflow without the right to read pull requests, as the drop-in's callers have it, still plans.
#[test]
fn without_the_right_to_read_pull_requests_there_is_a_plan() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put(&workflow, "team/app");
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    workflow.github.on_request(|seen| {
        let here = seen.path.contains("/pulls/") || seen.path.contains("/issues/");
        here.then(|| {
            crate::stand_in::told(403, &json!({ "message": "Resource not accessible by integration" }))
        })
    });
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "planned");
}
