//! Referrers: through the API where there is one, else under the fallback tag (distribution-spec,
//! "Listing Referrers", "Referrers Tag Schema", "Pushing Manifests with Subject").

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use url::Url;

use super::call::Call;
use super::link::next_page;
use super::origin::same_origin;
use super::quirks::Referrers;
use super::{ReadWrite, Remote, Turn};
use crate::oci::{Descriptor, Digest, Manifest, ManifestRef, MediaType, RawManifest, Repository, Tag};
use crate::store::{MANIFEST_LIMIT, StoreError, StoreErrorKind};

/// More referrers of one manifest than this are taken for an attack, or for a mistake.
const MOST_REFERRERS: usize = 1000;

/// More pages than this are a circle.
const MOST_PAGES: usize = 100;

/// How often a merge of the fallback index is tried when others write it too.
const MERGE_TRIES: usize = 3;

/// The most bytes of all pages: more than so many referrers take, with long annotations.
const MOST_BYTES: usize = 2 * MANIFEST_LIMIT;

const LIST: &str = "list the referrers of";

/// A page of the API's answer.
struct Page {
    referrers: Vec<Descriptor>,
    next: Option<Url>,
    bytes: usize,
}

/// Reads a page. An index without `manifests` is some other document: it does not say that there are none.
fn read_page(body: &[u8]) -> Result<Vec<Descriptor>, String> {
    #[derive(Deserialize)]
    struct Listing {
        #[serde(rename = "manifests")]
        _manifests: IgnoredAny,
    }
    let index = Manifest::parse(body, &MediaType::OCI_INDEX).map_err(|error| error.to_string())?;
    serde_json::from_slice::<Listing>(body).map_err(|error| error.to_string())?;
    Ok(index.children().to_vec())
}

