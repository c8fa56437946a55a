//! Registries that lie, stall and overreach. In each story one image of the list is ambushed: its run ends
//! soon, with a cause that names the image and what is wrong, without a tag; the other images arrive.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod blobs;
mod credentials;
mod graphs;
mod heads;
mod limits;
mod manifests;
mod pushes;
mod queues;
mod rates;
mod referrers;
mod tags;

use std::time::{Duration, Instant};

use http::Method;
use http::request::Parts;
use image_syncer::oci::RawManifest;
use support::content::put_image;
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::{Scenario, Told};

/// The ambushed image's repository at the source.
const EVIL: &str = "evil/app";

/// That of the image that has nothing to do with it.
const GOOD: &str = "good/app";

/// No ambush holds a run up for so long.
const SOON: Duration = Duration::from_secs(20);

/// Two images in a list, one of which is ambushed.
struct Ambush {
    story: Scenario,
    evil: RawManifest,
    good: RawManifest,
}

impl Ambush {
    fn new() -> Self {
        Self::between(TestRegistry::start(), TestRegistry::start())
    }

    fn between(source: TestRegistry, target: TestRegistry) -> Self {
        Self::of(Scenario::between(source, target), |source| {
            put_image(&source.memory, EVIL, Some("1"), &[b"evil layer", b"evil too"])
        })
    }

    /// An ambush of the image that `put` puts to the source as `evil/app:1`.
    fn of(mut story: Scenario, put: impl FnOnce(&TestRegistry) -> RawManifest) -> Self {
        // Nothing but what is meant to takes so long, also on a busy machine.
        story.settings.patience.idle = Duration::from_secs(3);
        let evil = put(&story.source);
        let good = put_image(&story.source.memory, GOOD, Some("1"), &[b"good layer"]);
        let story = story.lists(&format!("{EVIL}:1")).lists(&format!("{GOOD}:1"));
        Self { story, evil, good }
    }

    /// With little patience, for what stalls.
    fn hurried(mut self) -> Self {
        self.story = self.story.hurried();
        self
    }

    /// What goes wrong with requests for the ambushed image at the source.
    fn at_source(self, fault: impl Fn(&Parts) -> Option<Fault> + Send + Sync + 'static) -> Self {
        self.story.source.on_request(move |parts| about_evil(parts).then(|| fault(parts))?);
        self
    }

    /// What goes wrong with requests for the ambushed image at the target.
    fn at_target(self, fault: impl Fn(&Parts) -> Option<Fault> + Send + Sync + 'static) -> Self {
        self.story.target.on_request(move |parts| about_evil(parts).then(|| fault(parts))?);
        self
    }

    fn sync(&self) -> Told {
        let began = Instant::now();
        let told = self.story.sync();
        assert!(began.elapsed() < SOON, "it took {:?}\n{}", began.elapsed(), told.text());
        told
    }

    /// The ambushed image ends with `outcome` and a cause that names it and says all of `says`; it has no tag.
    /// The other one arrives.
    #[track_caller]
    fn fails(&self, outcome: &str, says: &[&str]) -> Told {
        let told = self.sync();
        told.expect(&[outcome, "copied"]);
        assert_eq!(told.exit_code(), if outcome == "conflict" { 3 } else { 1 });
        let cause = told.cause(0);
        for part in says.iter().chain([&EVIL]) {
            assert!(cause.contains(part), "no `{part}` in: {cause}");
        }
        assert!(cause.len() < 1500 && !cause.contains(char::is_control), "{cause:?}");
        assert_eq!(self.story.target.tag(&self.story.at_target(EVIL), "1"), None);
        self.assert_arrived(GOOD, &self.good);
        told
    }

    /// Both images arrive whole.
    #[track_caller]
    fn heals(&self) -> Told {
        let told = self.sync();
        told.expect(&["copied", "copied"]);
        self.assert_arrived(EVIL, &self.evil);
        self.assert_arrived(GOOD, &self.good);
        told
    }

    /// The target has the image under its tag, byte for byte.
    #[track_caller]
    fn assert_arrived(&self, name: &str, image: &RawManifest) {
        let (source, target) = (&self.story.source, &self.story.target);
        let there = self.story.at_target(name);
        assert_eq!(target.manifest(&there, "1").as_ref(), Some(image));
        for blob in image.parse().expect("a manifest").blobs() {
            let bytes = target.blob(&there, &blob.digest);
            assert!(bytes.is_some() && bytes == source.blob(name, &blob.digest), "{}", blob.digest);
        }
    }

    /// How often the source was asked for something of the ambushed image.
    fn asked(&self, method: &Method, part: &str) -> usize {
        let about = |path: &str| path.contains(EVIL) && path.contains(part);
        let asked = self.story.source.requests();
        asked.iter().filter(|asked| asked.method == *method && about(&asked.path)).count()
    }

    /// The digest of the ambushed image's first layer.
    fn layer(&self) -> String {
        self.evil.parse().expect("a manifest").layers()[0].digest.to_string()
    }
}

/// Whether a request is about the ambushed image.
fn about_evil(parts: &Parts) -> bool {
    parts.uri.path().contains(EVIL)
}

/// Whether this is a request of that kind.
fn is(parts: &Parts, method: &Method, part: &str) -> bool {
    parts.method == *method && parts.uri.path().contains(part)
}

/// A fault for each request of that kind.
fn each(
    method: Method,
    part: &str,
    fault: impl Fn() -> Fault + Send + Sync + 'static,
) -> impl Fn(&Parts) -> Option<Fault> + Send + Sync + 'static {
    let part = part.to_owned();
    move |parts| is(parts, &method, &part).then(&fault)
}

/// A fault for the first requests of that kind.
fn first(
    count: usize,
    method: Method,
    part: &str,
    fault: impl Fn() -> Fault + Send + Sync + 'static,
) -> impl Fn(&Parts) -> Option<Fault> + Send + Sync + 'static {
    let left = std::sync::atomic::AtomicUsize::new(count);
    let part = part.to_owned();
    move |parts| {
        let hit = is(parts, &method, &part);
        let take = |left: usize| left.checked_sub(1);
        let order = std::sync::atomic::Ordering::SeqCst;
        (hit && left.fetch_update(order, order, take).is_ok()).then(&fault)
    }
}
