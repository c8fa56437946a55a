//! A request to be made.

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::auth::Scope;
use super::redact::Secrets;
use crate::store::{StoreError, StoreErrorKind};

/// A request to be made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    /// To fit "failed to …".
    pub(super) operation: &'static str,
    pub(super) reference: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// So many bytes of a blob are expected to come or to go, for as long as that takes.
    pub(super) moves: u64,
    /// Whether a redirect to another host is followed (never with credentials) or handed over.
    pub(super) leave_host: bool,
    /// Whether the registry counts it against what it allows in a time.
    pub(super) is_pull: bool,
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
            moves: 0,
            leave_host: true,
            is_pull: false,
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

    pub(super) fn error(&self, kind: StoreErrorKind, message: impl Into<String>) -> StoreError {
        StoreError::new(self.operation, &self.reference, kind, message)
    }
}
