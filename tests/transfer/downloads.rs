//! Downloads that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{Large, MIB, total};

#[test]
fn a_download_that_breaks_goes_on_with_the_next_byte() {
    let large = Large::of(8 * MIB).source_does(|_, _| Some(Fault::CutAfter(MIB)));
    let told = large.arrives();
    let mut expected = vec![String::new()];
    expected.extend((1..8).map(|part| format!("bytes={}-", part * MIB)));
    assert_eq!(large.ranges(), expected);
    assert_eq!(large.uploads(), [format!("PUT {} 201", 8 * MIB)], "the upload noticed nothing");
    assert_eq!((total(&told, "bytes_downloaded_again"), total(&told, "bytes_sent_twice")), (0, 0));
    assert_eq!(told.json()["retries"], 7);
}

#[test]
fn a_download_that_falls_silent_goes_on() {
    let stalls = |time, _: &_| (time == 0).then_some(Fault::StallAfter(2 * MIB));
    let mut large = Large::of(4 * MIB).source_does(stalls);
    large.story.settings.patience.idle = Duration::from_millis(400);
    large.arrives();
    assert_eq!(large.ranges(), [String::new(), format!("bytes={}-", 2 * MIB)]);
}

#[test]
fn a_source_that_knows_no_ranges_sends_all_again_and_it_is_counted() {
    let large = Large::of(4 * MIB).source_does(|time, _| match time {
        0 => Some(Fault::CutAfter(3 * MIB)),
        _ => Some(Fault::Ignore("range")),
    });
    let told = large.arrives();
    assert_eq!(large.downloads().len(), 2);
    assert_eq!(large.uploads().len(), 1);
    assert_eq!(total(&told, "bytes_downloaded_again"), 3 * MIB as u64);
    assert!(total(&told, "bytes_moved") > 7 * MIB as u64);
    assert!(told.text().contains("3.0 MiB downloaded again"), "{}", told.text());
    assert_eq!(total(&told, "bytes_sent_twice"), 0);
}

#[test]
fn a_part_that_is_another_one_is_not_taken() {
    let large = Large::of(4 * MIB).source_does(|time, _| match time {
        0 | 2 => Some(Fault::CutAfter(MIB)),
        _ => Some(Fault::With("content-range", format!("bytes {}-{}/{}", 2 * MIB, 4 * MIB - 1, 4 * MIB))),
    });
    large.fails(&[
        "source: failed to read blob",
        "asked for the bytes from 1048576 of 4194304",
        "sent others",
    ]);
}

/// Ranges are what it cannot do; once more from the start, all is well.
#[test]
fn a_part_that_is_wrong_is_the_last_that_is_asked_for() {
    let large = Large::of(4 * MIB).source_does(|time, _| match time {
        0 => Some(Fault::CutAfter(MIB)),
        1 => Some(Fault::status(416, "SIZE_INVALID")),
        _ => None,
    });
    let told = large.arrives();
    assert_eq!(large.ranges(), [String::new(), format!("bytes={MIB}-"), String::new()]);
    assert_eq!(total(&told, "bytes_downloaded_again"), MIB as u64);
}

#[test]
fn a_part_that_is_said_not_to_be_there_is_told() {
    let large = Large::of(4 * MIB).source_does(|time, _| match time {
        0 | 2 => Some(Fault::CutAfter(MIB)),
        _ => Some(Fault::status(416, "SIZE_INVALID")),
    });
    large.fails(&["has no bytes from 1048576 on, and the manifest says that there are 4194304"]);
}

/// What was read in vain, and is read once more by whoever needs it next, is counted.
#[test]
fn what_is_read_again_from_the_start_is_counted() {
    let other_bytes = || Fault::With("content-range", "bytes 7-8/9".to_owned());
    let faults: [fn() -> Fault; 2] = [|| Fault::status(416, "SIZE_INVALID"), other_bytes];
    for fault in faults {
        let mut large = Large::of(4 * MIB).source_does(move |time, _| match time {
            0 => Some(Fault::CutAfter(MIB)),
            1 => Some(fault()),
            _ => None,
        });
        large.story = large.story.entry("source: SOURCE/team/app:1\n    tag: again");
        let told = large.story.sync();
        // Who comes first fails: one of the two images, or what is sent ahead of them.
        assert!(told.words().contains(&"copied"), "{}", told.text());
        large.story.assert_whole(crate::NAME, &large.image.digest);
        assert_eq!(large.ranges(), [String::new(), format!("bytes={MIB}-"), String::new()]);
        assert_eq!(total(&told, "bytes_downloaded_again"), MIB as u64);
    }
}

/// The parts are right for themselves, and wrong together.
#[test]
fn a_part_with_other_bytes_is_found_by_the_digest_of_the_whole() {
    let large = Large::of(4 * MIB).source_does(|time, _| match time {
        0 => Some(Fault::CutAfter(MIB)),
        _ => Some(Fault::Corrupt),
    });
    large.fails(&["source: failed to read blob", "the content has the digest sha256:"]);
    let there = large.story.target.blob(&large.story.at_target(crate::NAME), &large.layer);
    assert!(there.is_none());
}

/// The registry redirects to a store whose addresses hold for one request.
#[test]
fn an_address_that_expires_is_asked_for_anew() {
    let large = Large::of(4 * MIB);
    let store = TestRegistry::builder().memory(large.story.source.memory.clone()).start();
    let valid = Arc::new(AtomicUsize::new(0));
    let given = Arc::clone(&valid);
    store.on_request(move |parts| {
        let ticket = format!("ticket={}", valid.fetch_add(1, Ordering::SeqCst));
        let holds = parts.uri.query() == Some(&ticket);
        Some(if holds { Fault::CutAfter(3 * MIB / 2) } else { Fault::status(403, "EXPIRED") })
    });
    let url = store.url();
    let large = large.source_does(move |_, parts| {
        let ticket = given.load(Ordering::SeqCst);
        Some(Fault::redirect(&format!("{url}{}?ticket={ticket}", parts.uri.path())))
    });
    large.arrives();
    assert_eq!((large.downloads().len(), store.requests().len()), (3, 3));
}

/// Who gives little at a time gets as many tries as one who gives nothing.
#[test]
fn a_download_that_hardly_gets_on_is_given_up() {
    let large = Large::of(MIB).source_does(|_, _| Some(Fault::CutAfter(1000)));
    large.fails(&["source: failed to read blob", "the connection to 127.0.0.1:", "broke"]);
    assert_eq!(large.downloads().len(), 3);
}

/// What broke is not fetched from the start for a target that goes away meanwhile.
#[test]
fn both_sides_can_break() {
    let large = Large::of(6 * MIB)
        .source_does(|_, _| Some(Fault::CutAfter(2 * MIB)))
        .target_does(|time, _| (time < 2).then_some(Fault::DropUploadAfter(3 * MIB / 2)));
    let told = large.arrives();
    assert!(total(&told, "bytes_downloaded_again") < 5 * MIB as u64);
}
