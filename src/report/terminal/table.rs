//! The table of the terminal's view: as many columns as fit, the most telling first.

use std::fmt::Write as _;

use super::{Ink, Look, painted_status};
use crate::report::companions;
use crate::report::explanation::source_name;
use crate::report::text::{one_line, shorten_end, shorten_reference, width};
use crate::report::units::{bytes, count};
use crate::report::{Entry, Report, Status, Totals};

/// So many entries that are up to date are still listed one by one; more are a line together.
const UP_TO_DATE_LISTED: usize = 20;

/// The image's name is given so many columns before another column is left out for it.
const ENOUGH_FOR_NAME: usize = 36;

/// Blanks between columns.
const GAP: usize = 2;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Status,
    Source,
    Target,
    Digest,
    Size,
    Companions,
    CompanionsBrief,
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Status => "",
            Self::Source => "source",
            Self::Target => "target",
            Self::Digest => "digest",
            Self::Size => "size",
            Self::Companions | Self::CompanionsBrief => "companions",
        }
    }

    /// Whether it can be shortened to fit.
    const fn is_name(self) -> bool {
        matches!(self, Self::Source | Self::Target)
    }
}

/// From the richest to the barest.
const LAYOUTS: [&[Column]; 5] = {
    use Column::{Companions, CompanionsBrief, Digest, Size, Source, Status, Target};
    [
        &[Status, Source, Target, Digest, Size, Companions],
        &[Status, Target, Digest, Size, Companions],
        &[Status, Target, Digest, Size, CompanionsBrief],
        &[Status, Target, Size, CompanionsBrief],
        &[Status, Target, Size],
    ]
};

/// Writes the table and an empty line, or nothing if there is nothing to list.
pub(super) fn write(text: &mut String, report: &Report, totals: &Totals, prefix: &str, look: Look) {
    let up_to_date = totals.count(Status::UpToDate);
    let fold = up_to_date > UP_TO_DATE_LISTED;
    let entries: Vec<Entry<'_>> =
        report.entries().filter(|entry| !(fold && entry.status() == Status::UpToDate)).collect();
    if !entries.is_empty() {
        Table::new(&entries, prefix, look).write(text);
    }
    if fold {
        let images = count(up_to_date as u64, "image", "images");
        let _ =
            writeln!(text, "{}  {}", painted_status(Status::UpToDate, look), look.paint(Ink::Quiet, &images));
    }
    if fold || !entries.is_empty() {
        text.push('\n');
    }
}

struct Table<'a> {
    entries: &'a [Entry<'a>],
    prefix: &'a str,
    look: Look,
    columns: Vec<(Column, usize)>,
}

impl<'a> Table<'a> {
    fn new(entries: &'a [Entry<'a>], prefix: &'a str, look: Look) -> Self {
        let natural = |column: Column| {
            let cells = entries.iter().map(|entry| width(&cell(column, *entry, prefix)));
            cells.max().unwrap_or(0).max(width(column.title()))
        };
        let fitting = LAYOUTS.iter().find_map(|layout| {
            let widths: Vec<(Column, usize)> =
                layout.iter().map(|column| (*column, natural(*column))).collect();
            fit(widths, look.columns, ENOUGH_FOR_NAME)
        });
        let columns = fitting.unwrap_or_else(|| {
            let barest = LAYOUTS[LAYOUTS.len() - 1];
            let widths: Vec<(Column, usize)> =
                barest.iter().map(|column| (*column, natural(*column))).collect();
            fit(widths, look.columns, 0).unwrap_or_default()
        });
        Self { entries, prefix, look, columns }
    }

    fn write(&self, text: &mut String) {
        let titles: Vec<String> =
            self.columns.iter().map(|(column, columns)| align(*column, column.title(), *columns)).collect();
        let title_line = titles.join(&" ".repeat(GAP));
        let _ = writeln!(text, "{}", self.look.paint(Ink::Quiet, title_line.trim_end()));
        for entry in self.entries {
            let mut line = String::new();
            for (index, (column, columns)) in self.columns.iter().enumerate() {
                if index > 0 {
                    line.push_str(&" ".repeat(GAP));
                }
                let cell = cell(*column, *entry, self.prefix);
                let cell = if column.is_name() {
                    shorten_reference(&cell, *columns).into_owned()
                } else {
                    shorten_end(&cell, *columns).into_owned()
                };
                let last = index + 1 == self.columns.len();
                let aligned =
                    if last && *column != Column::Size { cell } else { align(*column, &cell, *columns) };
                match ink(*column, *entry) {
                    Some(ink) => line.push_str(&self.look.paint(ink, &aligned)),
                    None => line.push_str(&aligned),
                }
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

fn ink(column: Column, entry: Entry<'_>) -> Option<Ink> {
    let status = entry.status();
    match column {
        Column::Status => Some(Ink::Tone(status.tone())),
        _ if status == Status::UpToDate => Some(Ink::Quiet),
        Column::Target => None,
        _ => Some(Ink::Quiet),
    }
}

/// The widths with the names shortened to what is left; `None` if a name would have less than it needs
/// and less than `enough`.
fn fit(mut widths: Vec<(Column, usize)>, columns: usize, enough: usize) -> Option<Vec<(Column, usize)>> {
    let gaps = GAP * widths.len().saturating_sub(1);
    let fixed: usize =
        widths.iter().filter(|(column, _)| !column.is_name()).map(|(_, columns)| columns).sum();
    let mut room = columns.checked_sub(fixed + gaps)?;
    let mut names: Vec<&mut (Column, usize)> =
        widths.iter_mut().filter(|(column, _)| column.is_name()).collect();
    // The narrowest is served first, so that the others share what it leaves.
    names.sort_by_key(|(_, natural)| *natural);
    let mut left = names.len();
    for (_, natural) in names {
        let share = (*natural).min(room / left);
        if share < (*natural).min(enough) {
            return None;
        }
        *natural = share;
        room -= share;
        left -= 1;
    }
    Some(widths)
}

fn align(column: Column, cell: &str, columns: usize) -> String {
    let blanks = " ".repeat(columns.saturating_sub(width(cell)));
    if column == Column::Size { format!("{blanks}{cell}") } else { format!("{cell}{blanks}") }
}

fn cell(column: Column, entry: Entry<'_>, prefix: &str) -> String {
    let item = entry.item;
    match column {
        Column::Status => format!("{} {}", entry.status().mark(), entry.status().word()),
        Column::Source => one_line(&source_name(&item.source)).into_owned(),
        Column::Target => {
            let target = item.target.to_string();
            one_line(target.strip_prefix(prefix).unwrap_or(&target)).into_owned()
        }
        Column::Digest => entry.shown_digest().map_or_else(|| "–".to_owned(), crate::oci::Digest::short),
        Column::Size => item.bytes.map_or_else(|| "–".to_owned(), bytes),
        Column::Companions => companions::summary(item).full(),
        Column::CompanionsBrief => companions::summary(item).brief(),
    }
}
