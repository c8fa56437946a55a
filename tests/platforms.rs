//! Entries that name platforms: a smaller index is made, always the same.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use image_syncer::config::Signatures;
use image_syncer::oci::{MediaType, RawManifest};
use image_syncer::serve::Memory;
use serde_json::{Value, json};
use support::content::{put, put_image, put_image_for, put_index, put_text, repository};
use support::scenario::Scenario;

const NAME: &str = "team/app";

/// An image for each platform, and an attestation of each.
fn attested_index(memory: &Memory, platforms: &[&str]) -> (RawManifest, Vec<RawManifest>) {
    let mut children = Vec::new();
    let mut manifests = Vec::new();
    for platform in platforms {
        let image = put_image_for(memory, NAME, None, platform, &[b"base", platform.as_bytes()]);
        let statement = format!("built for {platform}");
        let statement = put_image_for(memory, NAME, None, "unknown/unknown", &[statement.as_bytes()]);
        let mut child = image.descriptor();
        child.platform = platform.parse().ok();
        manifests.push(json!(child));
        let mut attestation = statement.descriptor();
        attestation.platform = "unknown/unknown".parse().ok();
        let text = ["vnd.docker.reference.digest", "vnd.docker.reference.type"].map(str::to_owned);
        let [digest, kind] = text;
        attestation.annotations =
            [(digest, image.digest.to_string()), (kind, "attestation-manifest".to_owned())].into();
        manifests.push(json!(attestation));
        children.extend([image, statement]);
    }
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": manifests,
        "annotations": { "x-of-the-index": "kept" },
    });
    (put(memory, &repository(NAME), Some("1"), MediaType::OCI_INDEX, &document), children)
}

fn children(index: &RawManifest) -> Vec<String> {
    let parsed = index.parse().expect("an index");
    assert!(parsed.media_type.is_index());
    parsed.children().iter().map(|child| child.digest.to_string()).collect()
}

fn digests(of: &[&RawManifest]) -> Vec<String> {
    of.iter().map(|manifest| manifest.digest.to_string()).collect()
}

#[test]
fn only_the_listed_platforms_are_copied_with_their_attestations() {
    let story = Scenario::new().entry("source: SOURCE/team/app:1\n    platforms: [linux/arm64, linux/amd64]");
    let platforms = ["linux/amd64", "linux/s390x", "linux/arm64/v8"];
    let (index, made) = attested_index(&story.source.memory, &platforms);
    story.plan().expect(&["copy"]);
    let told = story.sync();
    told.expect(&["copied"]);

    let smaller = story.mirrored(NAME, "1").expect("the tag");
    assert_eq!(children(&smaller), digests(&[&made[0], &made[1], &made[4], &made[5]]));
    let document: Value = serde_json::from_slice(&smaller.bytes).expect("JSON");
    assert_eq!(document["annotations"]["x-of-the-index"], "kept");
    for child in [&made[0], &made[1], &made[4], &made[5]] {
        story.assert_whole(NAME, &child.digest);
    }
    let at = story.at_target(NAME);
    for left_out in [&index, &made[2], &made[3]] {
        assert_eq!(story.target.manifest(&at, &left_out.digest.to_string()), None);
    }

    let item = told.item(0);
    assert_eq!(item["source_digest"], json!(index.digest));
    assert_eq!(item["digest"], json!(smaller.digest));
    assert_eq!(item["remarks"][0]["code"], "platforms-left-out");
    let remark = item["remarks"][0]["message"].to_string();
    assert!(remark.contains("linux/s390x") && remark.contains("do not cover"), "{remark}");
    story.assert_settled();
}

#[test]
fn one_platform_is_still_an_index() {
    let story = Scenario::new().entry("source: SOURCE/team/app:1\n    platforms: [linux/arm64]");
    let (_, made) = attested_index(&story.source.memory, &["linux/amd64", "linux/arm64"]);
    story.sync().expect(&["copied"]);
    let smaller = story.mirrored(NAME, "1").expect("the tag");
    assert_eq!(children(&smaller), digests(&[&made[2], &made[3]]));
    story.assert_settled();
}

#[test]
fn all_platforms_leave_the_index_as_it_is() {
    let story = Scenario::new().entry("source: SOURCE/team/app:1\n    platforms: [linux/arm64, linux/amd64]");
    let (index, _) = attested_index(&story.source.memory, &["linux/amd64", "linux/arm64"]);
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(story.mirrored(NAME, "1"), Some(index));
    assert_eq!(told.item(0)["remarks"], json!([]));
    story.assert_settled();
}

