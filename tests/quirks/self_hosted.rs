//! GitLab, Harbor, Artifactory, Nexus and distribution.

use http::Method;
use image_syncer::oci::{Descriptor, Digest, MediaType};
use serde_json::json;

use crate::support::auth::Auth;
use crate::support::companions::NOTATION;
use crate::support::content::{put, put_image, put_image_for, put_index, put_referrer, repository};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{Mirror, has, is, mount_from};

/// The fallback tag stands for the image itself, which is no list of referrers.
#[test]
fn gitlab_has_the_subject_under_the_fallback_tag() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let mirror = Mirror::between(source, TestRegistry::start()).source_is("gitlab").lists("team/app:1");
    let image = put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    let (tag, body) = (format!("/manifests/sha256-{}", image.digest.hex()), image.bytes.clone());
    mirror.source.on_request(move |parts| {
        let here = parts.uri.path().ends_with(&tag) && parts.method == Method::GET;
        // Without the list each tag is asked for.
        let list = parts.uri.path().ends_with("/tags/list");
        match (here, list) {
            (true, _) => Some(Fault::body(200, "application/vnd.oci.image.manifest.v1+json", body.clone())),
            (_, true) => Some(Fault::status(404, "NAME_UNKNOWN")),
            _ => None,
        }
    });
    let told = mirror.sync();
    told.expect(&["copied"], 0);
    assert_eq!(mirror.mirrored("team/app", "1"), Some(image));
    assert_eq!(told.report["items"][0]["companions"], json!([]), "{:#}", told.report["items"][0]);
}

/// A mount from a project that is not ours is a 401, and the blob is sent.
#[test]
fn harbor_refuses_mounts_from_foreign_projects() {
    let target = TestRegistry::builder().auth(Auth::bearer("robot", "secret")).start();
    let mirror = Mirror::between(TestRegistry::start(), target).lists("team/a:1").lists("team/b:1");
    let host = mirror.target.host();
    let mirror = mirror.logged_in(&host);
    let challenge = format!("Bearer realm=\"{}/token\",service=\"harbor-registry\"", mirror.target.url());
    for name in ["team/a", "team/b"] {
        put_image(&mirror.source.memory, name, Some("1"), &[b"shared"]);
    }
    mirror.target.on_request(move |parts| {
        let own = parts.uri.path().trim_start_matches("/v2/").split_once("/blobs/")?.0.to_owned();
        let from = mount_from(parts.uri.query()?)?;
        let headers: [(&str, &str); 1] = [("www-authenticate", &challenge)];
        (from != own).then(|| Fault::status_with(401, "UNAUTHORIZED", &headers))
    });
    mirror.run("sync", &["--concurrency", "1"]).expect(&["copied", "copied"], 0);
    assert!(mirror.mirrored("team/a", "1").is_some() && mirror.mirrored("team/b", "1").is_some());
    let refused = mirror.target.writes().into_iter().filter(|request| {
        let from = mount_from(&request.query);
        request.status == 401 && from.is_some_and(|from| !request.path.contains(&format!("/{from}/")))
    });
    assert!(refused.count() > 1, "a mount was tried, and tried again with another token");
}

/// What is not there is a 403, as what is not allowed: neither is taken for the other.
#[test]
fn artifactory_says_403_of_what_is_not_there() {
    for known_by_its_answer in [true, false] {
        let mirror = Mirror::new().lists("team/app:1");
        let mirror = if known_by_its_answer { mirror } else { mirror.target_is("artifactory") };
        put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
        mirror.target.on_request(move |parts| {
            let headers: &[(&str, &str)] =
                if known_by_its_answer { &[("x-jfrog-version", "Artifactory/7.90.5")] } else { &[] };
            is(parts, &Method::HEAD, "/manifests/").then(|| Fault::status_with(403, "DENIED", headers))
        });
        let told = mirror.sync();
        told.expect(&["blocked"], 1);
        let cause = told.cause(0);
        assert!(cause.contains("JFrog Artifactory says so also of what is not there"), "{cause}");
        assert_eq!(mirror.target.writes().len(), 0);
    }
}

/// A folder of uploads is listed among the referrers.
#[test]
fn artifactory_lists_what_is_no_referrer() {
    let mirror = Mirror::new().source_is("artifactory").lists("team/app:1");
    let memory = &mirror.source.memory;
    let image = put_image(memory, "team/app", Some("1"), &[b"layer"]);
    let signature = put_referrer(memory, "team/app", &image, NOTATION, b"a signature");
    let stray = put_image(memory, "team/app", None, &[b"_uploads"]);
    let parsed = signature.parse().expect("a manifest");
    let mut uploads: Descriptor = stray.descriptor();
    uploads.annotations.insert("name".to_owned(), "_uploads".to_owned());
    let list = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [uploads, signature.referrer_descriptor(&parsed)],
    });
    mirror.source.on_request(move |parts| {
        is(parts, &Method::GET, &format!("/referrers/{}", image.digest))
            .then(|| Fault::body(200, "application/vnd.oci.image.index.v1+json", list.to_string()))
    });
    mirror.sync().expect(&["copied"], 0);
    let at = mirror.at("team/app");
    assert!(mirror.target.manifest(&at, &signature.digest.to_string()).is_some());
    assert_eq!(mirror.target.manifest(&at, &stray.digest.to_string()), None);
}

