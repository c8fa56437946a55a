//! Targets that lose, misplace or refuse what is pushed to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use http::request::Parts;
use image_syncer::config::Signatures;
use image_syncer::oci::{Digest, MediaType};

use crate::support::content::{put_image, put_image_for, put_index, repository};
use crate::support::fault::Fault;
use crate::support::scenario::Scenario;
use crate::{Ambush, EVIL, each, first, is};

const UPLOADS: &str = "/blobs/uploads/";

#[test]
fn a_connection_that_ends_in_the_middle_of_an_upload() {
    let ambush = Ambush::new().at_target(first(1, Method::PUT, UPLOADS, || Fault::DropUploadAfter(3)));
    ambush.heals();
    let ambush = Ambush::new().at_target(|parts| {
        let with_bytes = matches!(parts.method, Method::PUT | Method::PATCH);
        (with_bytes && parts.uri.path().contains(UPLOADS)).then_some(Fault::DropUploadAfter(0))
    });
    ambush.fails("failed", &["target: failed to upload blob", "the connection to 127.0.0.1:"]);
}

#[test]
fn an_upload_that_stalls() {
    let mut ambush = Ambush::new().at_target(each(Method::PUT, UPLOADS, || Fault::Stall));
    ambush.story.settings.patience.idle = Duration::from_millis(200);
    ambush.story.settings.patience.commit = Duration::from_millis(400);
    ambush.fails("failed", &["target: failed to upload blob", "did not answer within"]);
}

/// The bytes arrived and the answer did not: they are not sent again.
#[test]
fn an_answer_that_was_lost_costs_no_second_upload() {
    let ambush = Ambush::new();
    let layer = ambush.layer();
    let lost = AtomicUsize::new(0);
    let (at, memory) = (ambush.story.at_target(EVIL), ambush.story.target.memory.clone());
    let wanted = layer.clone();
    let ambush = ambush.at_target(move |parts| {
        let upload = is(parts, &Method::PUT, UPLOADS);
        let of_layer = parts.uri.query().is_some_and(|query| query.contains(&wanted[7..]));
        (upload && of_layer && lost.fetch_add(1, Ordering::SeqCst) == 0).then(|| {
            let _ = memory.put_blob(&repository(&at), MediaType::OCI_LAYER, "evil layer");
            Fault::status(502, "")
        })
    });
    ambush.heals();
    assert_eq!(ambush.asked(&Method::GET, &layer), 1);
}

#[test]
fn an_upload_that_is_to_go_nowhere() {
    for location in ["", "http://[", "ftp://127.0.0.1/upload", "//"] {
        let ambush = Ambush::new().at_target(each(Method::POST, UPLOADS, move || match location {
            "" => Fault::status(202, ""),
            _ => Fault::status_with(202, "", &[("location", location)]),
        }));
        let told = ambush.fails("failed", &["target: failed to upload blob"]);
        if location.is_empty() {
            assert!(told.cause(0).contains("does not say where to upload to (no Location)"));
        }
    }
}

#[test]
fn an_upload_that_was_taken_and_not_kept() {
    let ambush = Ambush::new().at_target(each(Method::PUT, UPLOADS, || Fault::status(201, "")));
    let told = ambush.fails("failed", &["target: failed to push manifest"]);
    assert!(told.cause(0).contains("although everything was sent again"), "{}", told.cause(0));
}

/// The registry says that it has all blobs, as a cache does that has only heard of them.
#[test]
fn blobs_that_are_said_to_be_there_are_sent_when_they_are_missed() {
    let ambush = Ambush::new().at_target(|parts| {
        let mount = is(parts, &Method::POST, UPLOADS) && parts.uri.query().is_some();
        mount.then(|| Fault::status(201, ""))
    });
    ambush.heals();
    let ambush = Ambush::new().at_target(|parts| {
        let mount = is(parts, &Method::POST, UPLOADS) && parts.uri.query().is_some();
        let present = is(parts, &Method::HEAD, "/blobs/");
        (mount || present).then(|| Fault::status(if mount { 405 } else { 200 }, ""))
    });
    // That HEAD states a wrong length, which is worse than none: it is not believed to be there.
    ambush.fails("failed", &["target: failed to read blob", "the registry has"]);
}

