//! Tags and what stands under them: invariants 1 to 5.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use image_syncer::oci::{Digest, MediaType};
use image_syncer::report::Interruption;
use serde_json::json;

use crate::support::companions::{SPDX, cosign_tag, put_cosign, sign};
use crate::support::content::{put_image, put_image_for, put_index, put_referrer, put_text};
use crate::support::fault::Fault;
use crate::support::registry::Logged;
use crate::support::scenario::Scenario;
use crate::{NAME, delete, is, signed_image};

/// Invariant 1: the look before the tag's PUT and the one after it are adjacent to it.
#[test]
fn a_tag_is_looked_at_right_before_and_right_after_it_is_written() {
    let story = Scenario::new().lists("team/app:1");
    signed_image(&story.source.memory);
    story.sync().expect(&["copied"]);
    let requests: Vec<String> = story.target.requests().iter().map(Logged::line).collect();
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
    story.settings.concurrency = Some(1);
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
        let asked = parts.uri.path().ends_with("/manifests/1") && seen.fetch_add(1, Ordering::SeqCst) > 0;
        if asked || is(parts, &Method::GET, "/blobs/") {
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
