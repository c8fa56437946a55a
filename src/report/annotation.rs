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
    /// All of them, errors first, then in the order of the lists.
    #[must_use]
    pub fn annotations(&self) -> Vec<Annotation> {
        let entries = self.entries().flat_map(|entry| self.of_entry(entry));
        let warnings = self.warnings.iter().map(|warning| Annotation {
            weight: Weight::Warning,
            location: warning.location.clone(),
            title: "external images".to_owned(),
            message: one_line(&warning.message).into_owned(),
        });
        let mut all: Vec<Annotation> = entries.chain(warnings).collect();
        all.sort_by(|one, other| (one.weight, &one.location).cmp(&(other.weight, &other.location)));
        all
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
            // An image without the signature that it needs is a matter of its publisher, not of the line.
            let only_warns = status == Status::Conflict && self.run.on_tag_conflict == OnTagConflict::Warn;
            let weight = if entry.lacks_signature() || only_warns || !entry.is_of_this_change() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{rich_plan, rich_sync};

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

    #[test]
    fn each_is_one_line() {
        for annotation in rich_sync().annotations().iter().chain(&rich_plan().annotations()) {
            assert!(!annotation.message.contains(char::is_control), "{annotation:?}");
            assert!(!annotation.title.contains(char::is_control), "{annotation:?}");
        }
    }
}
