//! Who we are at a registry, where that was found, and that nothing of it is told.

use serde_json::json;

use crate::support::auth::{Auth, Bearer};
use crate::support::content::put_image;
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
    let advice = format!("is for the target, {}, and goes nowhere else", target.host());
    found.expect("credentials", "no", "none for").expect("credentials", "no", &advice);
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

/// Whoever gives a credential for the target says where that is: none is left out in silence.
#[test]
fn a_credential_for_a_target_that_nobody_names_is_an_error() {
    let registry = TestRegistry::start();
    let host = registry.host();
    let patient = Patient::new();
    for (name, value) in
        [("SYNCER_ACCESS_TOKEN", PASSWORD), ("SYNCER_TARGET_REPO_AUTH_KEY", "{\"type\":\"service_account\"}")]
    {
        let output = patient.command(&[&host]).env(name, value).output().expect("an output");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(name) && said.contains(&format!("--target-repo-prefix {host}/")), "{said}");
    }
    assert_eq!(registry.requests().len(), 0);
}

/// A front page that wants a password says nothing of repositories that are open to strangers.
#[test]
fn a_repository_for_everybody_behind_a_front_page_for_some() {
    let registry = guarded(Auth::basic(USER, PASSWORD));
    put_image(&registry.memory, "team/app", Some("1"), &[b"layer"]);
    let open = TestRegistry::builder().memory(registry.memory.clone()).start();
    open.on_request(|parts| {
        let headers = [("www-authenticate", "Basic realm=\"r\"")];
        (parts.uri.path() == "/v2/").then(|| Fault::status_with(401, "UNAUTHORIZED", &headers))
    });
    let found = Patient::new().examined(&[&open.host(), "team/app"]);
    found
        .expect("login", "no", "what follows is what strangers may do")
        .expect("pull", "ok", "the tag `1` can be read")
        .ends_with(0);
    // Where they are not open, that is what does not work.
    let found = Patient::new().examined(&[&registry.host(), "team/app"]);
    found.expect("login", "no", "`docker login").expect("pull", "failed", "401 Unauthorized").ends_with(1);
}

/// A token service that is no address of the web is a problem, also of whoever has no credentials.
#[test]
fn a_token_service_that_nobody_can_ask_is_a_problem() {
    let Auth::Bearer(bearer) = Auth::bearer(USER, PASSWORD) else { unreachable!() };
    let registry = guarded(Auth::Bearer(Bearer { realm: Some("file:///".to_owned()), ..bearer }));
    let host = registry.host();
    let says = "names `file:///` as its token service";
    Patient::new().examined(&[&host, "team/app"]).expect("pull", "failed", says).ends_with(1);
    Patient::new().knows(&host, PASSWORD).examined(&[&host]).expect("login", "failed", says).ends_with(1);
}

/// A registry that lets strangers in on its front page is shown the credentials all the same.
#[test]
fn a_login_that_nobody_asks_for_is_tried() {
    for (password, state) in [(PASSWORD, "ok"), ("wrong", "failed")] {
        let registry = guarded(Auth::basic(USER, PASSWORD));
        registry.on_request(|parts| {
            let stranger = !parts.headers.contains_key("authorization");
            let headers = [("www-authenticate", "basic realm=")];
            (stranger && parts.uri.path() == "/v2/").then(|| Fault::status_with(200, "", &headers))
        });
        let host = registry.host();
        let found = Patient::new().knows(&host, password).examined(&[&host]);
        found.expect("api", "ok", "strangers are let in, and others may log in").expect("login", state, "");
    }
}
