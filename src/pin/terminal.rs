//! What was found, for people at a terminal.

use std::fmt::Write as _;

use super::{Finding, Found, Mode, exit_code};
use crate::config::ListedSource;
use crate::report::text::one_line;
use crate::report::units::count;
use crate::report::{Ink, Look, Tone};

/// A line for each source that is not simply kept, and one for all; with a line feed at the end.
#[must_use]
pub fn text(found: &Found, look: Look) -> String {
    let mut text = String::new();
    let is_kept_back = found.has_unwritten || found.digests().is_none();
    for (source, finding) in found.all() {
        let Some((tone, what)) = in_words(source, finding, is_kept_back) else { continue };
        let place = source.location.to_string();
        let place = one_line(&place);
        // A runner takes a line that begins with `::` for a command.
        let guard = if place.trim_start().starts_with("::") { "./" } else { "" };
        let place = look.paint(Ink::Strong, &format!("{guard}{}", place.trim_start()));
        let (mark, rest) = what.split_once(": ").unwrap_or((&what, ""));
        let _ = writeln!(text, "{place}: {}: {}", look.paint(Ink::Tone(tone), mark), one_line(rest));
    }
    let _ = writeln!(text, "{}", one_line(&verdict(found)));
    text
}

/// What is said of a source, a word and `: ` first.
fn in_words(source: &ListedSource, finding: &Finding, is_kept_back: bool) -> Option<(Tone, String)> {
    let written = &source.written;
    let done = |word: &str| if is_kept_back { format!("not {word}") } else { word.to_owned() };
    Some(match finding {
        Finding::Kept => return None,
        Finding::Untagged => (
            Tone::Attention,
            format!(
                "kept: {written} has no tag in its source, so that nothing tells what is newer; write `NAME:TAG@DIGEST`"
            ),
        ),
        Finding::Floats => (
            Tone::Bad,
            format!(
                "floats: {written} has no digest; `image-syncer pin` gives it the one that its tag has today"
            ),
        ),
        Finding::Pinned(digest) => {
            (Tone::Good, format!("{}: {}", done("pinned"), source.with_digest(digest)))
        }
        Finding::Updated(digest) => {
            let old = source.reference.digest.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = written.split('@').next().unwrap_or_default();
            (Tone::Good, format!("{}: {name} {old} → {digest}", done("updated")))
        }
        Finding::Refused(why) => (Tone::Bad, format!("refused: {written}: {why}")),
        Finding::Failed(why) => (Tone::Bad, format!("failed: {written}: {why}")),
    })
}

fn verdict(found: &Found) -> String {
    let number = |word: &str| found.all().filter(|(_, finding)| finding.word() == word).count() as u64;
    let code = exit_code(found);
    let all = found.all().count() as u64;
    if let Some(interruption) = found.interruption {
        return format!("{}; nothing is written. Exit code {code}.", interruption.sentence());
    }
    if found.mode == Mode::Check {
        let floating = number("floats");
        let end = if floating == 0 { "" } else { " Exit code 3." };
        return format!("{floating} of {} without a digest.{end}", count(all, "source", "sources"));
    }
    let faults = number("failed") + number("refused");
    if faults > 0 {
        let problems = count(faults, "problem", "problems");
        return format!("{problems}; nothing is written. Exit code {code}.");
    }
    let (pinned, updated, kept) = (number("pinned"), number("updated"), number("kept"));
    let changed = found.changed.join(", ");
    if found.has_unwritten {
        let written = if changed.is_empty() { "nothing" } else { &changed };
        return format!("Not all could be written; written: {written}. Exit code {code}.");
    }
    if changed.is_empty() {
        return format!("Nothing to change: {}.", count(all, "source", "sources"));
    }
    format!("{pinned} pinned, {updated} updated, {kept} kept; written: {changed}.")
}

#[cfg(test)]
mod tests {
    use super::super::sample::found;
    use super::*;
    use crate::report::Interruption;

    const PLAIN: Look = Look { columns: 120, colour: false };

    #[test]
    fn what_is_written_is_told() {
        let mut found = found(Mode::Update, false);
        found.changed.push("list.yaml".to_owned());
        insta::assert_snapshot!(text(&found, PLAIN));
    }

    #[test]
    fn what_is_not_written_is_told() {
        insta::assert_snapshot!(text(&found(Mode::Update, true), PLAIN));
        let mut found = found(Mode::Pin, false);
        found.has_unwritten = true;
        assert!(text(&found, PLAIN).ends_with("Not all could be written; written: nothing. Exit code 1.\n"));
        found.interruption = Some(Interruption::Interrupt);
        assert!(text(&found, PLAIN).ends_with("; nothing is written. Exit code 130.\n"));
    }

    #[test]
    fn text_from_outside_begins_no_line_and_commands_nothing() {
        let mut found = found(Mode::Update, true);
        found.changed.push("::error::\n::x".to_owned());
        let told = text(&found, PLAIN);
        assert!(told.lines().all(|line| !line.trim_start().starts_with("::")), "{told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}
