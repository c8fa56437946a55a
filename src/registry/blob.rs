//! Reading, mounting and uploading blobs (distribution-spec, "Pulling blobs", "Pushing blobs",
//! "Mounting a blob from another repository").
//!
//! The cheapest way to a blob at a target is found here; `upload` sends its bytes where there is none.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::auth::Scope;
use super::call::Call;
use super::download::download;
use super::upload::Upload;
use super::{ReadWrite, Remote};
use crate::oci::{Descriptor, Repository};
use crate::store::{BlobOrigin, BlobStream, Placed, Push, StoreError, StoreErrorKind};

/// What a POST to the uploads endpoint led to.
enum Started {
    Mounted,
    At(Url),
    /// The registry wants no mount from there.
    Refused,
}

impl<A> Remote<A> {
    fn blob_call(&self, method: Method, repository: &Repository, blob: &Descriptor) -> Call {
        let url = self.client.url(&format!("{repository}/blobs/{}", blob.digest));
        Call::new(method, url, "read blob", self.name(repository, &blob.digest)).scope(self.scope(repository))
    }

    pub(super) async fn head_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<bool, StoreError> {
        let call = self.blob_call(Method::HEAD, repository, blob);
        let answer = self.client.send(&call).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(false),
            _ => return Err(answer.into_error().await),
        }
        let size = answer.header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        match size.filter(|size| *size != blob.size) {
            None => Ok(true),
            Some(size) => {
                let message = format!("the registry has {size} bytes of it, the manifest says {}", blob.size);
                Err(StoreError::new(call.operation, call.reference, StoreErrorKind::Corrupt, message))
            }
        }
    }

    pub(super) async fn get_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        start: u64,
    ) -> Result<BlobStream, StoreError> {
        let mut call = self.blob_call(Method::GET, repository, blob);
        call.moves = blob.size;
        download(Arc::clone(&self.client), call, blob.size, start).await
    }
}

/// A blob that is looked for by a mount at most is at most so large: if the registry turns out not to mount,
/// so many bytes may have been sent without need, once.
const PROBE_LIMIT: u64 = 1024 * 1024;

/// So long a blob waits for another one to find out whether the registry mounts.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

