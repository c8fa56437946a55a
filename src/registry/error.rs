//! What a registry's refusals and a network's failures mean (distribution-spec, "Error Codes").

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::guard::Refused;
use super::quirks::Profile;
use super::redact::Secrets;
use crate::store::{StoreError, StoreErrorKind};

/// The first error of a registry's error document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `MANIFEST_UNKNOWN`, `DENIED`, …; empty if the answer has none.
    pub(super) code: String,
    /// For people; empty if the answer has none.
    pub(super) message: String,
    /// What is known of who refuses.
    pub(super) profile: Option<Profile>,
}

impl Refusal {
    /// Reads the body of an error answer, which may be anything; also what must not be told.
    pub(super) fn parse(body: &[u8], secrets: &Secrets) -> Self {
        #[derive(Deserialize)]
        struct Document {
            #[serde(default)]
            errors: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default)]
            code: String,
            message: Option<String>,
        }
        let first = serde_json::from_slice::<Document>(body).ok().and_then(|d| d.errors.into_iter().next());
        first.map_or_else(Self::default, |entry| Self {
            code: clean(&secrets.redact(&entry.code), 60),
            message: clean(&secrets.redact(&entry.message.unwrap_or_default()), 300),
            profile: None,
        })
    }

    /// An error for an answer with this refusal.
    pub(super) fn error(
        &self,
        operation: &'static str,
        reference: &str,
        host: &str,
        status: StatusCode,
    ) -> StoreError {
        let kind = match (status.as_u16(), self.code.as_str()) {
            (_, "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN")
                if operation == PUSH_MANIFEST =>
            {
                StoreErrorKind::ContentUnknown
            }
            (401 | 403, _) => StoreErrorKind::Denied,
            (404, _) => StoreErrorKind::NotFound,
            (413, _) => StoreErrorKind::TooLarge,
            (429, _) => StoreErrorKind::RateLimited,
            (405 | 415 | 501, _) | (_, "UNSUPPORTED") => StoreErrorKind::Unsupported,
            (408 | 500.., _) => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Other,
        };
        let mut message = format!("{host} answered {status}");
        if !self.code.is_empty() {
            let _ = write!(message, ", {}", self.code);
        }
        if !self.message.is_empty() {
            let _ = write!(message, ": {}", self.message);
        }
        if let Some(hint) = self.hint(status, operation, reference, host) {
            let _ = write!(message, "; {hint}");
        }
        StoreError::new(operation, reference, kind, message)
    }

    fn hint(&self, status: StatusCode, operation: &str, reference: &str, host: &str) -> Option<String> {
        let writes = writes(operation);
        let special = self.profile.and_then(|known| known.advice(status, &self.code, operation, reference));
        if special.is_some() {
            return special;
        }
        match (status.as_u16(), self.code.as_str()) {
            (401, _) => Some(format!("log in to {host} with an account that may do this")),
            (403, _) => Some(format!("the account used at {host} lacks the right to do this")),
            (404, "NAME_UNKNOWN") if writes => Some(
                "the repository does not exist and the registry does not create it; create it first".into(),
            ),
            (413, _) => Some("a proxy or the registry limits the size of a request; raise that limit".into()),
            (_, "TAG_INVALID") | (409, _) if writes => {
                Some("the registry does not let this tag be written, perhaps because it is immutable".into())
            }
            _ => None,
        }
    }
}

/// Whether an operation is to change something.
pub(super) fn writes(operation: &str) -> bool {
    operation.starts_with("push") || operation.starts_with("upload")
}

/// The operation of a manifest's PUT; its refusals can mean that content is missing.
pub(super) const PUSH_MANIFEST: &str = "push manifest";

/// A request that got no answer.
pub(super) fn unreachable(
    operation: &'static str,
    reference: &str,
    host: &str,
    error: &reqwest::Error,
) -> StoreError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    let mut last = String::new();
    while let Some(inner) = cause {
        // A body that is a stream from the other side fails with that side's error.
        if let Some(inner) = inner.downcast_ref::<StoreError>() {
            return inner.clone();
        }
        if inner.is::<Refused>() {
            return StoreError::new(operation, reference, StoreErrorKind::Other, inner.to_string());
        }
        last = inner.to_string();
        cause = inner.source();
    }
    let what = if error.is_connect() {
        format!("cannot connect to {host}")
    } else if error.is_timeout() {
        format!("{host} took too long")
    } else if error.is_builder() {
        format!("the request to {host} cannot be made")
    } else {
        format!("the connection to {host} broke")
    };
    let untrusted = last.contains("certificate");
    let advice = if last.contains("UnknownIssuer") {
        "; a certificate authority of your own is named with --ca-file"
    } else {
        ""
    };
    let message = if last.is_empty() { what } else { format!("{what}: {}{advice}", clean(&last, 300)) };
    // What cannot be sent at all, or is not trusted, will not be better later.
    let kind = match (untrusted, error.is_builder()) {
        (true, _) => StoreErrorKind::Access,
        (_, true) => StoreErrorKind::Other,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(operation, reference, kind, message)
}

/// The error of a request that is not tried again.
pub(super) fn given_up(mut error: StoreError, attempts: usize, asked: Option<Duration>) -> StoreError {
    if let Some(asked) = asked {
        let _ = write!(error.message, " (it asks to wait {} s)", asked.as_secs());
    }
    if attempts > 1 {
        let _ = write!(error.message, " (tried {attempts} times)");
    }
    error
}

/// Foreign text on one line, without control characters, and not longer than `most` characters.
pub(super) fn clean(text: &str, most: usize) -> String {
    let mut cleaned: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    if text.chars().nth(most).is_some() {
        cleaned.push('…');
    }
    cleaned.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_what_and_what_to_do() {
        let refusal = Refusal::parse(
            br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m push\nfor you"}]}"#,
            &Secrets::default(),
        );
        let error = refusal.error("push manifest", "r.io/a:1", "r.io", StatusCode::FORBIDDEN);
        assert_eq!(error.kind, StoreErrorKind::Denied);
        assert_eq!(
            error.to_string(),
            "failed to push manifest r.io/a:1: r.io answered 403 Forbidden, DENIED: no [31m push for you; \
             the account used at r.io lacks the right to do this"
        );
    }

    #[test]
    fn a_body_that_is_no_error_document_is_no_problem() {
        assert_eq!(Refusal::parse(b"<html>", &Secrets::default()), Refusal::default());
        assert_eq!(Refusal::parse(br#"{"errors":[]}"#, &Secrets::default()), Refusal::default());
        assert_eq!(
            Refusal::parse(br#"{"errors":[{"code":"X","message":null}]}"#, &Secrets::default()).code,
            "X"
        );
    }

    #[test]
    fn missing_content_is_told_apart_from_a_missing_manifest() {
        let refusal = Refusal { code: "MANIFEST_BLOB_UNKNOWN".into(), ..Refusal::default() };
        let kind = |operation| refusal.error(operation, "", "", StatusCode::BAD_REQUEST).kind;
        assert_eq!(kind(PUSH_MANIFEST), StoreErrorKind::ContentUnknown);
        assert_eq!(kind("read manifest"), StoreErrorKind::Other);
    }
}
