//! Manifests: reading, pushing and deleting (end-3, end-7, end-9).

use axum::body::Body;
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::request::Parts;
use http::{Method, StatusCode, header};
use http_body_util::BodyDataStream;

use super::error::ApiError;
use super::{Served, empty};
use crate::oci::{Digest, ManifestRef, MediaType, RawManifest, ReferenceError, Repository};
use crate::store::MANIFEST_LIMIT;

pub(super) async fn answer(
    served: &Served,
    repository: &Repository,
    reference: Result<ManifestRef, ReferenceError>,
    parts: &Parts,
    body: &mut Body,
) -> Result<Response, ApiError> {
    match (&parts.method, reference) {
        (&Method::GET | &Method::HEAD, Ok(reference)) => {
            read(served, repository, &reference, &parts.method).await
        }
        (&Method::PUT, Ok(reference)) => push(served, repository, &reference, parts, body).await,
        (&Method::DELETE, Ok(reference)) => {
            if served.backend.delete_manifest(repository, &reference).await? {
                Ok(empty(StatusCode::ACCEPTED, []))
            } else {
                Err(ApiError::manifest_unknown(&reference))
            }
        }
        (&Method::PUT, Err(ReferenceError::Digest(error))) => {
            Err(ApiError::digest_invalid(error.to_string()))
        }
        (&Method::PUT, Err(error)) => Err(ApiError::manifest_invalid(error.to_string())),
        (&Method::GET | &Method::HEAD | &Method::DELETE, Err(error)) => {
            Err(ApiError::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", error.to_string()))
        }
        (method, _) => Err(ApiError::method(method)),
    }
}

async fn read(
    served: &Served,
    repository: &Repository,
    reference: &ManifestRef,
    method: &Method,
) -> Result<Response, ApiError> {
    let manifest = served
        .backend
        .manifest(repository, reference)
        .await?
        .ok_or_else(|| ApiError::manifest_unknown(reference))?;
    let headers = AppendHeaders([
        (header::CONTENT_TYPE, manifest.media_type.to_string()),
        (header::CONTENT_LENGTH, manifest.bytes.len().to_string()),
        (header::ETAG, format!("\"{}\"", manifest.digest)),
        (header::HeaderName::from_static("docker-content-digest"), manifest.digest.to_string()),
    ]);
    let body = if method == Method::HEAD { Body::empty() } else { Body::from(manifest.bytes) };
    Ok((headers, body).into_response())
}

async fn push(
    served: &Served,
    repository: &Repository,
    reference: &ManifestRef,
    parts: &Parts,
    body: &mut Body,
) -> Result<Response, ApiError> {
    let media_type = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(MediaType::new)
        .ok_or_else(|| ApiError::manifest_invalid("the request has no Content-Type"))?;
    let bytes = whole(body).await?;
    let digest = match reference {
        ManifestRef::Digest(wanted) => {
            let found = wanted.same_algorithm(&bytes);
            if found != *wanted {
                return Err(ApiError::digest_invalid(format!("the content has the digest {found}")));
            }
            found
        }
        ManifestRef::Tag(_) => Digest::sha256(&bytes),
    };
    let manifest = RawManifest { digest, media_type, bytes };
    served.backend.push_manifest(repository, reference, &manifest).await.map_err(ApiError::manifest)?;

    let location = format!("/v2/{repository}/manifests/{}", manifest.digest);
    let mut response = empty(
        StatusCode::CREATED,
        [("location", location), ("docker-content-digest", manifest.digest.to_string())],
    );
    let subject = manifest.parse().ok().and_then(|parsed| parsed.subject);
    if let Some(subject) = subject.filter(|_| served.behaviour.referrers_api)
        && let Ok(value) = subject.digest.to_string().parse()
    {
        response.headers_mut().insert("oci-subject", value);
    }
    Ok(response)
}

/// A manifest's body, up to the limit.
async fn whole(body: &mut Body) -> Result<Bytes, ApiError> {
    let mut pieces = BodyDataStream::new(body);
    let mut bytes = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| ApiError::manifest_invalid(error.to_string()))?;
        if bytes.len() + piece.len() > MANIFEST_LIMIT {
            let message = format!("a manifest has {MANIFEST_LIMIT} bytes at most");
            return Err(ApiError::size_invalid(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}
