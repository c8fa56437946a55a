//! Amazon ECR, Google Artifact Registry and Azure Container Registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use http::request::Parts;
use image_syncer::serve::Memory;

use crate::support::auth::Auth;
use crate::support::companions::{NOTATION, SPDX};
use crate::support::content::{put_image, put_referrer, reference, repository};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{Mirror, has, is, lines};

/// A tag that is there is not written again, whatever its digest; those of digests may be.
fn immutable(memory: &Memory, parts: &Parts) -> Option<Fault> {
    let (name, tag) = parts.uri.path().strip_prefix("/v2/")?.split_once("/manifests/")?;
    let fixed = parts.method == Method::PUT && !tag.starts_with("sha256:");
    (fixed && has(memory, name, tag)).then(|| Fault::status(400, "TAG_INVALID"))
}

/// A push does not create the repository: the error has the command that does.
#[test]
fn ecr_needs_its_repositories_before() {
    let mirror = Mirror::new().target_is("ecr").lists("team/app:1").lists("team/there:1");
    for name in ["team/app", "team/there"] {
        put_image(&mirror.source.memory, name, Some("1"), &[b"layer"]);
    }
    mirror.target.on_request(|parts| {
        let unknown = parts.uri.path().contains("/team/app/");
        unknown.then(|| Fault::status(404, "NAME_UNKNOWN"))
    });
    let told = mirror.sync();
    told.expect(&["failed", "copied"], 1);
    let command = format!("`aws ecr create-repository --repository-name {}`", mirror.at("team/app"));
    assert!(told.cause(0).contains(&command), "{}", told.cause(0));
    assert!(mirror.mirrored("team/there", "1").is_some());
}

/// A chunk is answered with 201 and a range that is not true, and a manifest's answer lacks its `Location`.
#[test]
fn ecr_gets_no_chunks_and_need_not_say_where_a_manifest_is() {
    let mirror = Mirror::new().target_is("ecr").lists("team/app:1");
    let image = put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer", b"another"]);
    mirror.target.on_request(|parts| match parts.method {
        Method::PATCH => Some(Fault::status_with(201, "", &[("range", "0-0")])),
        Method::PUT if parts.uri.path().contains("/manifests/") => Some(Fault::Without("location")),
        _ => None,
    });
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.mirrored("team/app", "1"), Some(image));
    assert_eq!(lines(&mirror.target.requests(), &Method::PATCH), [""; 0]);
}

/// The answer to the tag's PUT got lost; the same PUT again is refused although it has the same digest.
#[test]
fn an_immutable_tag_that_has_the_digest_already_is_a_success() {
    let mirror = Mirror::new().target_is("ecr").lists("team/app:1");
    let image = put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    let (memory, wanted) = (mirror.target.memory.clone(), image.clone());
    mirror.target.on_request(move |parts| {
        if let Some(refused) = immutable(&memory, parts) {
            return Some(refused);
        }
        let path = parts.uri.path();
        is(parts, &Method::PUT, "/manifests/1").then(|| {
            let name = path.trim_start_matches("/v2/").trim_end_matches("/manifests/1");
            memory.put_manifest(&repository(name), &reference("1"), &wanted);
            Fault::status(503, "UNAVAILABLE")
        })
    });
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.mirrored("team/app", "1"), Some(image));
    let puts: Vec<u16> = mirror
        .target
        .requests()
        .iter()
        .filter(|request| request.method == Method::PUT && request.path.ends_with("/manifests/1"))
        .map(|request| request.status)
        .collect();
    assert_eq!(puts, [503, 400]);
    // A tag that is there is only looked at.
    mirror.target.clear_log();
    mirror.sync().expect(&["up-to-date"], 0);
    assert_eq!(mirror.target.writes().len(), 0);
}

/// Some manifests with a subject are not allowed: the failure names the artifact, and the other image arrives.
#[test]
fn ecr_refuses_an_artifact_and_not_the_others() {
    let mirror = Mirror::new().target_is("ecr").lists("team/app:1").lists("team/other:1");
    let memory = &mirror.source.memory;
    let image = put_image(memory, "team/app", Some("1"), &[b"layer"]);
    let sbom = put_referrer(memory, "team/app", &image, SPDX, b"an sbom");
    let other = put_image(memory, "team/other", Some("1"), &[b"other"]);
    put_referrer(memory, "team/other", &other, NOTATION, b"a signature");
    let refused = sbom.digest.to_string();
    mirror.target.on_request(move |parts| {
        is(parts, &Method::PUT, &refused).then(|| Fault::status(405, "UNSUPPORTED"))
    });
    let told = mirror.sync();
    told.expect(&["failed", "copied"], 1);
    let cause = told.cause(0);
    assert!(cause.contains(&sbom.digest.to_string()) && cause.contains("405 Method Not Allowed"), "{cause}");
    assert_eq!(mirror.target.referrers(&mirror.at("team/other"), &other.digest).len(), 1);
    assert_eq!(mirror.mirrored("team/app", "1"), None, "an image without what belongs to it has no tag");
}

