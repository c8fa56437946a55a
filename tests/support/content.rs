//! Small images, made on the spot and put into a store in memory.

use image_syncer::oci::{
    Descriptor, Digest, Digester, ManifestRef, MediaType, Platform, RawManifest, Repository, Tag,
};
use image_syncer::serve::Memory;
use image_syncer::store::{BlobOrigin, BlobStream, Push, StoreError, Target as _};
use serde_json::{Value, json};

/// A repository's name.
pub(crate) fn repository(name: &str) -> Repository {
    name.parse().expect("a repository")
}

/// A tag, or a digest where there is a `:`.
pub(crate) fn reference(text: &str) -> ManifestRef {
    text.parse().expect("a tag or a digest")
}

/// An image with these layers, under a tag or, with `None`, under its digest.
pub(crate) fn put_image(memory: &Memory, name: &str, tag: Option<&str>, layers: &[&[u8]]) -> RawManifest {
    put_image_for(memory, name, tag, "linux/amd64", layers)
}

/// An image for a platform; its config states it, so that two platforms are two images.
pub(crate) fn put_image_for(
    memory: &Memory,
    name: &str,
    tag: Option<&str>,
    platform: &str,
    layers: &[&[u8]],
) -> RawManifest {
    let repository = repository(name);
    let platform: Platform = platform.parse().expect("a platform");
    let mut config = json!(platform);
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [] });
    let config = memory.put_blob(&repository, MediaType::OCI_CONFIG, config.to_string());
    let layers: Vec<Descriptor> = layers
        .iter()
        .map(|layer| memory.put_blob(&repository, MediaType::OCI_LAYER_GZIP, layer.to_vec()))
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": config,
        "layers": layers,
    });
    put(memory, &repository, tag, MediaType::OCI_MANIFEST, &document)
}

/// An index of images that are there, each with its platform.
pub(crate) fn put_index(
    memory: &Memory,
    name: &str,
    tag: Option<&str>,
    children: &[(&RawManifest, &str)],
) -> RawManifest {
    let manifests: Vec<Descriptor> = children
        .iter()
        .map(|(child, platform)| {
            let mut descriptor = child.descriptor();
            descriptor.platform = Some(platform.parse().expect("a platform"));
            descriptor
        })
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": manifests,
    });
    put(memory, &repository(name), tag, MediaType::OCI_INDEX, &document)
}

/// An artifact that refers to `subject`, without a tag.
pub(crate) fn put_referrer(
    memory: &Memory,
    name: &str,
    subject: &RawManifest,
    artifact_type: &str,
    content: &[u8],
) -> RawManifest {
    let repository = repository(name);
    let config = memory.put_blob(&repository, MediaType::OCI_EMPTY, "{}");
    let layer = memory.put_blob(&repository, MediaType::new("application/octet-stream"), content.to_vec());
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config,
        "layers": [layer],
        "subject": subject.descriptor(),
        "annotations": { "org.opencontainers.image.created": "2024-01-01T00:00:00Z" },
    });
    put(memory, &repository, None, MediaType::OCI_MANIFEST, &document)
}

/// Any document as a manifest, also one that no strict registry would take.
pub(crate) fn put(
    memory: &Memory,
    repository: &Repository,
    tag: Option<&str>,
    media_type: MediaType,
    document: &Value,
) -> RawManifest {
    let manifest = RawManifest::new(media_type, document.to_string());
    let reference = match tag {
        Some(tag) => ManifestRef::Tag(tag.parse::<Tag>().expect("a tag")),
        None => ManifestRef::Digest(manifest.digest.clone()),
    };
    memory.put_manifest(repository, &reference, &manifest);
    manifest
}

/// Any text as a manifest, byte for byte.
pub(crate) fn put_text(
    memory: &Memory,
    name: &str,
    tag: Option<&str>,
    media_type: MediaType,
    text: &str,
) -> RawManifest {
    let manifest = RawManifest::new(media_type, text.to_owned());
    let by = tag.map_or_else(|| ManifestRef::Digest(manifest.digest.clone()), reference);
    memory.put_manifest(&repository(name), &by, &manifest);
    manifest
}

/// A blob under its SHA-512 digest.
pub(crate) fn put_blob_sha512(
    memory: &Memory,
    name: &str,
    media_type: MediaType,
    bytes: &'static [u8],
) -> Descriptor {
    struct Bytes(&'static [u8]);

    #[async_trait::async_trait]
    impl BlobOrigin for Bytes {
        async fn open(&self) -> Result<BlobStream, StoreError> {
            let whole = bytes::Bytes::from_static(self.0);
            Ok(Box::pin(futures::stream::iter([Ok(whole)])))
        }
    }

    let digest = sha512(bytes);
    let blob = Descriptor::new(media_type, digest, bytes.len() as u64);
    let repository = repository(name);
    let origin = Bytes(bytes);
    let pushed = memory.push_blob(&repository, &blob, Push::Again, &origin);
    futures::executor::block_on(pushed).expect("a blob");
    blob
}

/// An image with one layer of `size` bytes, which take little memory: most of its pieces are the same one. Gives the
/// layer's digest, too.
pub(crate) fn put_huge_image(memory: &Memory, name: &str, tag: &str, size: u64) -> (RawManifest, Digest) {
    const PIECE: u64 = 1024 * 1024;

    struct Pieces(Vec<bytes::Bytes>);

    #[async_trait::async_trait]
    impl BlobOrigin for Pieces {
        async fn open(&self) -> Result<BlobStream, StoreError> {
            Ok(Box::pin(futures::stream::iter(self.0.clone().into_iter().map(Ok))))
        }
    }

    // Each begins with its number, so that none can stand for another.
    let body = bytes::Bytes::from(noise(usize::try_from(PIECE).expect("a size") - 8));
    let numbers = (0..size / PIECE).map(|number| bytes::Bytes::copy_from_slice(&number.to_be_bytes()));
    let pieces = Pieces(numbers.flat_map(|number| [number, body.clone()]).collect());
    let mut digester = Digester::sha256();
    pieces.0.iter().for_each(|piece| digester.update(piece));
    let layer = Descriptor::new(MediaType::OCI_LAYER, digester.finish(), size / PIECE * PIECE);
    let repository = repository(name);
    let pushed = memory.push_blob(&repository, &layer, Push::Again, &pieces);
    futures::executor::block_on(pushed).expect("a blob");
    let config = json!({ "architecture": "amd64", "os": "linux" }).to_string();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": memory.put_blob(&repository, MediaType::OCI_CONFIG, config),
        "layers": [&layer],
    });
    let image = put(memory, &repository, Some(tag), MediaType::OCI_MANIFEST, &document);
    (image, layer.digest)
}

/// The SHA-512 digest of some bytes.
pub(crate) fn sha512(bytes: &[u8]) -> Digest {
    let mut digester = Digester::Sha512(Box::default());
    digester.update(bytes);
    digester.finish()
}

/// So many bytes that do not repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = length as u64 | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift, by Marsaglia.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
