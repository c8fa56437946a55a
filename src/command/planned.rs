//! `sync --plan`: a plan that was made before, checked against the lists and the policy of today.
//!
//! The file may come from anywhere. Which images are mirrored, from where and to where, is what the lists say; the plan
//! says which digests they have, and what belongs to them. Whatever of it does not fit to the lists is refused, so that
//! no plan makes a sync do what the lists do not ask for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::UsageError;
use super::shard::read;
use crate::config::{Config, Entry};
use crate::oci::{Digest, Platform, Registry};
use crate::plan::{
    Cause, Companion, CompanionPlace, Decision, Item, Plan, Remark, RemarkKind, Side, Standing,
};
use crate::policy::Policy;
use crate::report::{Mode, Report};
use crate::store::{Moved, Settled, Settlement, Sources};

/// More companions of an image than this no plan has that is in order.
const MOST_COMPANIONS: usize = 1000;

/// So many entries that do not fit are named.
const NAMED: usize = 3;

/// A plan that fits to the lists.
#[derive(Debug)]
pub struct Planned {
    /// The plan's digest.
    pub digest: Digest,
    /// Its items, by their places in the lists.
    items: BTreeMap<usize, Item>,
}

/// The sources of which a plan counts.
pub(super) type SettledSources = HashMap<Registry, Arc<Settled>>;

/// Reads a plan, and checks that it is one of these lists and of this policy, by this version of the program.
pub(super) fn load(path: &Path, config: &Config, policy: &Policy) -> Result<Planned, UsageError> {
    let planned = read(path).and_then(|report| {
        Planned::new(report, config, policy).map_err(|fault| format!("{}: {fault}", path.display()))
    });
    planned.map_err(|fault| UsageError::Option(format!("--plan: {fault}")))
}

impl Planned {
    /// The plan that a report is of, if it can be carried out today.
    fn new(report: Report, config: &Config, policy: &Policy) -> Result<Self, String> {
        check_run(&report)?;
        let Report { run, plan, .. } = report;
        check_choices(&plan, config, policy)?;
        let lists = run.lists.as_ref().or(run.part.as_ref().map(|part| &part.lists));
        let other_lists = lists.is_some_and(|lists| *lists != config.digest());
        let differences = differences(&plan, config, run.part.is_some());
        if other_lists || !differences.is_empty() {
            return Err(of_other_lists(&differences));
        }
        let stated = plan.digest;
        let plan = Plan::new(plan.items, plan.signatures, plan.policy, plan.seen_blobs);
        if plan.digest != stated {
            return Err(format!(
                "its `plan_digest` is {stated}, and its items have {}: somebody changed it; make a new plan",
                plan.digest
            ));
        }
        for item in &plan.items {
            check_item(item).map_err(|fault| format!("{}: {fault}; make a new plan", item.target))?;
        }
        let items = plan.items.into_iter().map(|item| (item.position, item)).collect();
        let planned = Self { digest: plan.digest, items };
        planned.settlements().map(|_| planned)
    }

    /// What it found at each source.
    fn settlements(&self) -> Result<HashMap<Registry, Settlement>, String> {
        let mut settlements: HashMap<Registry, Settlement> = HashMap::new();
        for item in self.items.values() {
            let repository = &item.source.repository;
            let settlement = settlements.entry(item.source.registry.clone()).or_default();
            let mut fits = true;
            if let (Some(tag), None) = (&item.source.tag, &item.source.digest) {
                fits &= match (&item.source_digest, &item.decision) {
                    (Some(digest), _) => settlement.image(repository, tag, Some(digest)),
                    // The source was gone, and the target had the image.
                    (None, Decision::UpToDate) => settlement.image(repository, tag, None),
                    (None, _) => true,
                };
            }
            let found = item.companions.iter().flatten();
            for companion in found.filter(|companion| companion.standing != Standing::Gone) {
                match &companion.place {
                    CompanionPlace::Tag(tag) => {
                        fits &= settlement.companion(repository, tag, &companion.digest);
                    }
                    CompanionPlace::Referrer => {
                        settlement.referrer(repository, &companion.subject, &companion.digest);
                    }
                }
            }
            if !fits {
                return Err(format!("it has two digests for a tag of {}; make a new plan", item.source));
            }
        }
        Ok(settlements)
    }

