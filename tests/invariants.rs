//! What must hold whatever happens, a test or two for each invariant of the design.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use http::Method;
use http::request::Parts;
use image_syncer::config::Signatures;
use image_syncer::oci::{Digest, MediaType, RawManifest};
use image_syncer::report::Interruption;
use image_syncer::serve::{Backend as _, Memory};
use serde_json::json;
use support::companions::{SPDX, cosign_tag, put_cosign, put_tag, sign};
use support::content::{put_image, put_image_for, put_index, put_referrer, put_text, reference, repository};
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::Scenario;

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

/// Invariant 1: the look before the tag's PUT and the one after it are adjacent to it.
#[test]
fn a_tag_is_looked_at_right_before_and_right_after_it_is_written() {
    let story = Scenario::new().lists("team/app:1");
    signed_image(&story.source.memory);
    story.sync().expect(&["copied"]);
    let requests: Vec<String> = story.target.requests().iter().map(support::registry::Logged::line).collect();
    let tag = format!("/v2/{}/manifests/1", story.at_target(NAME));
    let end = [format!("HEAD {tag} 404"), format!("PUT {tag} 201"), format!("HEAD {tag} 200")];
    assert_eq!(requests[requests.len() - 3..], end, "{requests:#?}");
}

/// Invariant 1: a tag that somebody else made meanwhile is not overwritten.
#[test]
fn a_tag_that_appears_meanwhile_is_left_alone() {
    let story = Scenario::new().lists("team/app:1");
    put_image(&story.source.memory, NAME, Some("1"), &[b"ours"]);
    let (memory, at) = (story.target.memory.clone(), story.at_target(NAME));
    let theirs = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&theirs);
    story.target.on_request(move |parts| {
        if is(parts, &Method::PUT, "/blobs/uploads/") {
            slot.lock().expect("a lock").get_or_insert_with(|| put_image(&memory, &at, Some("1"), &[b"x"]));
        }
        None
    });
    let told = story.sync();
    told.expect(&["conflict"]);
    assert_eq!(told.exit_code(), 3);
    let theirs = theirs.lock().expect("a lock").take();
    assert!(theirs.is_some());
    assert_eq!(story.mirrored(NAME, "1"), theirs);
    assert_eq!(story.target.count(&Method::PUT, "/manifests/1"), 0);
}

/// Invariant 1: two who looked at the same moment both saw nothing; the read-back tells who lost.
#[test]
fn a_lost_race_is_seen_in_the_read_back() {
    let story = Scenario::new().lists("team/app:1");
    put_image(&story.source.memory, NAME, Some("1"), &[b"ours"]);
    let (memory, at) = (story.target.memory.clone(), story.at_target(NAME));
    let pushed = AtomicBool::new(false);
    story.target.on_request(move |parts| {
        let was_pushed = pushed.load(Ordering::SeqCst);
        if is(parts, &Method::PUT, "/manifests/1") {
            pushed.store(true, Ordering::SeqCst);
        } else if was_pushed && is(parts, &Method::HEAD, "/manifests/1") {
            put_image(&memory, &at, Some("1"), &[b"theirs"]);
        }
        None
    });
    let told = story.sync();
    told.expect(&["conflict"]);
    assert_eq!(told.exit_code(), 3);
    assert!(told.item(0)["cause"]["message"].to_string().contains("somebody else"));
    assert_eq!(story.target.count(&Method::PUT, "/manifests/1"), 1, "it is not fought for");
}

/// Invariant 1: a companion's tag that somebody else made meanwhile is not overwritten.
#[test]
fn a_companion_that_appears_meanwhile_is_left_alone() {
    let story = Scenario::new().lists("team/app:1");
    let image = put_image(&story.source.memory, NAME, Some("1"), &[b"ours"]);
    sign(&story.source.memory, NAME, &image);
    let (memory, at) = (story.target.memory.clone(), story.at_target(NAME));
    let subject = image.clone();
    story.target.on_request(move |parts| {
        if is(parts, &Method::PUT, "/manifests/sha256:") {
            put_cosign(&memory, &at, &subject, ".sig", &[("another payload", "another signature")]);
        }
        None
    });
    let told = story.sync();
    told.expect(&["conflict"]);
    let tag = cosign_tag(&image, ".sig");
    assert_ne!(story.mirrored(NAME, &tag), story.source.manifest(NAME, &tag));
    assert_eq!(story.target.count(&Method::PUT, &tag), 0);
    assert_eq!(story.mirrored(NAME, "1"), None);
}

