//! Answers that put off.

use std::time::{Duration, Instant};

use crate::support::relay::Trouble;
use crate::{KIB, Lines, Seen, first, pulls, sends};

#[test]
fn a_burst_of_refusals_is_waited_out() {
    for status in [408, 429, 500, 502, 503, 504, 520] {
        for of_source in [true, false] {
            let lines = Lines::new();
            let line = if of_source { &lines.source } else { &lines.target };
            line.troubles(first(2, Trouble::Status(status, None), |_| true));
            lines.arrives();
        }
    }
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    for (status, asked) in [(429, "1"), (503, "1"), (429, "1s")] {
        let lines = Lines::new();
        lines.source.troubles(first(1, Trouble::Status(status, Some(asked)), pulls(&lines.layer)));
        let began = Instant::now();
        lines.arrives();
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[test]
fn a_burst_in_an_upload_costs_no_second_one_of_what_was_taken() {
    let lines = Lines::new();
    lines.target.troubles(first(2, Trouble::Status(503, Some("0")), sends));
    let told = lines.arrives();
    assert_eq!(told.json()["retries"], 2);
}

/// The pause would be longer than anybody should wait: it is left to a later run at once, and that is said.
#[test]
fn a_pause_that_is_too_long_is_not_kept() {
    let lines = Lines::new();
    lines.source.troubles(first(1, Trouble::Status(429, Some("3600")), pulls(&lines.layer)));
    lines.fails("deferred", &["429", "it asks to wait 3600 s"]);
}

/// Tries end, whatever is answered.
#[test]
fn a_burst_without_end_is_given_up() {
    let lines = Lines::new();
    lines.target.troubles(|seen: &Seen| (seen.method == "POST").then_some(Trouble::Status(503, None)));
    let told = lines.fails("failed", &["target: failed to upload blob", "503", "(tried 3 times)"]);
    assert!(told.json()["retries"].as_u64() <= Some(6), "two blobs: {}", told.text());
}

/// Whoever looks at the token first, or in the middle.
#[test]
fn a_token_that_expires_in_the_middle_of_an_upload_is_replaced() {
    for byte in [0, 100 * KIB] {
        let lines = Lines::new();
        lines.target.troubles(first(1, Trouble::Expired(byte), sends));
        let told = lines.arrives();
        // A new token is no failure. But the registry may have kept what came before it, so that the digest is wrong.
        assert!(told.json()["retries"].as_u64() <= Some(u64::from(byte > 0)), "{}", told.text());
        assert!(told.json()["totals"]["bytes_sent_twice"].as_u64() >= Some(byte));
    }
}

#[test]
fn a_token_that_expires_between_parts_of_a_download_is_replaced() {
    let lines = Lines::new();
    let (pulled, layer) = (std::sync::atomic::AtomicUsize::new(0), pulls(&lines.layer));
    lines.source.troubles(move |seen| {
        layer(seen).then(|| match pulled.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Some(Trouble::ResetAnswer(300 * KIB)),
            1 => Some(Trouble::Expired(0)),
            _ => None,
        })?
    });
    assert_eq!(lines.arrives().json()["totals"]["bytes_downloaded_again"], 0);
}
