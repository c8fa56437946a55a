//! Requests to the services that give credentials: with the limits, retries, proxy and certificate authorities of the
//! run, without redirects, and without the run's client certificate, which is for registries.
//!
//! `--endpoint` gives another address for them, too. It is typed by whoever starts the program, and by nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use super::Side;
use super::context::Context;
use crate::oci::Registry;
use crate::registry::auth::Auth;
use crate::registry::call::{Body, Call};
use crate::registry::client::{Client, Traffic, Way};
use crate::registry::error::clean;
use crate::registry::gate::Gate;
use crate::registry::knowledge::Knowledge;
use crate::registry::quirks::Overrides;
use crate::registry::quota::Quotas;
use crate::registry::silence::Silence;
use crate::registry::slots::Slots;
use crate::registry::strangers::FrontPage;
use crate::registry::{Patience, RetryPolicy, Settings, SetupError, http_client};
use crate::secret::Secret;
use crate::store::{StoreError, StoreErrorKind};

/// No answer with a credential is as long as this.
const LONGEST_ANSWER: usize = 256 * 1024;

/// The longest part of a service's explanation that is repeated, in characters.
const EXPLANATION: usize = 300;

/// How services are reached.
pub(in crate::registry) struct Services {
    endpoints: HashMap<Registry, Url>,
    plain_http: Vec<Registry>,
    limits: Limits,
    /// Through the proxy of the environment, if there is one.
    proxied: reqwest::Client,
    /// For this machine's own addresses.
    direct: reqwest::Client,
    traffic: Arc<Traffic>,
    clients: Mutex<HashMap<String, Arc<Client>>>,
}

/// The limits of the run.
#[derive(Clone, Copy)]
struct Limits {
    concurrency: Option<usize>,
    retry: RetryPolicy,
    patience: Patience,
    deadline: Option<Instant>,
}

/// A request to a service.
pub(super) struct Errand<'a> {
    /// The service's host, as its documentation names it.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// What is posted.
    pub(super) content: Content<'a>,
    /// The bearer token, if the service wants one.
    pub(super) bearer: Option<&'a Secret>,
    /// What else is secret in the request.
    pub(super) secrets: &'a [&'a Secret],
}

/// What a request carries.
pub(super) enum Content<'a> {
    /// A form.
    Form(&'a [(&'a str, &'a str)]),
    /// A JSON document.
    Json(String),
}

impl Services {
    /// Prepares to reach services; sends nothing.
    pub(in crate::registry) fn new(
        settings: &Settings,
        (proxied, direct): (reqwest::Client, reqwest::Client),
        traffic: Arc<Traffic>,
    ) -> Result<Self, SetupError> {
        let (proxied, direct) = if settings.identity.is_none() {
            (proxied, direct)
        } else {
            let settings = Settings { identity: None, ..settings.clone() };
            let direct = http_client(&settings, reqwest::ClientBuilder::no_proxy)?;
            (http_client(&settings, |builder| builder)?, direct)
        };
        let Settings { endpoints, plain_http, concurrency, retry, patience, deadline, .. } = settings.clone();
        let limits = Limits { concurrency, retry, patience, deadline };
        Ok(Self { endpoints, plain_http, limits, proxied, direct, traffic, clients: Mutex::default() })
    }

    /// The address of a service's host, or the operator's other one.
    pub(super) fn address(&self, host: &str, context: &Context<'_>) -> Result<Url, StoreError> {
        let name = host.parse::<Registry>().ok();
        if let Some(endpoint) = name.as_ref().and_then(|name| self.endpoints.get(name)) {
            return Ok(endpoint.clone());
        }
        let plain = name.is_some_and(|name| name.is_loopback() || self.plain_http.contains(&name));
        let scheme = if plain { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{host}"))
            .map_err(|_| context.error(format!("`{}` is no host", clean(host, 100))))
    }

    /// A service's client. It is kept, so that one that does not answer is known to.
    fn client(&self, base: &Url, context: &Context<'_>) -> Result<Arc<Client>, StoreError> {
        let host = base.host_str().unwrap_or_default();
        let name = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let registry = name.parse::<Registry>();
        let registry = registry.map_err(|_| context.error(format!("`{}` is no host", clean(&name, 100))))?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{}://{name}", base.scheme());
        let client = clients.entry(key).or_insert_with(|| {
            let http = if registry.is_loopback() { &self.direct } else { &self.proxied };
            let way = || Way { http: http.clone(), is_guarded: false };
            let Limits { concurrency, retry, patience, deadline } = self.limits;
            Arc::new(Client {
                host: name,
                base: base.clone(),
                home: way(),
                abroad: way(),
                tokens: way(),
                allies: Vec::new(),
                slots: Slots::new(concurrency),
                gate: Arc::default(),
                token_gate: Gate::default(),
                quotas: Quotas::default(),
                retry,
                patience,
                deadline,
                traffic: Arc::clone(&self.traffic),
                silence: Silence::default(),
                knowledge: Knowledge::new(&registry, Overrides::default()),
                front_page: FrontPage::default(),
                token_turn: tokio::sync::Mutex::default(),
                auth: Auth::new(registry, None, Side::Source, None),
            })
        });
        Ok(Arc::clone(client))
    }

    /// Asks a service and reads its answer as JSON; `what` is what it has to have in it.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        errand: Errand<'_>,
        what: &str,
        context: &Context<'_>,
    ) -> Result<T, StoreError> {
        let host = errand.host.to_owned();
        let body = self.fetch(errand, context).await?;
        serde_json::from_slice(&body).map_err(|_| context.error(format!("{host} answered without {what}")))
    }

