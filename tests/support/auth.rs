//! Who may do what at a test registry: Basic, or Bearer tokens with exact scopes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};

/// How a registry knows who asks.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// A user and a password with each request.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Tokens from `/token`.
    Bearer(Bearer),
}

/// A registry with a token service.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    /// The user who may do everything.
    pub(crate) user: String,
    /// The user's password; a POST to the token service takes it as a refresh token, too.
    pub(crate) password: String,
    /// Whether somebody without credentials gets tokens to pull.
    pub(crate) anonymous_pull: bool,
    /// After how many requests a token has expired.
    pub(crate) uses: Option<usize>,
    /// The realm of the challenge, where it is not this registry's own `/token`.
    pub(crate) realm: Option<String>,
}

/// What the tokens of a token service are like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tokens {
    /// Whether the user, too, gets tokens to pull only.
    pub(crate) pull_only: bool,
    /// Whether they state their rights, as those of Docker's specification do; else they are opaque.
    pub(crate) readable: bool,
}

impl Auth {
    /// Basic credentials.
    pub(crate) fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.to_owned(), password: password.to_owned() }
    }

    /// Tokens for one user, and to pull for everybody.
    pub(crate) fn bearer(user: &str, password: &str) -> Self {
        Self::Bearer(Bearer {
            user: user.to_owned(),
            password: password.to_owned(),
            anonymous_pull: true,
            uses: None,
            realm: None,
        })
    }
}

/// A request to the token service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    /// GET, or POST for the way of "OAuth 2".
    pub(crate) method: Method,
    /// The scopes asked for, in their order, as written.
    pub(crate) scopes: Vec<String>,
    /// The service asked for.
    pub(crate) service: Option<String>,
    /// Who asked, if anybody said.
    pub(crate) user: Option<String>,
    /// What was answered.
    pub(crate) status: u16,
}

/// The name that the challenge gives the service.
pub(crate) const SERVICE: &str = "registry.test";

type Grants = BTreeSet<(String, String)>;

#[derive(Debug)]
struct Token {
    grants: Grants,
    left: Option<usize>,
}

/// The door of a registry.
pub(crate) struct Guard {
    auth: Auth,
    own_realm: String,
    style: Tokens,
    tokens: Mutex<HashMap<String, Token>>,
    requests: Mutex<Vec<TokenRequest>>,
}

impl Guard {
    pub(crate) fn new(auth: Auth, style: Tokens, url: &str) -> Self {
        let own_realm = format!("{url}/token");
        Self { auth, own_realm, style, tokens: Mutex::default(), requests: Mutex::default() }
    }

