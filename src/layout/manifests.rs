//! Manifests among the blobs: finding them, and taking new ones in.

use std::io;

use super::index::Index;
use super::{Inner, Problem};
use crate::oci::{Digest, Manifest, ManifestRef, MediaType, RawManifest, Repository};
use crate::store::{MANIFEST_LIMIT, StoreErrorKind};

impl Inner {
    /// A manifest by tag or digest.
    pub(super) fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, Problem> {
        let index = self.index()?;
        match reference {
            ManifestRef::Digest(digest) => self.stored(&index, digest),
            ManifestRef::Tag(tag) => {
                let Some(digest) = index.find(repository, tag) else { return Ok(None) };
                let manifest = self.stored(&index, digest)?;
                // An incomplete layout must not pass for one that has no such tag.
                let message = || format!("its index.json names {digest}, which is not among its blobs");
                manifest.map(Some).ok_or_else(|| Problem::new(StoreErrorKind::Corrupt, message()))
            }
        }
    }

    /// A manifest among the blobs; `None` if there is no such blob, or it is none that is a manifest.
    pub(super) fn stored(&self, index: &Index, digest: &Digest) -> Result<Option<RawManifest>, Problem> {
        let named = index.media_type(digest);
        let bytes = match self.folder.read_blob(digest, MANIFEST_LIMIT as u64) {
            // What nobody calls a manifest is a layer.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge && named.is_none() => return Ok(None),
            bytes => bytes?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let found = digest.same_algorithm(&bytes);
        if found != *digest {
            let message = format!("the file of {digest} has content with the digest {found}");
            return Err(Problem::new(StoreErrorKind::Corrupt, message));
        }
        let media_type = match named {
            Some(named) => named.clone(),
            None => match Manifest::parse(&bytes, &MediaType::new("")) {
                Ok(parsed) => parsed.media_type,
                Err(_) => return Ok(None),
            },
        };
        Ok(Some(RawManifest { digest: digest.clone(), media_type, bytes: bytes.into() }))
    }

    /// Puts a manifest among the blobs, if all that it names is there. Gives its subject.
    pub(super) fn keep_manifest(&self, manifest: &RawManifest) -> Result<Option<Digest>, Problem> {
        if manifest.bytes.len() > MANIFEST_LIMIT {
            let message = format!("a manifest has {MANIFEST_LIMIT} bytes at most");
            return Err(Problem::new(StoreErrorKind::TooLarge, message));
        }
        let found = manifest.digest.same_algorithm(&manifest.bytes);
        if found != manifest.digest {
            let message = format!("the content has the digest {found}");
            return Err(Problem::new(StoreErrorKind::Corrupt, message));
        }
        let parsed =
            manifest.parse().map_err(|error| Problem::new(StoreErrorKind::Unsupported, error.to_string()))?;
        for named in parsed.children().iter().chain(parsed.blobs()) {
            let elsewhere = named.media_type.is_foreign_layer() && !named.urls.is_empty();
            if !elsewhere && self.folder.blob_size(&named.digest)?.is_none() {
                let message = format!("it names {}, which is not here", named.digest);
                return Err(Problem::new(StoreErrorKind::ContentUnknown, message));
            }
        }
        let present = self.folder.read_blob(&manifest.digest, MANIFEST_LIMIT as u64)?;
        if present.is_none_or(|present| present != manifest.bytes) {
            self.folder.write_blob(&manifest.digest, &manifest.bytes)?;
        }
        Ok(parsed.subject.map(|subject| subject.digest))
    }
}