    /// Asks a service for its answer, whatever it is.
    pub(super) async fn fetch(&self, errand: Errand<'_>, context: &Context<'_>) -> Result<Bytes, StoreError> {
        let base = self.address(errand.host, context)?;
        let mut url = base.clone();
        url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), errand.path));
        let body = match errand.content {
            Content::Form(form) => form_body(form),
            Content::Json(text) => Body::Bytes("application/json".to_owned(), text.into()),
        };
        let mut call = context.call(Method::POST, url, body);
        if let Some(token) = errand.bearer {
            bear(&mut call, token, context)?;
        }
        errand.secrets.iter().for_each(|secret| call.secrets.add(secret));
        self.send(&call, errand.host, context).await
    }

    /// Sends a request; what is not answered with 200 is an error that says what the service said.
    pub(super) async fn send(
        &self,
        call: &Call,
        host: &str,
        context: &Context<'_>,
    ) -> Result<Bytes, StoreError> {
        let client = self.client(&call.url, context)?;
        let (answer, body) = client.fetch_unauthenticated(call, LONGEST_ANSWER).await?;
        if answer.status == StatusCode::OK {
            return Ok(body);
        }
        let status = answer.status;
        let said = explained(&answer.explanation().await);
        let said = if said.is_empty() { said } else { format!(": {said}") };
        let message = format!("{host} answered {status}{said}");
        Err(match status.as_u16() {
            400..=403 => context.lacking(message),
            404 | 405 => context.error(message),
            _ => StoreError { kind: StoreErrorKind::Unavailable, ..context.error(message) },
        })
    }
}

/// Has a request carry a bearer token.
pub(super) fn bear(call: &mut Call, token: &Secret, context: &Context<'_>) -> Result<(), StoreError> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose().trim()));
    let mut value = value.map_err(|_| context.error("a token has characters that a request cannot carry"))?;
    value.set_sensitive(true);
    call.secrets.add(token);
    call.headers.insert(AUTHORIZATION, value);
    Ok(())
}

/// A form as the body of a request.
pub(super) fn form_body(form: &[(&str, &str)]) -> Body {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Body::Bytes("application/x-www-form-urlencoded".to_owned(), form.into())
}

/// What an error document says, in the forms that these services have: OAuth's (RFC 6749, section 5.2), Google's,
/// those of AWS's JSON and query protocols, and the distribution specification's.
fn explained(text: &str) -> String {
    let parts = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(document) => {
            let at = |path: &str| document.pointer(path).and_then(serde_json::Value::as_str);
            let code = at("/error").or_else(|| at("/error/status")).or_else(|| at("/__type"));
            let code = code.or_else(|| at("/errors/0/code"));
            let message = at("/error_description").or_else(|| at("/error/message"));
            let message = message.or_else(|| at("/message")).or_else(|| at("/Message"));
            let message = message.or_else(|| at("/errors/0/message"));
            [code, message].map(|part| part.map(str::to_owned))
        }
        Err(_) => match roxmltree::Document::parse(text) {
            Ok(document) => ["Code", "Message"].map(|name| {
                let node = document.descendants().find(|node| node.tag_name().name() == name)?;
                node.text().map(str::to_owned)
            }),
            Err(_) => [None, None],
        },
    };
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| clean(&part, EXPLANATION)).collect();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_told_in_one_line() {
        for (text, expected) in [
            (
                r#"{"error":"invalid_client","error_description":"AADSTS700213: no\r\nmatch"}"#,
                "invalid_client: AADSTS700213: no  match",
            ),
            (
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"no"}}"#,
                "PERMISSION_DENIED: no",
            ),
            (r#"{"__type":"AccessDeniedException","Message":"not you"}"#, "AccessDeniedException: not you"),
            (r#"{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}"#, "UNAUTHORIZED: who?"),
            (
                "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                 <Message>Not authorized</Message></Error></ErrorResponse>",
                "AccessDenied: Not authorized",
            ),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(explained(text), expected, "{text}");
        }
    }
}