/// Invariant 2: the tag is the last thing that is written.
#[test]
fn the_tag_is_written_last() {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let child = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let index = put_index(memory, NAME, Some("1"), &[(&child, "linux/amd64")]);
    sign(memory, NAME, &index);
    put_referrer(memory, NAME, &child, SPDX, b"an SBOM");
    story.sync().expect(&["copied"]);
    let writes: Vec<String> = story.target.writes().iter().map(|write| write.path.clone()).collect();
    let tag = format!("/v2/{}/manifests/1", story.at_target(NAME));
    assert_eq!(writes.iter().position(|path| *path == tag), Some(writes.len() - 1), "{writes:#?}");
    let place = |digest: &Digest| writes.iter().position(|path| path.ends_with(&digest.to_string()));
    assert!(place(&child.digest) < place(&index.digest), "children come before their index");
}

/// Invariant 2: what is interrupted leaves no tag; the next run goes on and sends nothing again.
#[test]
fn an_interrupted_run_leaves_no_tag_and_the_next_one_goes_on() {
    let mut story = Scenario::new().lists("team/app:1");
    story.settings.concurrency = 1;
    let image = signed_image(&story.source.memory);
    let (sender, stop) = tokio::sync::oneshot::channel();
    let (sender, puts) = (Mutex::new(Some(sender)), AtomicUsize::new(0));
    story.target.on_request(move |parts| {
        if !is(parts, &Method::PUT, "/blobs/uploads/") || puts.fetch_add(1, Ordering::SeqCst) < 2 {
            return None;
        }
        sender.lock().expect("a lock").take().map(|sender| sender.send(Interruption::Terminate));
        Some(Fault::Stall)
    });
    let told = story.sync_until(async { stop.await.expect("a signal") });
    told.expect(&["not-run"]);
    assert_eq!(told.exit_code(), 143);
    assert!(story.target.tags().is_empty());

    let blobs = image.parse().expect("a manifest");
    let arrived: Vec<String> = blobs
        .blobs()
        .filter(|blob| story.target.blob(&story.at_target(NAME), &blob.digest).is_some())
        .map(|blob| blob.digest.to_string())
        .collect();
    assert_eq!(arrived.len(), 2);
    story.target.heal();
    story.source.clear_log();
    story.sync().expect(&["copied"]);
    for digest in arrived {
        assert_eq!(story.source.count(&Method::GET, &digest), 0, "{digest} was fetched again");
    }
    story.assert_whole(NAME, &image.digest);
    story.assert_settled();
}

/// Invariant 2: a push that breaks before the tag leaves no tag.
#[test]
fn a_failed_run_leaves_no_tag() {
    for path in ["/manifests/sha256:", "/manifests/sha256-", "/blobs/uploads/"] {
        let mut story = Scenario::new().lists("team/app:1");
        story.settings.retry.retries = 0;
        let image = signed_image(&story.source.memory);
        story
            .target
            .on_request(move |parts| is(parts, &Method::PUT, path).then(|| Fault::status(500, "UNKNOWN")));
        let told = story.sync();
        told.expect(&["failed"]);
        assert_eq!(told.exit_code(), 1);
        assert_eq!(story.mirrored(NAME, "1"), None);
        story.target.heal();
        story.sync().expect(&["copied"]);
        story.assert_whole(NAME, &image.digest);
    }
}

