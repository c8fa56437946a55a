//! What a plan may reach for somebody who is not trusted: public addresses, without anybody's credentials.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use http::Method;
use http::request::Parts;
use image_syncer::registry::{Credentials, Reach};
use support::auth::Auth;
use support::content::put_image;
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::{Scenario, Told};

const NAME: &str = "team/app";

/// A story in which sources and what they lead to have to be public.
fn guarded(source: TestRegistry, target: TestRegistry) -> Scenario {
    let mut story = Scenario::between(source, target);
    story.settings.reach = Reach::Public;
    put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
    story
}

#[track_caller]
fn assert_refused(told: &Told, kind: &str) {
    assert_eq!(told.words(), ["blocked"], "{}", told.text());
    let cause = told.cause(0);
    assert!(cause.contains(kind) && cause.contains("allow-private-networks"), "{cause}");
    assert_eq!(told.exit_code(), 1);
}

#[test]
fn a_source_on_this_machine_is_not_reached_whatever_it_is_called() {
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "127.1", "0"] {
        let story = guarded(TestRegistry::start(), TestRegistry::start());
        let port = story.source.host().rsplit(':').next().expect("a port").to_owned();
        let story = story.entry(&format!("source: \"{host}:{port}/{NAME}:1\"\n    target: app"));
        for told in [story.plan(), story.sync()] {
            assert_refused(&told, "this machine");
        }
        assert_eq!(story.source.requests().len(), 0, "{host}");
        // The registry that images go to is the operator's choice.
        assert!(!story.target.requests().is_empty());
    }
}

#[test]
fn private_networks_and_metadata_services_are_not_reached() {
    let table = [
        ("169.254.169.254", "the metadata service of a cloud"),
        ("10.255.255.1:5000", "a private network"),
        ("192.168.255.1:5000", "a private network"),
        ("[fd00:ec2::254]:80", "the metadata service of a cloud"),
        ("[::ffff:169.254.169.254]:80", "the metadata service of a cloud"),
    ];
    for (host, kind) in table {
        let story = guarded(TestRegistry::start(), TestRegistry::start());
        let story = story.entry(&format!("source: \"{host}/{NAME}:1\"\n    target: app"));
        assert_refused(&story.plan(), kind);
    }
}

/// A list's author can name the target's registry as a source: as one it is not trusted.
#[test]
fn the_targets_registry_is_not_reached_as_a_source() {
    let story = guarded(TestRegistry::start(), TestRegistry::start());
    put_image(&story.target.memory, "internal/app", Some("1"), &[b"internal"]);
    let story = story.entry("source: TARGET/internal/app:1");
    assert_refused(&story.plan(), "this machine");
    assert!(story.target.requests().iter().all(|request| !request.path.starts_with("/v2/internal/")));
}

#[test]
fn a_redirect_to_a_private_address_is_not_followed() {
    let story = guarded(TestRegistry::start(), TestRegistry::start()).lists("team/app:1");
    let elsewhere = TestRegistry::start();
    let url = elsewhere.url().replace("127.0.0.1", "localhost");
    story.target.on_request(move |parts| {
        parts.uri.path().contains("/manifests/").then(|| Fault::redirect(&format!("{url}{}", parts.uri)))
    });
    assert_refused(&story.plan(), "this machine");
    assert_eq!(elsewhere.requests().len(), 0);
}

