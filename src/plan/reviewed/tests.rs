use std::collections::HashMap;

use super::*;
use crate::config::{Location, Signatures, Target};

fn digest(of: &str) -> Digest {
    Digest::sha256(of.as_bytes())
}

fn item(name: &str, content: &str, decision: Decision) -> Item {
    Item {
        position: 0,
        location: Location { file: "list.yaml".into(), line: 1, column: 1 },
        source: format!("quay.io/org/{name}:1").parse().expect("a reference"),
        target: Target {
            root: "r.example/".into(),
            repository: format!("m/{name}").parse().expect("a repository"),
            tag: "1".parse().expect("a tag"),
        },
        chosen: vec![],
        decision,
        source_digest: Some(digest(content)),
        digest: Some(digest(content)),
        target_digest: None,
        media_type: None,
        platforms: vec![],
        bytes: None,
        bytes_to_move: None,
        graph: None,
        derived: None,
        companions: None,
        reviewed: None,
        verification: None,
        remarks: vec![],
    }
}

fn plan(items: Vec<Item>) -> Plan {
    Plan::new(items, Signatures::Copy, None, HashMap::new())
}

/// A review of these items as they are.
fn review(name: &str, items: &[Item]) -> Reviewed {
    let entries = items.iter().map(|item| {
        let entry = ReviewedEntry {
            source: item.source.to_string(),
            digest: item.digest.clone(),
            platforms: item.chosen.iter().map(ToString::to_string).collect(),
        };
        (item.target.to_string(), entry)
    });
    Reviewed {
        name: name.to_owned(),
        digest: plan(items.to_vec()).digest,
        policy: None,
        signatures: "copy".to_owned(),
        entries: Some(entries.collect()),
    }
}

/// The decisions of items that are compared with reviews, and their messages.
fn compared(items: Vec<Item>, reviews: &[Reviewed], require: bool) -> Vec<(&'static str, Option<String>)> {
    let mut plan = plan(items);
    compare(&mut plan, reviews, require);
    let told = |item: &Item| match &item.decision {
        Decision::Blocked(cause) => (cause.kind == CauseKind::Policy).then(|| cause.message.clone()),
        _ => item.remarks.first().map(|remark| remark.message.clone()),
    };
    plan.items.iter().map(|item| (item.decision.word(), told(item))).collect()
}

#[test]
fn what_is_as_it_was_is_said_to_be() {
    let items = vec![item("a", "one", Decision::Copy), item("b", "two", Decision::Copy)];
    let mut plan = plan(items.clone());
    compare(&mut plan, &[review("#7", &items[..1])], false);
    let expected = Comparison { review: "#7".to_owned(), differences: vec![] };
    assert_eq!(plan.items[0].reviewed, Some(expected));
    assert_eq!(plan.items[1].reviewed, None, "another change brought it");
    assert!(plan.items.iter().all(|item| item.remarks.is_empty() && item.decision == Decision::Copy));
}

#[test]
fn what_moved_is_told_with_both_digests_and_is_stopped_where_that_is_asked_for() {
    let before = item("a", "one", Decision::Copy);
    let review = review("#7", std::slice::from_ref(&before));
    let now = || vec![item("a", "two", Decision::Copy)];
    let message = format!("not as reviewed in #7: its digest was {} and is {}", digest("one"), digest("two"));
    assert_eq!(compared(now(), std::slice::from_ref(&review), false), [("copy", Some(message.clone()))]);
    let told = compared(now(), &[review], true);
    assert_eq!(told[0].0, "blocked");
    assert!(told[0].1.as_ref().is_some_and(|told| told.starts_with(&message)), "{told:?}");
}

#[test]
fn every_aspect_can_differ() {
    let before = item("a", "one", Decision::Copy);
    let mut review = review("#7", std::slice::from_ref(&before));
    review.signatures = "require".to_owned();
    let mut now = item("a", "two", Decision::Copy);
    now.source = "quay.io/org/a:2".parse().expect("a reference");
    now.chosen = vec!["linux/amd64".parse().expect("a platform")];
    let mut plan = plan(vec![now]);
    compare(&mut plan, &[review], false);
    let reviewed = plan.items[0].reviewed.as_ref().expect("a comparison");
    let what: Vec<Aspect> = reviewed.differences.iter().map(|difference| difference.what).collect();
    assert_eq!(what, Aspect::ALL);
}

/// What nobody looked at is not done, but for what the list itself has the digest of, and what is there already.
#[test]
fn what_nobody_reviewed_is_stopped_where_that_is_asked_for() {
    let mut pinned = item("c", "one", Decision::Copy);
    pinned.source.digest = Some(digest("one"));
    let items = vec![item("a", "one", Decision::Copy), item("b", "one", Decision::UpToDate), pinned.clone()];
    let words: Vec<&str> = compared(items, &[], true).iter().map(|(word, _)| *word).collect();
    assert_eq!(words, ["blocked", "up-to-date", "copy"]);
}

#[test]
fn the_newest_review_that_names_an_entry_counts() {
    let (old, new) = (item("a", "one", Decision::Copy), item("a", "two", Decision::Copy));
    let reviews = [review("#9", &[]), review("#8", std::slice::from_ref(&new)), review("#7", &[old])];
    assert_eq!(compared(vec![new], &reviews, true), [("copy", None)]);
}

#[test]
fn of_a_review_without_entries_the_whole_counts() {
    let items = vec![item("a", "one", Decision::Copy)];
    let whole = Reviewed { entries: None, ..review("#7", &items) };
    assert_eq!(compared(items, std::slice::from_ref(&whole), true), [("copy", None)]);
    let other = vec![item("a", "two", Decision::Copy)];
    assert_eq!(compared(other.clone(), std::slice::from_ref(&whole), false), [("copy", None)]);
    assert_eq!(compared(other, &[whole], true)[0].0, "blocked");
}

#[test]
fn of_what_has_no_digest_there_is_nothing_to_compare() {
    let reviewed = item("a", "one", Decision::Copy);
    let cause = Cause::failure(Side::Source, "look at", "a".to_owned(), "no".to_owned());
    let now = Item { digest: None, decision: Decision::Blocked(cause), ..reviewed.clone() };
    let mut plan = plan(vec![now]);
    compare(&mut plan, &[review("#7", &[reviewed])], true);
    assert_eq!(plan.items[0].reviewed, None);
    assert!(matches!(&plan.items[0].decision, Decision::Blocked(cause) if cause.kind == CauseKind::Failure));
}
