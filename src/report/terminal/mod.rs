//! The report for people at a terminal: a table, then why, then a summary.
//!
//! Every text from outside passes [`one_line`], and none begins a line: lines of explanations have a
//! gutter, so that nothing can pose as a workflow command.

mod table;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};

use super::summary::{effort, headline, not_reported, subject, tally, verdict, volume};
use super::text::{one_line, shorten_end, shorten_reference, width, wrap};
use super::units::{bytes, count};
use super::{Entry, Report, Status, Tone, Totals};
use crate::plan::{Outcome, Transfer};

/// How a terminal shows a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How wide it is.
    pub columns: usize,
    /// Whether it shows colours.
    pub colour: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { columns: 100, colour: false }
    }
}

/// What a piece of text is coloured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// By the meaning of a status.
    Tone(Tone),
    /// To be seen first.
    Strong,
    /// To be seen last.
    Quiet,
    /// An error's first line.
    Bad,
}

impl Look {
    /// `text` in its colour, if there are colours. The text is taken as it is.
    #[must_use]
    pub fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        let style = match ink {
            Ink::Tone(Tone::Good) => colour(AnsiColor::Green),
            Ink::Tone(Tone::Coming) => colour(AnsiColor::Cyan),
            Ink::Tone(Tone::Attention) => colour(AnsiColor::Yellow),
            Ink::Tone(Tone::Bad) => colour(AnsiColor::Red),
            Ink::Tone(Tone::Quiet) | Ink::Quiet => Style::new().effects(Effects::DIMMED),
            Ink::Strong => Style::new().effects(Effects::BOLD),
            Ink::Bad => colour(AnsiColor::Red).effects(Effects::BOLD),
        };
        format!("{style}{text}{style:#}")
    }
}

/// The narrowest terminal that anything is laid out for.
const NARROWEST: usize = 40;

impl Report {
    /// The report for a terminal, with a line feed at its end.
    #[must_use]
    pub fn terminal(&self, look: Look) -> String {
        let look = Look { columns: look.columns.max(NARROWEST), ..look };
        let totals = self.totals_of_this_change();
        let prefix = self.prefix.to_string();
        let mut text = String::new();
        table::write(&mut text, self, &totals, &prefix, look);
        for entry in self.entries_by_weight() {
            explain(&mut text, entry, look);
        }
        notes(&mut text, self, look);
        summarize(&mut text, self, &totals, &prefix, look);
        text
    }
}

/// A line of an image that has just ended, without a line feed: how, what was moved for it, its target and
/// what went wrong. It is shortened to the look's columns.
#[must_use]
pub fn finished(target: &str, outcome: &Outcome, transfer: &Transfer, look: Look) -> String {
    let status = Status::of_outcome(outcome);
    let moved = match transfer.bytes_copied {
        0 => String::new(),
        size => bytes(size),
    };
    let head = format!("{} {:<10}", status.mark(), status.word());
    let reason = match outcome {
        Outcome::Conflict(cause)
        | Outcome::Blocked(cause)
        | Outcome::Deferred(cause)
        | Outcome::Failed(cause) => cause.to_string(),
        _ => String::new(),
    };
    let mut room = look.columns.saturating_sub(width(&head) + 1 + 10 + 2);
    let target = one_line(target);
    let target = shorten_reference(&target, room);
    room = room.saturating_sub(width(&target));
    let reason = if reason.is_empty() { reason } else { format!(": {}", one_line(&reason)) };
    format!(
        "{} {}  {target}{}",
        look.paint(Ink::Tone(status.tone()), &head),
        look.paint(Ink::Quiet, &format!("{moved:>10}")),
        look.paint(Ink::Quiet, &shorten_end(&reason, room))
    )
}

/// A status with its mark, in its colour.
pub(super) fn painted_status(status: Status, look: Look) -> String {
    look.paint(Ink::Tone(status.tone()), &format!("{} {}", status.mark(), status.word()))
}

