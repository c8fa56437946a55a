//! Pulls images with oci-client, a distribution client that shares no code with image-syncer, and checks
//! every byte: `oci-client-pull REGISTRY/REPOSITORY:TAG...`
//!
//! Anonymous and over plain HTTP, for the end-to-end tests (`scripts/e2e`): each manifest below the tag is
//! pulled by its digest, each blob is pulled whole. One line an image is printed, `DIGEST REFERENCE`.
#![expect(clippy::print_stdout, reason = "the lines are the result")]

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const ACCEPTED: [&str; 4] = [
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
];

/// What a manifest of any kind points at.
#[derive(Deserialize)]
struct Successors {
    #[serde(default)]
    manifests: Vec<OciDescriptor>,
    config: Option<OciDescriptor>,
    #[serde(default)]
    layers: Vec<OciDescriptor>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        bail!("usage: oci-client-pull REGISTRY/REPOSITORY:TAG...");
    }
    for name in names {
        let image: Reference = name.parse().with_context(|| name.clone())?;
        let digest = pull(&client, &image).await.with_context(|| name.clone())?;
        println!("{digest} {name}");
    }
    Ok(())
}

/// Pulls an image with all its children and blobs; returns the digest that its tag names.
async fn pull(client: &Client, image: &Reference) -> Result<String> {
    let (root, root_digest) = manifest(client, image).await?;
    let mut waiting = vec![root];
    let mut seen = HashSet::from([root_digest.clone()]);
    while let Some(bytes) = waiting.pop() {
        let successors: Successors = serde_json::from_slice(&bytes)?;
        for child in successors.manifests {
            if seen.insert(child.digest.clone()) {
                let reference = image.clone_with_digest(child.digest.clone());
                let (bytes, digest) = manifest(client, &reference).await?;
                ensure!(digest == child.digest, "{reference} has the digest {digest}");
                waiting.push(bytes);
            }
        }
        for blob in successors.config.into_iter().chain(successors.layers) {
            if seen.insert(blob.digest.clone()) {
                pull_blob(client, image, &blob).await.with_context(|| blob.digest.clone())?;
            }
        }
    }
    Ok(root_digest)
}

/// A manifest's bytes, and the digest that they have.
async fn manifest(client: &Client, image: &Reference) -> Result<(Vec<u8>, String)> {
    let (bytes, said) = client.pull_manifest_raw(image, &RegistryAuth::Anonymous, &ACCEPTED).await?;
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
    ensure!(digest == said, "{image} is said to be {said}, and is {digest}");
    Ok((bytes.to_vec(), digest))
}

/// oci-client checks the digest. A layer with `urls` that the registry lacks is left to its author.
async fn pull_blob(client: &Client, image: &Reference, blob: &OciDescriptor) -> Result<()> {
    if blob.urls.is_some() && !client.blob_exists(image, &blob.digest).await? {
        return Ok(());
    }
    let mut size = Counter(0);
    client.pull_blob(image, &OciDescriptor { urls: None, ..blob.clone() }, &mut size).await?;
    ensure!(u64::try_from(blob.size) == Ok(size.0), "{} bytes, {} are announced", size.0, blob.size);
    Ok(())
}

/// Where the blobs go: they are counted and forgotten.
struct Counter(u64);

impl tokio::io::AsyncWrite for Counter {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        piece: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.0 += piece.len() as u64;
        std::task::Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
