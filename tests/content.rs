//! Every kind of content that registries hold arrives as it is, and is then left alone.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use http::Method;
use image_syncer::config::Signatures;
use image_syncer::oci::{Descriptor, Digest, MediaType, RawManifest};
use image_syncer::serve::Memory;
use serde_json::{Value, json};
use support::content::{
    put, put_blob_sha512, put_image, put_image_for, put_index, put_text, repository, sha512,
};
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::Scenario;

const NAME: &str = "team/app";

/// Puts the image that `make` makes at the source under `team/app:1`, syncs, and asserts that all of it is
/// at the target under the same digest and with the same media type, and that a second run writes nothing.
#[track_caller]
fn arrives(make: impl Fn(&Memory) -> RawManifest) -> Scenario {
    let story = Scenario::new().lists("team/app:1");
    let image = make(&story.source.memory);
    story.plan().expect(&["copy"]);
    story.sync().expect(&["copied"]);
    assert_eq!(story.mirrored(NAME, "1"), Some(image.clone()));
    story.assert_whole(NAME, &image.digest);
    assert_eq!(story.target.tags().len(), 1, "only the image's tag was made");
    story.assert_settled();
    story
}

fn blob(memory: &Memory, media_type: MediaType, bytes: &str) -> Descriptor {
    memory.put_blob(&repository(NAME), media_type, bytes.to_owned())
}

fn put_here(memory: &Memory, tag: Option<&str>, media_type: MediaType, document: &Value) -> RawManifest {
    put(memory, &repository(NAME), tag, media_type, document)
}

fn docker_image(memory: &Memory, tag: Option<&str>, architecture: &str) -> RawManifest {
    let config = json!({ "os": "linux", "architecture": architecture }).to_string();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DOCKER_MANIFEST,
        "config": blob(memory, MediaType::DOCKER_CONFIG, &config),
        "layers": [blob(memory, MediaType::DOCKER_LAYER_GZIP, "a layer of Docker's")],
    });
    put_here(memory, tag, MediaType::DOCKER_MANIFEST, &document)
}

#[test]
fn an_oci_image() {
    arrives(|memory| put_image(memory, NAME, Some("1"), &[b"one", b"two"]));
}

#[test]
fn a_docker_schema_2_image() {
    arrives(|memory| docker_image(memory, Some("1"), "amd64"));
}

#[test]
fn an_index() {
    arrives(|memory| {
        let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"base", b"a"]);
        let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"base", b"b"]);
        put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")])
    });
}

#[test]
fn a_docker_manifest_list() {
    arrives(|memory| {
        let children = ["amd64", "arm64"].map(|architecture| {
            let mut child = docker_image(memory, None, architecture).descriptor();
            child.platform = format!("linux/{architecture}").parse().ok();
            child
        });
        let document =
            json!({ "schemaVersion": 2, "mediaType": MediaType::DOCKER_LIST, "manifests": children });
        put_here(memory, Some("1"), MediaType::DOCKER_LIST, &document)
    });
}

#[test]
fn an_index_of_indexes() {
    arrives(|memory| {
        let image = put_image_for(memory, NAME, None, "linux/amd64", &[b"deep"]);
        let inner = put_index(memory, NAME, None, &[(&image, "linux/amd64")]);
        let middle = put_index(memory, NAME, None, &[(&inner, "linux/amd64")]);
        let beside = put_image_for(memory, NAME, None, "linux/arm64", &[b"beside"]);
        put_index(memory, NAME, Some("1"), &[(&middle, "linux/amd64"), (&beside, "linux/arm64")])
    });
}

#[test]
fn a_child_that_two_indexes_share_is_pushed_once() {
    let story = arrives(|memory| {
        let shared = put_image_for(memory, NAME, None, "linux/amd64", &[b"shared"]);
        let other = put_image_for(memory, NAME, None, "linux/arm64", &[b"other"]);
        let one = put_index(memory, NAME, None, &[(&shared, "linux/amd64")]);
        let two = put_index(memory, NAME, None, &[(&shared, "linux/amd64"), (&other, "linux/arm64")]);
        put_index(memory, NAME, Some("1"), &[(&one, "linux/amd64"), (&two, "linux/arm64")])
    });
    let story = Scenario::between(story.source, TestRegistry::start()).lists("team/app:1");
    story.sync().expect(&["copied"]);
    assert_eq!(story.target.count(&Method::PUT, "/manifests/"), 5, "two images, two indexes, the root");
}

