//! Requests to one registry: limits, login, redirects, retries.
//!
//! An answer is handed over whatever its status; what it means is for the callers to say. Errors are
//! what remains when all retries are used up.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

use super::auth::{Auth, Scope};
use super::error::{Refusal, clean, unreachable};
use super::retry::{RetryPolicy, is_transient, retry_after};
use crate::store::{BlobOrigin, BlobStream, StoreError, StoreErrorKind};

/// More redirects than this are a loop.
const REDIRECTS: usize = 5;

/// The most that is read of a body that only explains an error.
const ERROR_BODY: usize = 16 * 1024;

/// How long a registry may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until an answer begins, and between two pieces of a body, in either direction.
    pub idle: Duration,
    /// Until the answer to an upload begins, after its last byte: registries check and store it then.
    pub commit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            commit: Duration::from_secs(300),
        }
    }
}

/// What was sent, for reports.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests, repeated ones and those for tokens included.
    pub requests: AtomicU64,
    /// Requests that were sent again after a failure.
    pub retries: AtomicU64,
}

/// A registry, as seen by one side of the copy.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) host: String,
    pub(super) base: Url,
    pub(super) http: reqwest::Client,
    pub(super) auth: Auth,
    pub(super) slots: Arc<Semaphore>,
    pub(super) retry: RetryPolicy,
    pub(super) patience: Patience,
    /// Pauses that would pass this moment are not begun.
    pub(super) deadline: Option<Instant>,
    pub(super) traffic: Arc<Traffic>,
}

/// A request to be made.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    /// To fit "failed to …".
    pub(super) operation: &'static str,
    pub(super) reference: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Whether a redirect to another host is followed (never with credentials) or handed over.
    pub(super) leave_host: bool,
}

/// The body of a request that can be sent again.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Empty,
    /// With its content type.
    Bytes(String, Bytes),
}

impl Call {
    pub(super) fn new(method: Method, url: Url, operation: &'static str, reference: String) -> Self {
        Self {
            method,
            url,
            operation,
            reference,
            scopes: Vec::new(),
            headers: HeaderMap::new(),
            body: Body::Empty,
            leave_host: true,
        }
    }

    pub(super) fn scope(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self
    }

    pub(super) fn accept(mut self, media_types: &'static str) -> Self {
        self.headers.insert(ACCEPT, HeaderValue::from_static(media_types));
        self
    }

    fn error(&self, kind: StoreErrorKind, message: impl Into<String>) -> StoreError {
        StoreError::new(self.operation, &self.reference, kind, message)
    }
}

/// An answer. It holds its place in the registry's limit until it is read or dropped.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where it came from, after redirects.
    pub(super) url: Url,
    operation: &'static str,
    reference: String,
    host: String,
    idle: Duration,
    response: reqwest::Response,
    slot: Option<OwnedSemaphorePermit>,
}

impl Answer {
    /// A header as text.
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The whole body, which must not be longer than `limit` bytes.
    pub(super) async fn bytes(self, limit: usize) -> Result<Bytes, StoreError> {
        let too_large = |operation, reference: &str| {
            let message = format!("the answer is longer than {limit} bytes, the most that is accepted");
            StoreError::new(operation, reference, StoreErrorKind::TooLarge, message)
        };
        let (operation, reference) = (self.operation, self.reference.clone());
        let announced = self.header(CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large(operation, &reference));
        }
        let mut all = BytesMut::with_capacity(announced.unwrap_or(0).min(limit));
        let mut stream = self.stream();
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            if all.len() + piece.len() > limit {
                return Err(too_large(operation, &reference));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The beginning of a body that explains an error; empty if it cannot be read.
    pub(super) async fn error_body(self) -> Vec<u8> {
        let mut stream = self.stream();
        let mut all = Vec::new();
        while let Some(Ok(piece)) = stream.next().await {
            let room = ERROR_BODY - all.len();
            all.extend_from_slice(&piece[..piece.len().min(room)]);
            if all.len() >= ERROR_BODY {
                break;
            }
        }
        all
    }

    /// The answer as an error of the call that it answers.
    pub(super) async fn into_error(self) -> StoreError {
        let (operation, reference, host, status) =
            (self.operation, self.reference.clone(), self.host.clone(), self.status);
        if status.is_success() || status.is_redirection() {
            let message = format!("{host} answered {status}, which is not an answer to this");
            return StoreError::new(operation, reference, StoreErrorKind::Other, message);
        }
        Refusal::parse(&self.error_body().await).error(operation, &reference, &host, status)
    }

    /// The body, piece by piece. A silence that is too long ends it with an error.
    pub(super) fn stream(self) -> BlobStream {
        let Self { operation, reference, host, idle, response, slot, .. } = self;
        let body = Box::pin(response.bytes_stream());
        let state = Some((body, slot));
        Box::pin(futures::stream::unfold(state, move |state| {
            let (reference, host) = (reference.clone(), host.clone());
            async move {
                let (mut body, slot) = state?;
                match timeout(idle, body.next()).await {
                    Ok(Some(Ok(piece))) => Some((Ok(piece), Some((body, slot)))),
                    Ok(None) => None,
                    Ok(Some(Err(error))) => {
                        Some((Err(unreachable(operation, &reference, &host, &error)), None))
                    }
                    Err(_) => {
                        let message = format!("{host} sent nothing for {} s", idle.as_secs_f32());
                        let kind = StoreErrorKind::Unavailable;
                        Some((Err(StoreError::new(operation, &reference, kind, message)), None))
                    }
                }
            }
        }))
    }
}

impl Client {
    /// The URL of a path below `/v2/`.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/v2/{path}"));
        url
    }

