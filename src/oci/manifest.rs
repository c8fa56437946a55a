//! Image manifests, indexes and their Docker counterparts, read leniently (OCI image-spec, manifest.md
//! and image-index.md).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::descriptor::null_is_empty;
use super::{Descriptor, Digest, MediaType};

/// A manifest as its source sent it: what is checked, kept and pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawManifest {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// What the source calls it.
    pub media_type: MediaType,
    /// The document, byte for byte.
    pub bytes: Bytes,
}

impl RawManifest {
    /// A manifest with the SHA-256 digest of its bytes.
    #[must_use]
    pub fn new(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::sha256(&bytes), media_type, bytes }
    }

    /// Whether `digest` is a digest of this manifest, by whatever algorithm.
    #[must_use]
    pub fn has_digest(&self, digest: &Digest) -> bool {
        self.digest == *digest || digest.same_algorithm(&self.bytes) == *digest
    }

    /// A descriptor that names this manifest.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.bytes.len() as u64)
    }

    /// The parsed form, for reading.
    ///
    /// # Errors
    ///
    /// Fails if the document is no manifest that can be mirrored; the error says why.
    pub fn parse(&self) -> Result<Manifest, ManifestError> {
        Manifest::parse(&self.bytes, &self.media_type)
    }

    /// The descriptor by which a list of referrers names this manifest, of which `parsed` is the parsed
    /// form: with annotations, and with the artifact type, which is the config's media type where the
    /// manifest states none (distribution-spec, "Listing Referrers").
    #[must_use]
    pub fn referrer_descriptor(&self, parsed: &Manifest) -> Descriptor {
        let mut descriptor = self.descriptor();
        descriptor.artifact_type = parsed.artifact_type.clone().or_else(|| match &parsed.content {
            Content::Image { config: Some(config), .. } => Some(config.media_type.to_string()),
            _ => None,
        });
        descriptor.annotations.clone_from(&parsed.annotations);
        descriptor
    }
}

/// The parsed form of a manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What the document is.
    pub media_type: MediaType,
    /// What kind of artifact it is: `artifactType`, else the config's media type where that is not an
    /// image's (distribution-spec, "Listing Referrers").
    pub artifact_type: Option<String>,
    /// The manifest that this one refers to.
    pub subject: Option<Descriptor>,
    /// Free text by key.
    pub annotations: BTreeMap<String, String>,
    /// What it holds.
    pub content: Content,
}

/// The successors of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An image or an artifact: blobs.
    Image {
        /// The configuration; artifact manifests have none.
        config: Option<Box<Descriptor>>,
        /// The layers, the lowest first.
        layers: Vec<Descriptor>,
    },
    /// An index: further manifests.
    Index {
        /// The children.
        manifests: Vec<Descriptor>,
    },
}

