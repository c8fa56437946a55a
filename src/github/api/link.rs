//! The `Link` header by which a list names its next page (RFC 8288; GitHub Docs, "Using pagination in the REST API").

use http::header::{HeaderMap, LINK};
use url::Url;

/// A page after this one is named in a way that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The next page of the list at `url`, if there is one.
pub(super) fn next_page(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, Unreadable> {
    for value in headers.get_all(LINK) {
        let mut rest = value.to_str().map_err(|_| Unreadable)?;
        // `<` and `>` delimit a target, which may hold commas itself.
        while let Some((_, link)) = rest.split_once('<') {
            let (target, after) = link.split_once('>').ok_or(Unreadable)?;
            let (parameters, following) = after.split_at(after.find('<').unwrap_or(after.len()));
            if parameters.split([';', ',']).any(|parameter| is_next(parameter.trim())) {
                return url.join(target).map(Some).map_err(|_| Unreadable);
            }
            rest = following;
        }
    }
    Ok(None)
}

fn is_next(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &'static str) -> Result<Option<String>, Unreadable> {
        let url = Url::parse("https://api.github.com/repos/a/b/issues/7/comments?per_page=2").expect("a URL");
        let mut headers = HeaderMap::new();
        headers.insert(LINK, http::HeaderValue::from_static(text));
        next_page(&url, &headers).map(|next| next.map(|url| url.to_string()))
    }

    #[test]
    fn the_next_page_is_found() {
        let next = "https://api.github.com/repositories/1/issues/7/comments?per_page=2&page=3";
        for text in [
            "<https://api.github.com/repositories/1/issues/7/comments?per_page=2&page=1>; rel=\"prev\", \
             <https://api.github.com/repositories/1/issues/7/comments?per_page=2&page=3>; rel=\"next\", \
             <https://api.github.com/repositories/1/issues/7/comments?per_page=2&page=9>; rel=\"last\"",
            "</repositories/1/issues/7/comments?per_page=2&page=3>;REL=next",
        ] {
            assert_eq!(page(text), Ok(Some(next.to_owned())));
        }
        assert_eq!(page("<https://api.github.com/x?page=1>; rel=\"prev\""), Ok(None));
        assert_eq!(page("</x?a=1,2>; rel=\"next\""), Ok(Some("https://api.github.com/x?a=1,2".to_owned())));
        assert_eq!(page("<https://[>; rel=next"), Err(Unreadable));
        assert_eq!(page("<https://x"), Err(Unreadable));
    }
}
