//! An entry that names platforms: the index that is made smaller, the single image that has to fit.

use futures::StreamExt as _;
use serde::Deserialize;

use super::{AtSource, Look};
use crate::oci::{
    DeriveError, Descriptor, Manifest, ManifestRef, Platform, RawManifest, Repository, derive_index,
};
use crate::plan::{Derived, Found, SourceState};
use crate::store::{BlobStream, Source, StoreError, StoreErrorKind, verified};

/// An image configuration is read to learn its platform, and is never larger.
const CONFIG_LIMIT: u64 = 4 * 1024 * 1024;

impl Look<'_> {
    /// Only some platforms are wanted: the index says which there are, and becomes a smaller one.
    pub(super) async fn some_platforms(self, source: &dyn Source) -> Result<AtSource, StoreError> {
        let repository = &self.entry.source.repository;
        let reference = match &self.entry.source.digest {
            Some(digest) => ManifestRef::Digest(digest.clone()),
            // The tag's digest is remembered, so that whoever asks next gets the same.
            None => match source.resolve(repository, &self.entry.source.manifest_ref()).await? {
                Some(descriptor) => ManifestRef::Digest(descriptor.digest),
                None => return Ok(AtSource::State(SourceState::Gone(self.gone()))),
            },
        };
        let Some(root) = source.manifest(repository, &reference).await? else {
            return Ok(AtSource::State(SourceState::Gone(self.gone())));
        };
        let wanted = &self.entry.platforms;
        let source_digest = root.digest.clone();
        let unchanged = |root: RawManifest| AtSource::Image {
            found: Found {
                source_digest: source_digest.clone(),
                digest: source_digest.clone(),
                derived: None,
            },
            root: Some(root),
        };
        let parsed = root.parse().map_err(|error| self.unsupported(error.to_string()))?;
        if !parsed.media_type.is_index() {
            self.check_single(source, &parsed).await?;
            return Ok(unchanged(root));
        }
        let smaller = derive_index(&root, wanted).map_err(|error| self.unsupported(error.to_string()))?;
        if smaller.digest == source_digest {
            return Ok(unchanged(root));
        }
        let mut left_out = parsed.platforms();
        left_out.retain(|platform| !wanted.iter().any(|wanted| platform.satisfies(wanted)));
        let digest = smaller.digest.clone();
        let derived = Some(Derived { manifest: smaller, left_out });
        Ok(AtSource::Image { found: Found { source_digest, digest, derived }, root: None })
    }

    /// A single image passes if its configuration says that it runs on what is wanted.
    async fn check_single(self, source: &dyn Source, image: &Manifest) -> Result<(), StoreError> {
        let wanted = &self.entry.platforms;
        let config = image.blobs().next().filter(|config| config.media_type.is_image_config());
        let platform = match config {
            Some(config) => read_platform(source, &self.entry.source.repository, config).await?,
            None => None,
        };
        let available: Vec<Platform> = platform.into_iter().collect();
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

/// What an image's configuration says that it runs on (OCI image-spec, config.md).
async fn read_platform(
    source: &dyn Source,
    repository: &Repository,
    config: &Descriptor,
) -> Result<Option<Platform>, StoreError> {
    #[derive(Deserialize)]
    struct Configuration {
        os: Option<String>,
        architecture: Option<String>,
        variant: Option<String>,
    }
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
    let parsed = serde_json::from_slice::<Configuration>(&bytes).ok();
    Ok(parsed.and_then(|parsed| {
        Some(Platform {
            os: parsed.os?,
            architecture: parsed.architecture?,
            variant: parsed.variant.filter(|variant| !variant.is_empty()),
            os_version: None,
        })
    }))
}
