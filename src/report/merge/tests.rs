//! Reports of shards, divided from a whole one and put together again.

use super::*;
use crate::config::TargetPrefix;
use crate::oci::Digest;
use crate::plan::{Decision, Outcome};
use crate::report::sample::{plan_report, rich_plan, rich_sync, sync_report};
use crate::report::{Mode, OnTagConflict};

/// The reports of `count` shards of `whole`, each image in turn.
fn shards(whole: &Report, count: usize) -> Vec<(String, Report)> {
    let shard = |index: usize| {
        let mut part = whole.clone();
        let is_ours = |position: usize| position % count + 1 == index;
        let places: Vec<usize> = (0..whole.plan.items.len()).filter(|place| is_ours(*place)).collect();
        part.plan.items = places.iter().map(|place| whole.plan.items[*place].clone()).collect();
        part.results = whole
            .results
            .as_ref()
            .map(|results| places.iter().filter_map(|place| results.get(*place).cloned()).collect());
        part.unseen = places
            .iter()
            .enumerate()
            .filter(|(_, it)| whole.unseen.contains(it))
            .map(|(index, _)| index)
            .collect();
        part.run.part = Some(Part {
            shard: crate::shard::Shard::new(index, count).expect("a shard"),
            images: whole.plan.items.len(),
            lists: Digest::sha256(b"the lists"),
        });
        part.run.bytes_moved = whole.run.bytes_moved / count as u64;
        (format!("shard-{index}.json"), part)
    };
    (1..=count).map(shard).collect()
}

/// A report whose digest is that of its items, and whose sums can be divided.
fn whole(mut report: Report) -> Report {
    let Plan { items, signatures, policy, seen_blobs, .. } = report.plan;
    report.plan = Plan::new(items, signatures, policy, seen_blobs);
    report.run.version = env!("CARGO_PKG_VERSION").to_owned();
    report.run.bytes_moved = 720;
    report.run.retries = 0;
    report.run.bytes_downloaded_again = 0;
    report.run.bytes_sent_twice = 0;
    report.run.pulls.clear();
    report.warnings.sort();
    report
}

#[test]
fn what_was_divided_becomes_the_same_again() {
    let mut interrupted = whole(sync_report(vec![Outcome::Copied, Outcome::NotRun, Outcome::Copied]));
    interrupted.unseen.insert(1);
    for report in [whole(rich_sync()), whole(rich_plan()), whole(plan_report(vec![])), interrupted] {
        for count in [1, 2, 3, 8] {
            let mut shards = shards(&report, count);
            shards.reverse();
            assert_eq!(merge(shards).expect("a report").json(), report.json(), "{count}");
        }
    }
}

#[test]
fn a_shard_without_a_report_is_a_failure_that_says_which() {
    let report = whole(sync_report(vec![Outcome::Copied; 10]));
    let mut some = shards(&report, 4);
    some.remove(2);
    let merged = merge(some.clone()).expect("a report");
    assert_eq!(merged.verdict().exit_code(), 1);
    assert_eq!(merged.result(), "failed");
    assert_eq!(merged.headline(), "Sync: 8 copied, 2 not reported");
    let sentence = "Shard 3 of 4 has no report: 2 images of the list not reported";
    assert!(
        merged.markdown(usize::MAX).contains(&format!("**{sentence}.**")),
        "{}",
        merged.markdown(usize::MAX)
    );
    let text = merged.terminal(crate::report::Look::default());
    assert!(text.contains("Sync: 8 of 10 images"), "{text}");
    assert!(text.contains("Exit code 1: shard 3 of 4 has no report: 2 images"), "{text}");
    some.remove(0);
    let merged = merge(some).expect("a report");
    let said = merged.run.unreported.expect("a part is missing").sentence();
    assert_eq!(said, "Shards 1 and 3 of 4 have no report: 5 images of the list not reported");
}

/// Also where it would have had nothing to do: nobody knows that.
#[test]
fn a_shard_of_no_images_has_to_report_too() {
    let report = whole(sync_report(vec![Outcome::UpToDate; 2]));
    let mut some = shards(&report, 3);
    some.pop();
    let merged = merge(some).expect("a report");
    assert_eq!(merged.verdict().exit_code(), 1);
    assert_eq!(merged.headline(), "Sync: 2 up to date, 0 not reported");
}

