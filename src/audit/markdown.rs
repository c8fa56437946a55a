//! An audit as GitHub's Markdown, for a step's summary and for an issue. Text from outside is escaped and begins no
//! line.

use std::fmt::Write as _;

use super::Audit;
use super::finding::{Check, Finding, State};
use super::summary::{by_weight, effort, exit_code, headline, reach};
use crate::plan::Cause;
use crate::report::markdown::{Page, Part, code, prose};
use crate::report::units::count;

/// What was found in at most `limit` bytes, cut between rows with a notice of what is left out.
#[must_use]
pub fn markdown(audit: &Audit, limit: usize) -> String {
    let mark = if exit_code(audit) == 0 { "✅" } else { "❌" };
    let mut head = format!("## {mark} {}\n\n", prose(&headline(audit)));
    if let Some(interruption) = audit.interruption {
        let _ = write!(head, "> [!WARNING]\n> {}.\n\n", interruption.sentence());
    }
    let _ = write!(head, "Target: {}\n\n", code(&audit.prefix.to_string()));
    let footer = [effort(audit), reach(audit)].map(|text| prose(&text)).join(" ");
    let footer = format!("{}\n\nimage-syncer {}\n", footer.trim(), env!("CARGO_PKG_VERSION"));
    let mut page = Page::new(head, footer, limit, "The JSON report has everything.");
    let checks = by_weight(audit);
    let found: Vec<&&Check> = checks.iter().filter(|check| check.state() == State::Found).collect();
    page.part(&Part::open("images with findings", "Findings", ""), &found, |check| image(check));
    let strays = audit.unlisted.as_ref().map_or(&[][..], |unlisted| &unlisted.strays);
    let all = strays.len() + audit.unlisted.as_ref().map_or(0, |unlisted| unlisted.more_strays);
    let heading = count(all as u64, "tag that no list names", "tags that no list names");
    page.part(&Part::open("unlisted tags", &heading, ""), strays, |stray| {
        let digest =
            stray.digest.as_ref().map_or_else(String::new, |it| format!(" {}", code(&it.to_string())));
        format!("- {}{digest}\n", code(&stray.target.to_string()))
    });
    let failures: Vec<&Cause> = checks
        .iter()
        .filter(|check| check.state() == State::Failed)
        .flat_map(|check| &check.failures)
        .chain(audit.unlisted.iter().flat_map(|unlisted| &unlisted.failures))
        .collect();
    page.part(&Part::open("failures", "Could not be looked up", ""), &failures, |cause| {
        format!("- {}\n", prose(&cause.to_string()))
    });
    let sound = checks.iter().filter(|check| check.state() != State::Found);
    let remarks = sound.flat_map(|check| {
        check.remarks.iter().map(|remark| (check.target.to_string(), remark.message.as_str()))
    });
    let warnings = audit.warnings.iter().map(|it| (it.location.to_string(), it.message.as_str()));
    let remarks: Vec<(String, &str)> = remarks.chain(warnings).collect();
    let title = count(remarks.len() as u64, "remark", "remarks");
    page.part(&Part::folded("remarks", &title, ""), &remarks, |(place, message)| {
        format!("- {}: {}\n", code(place), prose(message))
    });
    page.finish()
}

/// An image with its findings.
fn image(check: &Check) -> String {
    let mut text = format!("- {} ({})\n", code(&check.target.to_string()), code(&check.location.to_string()));
    for finding in &check.findings {
        text.push_str(&row(finding));
    }
    if check.more_findings > 0 {
        let _ = writeln!(text, "  - and {} more", check.more_findings);
    }
    for failure in &check.failures {
        let _ = writeln!(text, "  - **failed**: {}", prose(&failure.to_string()));
    }
    for remark in &check.remarks {
        let _ = writeln!(text, "  - {}", prose(&remark.message));
    }
    text
}

fn row(finding: &Finding) -> String {
    let part = finding.part.as_ref().map_or_else(String::new, |part| format!(" ({})", prose(part)));
    format!(
        "  - **{}**{part}: {}<br>→ {}\n",
        finding.kind.word(),
        prose(&finding.message),
        prose(&finding.advice)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::sample;

    #[test]
    fn an_audit_in_markdown() {
        insta::assert_snapshot!(markdown(&sample::audit(), usize::MAX));
    }

    #[test]
    fn it_is_cut_between_images() {
        let whole = markdown(&sample::audit(), usize::MAX);
        let cut = markdown(&sample::audit(), 2000);
        assert!(cut.len() <= 2000 && cut.len() < whole.len(), "{}", cut.len());
        assert!(cut.contains("Cut to fit into 2,000 bytes"), "{cut}");
    }

    #[test]
    fn text_from_outside_is_harmless() {
        let text = markdown(&sample::audit(), usize::MAX);
        assert!(!text.contains("@team") && !text.contains("<script>"), "{text}");
        assert!(text.lines().all(|line| !line.starts_with("::")), "{text}");
    }
}