#[test]
fn an_artifact_with_the_empty_config() {
    arrives(|memory| {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "artifactType": "application/vnd.example.chart",
            "config": blob(memory, MediaType::OCI_EMPTY, "{}"),
            "layers": [blob(memory, MediaType::new("application/vnd.example.chart.tar"), "a chart")],
        });
        put_here(memory, Some("1"), MediaType::OCI_MANIFEST, &document)
    });
}

#[test]
fn an_artifact_manifest_of_the_release_candidates() {
    arrives(|memory| {
        let document = json!({
            "mediaType": MediaType::OCI_ARTIFACT,
            "artifactType": "application/vnd.example.sbom",
            "blobs": [blob(memory, MediaType::new("text/plain"), "an SBOM")],
        });
        put_here(memory, Some("1"), MediaType::OCI_ARTIFACT, &document)
    });
}

#[test]
fn buildx_attestations_come_with_their_index() {
    arrives(|memory| {
        let image = put_image_for(memory, NAME, None, "linux/amd64", &[b"built"]);
        let statement = put_image_for(memory, NAME, None, "unknown/unknown", &[b"{\"predicate\":1}"]);
        let mut attestation = json!(statement.descriptor());
        attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        attestation["annotations"] = json!({
            "vnd.docker.reference.digest": image.digest,
            "vnd.docker.reference.type": "attestation-manifest",
        });
        let mut child = json!(image.descriptor());
        child["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX,
            "manifests": [child, attestation],
        });
        put_here(memory, Some("1"), MediaType::OCI_INDEX, &document)
    });
}

#[test]
fn zstd_layers() {
    arrives(|memory| {
        let document = json!({
            "schemaVersion": 2,
            "config": blob(memory, MediaType::OCI_CONFIG, "{}"),
            "layers": [blob(memory, MediaType::OCI_LAYER_ZSTD, "packed"), blob(memory, MediaType::OCI_LAYER, "")],
        });
        put_here(memory, Some("1"), MediaType::OCI_MANIFEST, &document)
    });
}

#[test]
fn layers_that_are_null_are_no_layers() {
    arrives(|memory| {
        let config = blob(memory, MediaType::new("application/vnd.example.config"), "all there is");
        let document = json!({ "schemaVersion": 2, "config": config, "layers": null });
        put_here(memory, Some("1"), MediaType::OCI_MANIFEST, &document)
    });
}

#[test]
fn a_blob_that_a_manifest_names_twice_is_sent_once() {
    let story = arrives(|memory| {
        let layer = blob(memory, MediaType::OCI_LAYER, "twice");
        let document = json!({
            "schemaVersion": 2,
            "config": blob(memory, MediaType::OCI_CONFIG, "{}"),
            "layers": [layer, layer],
        });
        put_here(memory, Some("1"), MediaType::OCI_MANIFEST, &document)
    });
    let twice = Digest::sha256(b"twice").to_string();
    assert_eq!(story.source.count(&Method::GET, &format!("/blobs/{twice}")), 1);
}

#[test]
fn blobs_and_children_with_sha512_digests() {
    arrives(|memory| {
        let config = put_blob_sha512(memory, NAME, MediaType::OCI_CONFIG, b"{\"os\":\"linux\"}");
        let layer = put_blob_sha512(memory, NAME, MediaType::OCI_LAYER, b"of the long kind");
        let text = json!({ "schemaVersion": 2, "config": config, "layers": [layer] }).to_string();
        let child = RawManifest {
            digest: sha512(text.as_bytes()),
            media_type: MediaType::OCI_MANIFEST,
            bytes: text.into(),
        };
        memory.put_manifest(&repository(NAME), &child.digest.clone().into(), &child);
        let document = json!({ "schemaVersion": 2, "manifests": [child.descriptor()] });
        put_here(memory, Some("1"), MediaType::OCI_INDEX, &document)
    });
}

