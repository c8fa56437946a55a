//! Logging in to one registry: Basic (RFC 7617) and Bearer tokens (RFC 6750, with the token service of
//! Docker's "Token Authentication Specification").
//!
//! A credential goes to its registry and to that registry's own token service, nowhere else. A token is
//! asked for once per scope however many requests need it, and a token request that fails is an error:
//! nothing is tried anonymously that was to be done with credentials.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use url::Url;

use super::call::{Body, Call};
use super::client::Client;
use super::credentials::Credential;
use super::error::{GET_TOKEN, clean};
use super::identity::{Identities, Side};
use crate::oci::{Registry, Repository};
use crate::secret::Secret;
use crate::store::{SingleFlight, StoreError, StoreErrorKind};

/// A token that is about to expire is not used for anything new.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// How long a token lives if its service does not say (Docker's specification).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// So many tokens are kept; a list of thousands of images needs one or more for each.
const MOST_TOKENS: usize = 1000;

/// No token is as long as this.
const TOKEN_ANSWER: usize = 64 * 1024;

/// What a request needs the right to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    /// The repository; for the catalog the one whose account asks.
    pub(super) repository: Repository,
    /// `pull`, `pull,push`, or [`CATALOG`].
    pub(super) actions: &'static str,
}

/// The right to see all repositories, as distribution names it.
pub(super) const CATALOG: &str = "registry:catalog:*";

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actions == CATALOG {
            return f.write_str(CATALOG);
        }
        write!(f, "repository:{}:{}", self.repository, self.actions)
    }
}

/// How a registry wants to be convinced.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// The state of our login at one registry.
#[derive(Debug)]
pub(super) struct Auth {
    registry: Registry,
    /// Who we are; nobody where there are none.
    identities: Option<Arc<Identities>>,
    side: Side,
    /// Used instead of `identities` where the operator gave it for this registry.
    fixed: Option<Credential>,
    scheme: Mutex<Option<Scheme>>,
    tokens: Mutex<HashMap<String, Arc<SingleFlight<Token>>>>,
}

#[derive(Debug, Clone)]
struct Token {
    value: Secret,
    expires: Instant,
}

impl Auth {
    pub(super) fn new(
        registry: Registry,
        identities: Option<Arc<Identities>>,
        side: Side,
        fixed: Option<Credential>,
    ) -> Self {
        Self { registry, identities, side, fixed, scheme: Mutex::default(), tokens: Mutex::default() }
    }

    /// The `Authorization` for a request that needs `scopes`, the first of which names the repository.
    pub(super) async fn authorization(
        &self,
        client: &Client,
        scopes: &[Scope],
    ) -> Result<Option<HeaderValue>, StoreError> {
        let credential = self.credential(scopes).await?;
        if let Some(Credential::Bearer(token)) = &credential {
            return bearer(token).map(Some);
        }
        let scheme = self.scheme.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (scheme, credential) {
            (None, _) | (Some(Scheme::Basic), None) => Ok(None),
            (Some(Scheme::Basic), Some(Credential::Basic { username, password })) => {
                basic(&username, &password).map(Some)
            }
            (Some(Scheme::Basic), Some(_)) => Err(self.error(format!(
                "{} wants a user name and a password, and the docker configuration has a token for it",
                self.registry
            ))),
            (Some(Scheme::Bearer { realm, service }), credential) => {
                let token = self.token(client, scopes, &realm, service.as_deref(), credential).await?;
                bearer(&token).map(Some)
            }
        }
    }

    /// Creates a repository, with the credentials of the cloud that the registry is of.
    pub(super) async fn create_repository(&self, repository: &Repository) -> Result<(), StoreError> {
        match &self.identities {
            Some(identities) => identities.create_repository(&self.registry, repository).await,
            None => Err(self.error("nobody is known there who could create a repository".to_owned())),
        }
    }

    /// Whether there is a credential for what a request is about, sent or not.
    pub(super) async fn is_known(&self, scopes: &[Scope]) -> Result<bool, StoreError> {
        Ok(self.credential(scopes).await?.is_some())
    }

    async fn credential(&self, scopes: &[Scope]) -> Result<Option<Credential>, StoreError> {
        if self.fixed.is_some() {
            return Ok(self.fixed.clone());
        }
        let (Some(scope), Some(identities)) = (scopes.first(), &self.identities) else { return Ok(None) };
        identities.find(self.side, &self.registry, &scope.repository).await
    }

