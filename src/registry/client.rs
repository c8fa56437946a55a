//! Requests to one registry: limits, login, redirects, retries.
//!
//! An answer is handed over whatever its status; what it means is for the callers to say. Errors are
//! what remains when all retries are used up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::answer::{Answer, Sender};
use super::auth::Auth;
use super::call::{Body, Call};
use super::error::{given_up, unreachable};
use super::feed::Part;
use super::gate::{Gate, is_let_through};
use super::guard::check_literal;
use super::knowledge::Knowledge;
use super::origin::{redirect, same_origin};
use super::plain::advice;
use super::quota::{Quotas, UsedUp, is_about_quota};
use super::redact::Secrets;
use super::retry::{Patience, RetryPolicy, Tries, asked_in_words, is_transient, retry_after};
use super::silence::Silence;
use super::slots::Slots;
use super::strangers::{FrontPage, Shown, may_hide};
use crate::store::{StoreError, StoreErrorKind};

/// A request that is refused while others get through is tried again for so long.
const LONGEST: Duration = Duration::from_secs(600);

/// More redirects than this are a loop.
const REDIRECTS: usize = 5;

/// What was sent, for reports.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests, repeated ones and those for tokens included.
    pub requests: AtomicU64,
    /// Requests that were sent again after a failure.
    pub retries: AtomicU64,
    /// Bytes of blobs that came once more because a source does not begin in the middle; nobody got them.
    pub skipped: AtomicU64,
    /// Bytes of blobs that were sent to a target once more.
    pub sent_twice: AtomicU64,
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
    /// How its token service is, where that is another host.
    pub(super) tokens: Way,
    /// Other hosts that are reached as the registry itself is.
    pub(super) allies: Vec<Url>,
    pub(super) auth: Auth,
    pub(super) slots: Arc<Slots>,
    pub(super) gate: Arc<Gate>,
    /// That of its token service: what that refuses says nothing of the registry, also where they are one host.
    pub(super) token_gate: Gate,
    pub(super) quotas: Quotas,
    pub(super) retry: RetryPolicy,
    pub(super) patience: Patience,
    /// Pauses that would pass this moment are not begun.
    pub(super) deadline: Option<Instant>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) silence: Silence,
    /// What is known of the registry.
    pub(super) knowledge: Knowledge,
    /// How the registry wants to be convinced, where it does not say so with a refusal.
    pub(super) front_page: FrontPage,
    /// Held by a request for a token, where they are to come one by one.
    pub(super) token_turn: tokio::sync::Mutex<()>,
}

/// How hosts are reached, and which of them.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) http: reqwest::Client,
    pub(super) is_guarded: bool,
}