    /// The sources as the plan found them.
    pub(super) fn settle(&self, sources: &Sources) -> SettledSources {
        // It was checked that they fit together.
        let settlements = self.settlements().unwrap_or_default().into_iter();
        settlements
            .filter_map(|(registry, settlement)| {
                let source = Arc::clone(sources.get(&registry)?);
                Some((registry, Arc::new(Settled::new(source, settlement))))
            })
            .collect()
    }

    /// Whether it has all of these entries: one of a shard has some.
    pub(super) fn check_covers(&self, entries: &[Entry]) -> Result<(), UsageError> {
        let missing = entries.iter().filter(|entry| !self.items.contains_key(&entry.position)).count();
        if missing == 0 {
            return Ok(());
        }
        let message = format!(
            "--plan: it lacks {missing} of the {} images of this run: is it the plan of another shard?",
            entries.len()
        );
        Err(UsageError::Option(message))
    }

    /// Holds a plan of today to this one: what is not as it was decided is not done, and what moved is said.
    pub(super) fn hold(&self, plan: &mut Plan, unseen: &[usize], sources: &SettledSources) {
        for (index, item) in plan.items.iter_mut().enumerate() {
            let planned = self.items.get(&item.position).filter(|_| !unseen.contains(&index));
            let Some(planned) = planned else { continue };
            item.remarks.extend(moved(item, planned, sources));
            item.remarks.extend(companions_gone(item, planned));
            if !item.decision.writes() {
                continue;
            }
            if let Some(decision) = held(item, planned) {
                item.decision = decision;
            }
        }
    }
}

/// What stands in place of a decision that the plan did not make.
fn held(item: &Item, planned: &Item) -> Option<Decision> {
    let refused = |message: String| {
        let target = item.target.to_string();
        Some(Decision::Blocked(Cause::failure(Side::Target, "carry out the plan for", target, message)))
    };
    if !planned.decision.writes() && planned.decision != Decision::UpToDate {
        let word = planned.decision.word();
        return refused(format!(
            "the plan has `{word}` for it, and the target is not as it was; make a new plan"
        ));
    }
    if item.digest.is_none() || item.digest != planned.digest {
        let shown =
            |digest: &Option<Digest>| digest.as_ref().map_or("no digest".to_owned(), ToString::to_string);
        let (now, then) = (shown(&item.digest), shown(&planned.digest));
        return refused(format!("the plan has {then} for it, and its source gives {now}; make a new plan"));
    }
    // What the tag has was not there to be decided on.
    let other = item.decision == Decision::Move && item.target_digest != planned.target_digest;
    other.then_some(Decision::Conflict)
}

/// What became of the source's tag since the plan.
fn moved(item: &Item, planned: &Item, sources: &SettledSources) -> Option<Remark> {
    let (Some(tag), None) = (&item.source.tag, &item.source.digest) else { return None };
    let moved = sources.get(&item.source.registry)?.moved(&item.source.repository, tag)?;
    let then = planned.source_digest.as_ref()?;
    let message = match moved {
        Moved::To(now) => format!("the source's tag has moved to {now} since the plan, which has {then}"),
        Moved::Away => format!("the source does not have the tag any more; the plan has {then}"),
        Moved::Unknown(error) => {
            format!("whether the source's tag has moved since the plan is not known: {}", error.message)
        }
    };
    Some(Remark { kind: RemarkKind::SourceMoved, message })
}

/// What belonged to the image when the plan was made, and is not to be had any more.
fn companions_gone(item: &Item, planned: &Item) -> Vec<Remark> {
    let Some(found) = &item.companions else { return Vec::new() };
    let is_found = |one: &&Companion| {
        found.iter().any(|other| one.digest == other.digest && one.place == other.place)
            || one.standing == Standing::Gone
    };
    let gone = planned.companions.iter().flatten().filter(|companion| !is_found(companion));
    gone.map(|companion| {
        let (kind, digest) = (companion.kind.word(), &companion.digest);
        let message =
            format!("the source does not have the {kind} {digest} of the plan any more; it cannot be copied");
        Remark { kind: RemarkKind::CompanionGone, message }
    })
    .collect()
}

