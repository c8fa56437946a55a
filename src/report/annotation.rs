//! What there is to say of lines of the lists: for whoever shows texts beside them.

use super::explanation::source_name;
use super::text::one_line;
use super::{Entry, OnTagConflict, Report, Status};
use crate::config::Location;
use crate::plan::RemarkKind;

/// How much an annotation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The run is not good because of it.
    Error,
    /// It deserves a look.
    Warning,
}

/// Something to say of a place in a list. The texts hold what came from outside, on one line, and are not
/// escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How much it weighs.
    pub weight: Weight,
    /// Where it belongs.
    pub location: Location,
    /// What it is, in a word or two.
    pub title: String,
    /// What there is to say.
    pub message: String,
}

impl Report {
    /// All of them: where versions of the lists were compared, those of what is new or changed first; errors first;
    /// then in the order of the lists. Whoever has room for a few shows the first.
    #[must_use]
    pub fn annotations(&self) -> Vec<Annotation> {
        let entries = self.entries().flat_map(|entry| {
            let is_older = !entry.is_of_this_change();
            self.of_entry(entry).into_iter().map(move |annotation| (is_older, annotation))
        });
        let places = self.places();
        let warnings = self.warnings.iter().map(|warning| {
            let annotation = Annotation {
                weight: Weight::Warning,
                location: warning.location.clone(),
                title: "external images".to_owned(),
                message: one_line(&warning.message).into_owned(),
            };
            (is_of_older_lines(&places, &warning.location), annotation)
        });
        let mut all: Vec<(bool, Annotation)> = entries.chain(warnings).collect();
        all.sort_by(|(one_is_older, one), (other_is_older, other)| {
            let key = (one_is_older, one.weight, &one.location);
            key.cmp(&(other_is_older, other.weight, &other.location))
        });
        all.into_iter().map(|(_, annotation)| annotation).collect()
    }

    /// Where the entries are, in order, and whether each was there before; nothing if no versions were compared.
    fn places(&self) -> Vec<(&Location, bool)> {
        if self.changes.is_none() {
            return Vec::new();
        }
        let mut places: Vec<_> =
            self.entries().map(|entry| (&entry.item.location, !entry.is_of_this_change())).collect();
        places.sort_unstable();
        places
    }

    fn of_entry(&self, entry: Entry<'_>) -> Vec<Annotation> {
        let status = entry.status();
        let annotation = |weight, title: String, message: String| Annotation {
            weight,
            location: entry.item.location.clone(),
            title,
            message: one_line(&message).into_owned(),
        };
        let name = source_name(&entry.item.source);
        let mut all = Vec::new();
        if status.needs_someone() {
            // An image without the signature that it needs is a matter of its publisher, not of the line, unless the
            // line is what is proposed.
            let lacks_signature = entry.lacks_signature() && self.changes.is_none();
            let only_warns = status == Status::Conflict && self.run.on_tag_conflict == OnTagConflict::Warn;
            let weight = if lacks_signature || only_warns || !entry.is_of_this_change() {
                Weight::Warning
            } else {
                Weight::Error
            };
            let mut message = Vec::new();
            if let Some(explanation) = entry.explanation() {
                message.extend(explanation.story);
                for advice in explanation.advice {
                    let line = advice.line.map_or_else(String::new, |line| format!(" `{line}`."));
                    message.push(format!("{}{line}", advice.sentence));
                }
            }
            all.push(annotation(weight, format!("{}: {name}", status.word()), message.join(" ")));
        }
        let remarks = entry.remarks().filter(|remark| {
            matches!(
                remark.kind,
                RemarkKind::SourceGone
                    | RemarkKind::CompanionGone
                    | RemarkKind::ForeignLayer
                    | RemarkKind::SourceMoved
                    | RemarkKind::NotAsReviewed
                    | RemarkKind::Unsigned
            )
        });
        all.extend(remarks.map(|remark| annotation(Weight::Warning, name.clone(), remark.message.clone())));
        all
    }
}

/// Whether a place in a list belongs to an entry that was there before: the last one that begins at it or before it.
fn is_of_older_lines(places: &[(&Location, bool)], location: &Location) -> bool {
    let before = places.partition_point(|(place, _)| *place <= location);
    let last = before.checked_sub(1).and_then(|last| places.get(last));
    last.is_some_and(|(place, is_older)| place.file == location.file && *is_older)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Change, Changes, Diagnostic};
    use crate::plan::{CauseKind, Decision};
    use crate::report::sample::{cause, location, plan_report, rich_plan, rich_sync};

    fn lines(report: &Report) -> Vec<String> {
        let line = |it: &Annotation| {
            let weight = if it.weight == Weight::Error { "E" } else { "W" };
            format!("{weight} {} [{}] {}", it.location, it.title, it.message)
        };
        report.annotations().iter().map(line).collect()
    }

    #[test]
    fn what_needs_someone_is_said_at_its_line() {
        insta::assert_snapshot!("annotations", lines(&rich_sync()).join("\n"));
    }

    #[test]
    fn what_another_change_brought_only_warns() {
        let mut report = rich_plan();
        assert!(report.annotations().iter().any(|it| it.weight == Weight::Error));
        report.changes = Some(crate::config::Changes {
            entries: vec![crate::config::Change::Unchanged; report.plan.items.len()],
            removed: vec![],
        });
        assert!(report.annotations().iter().all(|it| it.weight == Weight::Warning));
    }

    /// GitHub keeps ten: they must not be those of lines that nobody touched.
    #[test]
    fn what_a_change_brings_comes_first() {
        let unsigned = || {
            let cause = cause(CauseKind::Policy, "there is no signature");
            plan_report(vec![Decision::Blocked(cause); 16])
        };
        let weights = |report: &Report| -> Vec<(u32, Weight)> {
            report.annotations().iter().map(|it| (it.location.line, it.weight)).collect()
        };
        let mut report = unsigned();
        for (index, item) in report.plan.items.iter_mut().enumerate() {
            item.location = location(u32::try_from(index).expect("a small number") + 1);
        }
        let warn = |line| Diagnostic::new(location(line), "a floating tag");
        report.warnings = vec![warn(3), warn(16)];
        assert!(weights(&report).iter().all(|(_, weight)| *weight == Weight::Warning));
        let mut entries = vec![Change::Unchanged; 15];
        entries.push(Change::Added);
        report.changes = Some(Changes { entries, removed: vec![] });
        let weights = weights(&report);
        assert_eq!(weights[..3], [(16, Weight::Error), (16, Weight::Warning), (1, Weight::Warning)]);
        assert_eq!(weights.len(), 18);
    }

    #[test]
    fn each_is_one_line() {
        for annotation in rich_sync().annotations().iter().chain(&rich_plan().annotations()) {
            assert!(!annotation.message.contains(char::is_control), "{annotation:?}");
            assert!(!annotation.title.contains(char::is_control), "{annotation:?}");
        }
    }
}
