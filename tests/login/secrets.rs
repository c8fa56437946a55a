//! What proves who we are shows nowhere.

use image_syncer::registry::{Credential, Settings};
use image_syncer::report::{Format, Look};
use image_syncer::secret::Secret;
use serde_json::json;

use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::scenario::{Scenario, Told};
use crate::{BASIC, PASSWORD, USER, bearer, configured, guarded};

/// Neither the password, nor what is sent in its place, nor a token.
#[track_caller]
fn assert_silent(text: &str) {
    for secret in [PASSWORD, BASIC, "token-1"] {
        assert!(!text.contains(secret), "`{secret}` in {text}");
    }
}

/// The report in all its forms, and as who debugs sees it.
#[track_caller]
fn assert_told_nothing(told: &Told) {
    for format in [Format::Text, Format::Json, Format::Markdown] {
        assert_silent(&told.0.render(format, Look { columns: 200, colour: false }));
    }
    assert_silent(&format!("{:?}", told.0));
    for item in 0..told.words().len() {
        assert_silent(&told.cause(item));
    }
}

fn story(identity: bool) -> Scenario {
    let story = guarded(bearer);
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    let story = story.lists("team/app:1");
    let auth = if identity { json!({ "identitytoken": PASSWORD }) } else { json!({ "auth": BASIC }) };
    let config = json!({ "auths": { story.source.host(): auth, story.target.host(): auth } });
    let credentials = configured(&config);
    assert_silent(&format!("{credentials:?}"));
    story.credentials(credentials)
}

#[test]
fn a_report_of_success_holds_no_secret() {
    for identity in [false, true] {
        let told = story(identity).sync();
        told.expect(&["copied"]);
        assert_told_nothing(&told);
    }
}

/// A registry, or its token service, that repeats what it was sent.
#[test]
fn a_report_of_failure_holds_no_secret() {
    for (identity, path) in [(false, "/token"), (true, "/token"), (false, "/v2/"), (true, "/v2/")] {
        let story = story(identity);
        story.source.on_request(move |parts| {
            let sent = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
            let sent = sent.unwrap_or_default();
            let at = parts.uri.path().starts_with(path) && (path == "/token" || !sent.is_empty());
            // Only the token service is sent the password, or the identity token.
            let known = if path == "/token" { PASSWORD } else { "" };
            let message = format!("who is {USER} with {known} and {sent}?");
            let body = json!({ "errors": [{ "code": "DENIED", "message": message }] });
            at.then(|| Fault::body(403, "application/json", body.to_string()))
        });
        let told = story.sync();
        told.expect(&["blocked"]);
        assert!(told.cause(0).contains("answered 403"), "{}", told.cause(0));
        assert_told_nothing(&told);
    }
}

#[test]
fn a_secret_in_an_upload_s_address_is_not_told() {
    let story = story(false);
    story.target.on_request(|parts| {
        let location = format!("http://127.0.0.1:1/upload?_state={PASSWORD}");
        (parts.method == http::Method::POST).then(|| Fault::status_with(202, "", &[("location", &location)]))
    });
    let told = story.sync();
    told.expect(&["failed"]);
    assert!(told.cause(0).contains("127.0.0.1:1"), "{}", told.cause(0));
    assert_told_nothing(&told);
}

#[test]
fn a_secret_in_a_redirect_is_not_told() {
    let elsewhere = TestRegistry::start();
    elsewhere.on_request(|_| Some(Fault::status(403, "DENIED")));
    let to = format!("http://user:{PASSWORD}@localhost:{}/x?signature={PASSWORD}", elsewhere.address.port());
    let story = story(false);
    story.source.on_request(move |parts| {
        (parts.headers.contains_key("authorization") && parts.uri.path().starts_with("/v2/"))
            .then(|| Fault::redirect(&to))
    });
    let told = story.sync();
    told.expect(&["blocked"]);
    assert!(told.cause(0).contains("localhost:"), "{}", told.cause(0));
    assert_told_nothing(&told);
}

#[test]
fn who_debugs_sees_no_secret() {
    let credential = |secret: &str| {
        [
            Credential::Basic { username: USER.into(), password: Secret::new(secret) },
            Credential::IdentityToken(Secret::new(secret)),
            Credential::Bearer(Secret::new(secret)),
        ]
    };
    assert_silent(&format!("{:?}", credential(PASSWORD)));
    let key = b"-----BEGIN PRIVATE KEY-----";
    let settings = Settings { identity: Some(key.to_vec()), ..Settings::default() };
    let shown = format!("{settings:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains(&format!("{key:?}")), "{shown}");
}
