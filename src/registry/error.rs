//! What a registry's refusals and a network's failures mean (distribution-spec, "Error Codes").

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::guard::Refused;
use super::quirks::Profile;
use super::redact::Secrets;
use super::strangers::Shown;
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
    /// As whom it was asked.
    pub(super) shown: Shown,
    /// What to do about it, where its body tells by itself.
    pub(super) advice: Option<String>,
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
            ..Self::default()
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
            (400, "DIGEST_INVALID") => StoreErrorKind::Corrupt,
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
        if self.advice.is_some() {
            return self.advice.clone();
        }
        let writes = writes(operation);
        let special = self.profile.and_then(|known| known.advice(status, &self.code, operation, reference));
        if special.is_some() {
            return special;
        }
        if writes && status.is_client_error() && is_about_space(&self.message) {
            return Some(
                "that is about storage and not about rights: its quota is used up; remove what is not needed there, or \
                 have the quota raised"
                    .into(),
            );
        }
        match (status.as_u16(), self.code.as_str()) {
            // A token service is nobody to log in to; who asks it knows what to do.
            (401 | 403, _) if operation == GET_TOKEN => None,
            (401, _) if self.shown == Shown::Account => Some(format!(
                "{host} does not accept the login that it was shown: check its user name and password, and what the account may do"
            )),
            (401, _) => Some(format!("log in to {host} with an account that may do this")),
            (403, _) => Some(match self.shown {
                Shown::Account => format!("the account used at {host} lacks the right to do this"),
                Shown::Withheld => format!(
                    "the login for {host} was not sent, since its front page, /v2/, does not ask for one; have it ask \
                     strangers for a login with a 401"
                ),
                Shown::Nobody => format!("there is no login for {host}; log in with an account that may do this"),
            }),
            (404, "NAME_UNKNOWN" | "NOT_FOUND") if writes => Some(
                "the repository, or the project that it belongs to, does not exist and the registry does not create \
                 it; create it first"
                    .into(),
            ),
            (413, _) => Some("a proxy or the registry limits the size of a request; raise that limit".into()),
            (_, "TAG_INVALID") | (409, _) if writes => {
                Some("the registry does not let this tag be written, perhaps because it is immutable".into())
            }
            _ => None,
        }
    }
}

/// Whether a refusal says that there is no room: Harbor and others answer 403 and `DENIED` then, too.
fn is_about_space(message: &str) -> bool {
    let message = message.to_lowercase();
    let space = ["quota", "storage", "disk", "upper limit"].iter().any(|word| message.contains(word));
    let is_full = ["exceed", "full", "no space", "not enough", "insufficient", "used up", "over the"];
    space && (message.contains("quota") || is_full.iter().any(|word| message.contains(word)))
}

/// Whether an operation is to change something.
pub(super) fn writes(operation: &str) -> bool {
    operation.starts_with("push") || operation.starts_with("upload")
}

/// The operation of a manifest's PUT; its refusals can mean that content is missing.
pub(super) const PUSH_MANIFEST: &str = "push manifest";

/// The operation of a request to a token service.
pub(super) const GET_TOKEN: &str = "get a token for";

/// A request that got no answer.
pub(super) fn unreachable(
    operation: &'static str,
    reference: &str,
    host: &str,
    error: &reqwest::Error,
) -> StoreError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    let mut last = String::new();
    let mut by_proxy = false;
    while let Some(inner) = cause {
        // A body that is a stream from the other side fails with that side's error, which tried what it could.
        if let Some(inner) = inner.downcast_ref::<StoreError>() {
            return inner.clone().exhausted();
        }
        if inner.is::<Refused>() {
            return StoreError::new(operation, reference, StoreErrorKind::Other, inner.to_string());
        }
        last = inner.to_string();
        by_proxy |= last.starts_with(TUNNEL);
        cause = inner.source();
    }
    let what = if by_proxy {
        format!("cannot connect to {host} through the proxy")
    } else if error.is_connect() {
        format!("cannot connect to {host}")
    } else if error.is_timeout() {
        format!("{host} took too long")
    } else if error.is_builder() {
        format!("the request to {host} cannot be made")
    } else {
        format!("the connection to {host} broke")
    };
    let reason = Reason::of(&last, by_proxy);
    let advice = reason.advice().map_or_else(String::new, |advice| format!("; {advice}"));
    let message = if last.is_empty() { what } else { format!("{what}: {}{advice}", clean(&last, 300)) };
    // What cannot be sent at all, or is not trusted, will not be better later.
    let kind = match (reason.lasts(), error.is_builder()) {
        (true, _) => StoreErrorKind::Access,
        (_, true) => StoreErrorKind::Other,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(operation, reference, kind, message)
}

/// How the HTTP library calls an answer that is none.
const NO_HTTP: &str = "invalid HTTP version";

