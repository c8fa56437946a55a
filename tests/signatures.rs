//! cosign's tags only ever grow, a required signature has to be one, and what was not found out is never
//! "unsigned".
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use http::request::Parts;
use image_syncer::config::Signatures;
use image_syncer::oci::RawManifest;
use image_syncer::serve::{Behaviour, Memory};
use serde_json::json;
use support::companions::{
    NOTATION, SPDX, cosign_tag, entry, fallback_tag, put_bundle, put_cosign, put_fallback, sign,
};
use support::content::{put_image, put_image_for, put_index, put_referrer};
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::Scenario;

const NAME: &str = "team/app";

fn image(memory: &Memory) -> RawManifest {
    put_image(memory, NAME, Some("1"), &[b"one"])
}

/// An image with a companion tag that both sides have: with `ours` at the target and `theirs` at the source.
fn two_sides(suffix: &str, ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> (Scenario, String) {
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story.source.memory);
    put_cosign(&story.source.memory, NAME, &image, suffix, ours);
    story.sync().expect(&["copied"]);
    put_cosign(&story.source.memory, NAME, &image, suffix, theirs);
    (story, cosign_tag(&image, suffix))
}

const A: (&str, &str) = ("payload a", "signature a");
const B: (&str, &str) = ("payload b", "signature b");
const C: (&str, &str) = ("payload c", "signature c");

#[test]
fn signatures_and_attestations_grow_with_the_source() {
    for suffix in [".sig", ".att"] {
        let (story, tag) = two_sides(suffix, &[A], &[A, B]);
        story.plan().expect(&["companions"]);
        story.sync().expect(&["companions-copied"]);
        let grown = story.source.manifest(NAME, &tag).expect("at the source");
        assert_eq!(story.mirrored(NAME, &tag).as_ref(), Some(&grown));
        story.assert_whole(NAME, &grown.digest);
        story.assert_settled();
    }
}

/// Whoever signs with a second key signs the same payload.
#[test]
fn a_second_signature_of_the_same_payload_is_copied() {
    let (story, tag) = two_sides(
        ".sig",
        &[("payload", "by one key")],
        &[("payload", "by one key"), ("payload", "by another key")],
    );
    story.sync().expect(&["companions-copied"]);
    let grown = story.source.manifest(NAME, &tag);
    assert_eq!(story.mirrored(NAME, &tag), grown);
    story.assert_settled();
}

#[test]
fn what_the_target_has_beyond_the_source_is_left_alone() {
    for suffix in [".sig", ".att"] {
        let (story, tag) = two_sides(suffix, &[A, B], &[A]);
        let before = story.mirrored(NAME, &tag);
        story.assert_settled();
        assert_eq!(story.mirrored(NAME, &tag), before);
    }
}

#[test]
fn companions_that_went_apart_are_a_conflict() {
    for (suffix, ours, theirs) in [
        (".sig", &[A, B][..], &[A, C][..]),
        (".sig", &[A], &[B]),
        (".sig", &[("payload", "by one key")], &[("payload", "by another key")]),
        (".att", &[A, B], &[B, C]),
        (".sbom", &[A], &[A, B]),
        (".sbom", &[A, B], &[A]),
    ] {
        let (story, tag) = two_sides(suffix, ours, theirs);
        put_referrer(&story.source.memory, NAME, &image(&story.source.memory), SPDX, b"another one");
        let before = story.target.tags();
        story.target.clear_log();
        for told in [story.plan(), story.sync()] {
            told.expect(&["conflict"]);
            assert_eq!(told.exit_code(), 3);
            assert_eq!(told.item(0)["remarks"][0]["code"], "companion-conflict");
            let text = told.text();
            let at_target = format!("{}/{}:{tag}", story.target.host(), story.at_target(NAME));
            assert!(text.contains(&format!("tag    {at_target}")), "{text}");
            assert!(text.contains("delete that tag at the target"), "{text}");
            assert_eq!(text.contains("of your own"), suffix != ".sbom", "an SBOM does not grow:\n{text}");
            for wrong in ["the list wants", "new tag:"] {
                assert!(!text.contains(wrong), "the image itself is no conflict:\n{text}");
            }
        }
        assert_eq!(story.target.tags(), before);
        assert_eq!(story.target.writes().len(), 0, "the other companions wait, too");
    }
}