/// An index is refused as long as a child is missing: children come first, and a source that lacks one is told how
/// to name the others.
#[test]
fn nexus_takes_only_whole_indexes() {
    let mirror = Mirror::new().target_is("nexus").lists("team/whole:1");
    let memory = &mirror.source.memory;
    let amd64 = put_image_for(memory, "team/whole", None, "linux/amd64", &[b"amd64"]);
    let arm64 = put_image_for(memory, "team/whole", None, "linux/arm64", &[b"arm64"]);
    let index =
        put_index(memory, "team/whole", Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let (held, children) = (mirror.target.memory.clone(), [amd64.digest, arm64.digest]);
    let at = mirror.at("team/whole");
    mirror.target.on_request(move |parts| {
        let there = |digest: &Digest| has(&held, &at, &digest.to_string());
        let early = is(parts, &Method::PUT, "/manifests/1") && !children.iter().all(there);
        early.then(|| Fault::status(400, "MANIFEST_INVALID"))
    });
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.mirrored("team/whole", "1"), Some(index));
}

/// It refuses an index for a reason of its own: the error says what an index needs there.
#[test]
fn nexus_is_known_by_its_server_header_and_its_refusal_explained() {
    let mirror = Mirror::new().lists("team/app:1");
    let memory = &mirror.source.memory;
    let amd64 = put_image_for(memory, "team/app", None, "linux/amd64", &[b"amd64"]);
    put_index(memory, "team/app", Some("1"), &[(&amd64, "linux/amd64")]);
    mirror.target.on_request(|parts| {
        is(parts, &Method::PUT, "/manifests/1")
            .then(|| Fault::status_with(400, "MANIFEST_INVALID", &[("server", "Nexus/3.70.1-02 (OSS)")]))
    });
    let told = mirror.sync();
    told.expect(&["failed"], 1);
    assert!(told.cause(0).contains("takes an index only with all its children"), "{}", told.cause(0));
    assert_eq!(mirror.mirrored("team/app", "1"), None);
}

/// A source that lacks a child still gives a smaller index of those that it has.
#[test]
fn a_smaller_index_leaves_out_what_the_source_lacks() {
    let mirror = Mirror::new()
        .target_is("nexus")
        .lists("team/app:1")
        .lists("team/app:1\n    tag: amd64\n    platforms: [linux/amd64]");
    let memory = &mirror.source.memory;
    let name = repository("team/app");
    let amd64 = put_image_for(memory, "team/app", None, "linux/amd64", &[b"amd64"]);
    let lost = Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(b"lost"), 4);
    let child = |descriptor: Descriptor, platform: &str| {
        let mut descriptor = descriptor;
        descriptor.platform = Some(platform.parse().expect("a platform"));
        descriptor
    };
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [child(amd64.descriptor(), "linux/amd64"), child(lost, "linux/arm64")],
    });
    put(memory, &name, Some("1"), MediaType::OCI_INDEX, &index);
    let told = mirror.sync();
    told.expect(&["blocked", "copied"], 1);
    assert!(mirror.mirrored("team/app", "amd64").is_some() && mirror.mirrored("team/app", "1").is_none());
}

/// No referrers API, mounts from the very repository, and a refusal of layers with `urls`.
#[test]
fn distribution_2_8_has_what_it_needs() {
    let target = TestRegistry::builder().without_referrers_api().start();
    let mirror = Mirror::between(TestRegistry::start(), target).lists("team/app:1").lists("team/windows:1");
    let memory = &mirror.source.memory;
    let image = put_image(memory, "team/app", Some("1"), &[b"one", b"two"]);
    put_referrer(memory, "team/app", &image, NOTATION, b"a signature");
    let name = repository("team/windows");
    let config =
        memory.put_blob(&name, MediaType::OCI_CONFIG, "{\"os\":\"windows\",\"architecture\":\"amd64\"}");
    let mut layer = memory.put_blob(&name, MediaType::OCI_LAYER_GZIP, "base");
    layer.urls = vec!["https://example.com/base".to_owned()];
    let windows = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [layer],
    });
    put(memory, &name, Some("1"), MediaType::OCI_MANIFEST, &windows);
    mirror.target.on_request(|parts| {
        is(parts, &Method::PUT, "team/windows/manifests/").then(|| Fault::status(400, "MANIFEST_INVALID"))
    });
    let told = mirror.sync();
    told.expect(&["copied", "failed"], 1);
    assert!(told.cause(1).contains("layers of this manifest have `urls`"), "{}", told.cause(1));
    let at = mirror.at("team/app");
    let tags: Vec<String> = mirror.target.tags().into_keys().collect();
    assert_eq!(tags, [format!("{at}:1"), format!("{at}:sha256-{}", image.digest.hex())]);
    let requests = mirror.target.requests();
    assert!(requests.iter().all(|request| !request.headers.contains_key("if-none-match")));
    assert!(requests.iter().all(|request| request.method != Method::DELETE), "no upload is cancelled");
    assert!(requests.iter().any(|request| mount_from(&request.query).is_some_and(|from| from == at)));
}

