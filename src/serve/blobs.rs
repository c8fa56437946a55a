//! Blobs: reading, whole or a range, and deleting (end-2, end-10).

use std::ops::Range;

use axum::body::Body;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::request::Parts;
use http::{Method, StatusCode, header};

use super::error::ApiError;
use super::{Served, empty};
use crate::oci::{Digest, Repository};

pub(super) async fn answer(
    served: &Served,
    repository: &Repository,
    digest: &Digest,
    parts: &Parts,
) -> Result<Response, ApiError> {
    match parts.method {
        Method::GET | Method::HEAD => read(served, repository, digest, parts).await,
        Method::DELETE => {
            if served.backend.delete_blob(repository, digest).await? {
                Ok(empty(StatusCode::ACCEPTED, []))
            } else {
                Err(ApiError::blob_unknown(digest))
            }
        }
        _ => Err(ApiError::method(&parts.method)),
    }
}

async fn read(
    served: &Served,
    repository: &Repository,
    digest: &Digest,
    parts: &Parts,
) -> Result<Response, ApiError> {
    let size =
        served.backend.blob_size(repository, digest).await?.ok_or_else(|| ApiError::blob_unknown(digest))?;
    let range = match parts.headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        Some(text) if parts.method == Method::GET => Wanted::parse(text, size),
        _ => Wanted::All,
    };
    let (status, bytes) = match range {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let message = format!("the blob has {size} bytes");
            return Err(ApiError::size_invalid(StatusCode::RANGE_NOT_SATISFIABLE, message)
                .with_header("content-range", format!("bytes */{size}")));
        }
    };
    let mut headers = vec![
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, (bytes.end - bytes.start).to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, format!("\"{digest}\"")),
        (header::HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ];
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", bytes.start, bytes.end.saturating_sub(1));
        headers.push((header::CONTENT_RANGE, text));
    }
    let body = if parts.method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(served.backend.blob_range(repository, digest, bytes).await?)
    };
    Ok((status, AppendHeaders(headers), body).into_response())
}

/// What a `Range` header asks for (RFC 9110, 14.2).
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// Everything; also where the header is not understood, which the RFC has a server ignore.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes beyond the end.
    Nothing,
}

impl Wanted {
    fn parse(text: &str, size: u64) -> Self {
        let Some((first, last)) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-')) else {
            return Self::All;
        };
        let number = |text: &str| text.trim().parse::<u64>();
        match (number(first), number(last)) {
            (Ok(first), Ok(last)) if last < first => Self::All,
            (Ok(first), _) if first >= size && (last.is_empty() || number(last).is_ok()) => Self::Nothing,
            (Ok(first), Ok(last)) => Self::Part(first..last.saturating_add(1).min(size)),
            (Ok(first), Err(_)) if last.is_empty() => Self::Part(first..size),
            (Err(_), Ok(0)) if first.is_empty() => Self::Nothing,
            (Err(_), Ok(suffix)) if first.is_empty() => Self::Part(size.saturating_sub(suffix)..size),
            _ => Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (text, wanted) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-4", Wanted::Part(2..5)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=8-20", Wanted::Part(8..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=x-", Wanted::All),
            ("items=0-1", Wanted::All),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
        ] {
            assert_eq!(Wanted::parse(text, 10), wanted, "{text}");
        }
    }
}
