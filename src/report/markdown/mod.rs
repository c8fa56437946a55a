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
use super::summary::{effort, headline, standing, verdict, volume};
use super::text::one_line;
use super::units::{bytes, count, duration, number};
use super::{Entry, Link, Mode, Report, Status, Totals, Verdict};
use crate::config::Fault;
use crate::oci::Digest;

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
        self.page(limit, true)
    }

    /// The report as a comment of at most `limit` bytes. It ends with a hidden mark, [`content_mark`], which is the
    /// same as long as the comment says the same but for the commit and the run.
    #[must_use]
    pub fn comment(&self, limit: usize) -> String {
        let mut timeless = self.clone();
        (timeless.run.commit, timeless.run.log) = (None, None);
        let mark = content_mark(&timeless.page(limit, false));
        format!("{}{mark}\n", self.page(limit.saturating_sub(mark.len() + 1), false))
    }

    /// `timed` says how long everything took.
    fn page(&self, limit: usize, timed: bool) -> String {
        let totals = self.totals_of_this_change();
        let prefix = self.prefix.to_string();
        let (entries, others): (Vec<_>, Vec<_>) =
            self.entries_by_weight().into_iter().partition(Entry::is_of_this_change);
        let (attention, rest): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.status().needs_someone());
        let (waiting, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|entry| entry.status().waits());
        let (there, changed): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|entry| entry.status() == Status::UpToDate);

        let mut page = Page::new(self.head(&totals, &prefix, timed), self.footer(), limit);
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
        let removed = self.changes.as_ref().map_or(&[][..], |changes| &changes.removed);
        let title =
            format!("{} off the list: what is at the target stays there", number(removed.len() as u64));
        page.part(&Part::folded("off the list", &title, ""), removed, |entry| {
            format!("- {}<br>→ {}\n", code(&source_name(&entry.source)), code(&entry.target.to_string()))
        });
        let title = Status::UpToDate.count(there.len());
        page.part(&Part::folded("up to date", &title, TABLE_HEAD), &there, row);
        let title =
            format!("The rest of the list, as it was: {}", standing(&Totals::of(others.iter().copied())));
        page.part(&Part::folded("of the rest of the list", &title, TABLE_HEAD), &others, row);
        let known = |entry: &&Entry<'_>| entry.shown_digest().is_some();
        let known: Vec<Entry<'_>> =
            waiting.iter().chain(&changed).chain(&there).chain(&others).filter(known).copied().collect();
        page.part(&Part::folded("full digests", "Full digests", ""), &known, |entry| {
            full_digest(*entry, timed)
        });
        page.finish()
    }

    fn head(&self, totals: &Totals, prefix: &str, timed: bool) -> String {
        let mut head = format!("## {} {}\n\n", self.icon(), headline(self, totals));
        if totals.items == 0 {
            return head;
        }
        let images = match self.changes {
            Some(_) => count(totals.items as u64, "image new or changed", "images new or changed"),
            None => count(totals.items as u64, "image", "images"),
        };
        let mut parts = vec![format!("{images} → {}", code(prefix))];
        parts.extend(volume(self, totals));
        if timed {
            parts.extend(effort(self));
        }
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
        let mut parts = vec![format!("image-syncer {version}")];
        let link = |link: &Link| format!("[{}]({})", code(&link.name), link.url);
        parts.extend(self.run.commit.as_ref().map(|commit| format!("commit {}", link(commit))));
        parts.extend(self.run.log.as_ref().map(|log| format!("[{}]({})", prose(&log.name), log.url)));
        parts.push(format!("plan {}", code(&self.plan.digest.to_string())));
        format!("<sub>{}</sub>\n", parts.join(" · "))
    }
}

/// A mark of a text that nobody sees: two texts with the same mark are the same.
fn content_mark(text: &str) -> String {
    format!("<!-- content {} -->", Digest::sha256(text.as_bytes()).hex())
}

/// What is wrong with lists or a policy, below `title`, in at most `limit` bytes.
#[must_use]
pub fn faults(title: &str, faults: &[Fault], limit: usize) -> String {
    let mark = content_mark(&format!("{title}{faults:?}"));
    let number = count(faults.len() as u64, "error", "errors");
    let head = format!("## ❌ {}\n\n{number}. Nothing was looked at.\n\n", prose(title));
    let version = prose(env!("CARGO_PKG_VERSION"));
    let mut page = Page::new(head, format!("<sub>image-syncer {version}</sub>\n{mark}\n"), limit);
    let part = Part { name: "errors", open: String::new(), close: "\n" };
    page.part(&part, faults, |fault| match &fault.location {
        Some(location) => format!("- {}: {}\n", code(&location.to_string()), prose(&fault.message)),
        None => format!("- error: {}\n", prose(&fault.message)),
    });
    page.finish()
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

fn full_digest(entry: Entry<'_>, timed: bool) -> String {
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
        if timed {
            let _ = write!(text, " · {}", duration(result.duration));
        }
        if let Some(proof) = result.proof {
            let _ = write!(text, " · {} of {} companions read back", proof.verified, proof.expected);
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
