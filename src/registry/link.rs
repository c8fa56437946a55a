//! The `Link` header by which a list names its next page (RFC 8288; distribution-spec, "Listing Tags").

use http::HeaderMap;
use http::header::LINK;
use url::Url;

/// A page after this one is named in a way that cannot be read. It is not known then whether the list is
/// whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The next page of the list at `url`, if there is one.
pub(super) fn next_page(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, Unreadable> {
    for value in headers.get_all(LINK) {
        let mut rest = value.to_str().map_err(|_| Unreadable)?.trim();
        while !rest.is_empty() {
            // The target may hold commas, and so may a quoted parameter; only `<` and `>` delimit it.
            let (target, after) =
                rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).ok_or(Unreadable)?;
            let end = unquoted_comma(after);
            if is_next(&after[..end]) {
                return url.join(target).map(Some).map_err(|_| Unreadable);
            }
            rest = after[end..].trim_start_matches([',', ' ', '\t']);
        }
    }
    Ok(None)
}

/// Where the parameters of a link end.
fn unquoted_comma(parameters: &str) -> usize {
    let mut quoted = false;
    let comma = parameters.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ',' && !quoted
    });
    comma.map_or(parameters.len(), |(index, _)| index)
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_ascii_whitespace()
                .any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &'static str) -> Result<Option<String>, Unreadable> {
        let url = Url::parse("http://r.io/v2/a/tags/list?n=2").expect("a URL");
        let mut headers = HeaderMap::new();
        headers.insert(LINK, http::HeaderValue::from_static(text));
        next_page(&url, &headers).map(|next| next.map(|url| url.to_string()))
    }

    #[test]
    fn the_next_page_is_found() {
        let next = Ok(Some("http://r.io/v2/a/tags/list?n=2&last=b".to_owned()));
        assert_eq!(page("</v2/a/tags/list?n=2&last=b>; rel=\"next\""), next);
        assert_eq!(page("<http://r.io/v2/a/tags/list?n=2&last=b>;rel=next"), next);
        assert_eq!(
            page("</x>; rel=prev; title=\"a, b\", </v2/a/tags/list?n=2&last=b>; REL = \"last next\""),
            next
        );
        assert_eq!(page("</v2/x>; rel=\"prev\""), Ok(None));
    }

    #[test]
    fn a_comma_in_the_target_does_not_hide_the_next_page() {
        assert_eq!(
            page("</v2/a/tags/list?last=b,c>; rel=\"next\""),
            Ok(Some("http://r.io/v2/a/tags/list?last=b,c".to_owned()))
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_the_last_page() {
        assert_eq!(page("nonsense"), Err(Unreadable));
        assert_eq!(page("<https://[>; rel=next"), Err(Unreadable));
    }
}
