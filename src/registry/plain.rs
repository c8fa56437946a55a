//! Registries that speak TLS and were spoken to without it, as those at loopback addresses are: nothing that they say
//! then is an answer of a registry.

use http::StatusCode;
use url::Url;

use crate::oci::Registry;

/// What servers with TLS say to a request without it: Go's, nginx and Apache.
const WORDS: [&str; 3] = [
    "HTTP request to an HTTPS server",
    "plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
];

/// What to do about a refusal that may be one of plain HTTP. A HEAD's has no body to tell.
pub(super) fn advice_on_refusal(url: &Url, status: StatusCode, body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let tells = body.is_empty() || WORDS.iter().any(|words| text.contains(words));
    advice(url).filter(|_| status == StatusCode::BAD_REQUEST && tells)
}

/// What to do where plain HTTP led to nothing; `None` if it was not plain.
pub(super) fn advice(url: &Url) -> Option<String> {
    if url.scheme() != "http" {
        return None;
    }
    let host = url.host_str()?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let is_loopback = host.parse::<Registry>().is_ok_and(|host| host.is_loopback());
    Some(if is_loopback {
        format!(
            "a loopback address is spoken to in plain HTTP; if it speaks TLS, say so with --endpoint {host}=https://{host}"
        )
    } else {
        format!("if it speaks TLS, leave {host} out of --plain-http, or write its --endpoint with https")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wants_tls_is_told_apart() {
        let at = |url: &str| Url::parse(url).expect("a URL");
        let advice = |url: &str, body: &str| {
            advice_on_refusal(&at(url), StatusCode::BAD_REQUEST, body.as_bytes()).unwrap_or_default()
        };
        let loopback =
            advice("http://127.0.0.1:5000/v2/", "Client sent an HTTP request to an HTTPS server.\n");
        assert!(loopback.ends_with("--endpoint 127.0.0.1:5000=https://127.0.0.1:5000"), "{loopback}");
        let other = advice(
            "http://r.example.com/v2/",
            "<center>The plain HTTP request was sent to HTTPS port</center>",
        );
        assert!(other.contains("leave r.example.com out of --plain-http"), "{other}");
        assert_eq!(advice("http://127.0.0.1:5000/v2/", "{\"errors\":[]}"), "");
        assert_eq!(advice("https://127.0.0.1:5000/v2/", ""), "");
    }
}
