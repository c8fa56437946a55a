//! Reading and pushing manifests, and the [`Source`] of a registry (distribution-spec, "Pulling
//! manifests", "Pushing Manifests", "Listing Tags").

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, StatusCode};
use serde::Deserialize;

use super::answer::Answer;
use super::call::{Body, Call};
use super::error::PUSH_MANIFEST;
use super::link::next_page;
use super::{ReadWrite, Remote};
use crate::oci::{
    DEFAULT_REGISTRY, Descriptor, Digest, Manifest, ManifestError, ManifestRef, MediaType, RawManifest,
    Repository, Tag,
};
use crate::store::{
    BlobOrigin, BlobStream, MANIFEST_LIMIT, Placed, Pulls, Push, Source, StoreError, StoreErrorKind, Tags,
    Target,
};

/// [`MediaType::ACCEPTED_MANIFESTS`], as a header.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws, \
    application/vnd.docker.distribution.manifest.v1+json";

/// The digest of a manifest that the registry states.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A page of tags fits well into this many bytes.
const PAGE_BYTES: usize = 1024 * 1024;

impl<A> Remote<A> {
    fn manifest_call(&self, method: Method, repository: &Repository, reference: &ManifestRef) -> Call {
        let url = self.client.url(&format!("{repository}/manifests/{reference}"));
        let is_pull = method == Method::GET;
        let call = Call::new(method, url, "read manifest", self.name(repository, reference))
            .scope(self.scope(repository))
            .accept(ACCEPT);
        Call { is_pull, ..call }
    }

    pub(super) async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        // Where reading counts, whether there is anything to read is asked first, which does not.
        let is_counted = matches!(self.pulls_left(), Pulls::Left(_) | Pulls::Unstated);
        if is_counted
            && reference.tag().is_some()
            && self.head_manifest(repository, reference).await?.is_none()
        {
            return Ok(None);
        }
        self.fetch_manifest(repository, reference).await
    }

    /// What arrives corrupt is asked for once more: something on the way may have kept a wrong answer.
    async fn fetch_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        match self.fetch_manifest_once(repository, reference).await {
            Err(error) if error.kind == StoreErrorKind::Corrupt => {
                self.client.traffic.retries.fetch_add(1, Ordering::Relaxed);
                self.fetch_manifest_once(repository, reference).await
            }
            fetched => fetched,
        }
    }

    async fn fetch_manifest_once(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        let call = self.manifest_call(Method::GET, repository, reference);
        let (answer, bytes) = self.client.fetch(&call, MANIFEST_LIMIT).await?;
        match answer.status {
            StatusCode::OK if answer.is_web_page() => return Err(answer.web_page_error()),
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                drop(answer.error_body().await);
                return Ok(None);
            }
            _ => return Err(answer.into_error().await),
        }
        let served = media_type(&answer);
        if served.is_schema1() {
            // Its digest leaves its signatures out, so that it could not be checked either.
            let message = ManifestError::Schema1.to_string();
            return Err(StoreError::new(
                call.operation,
                call.reference,
                StoreErrorKind::Unsupported,
                message,
            ));
        }
        let stated = stated_digest(&answer);
        // A tag's digest is what the registry states, if its algorithm is another than ours.
        let expected = reference.digest().or(stated.as_ref());
        let digest =
            expected.map_or_else(|| Digest::sha256(&bytes), |expected| expected.same_algorithm(&bytes));
        if expected.is_some_and(|expected| *expected != digest) {
            let message = match expected {
                Some(expected) => {
                    format!("the registry sent a manifest with the digest {digest} for {expected}")
                }
                None => format!("the registry sent a manifest with the digest {digest}"),
            };
            return Err(StoreError::new(call.operation, call.reference, StoreErrorKind::Corrupt, message));
        }
        // Where the answer does not say what it is, the document does.
        let stated = || Manifest::parse(&bytes, &served).map(|parsed| parsed.media_type);
        let media_type =
            if served.is_manifest() { served } else { stated().unwrap_or_else(|_| served.clone()) };
        Ok(Some(RawManifest { digest, media_type, bytes }))
    }

    /// How many manifests may still be read. Of Docker Hub it is known that it counts before it says so.
    fn pulls_left(&self) -> Pulls {
        match self.client.quotas.left() {
            Some(quota) => Pulls::Left(quota),
            None if self.client.quotas.is_known() => Pulls::Unlimited,
            None if self.registry.as_str() == DEFAULT_REGISTRY => Pulls::Unstated,
            None => Pulls::Unknown,
        }
    }

    async fn head_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError> {
        let answer = self.client.send(&self.manifest_call(Method::HEAD, repository, reference)).await?;
        match answer.status {
            StatusCode::OK if answer.is_web_page() => return Err(answer.web_page_error()),
            // Without HEAD only the document itself tells.
            StatusCode::OK | StatusCode::METHOD_NOT_ALLOWED => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(answer.into_error().await),
        }
        let size = answer.header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
        if let (StatusCode::OK, Some(digest), Some(size)) = (answer.status, stated_digest(&answer), size)
            && reference.digest().is_none_or(|asked| *asked == digest)
        {
            return Ok(Some(Descriptor::new(media_type(&answer), digest, size)));
        }
        // Its place is needed: with all of them taken by answers that wait for another, nothing would go on.
        drop(answer);
        Ok(self.fetch_manifest(repository, reference).await?.map(|manifest| manifest.descriptor()))
    }

    async fn first_page_of_tags(&self, repository: &Repository) -> Result<Option<Vec<Tag>>, StoreError> {
        #[derive(Deserialize)]
        struct Tags {
            /// `null` is an empty list; without it the document is something else.
            #[serde(deserialize_with = "Option::deserialize")]
            tags: Option<Vec<String>>,
        }
        let mut url = self.client.url(&format!("{repository}/tags/list"));
        let page = self.client.knowledge.profile().page_size;
        url.query_pairs_mut().append_pair("n", &page.to_string());
        let call = Call::new(Method::GET, url, "list the tags of", format!("{}/{repository}", self.registry))
            .scope(self.scope(repository));
        let mut answer = self.client.send(&call).await?;
        if answer.status.is_client_error() {
            // Not every registry lists tags, and not for everyone.
            drop(answer.error_body().await);
            return Ok(None);
        }
        if answer.status != StatusCode::OK {
            return Err(answer.into_error().await);
        }
        let more = next_page(&answer.url, &answer.headers) != Ok(None);
        let Ok(body) = answer.read(PAGE_BYTES).await else { return Ok(None) };
        self.client.silence.ends();
        let Ok(list) = serde_json::from_slice::<Tags>(&body) else { return Ok(None) };
        let tags = list.tags.unwrap_or_default();
        if more || tags.len() >= usize::from(page) {
            return Ok(None);
        }
        Ok(Some(tags.iter().filter_map(|tag| tag.parse().ok()).collect()))
    }
}

