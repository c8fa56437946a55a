//! Errors as clients of a registry see them (distribution-spec, "Error Codes").

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};

use crate::oci::{Digest, ManifestRef, ReferenceError, Repository};
use crate::store::{StoreError, StoreErrorKind};

/// A status and one error of the specification's list.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn method(method: &Method) -> Self {
        let message = format!("{method} is not done here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    pub(super) fn no_endpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is no such endpoint")
    }

    pub(super) fn name_invalid(error: &ReferenceError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", error.to_string())
    }

    pub(super) fn name_unknown(repository: &Repository) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("there is no repository {repository}"))
    }

    pub(super) fn digest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(super) fn blob_unknown(digest: &Digest) -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("there is no blob {digest}"))
    }

    pub(super) fn manifest_unknown(reference: &ManifestRef) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", format!("there is no manifest {reference}"))
    }

    pub(super) fn upload_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
    }

    pub(super) fn upload_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    /// An upload that the store did not take.
    pub(super) fn upload(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Corrupt => Self::digest_invalid(error.to_string()),
            _ => error.into(),
        }
    }

    /// A manifest that the store did not take.
    pub(super) fn manifest(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Corrupt => Self::digest_invalid(error.to_string()),
            StoreErrorKind::Unsupported => Self::manifest_invalid(error.to_string()),
            _ => error.into(),
        }
    }

    pub(super) fn manifest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(super) fn size_invalid(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "SIZE_INVALID", message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let (status, code) = match error.kind {
            StoreErrorKind::NotFound => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            StoreErrorKind::Denied => (StatusCode::FORBIDDEN, "DENIED"),
            StoreErrorKind::RateLimited | StoreErrorKind::UsedUp => {
                (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS")
            }
            StoreErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN"),
            StoreErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            StoreErrorKind::ContentUnknown => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            StoreErrorKind::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            StoreErrorKind::Corrupt | StoreErrorKind::Access | StoreErrorKind::Other => {
                (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let document = serde_json::json!({ "errors": [{ "code": self.code, "message": self.message }] });
        (
            self.status,
            axum::response::AppendHeaders(self.headers),
            [(header::CONTENT_TYPE, "application/json")],
            document.to_string(),
        )
            .into_response()
    }
}
