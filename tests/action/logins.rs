//! The input `auth` and the policy's: how a step logs in, what it hides, and what a change under review cannot have.

use crate::stand_in::{Entry, GitHub, TOKEN};
use crate::support::auth::{Auth, Bearer};
use crate::support::content::put_image;
use crate::support::registry::TestRegistry;
use crate::workflow::{LIST, Workflow};

const PASSWORD: &str = "hunter2-is-secret";

/// A step between two registries that want to know who asks, with an image at the source and its password in a
/// variable.
fn guarded() -> Workflow {
    let registry = || TestRegistry::builder().auth(Auth::basic("robot", PASSWORD)).start();
    let workflow = Workflow::between(GitHub::start(), registry(), registry());
    put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
    workflow.variable("MIRROR_PASSWORD", PASSWORD).input("allow-private-networks", Some("true"))
}

fn rule(host: &str) -> String {
    format!("\"{host}\": {{provider: basic, username: robot, passwordVariable: MIRROR_PASSWORD}}\n")
}

fn both(workflow: &Workflow) -> String {
    format!("{}{}", rule(&workflow.source.host()), rule(&workflow.target.host()))
}

#[test]
fn a_step_logs_in_by_its_input_and_hides_what_it_does_that_with() {
    let workflow = guarded();
    let auth = both(&workflow);
    let workflow = workflow.input("auth", Some(&auth));
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
    let step = workflow.run("push", &serde_json::json!({}));
    step.expect(0, "synced");
    assert!(step.text.contains(&format!("::add-mask::{PASSWORD}")), "{}", step.text);
    assert!(!step.shown().contains(PASSWORD) && !step.summary.contains(PASSWORD), "{}", step.text);
}

#[test]
fn an_input_that_cannot_be_used_is_told_without_its_values() {
    let workflow =
        guarded().input("auth", Some("quay.io: {provider: basic, username: a, passwordVariable: hunter2}"));
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
    let step = workflow.run("push", &serde_json::json!({}));
    step.expect(2, "failed");
    assert!(step.text.contains("auth:1:59: `passwordVariable` is the name of a variable"), "{}", step.text);
    assert!(!step.shown().contains("hunter2"), "{}", step.text);
}

/// A review's policy is the base commit's, whatever the change makes of it.
#[test]
fn a_change_under_review_does_not_bring_its_own_way_to_log_in() {
    let workflow = guarded().input("policy-file", Some("policy.yaml"));
    let list = workflow.list(&["source: SOURCE/team/app:1"]);
    let (good, bad) =
        (format!("auth:\n  {}", both(&workflow).replace("\n\"", "\n  \"")), "auth: {\"**\": anonymous}\n");
    let commit = |list: &str, policy: &str| {
        let files = [(LIST, Entry::File(list.as_bytes())), ("policy.yaml", Entry::File(policy.as_bytes()))];
        workflow.github.commit(&files)
    };
    let (base, head) = (commit("images: []\n", &good), commit(&list, bad));
    workflow.pull_request("pull_request", &base, &head, false).expect(0, "planned");
    let (base, head) = (commit("images: []\n", bad), commit(&list, &good));
    workflow.pull_request("pull_request", &base, &head, false).expect(1, "failed");
}

#[test]
fn nothing_of_it_is_used_for_a_forks_sources() {
    let workflow = guarded();
    let auth = both(&workflow);
    let workflow = workflow.input("auth", Some(&auth));
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    let step = workflow.pull_request("pull_request_target", &base, &head, true);
    step.expect(1, "failed");
    let knows = |registry: &TestRegistry| {
        registry.requests().iter().any(|request| request.headers.contains_key("authorization"))
    };
    assert!(!knows(&workflow.source));
    let step = workflow.pull_request("pull_request_target", &base, &head, false);
    step.expect(0, "planned");
    assert!(knows(&workflow.source) && knows(&workflow.target));
}

/// A fork's `pull_request` has neither secrets nor identity tokens: the target is one that cannot be read.
#[test]
fn a_target_without_its_password_is_no_failure_for_a_fork() {
    let workflow = Workflow::between(
        GitHub::start(),
        TestRegistry::start(),
        TestRegistry::builder().auth(Auth::basic("robot", PASSWORD)).start(),
    );
    put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
    let auth = rule(&workflow.target.host());
    let workflow = workflow.input("auth", Some(&auth)).input("allow-private-networks", Some("true"));
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    workflow.pull_request("pull_request", &base, &head, true).expect(0, "planned");
    assert!(workflow.github.comments()[0].body.contains("target not readable"));
}

#[test]
fn a_credentials_file_of_the_workspace_is_not_read_for_a_review() {
    let workflow = guarded();
    let file = workflow.workspace().join("key.json").display().to_string();
    workflow.check_out("key.json", "{}");
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    let auth = format!("{}gcr.io: {{provider: gcp, credentialsFile: \"{file}\"}}\n", both(&workflow));
    let workflow = workflow.input("auth", Some(&auth));
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(2, "failed");
    assert!(step.text.contains("key.json (`auth` (auth:3:1)) leads into the workspace"), "{}", step.text);
    // What only the surroundings offer is passed over.
    let auth = both(&workflow);
    let workflow = workflow.input("auth", Some(&auth)).variable("GOOGLE_APPLICATION_CREDENTIALS", &file);
    let step = workflow.pull_request("pull_request", &base, &head, false);
    step.expect(0, "planned");
    assert!(step.text.contains("GOOGLE_APPLICATION_CREDENTIALS leads into the workspace"), "{}", step.text);
}

/// GitHub's registry as the target, reached through a proxy that is the registry itself.
#[test]
fn the_workflows_token_logs_in_at_ghcr_by_itself() {
    let bearer = |realm: &str| {
        Auth::Bearer(Bearer {
            user: "octocat".to_owned(),
            password: TOKEN.to_owned(),
            anonymous_pull: true,
            uses: None,
            realm: Some(realm.to_owned()),
        })
    };
    let ghcr = TestRegistry::builder().auth(bearer("http://ghcr.io/token")).start();
    let workflow = Workflow::between(GitHub::start(), TestRegistry::start(), ghcr);
    put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
    let proxy = workflow.target.url();
    let workflow = workflow
        .input("target-repo-prefix", Some("ghcr.io/octo/mirror/"))
        .variable("HTTP_PROXY", &proxy)
        .variable("SYNCER_PLAIN_HTTP", "ghcr.io")
        .variable("GITHUB_ACTOR", "octocat")
        .variable("GITHUB_SERVER_URL", "https://github.com");
    workflow.run("push", &serde_json::json!({})).expect(0, "synced");
    assert!(workflow.target.token_requests().iter().all(|token| token.user.as_deref() == Some("octocat")));
    // The token of another server is nothing to ghcr.io.
    let workflow = workflow.variable("GITHUB_SERVER_URL", "https://github.corp.example");
    let before = workflow.target.token_requests().len();
    workflow.run("push", &serde_json::json!({})).expect(0, "noop");
    assert!(workflow.target.token_requests()[before..].iter().all(|token| token.user.is_none()));
}
