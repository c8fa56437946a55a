//! What a plan says: its digest, and the bytes that would have to move.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use http::request::Parts;
use image_syncer::config::Signatures;
use image_syncer::oci::{Digest, MediaType};
use serde_json::{Value, json};
use support::companions::sign;
use support::content::{put_image, put_image_for, put_index, put_referrer, repository};
use support::fault::Fault;
use support::scenario::{Scenario, Told};

const NAME: &str = "team/app";

fn digest(told: &Told) -> String {
    told.json()["plan_digest"].as_str().expect("a digest").to_owned()
}

/// The canonical JSON of RFC 8785: keys sorted, no blanks. The digest is a promise to whoever compares a
/// review with the sync after it.
#[test]
fn the_digest_is_that_of_the_canonical_json_of_what_was_decided() {
    let story = Scenario::new()
        .lists("team/app:1")
        .entry("source: SOURCE/team/app:1\n    tag: \"0\"\n    platforms: [linux/amd64]");
    let image = put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
    let source = format!("{}/{NAME}:1", story.source.host());
    let target = format!("{}/{}", story.target.host(), story.at_target(NAME));
    let text = format!(
        "{{\"entries\":[\
         {{\"digest\":\"{0}\",\"platforms\":[\"linux/amd64\"],\"signatures\":\"copy\",\
         \"source\":\"{source}\",\"target\":\"{target}:0\"}},\
         {{\"digest\":\"{0}\",\"platforms\":[],\"signatures\":\"copy\",\
         \"source\":\"{source}\",\"target\":\"{target}:1\"}}],\"policy\":null}}",
        image.digest
    );
    assert_eq!(digest(&story.plan()), Digest::sha256(text.as_bytes()).to_string());
}

#[test]
fn the_digest_does_not_depend_on_the_order_of_the_list() {
    let story = Scenario::new().lists("team/a:1").lists("team/b:1").lists("team/c:1");
    for name in ["team/a", "team/b", "team/c"] {
        put_image(&story.source.memory, name, Some("1"), &[name.as_bytes()]);
    }
    let one = digest(&story.plan());
    let story = story.other_list().lists("team/c:1").lists("team/a:1").lists("team/b:1");
    assert_eq!(digest(&story.plan()), one);
}

#[test]
fn the_digest_does_not_depend_on_the_target() {
    let mut story = Scenario::new().lists("team/app:1");
    story.settings.retry.retries = 0;
    let image = put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
    let pinned = format!("source: SOURCE/team/app:1@{}\n    tag: pinned", image.digest);
    let story = story.entry(&pinned);
    let fresh = digest(&story.plan());
    for (status, code) in [(403, "DENIED"), (401, "UNAUTHORIZED"), (500, "UNKNOWN")] {
        story.target.on_request(move |_: &Parts| Some(Fault::status(status, code)));
        assert_eq!(digest(&story.plan()), fresh, "the target answers {status}");
        assert_eq!(digest(&story.sync()), fresh, "the target answers {status}");
    }
    story.target.heal();
    let there = put_image(&story.target.memory, &story.at_target(NAME), Some("pinned"), &[b"other"]);
    assert_eq!(digest(&story.plan()), fresh, "a conflict");
    assert_eq!(story.mirrored(NAME, "pinned"), Some(there));
    assert_eq!(digest(&story.sync()), fresh, "what is done is what was said");
    sign(&story.source.memory, NAME, &image);
    assert_eq!(digest(&story.plan()), fresh, "companions are no part of it");
    put_image(&story.target.memory, &story.at_target(NAME), Some("pinned"), &[b"one"]);
    story.sync().expect(&["companions-copied", "companions-copied"]);
    assert_eq!(digest(&story.sync()), fresh, "all is there");
}

#[test]
fn the_digest_depends_on_what_is_to_be_at_the_target() {
    let story = Scenario::new();
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"b"]);
    let index = put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let mut seen = Vec::new();
    let mut story = story;
    for entry in [
        "source: SOURCE/team/app:1".to_owned(),
        "source: SOURCE/team/app:1\n    tag: other".to_owned(),
        "source: SOURCE/team/app:1\n    target: other".to_owned(),
        "source: SOURCE/team/app:1\n    platforms: [linux/amd64]".to_owned(),
        format!("source: SOURCE/team/app:1@{}", index.digest),
    ] {
        story = story.other_list().entry(&entry);
        seen.push(digest(&story.plan()));
    }
    story = story.other_list().lists("team/app:1").signatures(Signatures::Skip);
    seen.push(digest(&story.plan()));
    put_image(&story.source.memory, NAME, Some("1"), &[b"moved"]);
    seen.push(digest(&story.plan()));
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

fn to_move(told: &Told) -> Vec<Value> {
    told.0.plan.items.iter().map(|item| json!(item.bytes_to_move)).collect()
}

/// The length of the config that all images of these stories share.
fn config(story: &Scenario) -> u64 {
    let image = put_image(&story.source.memory, "team/any", None, &[]);
    let config = image.parse().expect("a manifest").blobs().next().map(|config| config.size);
    config.expect("a config")
}

