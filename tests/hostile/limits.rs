//! Registries with a steady limit: so many requests a second, and no more.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use image_syncer::config::Signatures;
use image_syncer::registry::RetryPolicy;

use crate::SOON;
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::scenario::Scenario;

/// Requests a second that are let through, and at once after a pause.
const RATE: f64 = 40.0;

/// A bucket of tokens that fills steadily; each request takes one, and without one it is refused.
fn limit(registry: &TestRegistry, refusal: impl Fn() -> Fault + Send + Sync + 'static) {
    let bucket = Mutex::new((RATE, Instant::now()));
    registry.on_request(move |_| {
        let mut bucket = bucket.lock().expect("the lock");
        let (tokens, filled) = &mut *bucket;
        *tokens = filled.elapsed().as_secs_f64().mul_add(RATE, *tokens).min(RATE);
        *filled = Instant::now();
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            return None;
        }
        Some(refusal())
    });
}

/// A list of small images.
fn story(images: usize) -> Scenario {
    let mut story = Scenario::new().signatures(Signatures::Skip);
    story.settings.retry = RetryPolicy::default();
    for number in 0..images {
        let name = format!("team/app{number:03}");
        put_image(&story.source.memory, &name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    story
}

/// Everything arrives in one run, and few requests are refused.
#[track_caller]
fn all_arrive(story: &Scenario, limited: &TestRegistry) {
    let told = story.sync();
    assert_eq!(told.exit_code(), 0, "{}", told.text());
    assert_eq!(story.target.tags().len(), told.words().len());
    let requests = limited.requests();
    let refused = requests.iter().filter(|request| request.status == 429).count();
    assert!(refused * 5 < requests.len(), "{refused} of {} requests were refused", requests.len());
}

#[test]
fn a_source_that_says_when_to_come_again() {
    let later = || Fault::status_with(429, "TOOMANYREQUESTS", &[("retry-after", "1")]);
    let story = story(150);
    limit(&story.source, later);
    all_arrive(&story, &story.source);
}

#[test]
fn a_source_that_does_not() {
    let story = story(150);
    limit(&story.source, || Fault::status(429, "TOOMANYREQUESTS"));
    all_arrive(&story, &story.source);
}

/// It was down for a moment, and is as fast as ever afterwards: what it let through meanwhile is no measure.
#[test]
fn a_bad_moment_is_no_limit() {
    let story = story(150);
    let asked = AtomicUsize::new(0);
    let refused: Mutex<HashMap<String, usize>> = Mutex::default();
    story.source.on_request(move |parts| {
        // Two waves of refusals with little between them, which nobody alone gets all of.
        let in_wave = matches!(asked.fetch_add(1, Ordering::SeqCst), 20..28 | 32..40);
        let mut refused = refused.lock().expect("the lock");
        let times = refused.entry(parts.uri.path().to_owned()).or_default();
        let is_bad = in_wave && *times < 2;
        *times += usize::from(is_bad);
        is_bad.then(|| Fault::status_with(429, "TOOMANYREQUESTS", &[("retry-after", "1")]))
    });
    let began = Instant::now();
    all_arrive(&story, &story.source);
    assert!(began.elapsed() < SOON * 2, "{:?}", began.elapsed());
}

/// Uploads are refused in their own way.
#[test]
fn a_target_with_a_limit() {
    let story = story(50);
    limit(&story.target, || Fault::status(429, "TOOMANYREQUESTS"));
    all_arrive(&story, &story.target);
}