/// A token service that gives `abc` to anybody, and what a registry says that wants to see that.
fn token_service() -> (TestRegistry, impl Fn(&Parts) -> Option<Fault> + Send + Sync + 'static) {
    let service = TestRegistry::start();
    service.on_request(|parts| {
        let is_it = parts.uri.path() == "/auth";
        is_it.then(|| Fault::body(200, "application/json", r#"{"token":"abc"}"#))
    });
    let realm = format!("{}/auth", service.url().replace("127.0.0.1", "localhost"));
    let challenge = move |parts: &Parts| {
        let is_shown = parts.headers.get("authorization").is_some_and(|value| value == "Bearer abc");
        let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
        let headers = [("www-authenticate", challenge.as_str())];
        (!is_shown).then(|| Fault::status_with(401, "UNAUTHORIZED", &headers))
    };
    (service, challenge)
}

/// A source's word counts for nothing, be its registry where the operator said.
#[test]
fn a_token_service_at_a_private_address_is_not_asked() {
    let mut story = guarded(TestRegistry::start(), TestRegistry::start());
    let (thief, challenge) = token_service();
    story.source.on_request(challenge);
    let url = story.source.url().parse().expect("a URL");
    story.settings.endpoints.insert("cached.example.com".parse().expect("a registry"), url);
    let story = story.entry("source: cached.example.com/team/app:1");
    assert_refused(&story.plan(), "this machine");
    assert_eq!(thief.requests().len(), 0);
}

/// As at GitLab, whose registry has a port of its own: which token service the target has is the target's to say.
#[test]
fn the_targets_own_token_service_may_be_anywhere() {
    let story = guarded(TestRegistry::start(), TestRegistry::start());
    let (service, challenge) = token_service();
    story.target.on_request(challenge);
    let mut story = story.entry("source: cached.example.com/team/app:1");
    let url = story.source.url().parse().expect("a URL");
    story.settings.endpoints.insert("cached.example.com".parse().expect("a registry"), url);
    story.plan().expect(&["copy"]);
    assert!(service.requests().iter().all(|request| request.path == "/auth"));
    assert!(!service.requests().is_empty());
}

/// A target that keeps its content elsewhere leads there, if the operator names that as well; a source never does.
#[test]
fn only_the_operators_registries_lead_to_an_endpoint() {
    for is_named in [true, false] {
        let mut story = guarded(TestRegistry::start(), TestRegistry::start());
        let storage = TestRegistry::start();
        let url = storage.url().replace("127.0.0.1", "localhost");
        for (host, at) in [("cached.example.com", story.source.url()), ("storage.example.com", url.clone())] {
            if is_named || host == "cached.example.com" {
                let at = at.parse().expect("a URL");
                story.settings.endpoints.insert(host.parse().expect("a registry"), at);
            }
        }
        story.target.on_request(move |parts| {
            let is_it = parts.uri.path().contains("/manifests/");
            is_it.then(|| Fault::redirect(&format!("{url}{}", parts.uri)))
        });
        let told = story.entry("source: cached.example.com/team/app:1").plan();
        if is_named {
            told.expect(&["copy"]);
            assert!(!storage.requests().is_empty());
        } else {
            assert_refused(&told, "this machine");
            assert_eq!(storage.requests().len(), 0);
        }
    }
}

/// What a stranger lists is asked for as anybody could ask.
#[test]
fn sources_can_be_asked_without_credentials() {
    let open = || TestRegistry::builder().auth(Auth::basic("robot", "secret")).start();
    let mut story = Scenario::between(TestRegistry::start(), open()).lists("team/app:1");
    story.settings.anonymous_sources = true;
    put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
    let auth = serde_json::json!({ "auth": "cm9ib3Q6c2VjcmV0" });
    let config = serde_json::json!({ "auths": { story.source.host(): auth, story.target.host(): auth } });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), config.to_string()).expect("a file");
    let story = story.credentials(Credentials::from_docker_config(file.path()).expect("credentials"));
    story.plan().expect(&["copy"]);
    let with_credentials = |registry: &TestRegistry| {
        registry.requests().iter().any(|request| request.headers.contains_key("authorization"))
    };
    assert!(!with_credentials(&story.source));
    assert!(with_credentials(&story.target));

    // A source that wants to know who asks says so, and hears nothing.
    let mut private = Scenario::between(open(), TestRegistry::start()).lists("team/app:1");
    private.settings.anonymous_sources = true;
    put_image(&private.source.memory, NAME, Some("1"), &[b"one"]);
    let config = serde_json::json!({ "auths": { private.source.host(): auth } });
    std::fs::write(file.path(), config.to_string()).expect("a file");
    let private = private.credentials(Credentials::from_docker_config(file.path()).expect("credentials"));
    private.plan().expect(&["blocked"]);
    assert!(private.source.count(&Method::GET, "/v2/") > 0);
    assert!(!with_credentials(&private.source));
}

/// An operator's pull-through cache may be where it likes; what else a list names may not.
#[test]
fn an_endpoint_is_the_operators_choice() {
    let mut story = guarded(TestRegistry::start(), TestRegistry::start());
    let url = story.source.url().parse().expect("a URL");
    story.settings.endpoints.insert("cached.example.com".parse().expect("a registry"), url);
    story.entry("source: cached.example.com/team/app:1").plan().expect(&["copy"]);
}
