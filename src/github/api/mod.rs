//! GitHub's API (REST 2022-11-28, and one question of GraphQL), as far as it is needed: a file at a commit, a pull
//! request's head, the pull request of a commit, a comment, a check run. github.com and GitHub Enterprise Server, whose
//! API has a base path.
//!
//! Answers are bounded in size and time. Only GET is ever sent again: a POST that was sent twice is two comments.
//! The token goes to the API's own host; redirects are not followed, and an error never holds it.

mod answer;
mod check_run;
mod comment;
mod contents;
mod error;
mod link;
mod pull_request;
mod retry;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE as BASE64_URL};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

pub use check_run::{CheckRun, Conclusion, MOST_ANNOTATIONS, Shown};
pub use comment::{Change, Comment, KeyError, LONGEST_COMMENT, Sticky, StickyKey, Written};
pub use contents::{ContentsError, Kind};
pub use error::{ApiError, ApiErrorKind};
pub use pull_request::Merged;
pub use retry::Retry;

use super::names::{RepositoryName, Token};
use answer::Answer;
use error::Operation;

/// Who we are to GitHub, which refuses requests that do not say it.
const USER_AGENT: &str = concat!("image-syncer/", env!("CARGO_PKG_VERSION"));

/// The version of the REST API that is spoken.
const API_VERSION: &str = "2022-11-28";

const JSON: &str = "application/vnd.github+json";

/// The most that is read of an answer with one thing in it. A pull request with its two repositories has some
/// 30 KiB, and a description.
const ONE_THING: usize = 2 * 1024 * 1024;

/// How GitHub is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the REST API is: `https://api.github.com`, `https://HOST/api/v3`.
    pub api_url: Url,
    /// Where GraphQL is: `https://api.github.com/graphql`, `https://HOST/api/graphql`.
    pub graphql_url: Url,
    /// Who asks.
    pub token: Token,
    /// Further certificate authorities, PEM.
    pub extra_roots: Vec<Vec<u8>>,
    /// How long a connection may take to stand.
    pub connect_timeout: Duration,
    /// How long an answer may take, from the request to its last byte.
    pub timeout: Duration,
    /// When a GET is sent again.
    pub retry: Retry,
}

impl Settings {
    /// The usual patience.
    #[must_use]
    pub fn new(api_url: Url, graphql_url: Url, token: Token) -> Self {
        Self {
            api_url,
            graphql_url,
            token,
            extra_roots: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retry: Retry::default(),
        }
    }
}

/// Why GitHub cannot be spoken to at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A certificate is none.
    #[error("the CA file cannot be used: {0}")]
    Roots(String),
    /// It is no web address, or the two addresses belong to different hosts, of which one would get the other's token.
    #[error("the address of GitHub's API cannot be used: {0}")]
    Address(String),
    /// The rest.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// GitHub's API, as one token sees it.
#[derive(Debug)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    graphql: Url,
    token: Token,
    timeout: Duration,
    retry: Retry,
}

/// A request to be made.
struct Call {
    method: Method,
    url: Url,
    accept: &'static str,
    body: Option<Vec<u8>>,
    operation: Operation,
}

impl Call {
    fn get(url: Url, operation: Operation) -> Self {
        Self { method: Method::GET, url, accept: JSON, body: None, operation }
    }

    fn send(method: Method, url: Url, body: &Value, operation: Operation) -> Self {
        Self { method, url, accept: JSON, body: Some(body.to_string().into_bytes()), operation }
    }
}