impl Remote<ReadWrite> {
    pub(super) async fn place_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        push: Push<'_>,
        origin: &dyn BlobOrigin,
    ) -> Result<Placed, StoreError> {
        let upload = Upload { repository, blob, origin };
        let mount_from = match push {
            Push::Again => return self.upload(upload, self.plain_start(upload).await?).await,
            Push::IfMissing { mount_from } => mount_from.filter(|from| *from != repository),
        };
        let mount_from = match mount_from {
            Some(from) if !self.is_ours(repository, from).await? => None,
            from => from,
        };
        if !self.client.knowledge.profile().mount {
            return self.upload_if_missing(upload, None).await;
        }
        if let Some(from) = mount_from {
            return match self.start(upload, Some(from)).await? {
                Started::Mounted => Ok(Placed::Mounted),
                Started::At(location) => self.upload_if_missing(upload, Some(location)).await,
                Started::Refused => self.upload_if_missing(upload, None).await,
            };
        }
        if self.mounts_own.get().is_none() && blob.size > PROBE_LIMIT {
            return self.upload_if_missing(upload, None).await;
        }
        match self.mounts_own.get() {
            Some(true) => self.upload_unless_mounted(upload).await,
            Some(false) => self.upload_if_missing(upload, None).await,
            None => self.place_unprobed(upload).await,
        }
    }

    /// Whether who pushes is also who would read there. What another account is named for is not asked for: the
    /// registry would refuse it, and somebody may be watching who tries.
    async fn is_ours(&self, repository: &Repository, from: &Repository) -> Result<bool, StoreError> {
        self.client.auth.is_one_account(&self.scope(repository), &self.scope(from)).await
    }

    /// The first blob finds out whether the registry mounts; the others wait for that. They do not wait long:
    /// the first may come from a source that hangs, and they from one that does not.
    async fn place_unprobed(&self, upload: Upload<'_>) -> Result<Placed, StoreError> {
        let probing = timeout(PROBE_PATIENCE, self.probing.lock()).await;
        if probing.is_ok() && self.mounts_own.get().is_none() {
            let (mounts, placed) = self.probe(upload).await?;
            // Nobody else sets it while the lock is held.
            let _ = self.mounts_own.set(mounts);
            return Ok(placed);
        }
        drop(probing);
        match self.mounts_own.get() {
            Some(true) => self.upload_unless_mounted(upload).await,
            _ => self.upload_if_missing(upload, None).await,
        }
    }

    /// Finds out whether the registry "mounts" a blob from the very repository: then one POST says that the
    /// blob is there, or begins its upload, and nothing need be asked before.
    async fn probe(&self, upload: Upload<'_>) -> Result<(bool, Placed), StoreError> {
        let placed = self.upload_unless_mounted(upload).await?;
        if placed == Placed::Present {
            return Ok((true, placed));
        }
        let again = self.start(upload, Some(upload.repository)).await?;
        Ok((matches!(again, Started::Mounted), placed))
    }

    async fn upload_unless_mounted(&self, upload: Upload<'_>) -> Result<Placed, StoreError> {
        match self.start(upload, Some(upload.repository)).await? {
            Started::Mounted => Ok(Placed::Present),
            Started::At(location) => self.upload(upload, location).await,
            Started::Refused => self.upload_if_missing(upload, None).await,
        }
    }

    /// Asks first. An upload that was begun already is left to the registry's own clean-up if the blob is
    /// there: cancelling takes a right that a mirror need not have.
    async fn upload_if_missing(&self, upload: Upload<'_>, begun: Option<Url>) -> Result<Placed, StoreError> {
        if self.head_blob(upload.repository, upload.blob).await? {
            return Ok(Placed::Present);
        }
        let location = match begun {
            Some(location) => location,
            None => self.plain_start(upload).await?,
        };
        self.upload(upload, location).await
    }

    pub(super) async fn plain_start(&self, upload: Upload<'_>) -> Result<Url, StoreError> {
        match self.start(upload, None).await? {
            Started::At(location) => Ok(location),
            Started::Mounted | Started::Refused => {
                let reference = self.name(upload.repository, &upload.blob.digest);
                let message = "the registry took the beginning of an upload for something else";
                Err(StoreError::new("upload blob", reference, StoreErrorKind::Other, message))
            }
        }
    }

    async fn start(
        &self,
        upload: Upload<'_>,
        mount_from: Option<&Repository>,
    ) -> Result<Started, StoreError> {
        let Upload { repository, blob, .. } = upload;
        let mut url = self.client.url(&format!("{repository}/blobs/uploads/"));
        let mut scopes = vec![self.scope(repository)];
        if let Some(from) = mount_from {
            url.query_pairs_mut()
                .append_pair("mount", &blob.digest.to_string())
                .append_pair("from", from.as_str());
            if from != repository {
                scopes.push(Scope { repository: from.clone(), actions: "pull" });
            }
        }
        let reference = self.name(repository, &blob.digest);
        let mut call = Call::new(Method::POST, url, "upload blob", reference);
        call.scopes = scopes;
        let mut answer = match self.client.send(&call).await {
            Ok(answer) => answer,
            // Without the right to read there, the blob can still be sent.
            Err(error) if mount_from.is_some() && error.kind == StoreErrorKind::Denied => {
                return Ok(Started::Refused);
            }
            Err(error) => return Err(error),
        };
        if answer.status == StatusCode::NOT_FOUND && self.creates_repositories() {
            let refusal = answer.refusal().await;
            if refusal.code != "NAME_UNKNOWN" {
                let host = &self.client.host;
                let error = refusal.error(call.operation, &call.reference, host, StatusCode::NOT_FOUND);
                return if mount_from.is_some() { Ok(Started::Refused) } else { Err(error) };
            }
            self.create_repository(repository).await?;
            answer = self.client.send(&call).await?;
        }
        match answer.status {
            StatusCode::CREATED if mount_from.is_some() => {
                drop(answer.error_body().await);
                Ok(Started::Mounted)
            }
            StatusCode::ACCEPTED => {
                let location = self.next_location(&answer);
                drop(answer.error_body().await);
                location.map(Started::At).ok_or_else(|| {
                    let message = "the registry does not say where to upload to (no Location)";
                    StoreError::new(call.operation, call.reference, StoreErrorKind::Other, message)
                })
            }
            status if mount_from.is_some() && status.is_client_error() => {
                drop(answer.error_body().await);
                Ok(Started::Refused)
            }
            _ => Err(answer.into_error().await),
        }
    }
}