/// Invariant 3: manifests are pushed byte for byte, however oddly they are written.
#[test]
fn manifests_travel_as_raw_bytes() {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let plain = put_image(memory, NAME, None, &[b"one"]);
    let parsed: serde_json::Value = serde_json::from_slice(&plain.bytes).expect("JSON");
    let odd = format!(
        "\n{{\"x-first\" :\t1.50e0, \"layers\": {},\r\n  \"config\":{},\"annotations\":null,\"\\u0073chemaVersion\":2, \
         \"x\":{{\"z\":1,\"a\":[ ]}} }}\n\n",
        parsed["layers"], parsed["config"]
    );
    let odd = put_text(memory, NAME, None, MediaType::OCI_MANIFEST, &odd);
    let index = format!(
        " {{ \"manifests\" : [ {{\"size\":{},\"y\":0.10,\"mediaType\":\"{}\",\"digest\":\"{}\"}} ] , \"schemaVersion\":2}}",
        odd.bytes.len(),
        odd.media_type,
        odd.digest
    );
    let index = put_text(memory, NAME, Some("1"), MediaType::OCI_INDEX, &index);
    story.sync().expect(&["copied"]);
    assert_eq!(story.mirrored(NAME, "1").map(|copied| copied.bytes), Some(index.bytes));
    assert_eq!(story.mirrored(NAME, &odd.digest.to_string()).map(|copied| copied.bytes), Some(odd.bytes));
    story.assert_settled();
}

/// Invariant 4: a tag that two entries name stands for one digest, even if it moves in between.
#[test]
fn a_tag_is_resolved_once_a_run() {
    let story = Scenario::new()
        .lists("team/app:1")
        .entry("source: SOURCE/team/app:1\n    tag: again")
        .entry("source: SOURCE/team/app:1\n    tag: there");
    let image = put_image(&story.source.memory, NAME, Some("1"), &[b"first"]);
    // For this one the tag is asked for by HEAD, for the others by GET.
    put_image(&story.target.memory, &story.at_target(NAME), Some("there"), &[b"other"]);
    let memory = story.source.memory.clone();
    let seen = AtomicUsize::new(0);
    story.source.on_request(move |parts| {
        if parts.uri.path().ends_with("/manifests/1") && seen.fetch_add(1, Ordering::SeqCst) > 0 {
            put_image(&memory, NAME, Some("1"), &[b"moved"]);
        } else if is(parts, &Method::GET, "/blobs/") {
            put_image(&memory, NAME, Some("1"), &[b"moved"]);
        }
        None
    });
    let told = story.sync();
    told.expect(&["copied", "copied", "conflict"]);
    assert_eq!(story.mirrored(NAME, "1"), Some(image.clone()));
    assert_eq!(story.mirrored(NAME, "again"), Some(image.clone()));
    assert_eq!(told.item(2)["source_digest"], json!(image.digest));
    let asked = story.source.requests().iter().filter(|it| it.path.ends_with("/manifests/1")).count();
    assert_eq!(asked, 1);
}

/// Invariant 5: a registry that claims to have a blob and then does not know it gets everything again.
#[test]
fn a_blob_that_was_only_claimed_is_sent_after_all() {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let child = put_image_for(memory, NAME, None, "linux/amd64", &[b"claimed", b"there"]);
    let index = put_index(memory, NAME, Some("1"), &[(&child, "linux/amd64")]);
    let claimed = Digest::sha256(b"claimed");
    story.target.on_request(move |parts| {
        let mount = format!("mount=sha256%3A{}", claimed.hex());
        if is(parts, &Method::POST, "/uploads/") && parts.uri.query().is_some_and(|it| it.contains(&mount)) {
            return Some(Fault::status(201, ""));
        }
        let head = is(parts, &Method::HEAD, &format!("/blobs/{claimed}"));
        head.then(|| Fault::Answer(http::Response::new(axum::body::Body::from("claimed"))))
    });
    story.sync().expect(&["copied"]);
    story.assert_whole(NAME, &index.digest);
}