/// A registry calls what is pushed under a tag by its SHA-256 digest, whatever the list calls it.
#[test]
fn an_image_that_the_list_names_by_a_sha512_digest() {
    let story = Scenario::new();
    let image = put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
    let named = RawManifest { digest: sha512(&image.bytes), ..image.clone() };
    story.source.memory.put_manifest(&repository(NAME), &named.digest.clone().into(), &named);
    let story = story.entry(&format!("source: SOURCE/team/app:1@{}", named.digest));
    story.sync().expect(&["copied"]);
    assert_eq!(story.mirrored(NAME, "1"), Some(image));
    story.assert_settled();
    put_image(&story.target.memory, &story.at_target(NAME), Some("1"), &[b"something else"]);
    story.plan().expect(&["conflict"]);
    story.sync().expect(&["conflict"]);
}

/// An image with a layer that its author keeps at `elsewhere`.
fn image_with_foreign_layer(
    story: &Scenario,
    media_type: &'static str,
    elsewhere: &TestRegistry,
) -> (RawManifest, Digest) {
    let bytes = "kept by its author";
    let foreign = json!({
        "mediaType": media_type,
        "digest": Digest::sha256(bytes.as_bytes()),
        "size": bytes.len(),
        "urls": [format!("{}/v2/{NAME}/blobs/layer", elsewhere.url())],
    });
    let memory = &story.source.memory;
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DOCKER_MANIFEST,
        "config": blob(memory, MediaType::DOCKER_CONFIG, "{\"os\":\"windows\"}"),
        "layers": [foreign, blob(memory, MediaType::DOCKER_LAYER_GZIP, "free")],
    });
    let image = put_here(memory, Some("1"), MediaType::DOCKER_MANIFEST, &document);
    (image, Digest::sha256(bytes.as_bytes()))
}

const FOREIGN: [&str; 2] = [
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
];

#[test]
fn a_foreign_layer_that_the_source_has_is_copied() {
    for media_type in FOREIGN {
        let story = Scenario::new().lists("team/app:1");
        let elsewhere = TestRegistry::start();
        let (image, _) = image_with_foreign_layer(&story, media_type, &elsewhere);
        let _ = blob(&story.source.memory, MediaType::new(media_type), "kept by its author");
        let told = story.sync();
        told.expect(&["copied"]);
        assert_eq!(told.item(0)["remarks"], json!([]));
        story.assert_whole(NAME, &image.digest);
        assert_eq!(elsewhere.requests().len(), 0, "nobody asked the author's server");
    }
}

#[test]
fn a_foreign_layer_that_the_source_lacks_is_left_out_and_said() {
    for media_type in FOREIGN {
        let story = Scenario::new().lists("team/app:1");
        let elsewhere = TestRegistry::start();
        let (image, layer) = image_with_foreign_layer(&story, media_type, &elsewhere);
        for told in [story.plan(), story.sync()] {
            let remarks = &told.item(0)["remarks"];
            assert_eq!(remarks[0]["code"], "foreign-layer", "{remarks}");
            assert!(remarks[0]["message"].as_str().is_some_and(|text| text.contains(&layer.to_string())));
            assert_eq!(told.exit_code(), 0);
        }
        assert_eq!(story.mirrored(NAME, "1"), Some(image), "the manifest is unchanged");
        assert_eq!(story.target.blob(&story.at_target(NAME), &layer), None);
        assert_eq!(elsewhere.requests().len(), 0, "nobody asked the author's server");
        story.assert_settled();
    }
}

