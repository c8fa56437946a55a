//! An image layout folder as the target: the same job, the same guarantees.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::Method;
use image_syncer::layout::Layout;
use image_syncer::oci::{Digest, MediaType, RawManifest};
use image_syncer::report::Interruption;
use image_syncer::serve::Memory;
use serde_json::{Value, json};
use support::companions::{SPDX, cosign_tag, digests, put_cosign, sign, sorted};
use support::content::{put_blob_sha512, put_image, put_image_for, put_index, put_referrer, repository};
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::Scenario;

const NAME: &str = "team/app";

/// A folder that ends with the test, and a story that goes into it.
struct IntoFolder {
    story: Scenario,
    path: PathBuf,
    place: tempfile::TempDir,
}

fn into_folder() -> IntoFolder {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("deep/layout");
    let story = Scenario::new().into_layout(&path).lists("team/app:1");
    IntoFolder { story, path, place }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// All files below a folder with their bytes and the time of their last change.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let changed = fs::metadata(&path).and_then(|it| it.modified()).expect("a time");
                found.insert(path.clone(), (fs::read(&path).expect("a file"), changed));
            }
        }
    }
    found
}

impl IntoFolder {
    fn index(&self) -> Value {
        read_json(&self.path.join("index.json"))
    }

    /// The names in `index.json` with their digests.
    fn names(&self) -> BTreeMap<String, String> {
        let index = self.index();
        let entries = index["manifests"].as_array().expect("a list").clone();
        let named = entries.iter().filter_map(|entry| {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str()?;
            Some((name.to_owned(), entry["digest"].as_str()?.to_owned()))
        });
        named.collect()
    }

    fn name(&self, tag: &str) -> String {
        format!("{}:{tag}", self.story.at_target(NAME))
    }

    fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        fs::read(self.path.join("blobs").join(digest.algorithm()).join(digest.hex())).ok()
    }

    /// Asserts that the folder is a layout: each file among the blobs has the digest that it is called by,
    /// and each manifest's successors are there with their sizes.
    fn assert_valid(&self) {
        assert_eq!(read_json(&self.path.join("oci-layout")), json!({ "imageLayoutVersion": "1.0.0" }));
        let index = self.index();
        assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(MediaType::OCI_INDEX)));
        let mut blobs = 0;
        for (path, (bytes, _)) in files(&self.path.join("blobs")) {
            let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
            let digest: Digest = format!("{}:{}", parts[1], parts[0]).parse().expect("a digest");
            assert_eq!(digest.same_algorithm(&bytes), digest);
            blobs += 1;
        }
        let mut open: Vec<Value> = index["manifests"].as_array().expect("a list").clone();
        let mut seen = Vec::new();
        while let Some(descriptor) = open.pop() {
            let digest: Digest = serde_json::from_value(descriptor["digest"].clone()).expect("a digest");
            let bytes = self.blob(&digest).unwrap_or_else(|| panic!("{digest} is missing"));
            assert_eq!(descriptor["size"], json!(bytes.len()));
            if seen.contains(&digest) {
                continue;
            }
            seen.push(digest);
            let media_type = MediaType::new(descriptor["mediaType"].as_str().expect("a text"));
            if media_type.is_manifest() {
                let document: Value = serde_json::from_slice(&bytes).expect("JSON");
                for list in ["manifests", "layers"] {
                    open.extend(document[list].as_array().into_iter().flatten().cloned());
                }
                open.extend(document.get("config").cloned());
            }
        }
        assert_eq!(seen.len(), blobs, "there is nothing that nobody names");
        assert_eq!(files(&self.path.join(".uploads")).len(), 0, "nothing is left of files in the making");
    }

    #[track_caller]
    fn assert_settled(&self) {
        let before = files(&self.path);
        let told = self.story.sync();
        assert!(told.words().iter().all(|word| *word == "up-to-date"), "{}", told.text());
        assert!(files(&self.path) == before, "a second run wrote something");
    }
}

fn index_of_two(memory: &Memory) -> (RawManifest, RawManifest, RawManifest) {
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"base", b"a"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"base", b"b"]);
    let index = put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    (index, amd64, arm64)
}

#[test]
fn an_image_becomes_a_valid_layout() {
    let folder = into_folder();
    let (index, amd64, arm64) = index_of_two(&folder.story.source.memory);
    let told = folder.story.sync();
    told.expect(&["copied"]);
    folder.assert_valid();
    assert_eq!(folder.names(), BTreeMap::from([(folder.name("1"), index.digest.to_string())]));
    for manifest in [&index, &amd64, &arm64] {
        assert_eq!(folder.blob(&manifest.digest).as_deref(), Some(&manifest.bytes[..]));
    }
    assert_eq!(told.item(0)["target"], json!(format!("oci:{}/{}", folder.path.display(), folder.name("1"))));
    folder.assert_settled();
}

#[test]
fn a_plan_makes_no_folder() {
    let folder = into_folder();
    index_of_two(&folder.story.source.memory);
    let told = folder.story.plan();
    told.expect(&["copy"]);
    assert_eq!(told.exit_code(), 0);
    assert!(!folder.path.exists());
    folder.story.sync().expect(&["copied"]);
    let before = files(&folder.path);
    folder.story.plan().expect(&["up-to-date"]);
    assert!(files(&folder.path) == before);
}

