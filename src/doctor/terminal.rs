//! The findings for people at a terminal.

use std::fmt::Write as _;

use super::{Told, exit_code};
use crate::registry::examination::{Area, Check, Examination, Limit, State};
use crate::registry::quirks::{Profile, Referrers, Repositories};
use crate::report::text::{one_line, wrap};
use crate::report::units::{count, number};
use crate::report::{Ink, Interruption, Look, Tone};

/// The narrowest terminal that anything is laid out for.
const NARROWEST: usize = 40;

/// How far the findings stand from the left: mark, name, and blanks between.
const LEFT: usize = 17;

/// The findings, with a line feed at the end.
#[must_use]
pub fn text(told: &Told, look: Look) -> String {
    let examination = &told.examination;
    let look = Look { columns: look.columns.max(NARROWEST), ..look };
    let mut text = String::new();
    let at = format!("→ {}", one_line(&examination.address));
    let title = look.paint(Ink::Strong, examination.registry.as_str());
    let _ = writeln!(text, "{title} {}", look.paint(Ink::Quiet, &at));
    for area in Area::ALL {
        let checks: Vec<&Check> = examination.checks.iter().filter(|check| check.area == area).collect();
        if checks.is_empty() {
            continue;
        }
        head(&mut text, &title_of(area, examination), look);
        for check in checks {
            finding(&mut text, check, look);
        }
    }
    if !examination.limits.is_empty() {
        head(&mut text, "Limits", look);
        for limit in &examination.limits {
            let _ = writeln!(text, "    {}", one_line(&limit_in_words(limit)));
        }
    }
    head(&mut text, "Profile", look);
    for (name, what) in profile_in_words(&examination.profile) {
        row(&mut text, ' ', Tone::Quiet, name, &what, look);
    }
    text.push('\n');
    for line in wrap(&verdict(told), look.columns) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn title_of(area: Area, examination: &Examination) -> String {
    match (area, &examination.repository) {
        (Area::Connection, _) => "Connection".to_owned(),
        (Area::Login, _) => "Login".to_owned(),
        (Area::Rights, Some(repository)) => format!("Rights at {repository}"),
        (Area::Rights, None) => "Rights".to_owned(),
        (Area::Api, _) => "What it can do".to_owned(),
    }
}

fn head(text: &mut String, title: &str, look: Look) {
    let _ = writeln!(text, "\n{}", look.paint(Ink::Strong, title));
}

fn finding(text: &mut String, check: &Check, look: Look) {
    let (mark, tone) = match check.state {
        State::Ok => ('✓', Tone::Good),
        State::Failed => ('✗', Tone::Bad),
        State::No => ('–', Tone::Quiet),
        State::Unknown => ('?', Tone::Attention),
    };
    row(text, mark, tone, check.name, &check.message, look);
    if let Some(advice) = &check.advice {
        row(text, '│', tone, "", &format!("→ {advice}"), look);
    }
}

/// A line, or several: the first has the mark and the name, the others stand below its text. They have a gutter, so
/// that nothing can pose as a workflow command.
fn row(text: &mut String, mark: char, tone: Tone, name: &str, what: &str, look: Look) {
    for (place, line) in wrap(&one_line(what), look.columns.saturating_sub(LEFT)).into_iter().enumerate() {
        let (mark, name) = if place == 0 { (mark, name) } else { ('│', "") };
        let mark = look.paint(Ink::Tone(tone), &mark.to_string());
        let _ = writeln!(text, "  {mark} {name:<13}{line}");
    }
}

fn limit_in_words(limit: &Limit) -> String {
    let Some(amount) = limit.number else { return format!("{}: {}", limit.header, limit.value) };
    let window = limit.window.map(|seconds| match seconds {
        0..120 => format!(" in {seconds} s"),
        120..7200 => format!(" in {} min", seconds / 60),
        _ => format!(" in {} h", seconds / 3600),
    });
    format!("{}: {}{}", limit.header, number(amount), window.unwrap_or_default())
}

fn profile_in_words(profile: &Profile) -> Vec<(&'static str, String)> {
    let mut words = vec![
        ("kind", format!("{}: {}", profile.kind.name(), profile.evidence)),
        ("chunks", profile.chunks.to_string()),
        (
            "mount",
            if profile.mount { "where it is asked for and done" } else { "never asked for" }.to_owned(),
        ),
    ];
    let referrers = match profile.referrers {
        Referrers::Probe => "by the API, else under the fallback tag",
        Referrers::Tags => "under the fallback tag only",
    };
    words.push(("referrers", referrers.to_owned()));
    words.push(("tags", format!("{} in a page", profile.page_size)));
    if profile.repositories == Repositories::Beforehand {
        words.push(("repository", "has to be created before the first push".to_owned()));
    }
    words
}

fn verdict(told: &Told) -> String {
    let examination = &told.examination;
    let failed: Vec<&str> = examination
        .checks
        .iter()
        .filter(|check| check.state == State::Failed)
        .map(|check| check.name)
        .collect();
    let problems = count(failed.len() as u64, "problem", "problems");
    if let Some(interruption) = told.interruption {
        let found = if failed.is_empty() {
            String::new()
        } else {
            format!(" {problems} until then: {}.", failed.join(", "))
        };
        let (sentence, code) = (interruption.sentence(), exit_code(told));
        let more = match interruption {
            Interruption::TimeLimit => " --timeout gives it more time.",
            Interruption::Interrupt | Interruption::Terminate => "",
        };
        return format!("{sentence}; not all was looked at.{found}{more} Exit code {code}.");
    }
    if !failed.is_empty() {
        return format!("{problems}: {}. Exit code 1.", failed.join(", "));
    }
    let more = if examination.repository.is_none() {
        format!(
            " `image-syncer doctor {} REPOSITORY` tells what may be done in a repository.",
            examination.registry
        )
    } else {
        String::new()
    };
    format!("All that was asked for works.{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::sample::told;

    #[test]
    fn findings_are_told() {
        insta::assert_snapshot!(text(&told(), Look { columns: 80, colour: false }));
    }

    /// Wherever a line is broken.
    #[test]
    fn what_a_registry_says_begins_no_line_and_commands_nothing() {
        for columns in 40..100 {
            let told = text(&told(), Look { columns, colour: false });
            assert!(told.lines().all(|line| !line.trim_start().starts_with("::")), "{told}");
            assert!(!told.contains('\u{1b}'), "{told:?}");
        }
    }
}