    /// The requests to the token service so far.
    pub(crate) fn token_requests(&self) -> Vec<TokenRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None` if the request may pass, else what it is answered.
    pub(crate) fn check(&self, parts: &Parts) -> Option<Response> {
        match &self.auth {
            Auth::Basic { user, password } => {
                let good = basic(&parts.headers) == Some((user.clone(), password.clone()));
                (!good).then(|| refused("Basic realm=\"registry.test\""))
            }
            Auth::Bearer(bearer) => self.check_token(bearer, parts),
        }
    }

    fn check_token(&self, bearer: &Bearer, parts: &Parts) -> Option<Response> {
        let needed = needed(parts);
        let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        let mut problem = "";
        if let Some(token) = token {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            match tokens.get_mut(token) {
                Some(token) if token.left == Some(0) => problem = ",error=\"invalid_token\"",
                Some(token) if needed.is_subset(&token.grants) => {
                    token.left = token.left.map(|left| left - 1);
                    return None;
                }
                Some(_) => problem = ",error=\"insufficient_scope\"",
                None => problem = ",error=\"invalid_token\"",
            }
        }
        let realm = bearer.realm.as_deref().unwrap_or(&self.own_realm);
        let scope = scope_text(&needed);
        let scope = if scope.is_empty() { scope } else { format!(",scope=\"{scope}\"") };
        Some(refused(&format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"{scope}{problem}")))
    }

    /// The token service.
    pub(crate) async fn token(&self, request: Request) -> Response {
        let Auth::Bearer(bearer) = &self.auth else { return answer(StatusCode::NOT_FOUND, "{}") };
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a form");
        let text: &[u8] = match parts.method {
            Method::POST => &body,
            _ => parts.uri.query().unwrap_or_default().as_bytes(),
        };
        let form: Vec<(String, String)> = url::form_urlencoded::parse(text).into_owned().collect();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let scopes: Vec<String> = form
            .iter()
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, value)| value.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let credentials = match field("refresh_token") {
            Some(refresh) => Some((bearer.user.clone(), refresh)),
            None => basic(&parts.headers).or_else(|| Some((field("username")?, field("password")?))),
        };
        let known = credentials == Some((bearer.user.clone(), bearer.password.clone()));
        let status = if known || (credentials.is_none() && bearer.anonymous_pull) {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(TokenRequest {
            method: parts.method,
            scopes: scopes.clone(),
            service: field("service"),
            user: credentials.map(|(user, _)| user),
            status: status.as_u16(),
        });
        if status != StatusCode::OK {
            return answer(status, r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#);
        }
        let mut grants = parse_scopes(&scopes);
        if !known || self.style.pull_only {
            grants.retain(|(_, action)| action == "pull");
        }
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tokens.len() + 1;
        let token = if self.style.readable { readable(number, &grants) } else { format!("token-{number}") };
        tokens.insert(token.clone(), Token { grants, left: bearer.uses });
        let body = serde_json::json!({ "token": token, "access_token": token, "expires_in": 300 });
        answer(StatusCode::OK, &body.to_string())
    }
}

/// A token whose claims state what it is good for.
fn readable(number: usize, grants: &Grants) -> String {
    let access: Vec<_> = grants
        .iter()
        .map(|(resource, action)| {
            let (kind, name) = resource.split_once(':').unwrap_or((resource, ""));
            serde_json::json!({ "type": kind, "name": name, "actions": [action] })
        })
        .collect();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = serde_json::json!({ "jti": number.to_string(), "access": access });
    format!("{}.{}.signature", part(serde_json::json!({ "alg": "none" })), part(claims))
}

/// What a request needs, as pairs of resource and action.
fn needed(parts: &Parts) -> Grants {
    let path = parts.uri.path().trim_start_matches("/v2/");
    let mut grants = Grants::new();
    if path.is_empty() {
        return grants;
    }
    if path == "_catalog" {
        grants.insert(("registry:catalog".to_owned(), "*".to_owned()));
        return grants;
    }
    let end = ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
        .iter()
        .filter_map(|kind| path.rfind(kind))
        .max()
        .unwrap_or(path.len());
    let resource = format!("repository:{}", &path[..end]);
    let actions: &[&str] = match parts.method {
        Method::GET | Method::HEAD => &["pull"],
        Method::DELETE => &["delete"],
        _ => &["pull", "push"],
    };
    grants.extend(actions.iter().map(|action| (resource.clone(), (*action).to_owned())));
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    for (key, from) in query {
        if key == "from" {
            grants.insert((format!("repository:{from}"), "pull".to_owned()));
        }
    }
    grants
}

fn scope_text(grants: &Grants) -> String {
    let mut scopes: Vec<(&str, Vec<&str>)> = Vec::new();
    for (resource, action) in grants {
        match scopes.last_mut() {
            Some((last, actions)) if *last == resource => actions.push(action),
            _ => scopes.push((resource, vec![action])),
        }
    }
    let scopes: Vec<String> =
        scopes.iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(","))).collect();
    scopes.join(" ")
}

fn parse_scopes(scopes: &[String]) -> Grants {
    let parted = scopes.iter().filter_map(|scope| scope.rsplit_once(':'));
    parted
        .flat_map(|(resource, actions)| {
            actions.split(',').map(move |action| (resource.to_owned(), action.to_owned()))
        })
        .collect()
}

/// The user and the password of an `Authorization: Basic`.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let bytes = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn refused(challenge: &str) -> Response {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    let mut response = answer(StatusCode::UNAUTHORIZED, body);
    let challenge = challenge.parse().expect("a challenge");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn answer(status: StatusCode, body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
