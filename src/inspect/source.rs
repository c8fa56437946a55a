//! What the source has: the image that an entry names, or the part of it that the entry wants.

use super::Look;
use crate::oci::{Descriptor, ManifestError, RawManifest, derive_index};
use crate::plan::{Derived, Found, SourceState, TargetState};
use crate::store::{Source, StoreError};

/// What the source has, as it was read.
pub(super) enum AtSource {
    State(SourceState),
    /// The image's digest, and its manifest if that was read.
    Image {
        found: Found,
        root: Option<RawManifest>,
    },
}

impl Look<'_> {
    /// What the entry's reference stands for. Where the target has the tag, the digest alone may do, and the
    /// manifest is not asked for. `found` is what the source said of it already.
    pub(super) async fn at_source(
        self,
        source: &dyn Source,
        target: &TargetState,
        found: Option<Result<Option<Descriptor>, StoreError>>,
    ) -> AtSource {
        let read = async {
            if !self.entry.platforms.is_empty() {
                return self.some_platforms(source).await;
            }
            let (repository, reference) = (&self.entry.source.repository, self.entry.source.manifest_ref());
            let wants_manifest = matches!(target, TargetState::Absent | TargetState::NotReadable(_));
            let (found, root) = if wants_manifest {
                let root = source.manifest(repository, &reference).await?;
                (root.as_ref().map(RawManifest::descriptor), root)
            } else {
                match found {
                    Some(found) => (found?, None),
                    None => (source.resolve(repository, &reference).await?, None),
                }
            };
            let Some(found) = found else { return Ok(AtSource::State(SourceState::Gone(self.gone()))) };
            if found.media_type.is_schema1() {
                return Err(self.unsupported(ManifestError::Schema1.to_string()));
            }
            let digest = found.digest;
            Ok(AtSource::Image {
                found: Found { source_digest: digest.clone(), digest, derived: None },
                root,
            })
        };
        read.await.unwrap_or_else(|error| AtSource::State(SourceState::Blocked(self.blocked(error))))
    }

    /// Only some platforms are wanted: the index says which there are, and becomes a smaller one.
    async fn some_platforms(self, source: &dyn Source) -> Result<AtSource, StoreError> {
        let (repository, reference) = (&self.entry.source.repository, self.entry.source.manifest_ref());
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
}
