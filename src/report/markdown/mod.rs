//! The report as GitHub's Markdown, for a step's summary or a comment.
//!
//! What needs someone comes first, with what to do about it; what was there already is folded. Text
//! from outside goes through `escape` and never begins a line.

mod escape;
mod page;

use std::fmt::Write as _;

use escape::{code, prose};
use page::{Page, Part};

use super::companions;
use super::explanation::source_name;
use super::summary::{headline, verdict, volume};
use super::text::one_line;
use super::units::{bytes, count, duration};
use super::{Entry, Mode, Report, Status, Totals, Verdict};

/// So many platforms are named in a table; more are counted.
const PLATFORMS_NAMED: usize = 2;

/// What stands above the rows of a table of entries.
const TABLE_HEAD: &str =
    "| | Source → target | Digest | Platforms | Size | Companions |\n|:--|:--|:--|:--|--:|:--|\n";

impl Report {
    /// The report as Markdown in at most `limit` bytes, cut between rows with a notice of what is left out.
    /// A limit below about 2,000 bytes leaves no room for rows and is not kept.
    #[must_use]
    pub fn markdown(&self, limit: usize) -> String {
        let totals = self.totals();
        let prefix = self.prefix.to_string();
        let entries = self.entries_by_weight();
        let (attention, rest): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.status().needs_someone());
        let (waiting, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|entry| entry.status().waits());
        let (there, changed): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|entry| entry.status() == Status::UpToDate);

        let mut page = Page::new(self.head(&totals, &prefix), self.footer(), limit);
        let row = |entry: &Entry<'_>| table_row(*entry, &prefix);

        page.part(&Part::open("that need attention", "Needs attention", TABLE_HEAD), &attention, row);
        page.part(
            &Part::folded("explanations", "<b>What happened, and what to do</b>", ""),
            &attention,
            |entry| explanation(*entry),
        );
        page.part(&Part::open("that wait", "Left for the next run", TABLE_HEAD), &waiting, row);
        let heading = match self.run.mode {
            Mode::Plan => "To be done",
            Mode::Sync => "Changed",
        };
        page.part(&Part::open("to be done or changed", heading, TABLE_HEAD), &changed, row);
        let notes = self.notes();
        let title = count(notes.len() as u64, "note", "notes");
        page.part(&Part::folded("notes", &title, ""), &notes, |(place, message)| {
            format!("- {}: {}\n", code(place), prose(message))
        });
        let title = Status::UpToDate.count(there.len());
        page.part(&Part::folded("up to date", &title, TABLE_HEAD), &there, row);
        let known = |entry: &&Entry<'_>| entry.shown_digest().is_some();
        let known: Vec<Entry<'_>> =
            waiting.iter().chain(&changed).chain(&there).filter(known).copied().collect();
        page.part(&Part::folded("full digests", "Full digests", ""), &known, |entry| full_digest(*entry));
        page.finish()
    }

    fn head(&self, totals: &Totals, prefix: &str) -> String {
        let mut head = format!("## {} {}\n\n", self.icon(), headline(self, totals));
        if totals.items == 0 {
            return head;
        }
        let images = count(totals.items as u64, "image", "images");
        let mut parts = vec![format!("{images} → {}", code(prefix))];
        parts.extend(volume(self, totals));
        let _ = write!(head, "{}\n\n", parts.join(" · "));
        if let Some(sentence) = verdict(self, totals) {
            let _ = write!(head, "**{sentence}.**\n\n");
        }
        head
    }

    fn icon(&self) -> &'static str {
        match (self.verdict(), self.run.mode) {
            (Verdict::Done, Mode::Sync) => "✅",
            (Verdict::Done, Mode::Plan) => "📋",
            (Verdict::Conflict, _) => Status::Conflict.icon(),
            _ => Status::Failed.icon(),
        }
    }

    fn footer(&self) -> String {
        let version = prose(&self.run.version);
        format!("<sub>image-syncer {version} · plan {}</sub>\n", code(&self.plan.digest.to_string()))
    }
}

/// An entry as a row of a table.
fn table_row(entry: Entry<'_>, prefix: &str) -> String {
    let item = entry.item;
    let target = item.target.to_string();
    let digest = match (entry.status(), &item.target_digest, &item.digest) {
        (Status::Conflict, Some(has), Some(wants)) if has != wants => {
            format!("{}<br>≠ {}", code(&has.short()), code(&wants.short()))
        }
        (Status::Move | Status::Moved, Some(before), Some(after)) => {
            format!("{}<br>→ {}", code(&before.short()), code(&after.short()))
        }
        _ => entry.shown_digest().map_or_else(|| "–".to_owned(), |digest| code(&digest.short())),
    };
    format!(
        "| {}&nbsp;{} | {}<br>→ {} | {} | {} | {} | {} |\n",
        entry.status().icon(),
        entry.status().word(),
        code(&source_name(&item.source)),
        code(target.strip_prefix(prefix).unwrap_or(&target)),
        digest,
        platforms(entry, PLATFORMS_NAMED),
        item.bytes.map_or_else(|| "–".to_owned(), |size| bytes(size).replace(' ', "&nbsp;")),
        prose(&companions::summary(item).full()),
    )
}

fn platforms(entry: Entry<'_>, named: usize) -> String {
    let platforms = &entry.item.platforms;
    if platforms.is_empty() {
        return "–".to_owned();
    }
    let list: Vec<String> =
        platforms.iter().take(named).map(|platform| prose(&platform.to_string())).collect();
    let more = match platforms.len().saturating_sub(named) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", list.join(", "))
}

/// Why an entry stands as it does, in full.
fn explanation(entry: Entry<'_>) -> String {
    let Some(explanation) = entry.explanation() else { return String::new() };
    let (icon, word) = (entry.status().icon(), entry.status().word());
    let mut text = format!("{icon} **{word}** · {}\n\n", code(&entry.item.location.to_string()));
    for (label, value) in &explanation.facts {
        let _ = writeln!(text, "- {label}: {}", code(value));
    }
    text.push('\n');
    for paragraph in &explanation.story {
        // The colon of a cause's side, or the first word of our own, stands before any text from outside.
        let _ = write!(text, "{}\n\n", prose(paragraph));
    }
    for advice in &explanation.advice {
        let _ = write!(text, "{}\n\n", prose(&advice.sentence));
        if let Some(line) = &advice.line {
            let _ = write!(text, "{}\n\n", fenced(line));
        }
    }
    text
}

/// A line to copy. It is of validated names, in which nothing can close the fence.
fn fenced(line: &str) -> String {
    format!("```yaml\n{}\n```", one_line(line))
}

fn full_digest(entry: Entry<'_>) -> String {
    let item = entry.item;
    let mut text = format!("- {}<br>", code(&item.target.to_string()));
    if let Some(digest) = entry.shown_digest() {
        text.push_str(&code(&digest.to_string()));
    }
    if let (Some(before), true) = (&item.target_digest, entry.status().moves()) {
        let _ = write!(text, " in the place of {}", code(&before.to_string()));
    }
    if let (Some(source), true) = (&item.source_digest, item.source_digest != item.digest) {
        let _ = write!(text, " made from {}", code(&source.to_string()));
    }
    let _ = write!(text, "<br>{}", platforms(entry, usize::MAX));
    if let Some(media_type) = &item.media_type {
        let _ = write!(text, " · {}", prose(media_type.as_str()));
    }
    if let Some(result) = entry.result {
        let _ = write!(text, " · {}", duration(result.duration));
        if let Some(proof) = result.proof {
            let _ = write!(text, " · {} of {} companions read back", proof.verified, proof.expected);
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