fn explain(text: &mut String, entry: Entry<'_>, look: Look) {
    let Some(explanation) = entry.explanation() else { return };
    let status = entry.status();
    let gutter = look.paint(Ink::Tone(status.tone()), "│");
    let place = one_line(&entry.item.location.to_string()).into_owned();
    let _ = writeln!(text, "{}  {}", painted_status(status, look), look.paint(Ink::Strong, &place));
    for (label, value) in &explanation.facts {
        let label = look.paint(Ink::Quiet, &format!("{label:<6}"));
        let _ = writeln!(text, "{gutter} {label} {}", one_line(value));
    }
    let wrapped = |text: &mut String, paragraph: &str| {
        for line in wrap(&one_line(paragraph), look.columns - 2) {
            let _ = writeln!(text, "{gutter} {line}");
        }
    };
    for paragraph in &explanation.story {
        wrapped(text, paragraph);
    }
    for advice in &explanation.advice {
        wrapped(text, &advice.sentence);
        if let Some(line) = &advice.line {
            let line = look.paint(Ink::Strong, &one_line(line));
            let _ = writeln!(text, "{gutter}   {line}");
        }
    }
    text.push('\n');
}

/// What else there is to say, each with its place.
fn notes(text: &mut String, report: &Report, look: Look) {
    let notes = report.notes();
    if notes.is_empty() {
        return;
    }
    let title = count(notes.len() as u64, "note", "notes");
    let _ = writeln!(text, "{}", look.paint(Ink::Tone(Tone::Attention), &title));
    let gutter = look.paint(Ink::Tone(Tone::Attention), "│");
    let notes: Vec<(String, String)> = notes
        .into_iter()
        .map(|(place, message)| (format!("{}:", one_line(&place)), one_line(&message).into_owned()))
        .collect();
    // Messages stand beside their places if all of them fit there, else below.
    let beside = notes.iter().all(|(place, message)| 3 + width(place) + width(message) <= look.columns);
    for (place, message) in notes {
        let place = look.paint(Ink::Quiet, &place);
        if beside {
            let _ = writeln!(text, "{gutter} {place} {message}");
            continue;
        }
        let _ = writeln!(text, "{gutter} {place}");
        for line in wrap(&message, look.columns - 4) {
            let _ = writeln!(text, "{gutter}   {line}");
        }
    }
    text.push('\n');
}

fn summarize(text: &mut String, report: &Report, totals: &Totals, prefix: &str, look: Look) {
    let headline_text = headline(report, totals);
    let tallied = headline_text.split_once(": ").filter(|_| !headline_text.starts_with("Nothing"));
    if let Some((name, _)) = tallied {
        let title = format!("{name}: {}", subject(report, totals));
        let place = format!("→ {}", one_line(prefix));
        let between = if width(&title) + 1 + width(&place) <= look.columns { " " } else { "\n" };
        let _ = writeln!(text, "{}", look.paint(Ink::Strong, format!("{title}{between}{place}").trim_end()));
        let standing = tally(totals).map(|(status, part)| (part, Ink::Tone(status.tone())));
        let missing = not_reported(report).map(|part| (part, Ink::Tone(Tone::Bad)));
        let parts: Vec<(String, Ink)> = standing.chain(missing).collect();
        joined(text, &parts, look);
    } else {
        let _ = writeln!(text, "{}", look.paint(Ink::Strong, &headline_text));
    }
    let parts: Vec<(String, Ink)> =
        volume(report, totals).into_iter().chain(effort(report)).map(|part| (part, Ink::Quiet)).collect();
    joined(text, &parts, look);
    if let Some(sentence) = verdict(report, totals) {
        for line in wrap(&sentence, look.columns) {
            let _ = writeln!(text, "{line}");
        }
    }
}

/// `parts` with ` · ` between them, in as many lines as it takes.
fn joined(text: &mut String, parts: &[(String, Ink)], look: Look) {
    let mut used = 0;
    for (part, ink) in parts {
        let part_width = width(part);
        if used > 0 && used + 3 + part_width > look.columns {
            text.push('\n');
            used = 0;
        }
        if used > 0 {
            text.push_str(&look.paint(Ink::Quiet, " · "));
            used += 3;
        }
        text.push_str(&look.paint(*ink, part));
        used += part_width;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
