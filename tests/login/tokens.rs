//! Basic, and tokens: for what exactly, how often, and until when.

use http::Method;
use image_syncer::config::Signatures;
use image_syncer::registry::Credential;
use image_syncer::secret::Secret;
use serde_json::json;

use crate::support::auth::{Auth, Bearer, SERVICE, TokenRequest};
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::{Logged, TestRegistry};
use crate::support::scenario::Scenario;
use crate::{PASSWORD, USER, basic, bearer, configured, guarded, known};

fn one_image(story: Scenario) -> Scenario {
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    story.lists("team/app:1")
}

fn granted(scopes: &[&str], user: Option<&str>, method: Method) -> TokenRequest {
    TokenRequest {
        method,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        service: Some(SERVICE.into()),
        user: user.map(str::to_owned),
        status: 200,
    }
}

/// Tokens that are good for so many requests.
fn short_lived(uses: usize) -> Auth {
    let Auth::Bearer(bearer) = bearer() else { unreachable!() };
    Auth::Bearer(Bearer { uses: Some(uses), ..bearer })
}

#[test]
fn basic_credentials_are_sent_when_they_are_asked_for() {
    let story = known(one_image(guarded(basic)));
    story.sync().expect(&["copied"]);
    for registry in [&story.source, &story.target] {
        let requests = registry.requests();
        assert!(!requests[0].headers.contains_key("authorization"));
        assert_eq!(requests[0].status, 401);
        assert!(
            registry.served().iter().all(|request| request.headers["authorization"] == crate::basic_header())
        );
    }
}

#[test]
fn tokens_have_exactly_the_scopes_that_are_needed() {
    let story = known(one_image(guarded(bearer)));
    let at = story.at_target("team/app");
    story.sync().expect(&["copied"]);
    let pull = granted(&["repository:team/app:pull"], Some(USER), Method::GET);
    assert_eq!(story.source.token_requests(), [pull]);
    let push = granted(&[&format!("repository:{at}:pull,push")], Some(USER), Method::GET);
    assert_eq!(story.target.token_requests(), [push]);
}

/// A plan asks for the right to push, with which a repository that does not exist is no refusal.
#[test]
fn a_plan_asks_for_the_same() {
    let story = known(one_image(guarded(bearer)));
    let at = story.at_target("team/app");
    story.plan().expect(&["copy"]);
    let push = granted(&[&format!("repository:{at}:pull,push")], Some(USER), Method::GET);
    assert_eq!(story.target.token_requests(), [push]);
    assert_eq!(story.target.writes().len() + story.source.writes().len(), 0);
}

#[test]
fn a_mount_has_both_scopes_in_one_token() {
    let mut story = guarded(bearer).signatures(Signatures::Skip);
    // One request at a time: the second image finds the first one's blobs.
    story.settings.concurrency = Some(1);
    for name in ["team/a", "team/b"] {
        put_image(&story.source.memory, name, Some("1"), &[b"shared"]);
        story = story.lists(&format!("{name}:1"));
    }
    let story = known(story);
    story.sync().expect(&["copied", "copied"]);
    let [a, b] = ["team/a", "team/b"].map(|name| story.at_target(name));
    let scopes: Vec<String> =
        story.target.token_requests().into_iter().map(|request| request.scopes.join(" ")).collect();
    let mount = |to: &str, from: &str| format!("repository:{to}:pull,push repository:{from}:pull");
    let mounts = [mount(&a, &b), mount(&b, &a)];
    assert!(scopes.iter().any(|scopes| mounts.contains(scopes)), "{scopes:?}");
    assert_eq!(scopes.iter().filter(|scopes| !mounts.contains(scopes)).count(), 2, "{scopes:?}");
    let mounted = |request: &Logged| request.query.contains("from=") && request.status == 201;
    assert!(story.target.requests().iter().any(mounted));
}

#[test]
fn a_source_without_credentials_gives_tokens_to_everybody() {
    let story = one_image(guarded(bearer));
    let config = json!({ "auths": { story.target.host(): { "auth": crate::BASIC } } });
    let story = story.credentials(configured(&config));
    story.sync().expect(&["copied"]);
    let pull = granted(&["repository:team/app:pull"], None, Method::GET);
    assert_eq!(story.source.token_requests(), [pull]);
}

/// However many images need it at the same time.
#[test]
fn a_token_is_asked_for_once() {
    let mut story = guarded(bearer);
    for number in 0..30 {
        let tag = number.to_string();
        put_image(&story.source.memory, "team/app", Some(&tag), &[tag.as_bytes()]);
        story = story.lists(&format!("team/app:{tag}"));
    }
    let story = known(story);
    story.sync().expect(&["copied"; 30]);
    assert_eq!(story.source.token_requests().len(), 1);
    assert_eq!(story.target.token_requests().len(), 1);
}

