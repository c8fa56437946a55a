//! Logins that fail: errors, never an anonymous try, and in a plan no more than a remark.

use http::Method;
use serde_json::json;

use crate::support::auth::{Auth, Bearer};
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::scenario::Scenario;
use crate::{BASIC, USER, basic, bearer, configured, guarded, known};

/// Two images of a guarded source, of which somebody else may have the second one.
fn one_image(story: Scenario) -> Scenario {
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    story.lists("team/app:1")
}

/// With a wrong password at the source.
fn mistaken(story: Scenario) -> Scenario {
    let wrong = json!({ "username": USER, "password": "wrong-but-secret" });
    let config = json!({ "auths": { story.source.host(): wrong, story.target.host(): { "auth": BASIC } } });
    story.credentials(configured(&config))
}

#[test]
fn a_token_that_is_refused_is_no_reason_to_go_on_without() {
    let story = mistaken(one_image(guarded(bearer)));
    let told = story.sync();
    told.expect(&["blocked"]);
    let cause = told.cause(0);
    assert!(cause.contains("source: failed to get a token for repository:team/app:pull"), "{cause}");
    assert!(
        cause.contains("401 Unauthorized")
            && cause.contains("check the user name and password for 127.0.0.1:"),
        "{cause}"
    );
    // The source would have given a token to anybody.
    let tokens = story.source.token_requests();
    assert!(
        !tokens.is_empty() && tokens.iter().all(|token| token.user.as_deref() == Some(USER)),
        "{tokens:?}"
    );
    assert_eq!(story.source.served().len(), 0);
    assert_eq!(story.target.writes().len(), 0);
}

#[test]
fn an_identity_token_that_is_refused_says_what_to_do() {
    let story = one_image(guarded(bearer));
    let expired = json!({ "identitytoken": "expired-but-secret" });
    let config = json!({ "auths": { story.source.host(): expired, story.target.host(): { "auth": BASIC } } });
    let told = story.credentials(configured(&config)).sync();
    told.expect(&["blocked"]);
    assert!(
        told.cause(0).contains("the identity token may have expired: log in to 127.0.0.1:"),
        "{}",
        told.cause(0)
    );
}

#[test]
fn basic_credentials_that_are_refused_are_not_tried_again() {
    let story = mistaken(one_image(guarded(basic)));
    let told = story.sync();
    told.expect(&["blocked"]);
    let says = "does not accept the login that it was shown: check its user name and password";
    assert!(told.cause(0).contains(says), "{}", told.cause(0));
    let manifests = story.source.count(&Method::GET, "/manifests/1");
    assert_eq!(manifests, 2);
}

#[test]
fn nobody_is_told_to_log_in() {
    let anonymous = |auth: fn() -> Auth| {
        let story = one_image(guarded(auth));
        let config = json!({ "auths": { story.target.host(): { "auth": BASIC } } });
        let told = story.credentials(configured(&config)).sync();
        told.expect(&["blocked"]);
        told.cause(0)
    };
    let cause = anonymous(basic);
    assert!(cause.contains("log in to 127.0.0.1:"), "{cause}");
    let cause = anonymous(|| {
        let Auth::Bearer(bearer) = bearer() else { unreachable!() };
        Auth::Bearer(Bearer { anonymous_pull: false, ..bearer })
    });
    assert!(cause.contains("this may need a login, and there is none for 127.0.0.1:"), "{cause}");
}

/// What a token service does.
type Answer = fn() -> Fault;

