//! Lists, page by page: tags (end-8), referrers (end-12) and the catalog.

use axum::extract::Query;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::error::ApiError;
use super::{Served, json};
use crate::oci::{Digest, MediaType, Repository};

/// The query of a list.
#[derive(Debug, Deserialize)]
struct Wanted {
    /// The most entries that the client wants at a time.
    n: Option<usize>,
    /// The last entry that the client has.
    last: Option<String>,
    /// What kind of referrers the client wants.
    #[serde(rename = "artifactType")]
    artifact_type: Option<String>,
}

impl Wanted {
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        let query = Query::try_from_uri(&parts.uri).map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", format!("the query: {error}"))
        })?;
        Ok(query.0)
    }

    /// The entries of this page, of all in the order of their keys, and the `Link` to the next page.
    fn page<T>(
        &self,
        mut all: Vec<T>,
        key: impl Fn(&T) -> String,
        served: &Served,
        path: &str,
    ) -> (Vec<T>, Option<String>) {
        if let Some(last) = &self.last {
            let seen = all.partition_point(|entry| key(entry) <= *last);
            all.drain(..seen);
        }
        let most = self.n.unwrap_or(usize::MAX).min(served.behaviour.page_limit);
        if all.len() <= most {
            return (all, None);
        }
        all.truncate(most);
        let link = all.last().map(|entry| {
            let mut query = Serializer::new(String::new());
            query.append_pair("n", &most.to_string()).append_pair("last", &key(entry));
            if let Some(artifact_type) = &self.artifact_type {
                query.append_pair("artifactType", artifact_type);
            }
            format!("<{path}?{}>; rel=\"next\"", query.finish())
        });
        (all, link)
    }
}

fn with_link(mut response: Response, link: Option<String>) -> Response {
    if let Some(value) = link.and_then(|link| link.parse().ok()) {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

pub(super) async fn catalog(served: &Served, parts: &Parts) -> Result<Response, ApiError> {
    let wanted = Wanted::of(parts)?;
    let all = served.backend.repositories().await?;
    let (page, link) = wanted.page(all, ToString::to_string, served, "/v2/_catalog");
    Ok(with_link(json(&serde_json::json!({ "repositories": page })), link))
}

pub(super) async fn tags(
    served: &Served,
    repository: &Repository,
    parts: &Parts,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(parts)?;
    let all = served.backend.tags(repository).await?.ok_or_else(|| ApiError::name_unknown(repository))?;
    let path = format!("/v2/{repository}/tags/list");
    let (page, link) = wanted.page(all, ToString::to_string, served, &path);
    Ok(with_link(json(&serde_json::json!({ "name": repository, "tags": page })), link))
}

/// The referrers of a digest. Where the API is on, it never answers 404, not even for a subject or a
/// repository that is not there.
pub(super) async fn referrers(
    served: &Served,
    repository: &Repository,
    subject: &Digest,
    parts: &Parts,
) -> Result<Response, ApiError> {
    if !served.behaviour.referrers_api {
        return Err(ApiError::no_endpoint());
    }
    let wanted = Wanted::of(parts)?;
    let mut all = served.backend.referrers(repository, subject, None).await?;
    if let Some(artifact_type) = &wanted.artifact_type {
        all.retain(|referrer| referrer.artifact_type.as_ref() == Some(artifact_type));
    }
    all.sort_by_cached_key(|referrer| referrer.digest.to_string());
    let path = format!("/v2/{repository}/referrers/{subject}");
    let (page, link) = wanted.page(all, |referrer| referrer.digest.to_string(), served, &path);
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": page,
    });
    let mut response =
        AppendHeaders([(header::CONTENT_TYPE, MediaType::OCI_INDEX.to_string())]).into_response();
    *response.body_mut() = index.to_string().into();
    if wanted.artifact_type.is_some() {
        response.headers_mut().insert("oci-filters-applied", http::HeaderValue::from_static("artifactType"));
    }
    Ok(with_link(response, link))
}