    /// Whether a credential that was not taken had worn out, so that there may be another.
    async fn is_worn_out(&self, credential: Option<&Credential>) -> bool {
        match (credential, &self.identities) {
            (Some(credential), Some(identities)) if self.fixed.is_none() => {
                identities.refused(&self.registry, credential).await
            }
            _ => false,
        }
    }

    /// Whether the same account is meant for both, so that one token for both is its business.
    pub(super) async fn is_one_account(&self, one: &Scope, other: &Scope) -> Result<bool, StoreError> {
        let [one, other] = [one, other].map(std::slice::from_ref);
        Ok(self.credential(one).await? == self.credential(other).await?)
    }

    /// Takes a challenge in, of a 401 or of the registry's front page. True if the request may succeed when it is sent again.
    pub(super) async fn challenged(
        &self,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
        scopes: &[Scope],
    ) -> Result<bool, StoreError> {
        let credential = self.credential(scopes).await?;
        if matches!(credential, Some(Credential::Bearer(_))) {
            return Ok(false);
        }
        let offered = challenge(headers, credential.is_some()).map_err(|realm| self.no_realm(&realm))?;
        let Some(scheme) = offered else { return Ok(false) };
        if scheme == Scheme::Basic && credential.is_none() {
            return Ok(false);
        }
        let known = {
            let mut current = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
            let known = current.as_ref() == Some(&scheme);
            *current = Some(scheme.clone());
            known
        };
        if !known || sent.is_none() {
            return Ok(true);
        }
        match scheme {
            // The same user and password would be refused again.
            Scheme::Basic => {
                let now = match &credential {
                    Some(Credential::Basic { username, password }) => Some(basic(username, password)?),
                    _ => None,
                };
                Ok(now.as_ref() != sent || self.is_worn_out(credential.as_ref()).await)
            }
            Scheme::Bearer { .. } => {
                self.forget(scopes, sent).await;
                Ok(true)
            }
        }
    }

    /// Drops the token that was sent, unless somebody has got a new one already.
    async fn forget(&self, scopes: &[Scope], sent: Option<&HeaderValue>) {
        let was_sent = |token: &Token| bearer(&token.value).is_ok_and(|header| Some(&header) == sent);
        self.slot(scopes).forget(was_sent).await;
    }

    fn slot(&self, scopes: &[Scope]) -> Arc<SingleFlight<Token>> {
        let key = scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS && !tokens.contains_key(&key) {
            // Those that nobody waits for can be asked for again.
            tokens.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        tokens.entry(key).or_default().clone()
    }

    async fn token(
        &self,
        client: &Client,
        scopes: &[Scope],
        realm: &Url,
        service: Option<&str>,
        credential: Option<Credential>,
    ) -> Result<Secret, StoreError> {
        let slot = self.slot(scopes);
        let lives = |token: &Token| token.expires > Instant::now() + EXPIRY_MARGIN;
        let fetched = slot.get(lives, self.fetch_token(client, scopes, realm, service, credential)).await;
        let token = fetched.map_err(|error| match error.exhausted() {
            error if error.kind == StoreErrorKind::Other => {
                StoreError { kind: StoreErrorKind::Access, ..error }
            }
            error => error,
        })?;
        Ok(token.value)
    }

    async fn fetch_token(
        &self,
        client: &Client,
        scopes: &[Scope],
        realm: &Url,
        service: Option<&str>,
        credential: Option<Credential>,
    ) -> Result<Token, StoreError> {
        self.check_realm(realm, credential.is_some())?;
        let call = token_call(realm, service, scopes, credential.as_ref())?;
        let (answer, body) = client.fetch_unauthenticated(&call, TOKEN_ANSWER).await?;
        if answer.status == StatusCode::OK {
            return read_token(&body)
                .ok_or_else(|| self.error(format!("{} answered without a token", host_of(realm))));
        }
        let status = answer.status.as_u16();
        let mut error = answer.into_error().await;
        if matches!(status, 400..=403) {
            error.kind = StoreErrorKind::Denied;
            let registry = &self.registry;
            let advice = match credential {
                Some(Credential::IdentityToken(_)) => {
                    format!("; the identity token may have expired: log in to {registry} again")
                }
                Some(_) => format!("; check the user name and password for {registry}"),
                None => format!("; this may need a login, and there is none for {registry}"),
            };
            error.message.push_str(&advice);
        }
        Err(error)
    }

    /// A realm is the registry's own if it is on the registry's host or in its domain: `auth.docker.io`
    /// for `docker.io`, `gitlab.example.com` for `registry.example.com`.
    fn check_realm(&self, realm: &Url, with_credential: bool) -> Result<(), StoreError> {
        let host = host_of(realm);
        let registry_host = registry_host(&self.registry);
        // A registry elsewhere has no business with what listens on this machine.
        let loopback = host.parse::<Registry>().is_ok_and(|host| host.is_loopback());
        let encrypted = realm.scheme() == "https" || (loopback && self.registry.is_loopback());
        if !encrypted && host != registry_host {
            return Err(self.error(format!("its token service at {host} is not encrypted")));
        }
        let own = host == registry_host || domain(host).is_some_and(|own| domain(registry_host) == Some(own));
        if with_credential && !own {
            return Err(self.error(format!(
                "the registry names {host} as its token service, which is neither its host nor in its \
                 domain; the credentials of {} are not sent there",
                self.registry
            )));
        }
        Ok(())
    }

    /// A token service that nobody can be asked at.
    fn no_realm(&self, realm: &str) -> StoreError {
        self.error(format!(
            "{} names `{}` as its token service, which is no http or https address, and nothing is sent there; its \
             operator has to set the realm of its token service to one",
            self.registry,
            clean(realm, 100)
        ))
    }

    /// A login that could not be tried: a mistake of ours or the registry's, not a right that is lacking.
    fn error(&self, message: String) -> StoreError {
        StoreError::new("log in to", &self.registry, StoreErrorKind::Access, message)
    }
}

/// The domain that one owner registers; an address has none.
fn domain(host: &str) -> Option<&str> {
    if host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok() {
        None
    } else {
        psl::domain_str(host)
    }
}

fn registry_host(registry: &Registry) -> &str {
    let text = registry.as_str();
    match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => &text[..colon],
        _ => text,
    }
}

fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// Bearer is preferred; Basic is taken where there is something to send. Fails with a realm that cannot be asked, where
/// that is the only way.
fn challenge(headers: &HeaderMap, with_credential: bool) -> Result<Option<Scheme>, String> {
    let mut basic = false;
    let mut unusable = None;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        let Ok(challenges) = http_auth::parse_challenges(text) else {
            // zot with an anonymous policy sends `basic realm=`, which has no value.
            basic |= text.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("basic"));
            continue;
        };
        for challenge in challenges {
            let param = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let Some(text) = param("realm") else { continue };
                let realm = Url::parse(&text).ok();
                match realm.filter(|realm| matches!(realm.scheme(), "http" | "https")) {
                    Some(realm) => return Ok(Some(Scheme::Bearer { realm, service: param("service") })),
                    None => unusable = Some(text),
                }
            } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = true;
            }
        }
    }
    match unusable {
        _ if basic && with_credential => Ok(Some(Scheme::Basic)),
        Some(realm) => Err(realm),
        None => Ok(None),
    }
}

/// A GET with Basic, or a POST of the refresh token ("Docker Registry v2 `OAuth2` token").
fn token_call(
    realm: &Url,
    service: Option<&str>,
    scopes: &[Scope],
    credential: Option<&Credential>,
) -> Result<Call, StoreError> {
    let mut url = realm.clone();
    let reference = scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    if let Some(Credential::IdentityToken(token)) = credential {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", "image-syncer");
        form.append_pair("refresh_token", token.expose());
        if let Some(service) = service {
            form.append_pair("service", service);
        }
        let scope = scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        form.append_pair("scope", &scope);
        let mut call = Call::new(Method::POST, url, GET_TOKEN, reference);
        call.secrets.add(token);
        call.body = Body::Bytes("application/x-www-form-urlencoded".into(), form.finish().into());
        return Ok(call);
    }
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scopes {
            query.append_pair("scope", &scope.to_string());
        }
    }
    let mut call = Call::new(Method::GET, url, GET_TOKEN, reference);
    if let Some(Credential::Basic { username, password }) = credential {
        let authorization = basic(username, password)?;
        call.secrets.add_header(&authorization);
        call.headers.insert(AUTHORIZATION, authorization);
    }
    Ok(call)
}

fn read_token(body: &[u8]) -> Option<Token> {
    #[derive(Deserialize)]
    struct Document {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<serde_json::Value>,
    }
    let document: Document = serde_json::from_slice(body).ok()?;
    let value =
        document.token.filter(|t| !t.is_empty()).or(document.access_token).filter(|t| !t.is_empty())?;
    // An hour at the most: what lives longer is asked for again without loss.
    let lifetime = document.expires_in.as_ref().and_then(serde_json::Value::as_u64);
    let lifetime = lifetime.map_or(DEFAULT_LIFETIME, Duration::from_secs);
    let lifetime = lifetime.clamp(EXPIRY_MARGIN * 2, Duration::from_secs(3600));
    Some(Token { value: Secret::new(value), expires: Instant::now() + lifetime })
}

