//! What there is to say of a list or a policy: where, what, and what to do.
//!
//! Lists are written by people that nobody had to trust, and messages quote them: every message that is
//! made here is bounded in length and free of control characters.

use std::fmt;
use std::sync::Arc;

/// The longest quotation of somebody's text in a message, in characters.
const QUOTED: usize = 200;
/// The longest message, in characters.
const MESSAGE: usize = 1000;
/// The most faults that are written out; a list of nothing but faults would bury its reader.
const WRITTEN: usize = 200;
/// The most faults, and the most warnings, that are kept of a list.
const KEPT: usize = 1000;

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something to say of a place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where.
    pub location: Location,
    /// What, and what to do. One line, bounded, without control characters.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn new(location: Location, message: &str) -> Self {
        Self { location, message: cleaned(message, MESSAGE) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// A reason why there is no [`Config`](super::Config).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where, if it is in a list.
    pub location: Option<Location>,
    /// What, and what to do. One line, bounded, without control characters.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(location: Option<Location>, message: &str) -> Self {
        Self { location, message: cleaned(message, MESSAGE) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// All faults of all lists, those without a place first, then by file, line and column.
///
/// Displayed, it has a line for each fault; past 200 of them it says how many more there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort();
        faults.dedup();
        Self(faults)
    }

    /// The same, each with a word if it was there before a change that did not bring it. Lines move, so that only
    /// file and message are compared.
    #[must_use]
    pub fn with_those_of_before(self, before: &[Fault]) -> Self {
        fn file(fault: &Fault) -> Option<&str> {
            fault.location.as_ref().map(|location| &*location.file)
        }
        let told = |fault: Fault| {
            let was_there = before.iter().any(|it| it.message == fault.message && file(it) == file(&fault));
            if was_there {
                let message = format!("{} (this was so before the change: mend it first)", fault.message);
                Fault::new(fault.location, &message)
            } else {
                fault
            }
        };
        Self::new(self.0.into_iter().map(told).collect())
    }

    /// The faults, sorted; there is at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().take(WRITTEN).enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        match self.0.len().saturating_sub(WRITTEN) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// Collects what there is to say of one list while it is read.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    file: Arc<str>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: cleaned(file, 1024).into(), faults: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn location(&self, place: Place) -> Location {
        Location { file: Arc::clone(&self.file), line: place.line, column: place.column }
    }

    pub(crate) fn fault(&mut self, place: Place, message: impl AsRef<str>) -> Reported {
        match self.faults.len() {
            ..KEPT => self.faults.push(Fault::new(Some(self.location(place)), message.as_ref())),
            KEPT => {
                let message = "from here on there are more faults than are kept; repair those above first";
                self.faults.push(Fault::new(Some(self.location(place)), message));
            }
            _ => {}
        }
        Reported
    }

    pub(crate) fn warning(&mut self, place: Place, message: impl AsRef<str>) {
        if self.warnings.len() >= KEPT {
            return;
        }
        self.warnings.push(Diagnostic::new(self.location(place), message.as_ref()));
    }
}

/// Instead of a value: what is wrong with it has been said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported;

/// A line and a column of the file at hand, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// Somebody's text as a message quotes it: between backquotes, and cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", cleaned(text, QUOTED))
}

/// At most `limit` characters of `text`, with those escaped that would change how the rest is shown.
fn cleaned(text: &str, limit: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(4 * limit));
    for (number, character) in text.chars().enumerate() {
        if number == limit {
            cleaned.push('…');
            break;
        }
        if character.is_control() || is_invisible(character) {
            cleaned.extend(character.escape_unicode());
        } else {
            cleaned.push(character);
        }
    }
    cleaned
}

/// Characters that are not seen, or that turn the direction of what follows.
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// The known word that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    const NEAR: f64 = 0.5;
    let word: String = word.chars().take(64).flat_map(char::to_lowercase).collect();
    known
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&word, &known.to_lowercase()), *known))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_bounded_and_cannot_act() {
        assert_eq!(quoted("a\nb\u{1b}[31m\u{202e}"), r"`a\u{a}b\u{1b}[31m\u{202e}`");
        assert_eq!(quoted(&"x".repeat(1000)), format!("`{}…`", "x".repeat(QUOTED)));
    }

    #[test]
    fn the_nearest_word_is_a_near_one() {
        let known = ["source", "tag", "target", "platforms"];
        for (word, expected) in [
            ("tage", Some("tag")),
            ("Source", Some("source")),
            ("src", Some("source")),
            ("platform", Some("platforms")),
            ("targets", Some("target")),
            ("wholly-different", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }

    #[test]
    fn faults_are_sorted_and_a_flood_is_cut() {
        let fault = |line| Fault::new(Some(Location { file: "a.yaml".into(), line, column: 1 }), "bad");
        let faults = Faults::new(vec![fault(10), fault(9), Fault::new(None, "no prefix"), fault(9)]);
        assert_eq!(faults.to_string(), "no prefix\na.yaml:9:1: bad\na.yaml:10:1: bad");
        let many = Faults::new((1..=250).map(fault).collect()).to_string();
        assert!(many.ends_with("a.yaml:200:1: bad\n… and 50 more"), "{many}");
    }
}
