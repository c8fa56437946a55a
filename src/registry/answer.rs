//! A registry's answer: its head, and its body within limits of size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::call::Call;
use super::error::{Refusal, unreachable};
use super::plain::advice_on_refusal;
use super::quirks::Profile;
use super::redact::Secrets;
use super::slots::Slot;
use super::strangers::Shown;
use crate::store::{BlobStream, StoreError, StoreErrorKind};

/// The most that is read of a body that only explains an error.
const ERROR_BODY: usize = 16 * 1024;

/// So much room is made for a body because of its Content-Length; what comes makes more.
const BELIEVED_LENGTH: usize = 64 * 1024;

/// A document may take so many times the longest silence: it has a size that even a slow line brings in
/// that time, and one that drips in byte by byte must not last for ever.
const DOCUMENT_SILENCES: u32 = 10;

/// What there is to say of a page for people where something else was asked for.
const WEB_PAGE: &str = " with a web page, as a page to log in at or a proxy in between does; look at the registry's \
                        address, and at what is between";

/// An answer. It holds its place in the registry's limit until its body is read, or it is dropped.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where it came from, after redirects.
    pub(super) url: Url,
    operation: &'static str,
    reference: String,
    /// Who answered, for messages.
    host: String,
    idle: Duration,
    /// What it must not repeat.
    secrets: Secrets,
    /// As whom it was asked.
    shown: Shown,
    /// What is known of the registry.
    profile: Profile,
    response: reqwest::Response,
    slot: Option<Slot>,
}

/// From whom an answer is, and what it knows.
pub(super) struct Sender {
    /// Where it came from, after redirects.
    pub(super) url: Url,
    /// Its name in messages.
    pub(super) host: String,
    /// How long it may be silent.
    pub(super) idle: Duration,
    /// What was sent to it to prove who we are.
    pub(super) secrets: Secrets,
    /// As whom it was asked.
    pub(super) shown: Shown,
    /// What is known of the registry.
    pub(super) profile: Profile,
}

impl Answer {
    pub(super) fn new(call: &Call, sender: Sender, response: reqwest::Response, slot: Option<Slot>) -> Self {
        let Sender { url, host, idle, secrets, shown, profile } = sender;
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            url,
            operation: call.operation,
            reference: call.reference.clone(),
            host,
            idle,
            secrets,
            shown,
            profile,
            response,
            slot,
        }
    }

    /// A header as text.
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is a page for people: no registry's API has any, whatever the status.
    pub(super) fn is_web_page(&self) -> bool {
        let kind = self.header(CONTENT_TYPE).unwrap_or_default().trim_start().to_ascii_lowercase();
        kind.starts_with("text/html") || kind.starts_with("application/xhtml")
    }

    /// That a page for people came, and nothing else.
    pub(super) fn web_page_error(&self) -> StoreError {
        let message = format!("{} answered {}{WEB_PAGE}", self.host, self.status);
        self.error(StoreErrorKind::Access, message)
    }

    /// The whole body, which must not be longer than `limit` bytes. The place in the registry's limit is
    /// free after that.
    pub(super) async fn read(&mut self, limit: usize) -> Result<Bytes, StoreError> {
        let slow = self.idle * DOCUMENT_SILENCES;
        let body = timeout(slow, self.pieces(limit)).await.unwrap_or_else(|_| {
            let message = format!("{} sent the answer too slowly, for {} s", self.host, slow.as_secs_f32());
            Err(self.error(StoreErrorKind::Unavailable, message))
        });
        self.slot = None;
        body
    }

    async fn pieces(&mut self, limit: usize) -> Result<Bytes, StoreError> {
        let announced = self.header(CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(self.too_large(limit));
        }
        let mut all = BytesMut::with_capacity(announced.unwrap_or(0).min(BELIEVED_LENGTH));
        loop {
            match timeout(self.idle, self.response.chunk()).await {
                Ok(Ok(None)) => return Ok(all.freeze()),
                Ok(Ok(Some(piece))) if all.len() + piece.len() > limit => return Err(self.too_large(limit)),
                Ok(Ok(Some(piece))) => all.extend_from_slice(&piece),
                Ok(Err(error)) => return Err(self.broken(&error)),
                Err(_) => return Err(self.silent()),
            }
        }
    }

    /// The beginning of a body that explains an error; empty if it cannot be read.
    pub(super) async fn error_body(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let read = async {
            while let Ok(Some(piece)) = self.response.chunk().await {
                let room = ERROR_BODY - all.len();
                all.extend_from_slice(&piece[..piece.len().min(room)]);
                if all.len() >= ERROR_BODY {
                    break;
                }
            }
        };
        // What came until then may already explain it.
        let _ = timeout(self.idle, read).await;
        all
    }

    /// The answer as an error of the call that it answers.
    pub(super) async fn into_error(self) -> StoreError {
        let (operation, reference, host, status) =
            (self.operation, self.reference.clone(), self.host.clone(), self.status);
        if status.is_success() || status.is_redirection() {
            let what = if self.is_web_page() { WEB_PAGE } else { ", which is not an answer to this" };
            let message = format!("{host} answered {status}{what}");
            return StoreError::new(operation, reference, StoreErrorKind::Other, message);
        }
        self.refusal().await.error(operation, &reference, &host, status)
    }

    /// The beginning of a body that explains an error, as text without what it must not repeat.
    pub(super) async fn explanation(self) -> String {
        let secrets = self.secrets.clone();
        secrets.redact(&String::from_utf8_lossy(&self.error_body().await))
    }

    /// What the body says of the refusal that this answer is.
    pub(super) async fn refusal(self) -> Refusal {
        let (secrets, profile, shown) = (self.secrets.clone(), self.profile, self.shown);
        let (url, status) = (self.url.clone(), self.status);
        let body = self.error_body().await;
        let advice = advice_on_refusal(&url, status, &body);
        Refusal { profile: Some(profile), shown, advice, ..Refusal::parse(&body, &secrets) }
    }

    /// The body, piece by piece. A silence that is too long ends it with an error.
    pub(super) fn stream(self) -> BlobStream {
        Box::pin(
            futures::stream::unfold(Some(self), |answer| async {
                let mut answer = answer?;
                match timeout(answer.idle, answer.response.chunk()).await {
                    Ok(Ok(Some(piece))) => Some((Ok(piece), Some(answer))),
                    Ok(Ok(None)) => None,
                    Ok(Err(error)) => Some((Err(answer.broken(&error)), None)),
                    Err(_) => Some((Err(answer.silent()), None)),
                }
            })
            .fuse(),
        )
    }

    fn too_large(&self, limit: usize) -> StoreError {
        let message = format!("the answer is longer than {limit} bytes, the most that is accepted");
        self.error(StoreErrorKind::TooLarge, message)
    }

    fn broken(&self, error: &reqwest::Error) -> StoreError {
        unreachable(self.operation, &self.reference, &self.host, error)
    }

    fn silent(&self) -> StoreError {
        let message = format!("{} sent nothing for {} s", self.host, self.idle.as_secs_f32());
        self.error(StoreErrorKind::Unavailable, message)
    }

    fn error(&self, kind: StoreErrorKind, message: String) -> StoreError {
        StoreError::new(self.operation, &self.reference, kind, message)
    }
}