/// Fails if the report is none of a plan that can be carried out.
fn check_run(report: &Report) -> Result<(), String> {
    let run = &report.run;
    if run.mode != Mode::Plan {
        return Err("it is the report of a sync; give what `plan --out` wrote".to_owned());
    }
    let version = env!("CARGO_PKG_VERSION");
    if run.version != version {
        let made: String = run.version.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(format!(
            "image-syncer {made} made it, and this is {version}, which may decide otherwise; make a new plan"
        ));
    }
    if run.interruption.is_some() || run.unreported.is_some() || !report.unseen.is_empty() {
        return Err("it is not whole: the run that made it came to an early end; make a new plan".to_owned());
    }
    Ok(())
}

/// Fails if the plan was made with other choices than this run's.
fn check_choices(plan: &Plan, config: &Config, policy: &Policy) -> Result<(), String> {
    if plan.signatures != config.signatures {
        return Err(format!(
            "it was made with `--signatures {}`, and this run has `--signatures {}`; give the same",
            plan.signatures.word(),
            config.signatures.word()
        ));
    }
    let today = policy.digest();
    if plan.policy == today {
        return Ok(());
    }
    Err(match (&plan.policy, today) {
        (None, _) => "it was made without a policy, and this run has one; make a new plan",
        (Some(_), None) => "it was made with a policy, and this run has none; give it with --policy-file",
        (Some(_), Some(_)) => "it was made with another policy than this run's; make a new plan",
    }
    .to_owned())
}

/// What plan and lists do not have in common, in words. A plan of a `part` lacks entries.
fn differences(plan: &Plan, config: &Config, part: bool) -> Vec<String> {
    let items: HashMap<String, &Item> =
        plan.items.iter().map(|item| (item.target.to_string(), item)).collect();
    let mut seen = 0;
    let mut differences = Vec::new();
    for entry in &config.entries {
        match items.get(&entry.target.to_string()) {
            Some(item) => {
                seen += 1;
                if !asks_for(entry, item) {
                    differences
                        .push(format!("{}: it has another entry for {}", entry.location, entry.target));
                }
            }
            None if part => {}
            None => differences.push(format!("{}: it lacks {}", entry.location, entry.target)),
        }
    }
    if seen < plan.items.len() {
        let listed: HashSet<String> = config.entries.iter().map(|entry| entry.target.to_string()).collect();
        let more = plan.items.iter().map(|item| item.target.to_string());
        let before = differences.len();
        differences.extend(
            more.filter(|target| !listed.contains(target)).map(|target| format!("it has {target} besides")),
        );
        if differences.len() == before {
            differences.push("it has a target twice".to_owned());
        }
    }
    differences
}

/// Whether an item of a plan is of this very entry.
fn asks_for(entry: &Entry, item: &Item) -> bool {
    let named = |platforms: &[Platform]| platforms.iter().map(ToString::to_string).collect::<Vec<_>>();
    entry.position == item.position
        && entry.target == item.target
        && entry.source == item.source
        && named(&entry.platforms) == named(&item.chosen)
}

fn of_other_lists(differences: &[String]) -> String {
    let named = differences.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match differences.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named = if named.is_empty() { "their order".to_owned() } else { named };
    format!("it is of other lists than this run's ({named}{more}); make a new plan")
}

/// Fails if what is said of an image cannot have been planned.
fn check_item(item: &Item) -> Result<(), String> {
    let differ = |one: &Option<Digest>, other: &Option<Digest>| {
        one.as_ref().is_some_and(|one| other.as_ref().is_some_and(|other| one != other))
    };
    if differ(&item.source.digest, &item.source_digest) {
        return Err("its `source_digest` is not that of its source".to_owned());
    }
    if item.chosen.is_empty() && differ(&item.source_digest, &item.digest) {
        return Err("its `digest` is not that of its source".to_owned());
    }
    if item.decision.writes() && (item.digest.is_none() || item.source_digest.is_none()) {
        return Err(format!("it is to be done (`{}`) and has no digest", item.decision.word()));
    }
    if item.companions.as_ref().is_some_and(|companions| companions.len() > MOST_COMPANIONS) {
        return Err(format!("it has more than {MOST_COMPANIONS} companions"));
    }
    Ok(())
}
