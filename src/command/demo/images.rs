//! The images of the demo: small, but real. Their layers are tar archives, their signature verifies.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::oci::{Descriptor, Digest, ManifestRef, MediaType, RawManifest, Repository, Tag};
use crate::serve::Backend;
use crate::store::{BlobOrigin, BlobStream, Push, StoreError};

/// A store that images are made in.
pub(super) struct Workshop<'a> {
    store: &'a dyn Backend,
    key: EcdsaKeyPair,
}

/// The bytes of a blob that is made here.
struct Fixed(Bytes);

#[async_trait]
impl BlobOrigin for Fixed {
    async fn open(&self) -> Result<BlobStream, StoreError> {
        Ok(Box::pin(futures::stream::once(std::future::ready(Ok(self.0.clone())))))
    }
}

impl<'a> Workshop<'a> {
    /// A workshop with a signing key of its own.
    pub(super) fn new(store: &'a dyn Backend) -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| anyhow!("failed to make a signing key"))?;
        Ok(Self { store, key })
    }

    /// The public half of the signing key, as PEM.
    pub(super) fn public_key(&self) -> anyhow::Result<String> {
        let der: PublicKeyX509Der<'_> =
            self.key.public_key().as_der().map_err(|_| anyhow!("failed to encode the public key"))?;
        let body = BASE64.encode(der.as_ref());
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }

    /// An image of one file, on a base layer that all images share.
    pub(super) async fn image(
        &self,
        name: &str,
        tag: Option<&str>,
        text: &str,
    ) -> anyhow::Result<RawManifest> {
        self.image_for(name, tag, "amd64", text).await
    }

    /// An index of an image for each of two architectures.
    pub(super) async fn two_platforms(
        &self,
        name: &str,
        tag: &str,
        text: &str,
    ) -> anyhow::Result<RawManifest> {
        let mut manifests = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let image =
                self.image_for(name, None, architecture, &format!("{text} on {architecture}")).await?;
            let mut child = json!(image.descriptor());
            child["platform"] = json!({ "os": "linux", "architecture": architecture });
            manifests.push(child);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests });
        self.manifest(name, Some(tag), MediaType::OCI_INDEX, &index).await
    }

    /// cosign's signature of an image, under cosign's tag.
    pub(super) async fn sign(&self, name: &str, image: &RawManifest) -> anyhow::Result<()> {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": name },
                "image": { "docker-manifest-digest": image.digest },
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string();
        let signature = self
            .key
            .sign(&SystemRandom::new(), payload.as_bytes())
            .map_err(|_| anyhow!("failed to sign the demo's image"))?;
        let payload = Blob::new(MediaType::new("application/vnd.dev.cosign.simplesigning.v1+json"), payload);
        let mut layer = json!(self.blob(name, &payload).await?);
        layer["annotations"] =
            json!({ "dev.cosignproject.cosign/signature": BASE64.encode(signature.as_ref()) });
        let config = Blob::new(
            MediaType::OCI_CONFIG,
            json!({ "architecture": "", "os": "", "rootfs": {} }).to_string(),
        );
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": self.blob(name, &config).await?,
            "layers": [layer],
        });
        let tag = Tag::cosign(&image.digest, ".sig").context("failed to name the signature")?;
        self.manifest(name, Some(tag.as_str()), MediaType::OCI_MANIFEST, &manifest).await?;
        Ok(())
    }

    /// A document about a manifest, as an OCI 1.1 referrer.
    pub(super) async fn referrer(
        &self,
        name: &str,
        subject: &RawManifest,
        artifact_type: &str,
        text: &str,
    ) -> anyhow::Result<RawManifest> {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": self.blob(name, &Blob::new(MediaType::OCI_EMPTY, "{}")).await?,
            "layers": [self.blob(name, &Blob::new(MediaType::new(artifact_type), text.to_owned())).await?],
            "subject": subject.descriptor(),
        });
        self.manifest(name, None, MediaType::OCI_MANIFEST, &manifest).await
    }

    async fn image_for(
        &self,
        name: &str,
        tag: Option<&str>,
        architecture: &str,
        text: &str,
    ) -> anyhow::Result<RawManifest> {
        // Lines that do not compress away, so that there is something to share.
        let base: String = (0..6000_u32)
            .flat_map(|line| [Digest::sha256(&line.to_be_bytes()).to_string(), "\n".into()])
            .collect();
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (path, content) in [("etc/base", base.as_str()), ("etc/motd", text)] {
            let archive = archive(path, content)?;
            diff_ids.push(Digest::sha256(&archive).to_string());
            layers.push(self.blob(name, &Blob::new(MediaType::OCI_LAYER_GZIP, compressed(&archive)?)).await?);
        }
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": ["/bin/cat", "/etc/motd"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": self.blob(name, &Blob::new(MediaType::OCI_CONFIG, config.to_string())).await?,
            "layers": layers,
        });
        self.manifest(name, tag, MediaType::OCI_MANIFEST, &manifest).await
    }

    async fn blob(&self, name: &str, blob: &Blob) -> anyhow::Result<Descriptor> {
        let descriptor =
            Descriptor::new(blob.media_type.clone(), Digest::sha256(&blob.bytes), blob.bytes.len() as u64);
        let push = Push::IfMissing { mount_from: None };
        self.store.push_blob(&repository(name)?, &descriptor, push, &Fixed(blob.bytes.clone())).await?;
        Ok(descriptor)
    }

    async fn manifest(
        &self,
        name: &str,
        tag: Option<&str>,
        media_type: MediaType,
        document: &Value,
    ) -> anyhow::Result<RawManifest> {
        let manifest = RawManifest::new(media_type, document.to_string());
        let reference = match tag {
            Some(tag) => ManifestRef::Tag(tag.parse()?),
            None => ManifestRef::Digest(manifest.digest.clone()),
        };
        self.store.push_manifest(&repository(name)?, &reference, &manifest).await?;
        Ok(manifest)
    }
}

/// Some content and what it is.
struct Blob {
    media_type: MediaType,
    bytes: Bytes,
}

impl Blob {
    fn new(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        Self { media_type, bytes: bytes.into() }
    }
}

fn repository(name: &str) -> anyhow::Result<Repository> {
    name.parse().with_context(|| format!("failed to name {name}"))
}

/// A tar archive of one file.
fn archive(path: &str, content: &str) -> anyhow::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, path, content.as_bytes())?;
    Ok(archive.into_inner()?)
}

fn compressed(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
