//! Workflow commands (GitHub Docs, "Workflow commands for GitHub Actions"): lines of a step's output that the runner
//! obeys, and foreign text that must not become one.
//!
//! The runner reads standard output and standard error alike. `::name key=value::data` counts at the start of a line
//! after white space, the older `##[name key=value]data` anywhere in a line. It looks for `::` and `##[` as a
//! language's collation sees text, to which invisible characters are nothing; so they are nothing here, too.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

use super::annotation::{Annotation, LONGEST_MESSAGE, LONGEST_TITLE, Place};

/// The end of a group that [`group`] began.
pub const END_GROUP: &str = "::endgroup::";

/// The shortest line of a secret that is masked by itself: what is shorter, such as a `{` of a key file, would be
/// masked all over the log.
const SHORTEST_SECRET_LINE: usize = 4;

/// The command that makes an annotation.
///
/// The message is cut at 4,096 UTF-16 units, as the runner would do, and the title at 255; characters that nobody
/// sees become `�`. The runner loses `=` and white space at a property's ends, so that they are left out here. A
/// message that begins with something else than a visible ASCII character gets a blank in front: a combining
/// character would hide the end of the properties.
#[must_use]
pub fn annotation(annotation: &Annotation) -> String {
    let mut properties = String::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            let start = if properties.is_empty() { ' ' } else { ',' };
            // Writing to a string does not fail.
            let _ = write!(properties, "{start}{name}={}", escape_property(value));
        }
    };
    if let Some(Place { path, line, column, end_column }) = &annotation.place {
        add("file", trim_property(&tame_line(path)));
        let column = line.and(*column);
        let numbers =
            [("line", *line), ("endLine", *line), ("col", column), ("endColumn", column.and(*end_column))];
        for (name, number) in numbers {
            add(name, &number.map(|number| number.to_string()).unwrap_or_default());
        }
    }
    if let Some(title) = &annotation.title {
        add("title", trim_property(&cut(&tame_line(title), LONGEST_TITLE)));
    }
    let mut message = cut(&tame_lines(&annotation.message), LONGEST_MESSAGE - 1);
    if !message.starts_with(|c: char| c.is_ascii_graphic()) {
        message.insert(0, ' ');
    }
    format!("::{}{properties}::{}", annotation.level.command(), escape_data(&message))
}

/// The command that begins a group of lines, which people can fold.
#[must_use]
pub fn group(title: &str) -> String {
    format!("::group::{}", escape_data(&harmless_line(title)))
}

/// The commands that hide a secret in the log from now on: one for the whole, and for one of several lines also one
/// for each line, since a log is read line by line. Nothing for a blank secret.
#[must_use]
pub fn mask(secret: &str) -> Vec<String> {
    let whole = secret.trim();
    let mut parts: Vec<&str> = Vec::new();
    if !whole.is_empty() {
        parts.push(whole);
    }
    if whole.contains(['\r', '\n']) {
        let lines = whole.split(['\r', '\n']).map(str::trim);
        parts.extend(lines.filter(|line| line.chars().count() >= SHORTEST_SECRET_LINE));
    }
    parts.into_iter().map(|part| format!("::add-mask::{}", escape_data(part))).collect()
}

/// Foreign text as one line of the log that commands nothing: line breaks become blanks, characters that nobody
/// sees become `�`, `##[` becomes `## [`, and `::` at the start becomes `: :`.
///
/// It has to be given the whole line, together with what stands in front of the foreign text.
#[must_use]
pub fn harmless_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut before = Before::Start;
    for c in tame_line(text).chars() {
        let next = before.then(c);
        if matches!((&before, c), (Before::Colon, ':') | (Before::Hashes, '[')) {
            line.push(' ');
        }
        line.push(c);
        before = next;
    }
    line
}

/// Foreign text of several lines, each of them harmless, with line feeds between them.
#[must_use]
pub fn harmless_lines(text: &str) -> String {
    let lines: Vec<String> = tame_lines(text).split('\n').map(harmless_line).collect();
    lines.join("\n")
}

/// What stands in front of a character, as far as that matters and as far as it can be seen.
#[derive(Clone, Copy)]
enum Before {
    /// Nothing, or white space.
    Start,
    /// A colon that is the first character that is seen.
    Colon,
    /// `#`.
    Hash,
    /// `##`, or more of them.
    Hashes,
    /// Anything else.
    Other,
}

impl Before {
    fn then(self, c: char) -> Self {
        match (self, c) {
            _ if c.width().unwrap_or(0) == 0 => self,
            (Self::Start, _) if c.is_whitespace() => Self::Start,
            (Self::Start, ':') => Self::Colon,
            (Self::Hash | Self::Hashes, '#') => Self::Hashes,
            (_, '#') => Self::Hash,
            _ => Self::Other,
        }
    }
}

