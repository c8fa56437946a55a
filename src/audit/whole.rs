//! A manifest and all below it, as the target has them: every manifest is read, every blob is looked at.
//!
//! A walk for a copy ends at the first thing that is missing; this one goes on, so that all that is missing is told.

use std::collections::HashSet;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;

use super::finding::{Check, Finding, Kind, RemarkKind};
use super::shelf::{Condition, Shelf};
use crate::fault::cause;
use crate::oci::{Descriptor, Digest, Manifest, Platform, RawManifest, Repository};
use crate::plan::Side;
use crate::store::{Source, StoreError, StoreErrorKind};
use crate::walk::{DEEPEST, MOST_BLOBS, MOST_MANIFESTS};

/// So many manifests or blobs of one image are asked for at a time.
const AT_A_TIME: usize = 16;

/// The most characters of a platform's name that are repeated.
const LONGEST_NAME: usize = 100;

/// What to do about something that is missing.
pub(super) const HEAL: &str = "delete the tag at the target and sync again: what is there is not sent again";

/// What to do about something that is there and wrong.
const REPLACE: &str = "delete it at the registry, and the tag too, and sync again; look for the cause in the \
                       registry's storage";

/// What a walk came by.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The manifests, those that are missing included, the root first.
    pub(super) digests: Vec<Digest>,
    /// What indexes say that their images run on.
    pub(super) platforms: Vec<Platform>,
}

/// Where to look, and where to note what is found.
pub(super) struct Walk<'a> {
    pub(super) target: &'a dyn Source,
    pub(super) shelf: &'a Shelf<'a>,
    pub(super) repository: &'a Repository,
    /// The tag, or what hangs on it, for messages.
    pub(super) reference: String,
    /// What the root is called as a part of the image; `None` for the image itself.
    pub(super) root_name: Option<String>,
}

/// A manifest that was read.
struct Node {
    manifest: Manifest,
    /// What it is called as a part of the image, unless it is the image.
    name: Option<String>,
}

impl Walk<'_> {
    /// Looks at the manifest and at all below it.
    pub(super) async fn go(&self, root: &RawManifest, check: &mut Check) -> Seen {
        let mut seen = Seen { digests: vec![root.digest.clone()], platforms: Vec::new() };
        let mut known = HashSet::from([root.digest.clone()]);
        let mut blobs = 0;
        let mut level: Vec<Node> = parsed(root, self.root_name.clone(), check).into_iter().collect();
        for depth in 0.. {
            check.manifests += level.len();
            blobs += level.iter().map(|node| node.manifest.blobs().count()).sum::<usize>();
            if depth > DEEPEST || seen.digests.len() > MOST_MANIFESTS || blobs > MOST_BLOBS {
                let message = "it has more manifests or blobs, or is nested deeper, than any real image";
                check.fail(cause(Side::Target, self.error(StoreErrorKind::TooLarge, message)));
                break;
            }
            for node in &level {
                self.blobs(node, check).await;
            }
            let children: Vec<Descriptor> =
                level.iter().flat_map(|node| node.manifest.children()).cloned().collect();
            for platform in children.iter().filter_map(|child| child.platform.as_ref()) {
                if !platform.is_unknown() && !seen.platforms.contains(platform) {
                    seen.platforms.push(platform.clone());
                }
            }
            let fresh: Vec<Descriptor> =
                children.into_iter().filter(|child| known.insert(child.digest.clone())).collect();
            if fresh.is_empty() {
                break;
            }
            seen.digests.extend(fresh.iter().map(|child| child.digest.clone()));
            level = Vec::new();
            if seen.digests.len() > MOST_MANIFESTS {
                continue;
            }
            for some in fresh.chunks(AT_A_TIME) {
                let read = join_all(some.iter().map(|child| self.read(&child.digest))).await;
                for (child, manifest) in some.iter().zip(read) {
                    level.extend(self.child(child, manifest, check));
                }
            }
        }
        seen
    }

    async fn read(&self, digest: &Digest) -> Result<Option<RawManifest>, StoreError> {
        self.target.manifest(self.repository, &digest.clone().into()).await
    }

    /// A child, if it can be gone into.
    fn child(
        &self,
        child: &Descriptor,
        read: Result<Option<RawManifest>, StoreError>,
        check: &mut Check,
    ) -> Option<Node> {
        let name = self.name_of(child);
        let manifest = taken(read, &child.digest, Some(&name), check)?;
        let size = manifest.bytes.len() as u64;
        if size != child.size {
            check.find(Finding {
                kind: Kind::WrongSize,
                part: Some(name.clone()),
                expected: Some(child.digest.clone()),
                found: None,
                message: format!(
                    "the manifest {} has {size} bytes, its index says {}",
                    child.digest, child.size
                ),
                advice: REPLACE.to_owned(),
            });
        }
        parsed(&manifest, Some(name), check)
    }

    async fn blobs(&self, node: &Node, check: &mut Check) {
        let asked = |blob| async move { self.shelf.condition(self.repository, blob).await };
        let mut conditions = stream::iter(node.manifest.blobs()).map(asked).buffered(AT_A_TIME);
        let has_config = node.manifest.blobs().count() > node.manifest.layers().len();
        for (place, blob) in node.manifest.blobs().enumerate() {
            let Some(condition) = conditions.next().await else { break };
            check.blobs += 1;
            let what = match (place, has_config) {
                (0, true) => "config".to_owned(),
                (place, true) => format!("layer {place}"),
                (place, false) => format!("layer {}", place + 1),
            };
            let of = node.name.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
            note(condition, blob, format!("{what}{of}"), check);
        }
    }

    /// What a child is called: its platform, or else its digest.
    fn name_of(&self, child: &Descriptor) -> String {
        let name = match &child.platform {
            Some(platform) if !platform.is_unknown() => {
                platform.to_string().chars().take(LONGEST_NAME).collect()
            }
            _ => format!("the manifest {}", child.digest.short()),
        };
        match &self.root_name {
            None => name,
            Some(root) => format!("{name} in {root}"),
        }
    }

    fn error(&self, kind: StoreErrorKind, message: &str) -> StoreError {
        StoreError::new("read manifest", &self.reference, kind, message)
    }
}

