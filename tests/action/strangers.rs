//! What somebody who may not be trusted cannot do: write, reach what is private, use others' credentials, see
//! secrets, or have the runner obey.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use serde_json::json;

use crate::stand_in::{Entry, GitHub, TOKEN};
use crate::support::auth::Auth;
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::workflow::{LIST, Step, Workflow};

const PASSWORD: &str = "hunter2-is-secret";

/// A docker configuration for both registries, where the runner keeps it.
fn logged_in(workflow: Workflow) -> Workflow {
    let auth = json!({ "auth": BASE64.encode(format!("robot:{PASSWORD}")) });
    let config = json!({ "auths": { workflow.source.host(): auth, workflow.target.host(): auth } });
    let folder = workflow.temp();
    std::fs::write(folder.join("config.json"), config.to_string()).expect("a file");
    let folder = folder.display().to_string();
    workflow.variable("DOCKER_CONFIG", &folder)
}

fn guarded() -> TestRegistry {
    TestRegistry::builder().auth(Auth::basic("robot", PASSWORD)).start()
}

#[test]
fn sources_of_a_fork_are_asked_for_without_credentials() {
    for (fork, expected) in [(true, "failed"), (false, "planned")] {
        let workflow = Workflow::between(GitHub::start(), guarded(), guarded());
        let workflow = logged_in(workflow).input("allow-private-networks", Some("true"));
        put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
        let base = workflow.commit("images: []\n");
        let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
        let step = workflow.pull_request("pull_request_target", &base, &head, fork);
        assert_eq!(step.outputs["result"], expected, "{}", step.text);
        let credentials =
            workflow.source.requests().iter().any(|request| request.headers.contains_key("authorization"));
        assert_eq!(credentials, !fork);
        assert_eq!(step.summary.contains("sources are looked up without credentials"), fork);
    }
}

/// A login would not help against what is not there.
#[test]
fn that_a_fork_has_no_credentials_is_told_only_where_that_is_the_cause() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/gone:1"]));
    let step = workflow.pull_request("pull_request_target", &base, &head, true);
    step.expect(1, "failed");
    assert!(!step.summary.contains("without credentials"), "{}", step.summary);
}

/// A fork's `pull_request` has no secrets: that the target cannot be read is no failure then.
#[test]
fn a_target_that_cannot_be_read_is_no_failure_for_a_fork() {
    let workflow = Workflow::between(GitHub::start(), TestRegistry::start(), guarded())
        .input("allow-private-networks", Some("true"));
    put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    let step = workflow.pull_request("pull_request", &base, &head, true);
    step.expect(0, "planned");
    assert!(workflow.github.comments()[0].body.contains("target not readable"));
    let warned = |step: &Step| step.annotations().iter().any(|it| it.contains("could not be looked at"));
    assert!(!warned(&step), "{:?}", step.annotations());
    // This event has the base's secrets, so that somebody can do something about it.
    let step = workflow.pull_request("pull_request_target", &base, &head, true);
    step.expect(0, "planned");
    assert!(warned(&step), "{:?}", step.annotations());
}

#[test]
fn private_addresses_are_not_reached_for_a_review() {
    for fork in [true, false] {
        let workflow = Workflow::new();
        put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
        let base = workflow.commit("images: []\n");
        let port = workflow.source.host().rsplit(':').next().expect("a port").to_owned();
        let head = workflow.commit(&workflow.list(&[
            "source: SOURCE/team/app:1",
            &format!("{{source: \"localhost:{port}/team/app:1\", target: x}}"),
            "{source: \"169.254.169.254/team/app:1\", target: y}",
            "{source: \"[::ffff:10.0.0.1]:5000/team/app:1\", target: z}",
        ]));
        let step = workflow.pull_request("pull_request_target", &base, &head, fork);
        step.expect(1, "failed");
        assert_eq!(step.outputs["failed"], "4");
        assert!(step.text.matches("allow-private-networks").count() >= 4, "{}", step.text);
        assert_eq!(workflow.source.requests().len(), 0);
    }
}

/// Behind a proxy nobody can check where a name leads.
#[test]
fn a_fork_is_not_planned_behind_a_proxy() {
    let workflow = Workflow::new().variable("HTTPS_PROXY", "http://127.0.0.1:9");
    let base = workflow.commit("images: []\n");
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    let step = workflow.pull_request("pull_request_target", &base, &head, true);
    step.expect(2, "failed");
    assert!(step.annotations()[0].contains("behind an HTTP proxy"), "{:?}", step.annotations());
    assert!(workflow.source.requests().is_empty() && workflow.target.requests().is_empty());
}

