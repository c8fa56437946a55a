//! Heads of answers that never come, are huge, or lead astray.

use std::time::Duration;

use http::Method;
use image_syncer::oci::MediaType;

use crate::support::fault::Fault;
use crate::support::registry::{Logged, TestRegistry};
use crate::{Ambush, EVIL, each, is};

#[test]
fn a_head_that_never_comes() {
    let ambush = Ambush::new().hurried().at_source(each(Method::GET, "/manifests/1", || Fault::Stall));
    ambush.fails("blocked", &["evil/app:1", "did not answer within 0.6 s (tried 3 times)"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 3);
}

#[test]
fn a_body_that_never_ends_to_come() {
    let ambush =
        Ambush::new().hurried().at_source(each(Method::GET, "/manifests/1", || Fault::StallAfter(10)));
    ambush.fails("blocked", &["evil/app:1", "sent nothing for 0.6 s"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 3);
}

#[test]
fn a_manifest_that_drips_in_byte_by_byte() {
    let mut ambush =
        Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::Drip(Duration::from_millis(40))));
    ambush.story.settings.patience.idle = Duration::from_millis(100);
    ambush.fails("blocked", &["evil/app:1", "sent the answer too slowly, for 1 s"]);
}

#[test]
fn a_connection_that_always_ends() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::Drop));
    ambush.fails("blocked", &["evil/app:1", "the connection to 127.0.0.1:", "(tried 3 times)"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 3);
}

#[test]
fn a_header_of_a_megabyte() {
    let ambush = Ambush::new()
        .at_source(each(Method::GET, "/manifests/1", || Fault::With("x-evil", "e".repeat(1 << 20))));
    ambush.fails("blocked", &["evil/app:1", "the connection to 127.0.0.1:", "broke"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 3);
}

#[test]
fn hundreds_of_headers() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || {
        let Fault::Answer(mut answer) = Fault::status(200, "") else { unreachable!() };
        for number in 0..300_u64 {
            answer.headers_mut().append("x-evil", number.into());
        }
        Fault::Answer(answer)
    }));
    ambush.fails("blocked", &["evil/app:1", "the connection to 127.0.0.1:", "broke"]);
}

#[test]
fn a_redirect_to_itself() {
    let ambush = Ambush::new()
        .at_source(each(Method::GET, "/manifests/1", || Fault::redirect("/v2/evil/app/manifests/1")));
    ambush.fails("blocked", &["evil/app:1", "redirects in a circle, or too often"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/1"), 6);
}

#[test]
fn two_redirects_to_one_another() {
    let ambush = Ambush::new().at_source(|parts| {
        let other = if parts.uri.path().ends_with("/1") { "2" } else { "1" };
        is(parts, &Method::GET, "/manifests/")
            .then(|| Fault::redirect(&format!("/v2/evil/app/manifests/{other}")))
    });
    ambush.fails("blocked", &["evil/app:1", "redirects in a circle, or too often"]);
}

#[test]
fn redirects_to_nowhere() {
    for nowhere in ["", "ftp://127.0.0.1/x", "javascript:alert(1)", "http://[", "//"] {
        let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::redirect(nowhere)));
        ambush.fails("blocked", &["evil/app:1"]);
    }
}

#[test]
fn a_redirect_without_a_location() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || Fault::status(302, "FOUND")));
    ambush.fails("blocked", &["evil/app:1", "answered 302 Found, which is not an answer to this"]);
}

/// The failure of another host that a redirect leads to is not put on the registry.
#[test]
fn a_redirect_to_a_host_that_refuses_names_that_host() {
    let elsewhere = TestRegistry::start();
    let to = format!("{}/nothing", elsewhere.url().replace("127.0.0.1", "localhost"));
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", move || Fault::redirect(&to)));
    ambush.story.source.heal();
    let to = format!("{}/v2/other/manifests/1", elsewhere.url().replace("127.0.0.1", "localhost"));
    elsewhere.on_request(|_| Some(Fault::status(403, "DENIED")));
    let ambush = ambush.at_source(each(Method::GET, "/manifests/1", move || Fault::redirect(&to)));
    ambush.fails("blocked", &["evil/app:1", &format!("localhost:{} answered 403", elsewhere.address.port())]);
}

#[test]
fn a_statement_of_a_digest_that_is_none() {
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", || {
        Fault::With("docker-content-digest", "sha256:x".into())
    }));
    ambush.heals();
}

#[test]
fn an_error_with_escape_sequences_and_one_that_is_no_text() {
    let escape = r#"{"errors":[{"code":"DENIED\u001b[31m","message":"go\u0000 away\r\n::error::x\u001b]8;;http://x"}]}"#;
    for body in [escape.as_bytes().to_vec(), vec![0xff; 5_000_000]] {
        let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", move || {
            Fault::body(403, "application/json", body.clone())
        }));
        let told = ambush.fails("blocked", &["evil/app:1", "answered 403 Forbidden"]);
        assert!(!told.text().contains(|c: char| c.is_control() && c != '\n'), "{:?}", told.text());
        assert!(!told.text().lines().any(|line| line.trim_start().starts_with("::")));
    }
}

#[test]
fn an_error_whose_body_never_ends() {
    for fault in [|| Fault::StallAfter(0), || Fault::Endless] {
        let ambush = Ambush::new().hurried();
        let missing = "/v2/evil/app/manifests/missing";
        let story = Ambush { story: ambush.story.lists("evil/app:missing"), ..ambush };
        story.story.source.on_request(move |parts| (parts.uri.path() == missing).then(fault));
        let told = story.sync();
        told.expect(&["copied", "copied", "blocked"]);
        assert!(told.cause(2).contains("evil/app:missing"), "{}", told.cause(2));
    }
}

/// A HEAD without a digest asks for a GET, and that has to have a place to be made in.
#[test]
fn a_head_without_a_digest_does_not_halt_a_run_of_one_request_at_a_time() {
    let mut ambush = Ambush::new();
    ambush.story.settings.concurrency = Some(1);
    ambush.heals();
    let bare = |parts: &http::request::Parts| {
        (parts.method == Method::HEAD).then_some(Fault::Without("docker-content-digest"))
    };
    ambush.story.source.on_request(bare);
    ambush.story.target.on_request(bare);
    let began = std::time::Instant::now();
    ambush.story.plan().expect(&["up-to-date", "up-to-date"]);
    ambush.sync().expect(&["up-to-date", "up-to-date"]);
    assert!(began.elapsed() < crate::SOON);
}

#[test]
fn a_head_that_is_not_allowed_is_replaced_by_a_get() {
    let mut ambush = Ambush::new();
    ambush.story.settings.concurrency = Some(1);
    let ambush = ambush.at_target(each(Method::HEAD, "/manifests/", || Fault::status(405, "UNSUPPORTED")));
    ambush.heals();
    let gets = |logged: &Logged| logged.method == Method::GET && logged.path.ends_with("/manifests/1");
    assert_eq!(ambush.story.target.requests().iter().filter(|logged| gets(logged)).count(), 3);
}

#[test]
fn an_answer_of_another_kind_than_asked_for() {
    let odd = || Fault::body(204, MediaType::OCI_MANIFEST.as_str(), "");
    let ambush = Ambush::new().at_source(each(Method::GET, "/manifests/1", odd));
    ambush.fails("blocked", &[EVIL, "answered 204 No Content, which is not an answer to this"]);
}
