//! Docker Hub, GHCR and Quay.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use image_syncer::oci::MediaType;
use serde_json::json;

use crate::support::auth::{Auth, Bearer};
use crate::support::companions::{NOTATION, fallback_tag};
use crate::support::content::{put, put_image, put_referrer, repository};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{Mirror, is, lines, mount_from};

/// A GET of a manifest is a pull that counts, a HEAD is none.
#[test]
fn at_docker_hub_what_is_there_costs_no_pull() {
    let mirror = Mirror::new().source_is("docker-hub").lists("team/app:1");
    put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.source.count(&Method::GET, "/manifests/1"), 1);
    mirror.source.clear_log();
    mirror.sync().expect(&["up-to-date"], 0);
    assert_eq!(mirror.source.count(&Method::GET, "/manifests/"), 0);
    assert_eq!(mirror.source.count(&Method::HEAD, "/manifests/1"), 1);
}

/// A repository of another registry is none to mount from.
#[test]
fn docker_hub_is_never_asked_to_mount_from_elsewhere() {
    let mirror = Mirror::new().target_is("docker-hub").lists("team/app:1").lists("team/other:1");
    for name in ["team/app", "team/other"] {
        put_image(&mirror.source.memory, name, Some("1"), &[b"shared"]);
    }
    mirror.target.on_request(|parts| {
        let from = mount_from(parts.uri.query().unwrap_or_default())?;
        (!from.starts_with("mirror/")).then(|| Fault::status(401, "UNAUTHORIZED"))
    });
    mirror.sync().expect(&["copied", "copied"], 0);
    assert!(mirror.mirrored("team/app", "1").is_some() && mirror.mirrored("team/other", "1").is_some());
    let froms: Vec<String> =
        mirror.target.writes().iter().filter_map(|request| mount_from(&request.query)).collect();
    assert!(!froms.is_empty() && froms.iter().all(|from| from.starts_with("mirror/")), "{froms:?}");
}

/// A repository that does not exist looks like one that needs a login.
#[test]
fn docker_hub_and_quay_say_401_of_what_does_not_exist() {
    for kind in ["docker-hub", "quay"] {
        let mirror = Mirror::new().source_is(kind).lists("no/such:1");
        mirror.source.on_request(|_| Some(Fault::status(401, "UNAUTHORIZED")));
        let told = mirror.sync();
        told.expect(&["blocked"], 1);
        let cause = told.cause(0);
        assert!(cause.contains("says so also of what is not there: check the name"), "{cause}");
        assert_eq!(mirror.target.writes().len(), 0);
    }
}

/// With the right to push, a repository at the target that does not exist is a 404.
#[test]
fn a_target_at_docker_hub_is_asked_with_the_right_to_push() {
    let Auth::Bearer(bearer) = Auth::bearer("robot", "secret") else { unreachable!() };
    let auth = Auth::Bearer(Bearer { anonymous_pull: false, ..bearer });
    let target = TestRegistry::builder().auth(auth).start();
    let mirror = Mirror::between(TestRegistry::start(), target).target_is("docker-hub").lists("team/app:1");
    let host = mirror.target.host();
    let mirror = mirror.logged_in(&host);
    let image = put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    mirror.run("plan", &[]).expect(&["copy"], 0);
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.mirrored("team/app", "1"), Some(image));
    let scope = format!("repository:{}:pull,push", mirror.at("team/app"));
    assert!(mirror.target.token_requests().iter().all(|request| request.scopes == [scope.clone()]));
}

/// Chunks of more than 4 MiB are refused, so that none are sent: a blob is one PUT with its length.
#[test]
fn ghcr_gets_whole_blobs() {
    const LARGE: usize = 5 * 1024 * 1024;
    let mirror = Mirror::new().target_is("ghcr").lists("team/app:1");
    let layer: Vec<u8> = (0..LARGE).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
    put_image(&mirror.source.memory, "team/app", Some("1"), &[&layer]);
    mirror.target.on_request(|parts| {
        (parts.method == Method::PATCH).then(|| Fault::status(416, "BLOB_UPLOAD_INVALID"))
    });
    mirror.sync().expect(&["copied"], 0);
    assert!(mirror.mirrored("team/app", "1").is_some());
    assert_eq!(lines(&mirror.target.requests(), &Method::PATCH), [""; 0]);
    let lengths: Vec<usize> = mirror
        .target
        .requests()
        .iter()
        .filter(|request| request.method == Method::PUT && request.path.contains("/blobs/uploads/"))
        .map(|request| request.headers["content-length"].to_str().expect("text").parse().expect("a number"))
        .collect();
    assert!(lengths.contains(&LARGE), "{lengths:?}");
}

