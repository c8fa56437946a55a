//! The report as GitHub's Markdown, for a step's summary or a comment.
//!
//! What needs someone comes first, with what to do about it; what was there already is folded. Text
//! from outside goes through `escape` and never begins a line.

mod escape;
mod page;

use std::fmt::Write as _;

use escape::{code, html, prose};
use page::{Page, Part};

use super::explanation::source_name;
use super::summary::{effort, headline, moral, not_as_reviewed, standing, subject, volume};
use super::text::{one_line, shorten_end};
use super::units::{bytes, count, duration, number};
use super::{Entry, Link, Mode, Report, Status, Totals, Verdict};
use super::{companions, verification};
use crate::config::Fault;
use crate::oci::Digest;
use crate::plan::{CompanionPlace, Item};

/// So many platforms are named in a table; more are counted.
const PLATFORMS_NAMED: usize = 2;

/// So many companions of an image are named by their references; more are counted.
const COMPANIONS_NAMED: usize = 20;

/// So many explanations are folded each by itself, below its reason; more are folded together.
const EXPLAINED_APART: usize = 5;

/// So many columns of a reason stand in a fold's title.
const LONGEST_REASON: usize = 120;

/// What stands above the rows of a table of entries.
const TABLE_HEAD: &str =
    "| | Source → target | Digest | Platforms | Size | Companions |\n|:--|:--|:--|:--|--:|:--|\n";

/// The same, of entries of which nothing but a reason is known.
const REASONS_HEAD: &str = "| | Source → target | Reason |\n|:--|:--|:--|\n";

impl Report {
    /// The report as Markdown in at most `limit` bytes, cut between rows with a notice of what is left out.
    /// A limit below about 2,000 bytes leaves no room for rows and is not kept.
    #[must_use]
    pub fn markdown(&self, limit: usize) -> String {
        self.page(limit, true)
    }

    /// The report as a comment of at most `limit` bytes, `commit` being whose lists were read. It ends with what nobody
    /// sees: the plan, for the sync after the merge, and a mark, which is the same as long as the comment says the
    /// same of the same commit, in whatever run.
    #[must_use]
    pub fn comment(&self, limit: usize, commit: &str) -> String {
        let plan = self.review_line(commit, limit / 2);
        let mut timeless = self.clone();
        timeless.run.log = None;
        let mark = content_mark(&format!("{}{plan}", timeless.page(limit, false)));
        let hidden = format!("{plan}\n{mark}\n");
        format!("{}{hidden}", self.page(limit.saturating_sub(hidden.len()), false))
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

        let more = if timed { "The JSON report has everything." } else { "The job summary has more." };
        let mut page = Page::new(self.head(&totals, &prefix, timed), self.footer(), limit, more);
        let row = |entry: &Entry<'_>| table_row(*entry, &prefix);

        // Where nothing is known there is room for the reason.
        let unknown = attention.iter().all(|entry| entry.shown_digest().is_none());
        let head = if unknown { REASONS_HEAD } else { TABLE_HEAD };
        page.part(&Part::open("images that need attention", "Needs attention", head), &attention, |entry| {
            if unknown { reason_row(*entry, &prefix) } else { row(entry) }
        });
        let explanations = if unknown || attention.len() > EXPLAINED_APART {
            Part::folded("explanations", "<b>What happened, and what to do</b>", "")
        } else {
            Part::bare("explanations")
        };
        page.part(&explanations, &attention, |entry| explanation(*entry));
        page.part(&Part::open("images that wait", "Left for the next run", TABLE_HEAD), &waiting, row);
        let (name, heading) = match self.run.mode {
            Mode::Plan => ("images to be copied or changed", "To be done"),
            Mode::Sync => ("images copied or changed", "Changed"),
        };
        page.part(&Part::open(name, heading, TABLE_HEAD), &changed, row);
        let mut notes = self.notes();
        // What there is to say of the run stands at the top.
        notes.drain(..self.run.remarks.len());
        let title = count(notes.len() as u64, "note", "notes");
        page.part(&Part::folded("notes", &title, ""), &notes, |(place, message)| {
            format!("- {}: {}\n", code(place), prose(message))
        });
        let removed = self.changes.as_ref().map_or(&[][..], |changes| &changes.removed);
        let title =
            format!("{} off the list: what is at the target stays there", number(removed.len() as u64));
        page.part(&Part::folded("images off the list", &title, ""), removed, |entry| {
            format!("- {}<br>→ {}\n", code(&source_name(&entry.source)), code(&entry.target.to_string()))
        });
        let title = Status::UpToDate.count(there.len());
        page.part(&Part::folded("images up to date", &title, TABLE_HEAD), &there, row);
        let title =
            format!("The rest of the list, as it was: {}", standing(&Totals::of(others.iter().copied())));
        page.part(&Part::folded("images of the rest of the list", &title, TABLE_HEAD), &others, row);
        let known = |entry: &&Entry<'_>| entry.shown_digest().is_some();
        let known: Vec<Entry<'_>> =
            waiting.iter().chain(&changed).chain(&there).chain(&others).filter(known).copied().collect();
        let plan = format!("- the plan<br>{}\n", code(&self.plan.digest.to_string()));
        let title = match self.run.mode {
            Mode::Sync if timed => "Full digests, and what was pushed",
            _ => "Full digests",
        };
        page.part(&Part::folded("full digests", title, &plan), &known, |entry| full_digest(*entry, timed));
        page.finish()
    }