/// The children are said to be there, too.
#[test]
fn children_that_are_missed_are_sent_again() {
    let ambush = Ambush::of(Scenario::new().signatures(Signatures::Skip), |source| {
        let memory = &source.memory;
        let amd64 = put_image_for(memory, EVIL, None, "linux/amd64", &[b"a"]);
        let arm64 = put_image_for(memory, EVIL, None, "linux/arm64", &[b"b"]);
        put_index(memory, EVIL, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")])
    });
    let swallowed = AtomicUsize::new(0);
    let ambush = ambush.at_target(move |parts| {
        let child = is(parts, &Method::PUT, "/manifests/sha256:");
        (child && swallowed.fetch_add(1, Ordering::SeqCst) < 2).then(|| Fault::status(201, ""))
    });
    ambush.sync().expect(&["copied", "copied"]);
    let at = ambush.story.at_target(EVIL);
    assert_eq!(ambush.story.target.tag(&at, "1").as_ref(), Some(&ambush.evil.digest));
    for child in ambush.evil.parse().expect("an index").children() {
        assert!(ambush.story.target.manifest(&at, &child.digest.to_string()).is_some());
    }
}

#[test]
fn a_tag_that_was_taken_and_not_kept() {
    let ambush = Ambush::new().at_target(each(Method::PUT, "/manifests/1", || Fault::status(201, "")));
    ambush.fails(
        "failed",
        &["target: failed to create tag", "said that it took the tag, and does not have it"],
    );
}

#[test]
fn a_manifest_that_is_kept_under_another_digest() {
    let other = Digest::sha256(b"other").to_string();
    let stated = other.clone();
    let ambush = Ambush::new().at_target(each(Method::PUT, "/manifests/1", move || {
        Fault::status_with(201, "", &[("docker-content-digest", &stated)])
    }));
    ambush.fails("failed", &["target: failed to push manifest", "under another digest", &other]);
}

/// Somebody else writes the tag right before the `turn`th look at it.
fn race(turn: usize) -> (Ambush, Digest) {
    let ambush = Ambush::of(Scenario::new().signatures(Signatures::Skip), |source| {
        put_image(&source.memory, EVIL, Some("1"), &[b"evil layer"])
    });
    let (at, memory) = (ambush.story.at_target(EVIL), ambush.story.target.memory.clone());
    // What the other one writes is not known to the source.
    let theirs = put_image(&image_syncer::serve::Memory::new(), EVIL, Some("1"), &[b"of somebody else"]);
    let digest = theirs.digest.clone();
    let looks = AtomicUsize::new(0);
    let ambush = ambush.at_target(move |parts| {
        if is(parts, &Method::HEAD, "/manifests/1") && looks.fetch_add(1, Ordering::SeqCst) + 1 == turn {
            put_image(&memory, &at, Some("1"), &[b"of somebody else"]);
        }
        None
    });
    (ambush, digest)
}

/// The race is lost: a conflict, and the tag has what the other one wrote.
fn assert_lost(ambush: &Ambush, theirs: &Digest) {
    let told = ambush.sync();
    told.expect(&["conflict", "copied"]);
    assert_eq!(told.exit_code(), 3);
    let cause = told.cause(0);
    for part in ["target: failed to create tag", "evil/app:1", &theirs.to_string(), "somebody else wrote it"]
    {
        assert!(cause.contains(part), "no `{part}` in: {cause}");
    }
    assert_eq!(ambush.story.target.tag(&ambush.story.at_target(EVIL), "1").as_ref(), Some(theirs));
    ambush.assert_arrived(crate::GOOD, &ambush.good);
}

#[test]
fn a_tag_that_somebody_else_writes_between_plan_and_push() {
    let (ambush, theirs) = race(2);
    assert_lost(&ambush, &theirs);
    let puts = |name: &str| ambush.story.target.count(&Method::PUT, &format!("{name}/manifests/1"));
    assert_eq!((puts(EVIL), puts(crate::GOOD)), (0, 1));
}

#[test]
fn a_tag_that_somebody_else_writes_right_after_the_push() {
    let (ambush, theirs) = race(3);
    assert_lost(&ambush, &theirs);
}

/// An immutable tag that somebody else wrote between the look and the push: the registry refuses.
#[test]
fn a_race_that_the_registry_decides() {
    let (ambush, theirs) = race(3);
    let (at, memory) = (ambush.story.at_target(EVIL), ambush.story.target.memory.clone());
    let ambush = ambush.at_target(each(Method::PUT, "/manifests/1", move || {
        put_image(&memory, &at, Some("1"), &[b"of somebody else"]);
        Fault::status(409, "TAG_INVALID")
    }));
    assert_lost(&ambush, &theirs);
}

/// The answer to the push was lost, and the registry takes no tag twice: it is there all the same.
#[test]
fn a_tag_whose_push_succeeded_unheard() {
    let ambush = Ambush::new();
    let (at, memory) = (ambush.story.at_target(EVIL), ambush.story.target.memory.clone());
    let (evil, pushes) = (ambush.evil.clone(), Arc::new(AtomicUsize::new(0)));
    let ambush = ambush.at_target(move |parts: &Parts| {
        is(parts, &Method::PUT, "/manifests/1").then(|| {
            if pushes.fetch_add(1, Ordering::SeqCst) > 0 {
                return Fault::status(409, "TAG_INVALID");
            }
            let tag = "1".parse::<image_syncer::oci::Tag>().expect("a tag");
            memory.put_manifest(&repository(&at), &tag.into(), &evil);
            Fault::Drop
        })
    });
    ambush.heals();
}

#[test]
fn a_tag_that_the_registry_refuses() {
    let ambush = Ambush::new().at_target(each(Method::PUT, "/manifests/1", || Fault::status(409, "DENIED")));
    ambush.fails("failed", &["target: failed to push manifest", "409 Conflict, DENIED", "immutable"]);
}

#[test]
fn a_manifest_that_a_proxy_finds_too_large() {
    let ambush = Ambush::new().at_target(each(Method::PUT, "/manifests/1", || {
        Fault::body(413, "text/html", "<html>Request Entity Too Large</html>")
    }));
    ambush.fails("failed", &["413 Payload Too Large", "limits the size of a request; raise that limit"]);
}
