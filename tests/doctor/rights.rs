//! What may be done in a repository, and that nothing is left by finding out.

use http::Method;

use crate::support::auth::{Auth, Bearer, Tokens};
use crate::support::content::{put_image, put_image_for, put_index};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{PASSWORD, Patient, USER, assert_only_asked};

/// A registry with `team/app:1`, and whoever is known there.
fn with_image(tokens: Tokens) -> (TestRegistry, Patient) {
    let Auth::Bearer(bearer) = Auth::bearer(USER, PASSWORD) else { unreachable!() };
    let auth = Auth::Bearer(Bearer { anonymous_pull: false, ..bearer });
    let registry = TestRegistry::builder().auth(auth).tokens(tokens).start();
    put_image(&registry.memory, "team/app", Some("1"), &[b"layer"]);
    let patient = Patient::new().knows(&registry.host(), PASSWORD);
    (registry, patient)
}

#[test]
fn a_token_that_can_be_read_tells_without_a_try() {
    let (registry, patient) = with_image(Tokens { pull_only: true, readable: true });
    let found = patient.examined(&[&registry.host(), "team/app"]);
    found
        .expect("pull", "ok", "the tag `1` can be read")
        .expect("push", "no", "the token has no right to push")
        .expect("delete", "no", "no token with the right")
        .ends_with(0);
    assert_only_asked(&registry);

    let (registry, patient) = with_image(Tokens { pull_only: false, readable: true });
    let found = patient.examined(&[&registry.host(), "team/app"]);
    found
        .expect("push", "ok", "the token has the right to push")
        .expect("delete", "ok", "the token has the right to delete")
        .ends_with(0);
    assert_only_asked(&registry);
}

#[test]
fn an_opaque_token_tells_nothing_without_a_try() {
    let (registry, patient) = with_image(Tokens { pull_only: true, readable: false });
    let host = registry.host();
    let found = patient.examined(&[&host, "team/app"]);
    let advice =
        format!("`image-syncer doctor {host} team/app --write` begins an upload there and cancels it");
    found.expect("push", "unknown", &advice).ends_with(0);
    assert_only_asked(&registry);

    let found = patient.examined(&[&host, "team/app", "--write"]);
    found
        .expect("pull", "ok", "can be read")
        .expect("push", "failed", "401 Unauthorized")
        .expect("chunks", "unknown", "nothing can be pushed")
        .ends_with(1);
}

/// With --write uploads begin and end, and the registry holds what it held before.
#[test]
fn a_try_leaves_nothing() {
    let (registry, patient) = with_image(Tokens::default());
    let child = put_image_for(&registry.memory, "team/index", None, "linux/amd64", &[b"amd64"]);
    put_index(&registry.memory, "team/index", Some("1"), &[(&child, "linux/amd64")]);
    let before = registry.tags();
    for name in ["team/app", "team/index"] {
        registry.clear_log();
        let found = patient.examined(&[&registry.host(), name, "--write"]);
        found
            .expect("push", "ok", "an upload began and was cancelled")
            .expect("chunks", "ok", "a chunk is taken")
            .expect("mount", "ok", "is mounted")
            .expect("delete", "ok", "can be deleted")
            .ends_with(0);
        assert_eq!(registry.tags(), before);
        let requests = registry.requests();
        assert!(!requests.iter().any(|request| request.method == Method::PUT), "nothing is completed");
        let begun = requests.iter().filter(|request| request.method == Method::POST && request.status == 202);
        let (begun, ended) = (
            begun.count(),
            requests
                .iter()
                .filter(|request| {
                    request.method == Method::DELETE
                        && request.path.contains("/uploads/")
                        && request.status == 204
                })
                .count(),
        );
        assert_eq!((begun > 0, begun), (true, ended));
    }
    let blobs = registry.requests().iter().filter(|request| request.path.contains("/blobs/sha256")).count();
    assert_eq!(blobs, 0);
}

