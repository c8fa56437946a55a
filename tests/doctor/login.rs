//! Who we are at a registry, where that was found, and that nothing of it is told.

use serde_json::json;

use crate::support::auth::{Auth, Bearer};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{PASSWORD, Patient, USER};

fn guarded(auth: Auth) -> TestRegistry {
    TestRegistry::builder().auth(auth).start()
}

#[test]
fn a_wrong_password_is_refused_whatever_the_way() {
    for auth in [Auth::basic(USER, PASSWORD), Auth::bearer(USER, PASSWORD)] {
        let registry = guarded(auth);
        let patient = Patient::new().knows(&registry.host(), "wrong");
        let found = patient.examined(&[&registry.host(), "team/app"]);
        found
            .expect("credentials", "ok", "the user `robot` with a password")
            .expect("login", "failed", "401 Unauthorized")
            .ends_with(1)
            .lacks("pull");
        assert!(!found.text.contains("wrong"), "{}", found.text);
    }
}

#[test]
fn the_right_password_is_accepted_and_its_place_told() {
    for auth in [Auth::basic(USER, PASSWORD), Auth::bearer(USER, PASSWORD)] {
        let registry = guarded(auth);
        let host = registry.host();
        let found = Patient::new().knows(&host, PASSWORD).examined(&[&host]);
        found
            .expect("api", "ok", "it wants a login")
            .expect("credentials", "ok", &format!("from the entry `{host}` of the docker configuration"))
            .expect("login", "ok", "accepted")
            .ends_with(0);
    }
}

#[test]
fn whoever_has_no_password_is_told_to_log_in() {
    let registry = guarded(Auth::basic(USER, PASSWORD));
    let host = registry.host();
    let found = Patient::new().examined(&[&host]);
    found.expect("credentials", "no", "none for").expect(
        "login",
        "failed",
        &format!("`docker login {host}`"),
    );
    found.ends_with(1);
}

#[test]
fn a_token_service_that_is_down_is_named() {
    let Auth::Bearer(bearer) = Auth::bearer(USER, PASSWORD) else { unreachable!() };
    let registry =
        guarded(Auth::Bearer(Bearer { realm: Some("http://127.0.0.1:1/token".to_owned()), ..bearer }));
    let host = registry.host();
    let found = Patient::new().knows(&host, PASSWORD).examined(&[&host, "team/app"]);
    found.expect("login", "failed", "cannot connect to 127.0.0.1:1").ends_with(1).lacks("pull");

    let registry = guarded(Auth::bearer(USER, PASSWORD));
    registry.on_request(|parts| (parts.uri.path() == "/token").then(|| Fault::status(503, "UNAVAILABLE")));
    let host = registry.host();
    let found = Patient::new().knows(&host, PASSWORD).examined(&[&host]);
    found.expect("login", "failed", "503 Service Unavailable").ends_with(1);
}

#[test]
fn a_helper_that_fails_is_no_anonymous_try() {
    let registry = guarded(Auth::bearer(USER, PASSWORD));
    let host = registry.host();
    let patient = Patient::new().configured(&json!({ "credHelpers": { &host: "of-nobody" } }));
    let found = patient.examined(&[&host, "team/app"]);
    found
        .expect("credentials", "failed", "docker-credential-of-nobody")
        .ends_with(1)
        .lacks("login")
        .lacks("pull");
    assert_eq!(registry.token_requests().len(), 0);
}

/// The target's token goes to the target's registry, and to no other that is examined.
#[test]
fn the_targets_token_stays_with_the_target() {
    let (target, other) = (TestRegistry::start(), TestRegistry::start());
    let prefix = format!("{}/mirror/", target.host());
    let variables = [("SYNCER_ACCESS_TOKEN", PASSWORD), ("SYNCER_TARGET_REPO_PREFIX", prefix.as_str())];
    let found = Patient::new().examined_with(&[&target.host(), "mirror/app"], &variables);
    found.expect("credentials", "ok", "a bearer token, from --access-token or SYNCER_ACCESS_TOKEN");
    let sent = |registry: &TestRegistry| {
        registry.requests().iter().filter(|request| request.headers.contains_key("authorization")).count()
    };
    assert!(sent(&target) > 0);
    let found = Patient::new().examined_with(&[&other.host(), "mirror/app"], &variables);
    found.expect("credentials", "no", "none for");
    assert_eq!(sent(&other), 0);
}

/// A token that stands in the place of the user name is not told as one.
#[test]
fn a_token_in_the_place_of_the_name_is_not_told() {
    let registry = guarded(Auth::basic(PASSWORD, "x-oauth-basic"));
    let host = registry.host();
    let auth = json!({ "username": PASSWORD, "password": "x-oauth-basic" });
    let found = Patient::new().configured(&json!({ "auths": { &host: auth } })).examined(&[&host]);
    found
        .expect("credentials", "ok", "a token in the place of the user name")
        .expect("login", "ok", "accepted");
}

/// A provider that the operator chose gives the credential, and is named with the place where it was chosen.
#[test]
fn a_provider_is_named_with_its_place() {
    let registry = guarded(Auth::bearer(USER, PASSWORD));
    let host = registry.host();
    let auth =
        format!("\"{host}\": {{provider: basic, username: {USER}, passwordVariable: MIRROR_PASSWORD}}");
    let variables = [("SYNCER_AUTH", auth.as_str()), ("MIRROR_PASSWORD", PASSWORD)];
    let found = Patient::new().examined_with(&[&host], &variables);
    found
        .expect("credentials", "ok", "from the provider `basic` (`auth` (auth:1:1))")
        .expect("login", "ok", "accepted")
        .ends_with(0);
    let found = Patient::new().examined_with(&[&host], &variables[..1]);
    found.expect("credentials", "failed", "MIRROR_PASSWORD").ends_with(1).lacks("login");
}
