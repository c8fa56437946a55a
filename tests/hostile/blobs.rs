//! Blobs that are not what the manifest says.

use std::time::Duration;

use http::Method;
use image_syncer::oci::Digest;

use crate::support::fault::Fault;
use crate::{Ambush, EVIL, first, is};

/// An ambush of the first layer.
fn layer(fault: impl Fn() -> Fault + Send + Sync + 'static) -> Ambush {
    let ambush = Ambush::new();
    let digest = ambush.layer();
    ambush.at_source(move |parts| is(parts, &Method::GET, &digest).then(&fault))
}

#[test]
fn a_blob_with_other_bytes_than_its_digest() {
    let ambush = layer(|| Fault::Corrupt);
    let digest = ambush.layer();
    ambush.fails("failed", &["source: failed to read blob", &digest, "the content has the digest sha256:"]);
    assert_eq!(ambush.asked(&Method::GET, &digest), 2, "once more, and no more");
    let there = ambush.story.at_target(EVIL);
    let digest: Digest = digest.parse().expect("a digest");
    assert_eq!(ambush.story.target.blob(&there, &digest), None);
}

#[test]
fn a_blob_that_ends_too_soon() {
    let ambush = layer(|| Fault::body(200, "application/octet-stream", "evil"));
    ambush.fails("failed", &[&ambush.layer(), "the body ended after 4 of 10 bytes"]);
}

#[test]
fn a_blob_without_an_end() {
    let ambush = layer(|| Fault::Endless);
    ambush.fails("failed", &[&ambush.layer(), "longer than the 10 bytes announced"]);
}

#[test]
fn a_blob_that_breaks_off_once_is_asked_for_again() {
    let ambush = Ambush::new();
    let digest = ambush.layer();
    let ambush = ambush.at_source(first(1, Method::GET, &digest, || Fault::CutAfter(3)));
    ambush.heals();
    assert_eq!(ambush.asked(&Method::GET, &digest), 2);
}

#[test]
fn a_blob_that_always_breaks_off() {
    let ambush = layer(|| Fault::CutAfter(3));
    ambush.fails("failed", &["source: failed to read blob", "the connection to 127.0.0.1:", "broke"]);
    assert_eq!(ambush.asked(&Method::GET, &ambush.layer()), 3);
}

#[test]
fn a_blob_that_stalls() {
    let ambush = layer(|| Fault::StallAfter(3)).hurried();
    ambush.fails("failed", &["source: failed to read blob", "sent nothing for 0.6 s"]);
}

#[test]
fn a_blob_that_is_not_there() {
    let ambush = layer(|| Fault::status(404, "BLOB_UNKNOWN"));
    ambush.fails("failed", &["source: failed to read blob", &ambush.layer(), "404 Not Found"]);
}

#[test]
fn a_blob_that_drips_in_slowly_is_no_failure() {
    let mut ambush = layer(|| Fault::Drip(Duration::from_millis(60)));
    ambush.story.settings.patience.idle = Duration::from_millis(300);
    ambush.heals();
}
