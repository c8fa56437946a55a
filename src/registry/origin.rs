//! Which server a URL leads to, and where a redirect does (RFC 9110, section 15.4).

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

/// The target of a redirect.
pub(super) fn redirect(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let next = url.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// Whether two URLs lead to the same server.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}
