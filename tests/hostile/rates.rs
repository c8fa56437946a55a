//! Registries that are overloaded, or say so.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::support::fault::Fault;
use crate::{Ambush, EVIL, each, first};

/// A refusal that asks to come again later.
fn later(status: u16, retry_after: &str) -> Fault {
    Fault::status_with(status, "TOOMANYREQUESTS", &[("retry-after", retry_after)])
}

#[test]
fn too_many_requests_for_ever() {
    let ambush =
        Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::status(429, "TOOMANYREQUESTS")));
    ambush.fails("blocked", &["evil/app:1", "429 Too Many Requests, TOOMANYREQUESTS", "(tried 3 times)"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 3);
}

#[test]
fn too_many_requests_for_ever_in_the_middle_of_an_image() {
    let ambush = Ambush::new();
    let layer = ambush.layer();
    let ambush = ambush.at_source(each(Method::GET, &layer, || later(429, "0")));
    ambush.fails("failed", &["source: failed to read blob", &layer, "429 Too Many Requests"]);
    assert_eq!(ambush.asked(&Method::GET, &layer), 3);
}

#[test]
fn a_wait_that_nobody_has_time_for_is_not_begun() {
    for wait in ["100000", "18446744073709551615", "27h46m40s", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || later(429, wait)));
        let told = ambush.sync();
        told.expect(&["deferred", "copied"]);
        for part in ["evil/app:1", "429 Too Many Requests", "(it asks to wait "] {
            assert!(told.cause(0).contains(part), "no `{part}` in: {}", told.cause(0));
        }
        assert_eq!(told.exit_code(), 4, "a later run can do it");
        assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 1);
    }
}

#[test]
fn a_wait_that_cannot_be_read_is_our_own() {
    for wait in ["soon", "-1", "1e9", "", "99999999999999999999999", "NaNs", "Thu, 01 Jan 1970 00:00:00 GMT"]
    {
        let ambush = Ambush::new().at_source(first(1, Method::GET, "/manifests/1", || later(503, wait)));
        ambush.heals();
        assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 2);
    }
}

#[test]
fn a_short_wait_is_kept() {
    let ambush = Ambush::new().at_source(first(1, Method::GET, "/manifests/1", || later(429, "700ms")));
    let began = Instant::now();
    ambush.heals();
    assert!(began.elapsed() > Duration::from_millis(700));
}

#[test]
fn a_short_wait_that_only_the_body_asks_for_is_kept() {
    let ambush = Ambush::new().at_source(first(1, Method::GET, "/manifests/1", || {
        let Fault::Answer(mut answer) = Fault::status(429, "") else { unreachable!() };
        let error =
            json!({ "code": "TOOMANYREQUESTS", "message": "retry-after: 700ms, allowed: 44000/minute" });
        *answer.body_mut() = json!({ "errors": [error] }).to_string().into();
        Fault::Answer(answer)
    }));
    let began = Instant::now();
    ambush.heals();
    assert!(began.elapsed() > Duration::from_millis(700));
}

/// The bytes of an upload stream and are asked for anew, but the wait is the same.
#[test]
fn a_short_wait_before_an_upload_is_kept() {
    let ambush = Ambush::new().at_target(first(1, Method::PUT, "/blobs/uploads/", || later(429, "700ms")));
    let began = Instant::now();
    ambush.heals();
    assert!(began.elapsed() > Duration::from_millis(700));
}

#[test]
fn an_upload_that_nobody_has_time_for() {
    let ambush = Ambush::new().at_target(each(Method::PUT, "/blobs/uploads/", || later(503, "100000")));
    ambush.fails("failed", &["target: failed to upload blob", "503 Service Unavailable"]);
}

#[test]
fn nothing_is_waited_for_beyond_the_end_of_the_run() {
    let mut ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || later(429, "1")));
    ambush.story.settings.deadline = Some(Instant::now() + Duration::from_millis(900));
    ambush.fails("blocked", &["evil/app:1", "(it asks to wait 1 s)"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 1);
}

/// Each request fails once, at both ends, and then is served.
#[test]
fn bursts_heal() {
    for status in [408, 429, 503, 520] {
        let burst = move || {
            let seen = Mutex::new(std::collections::HashSet::new());
            move |parts: &http::request::Parts| {
                // Each upload is at another place, and has its digest at the end.
                let uri = parts.uri.to_string();
                let what = uri.rsplit_once("digest=").map_or(uri.as_str(), |(_, digest)| digest);
                let request = format!("{} {what}", parts.method);
                let fresh = seen.lock().expect("the lock").insert(request);
                fresh.then(|| Fault::status(status, "UNKNOWN"))
            }
        };
        let ambush = Ambush::new().at_source(burst()).at_target(burst());
        let told = ambush.heals();
        assert!(told.0.run.retries > 10);
    }
}

#[test]
fn a_server_that_is_down_for_ever() {
    let ambush = Ambush::new().at_target(|_| Some(Fault::status(502, "")));
    ambush.fails("blocked", &["target: failed to read manifest", EVIL, "502 Bad Gateway", "(tried 3 times)"]);
}
