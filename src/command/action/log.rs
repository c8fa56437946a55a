//! The step's log. The runner reads every line of it, and obeys some: foreign text becomes harmless here.

use std::io::{self, Write};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::command::Surroundings;
use crate::console::{Screen, print};
use crate::github::annotation::within_budget;
use crate::github::workflow_command::{self, END_GROUP};
use crate::github::{Annotation, Level};
use crate::report::{Entry, Look, Report, Status};

/// The width of the log's tables.
const COLUMNS: usize = 160;

/// Lines that are printed as they are: commands, and what was made harmless.
fn lines(text: &str) {
    // A log that nobody reads stops no run.
    let _ = print(&format!("{text}\n"));
}

/// Has the runner hide a secret from now on, and what it looks like in Base64.
pub(super) fn hide(secret: &str) {
    let whole = secret.trim();
    if whole.is_empty() {
        return;
    }
    for form in [whole.to_owned(), BASE64.encode(secret), BASE64.encode(whole)] {
        for command in workflow_command::mask(&form) {
            lines(&command);
        }
    }
}

/// Says something.
pub(super) fn say(text: &str) {
    lines(&workflow_command::harmless_lines(text.trim_end()));
}

/// Says an error of the whole run, as an annotation.
pub(super) fn error(message: &str) {
    of_the_run(Level::Error, message);
}

/// Says something that the whole run may go wrong with, as an annotation.
pub(super) fn warn(message: &str) {
    of_the_run(Level::Warning, message);
}

/// Says something worth knowing, as an annotation.
pub(super) fn notice(message: &str) {
    of_the_run(Level::Notice, message);
}

fn of_the_run(level: Level, message: &str) {
    annotate(&Annotation { level, title: None, place: None, message: message.to_owned() });
}

/// How many annotations of each level this step has printed: GitHub keeps ten.
static PRINTED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// Prints the annotations for which the step has room.
pub(super) fn annotate_all(annotations: Vec<Annotation>) {
    let printed = PRINTED.each_ref().map(|printed| printed.load(Relaxed));
    within_budget(annotations, printed).iter().for_each(annotate);
}

fn annotate(annotation: &Annotation) {
    PRINTED[annotation.level.index()].fetch_add(1, Relaxed);
    lines(&workflow_command::annotation(annotation));
}

/// Where progress goes: standard error as lines, each made harmless.
pub(super) fn screen(surroundings: &Surroundings) -> Screen {
    Screen { terminal: false, tame: Some(workflow_command::harmless_line), ..surroundings.screen(false) }
}

/// A group for each image that there was something about, one for those that were up to date, and the table.
pub(super) fn report(report: &Report) {
    let entries = report.entries_by_weight();
    let (there, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.status() == Status::UpToDate);
    for entry in others {
        lines(&workflow_command::group(&format!("{} {}", entry.status().word(), entry.item.target)));
        say(&details(entry));
        lines(END_GROUP);
    }
    if !there.is_empty() {
        lines(&workflow_command::group(&Status::UpToDate.count(there.len())));
        for entry in there {
            say(&entry.item.target.to_string());
        }
        lines(END_GROUP);
    }
    say(&report.terminal(Look { columns: COLUMNS, colour: false }));
}

fn details(entry: Entry<'_>) -> String {
    let facts = entry.facts();
    facts.iter().map(|(label, value)| format!("{label}: {value}")).collect::<Vec<_>>().join("\n")
}

/// The log of what happens inside, on standard error, each event made harmless.
pub(super) fn writer() -> impl Write {
    Tame(io::stderr())
}

struct Tame<W>(W);

impl<W: Write> Write for Tame<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(workflow_command::harmless_lines(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_log_commands_nothing() {
        let mut written = Vec::new();
        let event = "WARN r.io answered\n::error::x ##[error]y\n";
        Tame(&mut written).write_all(event.as_bytes()).expect("a write");
        let text = String::from_utf8(written).expect("text");
        assert_eq!(text, "WARN r.io answered\n: :error::x ## [error]y\n");
    }
}