/// Invariant 5: the same for a child that the registry lost before its index came.
#[test]
fn a_child_that_was_lost_is_pushed_again() {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let child = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let inner = put_index(memory, NAME, None, &[(&child, "linux/amd64")]);
    let index = put_index(memory, NAME, Some("1"), &[(&inner, "linux/amd64")]);
    let (target, at, once) = (story.target.memory.clone(), story.at_target(NAME), AtomicBool::new(false));
    story.target.on_request(move |parts| {
        if is(parts, &Method::PUT, "/manifests/1") && !once.swap(true, Ordering::SeqCst) {
            for lost in [&inner.digest, &child.digest] {
                delete(&target, &at, &lost.to_string());
            }
        }
        None
    });
    story.sync().expect(&["copied"]);
    story.assert_whole(NAME, &index.digest);
}

/// Invariant 6: a target that cannot be asked is not a target without the tag.
#[test]
fn a_target_that_cannot_be_asked_is_never_taken_for_empty() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "DENIED"), (429, "TOOMANYREQUESTS"), (500, "UNKNOWN")]
    {
        let mut story = Scenario::new().lists("team/app:1");
        story.settings.retry.retries = 0;
        put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
        story.target.on_request(move |parts| {
            is(parts, &Method::HEAD, "/manifests/1").then(|| Fault::status(status, code))
        });
        let told = story.sync();
        told.expect(&["blocked"]);
        assert_eq!((told.exit_code(), told.item(0)["cause"]["side"].as_str()), (1, Some("target")));
        assert_eq!(story.target.writes().len(), 0);

        let planned = story.plan();
        if matches!(status, 401 | 403) {
            planned.expect(&["copy"]);
            assert_eq!(planned.item(0)["remarks"][0]["code"], "target-not-readable");
            assert_eq!(planned.json()["totals"]["targets_not_readable"], 1);
        } else {
            planned.expect(&["blocked"]);
        }
    }
}

/// Invariant 6: a source that cannot be asked is not one that is gone.
#[test]
fn a_source_that_cannot_be_asked_is_never_taken_for_gone() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "DENIED"), (429, "TOOMANYREQUESTS"), (503, "UNKNOWN")]
    {
        let mut story = Scenario::new().lists("team/app:1");
        story.settings.retry.retries = 0;
        put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
        story.sync().expect(&["copied"]);
        story.source.on_request(move |parts| {
            parts.uri.path().ends_with("/manifests/1").then(|| Fault::status(status, code))
        });
        for told in [story.plan(), story.sync()] {
            told.expect(&["blocked"]);
            assert_eq!((told.exit_code(), told.item(0)["cause"]["side"].as_str()), (1, Some("source")));
        }
    }
}

/// Invariant 7: one bad image neither hides nor stops the others.
#[test]
fn bad_images_stop_no_others() {
    let mut story = Scenario::new().signatures(Signatures::Skip);
    story.settings.retry.retries = 0;
    for name in ["gone", "denied", "corrupt", "conflict", "refused", "good"] {
        story = story.lists(&format!("team/{name}:1"));
        if name != "gone" {
            put_image(&story.source.memory, &format!("team/{name}"), Some("1"), &[name.as_bytes()]);
        }
    }
    put_image(&story.target.memory, &story.at_target("team/conflict"), Some("1"), &[b"other"]);
    story.source.on_request(|parts| {
        if is(parts, &Method::GET, "/team/denied/manifests/") {
            return Some(Fault::status(403, "DENIED"));
        }
        let corrupt = is(parts, &Method::GET, &format!("/blobs/{}", Digest::sha256(b"corrupt")));
        corrupt.then_some(Fault::Corrupt)
    });
    story.target.on_request(|parts| {
        is(parts, &Method::PUT, "/team/refused/manifests/").then(|| Fault::status(400, "MANIFEST_INVALID"))
    });
    let told = story.sync();
    told.expect(&["blocked", "blocked", "failed", "conflict", "failed", "copied"]);
    assert_eq!(told.exit_code(), 1);
    assert_eq!(told.item(2)["cause"]["side"], "source", "the source's fault, though the upload broke");
    assert_eq!(told.item(4)["cause"]["side"], "target");
    let tags: Vec<String> = story.target.tags().into_keys().collect();
    let expected = ["team/conflict", "team/good"].map(|name| format!("{}:1", story.at_target(name)));
    assert_eq!(tags, expected);
}