#[test]
fn the_strongest_of_the_shards_decides() {
    let outcomes = |worst: Outcome| vec![Outcome::Copied, Outcome::Copied, worst];
    let cause = || crate::report::sample::cause(crate::plan::CauseKind::Failure, "no");
    for (worst, interruption, code) in [
        (Outcome::Copied, None, 0),
        (Outcome::Conflict(cause()), None, 3),
        (Outcome::Failed(cause()), None, 1),
        (Outcome::Deferred(cause()), None, 4),
        (Outcome::Failed(cause()), Some(Interruption::Terminate), 143),
        (Outcome::NotRun, Some(Interruption::TimeLimit), 1),
    ] {
        let mut shards = shards(&whole(sync_report(outcomes(worst.clone()))), 3);
        shards[1].1.run.interruption = interruption;
        assert_eq!(merge(shards).expect("a report").verdict().exit_code(), code, "{worst:?}");
    }
    let mut shards = shards(&whole(sync_report(outcomes(Outcome::Copied))), 3);
    shards[0].1.run.interruption = Some(Interruption::TimeLimit);
    shards[1].1.run.interruption = Some(Interruption::Terminate);
    shards[2].1.run.interruption = Some(Interruption::Interrupt);
    assert_eq!(merge(shards).expect("a report").verdict().exit_code(), 130);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    type Change = fn(&mut Vec<(String, Report)>);
    let cases: [(&str, Change); 11] = [
        ("there is no report", |all| all.clear()),
        ("shard-2.json is the report of a run without --shard", |all| all[1].1.run.part = None),
        ("shard-1.json and again.json are both of shard 1", |all| {
            let again = ("again.json".to_owned(), all[0].1.clone());
            all.push(again);
        }),
        ("shard-1.json and shard-2.json have another list", |all| {
            all[1].1.run.part.as_mut().expect("a part").lists = Digest::sha256(b"others");
        }),
        ("shard-1.json and shard-2.json have another target prefix", |all| {
            // Its lists differ, too: whole targets are what they ask for.
            all[1].1.prefix = TargetPrefix::Layout { folder: "mirror".into() };
            all[1].1.run.part.as_mut().expect("a part").lists = Digest::sha256(b"others");
        }),
        ("shard-1.json and shard-2.json have another number of shards", |all| {
            all[1].1.run.part.as_mut().expect("a part").shard = "2/4".parse().expect("a shard");
        }),
        ("shard-1.json and shard-2.json have another mode", |all| all[1].1.run.mode = Mode::Plan),
        ("shard-1.json and shard-2.json have another `--on-tag-conflict`", |all| {
            all[1].1.run.on_tag_conflict = OnTagConflict::Warn;
        }),
        ("shard-1.json and shard-3.json have another policy", |all| {
            all[2].1.plan.policy = Some(Digest::sha256(b"a policy"));
        }),
        ("image 2 of the list is in none", |all| {
            all[1].1.plan.items.remove(0);
        }),
        ("image 2 of the list is in two", |all| {
            let item = all[1].1.plan.items[0].clone();
            all[2].1.plan.items.push(Item { decision: Decision::Copy, ..item });
        }),
    ];
    for (expected, change) in cases {
        let mut shards = shards(&whole(sync_report(vec![Outcome::Copied; 6])), 3);
        change(&mut shards);
        let said = merge(shards).expect_err(expected).to_string();
        assert!(said.starts_with(expected), "{said}");
    }
}

/// Machines of one run may have other versions of the program.
#[test]
fn the_version_of_the_program_may_differ() {
    let mut shards = shards(&whole(sync_report(vec![Outcome::Copied; 4])), 2);
    shards[1].1.run.version = "0.0.7".to_owned();
    assert_eq!(merge(shards).expect("a report").verdict().exit_code(), 0);
}

