//! Hosts that want credentials which are not for them.

use std::sync::Arc;

use http::Method;
use image_syncer::registry::Credentials;

use crate::support::auth::{Auth, Bearer};
use crate::support::companions::{entry, put_fallback};
use crate::support::content::put_referrer;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::scenario::Scenario;
use crate::{Ambush, EVIL, about_evil, each, is};

const USER: &str = "robot";
const PASSWORD: &str = "hunter2-is-secret";

/// `robot:hunter2-is-secret`, as Basic credentials have it.
const BASIC: &str = "cm9ib3Q6aHVudGVyMi1pcy1zZWNyZXQ=";

/// The docker configuration of somebody who is known at both registries.
fn known_at_both(story: &Scenario) -> Credentials {
    let auth = serde_json::json!({ "auth": BASIC });
    let config = serde_json::json!({ "auths": { story.source.host(): auth, story.target.host(): auth } });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), config.to_string()).expect("a file");
    Credentials::from_docker_config(file.path()).expect("credentials")
}

/// Both registries want to know who asks.
fn guarded(auth: impl Fn() -> Auth) -> Ambush {
    let registry = || TestRegistry::builder().auth(auth()).start();
    let mut ambush = Ambush::between(registry(), registry());
    let credentials = known_at_both(&ambush.story);
    ambush.story = ambush.story.credentials(credentials);
    ambush
}

fn basic() -> Auth {
    Auth::basic(USER, PASSWORD)
}

fn bearer() -> Auth {
    Auth::bearer(USER, PASSWORD)
}

/// The same registry's content under another host name.
fn elsewhere(of: &TestRegistry) -> (TestRegistry, String) {
    let registry = TestRegistry::builder().memory(of.memory.clone()).start();
    let url = registry.url().replace("127.0.0.1", "localhost");
    (registry, url)
}

/// Requests came, and none of them with anything that proves who we are.
#[track_caller]
fn assert_asked_without_credentials(registry: &TestRegistry) {
    let requests = registry.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(!request.headers.contains_key("authorization"), "{}", request.line());
        let all = format!("{request:?}");
        for secret in [PASSWORD, BASIC, "token-"] {
            assert!(!all.contains(secret), "`{secret}` in {all}");
        }
    }
}

/// All of the source's answers to such requests lead to another host, which has the content.
fn redirected(auth: impl Fn() -> Auth, part: &'static str) {
    let ambush = guarded(auth);
    let (elsewhere, url) = elsewhere(&ambush.story.source);
    let ambush = ambush.at_source(move |parts| {
        let known = parts.headers.contains_key("authorization");
        let read = is(parts, &Method::GET, part);
        (read && known).then(|| Fault::redirect(&format!("{url}{}", parts.uri.path())))
    });
    ambush.heals();
    assert_asked_without_credentials(&elsewhere);
    assert!(elsewhere.requests().iter().all(|request| request.path.contains(part)));
}

#[test]
fn blobs_on_another_host() {
    redirected(basic, "/blobs/");
    redirected(bearer, "/blobs/");
}

#[test]
fn manifests_on_another_host() {
    redirected(basic, "/manifests/");
    redirected(bearer, "/manifests/");
}

#[test]
fn a_challenge_on_another_host_is_not_answered() {
    let ambush = guarded(basic);
    let (elsewhere, url) = elsewhere(&ambush.story.source);
    for challenge in ["Basic realm=\"x\"", "Bearer realm=\"URL/token\",service=\"x\""] {
        let challenge = challenge.replace("URL", &url);
        elsewhere.on_request(move |_| {
            Some(Fault::status_with(401, "UNAUTHORIZED", &[("www-authenticate", &challenge)]))
        });
        let to = url.clone();
        ambush.story.source.on_request(move |parts| {
            let known = parts.headers.contains_key("authorization") && about_evil(parts);
            (known && is(parts, &Method::GET, "/manifests/"))
                .then(|| Fault::redirect(&format!("{to}{}", parts.uri.path())))
        });
        let outcome = ambush.story.sync();
        assert_eq!(outcome.words()[0], "blocked");
        assert!(outcome.cause(0).contains("localhost:"), "{}", outcome.cause(0));
    }
    assert_asked_without_credentials(&elsewhere);
    assert_eq!(elsewhere.requests().iter().filter(|request| request.path.contains("token")).count(), 0);
}