    fn head(&self, totals: &Totals, prefix: &str, timed: bool) -> String {
        let mut head = format!("## {} {}\n\n", self.icon(), headline(self, totals));
        head.push_str(&said_of_the_run(&self.run.remarks));
        if let Some(sentence) = not_as_reviewed(self) {
            head.push_str(&said_of_the_run(&[sentence]));
        }
        if totals.items == 0 && self.run.unreported.is_none() {
            return head;
        }
        let images = match self.changes {
            Some(_) => count(totals.items as u64, "image new or changed", "images new or changed"),
            None => subject(self, totals),
        };
        let mut parts = vec![format!("{images} → {}", code(prefix))];
        let volume = volume(self, totals).into_iter().enumerate();
        parts.extend(
            volume.filter(|(index, part)| *index == 0 || !part.starts_with("0 B ")).map(|(_, part)| part),
        );
        if timed {
            parts.extend(effort(self));
        }
        let _ = write!(head, "{}\n\n", parts.join(" · "));
        if let Some(sentence) = moral(self, totals) {
            let _ = write!(head, "**{sentence}.**\n\n");
        }
        head
    }

    fn icon(&self) -> &'static str {
        match (self.verdict(), self.run.mode) {
            (Verdict::Done, Mode::Sync) => "✅",
            (Verdict::Done, Mode::Plan) => "📋",
            (Verdict::Conflict, _) => Status::Conflict.icon(),
            (Verdict::Deferred, _) => Status::Deferred.icon(),
            _ => Status::Failed.icon(),
        }
    }

    fn footer(&self) -> String {
        let plan = format!("plan {}", code(&self.plan.digest.short()));
        let ended = match self.verdict().exit_code() {
            0 => None,
            failed => Some(format!("exit code {failed}")),
        };
        footer(&self.run.version, self.run.commit.as_ref(), self.run.log.as_ref(), [Some(plan), ended])
    }
}

/// The last line: who says it, of which commit, in which run, and some more.
fn footer(
    version: &str,
    commit: Option<&Link>,
    log: Option<&Link>,
    more: impl IntoIterator<Item = Option<String>>,
) -> String {
    let commit = commit.map(|link| format!("commit [{}]({})", code(&link.name), link.url));
    let log = log.map(|link| format!("[{}]({})", prose(&link.name), link.url));
    let parts = [Some(format!("image-syncer {}", prose(version))), commit, log].into_iter().chain(more);
    format!("<sub>{}</sub>\n", parts.flatten().collect::<Vec<_>>().join(" · "))
}

