//! A run as a whole: invariants 6 to 13.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use http::request::Parts;
use image_syncer::config::Signatures;
use image_syncer::oci::Digest;
use serde_json::json;

use crate::support::companions::{SPDX, put_tag, sign};
use crate::support::content::{put_image, put_image_for, put_index, put_referrer};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::scenario::Scenario;
use crate::{NAME, delete, is, signed_image};

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
    for pulled in story.source.requests().iter().filter(|it| it.method == Method::GET) {
        let Some((_, blob)) = pulled.path.split_once("/blobs/") else { continue };
        let name = pulled.path.trim_start_matches("/v2/").split("/blobs/").next().unwrap_or_default();
        let bytes = story.source.blob(name, &blob.parse().expect("a digest")).expect("a blob");
        let configuration = serde_json::from_slice::<serde_json::Value>(&bytes);
        let says = configuration.is_ok_and(|configuration| configuration["architecture"].is_string());
        assert!(says, "a plan pulls configurations, which say what an image runs on, and no layers");
    }
}

/// Invariant 11: so many requests at a time as are allowed, and not more, however many images there are.
#[test]
fn requests_at_a_time_are_bounded() {
    let mut story = Scenario::new();
    story.settings.concurrency = Some(3);
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

/// Invariant 11: so many large blobs at a time, however many requests are allowed.
#[test]
fn large_blobs_at_a_time_are_bounded() {
    const SLOW: Duration = Duration::from_millis(700);
    let mut story = Scenario::new().signatures(Signatures::Skip);
    story.settings.concurrency = Some(64);
    let mut large_ones = Vec::new();
    for number in 0..40_u8 {
        let name = format!("team/app{number}");
        let large = vec![number; (1 << 20) + 1];
        put_image(&story.source.memory, &name, Some("1"), &[&large]);
        large_ones.push(Digest::sha256(&large).to_string());
        story = story.lists(&format!("{name}:1"));
    }
    let begun: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let log = Arc::clone(&begun);
    story.source.on_request(move |parts| {
        let is_large = large_ones.iter().any(|digest| is(parts, &Method::GET, digest));
        is_large.then(|| {
            log.lock().expect("a lock").push(Instant::now());
            Fault::Delay(SLOW)
        })
    });
    story.sync().expect(&["copied"; 40]);
    let begun = begun.lock().expect("a lock");
    let together = begun.iter().filter(|at| **at < begun[0] + SLOW).count();
    assert!(together <= 32, "{together} at a time");
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

/// Invariant 12: what the target's own registry has in another repository does not cross the wire at all.
#[test]
fn a_mirror_within_one_registry_mounts_everything() {
    let story = Scenario::new();
    let image = signed_image(&story.target.memory);
    let host = story.target.host();
    let story = story.entry(&format!("source: {host}/team/app:1"));
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(story.target.count(&Method::GET, "/blobs/"), 0);
    assert_eq!(story.target.count(&Method::PUT, "/blobs/"), 0);
    assert_eq!(told.item(0)["transfer"]["blobs_copied"], 0);
    let at = format!("mirror/{}/{NAME}", host.replace(':', "_"));
    assert_eq!(story.target.manifest(&at, "1"), Some(image.clone()));
    for blob in image.parse().expect("a manifest").blobs() {
        assert!(story.target.blob(&at, &blob.digest).is_some());
    }
}

/// Two pipelines that run at the same time do not disturb one another.
#[test]
fn two_runs_at_the_same_time_come_to_the_same_end() {
    let mut story = Scenario::new();
    let mut images = Vec::new();
    for number in 0..6 {
        let name = format!("team/app{number}");
        let image = put_image(&story.source.memory, &name, Some("1"), &[b"base", name.as_bytes()]);
        sign(&story.source.memory, &name, &image);
        put_referrer(&story.source.memory, &name, &image, SPDX, name.as_bytes());
        images.push((name.clone(), image));
        story = story.lists(&format!("{name}:1"));
    }
    std::thread::scope(|scope| {
        let runs = [scope.spawn(|| story.sync()), scope.spawn(|| story.sync())];
        for told in runs.map(|run| run.join().expect("a run")) {
            assert_eq!(told.exit_code(), 0, "{}", told.text());
        }
    });
    for (name, image) in images {
        assert_eq!(story.mirrored(&name, "1").as_ref(), Some(&image));
        story.assert_whole(&name, &image.digest);
    }
    story.assert_settled();
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