#[test]
fn companions_of_a_conflicting_image_are_not_copied() {
    let story = Scenario::new().lists("team/app:1");
    image(&story.source.memory);
    story.sync().expect(&["copied"]);
    let before = story.target.tags();
    let moved = put_image(&story.source.memory, NAME, Some("1"), &[b"moved"]);
    sign(&story.source.memory, NAME, &moved);
    put_referrer(&story.source.memory, NAME, &moved, SPDX, b"an SBOM");
    story.target.clear_log();
    let told = story.sync();
    told.expect(&["conflict"]);
    assert_eq!(told.exit_code(), 3);
    assert_eq!(told.item(0)["companions"], json!(null));
    assert_eq!(story.target.tags(), before);
    assert_eq!(story.target.writes().len(), 0);
}

#[test]
fn skip_copies_no_companion_and_says_so() {
    let story = Scenario::new().lists("team/app:1").signatures(Signatures::Skip);
    let image = image(&story.source.memory);
    sign(&story.source.memory, NAME, &image);
    put_referrer(&story.source.memory, NAME, &image, SPDX, b"an SBOM");
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["remarks"][0]["code"], "companions-skipped");
    assert_eq!(told.item(0)["signed"], "not-looked-at");
    assert_eq!(story.target.tags().len(), 1);
    assert_eq!(story.target.referrers(&story.at_target(NAME), &image.digest), []);
    assert_eq!(story.source.count(&Method::GET, "/referrers/"), 0);
    story.assert_settled();
}

/// What `--signatures require` says to an image of which `make` makes the companions.
fn required(make: impl Fn(&Memory, &RawManifest)) -> (&'static str, u8) {
    let story = Scenario::new().lists("team/app:1").signatures(Signatures::Require);
    let image = image(&story.source.memory);
    make(&story.source.memory, &image);
    let planned = story.plan();
    let told = story.sync();
    assert_eq!(planned.exit_code(), told.exit_code());
    let at_target = story.mirrored(NAME, "1");
    if told.words() == ["copied"] {
        assert_eq!(at_target, Some(image));
    } else {
        assert_eq!(told.item(0)["cause"]["kind"], "policy");
        let text = told.text();
        assert!(text.contains("not allowed to mirror"), "{text}");
        assert!(
            text.contains("no signature of it was found, and `--signatures require` wants one; ask"),
            "{text}"
        );
        assert!(text.contains("Exit code 3: an image is not allowed"), "{text}");
        assert!(!text.contains("policy"), "there is none:\n{text}");
        assert_eq!(at_target, None);
        assert_eq!(story.target.writes().len(), 0);
    }
    (told.words()[0], told.exit_code())
}

#[test]
fn a_required_signature_is_one_of_these() {
    let counts = |make: &dyn Fn(&Memory, &RawManifest)| assert_eq!(required(make), ("copied", 0));
    counts(&|memory, image| {
        sign(memory, NAME, image);
    });
    counts(&|memory, image| {
        put_referrer(memory, NAME, image, NOTATION, b"a signature");
    });
    counts(&|memory, image| {
        let cosign = "application/vnd.dev.cosign.artifact.sig.v1+json";
        put_referrer(memory, NAME, image, cosign, b"a signature");
    });
    counts(&|memory, image| {
        put_bundle(memory, NAME, image, &json!({ "dev.sigstore.bundle.content": "message-signature" }));
    });
    counts(&|memory, image| {
        let annotations = json!({
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
        });
        put_bundle(memory, NAME, image, &annotations);
    });
}

#[test]
fn nothing_else_counts_as_a_required_signature() {
    let refused = |make: &dyn Fn(&Memory, &RawManifest)| assert_eq!(required(make), ("blocked", 3));
    refused(&|_, _| {});
    refused(&|memory, image| {
        put_cosign(memory, NAME, image, ".att", &[("a statement", "a signature")]);
        put_cosign(memory, NAME, image, ".sbom", &[("an SBOM", "")]);
    });
    refused(&|memory, image| {
        put_referrer(memory, NAME, image, SPDX, b"an SBOM");
        put_referrer(memory, NAME, image, "application/vnd.example.signature", b"who knows");
    });
    refused(&|memory, image| {
        let annotations = json!({
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1",
        });
        put_bundle(memory, NAME, image, &annotations);
        put_bundle(memory, NAME, image, &json!({}));
    });
    refused(&|memory, image| {
        let sbom = put_referrer(memory, NAME, image, SPDX, b"an SBOM");
        sign(memory, NAME, &sbom);
    });
    refused(&|memory, _| {
        let other = put_image(memory, NAME, Some("other"), &[b"another image"]);
        sign(memory, NAME, &other);
    });
}