/// Whatever a list or a registry says, the runner finds only the commands that are ours.
#[test]
fn foreign_text_commands_nothing() {
    const EVIL: &str = "x\r\n::set-output name=result::synced\n::add-mask::e\n##[add-path]y\u{200b}::save-state::z \
                        @octo-org/team <img src=x> [l](http://x.example) <!-- image-syncer:image-syncer -->";
    let workflow = Workflow::new().input("allow-private-networks", Some("true")).input("debug", Some("true"));
    workflow.source.on_request(|parts| {
        let body = json!({ "errors": [{ "code": "X", "message": EVIL }] }).to_string();
        parts.uri.path().contains("/manifests/").then(|| Fault::body(400, "application/json", body))
    });
    let base = workflow.commit("images: []\n");
    let mut list = workflow.list(&["source: SOURCE/team/app:1"]);
    list.push_str("# ::error::from a comment of the list\n");
    let head = workflow.commit(&list);
    let step = workflow.pull_request("pull_request_target", &base, &head, true);
    step.expect(1, "failed");
    let names: Vec<String> = step.commands().into_iter().map(|it| it.name).collect();
    let ours = ["add-mask", "error", "warning", "notice", "group", "endgroup"];
    assert!(names.iter().all(|name| ours.contains(&name.as_str())), "{names:?}\n{}", step.text);
    let masks = step.commands().into_iter().filter(|it| it.name == "add-mask");
    assert!(masks.into_iter().all(|it| it.data.len() > 10), "{}", step.text);
    let comment = &workflow.github.comments()[0].body;
    assert_eq!(comment.matches("<!--").count(), 3, "ours, at its start and at its end: {comment}");
    for active in ["<img", "](http://x", "@octo"] {
        assert!(!comment.contains(active), "{active}: {comment}");
        assert!(!step.summary.contains(active), "{active}: {}", step.summary);
    }

    // A list that is not in order is quoted.
    let head = workflow.commit(
        "images:\n  - \"::add-path::x\": \"##[set-env name=a]y\"\n  - source: \"@team\\n::stop-commands::z\"\n",
    );
    let step = workflow.pull_request("pull_request_target", &base, &head, true);
    step.expect(2, "failed");
    let names: Vec<String> = step.commands().into_iter().map(|it| it.name).collect();
    assert!(names.iter().all(|name| ours.contains(&name.as_str())), "{names:?}\n{}", step.text);
}

/// All that was written anywhere, and all that hosts saw which the secrets are not for.
#[test]
fn secrets_are_told_to_nobody() {
    let key = json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "kid-0123456789",
        "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWtleS1ib2R5\n-----END PRIVATE KEY-----\n",
        "client_email": "robot@p.iam.gserviceaccount.com",
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    let key = key.to_string();
    for input in ["target-repo-auth-key", "access-token"] {
        let secret = if input == "access-token" { "ya29.very-secret-token" } else { &key };
        let workflow = Workflow::new()
            .input(input, Some(secret))
            .input("debug", Some("true"))
            .input("check-run", Some("true"));
        put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
        // A target that says back what it was told.
        workflow.target.on_request(|parts| {
            if parts.method == Method::HEAD {
                // The answer to one has nothing to say.
                return None;
            }
            let Some(said) = parts.headers.get("authorization") else {
                let challenge = [("www-authenticate", "Basic realm=\"here\"")];
                return Some(Fault::status_with(401, "UNAUTHORIZED", &challenge));
            };
            let said = said.to_str().unwrap_or_default();
            let body = json!({ "errors": [{ "code": "DENIED", "message": format!("not with {said}") }] });
            Some(Fault::body(403, "application/json", body.to_string()))
        });
        workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
        let step = workflow.run("push", &json!({}));
        assert_eq!(step.outputs["result"], "failed", "{}", step.text);
        assert!(step.text.contains("not with"), "the target saw it: {}", step.text);
        let masked: Vec<String> =
            step.commands().into_iter().filter(|it| it.name == "add-mask").map(|it| it.data).collect();
        for it in [secret.to_owned(), BASE64.encode(secret), TOKEN.to_owned(), BASE64.encode(TOKEN)] {
            assert!(masked.contains(&it), "{it} is not hidden");
        }
        assert!(step.text.starts_with("::add-mask::"), "hidden before anything else is printed");
        let report = workflow.workspace().join("image-syncer-report.json");
        let report = std::fs::read_to_string(report).expect("a report");
        let check_runs = serde_json::Value::from(workflow.github.check_runs()).to_string();
        let outputs = format!("{:?}", step.outputs);
        let elsewhere = workflow
            .source
            .requests()
            .iter()
            .map(|it| format!("{} {:?}", it.line(), it.headers))
            .collect::<Vec<_>>()
            .concat();
        let secrets = [
            secret.to_owned(),
            BASE64.encode(secret),
            BASE64.encode(format!("_json_key:{secret}")),
            TOKEN.to_owned(),
            BASE64.encode(TOKEN),
            "c2VjcmV0LWtleS1ib2R5".to_owned(),
        ];
        for text in [&step.shown(), &step.summary, &report, &check_runs, &outputs, &elsewhere] {
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "{secret} is in:\n{text}");
            }
        }
    }
}