/// A registry whose mounts are more harm than use is not asked for any.
#[test]
fn a_policy_can_leave_mounts_alone() {
    let mirror = Mirror::new().lists("team/a:1").lists("team/b:1");
    let host = mirror.target.host();
    let mirror = mirror.states(&host, "mount: false");
    for name in ["team/a", "team/b"] {
        put_image(&mirror.source.memory, name, Some("1"), &[b"shared"]);
    }
    mirror.sync().expect(&["copied", "copied"], 0);
    assert!(mirror.target.writes().iter().all(|request| !request.query.contains("mount=")));
    assert_eq!(mirror.target.tags().len(), 2);
}

/// What a refusal of a push at a registry of some kind says of what to do.
#[track_caller]
fn refused(
    kind: &str,
    method: &Method,
    part: &'static str,
    answer: impl Fn() -> Fault + Send + Sync + 'static,
) -> String {
    let mirror = Mirror::new().target_is(kind).lists("team/app:1");
    put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    let method = method.clone();
    mirror.target.on_request(move |parts| is(parts, &method, part).then(&answer));
    let told = mirror.sync();
    told.expect(&["failed"], 1);
    assert_eq!(mirror.mirrored("team/app", "1"), None);
    told.cause(0)
}

fn error(status: u16, code: &str, message: &str) -> Fault {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    Fault::body(status, "application/json", body.to_string())
}

/// Refusals that are not about what they seem to be about.
#[test]
fn refusals_say_what_to_do() {
    let missing = || error(404, "NOT_FOUND", "project mirror not found");
    let cause = refused("harbor", &Method::POST, "/blobs/uploads/", missing);
    assert!(cause.contains("create the project `mirror` there first"), "{cause}");
    let cause = refused("generic", &Method::POST, "/blobs/uploads/", missing);
    assert!(cause.contains("or the project that it belongs to, does not exist"), "{cause}");

    let single = || error(400, "MANIFEST_INVALID", "manifest invalid");
    let cause = refused("nexus", &Method::PUT, "/manifests/1", single);
    assert!(
        cause.contains("may not know its media type, application/vnd.oci.image.manifest.v1+json"),
        "{cause}"
    );
    assert!(!cause.contains("all its children"), "{cause}");

    let full = || {
        error(403, "DENIED", "adding 3.1 MiB of storage would exceed the configured upper limit of 10 MiB")
    };
    let cause = refused("harbor", &Method::PUT, "/blobs/uploads/", full);
    assert!(cause.contains("have the quota raised") && !cause.contains("lacks the right"), "{cause}");
    let cause = refused("generic", &Method::PUT, "/manifests/1", || error(403, "DENIED", "quota exceeded"));
    assert!(cause.contains("have the quota raised"), "{cause}");
}

/// A proxy's page to log in at is no image, whatever its status.
#[test]
fn a_web_page_is_no_answer() {
    for method in [Method::HEAD, Method::GET] {
        let mirror = Mirror::new().lists("team/app:1");
        put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
        mirror.source.on_request(move |parts| {
            let page = || Fault::body(200, "text/html; charset=utf-8", "<html>log in</html>");
            is(parts, &method, "/manifests/").then(page)
        });
        let told = mirror.run("plan", &[]);
        told.expect(&["blocked"], 1);
        assert!(
            told.cause(0).contains("200 OK with a web page, as a page to log in at"),
            "{}",
            told.cause(0)
        );
    }
    let page = || Fault::body(200, "text/html", "<html>log in</html>");
    let cause = refused("generic", &Method::POST, "/blobs/uploads/", page);
    assert!(cause.contains("200 OK with a web page"), "{cause}");
}

/// A token service that is no address of the web is not asked.
#[test]
fn a_token_service_that_nobody_can_ask_is_named() {
    let mirror = Mirror::new().lists("team/app:1");
    mirror.source.on_request(|_| {
        let challenge = "Bearer realm=\"file:///etc/passwd\",service=\"r\"";
        Some(Fault::status_with(401, "UNAUTHORIZED", &[("www-authenticate", challenge)]))
    });
    let told = mirror.run("plan", &[]);
    told.expect(&["blocked"], 1);
    let cause = told.cause(0);
    assert!(
        cause.contains("names `file:///etc/passwd` as its token service, which is no http or https address"),
        "{cause}"
    );
}
