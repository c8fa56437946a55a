//! Referrers in a layout, for which there is no one way to write them down.
//!
//! A manifest with a subject has an entry of its own. regctl looks elsewhere: in an index that lists the
//! referrers and whose name is `sha256-HEX`, the tag that the distribution-spec gives such lists
//! ("Referrers Tag Schema"), without a repository. Both are read, and both are kept up; a list is made from
//! what is here, and is no tag of any repository.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use serde_json::json;

use super::index::Index;
use super::{Inner, Problem};
use crate::oci::{Descriptor, Digest, Manifest, MediaType, RawManifest};
use crate::store::StoreErrorKind;

impl Inner {
    /// What a manifest refers to, and the descriptor by which it is listed there.
    pub(super) fn refers(
        &self,
        index: &Index,
        digest: &Digest,
    ) -> Result<Option<(Digest, Descriptor)>, Problem> {
        let known = || self.refers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refers) = known().get(digest).cloned() {
            // What was deleted since refers to nothing any more.
            let is_here = refers.is_some() && self.folder.blob_size(digest)?.is_some();
            return Ok(refers.filter(|_| is_here));
        }
        let manifest = match self.stored(index, digest) {
            // A layout may name content that is elsewhere. What is too large is no manifest.
            Ok(None) => return Ok(None),
            Err(problem) if problem.kind == StoreErrorKind::TooLarge => return Ok(None),
            manifest => manifest?,
        };
        let refers = manifest.and_then(|manifest| {
            let parsed = manifest.parse().ok()?;
            let descriptor = manifest.referrer_descriptor(&parsed);
            parsed.subject.map(|subject| (subject.digest, descriptor))
        });
        known().insert(digest.clone(), refers.clone());
        Ok(refers)
    }

    /// All manifests that are here and name `subject` as theirs.
    pub(super) fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Problem> {
        self.referrers_in(&*self.index()?, subject)
    }

    fn referrers_in(&self, index: &Index, subject: &Digest) -> Result<Vec<Descriptor>, Problem> {
        let entries = index.entries().iter().map(|entry| entry.manifest.digest.clone());
        let mut candidates: BTreeSet<Digest> = entries.collect();
        let list = match index.list(subject) {
            Some(list) => self.stored(index, list)?,
            None => None,
        };
        if let Some(list) = list.and_then(|list| Manifest::parse(&list.bytes, &list.media_type).ok()) {
            candidates.extend(list.children().iter().map(|child| child.digest.clone()));
        }
        let mut found = Vec::new();
        for digest in &candidates {
            if let Some((of, descriptor)) = self.refers(index, digest)?
                && of == *subject
            {
                found.push(descriptor);
            }
        }
        Ok(found)
    }

    /// Brings the list of a subject's referrers up to date, with `index.json` if that takes more than one
    /// step. Says whether `index.json` is still to be written.
    pub(super) fn list_referrers(&self, index: &mut Index, subject: &Digest) -> Result<bool, Problem> {
        // The other algorithm's tags are cut off, so that they say no subject.
        let Digest::Sha256(_) = subject else { return Ok(true) };
        let found = self.referrers_in(index, subject)?;
        let before = index.list(subject).cloned();
        let list = (!found.is_empty()).then(|| {
            let document = json!({
                "schemaVersion": 2,
                "mediaType": MediaType::OCI_INDEX,
                "manifests": found,
            });
            RawManifest::new(MediaType::OCI_INDEX, document.to_string())
        });
        if let Some(list) = &list {
            self.folder.write_blob_locked(&list.digest, &list.bytes)?;
        }
        index.set_list(subject, list.as_ref().map(RawManifest::descriptor).as_ref());
        match before {
            // Another entry may have the same content.
            Some(before) if index.media_type(&before).is_none() => {
                self.folder.write_index(&index.to_bytes())?;
                self.folder.remove_blob(&before)?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }
}
