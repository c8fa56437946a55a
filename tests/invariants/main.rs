//! What must hold whatever happens, a test or two for each invariant of the design.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod runs;
mod tags;

use futures::executor::block_on;
use http::Method;
use http::request::Parts;
use image_syncer::oci::RawManifest;
use image_syncer::serve::{Backend as _, Memory};
use support::companions::{SPDX, sign};
use support::content::{put_image, put_referrer, reference, repository};

const NAME: &str = "team/app";

fn is(parts: &Parts, method: &Method, part: &str) -> bool {
    parts.method == *method && parts.uri.path().contains(part)
}

fn signed_image(memory: &Memory) -> RawManifest {
    let image = put_image(memory, NAME, Some("1"), &[b"one", b"two", b"three"]);
    sign(memory, NAME, &image);
    put_referrer(memory, NAME, &image, SPDX, b"an SBOM");
    image
}

fn delete(memory: &Memory, name: &str, what: &str) {
    let deleted = block_on(memory.delete_manifest(&repository(name), &reference(what)));
    assert!(deleted.expect("a store in memory"), "{what} was not there");
}
