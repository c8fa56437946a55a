//! Reading, mounting and uploading blobs (distribution-spec, "Pulling blobs", "Pushing blobs",
//! "Mounting a blob from another repository").
//!
//! An upload is a POST and one PUT with a Content-Length: every registry takes that, chunks are where
//! they differ.

use http::header::{CONTENT_LENGTH, LOCATION};
use http::{Method, StatusCode};
use url::Url;

use super::auth::Scope;
use super::client::{Call, same_origin};
use super::{ReadWrite, Remote};
use crate::oci::{Descriptor, Repository};
use crate::store::{BlobOrigin, BlobStream, Placed, StoreError, StoreErrorKind};

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
    ) -> Result<BlobStream, StoreError> {
        let answer = self.client.send(&self.blob_call(Method::GET, repository, blob)).await?;
        if answer.status == StatusCode::OK { Ok(answer.stream()) } else { Err(answer.into_error().await) }
    }
}

impl Remote<ReadWrite> {
    pub(super) async fn place_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        mount_from: Option<&Repository>,
        origin: &dyn BlobOrigin,
    ) -> Result<Placed, StoreError> {
        let mut mount_from = mount_from;
        let mut delays = self.client.retry.delays();
        loop {
            let location = match self.start(repository, blob, mount_from).await? {
                Started::Mounted => return Ok(Placed::Mounted),
                Started::Refused => {
                    mount_from = None;
                    continue;
                }
                Started::At(location) => location,
            };
            let error = match self.upload(repository, blob, location, origin).await {
                Ok(()) => return Ok(Placed::Uploaded),
                Err(error) => error,
            };
            let transient = matches!(error.kind, StoreErrorKind::Unavailable | StoreErrorKind::RateLimited);
            match delays.next().filter(|pause| transient && self.client.in_time(*pause)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            self.client.traffic.retries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // What the first try may have put there is not to be sent twice.
            if self.head_blob(repository, blob).await? {
                return Ok(Placed::Uploaded);
            }
            mount_from = None;
        }
    }

    async fn start(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        mount_from: Option<&Repository>,
    ) -> Result<Started, StoreError> {
        let mut url = self.client.url(&format!("{repository}/blobs/uploads/"));
        let mut scopes = vec![self.scope(repository)];
        if let Some(from) = mount_from {
            url.query_pairs_mut()
                .append_pair("mount", &blob.digest.to_string())
                .append_pair("from", from.as_str());
            scopes.push(Scope { repository: from.clone(), actions: "pull" });
        }
        let reference = self.name(repository, &blob.digest);
        let mut call = Call::new(Method::POST, url, "upload blob", reference);
        call.scopes = scopes;
        let answer = match self.client.send(&call).await {
            Ok(answer) => answer,
            // Without the right to read there, the blob can still be sent.
            Err(error) if mount_from.is_some() && error.kind == StoreErrorKind::Denied => {
                return Ok(Started::Refused);
            }
            Err(error) => return Err(error),
        };
        match answer.status {
            StatusCode::CREATED if mount_from.is_some() => {
                drop(answer.error_body().await);
                Ok(Started::Mounted)
            }
            StatusCode::ACCEPTED => {
                let location = answer.header(LOCATION).and_then(|text| answer.url.join(text).ok());
                let location = location.map(|location| self.at_home(location));
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

    /// A registry behind a proxy that ends TLS can name itself with `http`.
    fn at_home(&self, mut location: Url) -> Url {
        let base = &self.client.base;
        if location.scheme() == "http" && base.scheme() == "https" && location.host_str() == base.host_str() {
            // Setting a web scheme on a web URL does not fail; the default port goes with the scheme.
            let _ = location.set_scheme("https");
            if location.port() == Some(80) {
                let _ = location.set_port(base.port());
            }
        }
        location
    }

    async fn upload(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        mut location: Url,
        origin: &dyn BlobOrigin,
    ) -> Result<(), StoreError> {
        location.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        if self.client.base.scheme() == "https" && location.scheme() == "http" {
            let message = format!("the registry wants the upload at an unencrypted address, {location}");
            let reference = self.name(repository, &blob.digest);
            return Err(StoreError::new("upload blob", reference, StoreErrorKind::Other, message));
        }
        let mut call = Call::new(Method::PUT, location, "upload blob", self.name(repository, &blob.digest));
        if same_origin(&call.url, &self.client.base) {
            call = call.scope(self.scope(repository));
        }
        let answer = self.client.send_blob(&call, blob.size, origin).await?;
        if !answer.status.is_success() {
            return Err(answer.into_error().await);
        }
        drop(answer.error_body().await);
        Ok(())
    }
}
