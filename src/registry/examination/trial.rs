//! What only a try tells. Uploads are begun and cancelled, and what is not there is deleted: no content, tag or
//! repository is left. (A registry can create a repository for an upload that ends in nothing; it has no content.)

use bytes::Bytes;
use http::header::{CONTENT_RANGE, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use url::Url;

use super::super::answer::Answer;
use super::super::call::{Body, Call};
use super::super::quirks::Chunks;
use super::super::{ReadWrite, Remote};
use super::{Area, Check, Findings, State, said};
use crate::oci::{Descriptor, Digest, Repository};
use crate::store::StoreError;

/// A chunk of an upload that is never completed.
const CHUNK: &[u8] = b"image-syncer doctor: an upload that is cancelled";

/// Nothing has the digest of this.
const NOTHING: &[u8] = b"image-syncer doctor: nothing has this digest";

/// Tries to write to a repository.
pub(super) struct Trial<'a> {
    pub(super) remote: &'a Remote<ReadWrite>,
    pub(super) repository: &'a Repository,
    pub(super) manifest: Option<&'a Digest>,
}

impl Trial<'_> {
    pub(super) async fn run(&self, findings: &mut Findings) {
        findings.forget(Area::Rights, "push");
        if !self.push(findings).await {
            for name in ["mount", "chunks"] {
                say(findings, Area::Api, name, State::Unknown, "nothing can be pushed");
            }
            return;
        }
        findings.forget(Area::Api, "delete");
        self.mount(findings).await;
        self.delete(findings).await;
    }

    /// An upload, a chunk of it, and its end.
    async fn push(&self, findings: &mut Findings) -> bool {
        let call = self.call(Method::POST, "blobs/uploads/", "upload blob");
        let answer = match self.remote.client.send(&call).await {
            Ok(answer) => answer,
            Err(error) => {
                say(findings, Area::Rights, "push", State::Failed, said(&error));
                return false;
            }
        };
        if answer.status != StatusCode::ACCEPTED {
            say(findings, Area::Rights, "push", State::Failed, said(&answer.into_error().await));
            return false;
        }
        let Some(location) = self.location(&answer) else {
            let message = "an upload begins, and the registry does not say where to (no Location)";
            say(findings, Area::Rights, "push", State::Failed, message);
            return false;
        };
        drop(answer.error_body().await);
        let location = self.chunk(findings, location).await;
        let ended = match self.cancel(location).await {
            Ok(status) if status.is_success() => "and was cancelled".to_owned(),
            Ok(status) => format!("; it cannot be cancelled ({status}), and the registry forgets it in time"),
            Err(_) => "; its end was not heard of, and the registry forgets it in time".to_owned(),
        };
        let message = format!("an upload began {ended}").replace(" ;", ";");
        say(findings, Area::Rights, "push", State::Ok, message);
        true
    }

    /// Sends a chunk, and gives where the upload goes on.
    async fn chunk(&self, findings: &mut Findings, location: Url) -> Url {
        const NAME: &str = "chunks";
        if self.remote.client.knowledge.profile().chunks == Chunks::Never {
            say(findings, Area::Api, NAME, State::No, "not used here, and not tried");
            return location;
        }
        let mut call = self.at(Method::PATCH, location.clone());
        call.body = Body::Bytes("application/octet-stream".to_owned(), Bytes::from_static(CHUNK));
        let last = CHUNK.len() - 1;
        if let Ok(range) = HeaderValue::from_str(&format!("0-{last}")) {
            call.headers.insert(CONTENT_RANGE, range);
        }
        let answer = match self.remote.client.send(&call).await {
            Ok(answer) => answer,
            Err(error) => {
                say(findings, Area::Api, NAME, State::No, said(&error));
                return location;
            }
        };
        let next = self.location(&answer).unwrap_or(location);
        let range = answer.header("range").map(str::to_owned);
        let right =
            range.as_deref().is_some_and(|range| range.trim_start_matches("bytes=") == format!("0-{last}"));
        if answer.status != StatusCode::ACCEPTED {
            say(findings, Area::Api, NAME, State::No, format!("a chunk is answered with {}", answer.status));
        } else if right {
            say(findings, Area::Api, NAME, State::Ok, "a chunk is taken");
        } else {
            let range = range.as_deref().unwrap_or("none");
            let message = format!("a chunk is taken, and its range told wrongly: {range} for 0-{last}");
            say(findings, Area::Api, NAME, State::No, message);
        }
        drop(answer.error_body().await);
        next
    }

    /// Ends an upload without a blob. Some registries take that for something that needs the right to delete.
    async fn cancel(&self, location: Url) -> Result<StatusCode, StoreError> {
        let mut call = self.at(Method::DELETE, location);
        let mut answer = self.remote.client.send(&call).await?;
        if matches!(answer.status.as_u16(), 401 | 403) {
            drop(answer.error_body().await);
            call.scopes[0].actions = "delete";
            answer = self.remote.client.send(&call).await?;
        }
        let status = answer.status;
        drop(answer.error_body().await);
        Ok(status)
    }

    /// Mounts a blob of the repository into the repository itself: nothing changes by that.
    async fn mount(&self, findings: &mut Findings) {
        const NAME: &str = "mount";
        let Some(blob) = self.any_blob().await else {
            say(
                findings,
                Area::Api,
                NAME,
                State::Unknown,
                "there is no blob in the repository to try it with",
            );
            return;
        };
        let mut call = self.call(Method::POST, "blobs/uploads/", "upload blob");
        call.url
            .query_pairs_mut()
            .append_pair("mount", &blob.digest.to_string())
            .append_pair("from", self.repository.as_str());
        match self.remote.client.send(&call).await {
            Ok(answer) if answer.status == StatusCode::CREATED => {
                say(findings, Area::Api, NAME, State::Ok, "a blob that is there is mounted");
            }
            Ok(answer) => {
                let message = format!("a mount is answered with {}: blobs are sent", answer.status);
                if let Some(location) =
                    self.location(&answer).filter(|_| answer.status == StatusCode::ACCEPTED)
                {
                    drop(answer.error_body().await);
                    // What cannot be cancelled ends by itself.
                    let _ = self.cancel(location).await;
                }
                say(findings, Area::Api, NAME, State::No, message);
            }
            Err(error) => say(findings, Area::Api, NAME, State::No, said(&error)),
        }
    }

    /// A blob of the manifest that was found, or of its first child.
    async fn any_blob(&self) -> Option<Descriptor> {
        let mut digest = self.manifest.cloned()?;
        // An index of an image, at the most.
        for _ in 0..2 {
            let manifest = self.remote.get_manifest(self.repository, &digest.into()).await.ok()??;
            let parsed = manifest.parse().ok()?;
            if let Some(blob) = parsed.blobs().next() {
                return Some(blob.clone());
            }
            digest = parsed.children().first()?.digest.clone();
        }
        None
    }

    /// Deletes what is not there: a 404 says that it might have been.
    async fn delete(&self, findings: &mut Findings) {
        let path = format!("manifests/{}", Digest::sha256(NOTHING));
        let mut call = self.call(Method::DELETE, &path, "delete manifest");
        call.scopes[0].actions = "delete";
        let (state, message) = match self.remote.client.send(&call).await {
            Ok(answer) => match answer.status.as_u16() {
                404 | 200 | 202 => (State::Ok, "manifests can be deleted".to_owned()),
                _ => (State::No, said(&answer.into_error().await)),
            },
            Err(error) => (State::No, said(&error)),
        };
        say(findings, Area::Api, "delete", state, message);
    }

    fn call(&self, method: Method, path: &str, operation: &'static str) -> Call {
        let url = self.remote.client.url(&format!("{}/{path}", self.repository));
        self.with(method, url, operation)
    }

    /// A request to where an upload is.
    fn at(&self, method: Method, location: Url) -> Call {
        self.with(method, location, "upload blob")
    }

    fn with(&self, method: Method, url: Url, operation: &'static str) -> Call {
        let reference = format!("{}/{}", self.remote.registry, self.repository);
        Call::new(method, url, operation, reference).scope(self.remote.scope(self.repository))
    }

    fn location(&self, answer: &Answer) -> Option<Url> {
        let location = answer.url.join(answer.header(LOCATION)?).ok()?;
        Some(self.remote.client.at_home(location))
    }
}

fn say(findings: &mut Findings, area: Area, name: &'static str, state: State, message: impl Into<String>) {
    findings.replace(Check { area, name, state, message: message.into(), advice: None });
}