/// One line without anything invisible.
fn tame_line(text: &str) -> String {
    text.replace("\r\n", " ").chars().map(|c| if is_line_break(c) { ' ' } else { tame(c) }).collect()
}

/// Lines without anything invisible, with line feeds between them.
pub(super) fn tame_lines(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(|c| if is_line_break(c) { '\n' } else { tame(c) }).collect()
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn tame(c: char) -> char {
    match c {
        '\t' => ' ',
        _ if c.is_control() => '\u{fffd}',
        // Soft hyphen, grapheme joiner, Arabic letter mark, Hangul fillers, Khmer and Mongolian separators, zero-width
        // and bidirectional characters, the byte order mark, interlinear annotations, tags.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => '\u{fffd}',
        _ => c,
    }
}

/// `%` first: what is escaped after it must not be escaped again.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A property without what would be lost at its ends, or would lead the runner astray there: a variation selector is
/// nothing to a collation.
fn trim_property(text: &str) -> &str {
    text.trim_end_matches(|c: char| c.is_whitespace() || ('\u{fe00}'..='\u{fe0f}').contains(&c))
        .trim_start_matches(|c: char| c == '=' || c.is_whitespace())
}

/// A text of at most `most` UTF-16 units, which is what the runner and GitHub count; `…` stands for what was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.encode_utf16().count() <= most {
        return text.to_owned();
    }
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units < most
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::annotation::Level;

    #[test]
    fn an_annotation_has_its_place_and_its_title() {
        let mut what = Annotation {
            level: Level::Error,
            title: Some("conflict: a, b".into()),
            place: Some(Place {
                path: "lists/a,b:c%.yaml".into(),
                line: Some(12),
                column: Some(5),
                end_column: Some(9),
            }),
            message: "100% wrong:\r\n::error::x".into(),
        };
        assert_eq!(
            annotation(&what),
            "::error file=lists/a%2Cb%3Ac%25.yaml,line=12,endLine=12,col=5,endColumn=9,\
             title=conflict%3A a%2C b::100%25 wrong:%0A::error::x"
        );
        what.level = Level::Notice;
        what.title = None;
        what.place = Some(Place { path: "a".into(), line: None, column: Some(1), end_column: Some(2) });
        assert_eq!(annotation(&what), "::notice file=a::100%25 wrong:%0A::error::x");
        what.level = Level::Warning;
        what.place = None;
        what.message = "\u{301}x".into();
        assert_eq!(annotation(&what), "::warning:: \u{301}x");
    }

    #[test]
    fn a_message_is_cut_where_the_runner_would() {
        let message = format!("a{}", "𝄞".repeat(4000));
        let what = Annotation { level: Level::Error, title: Some("t".repeat(300)), place: None, message };
        let line = annotation(&what);
        let (properties, message) = line["::".len()..].split_once("::").expect("a message");
        assert!(message.encode_utf16().count() <= 4096 && message.ends_with("𝄞…"), "{message}");
        assert_eq!(properties.len(), "error title=".len() + 254 + "…".len());
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }

    #[test]
    fn foreign_text_commands_nothing() {
        for (text, line) in [
            ("plain — ünïcode 例: a::b", "plain — ünïcode 例: a::b"),
            ("::error::x", ": :error::x"),
            (" \t\u{a0}::error::x", "  \u{a0}: :error::x"),
            (":::x", ": ::x"),
            (":a:", ":a:"),
            ("a\r\n::error::x\rb", "a ::error::x b"),
            ("x ##[error]y ###[z] #[ok]", "x ## [error]y ### [z] #[ok]"),
            ("#\u{ad}#[error]", "#�#[error]"),
            ("#\u{301}#\u{fe0f}[error]", "#\u{301}#\u{fe0f} [error]"),
            ("\u{fe0f}:\u{301}:error::x", "\u{fe0f}:\u{301} :error::x"),
            ("\u{feff}::error::x", "�::error::x"),
            ("\u{1b}[31mred\u{7}", "�[31mred�"),
            ("", ""),
        ] {
            assert_eq!(harmless_line(text), line);
        }
        assert_eq!(harmless_lines("a\r\n::b\u{2028}##[c]\rd"), "a\n: :b\n## [c]\nd");
    }

    #[test]
    fn a_group_is_one_line() {
        assert_eq!(group("50% of\na::b"), "::group::50%25 of a::b");
    }

    #[test]
    fn a_secret_is_masked_as_a_whole_and_line_by_line() {
        assert_eq!(mask(" hunter2%\n"), ["::add-mask::hunter2%25"]);
        assert_eq!(
            mask("{\n  \"key\": \"abc\"\r\n}"),
            ["::add-mask::{%0A  \"key\": \"abc\"%0D%0A}", "::add-mask::\"key\": \"abc\""]
        );
        assert!(mask(" \n").is_empty());
    }
}
