//! From a root manifest to the [`Graph`] of everything below it.
//!
//! Only manifests are read, each once, and never more of them than a real image has.

use std::collections::{HashMap, HashSet};

use futures::future::try_join_all;

use crate::oci::{Descriptor, Digest, Manifest, Platform, RawManifest, Repository};
use crate::plan::{Graph, Node};
use crate::store::{Source, StoreError, StoreErrorKind};

/// Indexes within indexes, at most so deep.
pub(crate) const DEEPEST: usize = 8;

/// Manifests below one root, at most so many.
pub(crate) const MOST_MANIFESTS: usize = 2000;

/// Blobs that all those manifests name, at most so many, counted as often as they are named.
pub(crate) const MOST_BLOBS: usize = 200_000;

/// So many manifests are asked for at a time.
const AT_A_TIME: usize = 16;

/// Reads all manifests below `root` from `source`.
///
/// # Errors
///
/// Fails if a child is missing, cannot be read, is of a kind that cannot be mirrored, or if the whole is
/// larger than any real image.
pub(crate) async fn walk(
    source: &dyn Source,
    repository: &Repository,
    root: &RawManifest,
) -> Result<Graph, StoreError> {
    let mut read = Read { repository, nodes: HashMap::new(), blobs: 0 };
    let mut level = read.add(root, None)?;
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        if depth > DEEPEST {
            let message = format!("its indexes are nested more than {DEEPEST} deep, which no real image is");
            return Err(read.error(&root.digest, StoreErrorKind::TooLarge, message));
        }
        read.check_size(&root.digest, level.len())?;
        let mut next = Vec::new();
        for some in level.chunks(AT_A_TIME) {
            let manifests = try_join_all(some.iter().map(|child| child_manifest(source, repository, child)));
            for (child, manifest) in some.iter().zip(manifests.await?) {
                next.extend(read.add(&manifest, child.platform.clone())?);
            }
        }
        level = next;
    }
    read.keep_what_the_source_has(source).await?;
    Ok(read.graph(&root.digest))
}

/// The digests of `root` and of all its children, reading only indexes.
pub(crate) async fn digests(
    source: &dyn Source,
    repository: &Repository,
    root: &RawManifest,
) -> Result<Vec<Digest>, StoreError> {
    let mut found = vec![root.digest.clone()];
    let mut seen = HashSet::from([root.digest.clone()]);
    let mut indexes = vec![parsed(repository, root)?];
    for _ in 0..DEEPEST {
        let children: Vec<Descriptor> = indexes
            .iter()
            .flat_map(Manifest::children)
            .filter(|child| seen.insert(child.digest.clone()))
            .cloned()
            .collect();
        if children.is_empty() || found.len() > MOST_MANIFESTS {
            break;
        }
        found.extend(children.iter().map(|child| child.digest.clone()));
        let nested = children.iter().filter(|child| child.media_type.is_index());
        let nested = try_join_all(nested.map(|child| child_manifest(source, repository, child))).await?;
        indexes = nested.iter().map(|index| parsed(repository, index)).collect::<Result<_, _>>()?;
    }
    Ok(found)
}

async fn child_manifest(
    source: &dyn Source,
    repository: &Repository,
    child: &Descriptor,
) -> Result<RawManifest, StoreError> {
    let error = |kind, message: String| {
        StoreError::new("read manifest", name(repository, &child.digest), kind, message)
    };
    let manifest = source.manifest(repository, &child.digest.clone().into()).await?;
    let manifest = manifest.ok_or_else(|| {
        let platform = child.platform.as_ref().map_or(String::new(), |platform| format!(" for {platform}"));
        error(
            StoreErrorKind::NotFound,
            format!("the index names this image{platform}, and the registry does not have it; `platforms` can leave it out"),
        )
    })?;
    if manifest.bytes.len() as u64 != child.size {
        let message = format!("it has {} bytes, the index says {}", manifest.bytes.len(), child.size);
        return Err(error(StoreErrorKind::Corrupt, message));
    }
    Ok(manifest)
}