#[test]
fn what_a_registry_lacks_is_said() {
    let registry = TestRegistry::builder().without_referrers_api().without_mount().start();
    put_image(&registry.memory, "team/app", Some("1"), &[b"layer"]);
    registry.on_request(|parts| match parts.method {
        Method::PATCH => Some(Fault::status_with(201, "", &[("range", "0-0")])),
        Method::DELETE => Some(Fault::status(405, "UNSUPPORTED")),
        _ if parts.uri.path().ends_with("/tags/list") => Some(Fault::status(404, "UNSUPPORTED")),
        _ if parts.method == Method::HEAD => {
            let path = parts.uri.path().replace("latest", "1");
            path.ends_with("/1").then_some(Fault::Without("x-none"))
        }
        _ => None,
    });
    let found = Patient::new().examined(&[&registry.host(), "team/app", "--write"]);
    found
        .expect("tags", "no", "404 Not Found")
        .expect("referrers", "unknown", "without a repository that is there")
        .expect("push", "ok", "it cannot be cancelled (405 Method Not Allowed)")
        .expect("chunks", "no", "201 Created")
        .expect("mount", "unknown", "no blob")
        .expect("delete", "no", "405 Method Not Allowed")
        .ends_with(0);
}

/// A 404 may be for want of a repository or of the API: without a repository nobody can tell.
#[test]
fn referrers_of_a_repository_that_is_not_there_are_not_known() {
    for registry in [TestRegistry::start(), TestRegistry::builder().without_referrers_api().start()] {
        registry.on_request(|parts| {
            parts
                .uri
                .path()
                .contains("/referrers/")
                .then(|| Fault::body(404, "text/plain", "404 page not found"))
        });
        let found = Patient::new().examined(&[&format!("{}/team/none", registry.host())]);
        found.expect("referrers", "unknown", "cannot be told").expect(
            "referrers",
            "unknown",
            "push one there",
        );
        put_image(&registry.memory, "team/some", Some("1"), &[b"layer"]);
        let found = Patient::new().examined(&[&format!("{}/team/some", registry.host())]);
        found.expect("referrers", "no", "no API");
    }
}

/// A repository that a push does not create: the finding has the command.
#[test]
fn a_repository_that_is_not_there_is_told_how_to_create() {
    let registry = TestRegistry::start();
    registry.on_request(|parts| {
        parts.uri.path().contains("/mirror/").then(|| Fault::status(404, "NAME_UNKNOWN"))
    });
    let patient = Patient::new();
    let host = registry.host();
    std::fs::write(patient.home().join("policy.yaml"), format!("registries:\n  \"{host}\": {{kind: ecr}}\n"))
        .expect("a policy");
    let arguments = [host.as_str(), "mirror/app", "--policy-file", "policy.yaml"];
    let found = patient.examined(&arguments);
    found.expect("pull", "unknown", "there is no such repository").ends_with(0);
    let found = patient.examined(&[&arguments[..], &["--write"]].concat());
    found.expect("push", "failed", "`aws ecr create-repository --repository-name mirror/app`").ends_with(1);
}

#[test]
fn a_repository_that_may_not_be_read_fails() {
    let registry = TestRegistry::start();
    registry.on_request(|parts| parts.uri.path().contains("/team/").then(|| Fault::status(403, "DENIED")));
    let found = Patient::new().examined(&[&registry.host(), "team/app"]);
    found.expect("pull", "failed", "403 Forbidden").ends_with(1);
    assert_only_asked(&registry);
}

#[test]
fn what_cannot_be_meant_is_said() {
    let patient = Patient::new();
    for (arguments, says) in [
        (vec!["127.0.0.1:1", "--write"], "--write needs a repository"),
        (vec!["127.0.0.1:1/a", "b"], "names a repository already"),
        (vec!["no registry"], "no registry"),
        (vec!["127.0.0.1:1", "Team/App"], "Team/App"),
        (vec!["127.0.0.1:1/team/app:1"], "name it without tag and digest"),
        (vec!["user:secret@127.0.0.1:1", "a"], "name the registry as 127.0.0.1:1, without a user name"),
        (vec!["https://127.0.0.1:1"], "--endpoint 127.0.0.1:1=https://127.0.0.1:1"),
        (vec!["http://r.example"], "--plain-http r.example"),
        (vec!["ftp://r.example"], "name the registry as r.example"),
        (vec![], "REGISTRY"),
    ] {
        let output = patient.command(&arguments).output().expect("an output");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("secret"), "{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
    // A variable is read although the option stands without the registry then.
    let output = patient.command(&["127.0.0.1:1"]).env("SYNCER_FORMAT", "json").output().expect("an output");
    assert!(output.stdout.starts_with(b"{"), "{}", String::from_utf8_lossy(&output.stderr));
}