fn media_type(answer: &Answer) -> MediaType {
    MediaType::new(answer.header(CONTENT_TYPE).unwrap_or_default())
}

/// What a registry may have against a manifest that it does not say: distribution refuses `urls` that its
/// configuration does not allow (`validation.manifests.urls.allow`), even with a 500.
fn of_foreign_layers(mut error: StoreError, manifest: &RawManifest) -> StoreError {
    let has_urls = manifest.parse().is_ok_and(|it| it.layers().iter().any(|layer| !layer.urls.is_empty()));
    if has_urls {
        error.message.push_str(
            "; layers of this manifest have `urls`, which some registries only take if they are told to",
        );
    }
    error
}

fn stated_digest(answer: &Answer) -> Option<Digest> {
    answer.header(CONTENT_DIGEST)?.parse().ok()
}

#[async_trait]
impl<A: Send + Sync> Source for Remote<A> {
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError> {
        self.head_manifest(repository, reference).await
    }

    async fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError> {
        self.get_manifest(repository, reference).await
    }

    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, StoreError> {
        self.head_blob(repository, blob).await
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<BlobStream, StoreError> {
        self.get_blob(repository, blob, 0).await
    }

    async fn blob_from(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        start: u64,
    ) -> Result<BlobStream, StoreError> {
        self.get_blob(repository, blob, start).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        tags: Option<&HashSet<Tag>>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        self.list_referrers(repository, subject, tags).await
    }

    async fn all_tags(&self, repository: &Repository) -> Result<Option<Tags>, StoreError> {
        if !self.is_direct {
            return Ok(None);
        }
        let tags = self.first_page_of_tags(repository).await?;
        Ok(tags.map(|tags| Arc::new(tags.into_iter().collect())))
    }

    fn pulls(&self) -> Pulls {
        self.pulls_left()
    }
}

#[async_trait]
impl Target for Remote<ReadWrite> {
    async fn push_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        push: Push<'_>,
        origin: &dyn BlobOrigin,
    ) -> Result<Placed, StoreError> {
        self.place_blob(repository, blob, push, origin).await
    }

    async fn push_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
        manifest: &RawManifest,
    ) -> Result<(), StoreError> {
        let parsed = manifest.parse().ok();
        let subject = parsed.as_ref().and_then(|parsed| Some((parsed.subject.as_ref()?, parsed)));
        let Some((subject, parsed)) = subject else {
            return self.put_manifest(repository, reference, manifest).await.map(drop::<bool>);
        };
        let turn = self.turn(repository, &subject.digest);
        let _alone = turn.lock().await;
        if self.put_manifest(repository, reference, manifest).await? {
            return Ok(());
        }
        self.index_referrer(repository, &subject.digest, manifest, parsed).await
    }
}

impl Remote<ReadWrite> {
    /// Pushes a manifest. True if the registry says that it has taken note of the subject.
    pub(super) async fn put_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
        manifest: &RawManifest,
    ) -> Result<bool, StoreError> {
        let url = self.client.url(&format!("{repository}/manifests/{reference}"));
        let mut call = Call::new(Method::PUT, url, PUSH_MANIFEST, self.name(repository, reference))
            .scope(self.scope(repository));
        call.body = Body::Bytes(manifest.media_type.to_string(), manifest.bytes.clone());
        let answer = self.client.send(&call).await.map_err(|error| of_foreign_layers(error, manifest))?;
        let status = answer.status;
        if !status.is_success() {
            let mut error = of_foreign_layers(answer.into_error().await, manifest);
            if let Some(advice) = self.client.knowledge.profile().advice_on_manifest(status, manifest) {
                error.message.push_str("; ");
                error.message.push_str(&advice);
            }
            return Err(error);
        }
        if answer.is_web_page() {
            return Err(answer.web_page_error());
        }
        if let Some(stored) = stated_digest(&answer).filter(|stored| !manifest.has_digest(stored)) {
            let message = format!("the registry stored it under another digest, {stored}");
            return Err(StoreError::new(call.operation, call.reference, StoreErrorKind::Corrupt, message));
        }
        let indexed = answer.headers.contains_key("oci-subject");
        drop(answer.error_body().await);
        Ok(indexed)
    }
}
