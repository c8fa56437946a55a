//! Text from outside, made fit for one line of a terminal or a log, and fitted into columns.
//!
//! Whoever writes a list, a registry's error or an artifact type must not be able to move the cursor,
//! colour the screen, reorder what is read or give a workflow runner a command.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The longest text that a report for people shows of one message, in characters.
const LONGEST: usize = 2000;

/// `text` as one line without anything that a terminal or a reader could be fooled with.
///
/// White space becomes a blank. Control characters, and the invisible ones that reorder or hide text,
/// become `�`. `##[`, which begins a command for GitHub's runner wherever it stands, is pulled apart;
/// `::` counts there at the start of a line only, which is never given to text from outside.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    let tame = |c: char| replacement(c).is_none();
    if text.len() <= LONGEST && text.chars().all(tame) && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut line: String = text.chars().take(LONGEST).map(|c| replacement(c).unwrap_or(c)).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    Cow::Owned(line.replace("##[", "## ["))
}

/// What stands in for a character that must not be shown.
fn replacement(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        _ if c.is_control() => Some('\u{fffd}'),
        // Soft hyphen, Arabic letter mark, Hangul fillers, zero-width and bidirectional characters, the byte order
        // mark, interlinear annotations, tags.
        '\u{ad}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Some('\u{fffd}'),
        _ => None,
    }
}

/// How many columns a line takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// A reference in at most `columns`: path components in its middle give way first, so that the registry
/// and the name with its tag stay readable.
#[must_use]
pub fn shorten_reference(reference: &str, columns: usize) -> Cow<'_, str> {
    if width(reference) <= columns {
        return Cow::Borrowed(reference);
    }
    if let Some((first, rest)) = reference.split_once('/') {
        let tails = rest.match_indices('/').map(|(slash, _)| &rest[slash..]);
        for tail in tails {
            let short = format!("{first}/…{tail}");
            if width(&short) <= columns {
                return Cow::Owned(short);
            }
        }
        let name = &reference[reference.rfind('/').unwrap_or_default()..];
        let short = format!("…{name}");
        if width(&short) <= columns {
            return Cow::Owned(short);
        }
    }
    Cow::Owned(shorten_middle(reference, columns))
}

/// `text` in at most `columns`, with `…` for its middle; more is kept of its end, where names differ.
#[must_use]
pub fn shorten_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let head = prefix(text, room / 3);
    let tail = suffix(text, room - width(head));
    if columns == 0 { String::new() } else { format!("{head}…{tail}") }
}

/// `text` in at most `columns`, with `…` for its end.
#[must_use]
pub fn shorten_end(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    Cow::Owned(format!("{}…", prefix(text, columns - 1)))
}

fn prefix(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (index, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[..index];
        }
    }
    text
}

fn suffix(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (index, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[index + c.len_utf8()..];
        }
    }
    text
}

/// `text` in lines of at most `columns`, broken at blanks. A word that is longer, such as a digest, has
/// a line for itself and stays whole, so that it can be copied.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_text_becomes_a_harmless_line() {
        for (text, line) in [
            ("plain — ünïcode 例", "plain — ünïcode 例"),
            ("a\r\n::error::x", "a  ::error::x"),
            ("\u{1b}[31mred\u{1b}]0;title\u{7}", "�[31mred�]0;title�"),
            ("\u{9b}31m", "�31m"),
            ("user\u{202e}gnp.exe\u{200b}", "user�gnp.exe�"),
            ("##[error]x ###[x]", "## [error]x ### [x]"),
        ] {
            assert_eq!(one_line(text), line);
        }
        assert_eq!(one_line(&"x".repeat(5000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn references_lose_their_middle_first() {
        let reference = "quay.io/organisation/deep/path/postgres-exporter:0.8.0-debian";
        for (columns, text) in [
            (80, reference),
            (50, "quay.io/…/deep/path/postgres-exporter:0.8.0-debian"),
            (45, "quay.io/…/path/postgres-exporter:0.8.0-debian"),
            (40, "quay.io/…/postgres-exporter:0.8.0-debian"),
            (34, "…/postgres-exporter:0.8.0-debian"),
            (20, "quay.i….8.0-debian"),
        ] {
            let short = shorten_reference(reference, columns);
            assert!(width(&short) <= columns, "{short}");
            if columns > 20 {
                assert_eq!(short, text);
            }
        }
    }

    #[test]
    fn wrapping_never_breaks_a_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let lines = wrap(&format!("the tag has {digest} now"), 30);
        assert_eq!(lines, ["the tag has".to_owned(), digest, "now".to_owned()]);
    }

    proptest! {
        #[test]
        fn one_line_is_one_line(text in ".{0,200}|(?s:.{0,50})") {
            let line = one_line(&text);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(!line.contains("##["));
            let again = one_line(&line).into_owned();
            prop_assert_eq!(again, line.into_owned());
        }

        #[test]
        fn shortening_fits(text in ".{0,80}", columns in 0_usize..60) {
            let text = one_line(&text);
            prop_assert!(width(&shorten_reference(&text, columns)) <= columns);
            prop_assert!(width(&shorten_end(&text, columns)) <= columns);
        }
    }
}
