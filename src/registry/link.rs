//! Where an answer leads to: the next page, another address; and whether that is the same server.

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use super::error::clean;

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

/// The next page of a list, as the `Link` header says (RFC 8288, relation `next`).
pub(super) fn next_page(url: &Url, headers: &HeaderMap) -> Option<Url> {
    for value in headers.get_all(http::header::LINK) {
        for link in value.to_str().ok()?.split(',') {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let is_next = parameters.split(';').any(|parameter| {
                let parameter = parameter.trim();
                parameter == "rel=next" || parameter == "rel=\"next\""
            });
            if is_next {
                return url.join(&clean(target, 2000)).ok();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_next_page_is_found() {
        let url = Url::parse("http://r.io/v2/a/tags/list?n=2").expect("a URL");
        let page = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::LINK, HeaderValue::from_static(text));
            next_page(&url, &headers).map(|url| url.to_string())
        };
        let next = Some("http://r.io/v2/a/tags/list?n=2&last=b".to_owned());
        assert_eq!(page("</v2/a/tags/list?n=2&last=b>; rel=\"next\""), next);
        assert_eq!(page("<http://r.io/v2/a/tags/list?n=2&last=b>; rel=next"), next);
        assert_eq!(page("</v2/x>; rel=\"prev\""), None);
        assert_eq!(page("nonsense"), None);
    }
}