#[test]
fn arm64_and_arm64_v8_are_one_platform() {
    for (wanted, there) in [("linux/arm64", "linux/arm64/v8"), ("linux/arm64/v8", "linux/arm64")] {
        let story = Scenario::new().entry(&format!("source: SOURCE/team/app:1\n    platforms: [{wanted}]"));
        let (_, made) = attested_index(&story.source.memory, &["linux/amd64", there]);
        story.sync().expect(&["copied"]);
        let smaller = story.mirrored(NAME, "1").expect("the tag");
        assert_eq!(children(&smaller), digests(&[&made[2], &made[3]]));
    }
}

#[test]
fn a_platform_that_the_source_lacks_blocks_and_says_which_there_are() {
    let story = Scenario::new()
        .entry("source: SOURCE/team/app:1\n    platforms: [linux/amd64, linux/ppc64le, windows/amd64]");
    attested_index(&story.source.memory, &["linux/amd64", "linux/arm64/v8"]);
    for told in [story.plan(), story.sync()] {
        told.expect(&["blocked"]);
        assert_eq!(told.exit_code(), 1);
        assert_eq!(
            told.item(0)["cause"]["message"],
            "the source has no image for linux/ppc64le, windows/amd64; it has linux/amd64, linux/arm64/v8"
        );
    }
    assert_eq!(story.target.writes().len(), 0);
}

#[test]
fn a_single_image_passes_if_its_config_says_the_platform() {
    for (config, wanted) in
        [("linux/amd64", "linux/amd64"), ("linux/arm64/v8", "linux/arm64"), ("linux/arm64", "linux/arm64/v8")]
    {
        let story = Scenario::new().entry(&format!("source: SOURCE/team/app:1\n    platforms: [{wanted}]"));
        let image = put_image_for(&story.source.memory, NAME, Some("1"), config, &[b"one"]);
        story.sync().expect(&["copied"]);
        assert_eq!(story.mirrored(NAME, "1"), Some(image));
        story.assert_settled();
    }
}

#[test]
fn a_single_image_for_something_else_is_blocked() {
    let story = Scenario::new().entry("source: SOURCE/team/app:1\n    platforms: [linux/amd64, linux/arm64]");
    put_image_for(&story.source.memory, NAME, Some("1"), "linux/amd64", &[b"one"]);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!(
        told.item(0)["cause"]["message"],
        "the source has no image for linux/arm64; it has linux/amd64"
    );
    assert_eq!(story.target.writes().len(), 0);
}

/// The children are fixed texts, so that the index is, too. A change of this digest would be a conflict for
/// everybody who has mirrored some platforms of something.
#[test]
fn a_derived_index_has_the_same_digest_for_ever() {
    let story = Scenario::new()
        .entry("source: SOURCE/team/app:1\n    platforms: [linux/arm64]")
        .signatures(Signatures::Skip);
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"golden"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"golden"]);
    assert_eq!(
        arm64.digest.to_string(),
        "sha256:1faf4ab175bdcb4ec4bf11159a63c0833492a97acdbf6e505afc6ed5c32fe4b6",
        "the child of the golden index is another one"
    );
    let text = format!(
        "{{\n  \"z\": 1.50,\n  \"manifests\": [\n    {{\"platform\":{{\"os\":\"linux\",\"architecture\":\"amd64\"}},\
         \"size\":{},\"digest\":\"{}\",\"mediaType\":\"{}\"}},\n    {{\"size\":{},\"x\":[1e3, null, \"é\\u00e9\"],\
         \"digest\":\"{}\",\"mediaType\":\"{}\",\"platform\":{{\"architecture\":\"arm64\",\"os\":\"linux\",\"y\":0}}}}\n  ],\n  \
         \"schemaVersion\": 2,\n  \"a\": {{}}\n}}\n",
        amd64.bytes.len(),
        amd64.digest,
        MediaType::OCI_MANIFEST,
        arm64.bytes.len(),
        arm64.digest,
        MediaType::OCI_MANIFEST,
    );
    put_text(memory, NAME, Some("1"), MediaType::OCI_INDEX, &text);
    story.sync().expect(&["copied"]);
    let smaller = story.mirrored(NAME, "1").expect("the tag");
    let expected = format!(
        "{{\"z\":1.50,\"manifests\":[{{\"size\":{},\"x\":[1e+3,null,\"éé\"],\"digest\":\"{}\",\"mediaType\":\"{}\",\
         \"platform\":{{\"architecture\":\"arm64\",\"os\":\"linux\",\"y\":0}}}}],\"schemaVersion\":2,\"a\":{{}}}}",
        arm64.bytes.len(),
        arm64.digest,
        MediaType::OCI_MANIFEST,
    );
    assert_eq!(String::from_utf8_lossy(&smaller.bytes), expected);
    assert_eq!(
        smaller.digest.to_string(),
        "sha256:31b4b20dc5369f1569905797525cd08229fe3db9379bda97977f8bf2f9041ac6"
    );
}

