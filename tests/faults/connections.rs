//! Connections that are slow, break or fall silent.

use std::time::{Duration, Instant};

use crate::support::relay::Trouble;
use crate::{KIB, Lines, SIZE, first, pulls, sends};

#[test]
fn latency_costs_time_and_no_tries() {
    let lines = Lines::new();
    for line in [&lines.source, &lines.target] {
        line.troubles(|_| Some(Trouble::Latency(Duration::from_millis(30))));
    }
    assert_eq!(lines.arrives().json()["retries"], 0);
}

/// Slower than the patience for silence, altogether, and never silent for so long.
#[test]
fn a_low_bandwidth_costs_time_and_no_tries() {
    for of_source in [true, false] {
        let lines = Lines::new();
        let line = if of_source { &lines.source } else { &lines.target };
        line.troubles(|_| Some(Trouble::Bandwidth(400 * KIB)));
        let began = Instant::now();
        assert_eq!(lines.arrives().json()["retries"], 0);
        assert!(began.elapsed() > Duration::from_millis(1400), "{:?}", began.elapsed());
    }
}

#[test]
fn a_slow_drip_costs_time_and_no_tries() {
    let lines = Lines::new();
    let drip = Trouble::Drip(20 * 1024, Duration::from_millis(50));
    lines.source.troubles(first(1, drip, pulls(&lines.layer)));
    assert_eq!(lines.arrives().json()["retries"], 0);
}

#[test]
fn a_reset_in_a_download_costs_no_byte_that_had_come() {
    for byte in [0, 1, 100 * KIB, SIZE - 1] {
        let lines = Lines::new();
        lines.source.troubles(first(1, Trouble::ResetAnswer(byte), pulls(&lines.layer)));
        let told = lines.arrives();
        assert_eq!(told.json()["retries"], 1, "at byte {byte}");
        assert_eq!(told.json()["totals"]["bytes_downloaded_again"], 0);
    }
}

#[test]
fn a_reset_in_an_upload_goes_on_where_the_registry_got_to() {
    for byte in [0, 1, 100 * KIB, SIZE] {
        let lines = Lines::new();
        lines.target.troubles(first(1, Trouble::ResetRequest(byte), sends));
        lines.arrives();
    }
}

/// Whatever the first request of each kind was for.
#[test]
fn a_reset_before_anything_was_passed_on_is_tried_again() {
    let lines = Lines::new();
    for line in [&lines.source, &lines.target] {
        let seen = std::sync::Mutex::new(std::collections::HashSet::new());
        line.troubles(move |request| {
            // Each upload has an address of its own.
            let path = request.path.split("/uploads/").next().unwrap_or_default().to_owned();
            let kind = (request.method.clone(), path);
            seen.lock().expect("a lock").insert(kind).then_some(Trouble::ResetAtOnce)
        });
    }
    lines.arrives();
}

#[test]
fn a_download_that_falls_silent_goes_on_after_a_while() {
    let lines = Lines::new();
    lines.source.troubles(first(1, Trouble::HalfOpen(Some(300 * KIB)), pulls(&lines.layer)));
    let told = lines.arrives();
    assert_eq!(told.json()["totals"]["bytes_downloaded_again"], 0);
}

#[test]
fn a_connection_that_never_answers_is_left() {
    for of_source in [true, false] {
        let lines = Lines::new();
        let line = if of_source { &lines.source } else { &lines.target };
        line.troubles(first(1, Trouble::HalfOpen(None), |_| true));
        assert_eq!(lines.arrives().json()["retries"], 1);
    }
}

#[test]
fn an_upload_that_is_never_answered_is_left() {
    let mut lines = Lines::new();
    lines.story.settings.patience.commit = Duration::from_millis(700);
    lines.target.troubles(first(1, Trouble::HalfOpen(None), sends));
    lines.arrives();
}
