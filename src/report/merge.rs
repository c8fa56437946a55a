//! The reports of several runs that share one list, as one.
//!
//! What is missing is said and decides; what does not belong together is refused, so that no report says more than
//! its parts do.

use std::collections::BTreeMap;

use super::{Interruption, Part, Pulls, Report, Run, Unreported, Verdict};
use crate::config::Diagnostic;
use crate::oci::Registry;
use crate::plan::{self, Item, Plan};

/// Why reports cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There are none.
    #[error("there is no report; name the reports that the runs with --shard wrote")]
    None,
    /// One is of a run that was not one of several.
    #[error("{0} is the report of a run without --shard: it is whole")]
    Whole(String),
    /// Two are not about the same. They may be of different versions of the program, as their machines may be.
    #[error(
        "{0} and {1} have another {2}: give the reports of runs of one list, to one target, with the same options"
    )]
    Different(String, String, &'static str),
    /// Two are of one shard.
    #[error("{0} and {1} are both of shard {2}: give each once, the later one where a run was repeated")]
    Twice(String, String, usize),
    /// Two have the same image, or none has an image of the list.
    #[error("image {0} of the list is {1} of the reports: were the shards balanced by different plans?")]
    Divided(usize, &'static str),
}

/// Makes one report of the reports of shards, each with the name that messages call it by.
///
/// Images are in the order of the lists; the digest of the plan is that of one run. Shards without a report are named
/// in the report, which then ends as one with failures does.
///
/// # Errors
/// The reports are not those of one run.
pub fn merge(reports: Vec<(String, Report)>) -> Result<Report, MergeError> {
    let mut shards = Shards::new();
    for (name, mut report) in reports {
        let part = report.run.part.take().ok_or_else(|| MergeError::Whole(name.clone()))?;
        // A shard can say that of others only by mistake.
        report.run.unreported = None;
        let index = part.shard.index();
        if let Some((other, ..)) = shards.get(&index) {
            return Err(MergeError::Twice(String::clone(other), name, index));
        }
        shards.insert(index, (name, part, report));
    }
    check(&shards)?;
    let Some((_, (_, first, _))) = shards.first_key_value() else { return Err(MergeError::None) };
    let (count, images) = (first.shard.count(), first.images);
    let missing: Vec<usize> = (1..=count).filter(|index| !shards.contains_key(index)).collect();
    let reports: Vec<Report> = shards.into_values().map(|(_, _, report)| report).collect();
    let mut merged = join(reports)?;
    let reported = merged.plan.items.len();
    place_once(&merged.plan.items, images, missing.is_empty())?;
    if !missing.is_empty() {
        let images = images.saturating_sub(reported);
        merged.run.unreported = Some(Unreported { shards: missing, count, images });
    }
    Ok(merged)
}

type Shards = BTreeMap<usize, (String, Part, Report)>;

/// Fails if two are not about the same.
fn check(shards: &Shards) -> Result<(), MergeError> {
    let mut all = shards.values();
    let Some((first_name, first, one)) = all.next() else { return Ok(()) };
    for (name, part, other) in all {
        let differs = [
            ("number of shards", first.shard.count() != part.shard.count()),
            // The digest of the lists has the whole targets in it: so what they begin with comes first.
            ("target prefix", one.prefix != other.prefix),
            ("list", first.lists != part.lists || first.images != part.images),
            ("mode", one.run.mode != other.run.mode),
            ("policy", one.plan.policy != other.plan.policy),
            ("plan (`--plan`)", one.run.by_plan != other.run.by_plan),
            ("trust root", root_of(one) != root_of(other)),
            ("`--signatures`", one.plan.signatures != other.plan.signatures),
            ("`--on-tag-conflict`", one.run.on_tag_conflict != other.run.on_tag_conflict),
        ];
        if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return Err(MergeError::Different(first_name.clone(), name.clone(), what));
        }
    }
    Ok(())
}

/// What tells one trust root from another.
fn root_of(report: &Report) -> Option<&str> {
    report.run.trust_root.as_ref().map(|root| root.digest.as_str())
}

