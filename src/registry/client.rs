//! Requests to one registry: limits, login, redirects, retries.
//!
//! An answer is handed over whatever its status; what it means is for the callers to say. Errors are
//! what remains when all retries are used up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use super::answer::{Answer, Sender};
use super::auth::{Auth, Scope};
use super::error::{given_up, unreachable};
use super::guard::check_literal;
use super::knowledge::Knowledge;
use super::origin::{redirect, same_origin};
use super::redact::Secrets;
use super::retry::{Patience, RetryPolicy, asked_in_words, is_transient, retry_after};
use super::silence::Silence;
use crate::store::{BlobOrigin, BlobStream, StoreError, StoreErrorKind};

/// More redirects than this are a loop.
const REDIRECTS: usize = 5;

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
    /// How the registry itself is reached.
    pub(super) home: Way,
    /// How other hosts are, that it leads to.
    pub(super) abroad: Way,
    pub(super) auth: Auth,
    pub(super) slots: Arc<Semaphore>,
    pub(super) retry: RetryPolicy,
    pub(super) patience: Patience,
    /// Pauses that would pass this moment are not begun.
    pub(super) deadline: Option<Instant>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) silence: Silence,
    /// What is known of the registry.
    pub(super) knowledge: Knowledge,
    /// Held by a request for a token, where they are to come one by one.
    pub(super) token_turn: tokio::sync::Mutex<()>,
}