/// A mark of a text that nobody sees: two texts with the same mark are the same.
fn content_mark(text: &str) -> String {
    format!("<!-- content {} -->", Digest::sha256(text.as_bytes()).hex())
}

/// What is wrong with lists or a policy, below `title`, in at most `limit` bytes. It ends with a mark as a
/// [comment](Report::comment) does.
#[must_use]
pub fn faults(
    title: &str,
    faults: &[Fault],
    commit: Option<&Link>,
    log: Option<&Link>,
    limit: usize,
) -> String {
    let mark = content_mark(&format!("{title}{faults:?}{commit:?}"));
    let number = count(faults.len() as u64, "error", "errors");
    let head = format!("## ❌ {}\n\n{number}. Nothing was looked at.\n\n", prose(title));
    let footer = footer(env!("CARGO_PKG_VERSION"), commit, log, []);
    let mut page = Page::new(head, format!("{footer}{mark}\n"), limit, "The log has everything.");
    let part = Part { name: "errors", open: String::new(), close: "\n" };
    page.part(&part, faults, |fault| match &fault.location {
        Some(location) => format!("- {}: {}\n", code(&location.to_string()), prose(&fault.message)),
        None => format!("- error: {}\n", prose(&fault.message)),
    });
    page.finish()
}

/// Remarks on a run as a whole, each a paragraph that is seen.
fn said_of_the_run(remarks: &[String]) -> String {
    let paragraph = |remark: &String| {
        let stop = if remark.ends_with(['.', '!', '?']) { "" } else { "." };
        format!("⚠️ {}{stop}\n\n", prose(remark))
    };
    remarks.iter().map(paragraph).collect()
}

/// That there was nothing to look at, below `title`: `why`, in small letters and without a full stop, and what else there is to say.
/// It ends with a mark as a [comment](Report::comment) does.
#[must_use]
pub fn nothing(
    title: &str,
    why: &str,
    remarks: &[String],
    commit: Option<&Link>,
    log: Option<&Link>,
) -> String {
    let mark = content_mark(&format!("{why}{remarks:?}{commit:?}"));
    let remarks = said_of_the_run(remarks);
    let footer = footer(env!("CARGO_PKG_VERSION"), commit, log, []);
    let (first, rest) = why.split_at(why.chars().next().map_or(0, char::len_utf8));
    let why = prose(&format!("{}{rest}", first.to_uppercase()));
    format!("## {title}\n\n{why}. No image was looked at.\n\n{remarks}{footer}{mark}\n")
}

/// An entry as a row of a table.
fn table_row(entry: Entry<'_>, prefix: &str) -> String {
    let item = entry.item;
    let companions = match (&item.companions, &item.verification) {
        (None, None) => "–".to_owned(),
        _ => prose(&companions::summary(item).full()),
    };
    let digest = match (entry.status(), &item.target_digest, &item.digest) {
        (Status::Conflict, Some(has), Some(wants)) if has != wants => {
            format!("{}<br>≠&nbsp;{}", code(&has.short()), code(&wants.short()))
        }
        (Status::Move | Status::Moved, Some(before), Some(after)) => {
            format!("{}<br>→&nbsp;{}", code(&before.short()), code(&after.short()))
        }
        _ => entry.shown_digest().map_or_else(|| "–".to_owned(), |digest| code(&digest.short())),
    };
    format!(
        "{} | {} | {} | {} | {} |\n",
        row_head(entry, prefix),
        digest,
        platforms(entry, PLATFORMS_NAMED),
        item.bytes.map_or_else(|| "–".to_owned(), |size| bytes(size).replace(' ', "&nbsp;")),
        companions,
    )
}

