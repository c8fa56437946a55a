//! Many images that wait for the same thing: one that hangs must not hold up each of them in turn, nor those
//! that have nothing to do with it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use http::Method;
use image_syncer::config::Signatures;
use image_syncer::report::Interruption;

use crate::support::auth::Auth;
use crate::support::content::{put_image, put_image_for};
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::scenario::Scenario;
use crate::{SOON, about_evil, is};

/// How many images are ambushed.
const MANY: usize = 20;

/// The story of many ambushed images, with one that is not at the end of the list.
fn many(source: TestRegistry) -> Scenario {
    let mut story = Scenario::between(source, TestRegistry::start()).hurried();
    for number in 0..MANY {
        let name = format!("evil/app{number}");
        put_image(&story.source.memory, &name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    put_image(&story.source.memory, "good/app", Some("1"), &[b"good layer"]);
    story.lists("good/app:1")
}

/// All but the last end so, soon, and the last arrives.
#[track_caller]
fn only_the_last_arrives(story: &Scenario, outcome: &str, says: &str) {
    let began = Instant::now();
    let told = story.sync();
    assert!(began.elapsed() < SOON, "it took {:?}\n{}", began.elapsed(), told.text());
    let mut expected = vec![outcome; MANY];
    expected.push("copied");
    told.expect(&expected);
    for item in 0..MANY {
        assert!(told.cause(item).contains(says), "{}", told.cause(item));
    }
    let there: Vec<String> = story.target.tags().into_keys().collect();
    assert_eq!(there, [format!("{}:1", story.at_target("good/app"))]);
}

fn about_many(parts: &http::request::Parts) -> bool {
    parts.uri.path().contains("/evil/")
}

/// The first blob finds out how the target mounts, and all others want to know.
#[test]
fn blobs_that_stall_do_not_hold_up_those_that_do_not() {
    let mut story = Scenario::new().hurried().signatures(Signatures::Skip);
    for number in 0..MANY {
        let (name, platform) = (format!("evil/app{number}"), format!("linux/arm64/v{number}"));
        put_image_for(&story.source.memory, &name, Some("1"), &platform, &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    put_image(&story.source.memory, "good/app", Some("1"), &[b"good layer"]);
    let story = story.lists("good/app:1");
    story.source.on_request(|parts| {
        (about_many(parts) && is(parts, &Method::GET, "/blobs/")).then_some(Fault::StallAfter(1))
    });
    only_the_last_arrives(&story, "failed", "sent nothing for");
}

/// Large layers that come byte by byte keep their places, at both sides and among the images, for as long as that takes.
#[test]
fn small_images_do_not_wait_for_giants() {
    const SMALL: usize = 5;
    let mut story = Scenario::new().signatures(Signatures::Skip);
    let mut layers = HashSet::new();
    for number in 0..70_u8 {
        let name = format!("evil/giant{number}");
        let layer = vec![number; 1024 * 1024 + 1];
        let giant = put_image(&story.source.memory, &name, Some("1"), &[&layer]);
        layers.insert(giant.parse().expect("a manifest").layers()[0].digest.to_string());
        story = story.lists(&format!("{name}:1"));
    }
    for number in 0..SMALL {
        let name = format!("good/small{number}");
        put_image(&story.source.memory, &name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    story.source.on_request(move |parts| {
        let is_giant = parts.uri.path().rsplit('/').next().is_some_and(|digest| layers.contains(digest));
        is_giant.then_some(Fault::Drip(Duration::from_secs(1)))
    });
    let all_small = async {
        let began = Instant::now();
        while story.target.tags().len() < SMALL && began.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Interruption::Terminate
    };
    let told = story.sync_until(all_small);
    assert_eq!(told.words()[70..], ["copied"; SMALL], "{}", told.text());
    assert_eq!(story.target.tags().len(), SMALL);
}

/// All of `images` have the base layer that hangs; it is not tried for each of them in turn.
fn base_layer_stalls(images: impl Iterator<Item = (String, String)>) {
    let mut story = Scenario::new().hurried().signatures(Signatures::Skip);
    let mut base = None;
    for (name, tag) in images {
        let own = format!("{name}:{tag}");
        let image = put_image(&story.source.memory, &name, Some(&tag), &[b"base layer", own.as_bytes()]);
        base = Some(image.parse().expect("a manifest").layers()[0].digest.to_string());
        story = story.lists(&own);
    }
    put_image(&story.source.memory, "good/app", Some("1"), &[b"good layer"]);
    let story = story.lists("good/app:1");
    let base = base.expect("a base layer");
    let wanted = base.clone();
    story.source.on_request(move |parts| is(parts, &Method::GET, &wanted).then_some(Fault::StallAfter(1)));
    only_the_last_arrives(&story, "failed", &base);
    assert!(story.source.count(&Method::GET, &base) <= 6);
}

#[test]
fn a_base_layer_that_stalls_is_waited_for_once() {
    base_layer_stalls((0..MANY).map(|number| (format!("evil/app{number}"), "1".to_owned())));
}

#[test]
fn a_base_layer_of_one_repositorys_tags_that_stalls_is_waited_for_once() {
    base_layer_stalls((0..MANY).map(|number| ("evil/app".to_owned(), number.to_string())));
}

/// What one repository lacks, another one of the same registry can have.
#[test]
fn a_base_layer_that_one_image_lacks_is_had_from_another() {
    let mut story = Scenario::new().hurried().signatures(Signatures::Skip);
    for name in ["evil/app0", "evil/app1", "good/app"] {
        put_image(&story.source.memory, name, Some("1"), &[b"base layer", name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    story.source.on_request(|parts| {
        let lacks = about_many(parts) && is(parts, &Method::GET, "/blobs/");
        lacks.then(|| Fault::status(404, "BLOB_UNKNOWN"))
    });
    let told = story.sync();
    assert_eq!(told.words()[2], "copied", "{}", told.text());
    assert_eq!(told.words()[0], "failed");
}

#[test]
fn manifests_that_stall() {
    let story = many(TestRegistry::start());
    story.source.on_request(|parts| {
        (about_many(parts) && is(parts, &Method::GET, "/manifests/")).then_some(Fault::Stall)
    });
    only_the_last_arrives(&story, "blocked", "did not answer within");
}

/// All tags of one repository want the list of its tags, which hangs: they do without, and wait for it once.
#[test]
fn a_list_that_hangs_is_waited_for_once() {
    let mut story = Scenario::new().hurried();
    for number in 0..MANY {
        let (name, tag) = ("evil/app", number.to_string());
        put_image(&story.source.memory, name, Some(&tag), &[tag.as_bytes()]);
        story = story.lists(&format!("{name}:{tag}"));
    }
    story
        .source
        .on_request(|parts| (about_evil(parts) && is(parts, &Method::GET, "/tags/")).then_some(Fault::Stall));
    let began = Instant::now();
    story.sync().expect(&["copied"; MANY]);
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    assert!(story.source.count(&Method::GET, "/evil/app/tags/list") <= 3);
}

/// A registry that begins its answers and never ends them is as good as silent, and images of another one that
/// stand behind it in the list do not wait.
#[test]
fn a_registry_that_never_ends_an_answer_is_given_up() {
    const IMAGES: usize = 300;
    let mut story = Scenario::new().hurried();
    for number in 0..IMAGES {
        let name = format!("evil/app{number}");
        put_image(&story.source.memory, &name, Some("1"), &[name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    put_image(&story.target.memory, "good/app", Some("1"), &[b"good layer"]);
    let story = story.entry("source: TARGET/good/app:1");
    let evil_ones = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&evil_ones);
    story.source.on_request(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Some(Fault::StallAfter(1))
    });
    let before = std::sync::Arc::new(std::sync::Mutex::new(None));
    let noted = std::sync::Arc::clone(&before);
    story.target.on_request(move |parts| {
        if parts.uri.path().starts_with("/v2/good/app/") {
            let so_far = evil_ones.load(std::sync::atomic::Ordering::SeqCst);
            noted.lock().expect("a lock").get_or_insert(so_far);
        }
        None
    });
    let began = Instant::now();
    let told = story.sync();
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    let mut expected = vec!["blocked"; IMAGES];
    expected.push("copied");
    told.expect(&expected);
    let before = before.lock().expect("a lock").expect("the good one was asked for");
    assert!(before <= 64, "{before} requests of the other registry came first");
}

/// A token that cannot be had is not asked for by each who needs it, nor by each of their tries.
#[test]
fn a_token_service_that_hangs_is_waited_for_once() {
    let source = TestRegistry::builder().auth(Auth::bearer("robot", "secret")).start();
    let mut story = Scenario::between(source, TestRegistry::start()).hurried();
    for number in 0..MANY {
        let tag = number.to_string();
        put_image(&story.source.memory, "evil/app", Some(&tag), &[tag.as_bytes()]);
        story = story.lists(&format!("evil/app:{tag}"));
    }
    put_image(&story.source.memory, "good/app", Some("1"), &[b"good layer"]);
    let story = story.lists("good/app:1");
    story.source.on_request(|parts| {
        let evil = parts.uri.query().is_some_and(|query| query.contains("evil"));
        (parts.uri.path() == "/token" && evil).then_some(Fault::Stall)
    });
    only_the_last_arrives(&story, "blocked", "failed to get a token for repository:evil/app:pull");
    let asked = story.source.requests();
    let tokens = asked.iter().filter(|asked| asked.path == "/token" && asked.query.contains("evil")).count();
    // Three tries of the first, three of those who waited for it, and perhaps three of those who came after.
    assert!(tokens <= 9, "{tokens} token requests");
}

/// Each image of a registry that accepts and never answers would wait until its tries are used up. What comes
/// after the first ones is tried once.
#[test]
fn a_registry_that_never_answers_is_given_up() {
    const IMAGES: usize = 300;
    let mut story = Scenario::new().hurried();
    for number in 0..IMAGES {
        story = story.lists(&format!("evil/app{number}:1"));
    }
    put_image(&story.target.memory, "good/app", Some("1"), &[b"good layer"]);
    let story = story.entry("source: TARGET/good/app:1");
    story.source.on_request(|_| Some(Fault::Stall));
    let began = Instant::now();
    let told = story.sync();
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    let mut expected = vec!["blocked"; IMAGES];
    expected.push("copied");
    told.expect(&expected);
    assert!(told.cause(0).contains("did not answer within 0."), "{}", told.cause(0));
    // Those that are looked at together are tried three times until that is known, the others once.
    let tried = story.source.requests().len();
    assert!(tried <= 3 * 64 + IMAGES, "{tried}");
    assert!(told.cause(IMAGES - 1).contains("did not answer within 0.1 s"), "{}", told.cause(IMAGES - 1));
}

/// Source and target are one registry, and one request at a time has to do for both.
#[test]
fn one_registry_and_one_request_at_a_time() {
    let mut story = Scenario::new();
    story.settings.concurrency = Some(1);
    for number in 0..5 {
        let name = format!("evil/app{number}");
        put_image(&story.target.memory, &name, Some("1"), &[name.as_bytes(), b"shared"]);
        story = story.entry(&format!("source: TARGET/{name}:1"));
    }
    let began = Instant::now();
    story.plan().expect(&["copy"; 5]);
    story.target.clear_log();
    story.sync().expect(&["copied"; 5]);
    story.sync().expect(&["up-to-date"; 5]);
    assert!(began.elapsed() < SOON);
    // Everything was there in another repository: nothing was pulled.
    assert_eq!(story.target.count(&Method::GET, "/blobs/"), 0);
}

#[test]
fn one_registry_without_mounts_and_one_request_at_a_time() {
    let target = TestRegistry::builder().without_mount().without_referrers_api().start();
    let mut story = Scenario::between(TestRegistry::start(), target);
    story.settings.concurrency = Some(1);
    for number in 0..5 {
        let name = format!("evil/app{number}");
        put_image(&story.target.memory, &name, Some("1"), &[name.as_bytes(), b"shared"]);
        story = story.entry(&format!("source: TARGET/{name}:1"));
    }
    let began = Instant::now();
    story.sync().expect(&["copied"; 5]);
    assert!(began.elapsed() < SOON);
    // One for each side.
    assert!(story.target.most_in_flight() <= 2);
}
