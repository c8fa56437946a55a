//! What belongs to images: signatures, attestations and SBOMs in their several forms.

use image_syncer::oci::{Descriptor, Digest, ManifestRef, MediaType, RawManifest, Tag};
use image_syncer::serve::Memory;
use serde_json::{Value, json};

use super::content::{put, repository};

/// notation's signatures.
pub(crate) const NOTATION: &str = "application/vnd.cncf.notary.signature";
/// An SBOM.
pub(crate) const SPDX: &str = "application/spdx+json";
/// A sigstore bundle.
pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// cosign's tag for a manifest: `.sig`, `.att` or `.sbom`.
pub(crate) fn cosign_tag(subject: &RawManifest, suffix: &str) -> String {
    Tag::cosign(&subject.digest, suffix).expect("a tag").to_string()
}

/// The tag of the referrers of a manifest where there is no API.
pub(crate) fn fallback_tag(subject: &RawManifest) -> String {
    Tag::referrers_fallback(&subject.digest).to_string()
}

/// What cosign puts under a tag: a layer for each payload and signature.
pub(crate) fn put_cosign(
    memory: &Memory,
    name: &str,
    subject: &RawManifest,
    suffix: &str,
    layers: &[(&str, &str)],
) -> RawManifest {
    let repository = repository(name);
    let layers: Vec<Descriptor> = layers
        .iter()
        .map(|(payload, signature)| {
            let media_type = MediaType::new("application/vnd.dev.cosign.simplesigning.v1+json");
            let mut layer = memory.put_blob(&repository, media_type, (*payload).to_owned());
            let key = "dev.cosignproject.cosign/signature".to_owned();
            layer.annotations.insert(key, (*signature).to_owned());
            layer
        })
        .collect();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": memory.put_blob(&repository, MediaType::OCI_CONFIG, "{\"cosign\":1}"),
        "layers": layers,
    });
    put(memory, &repository, Some(&cosign_tag(subject, suffix)), MediaType::OCI_MANIFEST, &document)
}

/// A signature under cosign's tag.
pub(crate) fn sign(memory: &Memory, name: &str, subject: &RawManifest) -> RawManifest {
    put_cosign(memory, name, subject, ".sig", &[("a payload", "a signature")])
}

/// A sigstore bundle that refers to `subject`, with these annotations.
pub(crate) fn put_bundle(
    memory: &Memory,
    name: &str,
    subject: &RawManifest,
    annotations: &Value,
) -> RawManifest {
    let repository = repository(name);
    let content = format!("a bundle {annotations}");
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": BUNDLE,
        "config": memory.put_blob(&repository, MediaType::OCI_EMPTY, "{}"),
        "layers": [memory.put_blob(&repository, MediaType::new(BUNDLE), content)],
        "subject": subject.descriptor(),
        "annotations": annotations,
    });
    put(memory, &repository, None, MediaType::OCI_MANIFEST, &document)
}

/// The index of referrers under its tag, with these entries.
pub(crate) fn put_fallback(
    memory: &Memory,
    name: &str,
    subject: &RawManifest,
    entries: &[Value],
) -> RawManifest {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": entries,
        "annotations": { "x-of-the-index": "kept" },
    });
    put(memory, &repository(name), Some(&fallback_tag(subject)), MediaType::OCI_INDEX, &document)
}

/// An entry of such an index, as this program and others write it.
pub(crate) fn entry(referrer: &RawManifest) -> Value {
    let parsed = referrer.parse().expect("a manifest");
    json!(referrer.referrer_descriptor(&parsed))
}

/// Makes a tag stand for a manifest that is there.
pub(crate) fn put_tag(memory: &Memory, name: &str, tag: &str, manifest: &RawManifest) {
    let reference = ManifestRef::Tag(tag.parse().expect("a tag"));
    memory.put_manifest(&repository(name), &reference, manifest);
}

/// The digests of some descriptors, sorted.
pub(crate) fn sorted(descriptors: &[Descriptor]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = descriptors.iter().map(|it| it.digest.clone()).collect();
    digests.sort();
    digests
}

/// The digests of some manifests, sorted.
pub(crate) fn digests(manifests: &[&RawManifest]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = manifests.iter().map(|it| it.digest.clone()).collect();
    digests.sort();
    digests
}