/// Such a layer is part of the image for whoever pulls it: without it, the image would be broken.
#[test]
fn an_ordinary_layer_with_urls_that_the_source_lacks_fails_and_says_why() {
    let story = Scenario::new().lists("team/app:1");
    let elsewhere = TestRegistry::start();
    image_with_foreign_layer(&story, "application/vnd.oci.image.layer.v1.tar+gzip", &elsewhere);
    let told = story.sync();
    told.expect(&["failed"]);
    assert!(
        told.cause(0).contains("the layer has `urls`, from which none is ever fetched"),
        "{}",
        told.text()
    );
    assert_eq!(story.mirrored(NAME, "1"), None);
    assert_eq!(elsewhere.requests().len(), 0, "nobody asked the author's server");
    // Without `urls` there is nothing to say of them.
    let story = Scenario::new().lists("team/app:1");
    let image = put_image(&story.source.memory, NAME, Some("1"), &[b"a layer"]);
    let layer = image.parse().expect("an image").layers()[0].digest.to_string();
    story.source.on_request(move |request| {
        request.uri.path().ends_with(&layer).then(|| Fault::status(404, "BLOB_UNKNOWN"))
    });
    let told = story.sync();
    assert!(!told.expect(&["failed"]).cause(0).contains("urls"), "{}", told.text());
}

#[test]
fn docker_schema_1_is_refused_and_says_what_to_do() {
    for media_type in [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED] {
        let story = Scenario::new().lists("team/app:1").lists("team/good:1");
        let document = json!({ "schemaVersion": 1, "name": NAME, "fsLayers": [], "history": [] });
        put_here(&story.source.memory, Some("1"), media_type, &document);
        put_image(&story.source.memory, "team/good", Some("1"), &[b"one"]);
        story.plan().expect(&["blocked", "copy"]);
        let told = story.sync();
        told.expect(&["blocked", "copied"]);
        assert_eq!(told.exit_code(), 1);
        let cause = told.item(0)["cause"]["message"].to_string();
        assert!(cause.contains("schema 1") && cause.contains("push it again"), "{cause}");
        assert_eq!(story.mirrored(NAME, "1"), None);
    }
}

#[test]
fn an_index_whose_child_is_missing_is_blocked_by_name() {
    let story = Scenario::new().lists("team/app:1");
    let there = put_image_for(&story.source.memory, NAME, None, "linux/amd64", &[b"one"]);
    let missing = put_image_for(&Memory::new(), NAME, None, "linux/s390x", &[b"two"]);
    put_index(&story.source.memory, NAME, Some("1"), &[(&there, "linux/amd64"), (&missing, "linux/s390x")]);
    for told in [story.plan(), story.sync()] {
        told.expect(&["blocked"]);
        let cause = told.item(0)["cause"].clone();
        assert_eq!(cause["side"], "source");
        let reference = format!("{}/{NAME}@{}", story.source.host(), missing.digest);
        assert_eq!(cause["reference"], json!(reference));
        assert!(cause["message"].as_str().is_some_and(|text| text.contains("linux/s390x")), "{cause}");
    }
    assert_eq!(story.target.tags().len(), 0);
    assert_eq!(story.target.writes().len(), 0);
}

#[test]
fn a_manifest_that_could_be_read_in_two_ways_is_blocked() {
    let story = Scenario::new().lists("team/app:1").signatures(Signatures::Skip);
    let image = put_image(&story.source.memory, NAME, None, &[b"one"]);
    let mut document: Value = serde_json::from_slice(&image.bytes).expect("JSON");
    document["manifests"] = json!([image.descriptor()]);
    put_here(&story.source.memory, Some("1"), MediaType::OCI_MANIFEST, &document);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert!(told.text().contains("two ways"), "{}", told.text());
}

/// Where a blob is mounted nobody reads it: what another image's manifest says of it is compared.
#[test]
fn a_blob_of_another_size_than_a_manifest_says_is_not_mounted() {
    let story = Scenario::new().lists("team/true:1").lists("team/false:1");
    let memory = &story.source.memory;
    let honest = put_image(memory, "team/true", Some("1"), &[b"eight by"]);
    let text = String::from_utf8_lossy(&honest.bytes).replace("\"size\":8", "\"size\":3");
    assert_ne!(text.as_bytes(), &honest.bytes[..]);
    put_image(memory, "team/false", None, &[b"eight by"]);
    put_text(memory, "team/false", Some("1"), MediaType::OCI_MANIFEST, &text);
    let told = story.sync();
    told.expect(&["copied", "failed"]);
    assert_eq!(story.mirrored("team/false", "1"), None);
}