/// Invariant 8: a dry run asks and never writes.
#[test]
fn a_dry_run_sends_only_get_and_head() {
    let story = Scenario::new()
        .lists("team/app:1")
        .lists("team/there:1")
        .lists("team/conflict:1")
        .lists("team/gone:1")
        .entry("source: SOURCE/team/index:1\n    platforms: [linux/amd64]");
    let memory = &story.source.memory;
    signed_image(memory);
    let there = put_image(memory, "team/there", Some("1"), &[b"there"]);
    put_image(&story.target.memory, &story.at_target("team/there"), Some("1"), &[b"there"]);
    sign(memory, "team/there", &there);
    put_image(memory, "team/conflict", Some("1"), &[b"a"]);
    put_image(&story.target.memory, &story.at_target("team/conflict"), Some("1"), &[b"b"]);
    let amd64 = put_image_for(memory, "team/index", None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, "team/index", None, "linux/arm64", &[b"b"]);
    put_index(memory, "team/index", Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let before = story.target.tags();
    story.plan().expect(&["copy", "companions", "conflict", "blocked", "copy"]);
    for registry in [&story.source, &story.target] {
        let requests = registry.requests();
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|it| matches!(it.method, Method::GET | Method::HEAD)), "{requests:#?}");
    }
    assert_eq!(story.target.tags(), before);
    let pulled =
        story.source.requests().iter().any(|it| it.method == Method::GET && it.path.contains("/blobs/"));
    assert!(!pulled, "a plan pulls no layers");
}

/// Invariant 11: so many requests at a time as are allowed, and not more, however many images there are.
#[test]
fn requests_at_a_time_are_bounded() {
    let mut story = Scenario::new();
    story.settings.concurrency = 3;
    for number in 0..12 {
        let name = format!("team/app{number}");
        let layers: Vec<Vec<u8>> = (0..6).map(|layer| format!("{name} {layer}").into_bytes()).collect();
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        let image = put_image(&story.source.memory, &name, Some("1"), &layers);
        sign(&story.source.memory, &name, &image);
        story = story.lists(&format!("{name}:1"));
    }
    let slow = |_: &Parts| Some(Fault::Delay(Duration::from_millis(2)));
    story.source.on_request(slow);
    story.target.on_request(slow);
    story.sync().expect(&["copied"; 12]);
    assert_eq!((story.source.most_in_flight(), story.target.most_in_flight()), (3, 3));
}

/// Invariant 11: a blob goes on to the target while it comes from the source.
#[test]
fn blobs_stream() {
    let mut story = Scenario::new().lists("team/app:1").signatures(Signatures::Skip);
    story.settings.retry.retries = 0;
    let large = vec![7_u8; 4 << 20];
    put_image(&story.source.memory, NAME, Some("1"), &[&large]);
    let digest = Digest::sha256(&large).to_string();
    story
        .source
        .on_request(move |parts| is(parts, &Method::GET, &digest).then_some(Fault::StallAfter(1 << 20)));
    story.sync().expect(&["failed"]);
    let began = story.target.requests().iter().any(|it| {
        let length = it.headers.get("content-length").and_then(|text| text.to_str().ok()?.parse().ok());
        it.method == Method::PUT && length == Some(4 << 20)
    });
    assert!(began, "the upload waits until the whole blob is there");
}