/// What a token service can answer that is no token, and what is said of it.
#[test]
fn a_token_service_that_gives_no_token() {
    let answers: [(Answer, &str); 8] = [
        (|| Fault::body(200, "text/html", "<html>"), "answered without a token"),
        (|| Fault::body(200, "application/json", "{}"), "answered without a token"),
        (|| Fault::body(200, "application/json", r#"{"token":""}"#), "answered without a token"),
        (|| Fault::body(200, "application/json", vec![0xff; 9]), "answered without a token"),
        (|| Fault::body(200, "application/json", r#"{"token":"a\nb"}"#), "a request cannot carry"),
        (|| Fault::Endless, "longer than 65536 bytes"),
        (|| Fault::CutAfter(5), "broke"),
        (|| Fault::status(503, "UNAVAILABLE"), "503 Service Unavailable"),
    ];
    for (fault, says) in answers {
        let source = TestRegistry::builder().auth(bearer()).start();
        source.on_request(move |parts| {
            let evil = parts.uri.query().is_some_and(|query| query.contains("evil"));
            (parts.uri.path() == "/token" && evil).then(fault)
        });
        let story = Scenario::between(source, TestRegistry::start());
        put_image(&story.source.memory, "evil/app", Some("1"), &[b"evil"]);
        let story = known(one_image(story.lists("evil/app:1")));
        let told = story.sync();
        told.expect(&["blocked", "copied"]);
        assert!(told.cause(0).contains(says), "no `{says}` in: {}", told.cause(0));
        let asked = story.source.requests();
        let anonymous = asked.iter().filter(|asked| asked.path.contains("evil") && asked.status != 401);
        assert_eq!(anonymous.count(), 0);
        let tokens = asked.iter().filter(|asked| asked.path == "/token" && asked.query.contains("evil"));
        assert!(tokens.count() <= 3);
    }
}

#[test]
fn a_token_service_that_is_not_there() {
    let Auth::Bearer(bearer) = bearer() else { unreachable!() };
    let nowhere = Auth::Bearer(Bearer { realm: Some("http://127.0.0.1:1/token".into()), ..bearer });
    let source = TestRegistry::builder().auth(nowhere).start();
    let story = known(one_image(Scenario::between(source, TestRegistry::start())));
    let told = story.sync();
    told.expect(&["blocked"]);
    // The failure is put on who failed.
    assert!(told.cause(0).contains("cannot connect to 127.0.0.1:1:"), "{}", told.cause(0));
}

/// A target that refuses is a remark in a plan and blocks a sync.
#[test]
fn a_target_that_may_not_be_read() {
    for status in [401, 403] {
        let story = one_image(Scenario::new());
        story.target.on_request(move |_| Some(Fault::status(status, "DENIED")));
        let told = story.plan();
        told.expect(&["copy"]);
        assert_eq!(told.exit_code(), 0);
        let json = told.json();
        assert_eq!(json["items"][0]["remarks"][0]["code"], "target-not-readable");
        let remark = json["items"][0]["remarks"][0]["message"].as_str().expect("a message");
        assert!(remark.contains(&format!("answered {status}")), "{remark}");

        let told = story.sync();
        told.expect(&["blocked"]);
        assert_eq!(told.exit_code(), 1);
        let cause = told.cause(0);
        assert!(
            cause.starts_with("target: failed to read manifest") && cause.contains("team/app:1"),
            "{cause}"
        );
        assert_eq!(story.target.writes().len(), 0);
    }
}

/// A refusal at the source is none of that, also in a plan.
#[test]
fn a_source_that_may_not_be_read_blocks_a_plan() {
    let story = one_image(Scenario::new());
    story.source.on_request(|_| Some(Fault::status(401, "UNAUTHORIZED")));
    let told = story.plan();
    told.expect(&["blocked"]);
    assert!(told.cause(0).starts_with("source: failed to read manifest"), "{}", told.cause(0));
}

#[test]
fn a_plan_sends_nothing_but_questions() {
    for auth in [basic, bearer] {
        let story = one_image(guarded(auth));
        let identity = json!({ "identitytoken": crate::PASSWORD });
        let known_as = if matches!(auth(), Auth::Basic { .. }) { json!({ "auth": BASIC }) } else { identity };
        let config = json!({ "auths": { story.source.host(): known_as, story.target.host(): known_as } });
        let story = story.credentials(configured(&config));
        story.plan().expect(&["copy"]);
        story.sync().expect(&["copied"]);
        story.source.clear_log();
        story.target.clear_log();
        put_image(&story.source.memory, "team/app", Some("1"), &[b"another"]);
        story.plan().expect(&["conflict"]);
        for request in story.source.requests().iter().chain(&story.target.requests()) {
            let reads = matches!(request.method, Method::GET | Method::HEAD);
            assert!(reads || request.path == "/token", "{}", request.line());
        }
    }
}
