use proptest::prelude::*;

use super::*;
use crate::plan::{CauseKind, Decision, Outcome, Remark, RemarkKind};
use crate::report::Interruption;
use crate::report::sample::{cause, hostile_words, plan_report, rich_plan, rich_sync, sync_report};

const fn plain(columns: usize) -> Look {
    Look { columns, colour: false }
}

#[test]
fn a_sync_at_80_columns() {
    insta::assert_snapshot!("sync-80", rich_sync().terminal(plain(80)));
}

#[test]
fn a_sync_at_140_columns() {
    insta::assert_snapshot!("sync-140", rich_sync().terminal(plain(140)));
}

#[test]
fn a_plan_at_100_columns() {
    insta::assert_snapshot!("plan-100", rich_plan().terminal(plain(100)));
}

#[test]
fn a_sync_in_colour() {
    let text = rich_sync().terminal(Look { columns: 100, colour: true });
    insta::assert_snapshot!("sync-colour", text.replace('\u{1b}', "␛"));
}

#[test]
fn an_interrupted_sync_says_so_last() {
    let mut report = sync_report(vec![Outcome::Copied, Outcome::NotRun]);
    report.run.interruption = Some(Interruption::Interrupt);
    let text = report.terminal(plain(80));
    assert!(
        text.ends_with("Exit code 130: the run was interrupted (SIGINT), this is what was done\n"),
        "{text}"
    );
}

#[test]
fn what_nobody_looked_at_in_a_plan_is_not_run() {
    let mut report =
        plan_report(vec![Decision::Copy, Decision::Blocked(cause(CauseKind::Failure, "no turn"))]);
    report.plan.items[0].bytes_to_move = Some(7);
    report.unseen.insert(1);
    report.run.interruption = Some(Interruption::Interrupt);
    let text = report.terminal(plain(80));
    assert!(text.contains("1 not run · 1 to copy\nat least 7 B to move"), "{text}");
    assert!(!text.contains("blocked") && !text.contains("no turn"), "{text}");
    assert!(text.ends_with("the run was interrupted (SIGINT), this is what was found out\n"), "{text}");
}

#[test]
fn targets_are_shown_without_the_prefix_and_nothing_more() {
    let text = plan_report(vec![Decision::Copy]).terminal(plain(80));
    assert!(text.contains("library/app0:1"), "{text}");
    assert!(text.contains("→ registry.example.com/mirror/\n"), "{text}");
}

#[test]
fn many_that_are_up_to_date_are_one_line() {
    let mut outcomes = vec![Outcome::UpToDate; 478];
    outcomes.push(Outcome::Copied);
    let text = sync_report(outcomes).terminal(plain(80));
    assert!(text.contains("✓ up-to-date  478 images\n"), "{text}");
    assert!(text.lines().count() < 10, "{text}");
}

/// Lines fit, but for references, digests and places, which must stay whole to be copied.
#[test]
fn the_table_and_the_prose_fit_any_width() {
    for columns in [40, 60, 80, 100, 120, 140, 200] {
        for report in [rich_plan(), rich_sync()] {
            for line in report.terminal(plain(columns)).lines() {
                let whole = line.split(' ').any(|word| width(word) + 6 > columns)
                    || ["│ source", "│ target", "│ has", "│ wants", "│   source:"]
                        .iter()
                        .any(|label| line.starts_with(label));
                assert!(whole || width(line) <= columns, "{columns}: {line}");
            }
        }
    }
}

fn with_hostile(text: &str) -> [Report; 2] {
    let cause = || cause(CauseKind::Failure, text);
    let mut planned = plan_report(vec![Decision::Copy, Decision::Blocked(cause())]);
    planned.plan.items[0].location.file = text.into();
    planned.plan.items[0].remarks.push(Remark { kind: RemarkKind::ForeignLayer, message: text.to_owned() });
    planned.plan.items[0].target.root = text.into();
    planned.warnings.push(crate::config::Diagnostic {
        location: planned.plan.items[0].location.clone(),
        message: text.to_owned(),
    });
    [planned, sync_report(vec![Outcome::Failed(cause())])]
}

fn assert_harmless(report: &Report) {
    let text = report.terminal(plain(60));
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(!text.contains("##["), "{text}");
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("::"), "a workflow command: {line}");
    }
    // Colours are ours alone: taken away again, the text is the same as without.
    let coloured = report.terminal(Look { columns: 60, colour: true });
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').expect("a colour ends").1;
    }
    stripped.push_str(rest);
    assert_eq!(stripped, text);
}

#[test]
fn what_a_registry_says_cannot_command_a_terminal_or_a_runner() {
    for text in [hostile_words(), "::error::x", "x ::error::x", "\n::stop-commands::x", "\u{9b}2J"] {
        for report in with_hostile(text) {
            assert_harmless(&report);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_can(pieces in prop::collection::vec(prop_oneof![
        Just("::error file=x::".to_owned()), Just("##[".to_owned()), Just("\u{1b}[2J".to_owned()),
        Just("\r\n".to_owned()), Just(" ".to_owned()), Just("\u{9d}0;x\u{9c}".to_owned()), "(?s:.){0,12}",
    ], 0..12)) {
        for report in with_hostile(&pieces.concat()) {
            assert_harmless(&report);
        }
    }
}