/// How hosts are reached, and which of them.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) http: reqwest::Client,
    pub(super) is_guarded: bool,
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
    /// What is secret in the headers or the body.
    pub(super) secrets: Secrets,
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
            secrets: Secrets::default(),
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

    /// Sends a request and reads the body of a 200, of `limit` bytes at the most; of any other answer the
    /// body is left. A body that breaks off is asked for again.
    pub(super) async fn fetch(&self, call: &Call, limit: usize) -> Result<(Answer, Bytes), StoreError> {
        self.fetching(call, limit, true).await
    }

    /// As [`Self::fetch`], from a token service: without a login of its own.
    /// Boxed, since the login of a request is itself a request.
    pub(super) fn fetch_unauthenticated<'a>(
        &'a self,
        call: &'a Call,
        limit: usize,
    ) -> BoxFuture<'a, Result<(Answer, Bytes), StoreError>> {
        Box::pin(async move {
            let one_by_one = self.knowledge.profile().tokens_one_by_one;
            let _turn = if one_by_one { Some(self.token_turn.lock().await) } else { None };
            self.fetching(call, limit, false).await
        })
    }

    async fn fetching(
        &self,
        call: &Call,
        limit: usize,
        with_login: bool,
    ) -> Result<(Answer, Bytes), StoreError> {
        let mut delays = self.retry.delays();
        let began = Instant::now();
        loop {
            let mut answer = self.retrying(call, with_login).await?;
            if answer.status != StatusCode::OK {
                return Ok((answer, Bytes::new()));
            }
            let error = match answer.read(limit).await {
                Ok(body) => {
                    self.silence.ends();
                    return Ok((answer, body));
                }
                Err(error) => error,
            };
            drop(answer);
            // An answer that never comes to its end is none.
            let transient = error.kind == StoreErrorKind::Unavailable;
            if transient {
                self.silence.goes_on(Instant::now(), self.patience.idle * 2);
            }
            let again = transient && !self.silence.lasts();
            let Some(pause) = delays.next().filter(|pause| again && self.in_time(*pause)) else {
                if transient {
                    self.silence.suspect(began);
                }
                return Err(error);
            };
            self.traffic.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
        }
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
        let began = Instant::now();
        loop {
            let outcome = if with_login { self.logged_in(call, None).await } else { self.plain(call).await };
            let (error, asked) = match outcome {
                // The answer is read before the pause, and its place in the limit goes with it.
                Ok(answer) if is_transient(answer.status) => {
                    let stated = retry_after(&answer.headers, SystemTime::now());
                    let error = answer.into_error().await;
                    let asked = stated.or_else(|| asked_in_words(&error.message));
                    (error, asked)
                }
                Err(error) if error.kind == StoreErrorKind::Unavailable => (error, None),
                outcome => return outcome,
            };
            let unanswered = error.kind == StoreErrorKind::Unavailable && asked.is_none();
            if unanswered {
                self.silence.goes_on(Instant::now(), self.patience.idle * 2);
            }
            let pause = self.retry.pause(&mut delays, asked).filter(|pause| self.in_time(*pause));
            let Some(pause) = pause.filter(|_| !(unanswered && self.silence.lasts())) else {
                if unanswered {
                    self.silence.suspect(began);
                }
                return Err(given_up(error, attempts, asked));
            };
            tracing::debug!(host = %self.host, method = %call.method, ?pause, "trying again");
            self.traffic.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            attempts += 1;
        }
    }

    async fn plain(&self, call: &Call) -> Result<Answer, StoreError> {
        let request = self.request(call, &call.url, None)?;
        let response = self.head_of_answer(call, &call.url, request).await?;
        let sender = self.sender(call.url.clone(), call.secrets.clone());
        Ok(Answer::new(call, sender, response, None))
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
        let mut secrets = call.secrets.clone();
        loop {
            let at_home = same_origin(&url, &self.base);
            let authorization =
                if at_home { self.auth.authorization(self, &call.scopes).await? } else { None };
            if let Some(authorization) = &authorization {
                secrets.add_header(authorization);
            }
            let request = self.request(call, &url, authorization.as_ref())?;
            let response = match stream {
                None => self.head_of_answer(call, &url, request).await?,
                Some((size, origin)) => {
                    let body = origin.open().await.map_err(StoreError::exhausted)?;
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
                    return Ok(Answer::new(call, self.sender(url, secrets), response, slot));
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
            return Ok(Answer::new(call, self.sender(url, secrets), response, slot));
        }
    }

    fn request(
        &self,
        call: &Call,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::RequestBuilder, StoreError> {
        let way = if same_origin(url, &self.base) { &self.home } else { &self.abroad };
        if way.is_guarded {
            check_literal(url).map_err(|refused| call.error(StoreErrorKind::Other, refused.to_string()))?;
        }
        let mut request = way.http.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        Ok(match &call.body {
            Body::Empty if matches!(call.method, Method::POST | Method::PUT) => {
                request.header(CONTENT_LENGTH, 0)
            }
            Body::Empty => request,
            Body::Bytes(content_type, bytes) => {
                request.header(CONTENT_TYPE, content_type.as_str()).body(bytes.clone())
            }
        })
    }

    async fn head_of_answer(
        &self,
        call: &Call,
        url: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, StoreError> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let patience = self.silence.patience(self.patience.idle);
        match timeout(patience, request.send()).await {
            Ok(Ok(response)) => {
                self.note_answer(call, &response);
                Ok(response)
            }
            Ok(Err(error)) => Err(unreachable(call.operation, &call.reference, &self.name_of(url), &error)),
            Err(_) => Err(self.silent(call, url, patience)),
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
        // These take the place of what a request without a body says. With two lengths the body would be sent
        // in HTTP's own chunks, which not every registry takes.
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, size.into());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let send = request.headers(headers).body(reqwest::Body::wrap_stream(body)).send();
        tokio::pin!(send);
        let mut before = 0;
        loop {
            let patience = if before < size { self.patience.idle * 2 } else { self.patience.commit };
            match timeout(patience, &mut send).await {
                Ok(Ok(response)) => {
                    self.note_answer(call, &response);
                    return Ok(response);
                }
                Ok(Err(error)) => {
                    let host = self.name_of(&call.url);
                    return Err(unreachable(call.operation, &call.reference, &host, &error));
                }
                Err(_) if progress.load(Ordering::Relaxed) > before => {
                    before = progress.load(Ordering::Relaxed);
                }
                Err(_) => return Err(self.silent(call, &call.url, patience)),
            }
        }
    }

    /// The query stays out: registries put keys of their own into it.
    fn note_answer(&self, call: &Call, response: &reqwest::Response) {
        // What a body was asked for with counts once it is there.
        if call.method != Method::GET || response.status() != StatusCode::OK {
            self.silence.ends();
        }
        if same_origin(response.url(), &self.base) {
            self.knowledge.learn(response.headers());
        }
        let path = response.url().path();
        tracing::debug!(host = %self.host, method = %call.method, path, status = response.status().as_u16());
    }

    fn silent(&self, call: &Call, url: &Url, patience: Duration) -> StoreError {
        let message = format!("{} did not answer within {} s", self.name_of(url), patience.as_secs_f32());
        call.error(StoreErrorKind::Unavailable, message)
    }

    fn sender(&self, url: Url, secrets: Secrets) -> Sender {
        Sender {
            host: self.name_of(&url),
            url,
            idle: self.silence.patience(self.patience.idle),
            secrets,
            profile: self.knowledge.profile(),
        }
    }

    /// Who is at a URL, for messages: the registry, or the other host that it led to.
    fn name_of(&self, url: &Url) -> String {
        if same_origin(url, &self.base) {
            return self.host.clone();
        }
        let host = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// A URL that the registry named. One behind a proxy that ends TLS can name itself with `http`.
    pub(super) fn at_home(&self, mut url: Url) -> Url {
        if url.scheme() == "http" && self.base.scheme() == "https" && url.host_str() == self.base.host_str() {
            // Setting a web scheme on a web URL does not fail; the default port goes with the scheme.
            let _ = url.set_scheme("https");
            if url.port() == Some(80) {
                let _ = url.set_port(self.base.port());
            }
        }
        url
    }
}