#[test]
fn a_signature_of_a_child_is_none_of_the_index() {
    let story = Scenario::new().lists("team/app:1").signatures(Signatures::Require);
    let memory = &story.source.memory;
    let child = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let index = put_index(memory, NAME, Some("1"), &[(&child, "linux/amd64")]);
    sign(memory, NAME, &child);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!((told.exit_code(), told.item(0)["signed"].as_str()), (3, Some("children-only")));
    sign(memory, NAME, &index);
    story.sync().expect(&["copied"]);
}

#[test]
fn no_signature_can_cover_an_index_that_is_made_smaller() {
    let story = Scenario::new()
        .entry("source: SOURCE/team/app:1\n    platforms: [linux/amd64]")
        .signatures(Signatures::Require);
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"b"]);
    let index = put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    sign(memory, NAME, &index);
    let of_child = sign(memory, NAME, &amd64);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert!(told.item(0)["cause"]["message"].to_string().contains("makes smaller"));
    assert_eq!(told.exit_code(), 3);

    let story = story.signatures(Signatures::Copy);
    story.sync().expect(&["copied"]);
    assert_eq!(story.mirrored(NAME, &cosign_tag(&amd64, ".sig")), Some(of_child));
    assert_eq!(story.mirrored(NAME, &cosign_tag(&index, ".sig")), None);
    assert_eq!(story.mirrored(NAME, &cosign_tag(&arm64, ".sig")), None);
}

/// A signature that the source lists and cannot hand over signs nothing at the target.
#[test]
fn a_signature_that_the_source_lost_does_not_count() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let story =
        Scenario::between(source, TestRegistry::start()).lists("team/app:1").signatures(Signatures::Require);
    let image = image(&story.source.memory);
    let gone = put_referrer(&Memory::new(), NAME, &image, NOTATION, b"gone");
    put_fallback(&story.source.memory, NAME, &image, &[entry(&gone)]);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!((told.exit_code(), told.item(0)["cause"]["kind"].as_str()), (3, Some("policy")));
}

/// Has look-ups of companions fail in some way, and asserts that nobody takes the image for unsigned.
fn fails(source: TestRegistry, hook: impl Fn(&Parts) -> Option<Fault> + Send + Sync + 'static) {
    let mut story = Scenario::between(source, TestRegistry::start()).lists("team/app:1").lists("team/good:1");
    let memory = &story.source.memory;
    let image = image(memory);
    let good = put_image(memory, "team/good", Some("1"), &[b"good"]);
    sign(memory, "team/good", &good);
    (0..3).for_each(|n| drop(put_referrer(memory, NAME, &image, SPDX, format!("SBOM {n}").as_bytes())));
    story.source.on_request(hook);
    story.settings.retry.retries = 1;
    let planned = story.plan();
    story = story.signatures(Signatures::Require);
    for told in [planned, story.sync()] {
        assert_eq!(told.words()[0], "blocked", "{}", told.text());
        let item = told.item(0);
        assert_eq!(item["cause"]["kind"], "failure", "{item}");
        assert_eq!(item["cause"]["side"], "source");
        assert_eq!(item["signed"], "not-looked-at");
        assert_eq!(told.exit_code(), 1);
    }
    assert_eq!(story.mirrored(NAME, "1"), None);
    assert!(story.mirrored("team/good", "1").is_some(), "the other image was copied");
}

#[test]
fn a_look_up_of_referrers_that_fails_is_a_failure() {
    for (status, code) in [(429, "TOOMANYREQUESTS"), (403, "DENIED"), (401, "UNAUTHORIZED"), (500, "UNKNOWN")]
    {
        fails(TestRegistry::start(), move |parts| {
            let here = parts.uri.path().starts_with("/v2/team/app/referrers/");
            here.then(|| Fault::status(status, code))
        });
    }
}