/// Why a document is no manifest that can be mirrored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Docker schema 1, which has no digests of its own and which registries no longer take.
    #[error(
        "this is a Docker schema 1 manifest, a format that was retired in 2017; \
         pull the image and push it again with a current client, then mirror that"
    )]
    Schema1,
    /// Not JSON, or not of a manifest's shape.
    #[error("the manifest cannot be read: {0}")]
    Malformed(String),
    /// Both an image and an index, which clients would read differently (CVE-2021-41190).
    #[error("the manifest has `manifests` as well as `layers`, so that clients could read it in two ways")]
    Ambiguous,
    /// The document says it is something else than what the registry calls it.
    #[error("the manifest calls itself `{stated}`, the registry calls it `{served}`")]
    MediaTypeMismatch {
        /// The document's `mediaType`.
        stated: String,
        /// The answer's `Content-Type`.
        served: String,
    },
    /// Something that is neither an image nor an index.
    #[error("`{0}` is not a kind of manifest that can be mirrored")]
    Unsupported(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    schema_version: u64,
    media_type: Option<MediaType>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    blobs: Vec<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    fs_layers: Option<serde::de::IgnoredAny>,
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a document that the registry calls `served`.
    ///
    /// # Errors
    ///
    /// Fails if the document is no manifest that can be mirrored; the error says why.
    pub fn parse(bytes: &[u8], served: &MediaType) -> Result<Self, ManifestError> {
        if served.is_schema1() {
            return Err(ManifestError::Schema1);
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| ManifestError::Malformed(error.to_string()))?;
        if document.schema_version == 1 || document.fs_layers.is_some() {
            return Err(ManifestError::Schema1);
        }
        let media_type = match &document.media_type {
            Some(stated) if served.is_manifest() && stated != served => {
                return Err(ManifestError::MediaTypeMismatch {
                    stated: stated.to_string(),
                    served: served.to_string(),
                });
            }
            Some(stated) => stated.clone(),
            None if served.is_manifest() => served.clone(),
            None if document.manifests.is_some() => MediaType::OCI_INDEX,
            None => MediaType::OCI_MANIFEST,
        };
        let has_image =
            document.config.is_some() || !document.layers.is_empty() || !document.blobs.is_empty();
        if has_image && document.manifests.is_some() {
            return Err(ManifestError::Ambiguous);
        }
        let content = if media_type.is_index() {
            Content::Index { manifests: document.manifests.unwrap_or_default() }
        } else if media_type == MediaType::OCI_ARTIFACT {
            Content::Image { config: None, layers: document.blobs }
        } else if media_type.is_image() {
            let config =
                document.config.ok_or_else(|| ManifestError::Malformed("there is no `config`".to_owned()))?;
            Content::Image { config: Some(Box::new(config)), layers: document.layers }
        } else {
            return Err(ManifestError::Unsupported(media_type.to_string()));
        };
        let artifact_type =
            document.artifact_type.filter(|text| !text.is_empty()).or_else(|| match &content {
                Content::Image { config: Some(config), .. }
                    if config.media_type != MediaType::OCI_CONFIG
                        && config.media_type != MediaType::DOCKER_CONFIG
                        && config.media_type != MediaType::OCI_EMPTY =>
                {
                    Some(config.media_type.to_string())
                }
                _ => None,
            });
        Ok(Self {
            media_type,
            artifact_type,
            subject: document.subject,
            annotations: document.annotations,
            content,
        })
    }

    /// The children of an index; none for an image.
    #[must_use]
    pub fn children(&self) -> &[Descriptor] {
        match &self.content {
            Content::Index { manifests } => manifests,
            Content::Image { .. } => &[],
        }
    }

    /// The config, then the layers; none for an index.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, layers) = match &self.content {
            Content::Image { config, layers } => (config.as_deref(), layers.as_slice()),
            Content::Index { .. } => (None, &[][..]),
        };
        config.into_iter().chain(layers)
    }

    /// The layers of an image.
    #[must_use]
    pub fn layers(&self) -> &[Descriptor] {
        match &self.content {
            Content::Image { layers, .. } => layers,
            Content::Index { .. } => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn config() -> String {
        format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{DIGEST}","size":2}}"#)
    }

    #[test]
    fn null_layers_are_no_layers() {
        let text = format!(r#"{{"schemaVersion":2,"config":{},"layers":null}}"#, config());
        let manifest = Manifest::parse(text.as_bytes(), &MediaType::OCI_MANIFEST).expect("a manifest");
        assert_eq!(manifest.layers(), []);
        assert_eq!(manifest.blobs().count(), 1);
        assert_eq!(manifest.artifact_type, None);
    }

    #[test]
    fn schema_1_is_refused_by_name() {
        let error = Manifest::parse(b"{\"schemaVersion\":1}", &MediaType::new("application/json"));
        assert_eq!(error, Err(ManifestError::Schema1));
        assert_eq!(Manifest::parse(b"", &MediaType::DOCKER_SCHEMA1_SIGNED), Err(ManifestError::Schema1));
    }

    #[test]
    fn a_document_that_is_image_and_index_is_refused() {
        let text = format!(r#"{{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}}"#, config());
        let error = Manifest::parse(text.as_bytes(), &MediaType::OCI_INDEX);
        assert_eq!(error, Err(ManifestError::Ambiguous));
    }

    #[test]
    fn a_document_that_contradicts_its_content_type_is_refused() {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{}}}"#,
            MediaType::OCI_MANIFEST,
            config()
        );
        assert!(matches!(
            Manifest::parse(text.as_bytes(), &MediaType::DOCKER_MANIFEST),
            Err(ManifestError::MediaTypeMismatch { .. })
        ));
    }
}
