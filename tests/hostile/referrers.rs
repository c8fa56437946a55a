//! Lists of referrers that are too long, lead in circles, or are none. A look-up that fails is never "there
//! are none": the image is not copied without its signatures.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use image_syncer::oci::{Digest, MediaType};
use image_syncer::serve::Behaviour;
use serde_json::json;

use crate::support::content::{put, put_referrer, repository};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{Ambush, EVIL, each, is};

const LIST: &str = "source: failed to list the referrers of";

/// A page of so many referrers, of which each page has others.
fn page(count: usize) -> String {
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    let page = PAGES.fetch_add(1, Ordering::Relaxed);
    let entry = |number: usize| {
        let digest = Digest::sha256(format!("{page} {number}").as_bytes());
        let artifact_type = "application/vnd.cncf.notary.signature";
        json!({ "mediaType": MediaType::OCI_MANIFEST, "digest": digest, "size": 7, "artifactType": artifact_type })
    };
    let entries: Vec<_> = (0..count).map(entry).collect();
    json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries }).to_string()
}

/// That page with a link to the next one.
fn page_before(count: usize, next: &str) -> Fault {
    let Fault::Answer(mut answer) = Fault::body(200, MediaType::OCI_INDEX.as_str(), page(count)) else {
        unreachable!()
    };
    let link = format!("<{next}>; rel=\"next\"");
    answer.headers_mut().insert("link", link.parse().expect("a value"));
    Fault::Answer(answer)
}

fn ambush(fault: impl Fn() -> Fault + Send + Sync + 'static) -> Ambush {
    Ambush::new().at_source(each(Method::GET, "/referrers/", fault))
}

#[test]
fn ten_thousand_on_one_page() {
    let list = page(10_000);
    let ambush = ambush(move || Fault::body(200, MediaType::OCI_INDEX.as_str(), list.clone()));
    ambush.fails("blocked", &[LIST, &ambush.evil.digest.to_string(), "more than 1000"]);
    // None of them was asked for.
    assert_eq!(ambush.asked(&Method::GET, "/manifests/"), 1);
}

#[test]
fn ten_thousand_on_many_pages() {
    let ambush = Ambush::new().at_source(|parts| {
        let next = format!("{}?page={}", parts.uri.path(), parts.uri.query().unwrap_or_default().len());
        is(parts, &Method::GET, "/referrers/").then(|| page_before(100, &next))
    });
    ambush.fails("blocked", &[LIST, "its pages lead in a circle"]);
    let pages = AtomicUsize::new(0);
    let ambush = Ambush::new().at_source(move |parts| {
        let next = format!("{}?page={}", parts.uri.path(), pages.fetch_add(1, Ordering::Relaxed));
        is(parts, &Method::GET, "/referrers/").then(|| page_before(100, &next))
    });
    ambush.fails("blocked", &[LIST, "more than 1000"]);
    assert_eq!(ambush.asked(&Method::GET, "/referrers/"), 11);
}

#[test]
fn empty_pages_without_an_end() {
    let pages = AtomicUsize::new(0);
    let ambush = Ambush::new().at_source(move |parts| {
        let next = format!("{}?page={}", parts.uri.path(), pages.fetch_add(1, Ordering::Relaxed));
        is(parts, &Method::GET, "/referrers/").then(|| page_before(0, &next))
    });
    ambush.fails("blocked", &[LIST, "its pages lead in a circle"]);
    assert_eq!(ambush.asked(&Method::GET, "/referrers/"), 100);
}

#[test]
fn a_page_that_leads_to_itself() {
    let ambush = Ambush::new()
        .at_source(|parts| is(parts, &Method::GET, "/referrers/").then(|| page_before(1, parts.uri.path())));
    ambush.fails("blocked", &[LIST, "its pages lead in a circle"]);
    assert_eq!(ambush.asked(&Method::GET, "/referrers/"), 1);
}

#[test]
fn pages_of_megabytes() {
    let pages = AtomicUsize::new(0);
    let ambush = Ambush::new().at_source(move |parts| {
        let next = format!("{}?page={}", parts.uri.path(), pages.fetch_add(1, Ordering::Relaxed));
        is(parts, &Method::GET, "/referrers/").then(|| {
            let Fault::Answer(answer) = page_before(1, &next) else { unreachable!() };
            let (head, _) = answer.into_parts();
            let padding = " ".repeat(3 * 1024 * 1024);
            let body = format!("{{\"schemaVersion\":2,\"manifests\":[]{padding}}}");
            Fault::Answer(axum::response::Response::from_parts(head, body.into()))
        })
    });
    ambush.fails("blocked", &[LIST, "longer than any that is in order"]);
    assert_eq!(ambush.asked(&Method::GET, "/referrers/"), 3);
}