#[test]
fn a_page_of_referrers_that_fails_is_a_failure() {
    let pages = Behaviour { page_limit: 2, ..Behaviour::default() };
    fails(TestRegistry::builder().behaviour(pages).start(), |parts| {
        let here = parts.uri.path().starts_with("/v2/team/app/referrers/")
            && parts.uri.query().is_some_and(|query| query.contains("last="));
        here.then(|| Fault::status(404, "NOT_FOUND"))
    });
}

#[test]
fn a_look_up_of_a_companion_tag_that_fails_is_a_failure() {
    let kinds = [(429, "TOOMANYREQUESTS", ".sig"), (403, "DENIED", ".att"), (503, "UNAVAILABLE", ".sbom")];
    for (status, code, suffix) in kinds {
        fails(TestRegistry::start(), move |parts| {
            let path = parts.uri.path();
            if path == "/v2/team/app/tags/list" {
                // Without the list each tag is asked for.
                return Some(Fault::status(405, "UNSUPPORTED"));
            }
            let here = path.starts_with("/v2/team/app/manifests/sha256-") && path.ends_with(suffix);
            here.then(|| Fault::status(status, code))
        });
    }
}

#[test]
fn a_look_up_of_the_fallback_tag_that_fails_is_a_failure() {
    for (status, code) in [(429, "TOOMANYREQUESTS"), (403, "DENIED"), (502, "BAD")] {
        let source = TestRegistry::builder().without_referrers_api().start();
        fails(source, move |parts| {
            if parts.uri.path() == "/v2/team/app/tags/list" {
                // Without the list the tag is asked for, whether or not it is there.
                return Some(Fault::status(405, "UNSUPPORTED"));
            }
            let tag = parts.uri.path().strip_prefix("/v2/team/app/manifests/sha256-");
            let here = tag.is_some_and(|rest| !rest.contains('.'));
            here.then(|| Fault::status(status, code))
        });
    }
}

#[test]
fn a_fallback_index_that_cannot_be_read_is_a_failure() {
    let source = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(source, TestRegistry::start()).lists("team/app:1");
    let image = image(&story.source.memory);
    put_fallback(&story.source.memory, NAME, &image, &[json!({ "no": "descriptor" })]);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert!(told.item(0)["cause"]["message"].to_string().contains("cannot be read"), "{}", told.text());
}

/// Has the target lose something after it was pushed, and asserts that the image is not called copied.
fn lost(read_back: usize, what: impl Fn(&Parts, &str) -> Option<Fault> + Send + Sync + 'static) {
    let story = Scenario::new().lists("team/app:1");
    let memory = &story.source.memory;
    let image = image(memory);
    let sbom = put_referrer(memory, NAME, &image, SPDX, b"an SBOM");
    let signature = sign(memory, NAME, &image);
    let pushed = AtomicUsize::new(0);
    let names = [sbom, signature].map(|it| it.digest.to_string());
    story.target.on_request(move |parts| {
        let path = parts.uri.path().to_owned();
        if parts.method == Method::PUT && (path.contains(".sig") || path.contains(&names[0])) {
            pushed.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        if pushed.load(Ordering::SeqCst) == 2 { what(parts, &path) } else { None }
    });
    let told = story.sync();
    told.expect(&["failed"]);
    let item = told.item(0);
    assert_eq!(item["cause"]["operation"], "read back", "{item}");
    assert_eq!(item["companions_proof"], json!({ "expected": 2, "verified": read_back }));
    let said = format!("{read_back} of 2 companions read back");
    assert!(told.text().contains(&said), "{}", told.text());
    assert_eq!(told.exit_code(), 1);
    assert_eq!(story.mirrored(NAME, "1"), None, "the tag comes last");
    story.target.heal();
    story.sync().expect(&["copied"]);
    story.assert_settled();
}

#[test]
fn a_companion_that_the_target_lost_is_a_failure() {
    lost(0, |parts, path| {
        let read = parts.method == Method::GET && path.contains("/manifests/sha256");
        read.then(|| Fault::status(404, "MANIFEST_UNKNOWN"))
    });
}

#[test]
fn a_blob_of_a_companion_that_the_target_lost_is_a_failure() {
    lost(0, |parts, path| {
        let read = parts.method == Method::HEAD && path.contains("/blobs/");
        read.then(|| Fault::status(404, "BLOB_UNKNOWN"))
    });
}

/// Right after our push, when it is seen at the latest that everything is read back.
#[test]
fn a_signature_that_others_write_over_is_a_conflict() {
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story.source.memory);
    sign(&story.source.memory, NAME, &image);
    let (memory, at, tag) = (story.target.memory.clone(), story.at_target(NAME), cosign_tag(&image, ".sig"));
    let pushed = AtomicUsize::new(0);
    story.target.on_request(move |parts| {
        let is_tag = parts.uri.path().ends_with(&tag);
        if is_tag && parts.method == Method::PUT {
            pushed.store(1, Ordering::SeqCst);
        } else if is_tag && pushed.swap(0, Ordering::SeqCst) == 1 {
            put_image(&memory, &at, Some(&tag), &[b"theirs"]);
        }
        None
    });
    let told = story.sync();
    told.expect(&["conflict"]);
    assert!(told.cause(0).contains("somebody else wrote it"), "{}", told.cause(0));
    assert_eq!(story.mirrored(NAME, "1"), None, "the tag comes last");
}