#[test]
fn other_content_under_the_name_is_a_conflict() {
    let folder = into_folder();
    index_of_two(&folder.story.source.memory);
    folder.story.sync().expect(&["copied"]);
    let before = files(&folder.path);
    let moved = put_image(&folder.story.source.memory, NAME, Some("1"), &[b"moved"]);
    sign(&folder.story.source.memory, NAME, &moved);
    for told in [folder.story.plan(), folder.story.sync()] {
        told.expect(&["conflict"]);
        assert_eq!(told.exit_code(), 3);
    }
    assert!(files(&folder.path) == before, "nothing was written");
}

#[test]
fn companions_have_names_or_are_found_by_their_subject() {
    let folder = into_folder();
    let memory = &folder.story.source.memory;
    let (index, amd64, _) = index_of_two(memory);
    let signature = put_cosign(memory, NAME, &index, ".sig", &[("p", "s1")]);
    let sbom = put_referrer(memory, NAME, &amd64, SPDX, b"an SBOM");
    let of_sbom = put_referrer(memory, NAME, &sbom, "application/vnd.cncf.notary.signature", b"signed");
    let told = folder.story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["companions_proof"], json!({ "expected": 3, "verified": 3 }));
    folder.assert_valid();
    let tag = folder.name(&cosign_tag(&index, ".sig"));
    assert_eq!(folder.names().get(&tag), Some(&signature.digest.to_string()));
    // Beside them are lists of referrers that no repository has, for tools that look there.
    assert_eq!(folder.names().keys().filter(|name| name.contains(':')).count(), 2);
    let entries = folder.index()["manifests"].as_array().expect("a list").clone();
    for referrer in [&sbom, &of_sbom] {
        assert!(entries.iter().any(|entry| entry["digest"] == json!(referrer.digest)));
    }
    folder.assert_settled();

    let memory = &folder.story.source.memory;
    let grown = put_cosign(memory, NAME, &index, ".sig", &[("p", "s1"), ("p", "s2")]);
    put_referrer(memory, NAME, &index, SPDX, b"a later SBOM");
    folder.story.sync().expect(&["companions-copied"]);
    assert_eq!(folder.names().get(&tag), Some(&grown.digest.to_string()));
    folder.assert_settled();

    put_cosign(&folder.story.source.memory, NAME, &index, ".sig", &[("p", "s3")]);
    folder.story.sync().expect(&["conflict"]);
    assert_eq!(folder.names().get(&tag), Some(&grown.digest.to_string()));
}