/// The comment is not the only thing that a pull request could write.
#[test]
fn github_is_only_asked_for_what_is_needed() {
    let workflow = Workflow::new().input("allow-private-networks", Some("true"));
    put_image(&workflow.source.memory, "team/app", Some("1"), &[b"one"]);
    let base = workflow.github.commit(&[(LIST, Entry::File(b"images: []\n"))]);
    let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
    workflow.pull_request("pull_request_target", &base, &head, true).expect(0, "planned");
    let writes: Vec<String> = workflow
        .github
        .requests()
        .iter()
        .filter(|it| it.method != Method::GET)
        .map(|it| format!("{} {}", it.method, it.path))
        .collect();
    assert_eq!(writes, ["POST /graphql", "POST /repos/octo-org/mirror/issues/7/comments"]);
    assert!(workflow.target.requests().iter().all(|it| matches!(it.method, Method::GET | Method::HEAD)));
}

/// A key in a form that nobody thought of looks like a path. It is not repeated, wherever the message goes.
#[test]
fn a_key_that_is_taken_for_a_path_is_not_repeated() {
    for key in [
        "ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCIKfQ==",
        "'{\"type\": 1}'",
        "/ewogICJ0eXBlIjogIn",
        "\u{feff}{\"a\":1}",
    ] {
        let workflow =
            Workflow::new().input("target-repo-auth-key", Some(key)).input("check-run", Some("true"));
        let base = workflow.commit("images: []\n");
        let head = workflow.commit(&workflow.list(&["source: SOURCE/team/app:1"]));
        workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/app:1"]));
        for step in [
            workflow.run("push", &json!({})),
            workflow.pull_request("pull_request_target", &base, &head, false),
        ] {
            step.expect(2, "failed");
            let said = format!("{:?}{:?}", workflow.github.comments(), workflow.github.check_runs());
            for text in [&step.shown(), &step.summary, &said] {
                assert!(!text.contains(key), "{key} is in:\n{text}");
            }
        }
    }
}

/// A key that is given by its file's name is as secret as one that is given itself.
#[test]
fn the_key_in_a_file_is_hidden() {
    let workflow = Workflow::new();
    let path = workflow.temp().join("key.json");
    let key = json!({ "type": "service_account", "client_email": "a@b", "private_key": "hunter2-hunter2" });
    std::fs::write(&path, key.to_string()).expect("a file");
    let workflow = workflow.input("target-repo-auth-key", Some(&path.display().to_string()));
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/gone:1"]));
    let step = workflow.run("push", &json!({}));
    let masked: Vec<String> =
        step.commands().into_iter().filter(|it| it.name == "add-mask").map(|it| it.data).collect();
    assert!(masked.contains(&key.to_string()), "{masked:?}");
    assert!(masked.contains(&"hunter2-hunter2".to_owned()), "{masked:?}");
    assert!(!masked.contains(&path.display().to_string()), "{masked:?}");
}

/// What was checked out may be a change's own: a link for the report leads nowhere.
#[test]
fn a_link_in_the_place_of_the_report_is_not_followed() {
    let workflow = Workflow::new();
    let name = "image-syncer-report.json";
    std::os::unix::fs::symlink("/dev/stdout", workflow.workspace().join(name)).expect("a link");
    workflow.check_out(LIST, &workflow.list(&["source: SOURCE/team/gone:1"]));
    let step = workflow.run("push", &json!({}));
    step.expect(1, "failed");
    assert_eq!(step.outputs["report-file"], "");
    assert!(!step.text.contains("\"image_syncer\""), "{}", step.text);
}