impl Way {
    fn request(
        &self,
        call: &Call,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::RequestBuilder, StoreError> {
        if self.is_guarded {
            check_literal(url).map_err(|refused| call.error(StoreErrorKind::Other, refused.to_string()))?;
        }
        let mut request = self.http.request(call.method.clone(), url.clone()).headers(call.headers.clone());
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

    /// As [`Self::send`], without a login.
    pub(super) async fn send_unauthenticated(&self, call: &Call) -> Result<Answer, StoreError> {
        self.retrying(call, false).await
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

    /// Sends a request whose body streams from elsewhere, once: what became of it is for the caller to find out.
    pub(super) async fn send_part(&self, call: &Call, part: Part<'_>) -> Result<Answer, StoreError> {
        Box::pin(self.logged_in(call, Some(part))).await
    }

    async fn retrying(&self, call: &Call, with_login: bool) -> Result<Answer, StoreError> {
        let mut tries = Tries::new(self.retry);
        let mut attempts = 1_usize;
        let began = Instant::now();
        let gate = if with_login { &*self.gate } else { &self.token_gate };
        loop {
            let through = gate.through();
            let mut refused = false;
            let outcome =
                if with_login { Box::pin(self.logged_in(call, None)).await } else { self.plain(call).await };
            let (error, asked) = match outcome {
                // The answer is read before the pause, and its place in the limit goes with it.
                Ok(answer) if is_transient(answer.status) => {
                    let stated = retry_after(&answer.headers, SystemTime::now());
                    refused = self.is_too_many(&answer, with_login);
                    let error = answer.into_error().await;
                    if with_login && error.kind == StoreErrorKind::RateLimited {
                        // Some count and refuse also what only asks.
                        let is_over = self.quotas.left().is_some_and(|left| left.remaining == 0);
                        if is_over || call.is_pull && is_about_quota(&error.message) {
                            return Err(self.used_up(call, self.quotas.exhaust()));
                        }
                    }
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
            if refused && began.elapsed() < LONGEST && gate.goes_on(through) {
                tries.start_anew();
            }
            let pause = tries.pause(asked).filter(|pause| self.in_time(*pause));
            let Some(pause) = pause.filter(|_| !(unanswered && self.silence.lasts())) else {
                if unanswered {
                    self.silence.suspect(began);
                }
                let is_later =
                    with_login && refused && asked.is_some_and(|asked| self.retry.is_too_long(asked));
                let error = given_up(error, attempts, asked);
                return Err(if is_later {
                    StoreError { kind: StoreErrorKind::UsedUp, ..error }
                } else {
                    error
                });
            };
            tracing::debug!(host = %self.host, method = %call.method, ?pause, "trying again");
            self.traffic.retries.fetch_add(1, Ordering::Relaxed);
            self.wait(gate, &call.url, refused, pause).await;
            attempts += 1;
        }
    }

    async fn plain(&self, call: &Call) -> Result<Answer, StoreError> {
        let way = if self.is_home(&call.url) { &self.home } else { &self.tokens };
        let request = way.request(call, &call.url, None)?;
        self.token_gate.pass().await;
        let response = self.head_of_answer(call, &call.url, request).await?;
        if is_let_through(response.status()) {
            self.token_gate.let_through();
        }
        let sender = self.sender(call.url.clone(), call.secrets.clone(), Shown::Account);
        Ok(Answer::new(call, sender, response, None))
    }

    /// Whether a pause would end before the run must.
    pub(super) fn in_time(&self, pause: Duration) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() + pause < deadline)
    }

    /// One attempt, with the login that it takes and the redirects that it leads to.
    async fn logged_in(&self, call: &Call, part: Option<Part<'_>>) -> Result<Answer, StoreError> {
        let moves = part.map_or(call.moves, |part| part.length);
        let slot = Some(self.slots.take(moves).await);
        let _pull = if call.is_pull {
            Some(self.quotas.admit().await.map_err(|used_up| self.used_up(call, used_up))?)
        } else {
            None
        };
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
            let way = if self.is_home(&url) { &self.home } else { &self.abroad };
            let request = way.request(call, &url, authorization.as_ref())?;
            if at_home {
                self.gate.pass().await;
            }
            let response = match part {
                None => self.head_of_answer(call, &url, request).await?,
                Some(part) => self.head_of_upload(call, request, part).await?,
            };
            if at_home && is_let_through(response.status()) {
                self.gate.let_through();
            }
            if response.status() == StatusCode::UNAUTHORIZED && at_home && !challenged {
                challenged = true;
                if self.auth.challenged(response.headers(), authorization.as_ref(), &call.scopes).await? {
                    continue;
                }
            }
            let is_unknown = at_home && authorization.is_none();
            // A body that streams from elsewhere cannot be sent again; what begins its upload was refused before.
            if is_unknown && !challenged && part.is_none() && may_hide(response.status()) {
                challenged = true;
                if self.opens_with_login(call, response.headers()).await? {
                    continue;
                }
            }
            let is_refused = matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
            let shown =
                if at_home && is_refused { self.shown(call, !is_unknown).await? } else { Shown::Account };
            let follow = response.status().is_redirection() && call.method.is_safe();
            if let Some(next) = follow.then(|| redirect(&url, response.headers())).flatten() {
                if !call.leave_host && !same_origin(&next, &self.base) {
                    return Ok(Answer::new(call, self.sender(url, secrets, shown), response, slot));
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
            return Ok(Answer::new(call, self.sender(url, secrets, shown), response, slot));
        }
    }

    fn used_up(&self, call: &Call, UsedUp(quota): UsedUp) -> StoreError {
        let allowed = quota.limit.map_or_else(String::new, |limit| format!(" of {limit}"));
        let hours = |window: Duration| format!(" (counted over {} h)", window.as_secs().div_ceil(3600));
        let window = quota.window.map_or_else(String::new, hours);
        let message = format!(
            "{} allows no more pulls for now{allowed}{window}; a later run goes on here, and an account of that registry \
             may be allowed more",
            self.host
        );
        call.error(StoreErrorKind::UsedUp, message)
    }

    /// Whether a URL leads to the registry, or to where the operator lets it lead.
    fn is_home(&self, url: &Url) -> bool {
        same_origin(url, &self.base) || self.allies.iter().any(|ally| same_origin(url, ally))
    }

    async fn head_of_answer(
        &self,
        call: &Call,
        url: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, StoreError> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let patience = self.silence.patience(self.patience.idle);
        let sent = Instant::now();
        match timeout(patience, request.send()).await {
            Ok(Ok(response)) => {
                self.note_answer(call, &response, sent);
                Ok(response)
            }
            Ok(Err(error)) => Err(self.unanswered(call, url, &error)),
            Err(_) => Err(self.silent(call, url, patience)),
        }
    }

    /// A connection that ends without an answer may be one that wants TLS, as long as nothing was ever answered.
    fn unanswered(&self, call: &Call, url: &Url, error: &reqwest::Error) -> StoreError {
        let mut told = unreachable(call.operation, &call.reference, &self.name_of(url), error);
        let is_puzzling = !error.is_connect() && !error.is_timeout() && !self.knowledge.has_answered();
        if let Some(advice) = advice(url).filter(|_| is_puzzling && same_origin(url, &self.base)) {
            told.message.push_str("; ");
            told.message.push_str(&advice);
        }
        told
    }

    /// The query stays out: registries put keys of their own into it.
    pub(super) fn note_answer(&self, call: &Call, response: &reqwest::Response, sent: Instant) {
        // What a body was asked for with counts once it is there.
        if call.method != Method::GET || response.status() != StatusCode::OK {
            self.silence.ends();
        }
        if same_origin(response.url(), &self.base) {
            self.quotas.note(response.headers());
            if call.is_pull && (response.status().is_success() || response.status() == StatusCode::NOT_FOUND)
            {
                self.quotas.answered();
            }
            self.slots.answered(response.status(), sent, call.method.is_safe());
            self.knowledge.learn(response.headers());
        }
        let path = response.url().path();
        tracing::debug!(host = %self.host, method = %call.method, path, status = response.status().as_u16());
    }

    pub(super) fn silent(&self, call: &Call, url: &Url, patience: Duration) -> StoreError {
        let message = format!("{} did not answer within {} s", self.name_of(url), patience.as_secs_f32());
        call.error(StoreErrorKind::Unavailable, message)
    }

    fn sender(&self, url: Url, secrets: Secrets, shown: Shown) -> Sender {
        Sender {
            host: self.name_of(&url),
            url,
            idle: self.silence.patience(self.patience.idle),
            secrets,
            shown,
            profile: self.knowledge.profile(),
        }
    }

    /// Who is at a URL, for messages: the registry, or the other host that it led to.
    pub(super) fn name_of(&self, url: &Url) -> String {
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