/// The referrers API leads to a web page, which is left alone; the fallback tag has them.
#[test]
fn ghcr_is_not_followed_to_its_web_page() {
    let elsewhere = TestRegistry::start();
    elsewhere.on_request(|_| Some(Fault::status(429, "TOOMANYREQUESTS")));
    let source = TestRegistry::builder().without_referrers_api().start();
    let mirror = Mirror::between(source, TestRegistry::start()).source_is("ghcr").lists("team/app:1");
    let memory = &mirror.source.memory;
    let image = put_image(memory, "team/app", Some("1"), &[b"layer"]);
    let signature = put_referrer(memory, "team/app", &image, NOTATION, b"a signature");
    let parsed = signature.parse().expect("a manifest");
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [signature.referrer_descriptor(&parsed)],
    });
    put(memory, &repository("team/app"), Some(&fallback_tag(&image)), MediaType::OCI_INDEX, &index);
    let page = format!("{}/team/app/referrers", elsewhere.url());
    mirror.source.on_request(move |parts| {
        is(parts, &Method::GET, "/referrers/").then(|| Fault::status_with(303, "", &[("location", &page)]))
    });
    mirror.sync().expect(&["copied"], 0);
    let at = mirror.at("team/app");
    assert_eq!(mirror.target.manifest(&at, &signature.digest.to_string()), Some(signature));
    assert_eq!(mirror.target.referrers(&at, &image.digest).len(), 1);
    assert_eq!(elsewhere.requests().len(), 0);
}

/// The operator can have the API not asked for at all.
#[test]
fn a_policy_can_leave_the_referrers_api_alone() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let mirror = Mirror::between(source, TestRegistry::start()).lists("team/app:1");
    let host = mirror.source.host();
    let mirror = mirror.states(&host, "referrers: tags, pageSize: 100");
    put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.source.count(&Method::GET, "/referrers/"), 0);
    let pages: Vec<String> = mirror
        .source
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("/tags/list"))
        .map(|request| request.query.clone())
        .collect();
    assert_eq!(pages, ["n=100"]);
}

/// The time to wait stands in the text of the refusal, as Go prints it.
#[test]
fn ghcr_asks_for_a_pause_in_words() {
    let mirror = Mirror::new().source_is("ghcr").lists("team/app:1");
    let image = put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    let refused = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&refused);
    mirror.source.on_request(move |parts| {
        let first = is(parts, &Method::GET, "/manifests/1") && seen.fetch_add(1, Ordering::SeqCst) == 0;
        let message = "retry-after: 880.092µs, allowed: 44000/minute";
        let body = json!({ "errors": [{ "code": "TOOMANYREQUESTS", "message": message }] }).to_string();
        first.then(|| Fault::body(429, "application/json", body))
    });
    let told = mirror.sync();
    told.expect(&["copied"], 0);
    assert_eq!(mirror.mirrored("team/app", "1"), Some(image));
    assert_eq!(refused.load(Ordering::SeqCst), 2);
    assert_eq!(told.report["retries"], 1);
}

/// No `OCI-Subject` does not mean that there is no API: no fallback index is written beside it.
#[test]
fn quay_lists_referrers_without_saying_so() {
    let mirror = Mirror::new().target_is("quay").lists("team/app:1");
    let memory = &mirror.source.memory;
    let image = put_image(memory, "team/app", Some("1"), &[b"layer"]);
    put_referrer(memory, "team/app", &image, NOTATION, b"a signature");
    mirror
        .target
        .on_request(|parts| is(parts, &Method::PUT, "/manifests/").then_some(Fault::Without("oci-subject")));
    mirror.sync().expect(&["copied"], 0);
    let at = mirror.at("team/app");
    assert_eq!(mirror.target.referrers(&at, &image.digest).len(), 1);
    assert_eq!(mirror.target.tags().len(), 1, "{:?}", mirror.target.tags());
}

/// A mount that does not say from where is refused.
#[test]
fn quay_is_always_told_where_to_mount_from() {
    let mirror = Mirror::new().target_is("quay").lists("team/a:1").lists("team/b:1");
    for name in ["team/a", "team/b"] {
        put_image(&mirror.source.memory, name, Some("1"), &[b"shared"]);
    }
    mirror.target.on_request(|parts| {
        let query = parts.uri.query().unwrap_or_default();
        (query.contains("mount=") && !query.contains("from=")).then(|| Fault::status(400, "NAME_INVALID"))
    });
    mirror.run("sync", &["--concurrency", "1"]).expect(&["copied", "copied"], 0);
    let mounts: Vec<String> = mirror
        .target
        .writes()
        .iter()
        .filter(|request| request.query.contains("mount="))
        .map(|request| request.query.clone())
        .collect();
    assert!(!mounts.is_empty() && mounts.iter().all(|query| mount_from(query).is_some()), "{mounts:?}");
}

/// A config of a type that the registry does not take is its refusal, told as it is; the other image arrives.
#[test]
fn quay_refuses_configs_that_it_does_not_know() {
    let mirror = Mirror::new().target_is("quay").lists("team/chart:1").lists("team/app:1");
    let memory = &mirror.source.memory;
    let name = repository("team/chart");
    let config = memory.put_blob(&name, MediaType::new("application/vnd.example.config.v1+json"), "{}");
    let chart =
        json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [] });
    put(memory, &name, Some("1"), MediaType::OCI_MANIFEST, &chart);
    put_image(memory, "team/app", Some("1"), &[b"layer"]);
    mirror.target.on_request(|parts| {
        is(parts, &Method::PUT, "team/chart/manifests/").then(|| Fault::status(415, "MANIFEST_INVALID"))
    });
    let told = mirror.sync();
    told.expect(&["failed", "copied"], 1);
    assert!(told.cause(0).contains("415 Unsupported Media Type, MANIFEST_INVALID"), "{}", told.cause(0));
    assert!(mirror.mirrored("team/app", "1").is_some() && mirror.mirrored("team/chart", "1").is_none());
}
