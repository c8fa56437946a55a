//! A [`Plan`], executed: blobs, children, index, companions, and the tag last.
//!
//! The copier decides nothing. It does what the plan says, checks that the target's tags still are as
//! the plan saw them right before it writes one, and reads them back right after. One image that fails
//! stops no other.

mod ahead;
mod blob;
mod companion;
mod image;
mod lines;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};
use tokio_util::task::AbortOnDropHandle;

use crate::event::{Event, Events};
use crate::oci::Digest;
use crate::plan::{Cause, CauseKind, Decision, Item, Outcome, Plan, RemarkKind, Result, Side, Transfer};
use crate::store::{Sources, Target};
use blob::Ledger;
use lines::Lines;

/// What all images of a run share.
struct Run {
    plan: Arc<Plan>,
    sources: Arc<Sources>,
    target: Arc<dyn Target>,
    ledger: Ledger,
    events: Events,
}

/// Why an image was not copied.
enum Stop {
    Failed(Cause),
    Conflict(Cause),
}

/// Does what the plan says, and tells what became of each item, in the plan's order.
///
/// The items in `unseen` are left out: the run had to end before anybody looked at them. When `stop`
/// completes, everything under way is dropped where it stands. No tag was pushed for what was not finished,
/// and such items are `not-run`.
pub async fn copy(
    plan: Arc<Plan>,
    unseen: &[usize],
    sources: Arc<Sources>,
    target: Arc<dyn Target>,
    events: &Events,
    stop: impl Future<Output = ()>,
) -> Vec<Result> {
    let ledger = Ledger::of(&plan.seen_blobs);
    let run = Arc::new(Run { plan, sources, target, ledger, events: events.clone() });
    let mut results: Vec<Option<Result>> = run.plan.items.iter().map(settled).collect();
    for index in unseen {
        results[*index] = Some(ended(Outcome::NotRun));
    }
    let waiting: Vec<usize> = (0..results.len()).filter(|index| results[*index].is_none()).collect();
    let bytes = waiting.iter().filter_map(|index| run.plan.items[*index].bytes);
    let bytes = bytes.fold(0, u64::saturating_add);
    events.tell(Event::CopyStarted { items: waiting.len(), bytes });
    for (item, result) in results.iter().enumerate() {
        if let Some(result) = result.as_ref().filter(|result| result.outcome != Outcome::NotRun) {
            run.tell_finished(item, result);
        }
    }
    let mut lines = Lines::of(&run.plan.items, waiting);
    let ahead = AbortOnDropHandle::new(tokio::spawn(ahead::run(Arc::clone(&run))));
    let mut tasks = JoinSet::new();
    let mut under_way: HashMap<Id, usize> = HashMap::new();
    tokio::pin!(stop);
    loop {
        while let Some(index) = lines.next() {
            let run = Arc::clone(&run);
            under_way.insert(tasks.spawn(async move { run.item(index).await }).id(), index);
        }
        let ended = tokio::select! {
            () = &mut stop => break,
            ended = tasks.join_next_with_id() => ended,
        };
        let (id, result) = match ended {
            None => break,
            Some(Ok((id, result))) => (id, result),
            Some(Err(error)) => (error.id(), crashed()),
        };
        if let Some(index) = under_way.remove(&id) {
            lines.finished(index);
            run.tell_finished(index, &result);
            results[index] = Some(result);
        }
    }
    tasks.shutdown().await;
    drop(ahead);
    results.into_iter().map(|result| result.unwrap_or_else(|| ended(Outcome::NotRun))).collect()
}

/// The result of an item that there is nothing to do for.
fn settled(item: &Item) -> Option<Result> {
    match &item.decision {
        Decision::Copy | Decision::Companions | Decision::Move => None,
        Decision::UpToDate => Some(ended(Outcome::UpToDate)),
        Decision::Conflict => Some(ended(Outcome::Conflict(planned_conflict(item)))),
        Decision::Blocked(cause) => Some(ended(Outcome::Blocked(cause.clone()))),
        Decision::Deferred(cause) => Some(ended(Outcome::Deferred(cause.clone()))),
    }
}

/// A conflict that the plan saw: of a companion's tag, or of the image's own.
fn planned_conflict(item: &Item) -> Cause {
    match item.remarks.iter().find(|remark| remark.kind == RemarkKind::CompanionConflict) {
        Some(remark) => {
            let target = item.target.to_string();
            Cause::failure(Side::Target, Cause::COMPANION_TAG, target, remark.message.clone())
        }
        None => conflict(item, item.target_digest.as_ref()),
    }
}

fn ended(outcome: Outcome) -> Result {
    Result { outcome, transfer: Transfer::default(), proof: None, duration: Duration::ZERO }
}

/// The result of a task that panicked, which none should.
fn crashed() -> Result {
    let message = "this is a mistake in image-syncer; please report it with the log".to_owned();
    ended(Outcome::Failed(Cause::failure(Side::Target, "copy", "the image".to_owned(), message)))
}

/// A tag at the target that has other content than it should.
fn conflict(item: &Item, found: Option<&Digest>) -> Cause {
    let has = found.map_or_else(|| "it is not there".to_owned(), |found| format!("it has {found}"));
    let wants = item.digest.as_ref().map_or_else(String::new, |wants| format!(", the list wants {wants}"));
    Cause::failure(Side::Target, "create tag", item.target.to_string(), format!("{has}{wants}"))
}

impl Run {
    async fn item(&self, index: usize) -> Result {
        let item = &self.plan.items[index];
        let started = Instant::now();
        let target = item.target.to_string();
        self.events.tell(Event::ItemStarted { item: index, target, bytes: item.bytes.unwrap_or_default() });
        let image = image::Image::new(self, item);
        let outcome = match image.copy().await {
            Ok(()) if item.decision == Decision::Companions => Outcome::CompanionsCopied,
            Ok(()) if item.decision == Decision::Move => Outcome::Moved,
            Ok(()) => Outcome::Copied,
            Err(Stop::Failed(cause)) if cause.kind == CauseKind::Quota => Outcome::Deferred(cause),
            Err(Stop::Failed(cause)) => Outcome::Failed(cause),
            Err(Stop::Conflict(cause)) => Outcome::Conflict(cause),
        };
        Result { outcome, transfer: image.transfer(), proof: image.proof(), duration: started.elapsed() }
    }

    fn tell_finished(&self, index: usize, result: &Result) {
        self.events.tell(Event::ItemFinished {
            item: index,
            target: self.plan.items[index].target.to_string(),
            outcome: result.outcome.clone(),
            transfer: result.transfer,
        });
    }
}