/// A page of tags has 1000 at the most.
#[test]
fn ecr_is_asked_for_pages_that_it_gives() {
    let mirror = Mirror::new().source_is("ecr").lists("team/app:1");
    put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    mirror.source.on_request(|parts| {
        let query = parts.uri.query().unwrap_or_default();
        let page = query.strip_prefix("n=").and_then(|number| number.parse::<u32>().ok());
        page.filter(|page| *page > 1000).map(|_| Fault::status(400, "PAGINATION_NUMBER_INVALID"))
    });
    mirror.sync().expect(&["copied"], 0);
    let lists = mirror.source.requests().into_iter().filter(|request| request.path.ends_with("/tags/list"));
    let lists: Vec<(String, u16)> = lists.map(|request| (request.query, request.status)).collect();
    assert_eq!(lists, [("n=1000".to_owned(), 200)]);
}

/// Without the API the list of referrers is a tag, and an immutable tag cannot grow.
#[test]
fn gar_with_immutable_tags_cannot_list_a_second_referrer() {
    let target = TestRegistry::builder().without_referrers_api().start();
    let mirror = Mirror::between(TestRegistry::start(), target)
        .target_is("gar")
        .lists("team/app:1")
        .lists("team/other:1");
    let memory = &mirror.source.memory;
    let image = put_image(memory, "team/app", Some("1"), &[b"layer"]);
    put_referrer(memory, "team/app", &image, NOTATION, b"a signature");
    put_referrer(memory, "team/app", &image, SPDX, b"an sbom");
    put_image(memory, "team/other", Some("1"), &[b"other"]);
    let held = mirror.target.memory.clone();
    mirror.target.on_request(move |parts| immutable(&held, parts));
    let told = mirror.sync();
    told.expect(&["failed", "copied"], 1);
    let cause = told.cause(0);
    assert!(cause.contains("take tags that begin with `sha256-` out of its immutability"), "{cause}");
    assert_eq!(mirror.target.referrers(&mirror.at("team/app"), &image.digest).len(), 2, "both are there");
    assert_eq!(mirror.mirrored("team/app", "1"), None);
}

/// The API is looked for before: with it no tag has to grow.
#[test]
fn gar_with_the_api_lists_all_referrers() {
    let mirror = Mirror::new().target_is("gar").lists("team/app:1");
    let memory = &mirror.source.memory;
    let image = put_image(memory, "team/app", Some("1"), &[b"layer"]);
    put_referrer(memory, "team/app", &image, NOTATION, b"a signature");
    put_referrer(memory, "team/app", &image, SPDX, b"an sbom");
    let held = mirror.target.memory.clone();
    mirror.target.on_request(move |parts| {
        let silent = is(parts, &Method::PUT, "/manifests/sha256:").then_some(Fault::Without("oci-subject"));
        silent.or_else(|| immutable(&held, parts))
    });
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.target.tags().len(), 1, "{:?}", mirror.target.tags());
}

/// The token service refuses who asks for two tokens at a time.
#[test]
fn acr_is_asked_for_one_token_at_a_time() {
    let refused = |kind: &str| {
        let source = TestRegistry::builder().auth(Auth::bearer("robot", "secret")).start();
        let mut mirror = Mirror::between(source, TestRegistry::start()).source_is(kind);
        for number in 0..8 {
            let name = format!("team/app{number}");
            put_image(&mirror.source.memory, &name, Some("1"), &[b"layer"]);
            mirror = mirror.lists(&format!("{name}:1"));
        }
        let busy = Arc::new(AtomicUsize::new(0));
        mirror.source.on_request(move |parts| {
            if parts.uri.path() != "/token" {
                return None;
            }
            // Whoever comes while another one waits for its token is refused.
            if busy.fetch_add(1, Ordering::SeqCst) > 0 {
                busy.fetch_sub(1, Ordering::SeqCst);
                return Some(Fault::status_with(429, "TOOMANYREQUESTS", &[("retry-after", "0")]));
            }
            let busy = Arc::clone(&busy);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(40));
                busy.fetch_sub(1, Ordering::SeqCst);
            });
            Some(Fault::Delay(Duration::from_millis(60)))
        });
        mirror.sync().expect(&["copied"; 8], 0);
        let tokens = mirror.source.requests().into_iter().filter(|request| request.path == "/token");
        tokens.filter(|request| request.status == 429).count()
    };
    assert_eq!(refused("acr"), 0);
    assert!(refused("generic") > 0, "the stand-in refuses those who ask together");
}