#[test]
fn a_list_without_an_end() {
    ambush(|| Fault::Endless).fails("blocked", &[LIST, "longer than 4194304 bytes"]);
}

#[test]
fn a_list_that_breaks_off() {
    let ambush = ambush(|| Fault::CutAfter(20));
    ambush.fails("blocked", &[LIST, "broke"]);
    assert_eq!(ambush.asked(&Method::GET, "/referrers/"), 3);
}

#[test]
fn documents_that_are_no_list() {
    for document in ["<html>", "{}", "[]", "\"\"", r#"{"errors":[{"code":"DENIED"}]}"#, "\u{feff}{}"] {
        let ambush = ambush(move || Fault::body(200, MediaType::OCI_INDEX.as_str(), document));
        ambush.fails("blocked", &[LIST, "the answer is no index"]);
    }
}

#[test]
fn refusals_are_no_empty_list() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "DENIED"), (429, "TOOMANYREQUESTS"), (500, "UNKNOWN")]
    {
        let ambush = ambush(move || Fault::status(status, code));
        ambush.fails("blocked", &[LIST, &format!("answered {status}")]);
    }
}

#[test]
fn a_link_that_cannot_be_read() {
    let ambush = ambush(|| Fault::With("link", "next page, please".into()));
    ambush.fails("blocked", &[LIST, "the `Link` to its next page cannot be read"]);
}

/// The page after a comma was lost, and the signatures on it with it.
#[test]
fn a_comma_in_the_link_loses_no_page() {
    let source =
        TestRegistry::builder().behaviour(Behaviour { page_limit: 1, ..Behaviour::default() }).start();
    let ambush = Ambush::between(source, TestRegistry::start());
    let memory = &ambush.story.source.memory;
    for content in [b"one", b"two"] {
        put_referrer(memory, EVIL, &ambush.evil, "application/vnd.cncf.notary.signature", content);
    }
    let first = ambush.story.source.referrers(EVIL, &ambush.evil.digest)[0].digest.to_string();
    let ambush = ambush.at_source(move |parts| {
        let first_page = is(parts, &Method::GET, "/referrers/") && parts.uri.query().is_none();
        let link = format!("<{}?with=a,b&n=1&last={first}>; rel=\"next\"", parts.uri.path());
        first_page.then(|| Fault::With("link", link))
    });
    ambush.heals();
    let at = ambush.story.at_target(EVIL);
    assert_eq!(ambush.story.target.referrers(&at, &ambush.evil.digest).len(), 2);
}

#[test]
fn a_fallback_index_that_is_none() {
    for document in [json!({ "schemaVersion": 2, "manifests": 7 }), json!([1, 2, 3])] {
        let source = TestRegistry::builder().without_referrers_api().start();
        let ambush = Ambush::between(source, TestRegistry::start());
        let tag = format!("sha256-{}", ambush.evil.digest.hex());
        let memory = &ambush.story.source.memory;
        put(memory, &repository(EVIL), Some(&tag), MediaType::OCI_INDEX, &document);
        ambush.fails("blocked", &[LIST, "the fallback index cannot be read"]);
    }
}

#[test]
fn a_fallback_index_of_thousands() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let ambush = Ambush::between(source, TestRegistry::start());
    let tag = format!("sha256-{}", ambush.evil.digest.hex());
    let index: serde_json::Value = serde_json::from_str(&page(2000)).expect("JSON");
    let memory = &ambush.story.source.memory;
    put(memory, &repository(EVIL), Some(&tag), MediaType::OCI_INDEX, &index);
    ambush.fails("blocked", &[LIST, "more than 1000"]);
}

#[test]
fn a_referrer_that_refers_to_something_else_is_left_out() {
    let ambush = Ambush::new();
    let memory = &ambush.story.source.memory;
    let other =
        put_referrer(memory, EVIL, &ambush.good, "application/vnd.cncf.notary.signature", b"of another");
    let listed = json!({ "schemaVersion": 2, "manifests": [other.descriptor()] }).to_string();
    let of_evil = format!("/referrers/{}", ambush.evil.digest);
    let ambush = ambush.at_source(each(Method::GET, &of_evil, move || {
        Fault::body(200, MediaType::OCI_INDEX.as_str(), listed.clone())
    }));
    let told = ambush.heals();
    assert_eq!(told.json()["items"][0]["companions"], json!([]));
}

#[test]
fn a_referrer_with_other_bytes_than_its_digest() {
    let ambush = Ambush::new();
    let memory = &ambush.story.source.memory;
    let sig = put_referrer(memory, EVIL, &ambush.evil, "application/vnd.cncf.notary.signature", b"sig");
    let digest = sig.digest.to_string();
    let ambush = ambush.at_source(each(Method::GET, &digest, || Fault::Corrupt));
    ambush.fails("blocked", &[&digest, "the registry sent a manifest with the digest"]);
}
