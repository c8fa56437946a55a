//! Large layers on ways that break: what has come is not fetched again, and what has gone is not sent again, as far
//! as both sides allow.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod downloads;
mod limits;
mod uploads;

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use http::request::Parts;
use image_syncer::config::Signatures;
use image_syncer::oci::{Digest, RawManifest};
use support::content::{noise, put_image};
use support::fault::Fault;
use support::registry::{Logged, TestRegistry};
use support::scenario::{Scenario, Told};

const NAME: &str = "team/app";
const UPLOADS: &str = "/blobs/uploads/";
const MIB: usize = 1024 * 1024;

/// An image with one large layer, and a run that mirrors it.
struct Large {
    story: Scenario,
    image: RawManifest,
    layer: Digest,
    size: u64,
}

impl Large {
    /// A layer of so many bytes.
    fn of(size: usize) -> Self {
        Self::between(TestRegistry::start(), TestRegistry::start(), size)
    }

    fn between(source: TestRegistry, target: TestRegistry, size: usize) -> Self {
        let mut story = Scenario::between(source, target).lists("team/app:1").signatures(Signatures::Skip);
        story.settings.patience.idle = std::time::Duration::from_secs(3);
        let layer = noise(size);
        let image = put_image(&story.source.memory, NAME, Some("1"), &[&layer]);
        Self { story, image, layer: Digest::sha256(&layer), size: size as u64 }
    }

    /// What goes wrong when the source is asked for the layer: at the first time, the second, …; then nothing.
    fn source_does(self, faults: impl Fn(usize, &Parts) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let (wanted, asked) = (self.layer.to_string(), AtomicUsize::new(0));
        self.story.source.on_request(move |parts| {
            let layer = parts.method == Method::GET && parts.uri.path().contains(&wanted);
            layer.then(|| faults(asked.fetch_add(1, Ordering::SeqCst), parts))?
        });
        self
    }

    /// What goes wrong when bytes of the layer are sent to the target: at the first time, the second, …
    fn target_does(self, faults: impl Fn(usize, &Parts) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let sent = AtomicUsize::new(0);
        self.story.target.on_request(move |parts| {
            let bytes = parts.headers.get("content-length").and_then(|text| text.to_str().ok()?.parse().ok());
            let large = bytes.is_some_and(|bytes: usize| bytes >= 64 * 1024);
            let upload = parts.uri.path().contains(UPLOADS) && large;
            upload.then(|| faults(sent.fetch_add(1, Ordering::SeqCst), parts))?
        });
        self
    }

    /// The image arrives, byte for byte.
    #[track_caller]
    fn arrives(&self) -> Told {
        let told = self.story.sync();
        told.expect(&["copied"]);
        assert_eq!(self.story.mirrored(NAME, "1").as_ref(), Some(&self.image));
        self.story.assert_whole(NAME, &self.image.digest);
        told
    }

    /// It fails for this reason, and there is no tag.
    #[track_caller]
    fn fails(&self, says: &[&str]) -> Told {
        let told = self.story.sync();
        told.expect(&["failed"]);
        for part in says {
            assert!(told.cause(0).contains(part), "no `{part}` in: {}", told.cause(0));
        }
        assert_eq!(self.story.mirrored(NAME, "1"), None);
        told
    }

    /// The requests for the layer at the source.
    fn downloads(&self) -> Vec<Logged> {
        let mut requests = self.story.source.requests();
        requests.retain(|it| it.method == Method::GET && it.path.contains(&self.layer.to_string()));
        requests
    }

    /// The `Range` of each of them; empty where there was none.
    fn ranges(&self) -> Vec<String> {
        self.downloads().iter().map(|it| it.header("range")).collect()
    }

    /// The requests with bytes of uploads, as `METHOD LENGTH STATUS`, without the small ones.
    fn uploads(&self) -> Vec<String> {
        let requests = self.story.target.requests().into_iter();
        let sent = requests.filter(|it| it.path.contains(UPLOADS) && it.method != Method::POST);
        let sent = sent.map(|it| (it.header("content-length").parse().unwrap_or(0), it));
        sent.filter(|(length, it)| *length >= 64 * 1024 || it.method == Method::GET)
            .map(|(length, it)| format!("{} {length} {}", it.method, it.status))
            .collect()
    }
}

/// A number of the report's totals.
fn total(told: &Told, name: &str) -> u64 {
    told.json()["totals"][name].as_u64().expect("a number")
}
