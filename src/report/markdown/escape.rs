//! Text from outside, made harmless for GitHub's Markdown.
//!
//! Entities are not enough: GitHub looks for mentions, issues, commits and addresses in the *rendered*
//! text. There a zero-width space keeps the pieces apart, or a code element, in which it does not look.

use std::fmt::Write as _;

use crate::report::text::one_line;

/// A zero-width space, which GitHub keeps.
const APART: &str = "&#8203;";

/// `text` as code: references, digests, paths, lines to copy.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    if is_tame(text) { format!("`{text}`") } else { format!("<code>{}</code>", entities(text)) }
}

/// `text` as prose. What stands between backticks becomes code, if it is tame. Markdown that works at a
/// line's start, such as lists, is not escaped: no text from outside is given a line's start.
pub(super) fn prose(text: &str) -> String {
    marked_up(text, |piece| (is_tame(piece) && piece.trim() == piece).then(|| format!("`{piece}`")))
}

/// `text` as HTML, for where Markdown is not read, such as a fold's title. What stands between backticks becomes
/// code.
pub(super) fn html(text: &str) -> String {
    marked_up(text, |piece| (!piece.trim().is_empty()).then(|| format!("<code>{}</code>", characters(piece))))
}

/// `text` with each piece between backticks as `code` has it, if it has it at all.
fn marked_up(text: &str, code: impl Fn(&str) -> Option<String>) -> String {
    let text = one_line(text);
    let pieces: Vec<&str> = text.split('`').collect();
    let mut escaped = String::with_capacity(text.len() * 2);
    let mut index = 0;
    while index < pieces.len() {
        if index > 0 {
            let closed = index + 1 < pieces.len();
            if let Some(coded) = closed.then(|| code(pieces[index])).flatten() {
                escaped.push_str(&coded);
                index += 1;
                escaped.push_str(&entities(pieces[index]));
                index += 1;
                continue;
            }
            escaped.push_str("&#96;");
        }
        escaped.push_str(&entities(pieces[index]));
        index += 1;
    }
    escaped
}

/// Whether a code span holds `text` as it is, within a table's cell too.
fn is_tame(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "./:-_@+=,*\"' []{}".contains(c))
}

/// All that has a meaning in Markdown, HTML or GitHub's references, as entities or pulled apart.
fn entities(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_alphanumeric() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            escaped.push_str(&pulled_apart(word, after));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '@' | '#' => {
                let _ = write!(escaped, "&#{};{APART}", u32::from(c));
            }
            ':' if rest.starts_with('/') => {
                let _ = write!(escaped, "&#58;{APART}");
            }
            ' ' | ',' | '.' | ';' | ':' | '-' | '(' | ')' | '/' | '"' | '\'' | '?' | '%' | '=' | '+' => {
                escaped.push(c);
            }
            _ if c.is_ascii() => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

/// All that has a meaning in HTML as entities, and nothing pulled apart: for a code element where Markdown is not
/// read, so that what is copied of it is the name.
fn characters(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if !c.is_ascii() || c.is_ascii_alphanumeric() || " ,.;:-()/?%=+".contains(c) {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "&#{};", u32::from(c));
        }
    }
    escaped
}

/// `word`, which `after` follows, so that GitHub sees no commit (`0f3c9a7`), ticket (`GH-12`) or address (`www.`)
/// in it.
fn pulled_apart(word: &str, after: &str) -> String {
    let looks_like_commit = (7..=40).contains(&word.len()) && word.chars().all(|c| c.is_ascii_hexdigit());
    let mut following = after.chars();
    let looks_like_ticket = following.next() == Some('-')
        && following.next().is_some_and(|c| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_alphabetic());
    let looks_like_address = after.starts_with('.') && word.to_ascii_lowercase().ends_with("www");
    if looks_like_commit {
        format!("{}{APART}{}", &word[..1], &word[1..])
    } else if looks_like_ticket || looks_like_address {
        format!("{word}{APART}")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_kept_apart_from_everything_active() {
        for (text, escaped) in [
            ("plain text, 3.2 s", "plain text, 3.2 s"),
            ("write it as `a/b:1`, `a/**`", "write it as `a/b:1`, `a/**`"),
            ("write `images: []`", "write `images: []`"),
            ("an `<x>` and a ` alone", "an &#96;&#60;x&#62;&#96; and a &#96; alone"),
            ("@team #12 GH-7 gh-7", "&#64;&#8203;team &#35;&#8203;12 GH&#8203;-7 gh&#8203;-7"),
            ("https://x.example", "https&#58;&#8203;//x.example"),
            ("www.x.example", "www&#8203;.x.example"),
            ("0f3c9a7 failed", "0&#8203;f3c9a7 failed"),
            ("a|b\nc", "a&#124;b c"),
            ("<!-- -->", "&#60;&#33;-- --&#62;"),
        ] {
            assert_eq!(prose(text), escaped);
        }
    }

    #[test]
    fn html_has_code_and_nothing_else() {
        for (text, escaped) in [
            ("no `<x>` here", "no <code>&#60;x&#62;</code> here"),
            ("`a/*` and one ` alone", "<code>a/&#42;</code> and one &#96; alone"),
            ("`r.io/component-61@0f3c9a7`", "<code>r.io/component-61&#64;0f3c9a7</code>"),
            ("@team <b>\n\n# x", "&#64;&#8203;team &#60;b&#62;  &#35;&#8203; x"),
        ] {
            assert_eq!(html(text), escaped);
        }
    }

    #[test]
    fn code_is_a_code_span_where_that_is_safe() {
        assert_eq!(code("docker.io/a/b:1@sha256:00"), "`docker.io/a/b:1@sha256:00`");
        assert_eq!(code("a`b|c\\"), "<code>a&#96;b&#124;c&#92;</code>");
        assert_eq!(code(" "), "");
    }
}
