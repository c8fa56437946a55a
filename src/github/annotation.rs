//! Something to be said of a place in a file: an annotation, which both the log's commands and a check run can carry.
//!
//! GitHub shows ten of each level that a step printed and drops the others without a word; [`within_budget`] says how
//! many there are.

use super::workflow_command::cut;

/// So many annotations of one level are kept of a step.
pub const MOST_OF_A_LEVEL: usize = 10;

/// The longest message that the runner takes, in UTF-16 units.
pub(super) const LONGEST_MESSAGE: usize = 4096;

/// The longest title, in UTF-16 units.
pub(super) const LONGEST_TITLE: usize = 255;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warning,
    /// Something is worth knowing.
    Notice,
}

impl Level {
    /// Where it stands among the three.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name of the workflow command.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }

    /// What a check run calls it.
    #[must_use]
    pub fn check_run(self) -> &'static str {
        match self {
            Self::Error => "failure",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// A place in a file of the repository. Lines and columns begin with 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, from the repository's root.
    pub path: String,
    /// The line; without it the whole file is meant.
    pub line: Option<u32>,
    /// Where in the line it begins. Without a line it means nothing and is left out.
    pub column: Option<u32>,
    /// Where in the line it ends. Without a column it means nothing and is left out.
    pub end_column: Option<u32>,
}

/// An annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How bad it is.
    pub level: Level,
    /// A few words that stand above the message.
    pub title: Option<String>,
    /// What it is about; without it the whole run is meant.
    pub place: Option<Place>,
    /// What there is to say; may have several lines.
    pub message: String,
}

/// What fits into a step that has `printed` so many of each [level](Level::index) already: ten of each, in the order
/// given. The last one of a level that overflows says how many more there are.
#[must_use]
pub fn within_budget(annotations: Vec<Annotation>, printed: [usize; 3]) -> Vec<Annotation> {
    let room = printed.map(|printed| MOST_OF_A_LEVEL.saturating_sub(printed));
    let mut kept: Vec<Annotation> = Vec::new();
    let mut more = [0_usize; 3];
    for annotation in annotations {
        let level = annotation.level;
        if kept.iter().filter(|kept| kept.level == level).count() < room[level.index()] {
            kept.push(annotation);
        } else {
            more[level.index()] += 1;
        }
    }
    for level in [Level::Error, Level::Warning, Level::Notice] {
        let count = more[level.index()];
        let last = kept.iter_mut().rev().find(|annotation| annotation.level == level);
        if let Some(last) = last.filter(|_| count > 0) {
            let plural = if count == 1 { "" } else { "s" };
            let told = format!("\n(and {count} more {}{plural}: see the summary)", level.command());
            last.message = cut(&last.message, LONGEST_MESSAGE - 1 - told.len());
            last.message.push_str(&told);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(level: Level, message: &str) -> Annotation {
        Annotation { level, title: None, place: None, message: message.to_owned() }
    }

    #[test]
    fn ten_of_each_level_are_kept_and_the_others_are_told() {
        let mut all: Vec<_> = (0..13).map(|n| annotation(Level::Error, &format!("error {n}"))).collect();
        all.extend((0..10).map(|n| annotation(Level::Warning, &format!("warning {n}"))));
        all.extend((0..11).map(|n| annotation(Level::Notice, &format!("notice {n}"))));
        let kept = within_budget(all, [0; 3]);
        assert_eq!(kept.len(), 30);
        assert_eq!(kept[8].message, "error 8");
        assert_eq!(kept[9].message, "error 9\n(and 3 more errors: see the summary)");
        assert_eq!(kept[19].message, "warning 9");
        assert_eq!(kept[29].message, "notice 9\n(and 1 more notice: see the summary)");
    }

    #[test]
    fn what_was_printed_before_takes_room() {
        let all = vec![annotation(Level::Warning, "x"); 9];
        assert_eq!(within_budget(all.clone(), [10, 1, 0]).len(), 9);
        let kept = within_budget(all.clone(), [0, 3, 0]);
        assert_eq!(kept.len(), 7);
        assert_eq!(kept[6].message, "x\n(and 2 more warnings: see the summary)");
        assert!(within_budget(all, [0, 12, 0]).is_empty());
    }

    #[test]
    fn the_overflow_is_told_after_the_longest_message() {
        let kept = within_budget(vec![annotation(Level::Error, &"é𝄞".repeat(5000)); 12], [0; 3]);
        let last = &kept[9].message;
        assert!(last.ends_with("…\n(and 2 more errors: see the summary)"), "{last}");
        assert!(last.encode_utf16().count() < LONGEST_MESSAGE);
    }
}
