//! An audit for people at a terminal: a block for each image with findings, then what was looked at.
//!
//! Every text from outside passes `one_line` and begins no line.

use std::fmt::Write as _;

use super::finding::{Check, Finding, State};
use super::summary::{by_weight, effort, exit_code, headline, reach};
use super::{Audit, Kind};
use crate::plan::Cause;
use crate::report::text::{one_line, wrap};
use crate::report::units::count;
use crate::report::{Ink, Look, Tone};

/// The narrowest terminal that anything is laid out for.
const NARROWEST: usize = 40;

/// So many unlisted tags stand in the text; the JSON has all.
const MOST_STRAYS: usize = 200;

/// How far what is said of an image stands from the left.
const LEFT: usize = 4;

/// What was found, with a line feed at the end.
#[must_use]
pub fn text(audit: &Audit, look: Look) -> String {
    let look = Look { columns: look.columns.max(NARROWEST), ..look };
    let mut text = String::new();
    for check in by_weight(audit) {
        image(&mut text, check, look);
    }
    strays(&mut text, audit, look);
    for warning in &audit.warnings {
        line(&mut text, &format!("warning: {warning}"), Tone::Attention, look);
    }
    let tone = match exit_code(audit) {
        0 => Tone::Good,
        _ => Tone::Bad,
    };
    let end = audit.interruption.map_or_else(String::new, |it| format!(" {}.", it.sentence()));
    let code = match exit_code(audit) {
        0 => String::new(),
        code => format!(" Exit code {code}."),
    };
    let verdict = format!("{}.{end}{code}", headline(audit));
    let mut paragraphs = vec![effort(audit), reach(audit)];
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    for line in wrap(&verdict, look.columns) {
        let _ = writeln!(text, "{}", look.paint(Ink::Tone(tone), &line));
    }
    for line in paragraphs.iter().flat_map(|paragraph| wrap(&one_line(paragraph), look.columns)) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn image(text: &mut String, check: &Check, look: Look) {
    if check.findings.is_empty() && check.failures.is_empty() && check.remarks.is_empty() {
        return;
    }
    let (mark, tone) = match check.state() {
        State::Found => ('✗', Tone::Bad),
        State::Failed => ('?', Tone::Bad),
        State::NotRun | State::Sound => ('·', Tone::Attention),
    };
    let mark = look.paint(Ink::Tone(tone), &mark.to_string());
    let target = check.target.to_string();
    let target = look.paint(Ink::Strong, &one_line(&target));
    let place = check.location.to_string();
    let place = look.paint(Ink::Quiet, &one_line(&format!("({place})")));
    let _ = writeln!(text, "{mark} {target} {place}");
    for finding in &check.findings {
        line(text, &in_words(finding), Tone::Bad, look);
        line(text, &format!("→ {}", finding.advice), Tone::Quiet, look);
    }
    if check.more_findings > 0 {
        line(text, &format!("… and {} more", check.more_findings), Tone::Bad, look);
    }
    for failure in &check.failures {
        line(text, &failed(failure), Tone::Bad, look);
    }
    for remark in &check.remarks {
        line(text, &format!("{}: {}", remark.kind.word(), remark.message), Tone::Attention, look);
    }
    text.push('\n');
}

/// A line, or several, behind a gutter, so that nothing can pose as a workflow command.
fn line(text: &mut String, what: &str, tone: Tone, look: Look) {
    for line in wrap(&one_line(what), look.columns.saturating_sub(LEFT)) {
        let _ = writeln!(text, "  {} {line}", look.paint(Ink::Tone(tone), "│"));
    }
}

fn in_words(finding: &Finding) -> String {
    let part = finding.part.as_ref().map_or_else(String::new, |part| format!(" ({part})"));
    format!("{}{part}: {}", finding.kind.word(), finding.message)
}

fn failed(cause: &Cause) -> String {
    format!("failed: {cause}")
}

fn strays(text: &mut String, audit: &Audit, look: Look) {
    let Some(unlisted) = &audit.unlisted else { return };
    for failure in &unlisted.failures {
        let mark = look.paint(Ink::Tone(Tone::Bad), "?");
        let _ = writeln!(text, "{mark} {}", one_line(&failed(failure)));
    }
    let all = unlisted.strays.len() + unlisted.more_strays;
    if all == 0 {
        return;
    }
    let mark = look.paint(Ink::Tone(Tone::Bad), "✗");
    let title = format!("{}: {}", Kind::Unlisted.word(), count(all as u64, "tag", "tags"));
    let _ = writeln!(text, "{mark} {}", look.paint(Ink::Strong, &title));
    for stray in unlisted.strays.iter().take(MOST_STRAYS) {
        let digest = stray.digest.as_ref().map_or_else(String::new, |digest| format!(" {digest}"));
        line(text, &format!("{}{digest}", stray.target), Tone::Bad, look);
    }
    let shown = unlisted.strays.len().min(MOST_STRAYS);
    if all > shown {
        line(text, &format!("… and {} more", all - shown), Tone::Bad, look);
    }
    line(text, "→ name them in a list, or delete them at the target if nobody needs them", Tone::Quiet, look);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::sample;

    #[test]
    fn an_audit_is_told() {
        insta::assert_snapshot!(text(&sample::audit(), Look { columns: 100, colour: false }));
    }

    #[test]
    fn a_target_that_is_sound_is_told_in_a_few_words() {
        insta::assert_snapshot!(text(&sample::sound(), Look { columns: 100, colour: false }));
    }

    /// Wherever a line is broken.
    #[test]
    fn text_from_outside_begins_no_line_and_commands_nothing() {
        for columns in 40..100 {
            let told = text(&sample::audit(), Look { columns, colour: false });
            assert!(told.lines().all(|line| !line.trim_start().starts_with("::")), "{told}");
            assert!(!told.contains('\u{1b}'), "{told:?}");
        }
    }
}
