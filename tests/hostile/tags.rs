//! Lists of tags that cannot be had, or cannot be true: companion tags are then asked for one by one.

use http::Method;

use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::{Ambush, EVIL, each};

/// The image's signature arrives in spite of what is wrong with the list of tags.
fn signature_arrives(fault: impl Fn() -> Fault + Send + Sync + 'static) {
    let mut ambush = Ambush::new().hurried();
    let tag = format!("sha256-{}.sig", ambush.evil.digest.hex());
    let signature = put_image(&ambush.story.source.memory, EVIL, Some(&tag), &[b"signature"]);
    // With the digest in the list there is no tag that a list of tags must have to be believed.
    let entry = format!("source: SOURCE/{EVIL}@{}\n    tag: pinned", ambush.evil.digest);
    ambush.story = ambush.story.entry(&entry);
    let ambush = ambush.at_source(each(Method::GET, "/tags/list", fault));
    let told = ambush.sync();
    told.expect(&["copied"; 3]);
    assert_eq!(ambush.story.target.manifest(&ambush.story.at_target(EVIL), &tag), Some(signature));
    assert_eq!(ambush.asked(&Method::GET, &format!("/manifests/{tag}")), 1);
}

#[test]
fn a_list_without_an_end() {
    signature_arrives(|| Fault::Endless);
}

#[test]
fn a_list_that_stalls() {
    signature_arrives(|| Fault::StallAfter(5));
}

#[test]
fn a_list_that_breaks_off() {
    signature_arrives(|| Fault::CutAfter(5));
}

#[test]
fn documents_that_are_no_list() {
    for document in ["<html>", "{}", "[]", r#"{"errors":[]}"#, r#"{"tags":{}}"#, r#"{"tags":[1]}"#] {
        signature_arrives(move || Fault::body(200, "application/json", document));
    }
}

#[test]
fn refusals() {
    for status in [400, 401, 403, 404, 405] {
        signature_arrives(move || Fault::status(status, "UNSUPPORTED"));
    }
}

#[test]
fn a_list_of_more_than_one_page() {
    signature_arrives(|| Fault::With("link", "</v2/evil/app/tags/list?last=b,c>; rel=\"next\"".into()));
    signature_arrives(|| Fault::With("link", "nonsense".into()));
}

#[test]
fn a_list_that_cannot_be_had_now() {
    signature_arrives(|| Fault::status(503, "UNKNOWN"));
    signature_arrives(|| Fault::status(429, "TOOMANYREQUESTS"));
}

#[test]
fn a_tag_that_no_registry_could_have_is_no_problem() {
    let list = r#"{"tags":["1","../../etc","\u001b[2J","sha256-.sig",""]}"#;
    let ambush = Ambush::new()
        .at_source(each(Method::GET, "/tags/list", move || Fault::body(200, "text/plain", list)));
    ambush.heals();
}