/// Whatever numbers a report holds, it is read and added, and all views can be made of it.
#[test]
fn sums_of_foreign_numbers_end_at_the_largest() {
    fn largest(value: &mut serde_json::Value, place: &str) {
        let found = value.pointer_mut(place).expect(place);
        for number in found.as_object_mut().expect("an object").values_mut().filter(|it| it.is_u64()) {
            *number = u64::MAX.into();
        }
    }
    let hostile = |change: &dyn Fn(&mut serde_json::Value)| {
        let hostile = |(name, report): (String, Report)| {
            let mut document = serde_json::from_str(&report.json()).expect("JSON");
            change(&mut document);
            (name, crate::report::json::read(document.to_string().as_bytes()).expect("a report"))
        };
        let mut whole = whole(rich_sync());
        let proof = Some(plan::Proof { expected: 1, verified: 1 });
        whole.results.iter_mut().flatten().for_each(|result| result.proof = proof);
        let reports = shards(&whole, 2).into_iter().map(hostile).collect();
        let merged = merge(reports).expect("a report");
        let _ = (merged.terminal(crate::report::Look::default()), merged.markdown(usize::MAX));
        serde_json::from_str::<serde_json::Value>(&merged.json()).expect("JSON")
    };
    let of_items = |document: &mut serde_json::Value, change: &dyn Fn(&mut serde_json::Value)| {
        document["items"].as_array_mut().expect("items").iter_mut().for_each(change);
    };
    let merged = hostile(&|document| document["retries"] = u64::MAX.into());
    assert_eq!(merged["retries"], u64::MAX);
    let merged = hostile(&|document| largest(document, "/totals"));
    assert_eq!(merged["totals"]["bytes_moved"], u64::MAX);
    let merged = hostile(&|document| of_items(document, &|item| largest(item, "/transfer")));
    for sum in ["blobs_copied", "bytes_copied", "blobs_mounted", "blobs_present", "manifests_pushed"] {
        assert_eq!(merged["totals"]["transfer"][sum], u64::MAX, "{sum}");
    }
    let merged = hostile(&|document| of_items(document, &|item| largest(item, "/companions_proof")));
    assert_eq!(merged["totals"]["companions_proof"]["verified"], u64::MAX);
    hostile(&|document| {
        of_items(document, &|item| {
            let companions = item["companions"].as_array_mut().into_iter().flatten();
            companions.for_each(|companion| companion["count"] = u64::MAX.into());
            item["bytes"] = u64::MAX.into();
            item["bytes_to_move"] = u64::MAX.into();
            item["duration_ms"] = u64::MAX.into();
        });
    });
    hostile(&|document| document["duration_ms"] = u64::MAX.into());
    let mut some = shards(&whole(sync_report(vec![Outcome::Copied; 4])), 3);
    some.pop();
    for (_, report) in &mut some {
        report.run.part.as_mut().expect("a part").images = usize::MAX;
        report.run.unreported = Some(Unreported { shards: vec![3], count: 3, images: usize::MAX });
    }
    let merged = merge(some).expect("a report");
    let _ = (merged.terminal(crate::report::Look::default()), merged.markdown(usize::MAX));
    assert_eq!(merged.run.unreported.map(|unreported| unreported.images), Some(usize::MAX - 3));
}

#[test]
fn sums_are_added_and_what_is_said_twice_is_said_once() {
    let mut shards = shards(&whole(sync_report(vec![Outcome::Copied; 4])), 2);
    let pulls = |needed, remaining| Pulls {
        registry: "docker.io".parse().expect("a registry"),
        needed,
        is_minimum: needed > 3,
        remaining,
        limit: Some(100),
        window: Some(std::time::Duration::from_secs(21600)),
    };
    for ((_, report), pulls) in shards.iter_mut().zip([pulls(3, 90), pulls(4, 80)]) {
        report.run.retries = 2;
        report.run.remarks = vec!["something".to_owned()];
        report.run.pulls = vec![pulls];
    }
    let run = merge(shards).expect("a report").run;
    assert_eq!((run.retries, run.bytes_moved, run.remarks.len()), (4, 720, 1));
    assert_eq!(run.pulls, [pulls(7, 80)]);
}
