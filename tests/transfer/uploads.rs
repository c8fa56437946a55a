//! Uploads that break.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;

use crate::support::fault::Fault;
use crate::{Large, MIB, UPLOADS, total};

#[test]
fn an_upload_that_breaks_goes_on_where_the_registry_got_to() {
    let large =
        Large::of(8 * MIB).target_does(|time, _| (time == 0).then_some(Fault::DropUploadAfter(5 * MIB)));
    let told = large.arrives();
    let rest = 3 * MIB;
    assert_eq!(
        large.uploads(),
        [format!("PUT {} 0", 8 * MIB), "GET 0 204".to_owned(), format!("PATCH {rest} 202")]
    );
    assert_eq!(large.story.target.count(&Method::POST, UPLOADS), 3, "two blobs, and how the target mounts");
    let ranges = large.ranges();
    let begin: u64 = ranges[1].trim_start_matches("bytes=").trim_end_matches('-').parse().expect("a range");
    let (from, until) = (4 * MIB as u64 - 100_000, 5 * MIB as u64);
    assert!((from..=until).contains(&begin), "read again from {begin}");
    // What was on its way when it broke.
    assert!(total(&told, "bytes_sent_twice") <= rest as u64, "{}", told.json()["totals"]);
    assert!(total(&told, "bytes_downloaded_again") <= 4 * MIB as u64, "{}", told.json()["totals"]);
}

#[test]
fn an_upload_that_breaks_again_and_again_gets_on() {
    let large = Large::of(8 * MIB).target_does(|time, _| (time < 7).then_some(Fault::DropUploadAfter(MIB)));
    let told = large.arrives();
    assert_eq!(large.story.target.count(&Method::PATCH, UPLOADS), 7);
    assert_eq!(told.json()["retries"], 7);
}

/// docker-registry 2.8 and zot forget an upload whose request broke.
#[test]
fn a_registry_that_forgets_the_upload_gets_all_again() {
    let large = Large::of(4 * MIB);
    let sent = AtomicUsize::new(0);
    large.story.target.on_request(move |parts| match parts.method {
        Method::GET if parts.uri.path().contains(UPLOADS) => Some(Fault::status(404, "BLOB_UPLOAD_UNKNOWN")),
        Method::PUT if parts.uri.path().contains(UPLOADS) => {
            // The small one, which finds out how the target mounts, comes first or last.
            let large = parts.headers["content-length"].len() > 6;
            (large && sent.fetch_add(1, Ordering::SeqCst) == 0).then_some(Fault::DropUploadAfter(3 * MIB))
        }
        _ => None,
    });
    let told = large.arrives();
    let whole = 4 * MIB;
    assert_eq!(
        large.uploads(),
        [format!("PUT {whole} 0"), "GET 0 404".to_owned(), format!("PUT {whole} 201")]
    );
    assert_eq!(large.ranges(), ["", ""]);
    let again = total(&told, "bytes_sent_twice");
    assert!((3 * MIB as u64..=large.size).contains(&again), "{again}");
    assert!((3 * MIB as u64..=large.size).contains(&total(&told, "bytes_downloaded_again")));
    assert!(told.text().contains("MiB sent twice"), "{}", told.text());
}

/// It says how far it got, and will not have what follows. It gets all in one request, and is not asked again.
#[test]
fn a_registry_that_does_not_go_on_from_where_it_says_gets_all_again() {
    for refused in [Method::PATCH, Method::PUT] {
        let wanted = refused.clone();
        let large = Large::of(4 * MIB);
        let sent = AtomicUsize::new(0);
        large.story.target.on_request(move |parts| {
            if !parts.uri.path().contains(UPLOADS) {
                return None;
            }
            let length = parts.headers.get("content-length").map_or("", |text| text.to_str().unwrap_or(""));
            let is_large = length.len() > 6 && parts.method == Method::PUT;
            if is_large && sent.fetch_add(1, Ordering::SeqCst) == 0 {
                return Some(Fault::DropUploadAfter(2 * MIB));
            }
            let last = parts.method == wanted && (wanted == Method::PATCH || length == "0");
            last.then(|| Fault::status(400, "DIGEST_INVALID").early())
        });
        large.arrives();
        let uploads = large.uploads();
        assert_eq!(uploads.last(), Some(&format!("PUT {} 201", 4 * MIB)), "{uploads:?}");
        assert_eq!(large.story.target.count(&Method::PATCH, UPLOADS), 1, "{refused}");
    }
}

/// The registry has all of it, and its answer was lost.
#[test]
fn an_answer_that_was_lost_after_the_last_byte_costs_no_bytes() {
    let large = Large::of(4 * MIB);
    let lost = AtomicUsize::new(0);
    let large = large.target_does(move |_, parts| {
        (parts.method == Method::PUT && lost.fetch_add(1, Ordering::SeqCst) == 0).then_some(Fault::LoseAnswer)
    });
    let told = large.arrives();
    assert_eq!(large.uploads(), [format!("PUT {} 0", 4 * MIB)]);
    assert_eq!(total(&told, "bytes_sent_twice"), 0);
}

/// A source that is silent for long is not the target's silence, which would be given up.
#[test]
fn a_target_is_not_blamed_for_the_sources_silence() {
    let mut large = Large::of(2 * MIB).source_does(|_, _| Some(Fault::StallAfter(0)));
    large.story.settings.patience.idle = std::time::Duration::from_millis(300);
    large.fails(&["source: failed to read blob", "sent nothing for 0.3 s"]);
    assert_eq!(large.downloads().len(), 3);
    assert_eq!(large.uploads().len(), 1);
}