/// An entry of which nothing but a reason is known, as a row of a table.
fn reason_row(entry: Entry<'_>, prefix: &str) -> String {
    let reason = entry.explanation().map(|explanation| brief(&explanation.reason)).unwrap_or_default();
    format!("{} | {} |\n", row_head(entry, prefix), prose(&reason))
}

/// How it stands, and its names; a name that is the source's below the prefix is not said twice.
fn row_head(entry: Entry<'_>, prefix: &str) -> String {
    let (source, target) = (source_name(&entry.item.source), entry.item.target.to_string());
    let below = target.strip_prefix(prefix).unwrap_or(&target);
    let below =
        if below == source { "→ same name".to_owned() } else { format!("→&nbsp;{}", code(below)) };
    format!("| {}&nbsp;{} | {}<br>{below}", entry.status().icon(), entry.status().word(), code(&source))
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

/// Why an entry stands as it does, in full, folded below the reason.
fn explanation(entry: Entry<'_>) -> String {
    let Some(explanation) = entry.explanation() else { return String::new() };
    let source = format!("`{}`", source_name(&entry.item.source));
    let title =
        format!("{} {} · {}", entry.status().icon(), html(&source), html(&brief(&explanation.reason)));
    let mut text = format!("<details><summary>{title}</summary>\n\n");
    let _ = writeln!(text, "- list: {}", code(&entry.item.location.to_string()));
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
    text.push_str("</details>\n\n");
    text
}

/// A reason without what follows from it; the whole of it is in the fold.
fn brief(reason: &str) -> String {
    let reason = one_line(reason);
    let begun = shorten_end(reason.split("; ").next().unwrap_or_default(), LONGEST_REASON);
    match (begun.matches('`').count() % 2, begun.rfind('`')) {
        (1, Some(open)) => format!("{}…", begun[..open].trim_end()),
        _ => begun.into_owned(),
    }
}

/// A line to copy. It is of validated names, in which nothing can close the fence.
fn fenced(line: &str) -> String {
    format!("```yaml\n{}\n```", one_line(line))
}

fn full_digest(entry: Entry<'_>, timed: bool) -> String {
    let item = entry.item;
    let target = item.target.to_string();
    let mut text = match entry.shown_digest() {
        Some(digest) if timed => format!("- {}", code(&format!("{target}@{digest}"))),
        Some(digest) => format!("- {}<br>{}", code(&target), code(&digest.to_string())),
        None => format!("- {}", code(&target)),
    };
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
    if let Some(result) = entry.result.filter(|_| timed) {
        let _ = write!(text, " · {}", duration(result.duration));
    }
    for phrase in verification::phrases(item) {
        let _ = write!(text, "<br>{}", prose(&phrase));
    }
    if let Some(result) = entry.result {
        if let Some(proof) = result.proof {
            let _ = write!(text, " · {} of {} companions read back", proof.verified, proof.expected);
        }
        if matches!(entry.status(), Status::Copied | Status::CompanionsCopied | Status::Moved) && timed {
            pushed_companions(&mut text, item);
        }
    }
    text.push('\n');
    text
}

/// The companions that were pushed with an image, each by its reference.
fn pushed_companions(text: &mut String, item: &Item) {
    let all = item.companions.iter().flatten().filter(|companion| companion.is_to_copy());
    let repository = format!("{}{}", item.target.root, item.target.repository);
    for companion in all.clone().take(COMPANIONS_NAMED) {
        let tag = match &companion.place {
            CompanionPlace::Tag(tag) => format!(":{tag}"),
            CompanionPlace::Referrer => String::new(),
        };
        let reference = format!("{repository}{tag}@{}", companion.digest);
        let _ = write!(text, "<br>{}: {}", companion.kind.word(), code(&reference));
    }
    if let Some(more) = all.count().checked_sub(COMPANIONS_NAMED).filter(|more| *more > 0) {
        let _ = write!(text, "<br>and {}", count(more as u64, "more", "more"));
    }
}

#[cfg(test)]
mod tests;
