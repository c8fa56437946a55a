//! An answer of GitHub's: its status, its headers, and its body within a limit.

use http::StatusCode;
use http::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{ApiError, ApiErrorKind, Operation};

/// An error's body is read up to here; what is longer is no explanation.
const LARGEST_ERROR: usize = 64 * 1024;

/// So many of the details of an error are told.
const DETAILS: usize = 3;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum Fault {
    TooLarge,
    Broken(reqwest::Error),
}

/// What GitHub says of an error.
#[derive(Deserialize)]
struct Told {
    message: Option<String>,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

impl Answer {
    pub(super) async fn read(mut response: reqwest::Response, limit: usize) -> Result<Self, Fault> {
        let (status, headers) = (response.status(), response.headers().clone());
        let limit = if status.is_success() { limit } else { LARGEST_ERROR };
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(Fault::Broken)? {
            let room = limit - body.len();
            if piece.len() > room && status.is_success() {
                return Err(Fault::TooLarge);
            }
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if !status.is_success() && body.len() == limit {
                break;
            }
        }
        Ok(Self { status, headers, body })
    }

    pub(super) fn json<T: DeserializeOwned>(&self, operation: &Operation) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            operation.error(ApiErrorKind::Malformed, format!("the answer cannot be understood: {error}"))
        })
    }

    /// What the body says of a refusal; empty if it says nothing.
    pub(super) fn told(&self) -> String {
        let Ok(told) = serde_json::from_slice::<Told>(&self.body) else { return String::new() };
        let mut texts: Vec<String> = told.message.into_iter().collect();
        for error in told.errors.iter().take(DETAILS) {
            let text = |key: &str| error.get(key).and_then(serde_json::Value::as_str);
            let fields = [text("field"), text("code"), text("message"), error.as_str()];
            texts.push(fields.into_iter().flatten().collect::<Vec<_>>().join(" "));
        }
        texts.retain(|text| !text.is_empty());
        texts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        Answer { status: StatusCode::UNPROCESSABLE_ENTITY, headers: HeaderMap::new(), body: body.into() }
            .told()
    }

    #[test]
    fn what_github_says_is_told() {
        assert_eq!(told(r#"{"message":"Not Found","documentation_url":"x"}"#), "Not Found");
        let body = r#"{"message":"Validation Failed","errors":[
            {"resource":"IssueComment","code":"unprocessable","field":"data","message":"Body is too long"},
            "No commit found"]}"#;
        assert_eq!(told(body), "Validation Failed, data unprocessable Body is too long, No commit found");
        assert_eq!(told("<html>"), "");
        assert_eq!(told("{}"), "");
    }
}
