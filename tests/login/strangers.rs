//! Registries that refuse strangers and do not ask who they are: what there is to show is shown, after one question.

use http::request::Parts;
use http::{Method, header};
use serde_json::json;

use crate::support::auth::Auth;
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::scenario::Scenario;
use crate::{BASIC, basic, bearer, configured, known};

const IMAGES: [&str; 4] = ["team/a", "team/b", "team/c", "team/d"];

/// A registry whose repositories refuse strangers with this status. Its front page asks for a login, or lets them in and
/// says how others log in, as zot does.
fn shut(auth: Auth, status: u16, zots: bool) -> TestRegistry {
    let registry = TestRegistry::builder().auth(auth).start();
    registry.on_request(move |parts: &Parts| {
        let is_stranger = !parts.headers.contains_key(header::AUTHORIZATION);
        match parts.uri.path() {
            "/v2/" if zots => Some(Fault::status_with(200, "", &[("www-authenticate", "basic realm=")])),
            "/token" | "/v2/" => None,
            _ => is_stranger.then(|| Fault::status(status, "DENIED")),
        }
    });
    registry
}

/// What was sent without a login, to repositories and to the front page.
fn by_strangers(registry: &TestRegistry) -> (usize, usize) {
    let requests = registry.requests();
    let strangers = requests.iter().filter(|it| !it.headers.contains_key(header::AUTHORIZATION));
    let (front, others): (Vec<_>, Vec<_>) =
        strangers.filter(|it| it.path != "/token").partition(|it| it.path == "/v2/");
    (others.len(), front.len())
}

/// Four images between two such registries, one after the other.
fn story(shut: impl Fn() -> TestRegistry) -> Scenario {
    let mut story = Scenario::between(shut(), shut());
    story.settings.concurrency = Some(1);
    for name in IMAGES {
        put_image(&story.source.memory, name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    story
}

#[test]
fn whoever_is_known_is_shown_to_a_registry_that_does_not_ask() {
    for (auth, zots) in [(basic as fn() -> Auth, false), (basic, true), (bearer, false)] {
        for status in [403, 404] {
            let story = known(story(|| shut(auth(), status, zots)));
            let told = story.sync();
            told.expect(&["copied"; 4]);
            for name in IMAGES {
                assert!(story.mirrored(name, "1").is_some(), "{name}");
            }
            for registry in [&story.source, &story.target] {
                assert_eq!(by_strangers(registry), (1, 1), "one question a run, not one an image");
            }
            story.source.clear_log();
            story.target.clear_log();
            story.plan().expect(&["up-to-date"; 4]);
            assert_eq!((by_strangers(&story.source), by_strangers(&story.target)), ((1, 1), (1, 1)));
        }
    }
}

/// What is not shown to a registry that says nowhere how is not sent in the hope that it be right.
#[test]
fn a_registry_that_never_says_how_is_shown_nothing() {
    let open = || {
        let registry = TestRegistry::start();
        registry.on_request(|parts| (parts.uri.path() != "/v2/").then(|| Fault::status(403, "DENIED")));
        registry
    };
    let story = known(story(open));
    let told = story.sync();
    told.expect(&["blocked"; 4]);
    assert!(
        told.cause(0).contains("was not sent, since its front page, /v2/, does not ask"),
        "{}",
        told.cause(0)
    );
    let requests = story.source.requests();
    assert!(requests.iter().all(|it| !it.headers.contains_key(header::AUTHORIZATION)));
    assert_eq!(story.source.count(&Method::GET, "/v2/") - story.source.count(&Method::GET, "/v2/team"), 1);
}

/// Nobody is told of the rights of an account that there is not.
#[test]
fn a_stranger_is_told_to_log_in() {
    let story = story(|| shut(basic(), 403, false));
    let told = story.sync();
    told.expect(&["blocked"; 4]);
    let cause = told.cause(0);
    assert!(
        cause.contains("there is no login for 127.0.0.1:") && !cause.contains("lacks the right"),
        "{cause}"
    );
    assert_eq!(by_strangers(&story.source).1, 0, "without a credential there is nothing to ask for");
}

/// A wrong password is shown once a request, and the refusal is the end of it.
#[test]
fn a_password_that_is_wrong_is_not_asked_about_again() {
    let story = story(|| shut(basic(), 403, false));
    let wrong = json!({ "username": crate::USER, "password": "wrong" });
    let config = json!({ "auths": { story.source.host(): wrong, story.target.host(): { "auth": BASIC } } });
    let told = story.credentials(configured(&config)).sync();
    told.expect(&["blocked"; 4]);
    assert!(told.cause(0).contains("401 Unauthorized"), "{}", told.cause(0));
}

/// The login does not follow a redirect, whatever the other host says to a stranger.
#[test]
fn the_login_stays_at_its_registry() {
    let (source, elsewhere) = (shut(basic(), 403, false), shut(basic(), 403, false));
    let url = elsewhere.url();
    source.on_request(move |parts| {
        let is_away = parts.uri.path() != "/v2/";
        is_away.then(|| Fault::redirect(&format!("{url}{}", parts.uri.path())))
    });
    let story = Scenario::between(source, TestRegistry::start()).lists("team/a:1");
    let auth = json!({ "auth": BASIC });
    let config = json!({ "auths": { story.source.host(): auth, elsewhere.host(): auth } });
    let story = story.credentials(configured(&config));
    story.sync().expect(&["blocked"]);
    let away = elsewhere.requests();
    assert!(!away.is_empty() && away.iter().all(|it| it.header("authorization").is_empty()));
}