/// How the failures of a proxy begin.
const TUNNEL: &str = "tunnel error";

/// Why there is no connection, where the text of the failure tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The server's certificate is not trusted, because of who issued it.
    UnknownIssuer,
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not valid yet.
    Early,
    /// The server's certificate is for another name.
    OtherName,
    /// The server's certificate is not trusted.
    Untrusted,
    /// The server does not trust our certificate, or wants to see one.
    ClientCertificate,
    /// The proxy wants to know who we are.
    ProxyLogin,
    /// The proxy is not there, or does not lead there.
    Proxy,
    /// What answers does not speak HTTP.
    NoHttp,
    Unknown,
}

impl Reason {
    /// `text` is what the libraries for TLS and for proxies say; `by_proxy` says that it is the proxy's failure.
    fn of(text: &str, by_proxy: bool) -> Self {
        // The alerts about a client's certificate (RFC 8446, section 6.2).
        let alert = text.strip_prefix("received fatal alert: ").unwrap_or_default();
        if alert.contains("Certificate") || matches!(alert, "UnknownCA" | "AccessDenied") {
            Self::ClientCertificate
        } else if text.contains("UnknownIssuer") {
            Self::UnknownIssuer
        } else if !text.contains("certificate") {
            Self::without_certificate(text, by_proxy)
        } else if text.contains("expired") {
            Self::Expired
        } else if text.contains("not valid yet") {
            Self::Early
        } else if text.contains("not valid for") {
            Self::OtherName
        } else {
            Self::Untrusted
        }
    }

    fn without_certificate(text: &str, by_proxy: bool) -> Self {
        if text.contains(NO_HTTP) {
            Self::NoHttp
        } else if text.contains("proxy authorization required") {
            Self::ProxyLogin
        } else if by_proxy {
            Self::Proxy
        } else {
            Self::Unknown
        }
    }

    /// Whether it will not be better later.
    fn lasts(self) -> bool {
        !matches!(self, Self::Proxy | Self::Unknown)
    }

    fn advice(self) -> Option<&'static str> {
        match self {
            Self::UnknownIssuer => Some("a certificate authority of your own is named with --ca-file"),
            Self::Expired => {
                Some("have its certificate renewed; if it is not old, look at this machine's clock")
            }
            Self::Early => Some("look at this machine's clock"),
            Self::OtherName => {
                Some("use the name that its certificate is for, or have one issued for this name")
            }
            Self::Untrusted => Some("have a certificate issued for it that is in order"),
            Self::ClientCertificate => Some(
                "it wants a client certificate that it trusts, which --client-cert and --client-key name",
            ),
            Self::ProxyLogin => {
                Some("it wants a login, written as http://USER:PASSWORD@HOST:PORT in HTTPS_PROXY")
            }
            Self::Proxy => Some("HTTPS_PROXY names the proxy, and NO_PROXY what is reached without it"),
            Self::NoHttp | Self::Unknown => None,
        }
    }
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
    fn what_will_not_be_better_later_is_not_tried_again() {
        for (text, reason, lasts) in [
            ("invalid peer certificate: UnknownIssuer", Reason::UnknownIssuer, true),
            ("invalid peer certificate: certificate not valid for name", Reason::OtherName, true),
            ("invalid peer certificate: certificate expired: verification time", Reason::Expired, true),
            ("invalid peer certificate: BadSignature", Reason::Untrusted, true),
            ("invalid HTTP version parsed", Reason::NoHttp, true),
            ("received fatal alert: BadCertificate", Reason::ClientCertificate, true),
            ("received fatal alert: CertificateRequired", Reason::ClientCertificate, true),
            ("received fatal alert: UnknownCA", Reason::ClientCertificate, true),
            ("received fatal alert: InternalError", Reason::Unknown, false),
            ("tunnel error: proxy authorization required", Reason::ProxyLogin, true),
            ("tunnel error: unsuccessful", Reason::Proxy, false),
            ("Connection refused (os error 111)", Reason::Unknown, false),
        ] {
            let found = Reason::of(text, text.starts_with(TUNNEL));
            assert_eq!((found, found.lasts()), (reason, lasts), "{text}");
        }
        assert_eq!(Reason::of("Connection refused (os error 111)", true), Reason::Proxy);
    }

    #[test]
    fn a_token_service_is_nobody_to_log_in_to() {
        let refusal = Refusal { code: "UNAUTHORIZED".into(), message: "no".into(), ..Refusal::default() };
        let error = refusal.error(GET_TOKEN, "repository:a:pull", "auth.r.io", StatusCode::UNAUTHORIZED);
        assert_eq!(
            error.to_string(),
            "failed to get a token for repository:a:pull: auth.r.io answered 401 Unauthorized, UNAUTHORIZED: no"
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
