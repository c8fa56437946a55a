//! Somebody who uses the mirror while it is made: whatever tag is there has to be the right one, and whole.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use image_syncer::oci::{Descriptor, Digest, MediaType, RawManifest};
use tokio::runtime::Runtime;

use crate::images::Image;

/// Looks at a registry, by requests of its own.
pub(crate) struct Look {
    runtime: Runtime,
    http: reqwest::Client,
    host: String,
}

impl Look {
    pub(crate) fn at(host: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60));
        Self { runtime, http: http.build().expect("a client"), host: host.to_owned() }
    }

    /// The answer to a request, if it is a 200.
    fn ask(&self, method: http::Method, path: &str) -> Option<reqwest::Response> {
        let accept = [MediaType::OCI_INDEX, MediaType::OCI_MANIFEST].map(|it| it.to_string()).join(", ");
        let url = format!("http://{}/v2/{path}", self.host);
        let request = self.http.request(method, url).header("accept", accept);
        let answer = self.runtime.block_on(async { request.send().await }).ok()?;
        (answer.status() == 200).then_some(answer)
    }

    /// What a tag stands for; `None` if it is not there.
    pub(crate) fn tag(&self, name: &str, tag: &str) -> Option<Digest> {
        let answer = self.ask(http::Method::HEAD, &format!("{name}/manifests/{tag}"))?;
        answer.headers().get("docker-content-digest")?.to_str().ok()?.parse().ok()
    }

    pub(crate) fn blob_size(&self, name: &str, digest: &Digest) -> Option<u64> {
        let answer = self.ask(http::Method::HEAD, &format!("{name}/blobs/{digest}"))?;
        answer.headers().get("content-length")?.to_str().ok()?.parse().ok()
    }

    fn get(&self, path: &str) -> Option<Vec<u8>> {
        let answer = self.ask(http::Method::GET, path)?;
        self.runtime.block_on(async { answer.bytes().await }).ok().map(|bytes| bytes.to_vec())
    }

    /// What is missing of an image, or is not what its digest says; `None` if it is whole.
    fn fault(&self, name: &str, image: &Descriptor) -> Option<String> {
        let Some(bytes) = self.get(&format!("{name}/manifests/{}", image.digest)) else {
            return Some(format!("{name} lacks the manifest {}", image.digest));
        };
        let manifest = RawManifest::new(image.media_type.clone(), bytes);
        if manifest.digest != image.digest {
            return Some(format!("{name} has {} for {}", manifest.digest, image.digest));
        }
        let parsed = manifest.parse().expect("a manifest");
        let blob = parsed.blobs().find(|blob| {
            let bytes = self.get(&format!("{name}/blobs/{}", blob.digest));
            bytes.is_none_or(|bytes| Digest::sha256(&bytes) != blob.digest)
        });
        if let Some(blob) = blob {
            return Some(format!("{name} lacks the blob {}", blob.digest));
        }
        parsed.children().iter().find_map(|child| self.fault(name, child))
    }
}

/// Polls all tags until it is told to finish.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    rounds: usize,
    whole: HashSet<String>,
    faults: Vec<String>,
}

impl Reader {
    pub(crate) fn start(host: &str, images: &[Image]) -> Self {
        let expected: Vec<(String, Descriptor)> = images
            .iter()
            .map(|image| (format!("mirror/{}", image.name), image.manifest.descriptor()))
            .collect();
        let (look, stop) = (Look::at(host), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            loop {
                // One more round after the end, so that everything has been looked at.
                let last = stopped.load(Ordering::SeqCst);
                for (name, image) in &expected {
                    seen.look(&look, name, image);
                }
                seen.rounds += 1;
                if last {
                    for (name, image) in &expected {
                        seen.faults.extend(look.fault(name, image));
                    }
                    return seen;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, thread }
    }

    /// Ends, and fails if a tag was ever wrong, or is not there now.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        let seen = self.thread.join().expect("a reader");
        assert!(seen.faults.is_empty(), "{:#?}", seen.faults);
        assert!(seen.rounds > 2, "the reader looked {} times", seen.rounds);
        println!("the reader looked at all tags {} times; {} are whole", seen.rounds, seen.whole.len());
    }
}

impl Seen {
    fn look(&mut self, look: &Look, name: &str, image: &Descriptor) {
        let Some(found) = look.tag(name, "1") else {
            if self.whole.contains(name) {
                self.faults.push(format!("{name}:1 was there and is gone"));
            }
            return;
        };
        if found != image.digest {
            self.faults.push(format!("{name}:1 is {found}"));
        } else if self.whole.insert(name.to_owned()) {
            self.faults
                .extend(look.fault(name, image).map(|fault| format!("while it had the tag 1, {fault}")));
        }
    }
}