fn parsed(repository: &Repository, manifest: &RawManifest) -> Result<Manifest, StoreError> {
    manifest.parse().map_err(|error| {
        let reference = name(repository, &manifest.digest);
        StoreError::new("read manifest", reference, StoreErrorKind::Unsupported, error.to_string())
    })
}

fn name(repository: &Repository, digest: &Digest) -> String {
    format!("{repository}@{digest}")
}

struct Read<'a> {
    repository: &'a Repository,
    nodes: HashMap<Digest, Node>,
    /// Blobs that the nodes name.
    blobs: usize,
}

impl Read<'_> {
    /// Takes a manifest in and gives the children that were not seen yet.
    fn add(
        &mut self,
        manifest: &RawManifest,
        platform: Option<Platform>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let parsed = parsed(self.repository, manifest)?;
        self.check_size(&manifest.digest, parsed.children().len())?;
        self.blobs += parsed.blobs().count();
        if self.blobs > MOST_BLOBS {
            let message = format!("it names more than {MOST_BLOBS} blobs, which no real image does");
            return Err(self.error(&manifest.digest, StoreErrorKind::TooLarge, message));
        }
        let node = Node {
            digest: manifest.digest.clone(),
            media_type: manifest.media_type.clone(),
            size: manifest.bytes.len() as u64,
            platform,
            children: parsed.children().iter().map(|child| child.digest.clone()).collect(),
            blobs: parsed.blobs().map(plain).collect(),
            foreign: Vec::new(),
        };
        self.nodes.insert(manifest.digest.clone(), node);
        let mut fresh = HashSet::new();
        let unseen = |child: &&Descriptor| {
            !self.nodes.contains_key(&child.digest) && fresh.insert(child.digest.clone())
        };
        Ok(parsed.children().iter().filter(unseen).cloned().collect())
    }

    /// Fails if `further` manifests are too many, before any of them is asked for.
    fn check_size(&self, digest: &Digest, further: usize) -> Result<(), StoreError> {
        if self.nodes.len() + further <= MOST_MANIFESTS {
            return Ok(());
        }
        let message = format!("it has more than {MOST_MANIFESTS} manifests, which no real image has");
        Err(self.error(digest, StoreErrorKind::TooLarge, message))
    }

    /// A non-distributable layer is copied where the source registry has it; it is never fetched from
    /// where its author keeps it.
    async fn keep_what_the_source_has(&mut self, source: &dyn Source) -> Result<(), StoreError> {
        let repository = self.repository;
        for node in self.nodes.values_mut() {
            let mut kept = Vec::with_capacity(node.blobs.len());
            for blob in std::mem::take(&mut node.blobs) {
                if blob.media_type.is_foreign_layer() && !source.has_blob(repository, &blob).await? {
                    node.foreign.push(blob);
                } else {
                    kept.push(blob);
                }
            }
            node.blobs = kept;
        }
        Ok(())
    }

    /// Children before the indexes that name them, each once, the root last.
    fn graph(mut self, root: &Digest) -> Graph {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        let mut seen = HashSet::new();
        let mut stack = vec![(root.clone(), false)];
        while let Some((digest, children_done)) = stack.pop() {
            if children_done {
                nodes.extend(self.nodes.remove(&digest));
            } else if seen.insert(digest.clone())
                && let Some(node) = self.nodes.get(&digest)
            {
                stack.push((digest, true));
                stack.extend(node.children.iter().rev().map(|child| (child.clone(), false)));
            }
        }
        Graph { nodes }
    }

    fn error(&self, digest: &Digest, kind: StoreErrorKind, message: String) -> StoreError {
        StoreError::new("read manifest", name(self.repository, digest), kind, message)
    }
}

/// A blob's descriptor without what copying it does not need; hundreds of thousands are held at a time. One of
/// its `urls` is enough to say that it has some.
fn plain(blob: &Descriptor) -> Descriptor {
    let urls = blob.urls.iter().take(1).cloned().collect();
    Descriptor { urls, ..Descriptor::new(blob.media_type.clone(), blob.digest.clone(), blob.size) }
}
