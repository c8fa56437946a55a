//! A source that allows so many pulls in a time: whole images in the order of the list, an end before the wall, and
//! a next run that goes on.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use http::Method;
use image_syncer::oci::RawManifest;
use image_syncer::store::Source as _;
use support::companions::{cosign_tag, put_cosign};
use support::content::{put_image, put_image_for, put_index, reference, repository};
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::Scenario;

/// The source is Docker Hub, and allows so many pulls; none come back until it is told.
struct Hub {
    story: Scenario,
    left: Arc<AtomicU64>,
}

fn hub(allowed: u64) -> Hub {
    let mut story = Scenario::new();
    let url = story.source.url().parse().expect("a URL");
    story.settings.endpoints.insert("docker.io".parse().expect("a registry"), url);
    let left = Arc::new(AtomicU64::new(allowed));
    limit(&story.source, &left);
    Hub { story, left }
}

/// GETs of manifests that are there count, HEADs tell; a GET too many is a 429.
fn limit(source: &TestRegistry, left: &Arc<AtomicU64>) {
    counts(source, left, true);
}

/// The same, and HEADs tell only if they are said to. The first GET takes its time: who does not wait for what it tells
/// has sent others by then.
fn counts(source: &TestRegistry, left: &Arc<AtomicU64>, heads_tell: bool) {
    let (left, memory) = (Arc::clone(left), source.memory.clone());
    let is_first = AtomicBool::new(true);
    source.on_request(move |parts| {
        let (name, asked) = parts.uri.path().strip_prefix("/v2/")?.split_once("/manifests/")?;
        if parts.method == Method::GET && is_first.swap(false, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(300));
        }
        let found = memory.manifest(&repository(name), &reference(asked)).now_or_never().expect("an answer");
        let mut remaining = left.load(Ordering::SeqCst);
        if parts.method == Method::GET && found.expect("an answer").is_some() {
            if remaining == 0 {
                return Some(Fault::status_with(
                    429,
                    "TOOMANYREQUESTS",
                    &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")],
                ));
            }
            remaining = left.fetch_sub(1, Ordering::SeqCst) - 1;
        }
        (heads_tell || parts.method == Method::GET).then(|| {
            Fault::WithAll(vec![
                ("ratelimit-limit", "100;w=21600".into()),
                ("ratelimit-remaining", format!("{remaining};w=21600")),
            ])
        })
    });
}

/// An image for so many platforms.
fn put_for_many(source: &TestRegistry, name: &str, platforms: usize) -> RawManifest {
    let platforms: Vec<String> = (0..platforms).map(|number| format!("linux/cpu{number}")).collect();
    let put = |platform: &String| {
        put_image_for(&source.memory, name, None, platform, &[name.as_bytes(), platform.as_bytes()])
    };
    let children: Vec<RawManifest> = platforms.iter().map(put).collect();
    let named: Vec<(&RawManifest, &str)> =
        children.iter().zip(&platforms).map(|(child, platform)| (child, platform.as_str())).collect();
    put_index(&source.memory, name, Some("1"), &named)
}

impl Hub {
    fn refused(&self) -> usize {
        self.story.source.requests().iter().filter(|request| request.status == 429).count()
    }
}

