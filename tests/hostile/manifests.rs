//! Manifests that are not what they should be.

use http::Method;
use image_syncer::oci::{MediaType, RawManifest};
use serde_json::json;

use crate::support::content::{put, put_image, put_image_for, put_index, repository};
use crate::support::fault::Fault;
use crate::support::scenario::Scenario;
use crate::{Ambush, EVIL, each, first};

/// An index of one image for each of two platforms.
fn put_two(ambush: &Scenario) -> (RawManifest, RawManifest) {
    let memory = &ambush.source.memory;
    let amd64 = put_image_for(memory, EVIL, None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, EVIL, None, "linux/arm64", &[b"b"]);
    let index = put_index(memory, EVIL, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    (index, arm64)
}

#[test]
fn a_tag_with_other_bytes_than_its_digest() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::Corrupt));
    ambush.fails("blocked", &["source: failed to read manifest", "evil/app:1", "with the digest sha256:"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 2, "once more, and no more");
}

#[test]
fn a_child_with_other_bytes_than_its_digest() {
    let story = Scenario::new();
    let (index, child) = put_two(&story);
    let digest = child.digest.to_string();
    let ambush = Ambush::of(story, |_| index).at_source(each(Method::GET, &digest, || Fault::Corrupt));
    ambush.fails("blocked", &["evil/app@sha256:", &digest, "the registry sent a manifest with the digest"]);
}

#[test]
fn a_child_of_another_length_than_the_index_says() {
    let story = Scenario::new();
    let image = put_image(&story.source.memory, EVIL, None, &[b"a"]);
    let mut child = json!(image.descriptor());
    child["size"] = json!(7);
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [child] });
    let ambush = Ambush::of(story, |source| {
        put(&source.memory, &repository(EVIL), Some("1"), MediaType::OCI_INDEX, &index)
    });
    ambush.fails("blocked", &[&image.digest.to_string(), "the index says 7"]);
}

#[test]
fn a_child_that_is_not_there() {
    let story = Scenario::new();
    let (index, child) = put_two(&story);
    let digest = child.digest.to_string();
    let ambush = Ambush::of(story, |_| index)
        .at_source(each(Method::GET, &digest, || Fault::status(404, "MANIFEST_UNKNOWN")));
    ambush.fails("blocked", &[&digest, "for linux/arm64", "does not have it"]);
}

#[test]
fn a_manifest_that_breaks_off_once_is_asked_for_again() {
    let ambush = Ambush::new().at_source(first(1, Method::GET, "/manifests/1", || Fault::CutAfter(20)));
    let told = ambush.heals();
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 2);
    assert_eq!(told.0.run.retries, 1);
}

#[test]
fn a_manifest_that_always_breaks_off() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::CutAfter(20)));
    ambush.fails("blocked", &["evil/app:1", "the connection to 127.0.0.1:", "broke"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 3);
}

#[test]
fn a_manifest_without_an_end() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::Endless));
    ambush.fails("blocked", &["evil/app:1", "longer than 4194304 bytes"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 1);
}

#[test]
fn a_manifest_of_more_than_four_mebibytes() {
    let story = Scenario::new();
    let image = put_image(&story.source.memory, EVIL, None, &[b"a"]);
    let mut document: serde_json::Value = serde_json::from_slice(&image.bytes).expect("JSON");
    document["annotations"] = json!({ "padding": "x".repeat(4 * 1024 * 1024) });
    let ambush = Ambush::of(story, |source| {
        put(&source.memory, &repository(EVIL), Some("1"), MediaType::OCI_MANIFEST, &document)
    });
    ambush.fails("blocked", &["evil/app:1", "longer than 4194304 bytes"]);
    // That it is not read although it is announced shows in nothing but time; that it is not asked for again does.
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 1);
}

#[test]
fn a_manifest_that_announces_more_than_any_memory_has() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || {
        let body = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let body = axum::body::Body::from_stream(body);
        let Fault::Answer(mut answer) = Fault::body(200, MediaType::OCI_MANIFEST.as_str(), body) else {
            unreachable!()
        };
        answer.headers_mut().insert("content-length", (1_u64 << 60).into());
        Fault::Answer(answer)
    }));
    ambush.fails("blocked", &["evil/app:1", "longer than 4194304 bytes"]);
}

#[test]
fn a_web_page_in_the_place_of_a_manifest() {
    let page = || Fault::body(200, "text/html", "<html><title>Sign in\u{1b}[2J</title>");
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", page));
    ambush.fails("blocked", &["evil/app:1", "200 OK with a web page, as a page to log in at"]);
}

#[test]
fn bytes_that_are_no_text_in_the_place_of_a_manifest() {
    let noise = || Fault::body(200, MediaType::OCI_MANIFEST.as_str(), vec![0xff_u8, 0xfe, 0x00, 0x1b, 0x5b]);
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", noise));
    ambush.fails("blocked", &["evil/app@sha256:", "the manifest cannot be read"]);
}

#[test]
fn values_that_no_terminal_should_see_and_no_report_should_hold() {
    for value in ["\u{1b}]0;owned\u{7}".to_owned(), "A".repeat(200_000)] {
        let story = Scenario::new();
        let ambush = Ambush::of(story, |source| {
            let layer = json!({ "mediaType": value, "digest": format!("sha256:{value}"), "size": 1 });
            let document = json!({ "schemaVersion": 2, "mediaType": value, "config": layer });
            put(&source.memory, &repository(EVIL), Some("1"), MediaType::OCI_MANIFEST, &document)
        });
        let told = ambush.fails("blocked", &["evil/app@sha256:"]);
        assert!(!told.text().contains(|c: char| c.is_control() && c != '\n'));
        assert!(told.0.json().len() < 20_000);
    }
}

#[test]
fn a_schema_1_manifest_is_refused_by_name() {
    let old = || Fault::body(200, MediaType::DOCKER_SCHEMA1_SIGNED.as_str(), r#"{"schemaVersion":1}"#);
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", old));
    ambush.fails("blocked", &["Docker schema 1"]);
}

#[test]
fn sizes_beyond_all_sums() {
    let story = Scenario::new().signatures(image_syncer::config::Signatures::Skip);
    let ambush = Ambush::of(story, |source| {
        let memory = &source.memory;
        let config = memory.put_blob(&repository(EVIL), MediaType::OCI_CONFIG, "{}");
        let layers = ["one", "two"].map(|text| {
            let mut layer = memory.put_blob(&repository(EVIL), MediaType::OCI_LAYER, text);
            layer.size = u64::MAX;
            layer
        });
        let document = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
            "config": config, "layers": layers });
        put(memory, &repository(EVIL), Some("1"), MediaType::OCI_MANIFEST, &document)
    });
    assert_eq!(ambush.story.plan().json()["items"][0]["bytes"], json!(u64::MAX));
    ambush.fails("failed", &["evil/app@sha256:", "3 of 18446744073709551615 bytes"]);
}