#[test]
fn a_token_that_expires_in_the_middle_is_refreshed() {
    let mut story = known(one_image(guarded(|| short_lived(2))));
    // Else others could use a fresh token up before it is used by who asked for it.
    story.settings.concurrency = Some(1);
    story.sync().expect(&["copied"]);
    for registry in [&story.source, &story.target] {
        let requests = registry.served().len();
        let tokens = registry.token_requests();
        assert!(tokens.len() > 1 && tokens.len() <= requests, "{} for {requests}", tokens.len());
        assert!(tokens.iter().all(|token| token.status == 200 && token.user.as_deref() == Some(USER)));
    }
}

#[test]
fn a_token_that_is_never_good_ends_it() {
    let story = known(one_image(guarded(|| short_lived(0))));
    let told = story.sync();
    told.expect(&["blocked"]);
    assert!(told.cause(0).contains("answered 401 Unauthorized"), "{}", told.cause(0));
    // Without a token, and with one; the target is looked at first.
    let refused = story.target.requests().iter().filter(|request| request.status == 401).count();
    assert_eq!((refused, story.target.token_requests().len()), (2, 1));
}

#[test]
fn an_identity_token_is_posted() {
    let story = one_image(guarded(bearer));
    let token = json!({ "identitytoken": PASSWORD });
    let config = json!({ "auths": { story.source.host(): token, story.target.host(): token } });
    let story = story.credentials(configured(&config));
    let at = story.at_target("team/app");
    story.sync().expect(&["copied"]);
    let pull = granted(&["repository:team/app:pull"], Some(USER), Method::POST);
    assert_eq!(story.source.token_requests(), [pull]);
    let push = granted(&[&format!("repository:{at}:pull,push")], Some(USER), Method::POST);
    assert_eq!(story.target.token_requests(), [push]);
    for request in story.source.requests().iter().chain(&story.target.requests()) {
        assert!(!request.query.contains(PASSWORD), "{}", request.query);
    }
}

/// A registry that takes `token` and knows no other way in.
fn takes(token: &'static str) -> TestRegistry {
    let registry = TestRegistry::start();
    registry.on_request(move |parts| {
        let good =
            parts.headers.get("authorization").is_some_and(|value| value == &format!("Bearer {token}"));
        let challenge = [("www-authenticate", "Bearer realm=\"http://127.0.0.1:1/token\"")];
        (!good).then(|| Fault::status_with(401, "UNAUTHORIZED", &challenge))
    });
    registry
}

#[test]
fn a_fixed_token_is_sent_as_it_is() {
    let story = one_image(Scenario::between(TestRegistry::start(), takes("fixed-and-secret")));
    let story = story.target_credential(Credential::Bearer(Secret::new("fixed-and-secret")));
    story.sync().expect(&["copied"]);
    assert!(story.target.requests().iter().all(|request| request.status < 400 || request.status == 404));
    // It is the target's, and nobody else's.
    assert!(story.source.requests().iter().all(|request| !request.headers.contains_key("authorization")));
}

#[test]
fn a_fixed_token_that_is_refused_is_not_tried_again() {
    let story = one_image(Scenario::between(TestRegistry::start(), takes("another")));
    let story = story.target_credential(Credential::Bearer(Secret::new("fixed-and-secret")));
    let told = story.sync();
    told.expect(&["blocked"]);
    assert!(told.cause(0).contains("answered 401 Unauthorized"), "{}", told.cause(0));
    assert_eq!(story.target.requests().len(), 1);
}

#[test]
fn a_json_key_is_the_password_of_its_user() {
    let key = r#"{"type":"service_account","client_email":"a@b","private_key":"k:e:y"}"#;
    for auth in [Auth::basic("_json_key", key), Auth::bearer("_json_key", key)] {
        let target = TestRegistry::builder().auth(auth).start();
        let story = one_image(Scenario::between(TestRegistry::start(), target));
        let credential = Credential::from_json_key(&format!("{key}\n")).expect("a key");
        let story = story.target_credential(credential);
        story.sync().expect(&["copied"]);
    }
}

/// `-a` and `-t` come before the docker configuration, at the target alone.
#[test]
fn the_targets_own_credential_wins() {
    let wrong = json!({ "username": USER, "password": "wrong" });
    let story = one_image(guarded(basic));
    let config =
        json!({ "auths": { story.source.host(): { "auth": crate::BASIC }, story.target.host(): wrong } });
    let own = Credential::Basic { username: USER.into(), password: Secret::new(PASSWORD) };
    let story = story.credentials(configured(&config)).target_credential(own);
    story.sync().expect(&["copied"]);
}
