//! The content of an image, and of what belongs to it, as descriptors.

use std::collections::HashSet;
use std::sync::Arc;

use crate::oci::{Descriptor, Digest, MediaType, Platform, Tag};

/// A manifest with all its successors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The manifests, children before the indexes that name them, the root last, each once.
    pub nodes: Vec<Node>,
}

/// A manifest of a [`Graph`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The manifest's digest.
    pub digest: Digest,
    /// What the manifest is.
    pub media_type: MediaType,
    /// The manifest's length in bytes.
    pub size: u64,
    /// What the image runs on, as the index that names it says.
    pub platform: Option<Platform>,
    /// The children of an index.
    pub children: Vec<Digest>,
    /// Config and layers of an image, as far as the source registry has them.
    pub blobs: Vec<Descriptor>,
    /// Layers that their author keeps elsewhere and that the source registry lacks.
    pub foreign: Vec<Descriptor>,
}

impl Graph {
    /// The manifest that the graph hangs on.
    ///
    /// # Panics
    ///
    /// Panics if the graph is empty, which none is that `inspect` made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a graph is built from its root")]
    pub fn root(&self) -> &Node {
        self.nodes.last().expect("a graph has a root")
    }

    /// Each blob of the graph once.
    pub fn distinct_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let mut seen = HashSet::new();
        self.nodes.iter().flat_map(|node| &node.blobs).filter(move |blob| seen.insert(&blob.digest))
    }

    /// Bytes of all distinct blobs and manifests. A manifest can state any size, so that the sum stops at the
    /// largest number.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let manifests = self.nodes.iter().map(|node| node.size);
        manifests.chain(self.distinct_blobs().map(|blob| blob.size)).fold(0, u64::saturating_add)
    }

    /// The platforms of the images in the graph, attestations left out, each once, in the order of the index.
    #[must_use]
    pub fn platforms(&self) -> Vec<Platform> {
        let mut platforms: Vec<Platform> = Vec::new();
        for platform in self.nodes.iter().filter_map(|node| node.platform.as_ref()) {
            if !platform.is_unknown() && !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
        platforms
    }
}

/// Something that belongs to an image without being part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// What it is for.
    pub kind: CompanionKind,
    /// Who made its format, for people: `cosign`, `notation`, `sigstore bundle`, `SPDX`, or the artifact type.
    pub format: String,
    /// How many signatures, attestations or SBOMs it holds; a cosign tag can hold several.
    pub count: usize,
    /// The manifest that it belongs to: the image, a child of it, or another companion.
    pub subject: Digest,
    /// How it hangs on its subject.
    pub place: CompanionPlace,
    /// Its manifest.
    pub digest: Digest,
    /// Its own content; there if it is to be copied.
    pub graph: Option<Arc<Graph>>,
    /// How the target stands.
    pub standing: Standing,
}

impl Companion {
    /// Whether the target lacks it, or some of it.
    #[must_use]
    pub const fn is_to_copy(&self) -> bool {
        matches!(self.standing, Standing::Missing | Standing::Grows { .. } | Standing::Unknown)
    }
}

/// What a companion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CompanionKind {
    /// A signature of its subject.
    Signature,
    /// A signed statement about its subject: provenance, a scan, an SBOM in an envelope.
    Attestation,
    /// A software bill of materials.
    Sbom,
    /// Any other referrer.
    Other,
}

impl CompanionKind {
    /// `signature`, `attestation`, `sbom` or `other`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::Sbom => "sbom",
            Self::Other => "other",
        }
    }
}

/// How a companion hangs on its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompanionPlace {
    /// By the name of a tag: cosign's scheme.
    Tag(Tag),
    /// By its `subject` field: an OCI 1.1 referrer.
    Referrer,
}

/// How a companion of the source stands at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not there.
    Missing,
    /// There, or there with more than the source has.
    Present,
    /// A cosign tag that has some of the source's layers and nothing else: it may grow.
    Grows {
        /// What the tag has now.
        from: Digest,
    },
    /// A tag with other content: it must not change.
    Differs {
        /// What the tag has.
        found: Digest,
    },
    /// The target could not be read, in a plan without the right to.
    Unknown,
    /// The source lists it and does not have it, so that it cannot be copied.
    Gone,
}