    /// Sends a request, with login and retries.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, StoreError> {
        self.retrying(call, true).await
    }

    /// Sends a request to a token service: retries, but no login of its own.
    pub(super) async fn send_unauthenticated(&self, call: &Call) -> Result<Answer, StoreError> {
        Box::pin(self.retrying(call, false)).await
    }

    /// Sends a request whose body streams from elsewhere, once: a stream cannot be sent again.
    pub(super) async fn send_blob(
        &self,
        call: &Call,
        size: u64,
        origin: &dyn BlobOrigin,
    ) -> Result<Answer, StoreError> {
        self.logged_in(call, Some((size, origin))).await
    }

    async fn retrying(&self, call: &Call, with_login: bool) -> Result<Answer, StoreError> {
        let mut delays = self.retry.delays();
        let mut attempts = 1_usize;
        loop {
            let outcome = if with_login { self.logged_in(call, None).await } else { self.plain(call).await };
            let asked = match &outcome {
                Ok(answer) if is_transient(answer.status) => retry_after(&answer.headers, SystemTime::now()),
                Err(error) if error.kind == StoreErrorKind::Unavailable => None,
                _ => return outcome,
            };
            let pause = delays.next().filter(|_| asked.is_none_or(|asked| asked <= self.retry.longest_asked));
            let Some(pause) =
                pause.map(|own| own.max(asked.unwrap_or_default())).filter(|p| self.in_time(*p))
            else {
                return Err(given_up(outcome, attempts, asked).await);
            };
            tracing::debug!(host = %self.host, method = %call.method, ?pause, "trying again");
            // The answer goes before the pause, and its place in the limit with it.
            drop(outcome);
            self.traffic.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            attempts += 1;
        }
    }

    async fn plain(&self, call: &Call) -> Result<Answer, StoreError> {
        let request = self.request(call, &call.url, None);
        let response = self.head_of_answer(call, request, self.patience.idle).await?;
        Ok(self.answer(call, call.url.clone(), response, None))
    }

    /// Whether a pause would end before the run must.
    pub(super) fn in_time(&self, pause: Duration) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() + pause < deadline)
    }

    /// One attempt, with the login that it takes and the redirects that it leads to.
    async fn logged_in(
        &self,
        call: &Call,
        stream: Option<(u64, &dyn BlobOrigin)>,
    ) -> Result<Answer, StoreError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let mut url = call.url.clone();
        let mut redirects = 0;
        let mut challenged = false;
        loop {
            let at_home = same_origin(&url, &self.base);
            let authorization =
                if at_home { self.auth.authorization(self, &call.scopes).await? } else { None };
            let request = self.request(call, &url, authorization.as_ref());
            let response = match stream {
                None => self.head_of_answer(call, request, self.patience.idle).await?,
                Some((size, origin)) => {
                    let body = origin.open().await?;
                    self.head_of_upload(call, request, size, body).await?
                }
            };
            if response.status() == StatusCode::UNAUTHORIZED && at_home && !challenged {
                challenged = true;
                if self.auth.challenged(response.headers(), authorization.as_ref(), &call.scopes).await? {
                    continue;
                }
            }
            let follow = response.status().is_redirection() && call.method.is_safe();
            if let Some(next) = follow.then(|| redirect(&url, response.headers())).flatten() {
                if !call.leave_host && !same_origin(&next, &self.base) {
                    return Ok(self.answer(call, url, response, slot));
                }
                redirects += 1;
                if redirects > REDIRECTS {
                    let message = format!("{} redirects in a circle, or too often", self.host);
                    return Err(call.error(StoreErrorKind::Other, message));
                }
                if url.scheme() == "https" && next.scheme() == "http" {
                    let message = format!("{} redirects to an unencrypted address", self.host);
                    return Err(call.error(StoreErrorKind::Other, message));
                }
                url = next;
                continue;
            }
            return Ok(self.answer(call, url, response, slot));
        }
    }

    fn request(
        &self,
        call: &Call,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> reqwest::RequestBuilder {
        let mut request = self.http.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        match &call.body {
            Body::Empty if matches!(call.method, Method::POST | Method::PUT) => {
                request.header(CONTENT_LENGTH, 0)
            }
            Body::Empty => request,
            Body::Bytes(content_type, bytes) => {
                request.header(CONTENT_TYPE, content_type.as_str()).body(bytes.clone())
            }
        }
    }

    async fn head_of_answer(
        &self,
        call: &Call,
        request: reqwest::RequestBuilder,
        patience: Duration,
    ) -> Result<reqwest::Response, StoreError> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        match timeout(patience, request.send()).await {
            Ok(Ok(response)) => {
                self.log(call, &response);
                Ok(response)
            }
            Ok(Err(error)) => Err(unreachable(call.operation, &call.reference, &self.host, &error)),
            Err(_) => Err(self.silent(call, patience)),
        }
    }

    /// Sends a streamed body. As long as pieces flow there is no limit to the time it takes.
    async fn head_of_upload(
        &self,
        call: &Call,
        request: reqwest::RequestBuilder,
        size: u64,
        body: BlobStream,
    ) -> Result<reqwest::Response, StoreError> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let progress = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&progress);
        let body = body.inspect(move |piece| {
            let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            seen.fetch_add(length, Ordering::Relaxed);
        });
        let send = request
            .header(CONTENT_LENGTH, size)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(reqwest::Body::wrap_stream(body))
            .send();
        tokio::pin!(send);
        let mut before = 0;
        loop {
            let patience = if before < size { self.patience.idle * 2 } else { self.patience.commit };
            match timeout(patience, &mut send).await {
                Ok(Ok(response)) => {
                    self.log(call, &response);
                    return Ok(response);
                }
                Ok(Err(error)) => {
                    return Err(unreachable(call.operation, &call.reference, &self.host, &error));
                }
                Err(_) if progress.load(Ordering::Relaxed) > before => {
                    before = progress.load(Ordering::Relaxed);
                }
                Err(_) => return Err(self.silent(call, patience)),
            }
        }
    }

    /// The query stays out: registries put keys of their own into it.
    fn log(&self, call: &Call, response: &reqwest::Response) {
        let path = response.url().path();
        tracing::debug!(host = %self.host, method = %call.method, path, status = response.status().as_u16());
    }

    fn silent(&self, call: &Call, patience: Duration) -> StoreError {
        let message = format!("{} did not answer within {} s", self.host, patience.as_secs_f32());
        call.error(StoreErrorKind::Unavailable, message)
    }

    fn answer(
        &self,
        call: &Call,
        url: Url,
        response: reqwest::Response,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            url,
            operation: call.operation,
            reference: call.reference.clone(),
            host: self.host.clone(),
            idle: self.patience.idle,
            response,
            slot,
        }
    }
}