/// What came of the request for a manifest, if it came.
pub(super) fn taken(
    read: Result<Option<RawManifest>, StoreError>,
    digest: &Digest,
    name: Option<&String>,
    check: &mut Check,
) -> Option<RawManifest> {
    match read {
        Ok(Some(manifest)) => return Some(manifest),
        Ok(None) => check.find(Finding {
            kind: Kind::ManifestMissing,
            part: name.cloned(),
            expected: Some(digest.clone()),
            found: None,
            message: format!("the manifest {digest} is not there"),
            advice: HEAL.to_owned(),
        }),
        Err(error) if error.kind == StoreErrorKind::Corrupt => {
            check.find(corrupt(name.cloned(), digest, "manifest", &error.message));
        }
        Err(error) => check.fail(cause(Side::Target, error)),
    }
    None
}

fn parsed(manifest: &RawManifest, name: Option<String>, check: &mut Check) -> Option<Node> {
    match manifest.parse() {
        Ok(manifest) => Some(Node { manifest, name }),
        Err(error) => {
            check.find(corrupt(name, &manifest.digest, "manifest", &error.to_string()));
            None
        }
    }
}

/// Takes note of how a blob stands.
fn note(condition: Condition, blob: &Descriptor, part: String, check: &mut Check) {
    let digest = &blob.digest;
    match condition {
        Condition::Sound => {}
        Condition::Missing if blob.media_type.is_foreign_layer() => check.remark(
            RemarkKind::ForeignLayer,
            format!("the {part}, {digest}, is kept elsewhere by its author and is not at the target"),
        ),
        Condition::Missing => check.find(Finding {
            kind: Kind::BlobMissing,
            part: Some(part),
            expected: Some(digest.clone()),
            found: None,
            message: format!("the blob {digest}, of {} bytes, is not there", blob.size),
            advice: HEAL.to_owned(),
        }),
        Condition::WrongSize(message) => check.find(Finding {
            kind: Kind::WrongSize,
            part: Some(part),
            expected: Some(digest.clone()),
            found: None,
            message: format!("the blob {digest}: {message}"),
            advice: REPLACE.to_owned(),
        }),
        Condition::Corrupt(message) => check.find(corrupt(Some(part), digest, "blob", &message)),
        Condition::Unknown(error) => check.fail(cause(Side::Target, error.as_ref().clone())),
    }
}

fn corrupt(part: Option<String>, digest: &Digest, what: &str, message: &str) -> Finding {
    Finding {
        kind: Kind::Corrupt,
        part,
        expected: Some(digest.clone()),
        found: None,
        message: format!("the {what} {digest}: {message}"),
        advice: REPLACE.to_owned(),
    }
}