#[test]
fn referrers_on_another_host_are_not_asked_for() {
    let ambush = guarded(basic);
    let sbom = put_referrer(
        &ambush.story.source.memory,
        EVIL,
        &ambush.evil,
        "application/spdx+json",
        b"not to be had there",
    );
    let listed = put_referrer(
        &ambush.story.source.memory,
        EVIL,
        &ambush.evil,
        "application/vnd.cyclonedx+json",
        b"to be had here",
    );
    put_fallback(&ambush.story.source.memory, EVIL, &ambush.evil, &[entry(&listed)]);
    let (elsewhere, url) = elsewhere(&ambush.story.source);
    let ambush = ambush.at_source(each(Method::GET, "/referrers/", move || Fault::redirect(&url)));
    let told = ambush.heals();
    assert_eq!(elsewhere.requests().len(), 0);
    // The registry has no API then, as it seems, and the fallback tag is asked for.
    assert_eq!(ambush.asked(&Method::GET, &format!("/manifests/sha256-{}", ambush.evil.digest.hex())), 1);
    assert!(told.0.json().contains(&listed.digest.to_string()));
    assert!(!told.0.json().contains(&sbom.digest.to_string()));
}

#[test]
fn a_page_of_referrers_on_another_host_is_not_asked_for() {
    let ambush = guarded(basic);
    let (elsewhere, url) = elsewhere(&ambush.story.source);
    let link = format!("<{url}/v2/evil/app/referrers/x?last=1>; rel=\"next\"");
    let ambush =
        ambush.at_source(each(Method::GET, "/referrers/", move || Fault::With("link", link.clone())));
    ambush.fails("blocked", &["list the referrers of", "its next page is on another host, localhost"]);
    assert_eq!(elsewhere.requests().len(), 0);
}

/// A registry whose tokens are to be had at another host.
fn with_realm(realm: &str) -> TestRegistry {
    let bearer = Bearer {
        user: USER.into(),
        password: PASSWORD.into(),
        anonymous_pull: true,
        uses: None,
        realm: Some(realm.to_owned()),
    };
    TestRegistry::builder().auth(Auth::Bearer(bearer)).start()
}

#[test]
fn a_token_service_on_another_host_gets_no_credentials() {
    let thief = TestRegistry::builder().auth(bearer()).start();
    let realm = format!("{}/token", thief.url().replace("127.0.0.1", "localhost"));
    for identity_token in [false, true] {
        let ambush = Ambush::new();
        let source = with_realm(&realm);
        crate::support::content::put_image(&source.memory, EVIL, Some("1"), &[b"x"]);
        let auth = if identity_token {
            serde_json::json!({ "identitytoken": PASSWORD })
        } else {
            serde_json::json!({ "auth": BASIC })
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        let config = serde_json::json!({ "auths": { source.host(): auth } });
        std::fs::write(file.path(), config.to_string()).expect("a file");
        let credentials = Credentials::from_docker_config(file.path()).expect("credentials");
        let entry = format!("source: {}/{EVIL}:1", source.host());
        let ambush = Ambush { story: ambush.story.entry(&entry).credentials(credentials), ..ambush };
        let told = ambush.sync();
        told.expect(&["copied", "copied", "blocked"]);
        let cause = told.cause(2);
        assert!(cause.contains("names localhost as its token service"), "{cause}");
        assert!(cause.contains(&format!("credentials of {} are not sent there", source.host())), "{cause}");
        assert_eq!(told.exit_code(), 1);
    }
    assert_eq!(thief.requests().len(), 0);
}

#[test]
fn an_upload_on_another_host_gets_no_credentials() {
    for auth in [basic, bearer] {
        let ambush = guarded(auth);
        let (elsewhere, url) = elsewhere(&ambush.story.target);
        let elsewhere = Arc::new(elsewhere);
        let storage = Arc::clone(&elsewhere);
        let ambush = ambush.at_target(move |parts| {
            let known = parts.headers.contains_key("authorization");
            (known && is(parts, &Method::POST, "/blobs/uploads/")).then(|| {
                let at = begin_upload(&storage, parts.uri.path());
                Fault::status_with(202, "", &[("location", &format!("{url}{at}"))])
            })
        });
        ambush.heals();
        let requests = elsewhere.requests();
        let uploads: Vec<_> = requests.iter().filter(|request| request.method == Method::PUT).collect();
        assert_eq!(uploads.len(), 3);
        assert_asked_without_credentials(&elsewhere);
    }
}

/// Begins an upload, as a registry does that has its uploads at another host; gives its path.
fn begin_upload(registry: &TestRegistry, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(registry.address).expect("a connection");
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    location.expect("a location").to_owned()
}