#[test]
fn an_interrupted_run_leaves_no_name_and_the_next_one_goes_on() {
    let mut folder = into_folder();
    folder.story.settings.concurrency = Some(1);
    // A folder on a busy disk takes its time.
    folder.story.settings.patience.idle = Duration::from_secs(60);
    let image = put_image(&folder.story.source.memory, NAME, Some("1"), &[b"one", b"two", &vec![3; 200_000]]);
    let (sender, stop) = tokio::sync::oneshot::channel();
    let (sender, pulls) = (Mutex::new(Some(sender)), AtomicUsize::new(0));
    let kept = folder.path.join("blobs/sha256");
    folder.story.source.on_request(move |parts| {
        let pull = parts.method == Method::GET && parts.uri.path().contains("/blobs/");
        if !pull || pulls.fetch_add(1, Ordering::SeqCst) < 3 {
            return None;
        }
        // The blobs before this one have been read; they are written at the folder's own pace.
        for _ in 0..5000 {
            if fs::read_dir(&kept).is_ok_and(|files| files.count() == 3) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        sender.lock().expect("a lock").take().map(|sender| sender.send(Interruption::Interrupt));
        // Any of the four can be the last, and the shortest has three bytes.
        Some(Fault::StallAfter(2))
    });
    let told = folder.story.sync_until(async { stop.await.expect("a signal") });
    told.expect(&["not-run"]);
    assert_eq!(told.exit_code(), 130);
    assert_eq!(folder.names(), BTreeMap::new());
    let blobs = image.parse().expect("a manifest");
    let arrived: Vec<&Digest> =
        blobs.blobs().map(|blob| &blob.digest).filter(|digest| folder.blob(digest).is_some()).collect();
    assert_eq!(arrived.len(), 3);

    folder.story.source.heal();
    folder.story.source.clear_log();
    folder.story.sync().expect(&["copied"]);
    for digest in arrived {
        let again = folder.story.source.count(&Method::GET, &format!("/blobs/{digest}"));
        assert_eq!(again, 0, "{digest} was fetched again");
    }
    folder.assert_valid();
    folder.assert_settled();
}

#[test]
fn what_is_not_what_its_digest_says_gets_no_name() {
    let mut folder = into_folder();
    folder.story.settings.retry.retries = 0;
    put_image(&folder.story.source.memory, NAME, Some("1"), &[b"to be corrupted"]);
    let corrupt = Digest::sha256(b"to be corrupted");
    let path = format!("/blobs/{corrupt}");
    folder.story.source.on_request(move |parts| {
        let here = parts.method == Method::GET && parts.uri.path().ends_with(&path);
        here.then_some(Fault::Corrupt)
    });
    let told = folder.story.sync();
    told.expect(&["failed"]);
    assert_eq!(told.item(0)["cause"]["side"], "source");
    assert_eq!(folder.blob(&corrupt), None);
    assert_eq!(folder.names(), BTreeMap::new());
    folder.story.source.heal();
    folder.story.sync().expect(&["copied"]);
    folder.assert_valid();
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = into_folder();
    put_image(&folder.story.source.memory, NAME, Some("1"), &[b"one"]);
    fs::create_dir_all(&folder.path).expect("a folder");
    fs::write(folder.path.join("thesis.txt"), "years of work").expect("a file");
    let before = files(&folder.path);
    for told in [folder.story.plan(), folder.story.sync()] {
        assert_eq!(told.exit_code(), 1);
        assert!(told.text().contains("no OCI image layout"), "{}", told.text());
    }
    assert!(files(&folder.path) == before);
}

#[test]
fn what_other_tools_wrote_is_kept() {
    let folder = into_folder();
    put_image(&folder.story.source.memory, NAME, Some("1"), &[b"one"]);
    folder.story.sync().expect(&["copied"]);
    let mut index = folder.index();
    let foreign = json!({
        "mediaType": "application/vnd.example", "digest": Digest::sha256(b""), "size": 0, "x": [1.50],
    });
    index["manifests"].as_array_mut().expect("a list").insert(0, foreign.clone());
    index["x-tool"] = json!("kept");
    fs::write(folder.path.join("index.json"), index.to_string()).expect("a file");
    put_image(&folder.story.source.memory, NAME, Some("2"), &[b"two"]);
    let IntoFolder { story, path, place } = folder;
    let folder = IntoFolder { story: story.lists("team/app:2"), path, place };
    folder.story.sync().expect(&["up-to-date", "copied"]);
    assert_eq!(folder.index()["manifests"][0], foreign);
    assert_eq!(folder.index()["x-tool"], "kept");
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn each_blob_is_pulled_once_for_all_images() {
    let IntoFolder { mut story, path, place } = into_folder();
    story = story.other_list();
    for number in 0..5 {
        let name = format!("team/app{number}");
        put_image(&story.source.memory, &name, Some("1"), &[b"base", name.as_bytes()]);
        story = story.lists(&format!("{name}:1"));
    }
    story.sync().expect(&["copied"; 5]);
    // A config and a base that all share, and five layers.
    assert_eq!(story.source.count(&Method::GET, "/blobs/"), 7);
    let folder = IntoFolder { story, path, place };
    folder.assert_valid();
    assert_eq!(folder.names().len(), 5);
    folder.assert_settled();
}

#[test]
fn blobs_with_sha512_digests_have_their_own_folder() {
    let folder = into_folder();
    let memory = &folder.story.source.memory;
    let config = put_blob_sha512(memory, NAME, MediaType::OCI_CONFIG, b"{\"os\":\"linux\"}");
    let document = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    support::content::put(memory, &repository(NAME), Some("1"), MediaType::OCI_MANIFEST, &document);
    folder.story.sync().expect(&["copied"]);
    assert_eq!(folder.blob(&config.digest).as_deref(), Some(&b"{\"os\":\"linux\"}"[..]));
    folder.assert_valid();
    folder.assert_settled();
}

/// The folder, served as a registry, gives what the source gave: mirrored once more, it is the same.
#[test]
fn the_folder_can_be_served_and_gives_the_same_digests() {
    let folder = into_folder();
    let memory = &folder.story.source.memory;
    let (index, amd64, _) = index_of_two(memory);
    let signature = sign(memory, NAME, &index);
    let sbom = put_referrer(memory, NAME, &amd64, SPDX, b"an SBOM");
    folder.story.sync().expect(&["copied"]);

    let served = TestRegistry::builder().backend(Arc::new(Layout::new(&folder.path))).start();
    let at = folder.story.at_target(NAME);
    let again = Scenario::between(served, TestRegistry::start()).lists(&format!("{at}:1"));
    let before = files(&folder.path);
    let told = again.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["companions_proof"], json!({ "expected": 2, "verified": 2 }));
    assert_eq!(again.mirrored(&at, "1").as_ref(), Some(&index));
    assert_eq!(again.mirrored(&at, &cosign_tag(&index, ".sig")), Some(signature));
    let there = again.at_target(&at);
    assert_eq!(sorted(&again.target.referrers(&there, &amd64.digest)), digests(&[&sbom]));
    for child in index.parse().expect("an index").children() {
        let image = again.target.manifest(&there, &child.digest.to_string()).expect("a child");
        for blob in image.parse().expect("a manifest").blobs() {
            let source = folder.story.source.blob(NAME, &blob.digest);
            assert_eq!(again.target.blob(&there, &blob.digest), source);
        }
    }
    again.assert_settled();
    assert!(files(&folder.path) == before, "being read changes nothing");
}