/// Fails if the items are not all the images of the list, or some of them, each once.
fn place_once(items: &[Item], images: usize, whole: bool) -> Result<(), MergeError> {
    let mut next = 0;
    for item in items {
        if item.position < next {
            return Err(MergeError::Divided(item.position + 1, "in two"));
        }
        if (whole && item.position > next) || item.position >= images {
            return Err(MergeError::Divided(next + 1, "in none"));
        }
        next = item.position + 1;
    }
    if whole && next < images { Err(MergeError::Divided(next + 1, "in none")) } else { Ok(()) }
}

/// An item, what became of it, and whether somebody looked at it.
type Row = (Item, Option<plan::Result>, bool);

fn join(reports: Vec<Report>) -> Result<Report, MergeError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut warnings: Vec<Diagnostic> = Vec::new();
    let mut whole: Option<Report> = None;
    for mut report in reports {
        let items = std::mem::take(&mut report.plan.items);
        let mut results = report.results.take().unwrap_or_default().into_iter();
        let unseen = std::mem::take(&mut report.unseen);
        let row = |(index, item)| (item, results.next(), unseen.contains(&index));
        rows.extend(items.into_iter().enumerate().map(row));
        warnings.append(&mut report.warnings);
        match &mut whole {
            None => whole = Some(report),
            Some(whole) => add(&mut whole.run, report.run),
        }
    }
    let whole = whole.ok_or(MergeError::None)?;
    rows.sort_by_key(|(item, ..)| item.position);
    // Each run has read all lists.
    warnings.sort();
    warnings.dedup();
    let unseen =
        rows.iter().enumerate().filter(|(_, (.., unseen))| *unseen).map(|(index, _)| index).collect();
    let is_sync = whole.run.mode == super::Mode::Sync;
    let (items, results): (Vec<Item>, Vec<Option<plan::Result>>) =
        rows.into_iter().map(|(item, result, _)| (item, result)).unzip();
    let Plan { signatures, policy, seen_blobs, .. } = whole.plan;
    Ok(Report {
        run: Run { version: env!("CARGO_PKG_VERSION").to_owned(), ..whole.run },
        plan: Plan::new(items, signatures, policy, seen_blobs),
        prefix: whole.prefix,
        unseen,
        results: is_sync.then(|| results.into_iter().flatten().collect()),
        changes: None,
        warnings,
    })
}

/// Adds what another run says of itself.
fn add(run: &mut Run, other: Run) {
    // They ran side by side.
    run.duration = run.duration.max(other.duration);
    run.retries = run.retries.saturating_add(other.retries);
    run.bytes_moved = run.bytes_moved.saturating_add(other.bytes_moved);
    run.bytes_downloaded_again = run.bytes_downloaded_again.saturating_add(other.bytes_downloaded_again);
    run.bytes_sent_twice = run.bytes_sent_twice.saturating_add(other.bytes_sent_twice);
    run.review = run.review.take().or(other.review);
    run.interruption = stronger(run.interruption, other.interruption);
    for remark in other.remarks {
        if !run.remarks.contains(&remark) {
            run.remarks.push(remark);
        }
    }
    for pulls in other.pulls {
        add_pulls(&mut run.pulls, pulls);
    }
    run.pulls.sort_by(|one, other| one.registry.cmp(&other.registry));
}

/// The one that decides the exit code.
fn stronger(one: Option<Interruption>, other: Option<Interruption>) -> Option<Interruption> {
    one.into_iter().chain(other).min_by_key(|how| Verdict::of_interruption(*how))
}

/// What is left is what the last one to ask was told: the least.
fn add_pulls(all: &mut Vec<Pulls>, other: Pulls) {
    let known = |registry: &Registry| all.iter().position(|pulls| pulls.registry == *registry);
    match known(&other.registry).and_then(|place| all.get_mut(place)) {
        Some(pulls) => {
            pulls.needed = pulls.needed.saturating_add(other.needed);
            pulls.is_minimum |= other.is_minimum;
            pulls.remaining = pulls.remaining.min(other.remaining);
        }
        None => all.push(other),
    }
}

#[cfg(test)]
mod tests;
