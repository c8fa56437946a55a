//! What an image runs on: as its index says, or, where there is none, its configuration.

use futures::StreamExt as _;
use serde::Deserialize;

use super::{Depth, Look};
use crate::fault::cause;
use crate::oci::{DeriveError, Descriptor, Manifest, Platform, RawManifest, Repository};
use crate::plan::{Observation, Platforms, Side};
use crate::store::{BlobStream, Source, StoreError, StoreErrorKind, verified};
use crate::walk::walk;

/// An image configuration is read to learn its platform, and is never larger.
const CONFIG_LIMIT: u64 = 4 * 1024 * 1024;

impl Look<'_> {
    /// Notes what the image with this root runs on: for an index always, which costs nothing; for a single
    /// image, by its configuration, if it matters or a plan's reader wants to know. `store` is the side that
    /// has the root.
    pub(super) async fn note_platforms(
        self,
        store: &dyn Source,
        side: Side,
        root: &RawManifest,
        observation: &mut Observation,
    ) {
        if observation.graph.as_ref().is_some_and(|graph| graph.root().media_type.is_index()) {
            return;
        }
        let Ok(parsed) = root.parse() else { return };
        let repository = match side {
            Side::Source => &self.entry.source.repository,
            Side::Target => &self.entry.target.repository,
        };
        let is_nested = parsed.children().iter().any(|child| child.media_type.is_index());
        let known = match parsed.media_type.is_index() {
            // Only a walk says what the indexes within an index are for.
            true if is_nested && self.requires_platforms => {
                walk(store, repository, root).await.map(|graph| Some(graph.platforms()))
            }
            // A part of them would be worse than none.
            true if is_nested => return,
            true => Ok(Some(parsed.platforms())),
            false if self.requires_platforms || self.depth == Depth::Full => {
                of_single(store, repository, &parsed).await
            }
            false => return,
        };
        observation.platforms = match known {
            Ok(Some(platforms)) => Platforms::Known(platforms),
            Ok(None) => Platforms::Artifact,
            // A reader would have liked to know; nothing depends on it.
            Err(_) if !self.requires_platforms => return,
            Err(error) => Platforms::Blocked(self.named(cause(side, error))),
        };
    }

    /// A single image passes if its configuration says that it runs on what the entry wants.
    pub(super) async fn check_single(self, source: &dyn Source, image: &Manifest) -> Result<(), StoreError> {
        let wanted = &self.entry.platforms;
        let available = of_single(source, &self.entry.source.repository, image).await?.unwrap_or_default();
        let missing: Vec<Platform> = wanted
            .iter()
            .filter(|wanted| !available.iter().any(|platform| platform.satisfies(wanted)))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(self.unsupported(DeriveError::Missing { missing, available }.to_string()))
    }
}

/// What a single image runs on: at most one platform, or `None` if it is an artifact.
async fn of_single(
    store: &dyn Source,
    repository: &Repository,
    image: &Manifest,
) -> Result<Option<Vec<Platform>>, StoreError> {
    match image.blobs().next().filter(|config| config.media_type.is_image_config()) {
        Some(config) => Ok(Some(read_platform(store, repository, config).await?.into_iter().collect())),
        None => Ok(None),
    }
}

/// What matters of an image's configuration (OCI image-spec, config.md).
#[derive(Deserialize)]
struct Configuration {
    created: Option<String>,
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

/// When an image was made, as its configuration says.
pub(super) async fn created(
    source: &dyn Source,
    repository: &Repository,
    config: &Descriptor,
) -> Result<Option<String>, StoreError> {
    Ok(configuration(source, repository, config).await?.and_then(|parsed| parsed.created))
}

/// What an image's configuration says that it runs on.
async fn read_platform(
    source: &dyn Source,
    repository: &Repository,
    config: &Descriptor,
) -> Result<Option<Platform>, StoreError> {
    let parsed = configuration(source, repository, config).await?;
    Ok(parsed.and_then(|parsed| {
        Some(Platform {
            os: parsed.os?,
            architecture: parsed.architecture?,
            variant: parsed.variant.filter(|variant| !variant.is_empty()),
            os_version: None,
        })
    }))
}

/// An image's configuration, or `None` if it is none that can be read.
async fn configuration(
    source: &dyn Source,
    repository: &Repository,
    config: &Descriptor,
) -> Result<Option<Configuration>, StoreError> {
    let reference = format!("{repository}@{}", config.digest);
    if config.size > CONFIG_LIMIT {
        let message = format!("an image configuration of {} bytes is not read", config.size);
        return Err(StoreError::new("read blob", reference, StoreErrorKind::TooLarge, message));
    }
    let mut stream: BlobStream = verified(source.blob(repository, config).await?, config, reference);
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(serde_json::from_slice(&bytes).ok())
}