/// Invariant 12: a blob that images, tags and companions share is pulled once and sent once.
#[test]
fn a_shared_blob_crosses_the_wire_once() {
    let mut story = Scenario::new();
    for name in ["team/a", "team/b", "team/c"] {
        let memory = &story.source.memory;
        let image = put_image(memory, name, Some("1"), &[b"shared", b"more"]);
        put_tag(memory, name, "2", &image);
        put_referrer(memory, name, &image, SPDX, b"shared");
        sign(memory, name, &image);
        story = story.lists(&format!("{name}:1")).lists(&format!("{name}:2"));
    }
    let told = story.sync();
    told.expect(&["copied"; 6]);
    let mut pulls: Vec<String> = story.source.requests().into_iter().map(|it| it.path).collect();
    pulls.retain(|path| path.contains("/blobs/"));
    let mut digests: Vec<&str> = pulls.iter().filter_map(|path| path.rsplit('/').next()).collect();
    digests.sort_unstable();
    let all = digests.len();
    digests.dedup();
    assert_eq!(digests.len(), all, "{pulls:#?}");
    assert_eq!(story.target.count(&Method::PUT, "/blobs/uploads/"), all);
    assert_eq!(told.json()["totals"]["transfer"]["blobs_copied"], all);
}

/// Invariant 13: a source that is gone is a warning where the target has the tag, an error where not.
#[test]
fn a_source_that_is_gone_hurts_nobody_who_has_the_image() {
    let story = Scenario::new().lists("team/app:1").lists("team/app:2").lists("team/app:3");
    put_image(&story.source.memory, NAME, Some("1"), &[b"one"]);
    put_image(&story.source.memory, NAME, Some("2"), &[b"two"]);
    put_image(&story.source.memory, NAME, Some("3"), &[b"three"]);
    story.sync().expect(&["copied"; 3]);
    delete(&story.source.memory, NAME, "1");
    delete(&story.target.memory, &story.at_target(NAME), "3");
    for whole_repository in [false, true] {
        story.source.on_request(move |parts| {
            let here = whole_repository && parts.uri.path().starts_with("/v2/team/app/");
            here.then(|| Fault::status(404, "NAME_UNKNOWN"))
        });
        if !whole_repository {
            delete(&story.source.memory, NAME, "3");
        }
        for told in [story.plan(), story.sync()] {
            told.expect(&["up-to-date", "up-to-date", "blocked"]);
            assert_eq!(told.item(0)["remarks"][0]["code"], "source-gone");
            assert_eq!(told.item(2)["cause"]["side"], "source");
            assert_eq!(told.exit_code(), 1, "only because of the third");
        }
    }
}

/// Invariant 13: with a digest in the list, only companions are looked for at the source.
#[test]
fn a_listed_digest_that_is_there_does_not_ask_the_source_for_the_image() {
    let story = Scenario::new();
    let image = signed_image(&story.source.memory);
    let story = story.entry(&format!("source: SOURCE/team/app:1@{}", image.digest));
    story.sync().expect(&["copied"]);
    story.source.clear_log();
    for told in [story.plan(), story.sync()] {
        told.expect(&["up-to-date"]);
    }
    for request in story.source.requests() {
        let path = &request.path;
        let of_image = path.ends_with("/manifests/1")
            || path.contains(&format!("/manifests/{}", image.digest))
            || path.contains("/blobs/");
        assert!(!of_image, "{}", request.line());
    }
    story.source.on_request(|_| Some(Fault::status(404, "NAME_UNKNOWN")));
    let told = story.sync();
    told.expect(&["up-to-date"]);
    assert_eq!(told.exit_code(), 0);

    // The tag has another digest: that is a conflict, and the source cannot change it.
    put_image(&story.target.memory, &story.at_target(NAME), Some("1"), &[b"other"]);
    story.source.clear_log();
    story.sync().expect(&["conflict"]);
    story.plan().expect(&["conflict"]);
    assert_eq!(story.source.requests().len(), 0);
}

/// A registry that lost its referrers API in between, and one that never had it, are the same to us.
#[test]
fn a_mirror_can_be_the_source_of_another_mirror() {
    let first = Scenario::new().lists("team/app:1");
    let image = signed_image(&first.source.memory);
    first.sync().expect(&["copied"]);
    let at = first.at_target(NAME);
    let second = Scenario::between(first.target, TestRegistry::start()).lists(&format!("{at}:1"));
    let told = second.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["companions_proof"], json!({ "expected": 2, "verified": 2 }));
    assert_eq!(second.mirrored(&at, "1"), Some(image));
}
