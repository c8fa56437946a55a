use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::oci::MediaType;

const IF_MISSING: Push<'static> = Push::IfMissing { mount_from: None };
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Gives the same pieces each time, and then an error if there is one.
struct Pieces(Vec<&'static [u8]>, Option<StoreError>);

#[async_trait]
impl BlobOrigin for Pieces {
    async fn open(&self) -> Result<BlobStream, StoreError> {
        let pieces: Vec<_> = self.0.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        let pieces = pieces.into_iter().chain(self.1.clone().map(Err));
        Ok(Box::pin(futures::stream::iter(pieces)))
    }
}

fn new() -> (TempDir, Layout) {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(folder.path().join("My Images"));
    (folder, layout)
}

fn path(layout: &Layout) -> &Path {
    layout.inner.folder.path()
}

fn repository(name: &str) -> Repository {
    name.parse().expect("a repository")
}

fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.parse().expect("a tag"))
}

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::OCI_LAYER, Digest::sha256(bytes), bytes.len() as u64)
}

/// An image with one layer; its blobs are put there, the manifest is not.
async fn image(layout: &Layout, layer: &'static [u8]) -> RawManifest {
    for bytes in [layer, b"{}"] {
        let pieces = Pieces(vec![bytes], None);
        layout.push_blob(&repository("a"), &blob(bytes), IF_MISSING, &pieces).await.expect("pushed");
    }
    let mut config = blob(b"{}");
    config.media_type = MediaType::OCI_CONFIG;
    let document = json!({ "schemaVersion": 2, "config": config, "layers": [blob(layer)] });
    RawManifest::new(MediaType::OCI_MANIFEST, document.to_string())
}