impl<A> Remote<A> {
    pub(super) async fn list_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        tags: Option<&HashSet<Tag>>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        if let Some(found) = self.referrers_if_api(repository, subject).await? {
            return Ok(found);
        }
        let tag = Tag::referrers_fallback(subject);
        if tags.is_some_and(|tags| !tags.contains(&tag)) {
            return Ok(Vec::new());
        }
        let Some(index) = self.get_manifest(repository, &tag.into()).await? else { return Ok(Vec::new()) };
        if index.digest == *subject {
            // Some registries resolve such a tag to the subject itself.
            return Ok(Vec::new());
        }
        let parsed = index.parse().map_err(|error| {
            self.listing_error(repository, subject, &format!("the fallback index cannot be read: {error}"))
        })?;
        self.bounded(repository, subject, parsed.children().to_vec())
    }

    /// What the API lists, or `None` where there is none. As long as that is not known of a repository, one
    /// asks and the others wait to hear of it.
    async fn referrers_if_api(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, StoreError> {
        let probe = {
            let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(probes.entry(repository.clone()).or_default())
        };
        let first = probe.try_lock().ok();
        if first.is_none() {
            // If whoever asks first learns nothing, the others find out each by themselves.
            drop(probe.lock().await);
        }
        let _first = first.filter(|_| self.known_api(repository).is_none());
        if self.known_api(repository) == Some(false) {
            return Ok(None);
        }
        let found = self.referrers_by_api(repository, subject).await?;
        if found.is_some() {
            self.remember_api(repository, true);
        }
        Ok(found)
    }

    /// What the API lists, or `None` where there is none.
    pub(super) async fn referrers_by_api(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, StoreError> {
        let mut next = Some(self.client.url(&format!("{repository}/referrers/{subject}")));
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let mut left = MOST_BYTES;
        while let Some(url) = next {
            if seen.len() >= MOST_PAGES || !seen.insert(url.clone()) {
                return Err(self.listing_error(repository, subject, "its pages lead in a circle"));
            }
            let first = seen.len() == 1;
            let Some(page) = self.page(repository, subject, url, first).await? else { return Ok(None) };
            left = left.checked_sub(page.bytes).ok_or_else(|| {
                self.listing_error(repository, subject, "the list is longer than any that is in order")
            })?;
            found.extend(page.referrers);
            found = self.bounded(repository, subject, found)?;
            next = page.next;
        }
        Ok(Some(found))
    }

    async fn page(
        &self,
        repository: &Repository,
        subject: &Digest,
        url: Url,
        first: bool,
    ) -> Result<Option<Page>, StoreError> {
        let mut call = Call::new(Method::GET, url, LIST, self.name(repository, subject))
            .scope(self.scope(repository))
            .accept("application/vnd.oci.image.index.v1+json");
        call.leave_host = false;
        let (answer, body) = self.client.fetch(&call, MANIFEST_LIMIT).await?;
        let status = answer.status;
        if status == StatusCode::OK && answer.is_web_page() {
            return Err(answer.web_page_error());
        }
        if status == StatusCode::OK {
            let error = |message: &str| self.listing_error(repository, subject, message);
            let next = next_page(&answer.url, &answer.headers)
                .map_err(|_| error("the `Link` to its next page cannot be read"))?
                .map(|next| self.client.at_home(next));
            if let Some(next) = next.as_ref().filter(|next| !same_origin(next, &self.client.base)) {
                let host = next.host_str().unwrap_or_default();
                return Err(error(&format!("its next page is on another host, {host}")));
            }
            let referrers =
                read_page(&body).map_err(|what| error(&format!("the answer is no index: {what}")))?;
            return Ok(Some(Page { referrers, next, bytes: body.len() }));
        }
        // Without the API: a 404, or "I do not know that", or a redirect to somewhere else entirely.
        let absent = matches!(status.as_u16(), 404 | 405 | 406 | 501) || status.is_redirection();
        if first && (absent || status == StatusCode::BAD_REQUEST) {
            let host = self.client.host.clone();
            let refusal = answer.refusal().await;
            if absent || matches!(refusal.code.as_str(), "UNSUPPORTED" | "NOT_FOUND") {
                // The 404 of a repository that does not exist says nothing about the API.
                if !matches!(refusal.code.as_str(), "NAME_UNKNOWN" | "MANIFEST_UNKNOWN") {
                    self.remember_api(repository, false);
                }
                return Ok(None);
            }
            return Err(refusal.error(LIST, &call.reference, &host, status));
        }
        Err(answer.into_error().await)
    }

    fn bounded(
        &self,
        repository: &Repository,
        subject: &Digest,
        found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        if found.len() > MOST_REFERRERS {
            let message =
                format!("there are more than {MOST_REFERRERS}, which no image has that is in order");
            return Err(self.listing_error(repository, subject, &message));
        }
        Ok(found)
    }

    fn listing_error(&self, repository: &Repository, subject: &Digest, message: &str) -> StoreError {
        StoreError::new(LIST, self.name(repository, subject), StoreErrorKind::Corrupt, message)
    }

    pub(super) fn known_api(&self, repository: &Repository) -> Option<bool> {
        if self.client.knowledge.profile().referrers == Referrers::Tags {
            return Some(false);
        }
        self.referrers_api.lock().unwrap_or_else(PoisonError::into_inner).get(repository).copied()
    }

    fn remember_api(&self, repository: &Repository, there: bool) {
        let mut known = self.referrers_api.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(repository.clone(), there);
    }
}

impl Remote<ReadWrite> {
    /// Held while a referrer of `subject` is pushed: they go one after the other. Registries that keep their
    /// own list of them have been seen to lose some that came together, and a fallback index is merged.
    pub(super) fn turn(&self, repository: &Repository, subject: &Digest) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry((repository.clone(), subject.clone())).or_default())
    }

    /// Sees to it that a referrer which the registry took no note of is found: nothing to do where the
    /// registry has the API all the same, else it is merged into the fallback index.
    pub(super) async fn index_referrer(
        &self,
        repository: &Repository,
        subject: &Digest,
        manifest: &RawManifest,
        parsed: &Manifest,
    ) -> Result<(), StoreError> {
        if self.known_api(repository).is_none() {
            // The repository is there now, so that a 404 can only mean the API.
            let there = self.referrers_by_api(repository, subject).await?.is_some();
            self.remember_api(repository, there);
        }
        if self.known_api(repository) == Some(true) {
            return Ok(());
        }
        let entry = json!(manifest.referrer_descriptor(parsed));
        self.merge(repository, subject, &manifest.digest, entry).await
    }

    /// Adds one entry to the fallback index of `subject`. The index only ever grows; what others write at
    /// the same time is merged with, and read back.
    async fn merge(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Digest,
        entry: Value,
    ) -> Result<(), StoreError> {
        let reference = ManifestRef::Tag(Tag::referrers_fallback(subject));
        for _ in 0..MERGE_TRIES {
            // Some registries resolve such a tag to the subject itself.
            let current = self.get_manifest(repository, &reference).await?;
            let current = current.filter(|index| index.digest != *subject);
            if current.as_ref().is_some_and(|index| lists(index, referrer)) {
                return Ok(());
            }
            let merged = self.merged(repository, &reference, current.as_ref(), &entry)?;
            self.put_manifest(repository, &reference, &merged).await.map_err(of_fixed_tags)?;
            let stored = self.get_manifest(repository, &reference).await?;
            if stored.is_some_and(|index| lists(&index, referrer)) {
                return Ok(());
            }
        }
        let message = format!("others kept writing it at the same time, {MERGE_TRIES} times");
        Err(self.merge_error(repository, &reference, message))
    }

    fn merged(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
        current: Option<&RawManifest>,
        entry: &Value,
    ) -> Result<RawManifest, StoreError> {
        let error = |message: String| self.merge_error(repository, reference, message);
        let mut document = match current {
            None => json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [] }),
            Some(index) if index.media_type.is_index() => {
                serde_json::from_slice(&index.bytes).map_err(|e| error(e.to_string()))?
            }
            Some(other) => {
                return Err(error(format!(
                    "the tag holds no index but `{}`; it is left alone",
                    other.media_type
                )));
            }
        };
        if document["manifests"].is_null() {
            document["manifests"] = json!([]);
        }
        let Some(entries) = document["manifests"].as_array_mut() else {
            return Err(error("its `manifests` is no list; it is left alone".into()));
        };
        entries.push(entry.clone());
        let bytes = serde_json::to_vec(&document).map_err(|e| error(e.to_string()))?;
        let media_type = current.map_or(MediaType::OCI_INDEX, |index| index.media_type.clone());
        Ok(RawManifest::new(media_type, bytes))
    }

    fn merge_error(&self, repository: &Repository, reference: &ManifestRef, message: String) -> StoreError {
        let name = self.name(repository, reference);
        StoreError::new("merge the referrers index", name, StoreErrorKind::Other, message)
    }
}

/// An immutable tag can be created and cannot grow.
fn of_fixed_tags(mut error: StoreError) -> StoreError {
    if error.kind == StoreErrorKind::Other {
        error.message.push_str(
            "; this tag is the registry's list of referrers and has to grow: take tags that begin with `sha256-` out \
             of its immutability",
        );
    }
    error
}

fn lists(index: &RawManifest, referrer: &Digest) -> bool {
    index.parse().is_ok_and(|index| index.children().iter().any(|child| child.digest == *referrer))
}