impl Api {
    /// Prepares to speak to GitHub; sends nothing.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let Settings { api_url, graphql_url, token, extra_roots, connect_timeout, timeout, retry } = settings;
        for url in [&api_url, &graphql_url] {
            if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                return Err(SetupError::Address(format!("`{url}` is no web address")));
            }
        }
        if api_url.host_str() != graphql_url.host_str() {
            let message = format!("REST is at `{api_url}` and GraphQL at `{graphql_url}`, another host");
            return Err(SetupError::Address(message));
        }
        let mut roots = Vec::new();
        for pem in &extra_roots {
            let parsed = reqwest::Certificate::from_pem_bundle(pem);
            roots.extend(parsed.map_err(|error| SetupError::Roots(error.to_string()))?);
        }
        let is_local = is_loopback(&api_url);
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(connect_timeout);
            // No proxy can reach this machine's own addresses.
            if is_local { builder.no_proxy() } else { builder }
        };
        let http = builder().tls_certs_merge(roots.clone()).build().or_else(|_| {
            // No certificate store on this machine, as in a scratch image: Mozilla's roots are built in.
            let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
            let bundled = bundled.filter_map(|der| reqwest::Certificate::from_der(der).ok());
            builder().tls_certs_only(bundled.chain(roots)).build()
        });
        let http = http.map_err(|error| SetupError::Client(error.to_string()))?;
        Ok(Self { http, base: api_url, graphql: graphql_url, token, timeout, retry })
    }

    /// The URL of something of a repository.
    fn url(&self, repository: &RepositoryName, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Web addresses can be a base, so that there always are segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["repos", repository.owner(), repository.name()]).extend(segments);
        }
        url
    }

    /// Whether a URL that GitHub named leads to its API, so that the token may go there.
    fn is_at_home(&self, url: &Url) -> bool {
        let base = self.base.path().trim_end_matches('/');
        url.origin() == self.base.origin()
            && url.path().strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
    }

    /// One question of GraphQL, without variables: a constant, in which nothing foreign can stand.
    async fn ask<T: DeserializeOwned>(
        &self,
        query: &'static str,
        operation: Operation,
    ) -> Result<T, ApiError> {
        #[derive(Deserialize)]
        struct Reply<T> {
            data: Option<T>,
            errors: Option<Vec<Value>>,
        }
        let body = serde_json::json!({ "query": query });
        let call = Call::send(Method::POST, self.graphql.clone(), &body, operation);
        let answer = self.expect(&call, ONE_THING).await?;
        let reply: Reply<T> = answer.json(&call.operation)?;
        reply.data.ok_or_else(|| {
            let message = reply.errors.iter().flatten().find_map(|error| error.get("message")?.as_str());
            let message = format!("GraphQL answered: {}", message.unwrap_or("nothing"));
            call.operation.error(ApiErrorKind::Refused, self.without_token(&message))
        })
    }

    /// What GitHub has at `url`.
    async fn read<T: DeserializeOwned>(
        &self,
        url: Url,
        operation: &Operation,
        limit: usize,
    ) -> Result<T, ApiError> {
        self.expect(&Call::get(url, operation.clone()), limit).await?.json(operation)
    }

    /// Sends a request; whatever is no success is an error.
    async fn expect(&self, call: &Call, limit: usize) -> Result<Answer, ApiError> {
        let answer = self.send(call, limit).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.refusal(call, &answer)) }
    }

    /// Sends a request, and a GET again if another answer can be hoped for.
    async fn send(&self, call: &Call, limit: usize) -> Result<Answer, ApiError> {
        let mut delays = self.retry.delays();
        loop {
            let outcome = self.attempt(call, limit).await;
            let pause = match &outcome {
                _ if call.method != Method::GET => None,
                Ok(answer) => {
                    let asked = retry::asked(answer.status, &answer.headers, &answer.body, SystemTime::now());
                    asked.and_then(|asked| self.retry.pause(&mut delays, asked))
                }
                Err(error) if error.kind == ApiErrorKind::Unreachable => {
                    self.retry.pause(&mut delays, Duration::ZERO)
                }
                Err(_) => None,
            };
            let Some(pause) = pause else { return outcome };
            tracing::debug!(method = %call.method, path = call.url.path(), ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call, limit: usize) -> Result<Answer, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(call.accept));
        headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
        // A token has visible ASCII characters only, by its type.
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", self.token.expose())) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut request = self.http.request(call.method.clone(), call.url.clone()).headers(headers);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.timeout(self.timeout).send().await;
        let response = response.map_err(|error| self.unreachable(call, error))?;
        let status = response.status();
        tracing::debug!(method = %call.method, path = call.url.path(), status = status.as_u16());
        Answer::read(response, limit).await.map_err(|fault| match fault {
            answer::Fault::TooLarge => {
                let message = format!("the answer has more than {limit} bytes, the most that is accepted");
                call.operation.error(ApiErrorKind::TooLarge, message)
            }
            answer::Fault::Broken(error) => self.unreachable(call, error),
        })
    }

    fn unreachable(&self, call: &Call, error: reqwest::Error) -> ApiError {
        let host = self.base.host_str().unwrap_or_default();
        let what = if error.is_timeout() {
            format!("{host} did not answer within {} s", self.timeout.as_secs_f32())
        } else if error.is_connect() {
            format!("cannot connect to {host}")
        } else {
            format!("the connection to {host} broke")
        };
        let mut cause: &dyn std::error::Error = &error.without_url();
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let message = self.without_token(&format!("{what}: {cause}"));
        // A certificate that is not trusted now will not be later.
        let untrusted = message.contains("certificate");
        let kind = if untrusted { ApiErrorKind::Refused } else { ApiErrorKind::Unreachable };
        let advice =
            if untrusted { "; a certificate authority of your own is named with SYNCER_CA_FILE" } else { "" };
        call.operation.error(kind, format!("{message}{advice}"))
    }

    /// An answer that is no success, as an error that says what to do.
    fn refusal(&self, call: &Call, answer: &Answer) -> ApiError {
        let status = answer.status;
        let told = self.without_token(&answer.told());
        let host = self.base.host_str().unwrap_or_default();
        let is_limit = retry::is_rate_limit(status, &answer.headers, &answer.body);
        let hidden = call.method != Method::GET && call.operation.has_permission();
        let (kind, advice) = match status {
            _ if is_limit => (ApiErrorKind::RateLimited, "; try again later".to_owned()),
            StatusCode::UNAUTHORIZED => {
                (ApiErrorKind::Unauthorized, "; is the token right, and has it not expired?".to_owned())
            }
            StatusCode::FORBIDDEN => (ApiErrorKind::Forbidden, call.operation.advice()),
            // Whoever may not write is often told that nothing is there.
            StatusCode::NOT_FOUND if hidden => (ApiErrorKind::Forbidden, call.operation.advice()),
            StatusCode::NOT_FOUND => (ApiErrorKind::NotFound, call.operation.advice()),
            _ if status.is_redirection() => {
                (ApiErrorKind::Refused, "; was the repository renamed or moved?".to_owned())
            }
            _ if status.is_server_error() => (ApiErrorKind::Unreachable, String::new()),
            _ => (ApiErrorKind::Refused, String::new()),
        };
        let told = if told.is_empty() { told } else { format!(": {told}") };
        let mut error = call.operation.error(kind, format!("{host} answered {status}{told}{advice}"));
        error.status = Some(status);
        error
    }

    /// A text of GitHub's that does not repeat the token, nor what it looks like in Base64.
    fn without_token(&self, text: &str) -> String {
        let token = self.token.expose();
        let encoded = [BASE64.encode(token), BASE64_URL.encode(token)];
        let mut text = text.replace(token, "***");
        for form in encoded.iter().map(|form| form.trim_end_matches('=')) {
            text = text.replace(form, "***");
        }
        text
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(rest: &str, graphql: &str) -> Result<Api, SetupError> {
        let url = |text: &str| Url::parse(text).expect("a URL");
        Api::new(Settings::new(url(rest), url(graphql), Token::new("ghs_secret").expect("a token")))
    }

    #[test]
    fn the_base_path_of_a_server_is_kept() {
        let repository: RepositoryName = "octo-org/mirror".parse().expect("a repository");
        for (base, url) in [
            ("https://api.github.com", "https://api.github.com/repos/octo-org/mirror/pulls/7"),
            (
                "https://ghe.example.com/api/v3",
                "https://ghe.example.com/api/v3/repos/octo-org/mirror/pulls/7",
            ),
            (
                "https://ghe.example.com/api/v3/",
                "https://ghe.example.com/api/v3/repos/octo-org/mirror/pulls/7",
            ),
        ] {
            let graphql = Url::parse(base).expect("a URL").join("/graphql").expect("a URL");
            let api = api(base, graphql.as_str()).expect("an API");
            let found = api.url(&repository, &["pulls", "7"]);
            assert_eq!(found.as_str(), url);
            assert!(api.is_at_home(&found));
        }
    }

    #[test]
    fn the_token_stays_at_home() {
        let api =
            api("https://ghe.example.com/api/v3", "https://ghe.example.com/api/graphql").expect("an API");
        for away in [
            "https://ghe.example.com/api/v33/x",
            "https://ghe.example.com/x",
            "http://ghe.example.com/api/v3/x",
            "https://ghe.example.com:444/api/v3/x",
            "https://example.com/api/v3/x",
        ] {
            assert!(!api.is_at_home(&Url::parse(away).expect("a URL")), "{away}");
        }
        assert!(!format!("{api:?}").contains("ghs_secret"));
    }

    #[test]
    fn the_two_addresses_are_of_one_host() {
        assert!(matches!(
            api("https://api.github.com", "https://example.com/graphql"),
            Err(SetupError::Address(_))
        ));
        assert!(matches!(api("file:///x", "file:///x"), Err(SetupError::Address(_))));
    }
}