#[test]
fn a_plan_counts_each_blob_once_and_not_what_is_there() {
    let story = Scenario::new()
        .signatures(Signatures::Skip)
        .lists("team/first:1")
        .lists("team/shares:1")
        .lists("team/has-some:1")
        .lists("team/mounts:1");
    let memory = &story.source.memory;
    put_image(memory, "team/first", Some("1"), &[b"base of all", b"first"]);
    put_image(memory, "team/shares", Some("1"), &[b"base of all", b"shares!"]);
    put_image(memory, "team/has-some", Some("1"), &[b"base of all", b"is there already", b"new"]);
    put_image(memory, "team/mounts", Some("1"), &[b"is there already"]);
    let there = repository(&story.at_target("team/has-some"));
    let _ = story.target.memory.put_blob(&there, MediaType::OCI_LAYER, "is there already");
    let expected = [config(&story) + 16, 7, 3, 0];
    let planned = story.plan();
    planned.expect(&["copy"; 4]);
    assert_eq!(to_move(&planned), expected.map(|bytes| json!(bytes)));
    assert_eq!(planned.json()["totals"]["bytes_to_move"], json!(expected.iter().sum::<u64>()));

    // Which of the images brings a shared blob is a matter of chance, the sum is not; only a blob that
    // nobody looks for where it is has to come again if its own image is late.
    let told = story.sync();
    told.expect(&["copied"; 4]);
    let moved = told.json()["totals"]["transfer"]["bytes_copied"].as_u64().expect("bytes");
    let sum = expected.iter().sum::<u64>();
    assert!(moved == sum || moved == sum + 16, "{moved} for {sum}");
    assert_eq!(to_move(&story.plan()), [json!(0), json!(0), json!(0), json!(0)]);
}

#[test]
fn a_plan_counts_the_companions() {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let image = put_image(memory, NAME, Some("1"), &[b"one"]);
    put_referrer(memory, NAME, &image, "application/spdx+json", b"ten bytes!");
    let planned = story.plan();
    let empty = 2;
    assert_eq!(to_move(&planned), [json!(config(&story) + 3 + 10 + empty)]);
    let told = story.sync();
    assert_eq!(told.item(0)["transfer"]["bytes_copied"], json!(config(&story) + 3 + 10 + empty));

    put_referrer(memory, NAME, &image, "application/spdx+json", b"eleven more");
    let planned = story.plan();
    planned.expect(&["companions"]);
    assert_eq!(to_move(&planned), [json!(11)]);
}

#[test]
fn a_plan_says_what_an_image_is() {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"base", b"a"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64/v8", &[b"base", b"b"]);
    let index = put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64/v8")]);
    let blobs: u64 = [&amd64, &arm64]
        .iter()
        .flat_map(|image| image.parse().expect("a manifest").blobs().cloned().collect::<Vec<_>>())
        .map(|blob| (blob.digest, blob.size))
        .collect::<std::collections::HashMap<_, _>>()
        .values()
        .sum();
    let manifests = [&amd64, &arm64, &index].iter().map(|manifest| manifest.bytes.len() as u64).sum::<u64>();
    // Read from the source first, from the target once it is there.
    for decision in ["copy", "up-to-date"] {
        let planned = story.plan();
        planned.expect(&[decision]);
        let item = planned.item(0);
        assert_eq!(item["media_type"], json!(MediaType::OCI_INDEX));
        assert_eq!(item["platforms"], json!(["linux/amd64", "linux/arm64/v8"]));
        assert_eq!(item["bytes"], json!(blobs + manifests));
        assert_eq!(item["digest"], json!(index.digest));
        story.sync();
    }
}

#[test]
fn a_plan_says_what_a_single_image_runs_on_and_goes_on_if_it_cannot() {
    let story = Scenario::new().lists("team/app:1");
    put_image_for(&story.source.memory, NAME, Some("1"), "linux/s390x", &[b"one"]);
    for decision in ["copy", "up-to-date"] {
        let planned = story.plan();
        planned.expect(&[decision]);
        assert_eq!(planned.item(0)["platforms"], json!(["linux/s390x"]));
        story.sync();
    }
    story.target.on_request(|parts| {
        let blob = parts.uri.path().contains("/blobs/") && parts.method == http::Method::GET;
        blob.then(|| Fault::status(403, "DENIED"))
    });
    let planned = story.plan();
    planned.expect(&["up-to-date"]);
    assert_eq!(planned.item(0)["platforms"], json!([]));
}

/// A plan and the sync after it say the same, also where the source cannot be read any further.
#[test]
fn a_conflict_is_one_whether_or_not_the_source_can_be_read() {
    let story = Scenario::new().lists("team/app:1");
    let image = put_image(&story.source.memory, NAME, None, &[b"one"]);
    put_index(&story.source.memory, NAME, Some("1"), &[(&image, "linux/amd64")]);
    put_image(&story.target.memory, &story.at_target(NAME), Some("1"), &[b"other"]);
    for what in ["/manifests/sha256:", &image.digest.to_string()] {
        let what = what.to_owned();
        story.source.on_request(move |parts| {
            parts.uri.path().contains(&what).then(|| Fault::status(404, "MANIFEST_UNKNOWN"))
        });
        for told in [story.plan(), story.sync()] {
            told.expect(&["conflict"]);
            assert_eq!(told.exit_code(), 3);
        }
    }
}
