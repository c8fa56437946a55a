//! Bodies that are not what was sent.

use crate::support::relay::Trouble;
use crate::{KIB, Lines, NAME, SIZE, first, pulls, sends};

#[test]
fn a_truncated_download_goes_on() {
    for trouble in [Trouble::Truncate(200 * KIB), Trouble::TruncateUnannounced(200 * KIB)] {
        let lines = Lines::new();
        lines.source.troubles(first(1, trouble, pulls(&lines.layer)));
        let told = lines.arrives();
        assert_eq!(told.json()["retries"], 1);
        assert_eq!(told.json()["totals"]["bytes_downloaded_again"], 0);
    }
}

#[test]
fn a_truncated_manifest_is_asked_for_again() {
    let lines = Lines::new();
    let manifest = |seen: &crate::Seen| seen.method == "GET" && seen.path.contains("/manifests/");
    lines.source.troubles(first(1, Trouble::Truncate(20), manifest));
    lines.arrives();
}

/// It is refused before it is committed, and read once more.
#[test]
fn a_layer_that_is_corrupted_once_is_read_again() {
    let lines = Lines::new();
    lines.source.troubles(first(1, Trouble::Corrupt(200 * KIB), pulls(&lines.layer)));
    let told = lines.arrives();
    assert_eq!(told.json()["totals"]["bytes_downloaded_again"], SIZE);
}

/// The next run, on a good line, heals all.
#[test]
fn a_layer_that_stays_corrupted_never_gets_a_tag() {
    for place in [0, 200 * KIB, 600 * KIB - 1] {
        let lines = Lines::new();
        lines.source.troubles(first(2, Trouble::Corrupt(place), pulls(&lines.layer)));
        lines.fails("failed", &["source: failed to read blob", "the content has the digest sha256:"]);
        let there = lines.story.target.blob(&lines.story.at_target(NAME), &lines.layer);
        assert!(there.is_none(), "a wrong blob was committed");
        lines.arrives();
    }
}

/// The line breaks after a wrong byte, and the rest is right.
#[test]
fn a_layer_that_was_corrupted_before_it_broke_never_gets_a_tag() {
    let lines = Lines::new();
    let (pulled, layer) = (std::sync::atomic::AtomicUsize::new(0), pulls(&lines.layer));
    lines.source.troubles(move |seen| {
        layer(seen).then(|| match pulled.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Some(Trouble::ResetAnswer(300 * KIB)),
            1 | 2 => Some(Trouble::Corrupt(10)),
            _ => None,
        })?
    });
    lines.fails("failed", &["the content has the digest sha256:"]);
}

#[test]
fn a_manifest_that_is_corrupted_once_is_read_again() {
    let lines = Lines::new();
    let manifest = |seen: &crate::Seen| seen.method == "GET" && seen.path.contains("/manifests/");
    lines.source.troubles(first(1, Trouble::Corrupt(30), manifest));
    assert_eq!(lines.arrives().json()["retries"], 1);
}

#[test]
fn a_manifest_that_stays_corrupted_never_gets_a_tag() {
    let lines = Lines::new();
    let manifest = |seen: &crate::Seen| seen.method == "GET" && seen.path.contains("/manifests/");
    lines.source.troubles(first(2, Trouble::Corrupt(30), manifest));
    lines.fails("blocked", &["source: failed to read manifest", "sent a manifest with the digest sha256:"]);
    lines.arrives();
}

/// The registry sees it, and we know that what was sent was right.
#[test]
fn a_layer_that_is_corrupted_on_its_way_to_the_target_is_sent_again_once() {
    let lines = Lines::new();
    lines.target.troubles(first(1, Trouble::CorruptRequest(300 * KIB), sends));
    let told = lines.arrives();
    assert_eq!(told.json()["totals"]["bytes_sent_twice"], SIZE);

    let lines = Lines::new();
    lines.target.troubles(first(9, Trouble::CorruptRequest(300 * KIB), sends));
    lines.fails("failed", &["target: failed to upload blob", "DIGEST_INVALID"]);
    assert_eq!(lines.target.injected()["corrupted request"], 2);
}