#[test]
fn another_choice_of_platforms_is_a_conflict_and_not_a_change() {
    let story = Scenario::new().entry("source: SOURCE/team/app:1\n    platforms: [linux/arm64]");
    let (index, _) = attested_index(&story.source.memory, &["linux/amd64", "linux/arm64"]);
    story.sync().expect(&["copied"]);
    let before = story.target.tags();
    put_image(&story.source.memory, "team/other", Some("1"), &[b"one"]);
    let story = story.other_list().lists("team/app:1").lists("team/other:1");
    for told in [story.plan(), story.sync()] {
        assert_eq!(told.words()[0], "conflict");
        assert_eq!(told.exit_code(), 3);
        assert_eq!(told.item(0)["digest"], json!(index.digest));
    }
    assert!(before.iter().all(|(tag, digest)| story.target.tags().get(tag) == Some(digest)));
    assert_eq!(story.target.tags().len(), 2, "the other image was copied");
}

/// What the conflict of an entry with platforms advises is something that helps.
#[test]
fn a_conflict_of_chosen_platforms_names_two_ways_out() {
    const CHOSEN: &str = "source: SOURCE/team/app:1\n    platforms: [linux/arm64]";
    let story = Scenario::new().lists("team/app:1");
    attested_index(&story.source.memory, &["linux/amd64", "linux/arm64"]);
    story.sync().expect(&["copied"]);
    let story = story.other_list().entry(CHOSEN);
    let text = story.sync().expect(&["conflict"]).text();
    assert!(text.contains("tag: \"1-v2\""), "{text}");
    assert!(
        text.contains("To keep the old content, take `platforms` out: the target has the whole index."),
        "{text}"
    );

    let story = Scenario::new().entry(CHOSEN);
    attested_index(&story.source.memory, &["linux/amd64", "linux/arm64"]);
    story.sync().expect(&["copied"]);
    let story = story.other_list().entry("source: SOURCE/team/app:1\n    platforms: [linux/amd64]");
    let text = story.sync().expect(&["conflict"]).text();
    assert!(text.contains("To keep the old content, write the `platforms` that it has"), "{text}");
    assert!(!text.contains("source: \""), "no source has the smaller index:\n{text}");
    story.other_list().entry(CHOSEN).sync().expect(&["up-to-date"]);
}

#[test]
fn nothing_to_do_takes_two_requests() {
    let story = Scenario::new()
        .entry("source: SOURCE/team/app:1\n    platforms: [linux/arm64]")
        .signatures(Signatures::Skip);
    attested_index(&story.source.memory, &["linux/amd64", "linux/arm64"]);
    story.sync().expect(&["copied"]);
    story.source.clear_log();
    story.assert_settled();
    assert_eq!(story.source.requests().len() + story.target.requests().len(), 2);
}

#[test]
fn a_manifest_list_stays_one() {
    let story = Scenario::new().entry("source: SOURCE/team/app:1\n    platforms: [linux/amd64]");
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"one"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"one"]);
    let index = put_index(memory, NAME, None, &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let text = String::from_utf8_lossy(&index.bytes)
        .replace(MediaType::OCI_INDEX.as_str(), MediaType::DOCKER_LIST.as_str());
    put_text(memory, NAME, Some("1"), MediaType::DOCKER_LIST, &text);
    story.sync().expect(&["copied"]);
    let smaller = story.mirrored(NAME, "1").expect("the tag");
    assert_eq!(smaller.media_type, MediaType::DOCKER_LIST);
    assert_eq!(children(&smaller), digests(&[&amd64]));
}