fn bearer(token: &Secret) -> Result<HeaderValue, StoreError> {
    secret_header(format!("Bearer {}", token.expose()))
}

fn basic(username: &str, password: &Secret) -> Result<HeaderValue, StoreError> {
    secret_header(format!("Basic {}", BASE64.encode(format!("{username}:{}", password.expose()))))
}

fn secret_header(text: String) -> Result<HeaderValue, StoreError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        let message = "the token has characters that a request cannot carry, such as a line break";
        StoreError::new("log in", "", StoreErrorKind::Other, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(text: &str, with_credential: bool) -> Result<Option<Scheme>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_str(text).expect("a value"));
        challenge(&headers, with_credential)
    }

    #[test]
    fn challenges_are_read() {
        let bearer =
            scheme(r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#, false);
        let realm = Url::parse("https://auth.docker.io/token").expect("a URL");
        assert_eq!(bearer, Ok(Some(Scheme::Bearer { realm, service: Some("registry.docker.io".into()) })));
        assert_eq!(scheme("Basic realm=\"x\"", true), Ok(Some(Scheme::Basic)));
        assert_eq!(scheme("Basic realm=\"x\"", false), Ok(None));
        assert_eq!(scheme("basic realm=", true), Ok(Some(Scheme::Basic)), "as zot sends it");
        assert_eq!(scheme("", true), Ok(None));
        let unusable = Err("file:///etc/passwd".to_owned());
        assert_eq!(scheme("Bearer realm=\"file:///etc/passwd\"", false), unusable);
        let both = "Bearer realm=\"file:///etc/passwd\", Basic realm=\"x\"";
        assert_eq!(scheme(both, true), Ok(Some(Scheme::Basic)));
        assert_eq!(scheme(both, false), unusable);
    }

    #[test]
    fn credentials_go_to_the_registrys_own_token_service_only() {
        let check = |registry: &str, realm: &str, with: bool| {
            let auth = Auth::new(registry.parse().expect("a registry"), None, Side::Source, None);
            auth.check_realm(&Url::parse(realm).expect("a URL"), with).is_ok()
        };
        assert!(check("docker.io", "https://auth.docker.io/token", true));
        assert!(check("registry.gitlab.com", "https://gitlab.com/jwt/auth", true));
        assert!(check("127.0.0.1:5000", "http://127.0.0.1:5001/token", true));
        assert!(check("registry.corp.example.com:5000", "https://sso.example.com/t", true));
        assert!(!check("ghcr.io", "https://evil.example.com/token", true));
        assert!(check("ghcr.io", "https://elsewhere.example.com/token", false));
        assert!(!check("a.co.uk", "https://b.co.uk/token", true));
        assert!(!check("ghcr.io", "http://auth.ghcr.io/token", true));
        assert!(!check("127.0.0.1:5000", "http://127.0.0.2:5001/token", true));
        assert!(!check("10.9.0.1:5000", "https://66.6.0.1/token", true));
        assert!(!check("[2001:db8::1]:5000", "https://[2001:db8:66::1]/token", true));
        assert!(!check("ghcr.io", "http://127.0.0.1:9200/token", false));
    }

    #[test]
    fn tokens_that_nobody_waits_for_are_dropped_when_they_are_many() {
        let auth = Auth::new("r.io".parse().expect("a registry"), None, Side::Source, None);
        let slot = |name: String| {
            auth.slot(&[Scope { repository: name.parse().expect("a repository"), actions: "pull" }])
        };
        let held = slot("held".into());
        for number in 0..3 * MOST_TOKENS {
            drop(slot(format!("a{number}")));
        }
        assert!(auth.tokens.lock().expect("the tokens").len() <= MOST_TOKENS);
        assert!(Arc::ptr_eq(&held, &slot("held".into())));
    }

    #[test]
    fn tokens_are_read_under_both_names() {
        assert_eq!(read_token(br#"{"token":"a"}"#).expect("a token").value.expose(), "a");
        assert_eq!(read_token(br#"{"token":"","access_token":"b"}"#).expect("a token").value.expose(), "b");
        assert!(read_token(br#"{"token":"a","expires_in":"never"}"#).is_some());
        assert!(read_token(b"{}").is_none());
    }
}
