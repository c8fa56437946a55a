//! Bad lines between the program and registries, each kind of trouble by itself: what must come of it.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod content;
mod names;
mod refusals;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use image_syncer::config::Signatures;
use image_syncer::oci::{Digest, RawManifest};
use support::content::{noise, put_image};
use support::registry::TestRegistry;
use support::relay::{Relay, Seen, Trouble};
use support::scenario::{Scenario, Told};

const NAME: &str = "team/app";
const KIB: u64 = 1024;

/// The layer's size.
const SIZE: u64 = 600 * KIB;

/// An image of one layer that goes through two lines.
struct Lines {
    story: Scenario,
    source: Relay,
    target: Relay,
    image: RawManifest,
    layer: Digest,
}

impl Lines {
    fn new() -> Self {
        let (source, target) = (TestRegistry::start(), TestRegistry::start());
        let lines = [&source, &target].map(|registry| Relay::to(registry.address));
        let story = Scenario::between(source, target).lists("team/app:1").signatures(Signatures::Skip);
        let mut story = story.source_through(&lines[0]).target_through(&lines[1]);
        story.settings.patience.idle = Duration::from_millis(700);
        let layer = noise(usize::try_from(SIZE).expect("a size"));
        let image = put_image(&story.source.memory, NAME, Some("1"), &[&layer]);
        let [source, target] = lines;
        Self { story, source, target, image, layer: Digest::sha256(&layer) }
    }

    /// The image arrives whole, and each trouble cost one more try at the most.
    #[track_caller]
    fn arrives(&self) -> Told {
        let told = self.story.sync();
        told.expect(&["copied"]);
        assert_eq!(self.story.mirrored(NAME, "1").as_ref(), Some(&self.image));
        self.story.assert_whole(NAME, &self.image.digest);
        let troubles: u64 = self.source.injected().values().chain(self.target.injected().values()).sum();
        assert!(troubles > 0, "nothing went wrong");
        assert!(told.json()["retries"].as_u64() <= Some(troubles), "{}", told.text());
        told
    }

    /// It does not, for this reason, and there is no tag.
    #[track_caller]
    fn fails(&self, outcome: &str, says: &[&str]) -> Told {
        let told = self.story.sync();
        told.expect(&[outcome]);
        for part in says {
            assert!(told.cause(0).contains(part), "no `{part}` in: {}", told.cause(0));
        }
        assert_eq!(self.story.mirrored(NAME, "1"), None);
        told
    }
}

/// Trouble with the first requests that `wanted` is true of.
fn first(
    count: usize,
    trouble: Trouble,
    wanted: impl Fn(&Seen) -> bool + Send + Sync + 'static,
) -> impl Fn(&Seen) -> Option<Trouble> + Send + Sync + 'static {
    let left = AtomicUsize::new(count);
    move |seen| {
        let take = |left: usize| left.checked_sub(1);
        let hit = wanted(seen) && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        hit.then(|| trouble.clone())
    }
}

/// Whether this asks for the layer.
fn pulls(layer: &Digest) -> impl Fn(&Seen) -> bool + Send + Sync + 'static {
    let layer = layer.to_string();
    move |seen| seen.method == "GET" && seen.path.contains(&layer)
}

/// Whether this sends bytes of the layer.
fn sends(seen: &Seen) -> bool {
    seen.path.contains("/blobs/uploads/") && seen.length > 64 * KIB
}