/// The error of a request that is not tried again.
async fn given_up(
    outcome: Result<Answer, StoreError>,
    attempts: usize,
    asked: Option<Duration>,
) -> StoreError {
    let mut error = match outcome {
        Ok(answer) => answer.into_error().await,
        Err(error) => error,
    };
    if let Some(asked) = asked {
        let _ = write!(error.message, " (it asks to wait {} s)", asked.as_secs());
    }
    if attempts > 1 {
        let _ = write!(error.message, " (tried {attempts} times)");
    }
    error
}

/// The target of a redirect.
fn redirect(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let next = url.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// Whether two URLs lead to the same server.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// The next page of a list, as the `Link` header says (RFC 8288, relation `next`).
pub(super) fn next_page(url: &Url, headers: &HeaderMap) -> Option<Url> {
    for value in headers.get_all(http::header::LINK) {
        for link in value.to_str().ok()?.split(',') {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let is_next = parameters.split(';').any(|parameter| {
                let parameter = parameter.trim();
                parameter == "rel=next" || parameter == "rel=\"next\""
            });
            if is_next {
                return url.join(&clean(target, 2000)).ok();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        let url = Url::parse("http://r.io/v2/a/tags/list?n=2").expect("a URL");
        let page = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::LINK, HeaderValue::from_static(text));
            next_page(&url, &headers).map(|url| url.to_string())
        };
        let next = Some("http://r.io/v2/a/tags/list?n=2&last=b".to_owned());
        assert_eq!(page("</v2/a/tags/list?n=2&last=b>; rel=\"next\""), next);
        assert_eq!(page("<http://r.io/v2/a/tags/list?n=2&last=b>; rel=next"), next);
        assert_eq!(page("</v2/x>; rel=\"prev\""), None);
        assert_eq!(page("nonsense"), None);
    }
}