fn index(layout: &Layout) -> Value {
    let bytes = fs::read(path(layout).join("index.json")).expect("an index");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn write_index(layout: &Layout, manifests: &Value) {
    let document = json!({ "schemaVersion": 2, "manifests": manifests });
    fs::write(path(layout).join("index.json"), document.to_string()).expect("written");
}

/// The files that are not whole.
fn unfinished(layout: &Layout) -> usize {
    fs::read_dir(path(layout).join(".uploads")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn reading_makes_nothing() {
    let (folder, layout) = new();
    let (a, v1) = (repository("a"), tag("v1"));
    assert_eq!(layout.resolve(&a, &v1).await.expect("absent"), None);
    assert_eq!(layout.manifest(&a, &ManifestRef::Digest(Digest::sha256(b""))).await.expect("absent"), None);
    assert!(!layout.has_blob(&a, &blob(b"")).await.expect("absent"));
    assert_eq!(layout.referrers(&a, &Digest::sha256(b""), None).await.expect("none"), []);
    assert_eq!(layout.all_tags(&a).await.expect("none"), Some(Arc::default()));
    let error = layout.blob(&a, &blob(b"")).await.err().expect("absent");
    assert_eq!(error.kind, StoreErrorKind::NotFound);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn an_image_is_there_for_others_as_the_specification_says() {
    let (_folder, layout) = new();
    let manifest = image(&layout, b"layer").await;
    layout.push_manifest(&repository("org/app"), &tag("v1"), &manifest).await.expect("pushed");

    let read = |name: &str| fs::read_to_string(path(&layout).join(name)).expect("a file");
    let version: Value = serde_json::from_str(&read("oci-layout")).expect("JSON");
    assert_eq!(version, json!({ "imageLayoutVersion": "1.0.0" }));
    assert_eq!(read(&format!("blobs/sha256/{}", Digest::sha256(b"layer").hex())), "layer");
    assert_eq!(read(&format!("blobs/sha256/{}", manifest.digest.hex())).as_bytes(), manifest.bytes);
    assert_eq!(
        index(&layout)["manifests"],
        json!([{
            "mediaType": MediaType::OCI_MANIFEST, "digest": manifest.digest, "size": manifest.bytes.len(),
            "annotations": { "org.opencontainers.image.ref.name": "org/app:v1" },
        }])
    );
    // Another process sees the same.
    let other = Layout::new(path(&layout));
    let found = other.manifest(&repository("org/app"), &tag("v1")).await.expect("read");
    assert_eq!(found.as_ref(), Some(&manifest));
    assert_eq!(
        other.resolve(&repository("org/app"), &tag("v1")).await.expect("read"),
        Some(manifest.descriptor())
    );
    assert_eq!(other.repositories().await.expect("read"), [repository("org/app")]);
    assert_eq!(unfinished(&layout), 0);
}

#[tokio::test]
async fn what_breaks_off_or_is_wrong_gets_no_name() {
    let (_folder, layout) = new();
    let a = repository("a");
    let broken = StoreError::new("read blob", "x", StoreErrorKind::Unavailable, "the connection ended");
    for (pieces, kind) in [
        (Pieces(vec![b"lay"], Some(broken)), StoreErrorKind::Unavailable),
        (Pieces(vec![b"lay"], None), StoreErrorKind::Corrupt),
        (Pieces(vec![b"layers"], None), StoreErrorKind::Corrupt),
        (Pieces(vec![b"l", b"4yer"], None), StoreErrorKind::Corrupt),
    ] {
        let error = layout.push_blob(&a, &blob(b"layer"), IF_MISSING, &pieces).await.expect_err("refused");
        assert_eq!(error.kind, kind);
        assert!(!layout.has_blob(&a, &blob(b"layer")).await.expect("read"));
        assert_eq!(unfinished(&layout), 0);
    }
    let pieces = Pieces(vec![b"la", b"yer"], None);
    let placed = layout.push_blob(&a, &blob(b"layer"), IF_MISSING, &pieces).await.expect("pushed");
    assert_eq!(placed, Placed::Uploaded);
    // It is not read a second time.
    let never = Pieces(vec![], None);
    let placed =
        layout.push_blob(&repository("b"), &blob(b"layer"), IF_MISSING, &never).await.expect("there");
    assert_eq!(placed, Placed::Present);
}

#[tokio::test]
async fn a_file_that_lost_its_end_is_no_blob() {
    let (_folder, layout) = new();
    let a = repository("a");
    image(&layout, b"layer").await;
    fs::write(layout.inner.folder.blob_path(&blob(b"layer").digest), "lay").expect("written");
    assert!(!layout.has_blob(&a, &blob(b"layer")).await.expect("read"));
    let pieces = Pieces(vec![b"layer"], None);
    layout.push_blob(&a, &blob(b"layer"), IF_MISSING, &pieces).await.expect("pushed");
    assert!(layout.has_blob(&a, &blob(b"layer")).await.expect("read"));
}

#[tokio::test]
async fn a_file_that_rotted_is_replaced_when_sent_again() {
    let (_folder, layout) = new();
    let file = layout.inner.folder.blob_path(&blob(b"layer").digest);
    image(&layout, b"layer").await;
    fs::write(&file, "l4yer").expect("written");
    let pieces = Pieces(vec![b"layer"], None);
    let placed = layout.push_blob(&repository("a"), &blob(b"layer"), Push::Again, &pieces).await;
    assert_eq!(placed.expect("pushed"), Placed::Uploaded);
    assert_eq!(fs::read(&file).expect("a file"), b"layer");
}

#[tokio::test]
async fn a_manifest_is_refused_while_its_content_is_missing() {
    let (_folder, layout) = new();
    let a = repository("a");
    let child = image(&layout, b"layer").await;
    let document = json!({ "schemaVersion": 2, "manifests": [child.descriptor()] });
    let parent = RawManifest::new(MediaType::OCI_INDEX, document.to_string());
    let error = layout.push_manifest(&a, &tag("v1"), &parent).await.expect_err("refused");
    assert_eq!(error.kind, StoreErrorKind::ContentUnknown);
    assert!(error.to_string().contains(&child.digest.to_string()), "{error}");
    assert!(error.to_string().contains("My Images/a:v1"), "{error}");

    layout.push_manifest(&a, &child.digest.clone().into(), &child).await.expect("pushed");
    layout.push_manifest(&a, &tag("v1"), &parent).await.expect("pushed");
    // The child has no entry of its own.
    assert_eq!(index(&layout)["manifests"].as_array().map(Vec::len), Some(1));
    let found = layout.manifest(&a, &child.digest.clone().into()).await.expect("read");
    assert_eq!(found, Some(child));
}

#[tokio::test]
async fn a_referrer_has_an_entry_and_keeps_it_without_its_tag() {
    let (_folder, layout) = new();
    let a = repository("a");
    let subject = image(&layout, b"layer").await;
    layout.push_manifest(&a, &tag("v1"), &subject).await.expect("pushed");
    let mut document: Value = serde_json::from_slice(&subject.bytes).expect("JSON");
    document["subject"] = json!(subject.descriptor());
    document["artifactType"] = json!("application/x");
    document["annotations"] = json!({ "org.opencontainers.image.ref.name": "evil:v1" });
    let referrer = RawManifest::new(MediaType::OCI_MANIFEST, document.to_string());
    layout.push_manifest(&a, &referrer.digest.clone().into(), &referrer).await.expect("pushed");
    layout.push_manifest(&a, &tag("sig"), &referrer).await.expect("pushed");
    // The subject, the referrer, and the list of referrers.
    assert_eq!(index(&layout)["manifests"].as_array().map(Vec::len), Some(3));
    assert!(layout.delete_manifest(&a, &tag("sig")).await.expect("deleted"));

    let found = layout.referrers(&a, &subject.digest, None).await.expect("read");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, referrer.digest);
    assert_eq!(found[0].artifact_type.as_deref(), Some("application/x"));
    assert_eq!(found[0].annotations["org.opencontainers.image.ref.name"], "evil:v1");
    // The manifest's own annotations do not make names.
    assert_eq!(layout.repositories().await.expect("read"), [repository("a")]);
}

/// The names and digests of the entries that have a name.
fn named(layout: &Layout) -> Vec<(String, Digest)> {
    let index = index(layout);
    let entries = index["manifests"].as_array().expect("entries").iter();
    let name = |entry: &Value| Some(entry["annotations"][REF_NAME].as_str()?.to_owned());
    let digest = |entry: &Value| entry["digest"].as_str()?.parse().ok();
    entries.filter_map(|entry| Some((name(entry)?, digest(entry)?))).collect()
}

#[tokio::test]
async fn the_list_of_referrers_that_other_tools_read_is_kept_up() {
    let (_folder, layout) = new();
    let a = repository("a");
    let subject = image(&layout, b"layer").await;
    layout.push_manifest(&a, &tag("v1"), &subject).await.expect("pushed");
    let referrers = [1, 2].map(|number| {
        let mut document: Value = serde_json::from_slice(&subject.bytes).expect("JSON");
        document["subject"] = json!(subject.descriptor());
        document["artifactType"] = json!(format!("application/{number}"));
        RawManifest::new(MediaType::OCI_MANIFEST, document.to_string())
    });
    let listed = || {
        let name = format!("sha256-{}", subject.digest.hex());
        let list = named(&layout).into_iter().find(|(found, _)| *found == name).map(|(_, digest)| digest)?;
        let bytes = fs::read(layout.inner.folder.blob_path(&list)).expect("a list");
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        Some(document["manifests"].as_array().map_or(0, Vec::len))
    };
    let files = || fs::read_dir(path(&layout).join("blobs/sha256")).expect("blobs").count();
    assert_eq!(listed(), None);
    let before = files();
    for (count, referrer) in referrers.iter().enumerate() {
        layout.push_manifest(&a, &referrer.digest.clone().into(), referrer).await.expect("pushed");
        assert_eq!(listed(), Some(count + 1));
    }
    // The two and the list; the list of before is gone.
    assert_eq!(files(), before + 3);
    assert_eq!(layout.tags(&a).await.expect("read"), Some(vec!["v1".parse().expect("a tag")]));
    assert_eq!(layout.repositories().await.expect("read"), std::slice::from_ref(&a));

    // What only the list names is found, too.
    let mut document = index(&layout);
    let entries = document["manifests"].as_array_mut().expect("entries");
    entries.retain(|entry| entry["annotations"].is_object());
    write_index(&layout, &document["manifests"]);
    assert_eq!(layout.referrers(&a, &subject.digest, None).await.expect("read").len(), 2);

    for (left, referrer) in [(Some(1), &referrers[0]), (None, &referrers[1])] {
        assert!(layout.delete_manifest(&a, &referrer.digest.clone().into()).await.expect("deleted"));
        assert_eq!(listed(), left);
    }
    assert_eq!(layout.referrers(&a, &subject.digest, None).await.expect("read"), []);
    assert_eq!(files(), before);
}

#[tokio::test]
async fn a_tag_of_another_tool_belongs_to_the_folders_repository() {
    let (_folder, layout) = new();
    let manifest = image(&layout, b"layer").await;
    layout.push_manifest(&repository("a"), &tag("v1"), &manifest).await.expect("pushed");
    let mut entry = index(&layout)["manifests"][0].clone();
    entry["annotations"]["org.opencontainers.image.ref.name"] = json!("v1");
    write_index(&layout, &json!([entry]));
    let mine = repository("my-images");
    // The change was seen.
    assert_eq!(layout.repositories().await.expect("read"), std::slice::from_ref(&mine));
    assert_eq!(layout.manifest(&mine, &tag("v1")).await.expect("read"), Some(manifest.clone()));
    layout.push_manifest(&mine, &tag("v1"), &manifest).await.expect("pushed");
    assert_eq!(index(&layout)["manifests"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_tag_without_its_manifest_is_an_error_and_not_absent() {
    let (_folder, layout) = new();
    let manifest = image(&layout, b"layer").await;
    layout.push_manifest(&repository("a"), &tag("v1"), &manifest).await.expect("pushed");
    let file = layout.inner.folder.blob_path(&manifest.digest);
    fs::write(&file, "{}").expect("written");
    let error = layout.resolve(&repository("a"), &tag("v1")).await.expect_err("corrupt");
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    fs::remove_file(&file).expect("removed");
    let error = layout.resolve(&repository("a"), &tag("v1")).await.expect_err("corrupt");
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    // It can be healed.
    layout.push_manifest(&repository("a"), &tag("v1"), &manifest).await.expect("pushed");
    assert!(layout.resolve(&repository("a"), &tag("v1")).await.expect("read").is_some());
}

#[tokio::test]
async fn other_folders_and_broken_indexes_are_told() {
    let (folder, _) = new();
    fs::write(folder.path().join("notes.txt"), "mine").expect("written");
    let layout = Layout::new(folder.path());
    for error in [
        layout.resolve(&repository("a"), &tag("v1")).await.expect_err("no layout"),
        layout.prepare().await.expect_err("no layout"),
    ] {
        assert_eq!(error.kind, StoreErrorKind::Unsupported);
        assert!(error.message.contains("no OCI image layout"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);

    let (_folder, layout) = new();
    layout.prepare().await.expect("prepared");
    fs::write(path(&layout).join("index.json"), "{").expect("written");
    let error = layout.resolve(&repository("a"), &tag("v1")).await.expect_err("broken");
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    let manifest = image(&layout, b"layer").await;
    let error = layout.push_manifest(&repository("a"), &tag("v1"), &manifest).await.expect_err("broken");
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    assert_eq!(fs::read(path(&layout).join("index.json")).expect("a file"), b"{");
    fs::write(path(&layout).join("oci-layout"), "{\"imageLayoutVersion\":\"2.0.0\"}").expect("written");
    let error = layout.resolve(&repository("a"), &tag("v1")).await.expect_err("another version");
    assert_eq!(error.kind, StoreErrorKind::Unsupported);
}

#[tokio::test]
async fn an_index_of_indexes_can_be_read() {
    let (_folder, layout) = new();
    let child = image(&layout, b"layer").await;
    layout.push_manifest(&repository("a"), &child.digest.clone().into(), &child).await.expect("pushed");
    let mut inner =
        RawManifest::new(MediaType::OCI_INDEX, json!({ "manifests": [child.descriptor()] }).to_string());
    for depth in 0..50 {
        layout.push_manifest(&repository("a"), &tag(&format!("d{depth}")), &inner).await.expect("pushed");
        inner =
            RawManifest::new(MediaType::OCI_INDEX, json!({ "manifests": [inner.descriptor()] }).to_string());
    }
    let error = layout.delete_blob(&repository("a"), &blob(b"layer").digest).await.expect_err("needed");
    assert_eq!(error.kind, StoreErrorKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_write_at_a_time_lose_no_name() {
    let (_folder, layout) = new();
    let manifest = image(&layout, b"layer").await;
    // Another instance shares nothing with this one, as another process would.
    let other = Layout::new(path(&layout));
    let pushes = (0..40).map(|number| {
        let (layout, manifest) = (if number % 2 == 0 { &layout } else { &other }.clone(), manifest.clone());
        tokio::spawn(async move {
            layout.push_manifest(&repository("a"), &tag(&format!("v{number}")), &manifest).await
        })
    });
    for push in futures::future::join_all(pushes).await {
        push.expect("no panic").expect("pushed");
    }
    assert_eq!(layout.tags(&repository("a")).await.expect("read").map(|tags| tags.len()), Some(40));
}

#[tokio::test]
async fn what_a_killed_run_left_is_cleared_and_what_others_write_is_not() {
    let (_folder, layout) = new();
    let mut incoming = layout.start_upload().await.expect("started");
    incoming.append(b"lay").await.expect("written");
    fs::write(path(&layout).join(".uploads/abandoned"), "half").expect("written");
    assert_eq!(unfinished(&layout), 2);
    Layout::new(path(&layout)).prepare().await.expect("prepared");
    assert_eq!(unfinished(&layout), 1);
    incoming.append(b"er").await.expect("written");
    incoming.finish(&repository("a"), &blob(b"layer").digest).await.expect("kept");
    assert_eq!(unfinished(&layout), 0);
    assert!(layout.has_blob(&repository("a"), &blob(b"layer")).await.expect("read"));
}

#[tokio::test]
#[cfg(unix)]
async fn files_are_as_readable_as_any() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, layout) = new();
    fs::write(folder.path().join("plain"), "").expect("written");
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode();
    let plain = mode(&folder.path().join("plain"));
    image(&layout, b"layer").await;
    assert_eq!(mode(&layout.inner.folder.blob_path(&blob(b"layer").digest)), plain);
    assert_eq!(mode(&path(&layout).join("index.json")), plain);
    assert_eq!(mode(&path(&layout).join("oci-layout")), plain);
}
