//! The main job, between two registries.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use http::Method;
use image_syncer::config::Signatures;
use image_syncer::oci::{Digest, RawManifest};
use image_syncer::registry::Patience;
use support::content::{put_image, put_image_for, put_index, put_referrer};
use support::registry::TestRegistry;
use support::scenario::Scenario;

/// An index with two children and ten distinct blobs.
fn index_of_ten_blobs(source: &TestRegistry, name: &str, tag: &str) -> RawManifest {
    let amd64 =
        put_image_for(&source.memory, name, None, "linux/amd64", &[b"base", b"a1", b"a2", b"a3", b"a4"]);
    let arm64 = put_image_for(&source.memory, name, None, "linux/arm64", &[b"base", b"b1", b"b2", b"b3"]);
    put_index(&source.memory, name, Some(tag), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")])
}

#[test]
fn an_image_arrives_byte_for_byte() {
    let story = Scenario::new().lists("team/app:1");
    let image = put_image(&story.source.memory, "team/app", Some("1"), &[b"one", b"two"]);
    story.sync().expect(&["copied"]);
    let copied = story.target.manifest(&story.at_target("team/app"), "1").expect("the tag");
    assert_eq!(copied, image);
    for blob in image.parse().expect("a manifest").blobs() {
        assert_eq!(
            story.target.blob(&story.at_target("team/app"), &blob.digest),
            story.source.blob("team/app", &blob.digest)
        );
    }
}

#[test]
fn a_fresh_copy_takes_forty_requests_and_nothing_to_do_takes_two() {
    let story = Scenario::new().lists("team/app:1").signatures(Signatures::Skip);
    index_of_ten_blobs(&story.source, "team/app", "1");
    story.sync().expect(&["copied"]);
    let requests = story.source.served().len() + story.target.served().len();
    assert!(
        requests <= 40,
        "{requests} requests:\n{:#?}\n{:#?}",
        story.source.served(),
        story.target.served()
    );

    story.source.clear_log();
    story.target.clear_log();
    story.sync().expect(&["up-to-date"]);
    assert_eq!(story.source.served().len() + story.target.served().len(), 2);
    assert_eq!(story.target.writes().len(), 0);
}

#[test]
fn a_listed_digest_that_is_there_takes_one_request_and_none_of_the_source() {
    let story = Scenario::new().signatures(Signatures::Skip);
    let index = index_of_ten_blobs(&story.source, "team/app", "1");
    let story = story.entry(&format!("source: SOURCE/team/app:1@{}", index.digest));
    story.sync().expect(&["copied"]);
    story.source.clear_log();
    story.target.clear_log();
    story.sync().expect(&["up-to-date"]);
    assert_eq!(story.source.served().len(), 0);
    assert_eq!(story.target.served().len(), 1);
}

#[test]
fn a_plan_writes_nothing() {
    let story = Scenario::new().lists("team/app:1");
    index_of_ten_blobs(&story.source, "team/app", "1");
    story.plan().expect(&["copy"]);
    assert_eq!(story.target.writes().len(), 0);
    assert_eq!(story.source.writes().len(), 0);
    assert!(story.target.tags().is_empty());
}

#[test]
fn a_tag_that_has_other_content_is_left_alone() {
    let story = Scenario::new().lists("team/app:1");
    put_image(&story.source.memory, "team/app", Some("1"), &[b"old"]);
    story.sync().expect(&["copied"]);
    let before = story.target.tags();
    put_image(&story.source.memory, "team/app", Some("1"), &[b"new"]);
    let told = story.sync();
    told.expect(&["conflict"]);
    assert_eq!(told.exit_code(), 3);
    assert_eq!(story.target.tags(), before);
}

#[test]
fn a_blob_of_an_image_that_is_there_is_mounted() {
    let story = Scenario::new().lists("team/old:1");
    let old = put_image(&story.source.memory, "team/old", Some("1"), &[b"base", b"old"]);
    story.sync().expect(&["copied"]);
    let base = old.parse().expect("a manifest").layers()[0].digest.to_string();
    let story = story.lists("team/new:1");
    put_image(&story.source.memory, "team/new", Some("1"), &[b"base", b"new"]);
    story.source.clear_log();
    story.sync().expect(&["up-to-date", "copied"]);
    assert_eq!(story.source.count(&Method::GET, &base), 0);
    assert!(story.mirrored("team/new", "1").is_some());
}

#[test]
fn each_blob_is_pulled_once_and_mounted_elsewhere() {
    let mut story = Scenario::new().signatures(Signatures::Skip);
    for number in 0..8 {
        let name = format!("team/app{number}");
        put_image(&story.source.memory, &name, Some("1"), &[b"base", b"shared", name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    story.sync().expect(&["copied"; 8]);
    let pulls: Vec<_> = story
        .source
        .requests()
        .into_iter()
        .filter(|r| r.path.contains("/blobs/") && r.method == Method::GET)
        .collect();
    let mut digests: Vec<_> = pulls.iter().map(|r| r.path.rsplit('/').next().unwrap_or_default()).collect();
    let all = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), all, "a blob was pulled twice");
    // One shared config, two shared layers, eight of their own.
    assert_eq!(all, 11);
    assert_eq!(story.target.count(&Method::PUT, "/blobs/uploads/"), 11);
}

/// Not every registry takes a body of which it is not told the length.
#[test]
fn uploads_announce_their_length() {
    let story = Scenario::new().lists("team/app:1");
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one", b"two"]);
    story.sync().expect(&["copied"]);
    let puts: Vec<_> = story.target.writes().into_iter().filter(|it| it.method == Method::PUT).collect();
    assert_eq!(puts.len(), 4);
    for put in puts {
        assert!(put.headers.contains_key("content-length"), "{put:#?}");
        assert!(!put.headers.contains_key("transfer-encoding"), "{put:#?}");
    }
}

#[test]
fn companions_come_along_also_when_they_come_later() {
    let story = Scenario::new().lists("team/app:1");
    let image = put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    story.sync().expect(&["copied"]);
    let sbom = put_referrer(&story.source.memory, "team/app", &image, "application/spdx+json", b"sbom");
    put_referrer(&story.source.memory, "team/app", &sbom, "application/vnd.cncf.notary.signature", b"sig");
    story.plan().expect(&["companions"]);
    story.sync().expect(&["companions-copied"]);
    let at = story.at_target("team/app");
    assert_eq!(story.target.referrers(&at, &image.digest).len(), 1);
    assert_eq!(story.target.referrers(&at, &sbom.digest).len(), 1);
    story.sync().expect(&["up-to-date"]);
}

/// What takes long begins early, wherever the list has it; and nobody waits for it.
#[test]
fn a_giant_at_the_end_of_the_list_is_not_begun_last() {
    let mut story = Scenario::new();
    // Hashing that much takes its time in a program that is built for tests.
    story.settings.patience = Patience::default();
    for number in 0..150 {
        let name = format!("team/small{number}");
        put_image(&story.source.memory, &name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    let giant = vec![7; 17 * 1024 * 1024];
    put_image(&story.source.memory, "team/giant", Some("1"), &[&giant]);
    let story = story.lists("team/giant:1");
    let digest = Digest::sha256(&giant).to_string();
    let told = story.sync();
    assert_eq!(told.exit_code(), 0, "{}", told.text());
    let blobs: Vec<String> = story
        .source
        .served()
        .into_iter()
        .filter(|request| request.path.contains("/blobs/"))
        .map(|request| request.path)
        .collect();
    let place = blobs.iter().position(|path| path.ends_with(&digest)).expect("the giant's layer");
    assert!(place < 60, "the giant was read after {place} of {} blobs", blobs.len());
    assert_eq!(blobs.iter().filter(|path| path.ends_with(&digest)).count(), 1);
    // It counts for the image that has it, and once.
    assert_eq!(
        told.item(150)["transfer"]["bytes_copied"].as_u64().map(|bytes| bytes >= giant.len() as u64),
        Some(true)
    );
}