/// Some refuse with the quota used up also what only asks whether something is there.
#[test]
fn what_only_asks_and_is_refused_for_the_quota_is_deferred() {
    let mut story = Scenario::new();
    for number in 0..3 {
        let name = format!("team/app{number}");
        put_image(&story.source.memory, &name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    let used_up = &[("ratelimit-limit", "20;w=21600"), ("ratelimit-remaining", "0;w=21600")];
    story.source.on_request(|parts| {
        let is_manifest = parts.uri.path().contains("/manifests/");
        is_manifest.then(|| Fault::status_with(429, "TOOMANYREQUESTS", used_up))
    });
    let told = story.sync();
    told.expect(&["deferred"; 3]);
    assert_eq!(told.exit_code(), 4);
    let refused = story.source.requests().iter().filter(|request| request.status == 429).count();
    assert!(refused <= 3, "{refused} requests were refused");
}

#[test]
fn a_list_that_needs_more_than_is_allowed_takes_several_runs() {
    let mut hub = hub(100);
    for number in 0..250 {
        let name = format!("team/app{number:03}");
        put_image(&hub.story.source.memory, &name, Some("1"), &[name.as_bytes()]);
        hub.story = hub.story.entry(&format!("source: {name}:1"));
    }
    for (copied, code) in [(100, 4), (200, 4), (250, 0)] {
        hub.left.store(100, Ordering::SeqCst);
        let told = hub.story.sync();
        assert_eq!(told.exit_code(), code, "{}", told.text());
        let words = told.words();
        assert!(words[..copied].iter().all(|word| matches!(*word, "copied" | "up-to-date")), "{words:?}");
        assert!(words[copied..].iter().all(|word| *word == "deferred"), "{words:?}");
        assert_eq!(hub.story.target.tags().len(), copied);
        assert_eq!(hub.refused(), 0, "no request was sent that had to be refused");
        if code == 4 {
            let text = told.text();
            assert!(text.contains("0 pulls left at docker.io"), "{text}");
            assert!(text.contains("left to a later run"), "{text}");
            assert!(told.cause(249).contains("allows no more pulls for now"), "{}", told.cause(249));
            assert_eq!(told.json()["totals"]["outcomes"]["deferred"], 250 - copied);
            assert_eq!(told.item(249)["cause"]["kind"], "quota");
        }
    }
    // Nothing to do costs nothing.
    hub.left.store(0, Ordering::SeqCst);
    assert_eq!(hub.story.sync().exit_code(), 0);
    assert_eq!(hub.refused(), 0);
}

/// What is left makes whole images, the first of the list, and not parts of many.
#[test]
fn whole_images_are_finished_in_order() {
    let mut hub = hub(8);
    for name in ["team/a", "team/b", "team/c", "team/d"] {
        let memory = &hub.story.source.memory;
        let amd64 = put_image_for(memory, name, None, "linux/amd64", &[name.as_bytes(), b"amd64"]);
        let arm64 = put_image_for(memory, name, None, "linux/arm64", &[name.as_bytes(), b"arm64"]);
        put_index(memory, name, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
        hub.story = hub.story.entry(&format!("source: {name}:1"));
    }
    let told = hub.story.sync();
    assert_eq!(told.words(), ["copied", "copied", "deferred", "deferred"]);
    assert_eq!((told.exit_code(), hub.refused()), (4, 0));
    hub.left.store(100, Ordering::SeqCst);
    let told = hub.story.sync();
    assert_eq!(told.words(), ["up-to-date", "up-to-date", "copied", "copied"]);
    assert_eq!(hub.left.load(Ordering::SeqCst), 94, "each manifest is read once");
}

#[test]
fn a_plan_says_what_it_will_take() {
    let mut hub = hub(100);
    for name in ["team/a", "team/b", "team/c"] {
        put_image(&hub.story.source.memory, name, Some("1"), &[name.as_bytes()]);
        hub.story = hub.story.entry(&format!("source: {name}:1"));
    }
    let told = hub.story.plan();
    assert_eq!(told.exit_code(), 0);
    assert!(told.text().contains("a sync needs 3 pulls from docker.io, 97 left"), "{}", told.text());
    let pulls = &told.json()["pulls"][0];
    assert_eq!((&pulls["registry"], &pulls["needed"]), (&"docker.io".into(), &3.into()));
    assert_eq!((&pulls["remaining"], &pulls["window_seconds"]), (&97.into(), &21600.into()));
    // A plan that cannot read everything says what it left out.
    hub.left.store(2, Ordering::SeqCst);
    let told = hub.story.plan();
    assert_eq!((told.exit_code(), hub.refused()), (4, 0));
    assert_eq!(told.item(2)["decision"], "deferred");
    assert!(told.text().contains("a sync needs at least 3 pulls from docker.io, 0 left"), "{}", told.text());
    let pulls = &told.json()["pulls"][0];
    assert_eq!((&pulls["needed"], &pulls["needed_is_minimum"]), (&3.into(), &true.into()));
}

/// Without headers the refusal tells, and is not asked for again and again.
#[test]
fn a_refusal_that_speaks_of_the_quota_is_believed() {
    let mut hub = hub(100);
    for name in ["team/a", "team/b", "team/c"] {
        put_image(&hub.story.source.memory, name, Some("1"), &[name.as_bytes()]);
        hub.story = hub.story.entry(&format!("source: {name}:1"));
    }
    hub.story.source.on_request(|parts| {
        let pull = parts.method == Method::GET && parts.uri.path().contains("/manifests/");
        let body =
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
        pull.then(|| Fault::body(429, "application/json", body))
    });
    let told = hub.story.sync();
    assert_eq!(told.words(), ["deferred"; 3]);
    assert_eq!((told.exit_code(), hub.refused()), (4, 1), "the first refusal is the last request");
    assert!(!told.cause(0).contains("counted over"), "nobody has stated a window: {}", told.cause(0));
}

/// One source's wall stops no other.
#[test]
fn another_source_goes_on() {
    let mut hub = hub(0);
    put_image(&hub.story.source.memory, "team/a", Some("1"), &[b"a"]);
    let other = TestRegistry::start();
    put_image(&other.memory, "team/b", Some("1"), &[b"b"]);
    hub.story = hub.story.entry("source: team/a:1").entry(&format!("source: {}/team/b:1", other.host()));
    let told = hub.story.sync();
    assert_eq!(told.words()[1], "copied");
    assert_eq!(told.words()[0], "deferred");
    assert_eq!(told.exit_code(), 4);
}

/// Any registry may have a quota: nobody knows before its first answer, and 63 other images are waiting then.
#[test]
fn a_registry_that_nobody_knows_as_counting_is_read_in_order_too() {
    let mut story = Scenario::new();
    story.settings.concurrency = Some(64);
    let left = Arc::new(AtomicU64::new(0));
    for number in 0..60 {
        let name = format!("team/app{number:02}");
        let image = put_for_many(&story.source, &name, 3);
        put_cosign(&story.source.memory, &name, &image, ".sig", &[("payload", &name)]);
        story = story.lists(&format!("{name}:1"));
    }
    counts(&story.source, &left, false);
    // Each image is an index, three images and a signature.
    for (copied, allowed, code) in [(20, 100, 4), (39, 99, 4), (59, 104, 4), (60, 100, 0)] {
        left.store(allowed, Ordering::SeqCst);
        let told = story.sync();
        assert_eq!(told.exit_code(), code, "{}", told.text());
        let words = told.words();
        assert!(words[..copied].iter().all(|word| matches!(*word, "copied" | "up-to-date")), "{words:?}");
        assert!(words[copied..].iter().all(|word| *word == "deferred"), "{words:?}");
        let refused = story.source.requests().iter().filter(|request| request.status == 429).count();
        assert_eq!(refused, 0, "no request was sent that had to be refused");
    }
    for number in 0..60 {
        let name = format!("team/app{number:02}");
        let image = story.source.manifest(&name, "1").expect("at the source");
        story.assert_whole(&name, &image.digest);
        let signature = story.target.manifest(&story.at_target(&name), &cosign_tag(&image, ".sig"));
        assert!(signature.is_some(), "the signature of {name}");
    }
    // Nothing to do costs nothing.
    left.store(0, Ordering::SeqCst);
    story.assert_settled();
}

/// It would be put off for ever, and would use up what the others need each time.
#[test]
fn an_image_that_takes_more_than_is_ever_allowed_fails_and_costs_little() {
    let mut story = Scenario::new();
    put_for_many(&story.source, "team/huge", 120);
    put_image(&story.source.memory, "team/small", Some("1"), &[b"small"]);
    story = story.lists("team/huge:1").lists("team/small:1");
    let left = Arc::new(AtomicU64::new(100));
    counts(&story.source, &left, false);
    let told = story.sync();
    told.expect(&["blocked", "copied"]);
    assert_eq!((told.exit_code(), left.load(Ordering::SeqCst)), (1, 98));
    let cause = told.cause(0);
    for part in ["team/huge@", "at least 121 pulls", &story.source.host(), "allows 100 at the most", "log in"]
    {
        assert!(cause.contains(part), "no `{part}` in: {cause}");
    }
}