#[test]
fn a_referrer_that_the_target_does_not_list_is_a_failure() {
    lost(1, |parts, path| {
        let list = parts.method == Method::GET && path.contains("/referrers/");
        let empty = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
        list.then(|| Fault::Answer(http::Response::new(empty.into())))
    });
}

#[test]
fn an_index_of_referrers_that_others_write_meanwhile_is_merged_with() {
    let target = TestRegistry::builder().without_referrers_api().start();
    let story = Scenario::between(TestRegistry::start(), target).lists("team/app:1");
    let image = image(&story.source.memory);
    let ours = put_referrer(&story.source.memory, NAME, &image, SPDX, b"ours");
    let at = story.at_target(NAME);
    let theirs = put_referrer(&story.target.memory, &at, &image, NOTATION, b"theirs");
    // Right after our first merge somebody who did not see it writes over it.
    let (memory, subject, overtaken) = (story.target.memory.clone(), image.clone(), AtomicUsize::new(0));
    let (tag, foreign) = (fallback_tag(&image), entry(&theirs));
    let puts = AtomicUsize::new(0);
    story.target.on_request(move |parts| {
        if parts.uri.path().ends_with(&tag) {
            if parts.method == Method::PUT {
                puts.fetch_add(1, Ordering::SeqCst);
            } else if puts.load(Ordering::SeqCst) == 1 && overtaken.fetch_add(1, Ordering::SeqCst) == 0 {
                put_fallback(&memory, &at, &subject, std::slice::from_ref(&foreign));
            }
        }
        None
    });
    story.sync().expect(&["copied"]);
    let index = story.mirrored(NAME, &fallback_tag(&image)).expect("an index");
    let text = String::from_utf8_lossy(&index.bytes).into_owned();
    assert!(text.contains(&theirs.digest.to_string()) && text.contains(&ours.digest.to_string()), "{text}");
}

/// What was mirrored signed stays as good as it was when its source is gone, whichever way the list names it.
#[test]
fn a_signature_that_only_the_target_still_has_is_enough() {
    let story = Scenario::new().signatures(Signatures::Require);
    let image = image(&story.source.memory);
    sign(&story.source.memory, NAME, &image);
    let story = story.entry(&format!("source: SOURCE/team/app:1@{}", image.digest));
    story.sync().expect(&["copied"]);
    story.source.on_request(|_| Some(Fault::status(404, "NAME_UNKNOWN")));
    story.sync().expect(&["up-to-date"]);
    let story = story.other_list().lists("team/app:1");
    story.sync().expect(&["up-to-date"]);
}

#[test]
fn a_companion_that_both_sides_have_is_told_once() {
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story.source.memory);
    put_referrer(&story.source.memory, NAME, &image, SPDX, b"sbom");
    story.sync().expect(&["copied"]);
    // The operator's own signature, which the source never had.
    sign(&story.target.memory, &story.at_target(NAME), &image);
    let told = story.signatures(Signatures::Require).sync();
    told.expect(&["up-to-date"]);
    assert!(told.text().contains("signed: cosign, SBOM"), "{}", told.text());
}
