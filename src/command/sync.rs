//! `sync` and `plan`: the main job.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use futures::FutureExt as _;

use super::planned::{Planned, SettledSources};
use super::reviewing::Reviewing;
use crate::config::{Config, TargetPrefix};
use crate::copy::copy;
use crate::event::Events;
use crate::inspect::{Depth, Inspection, Wanted, inspect, written};
use crate::layout::Layout;
use crate::oci::{Digest, Registry};
use crate::plan::{Plan, plan};
use crate::policy::Policy;
use crate::registry::{Credential, Credentials, Registries, Settings, SetupError};
use crate::report::{Interruption, Mode, OnTagConflict, Part, Pulls, Report, Run, TrustRoot};
use crate::store::{self, Remembered, Settled, Source, Sources, Target};
use crate::trust::Verifier;
use crate::verify::{Origin, Root};

/// Manifests are kept between inspection and copy up to so many bytes for each registry.
const REMEMBERED_BYTES: usize = 16 * 1024 * 1024;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Job {
    /// The images, and where they go.
    pub config: Config,
    /// Which part of the lists the images are, where several runs share them.
    pub part: Option<Part>,
    /// What there is to say of the run as a whole before it begins: sentences without their full stops.
    pub remarks: Vec<String>,
    /// The digest of what the lists ask for, all parts of them together.
    pub lists: Digest,
    /// The plan that is carried out, if one was made before.
    pub planned: Option<Planned>,
    /// What the plan is compared with before it is carried out.
    pub reviewing: Option<Reviewing>,
    /// What the operator asks for.
    pub policy: Policy,
    /// Whether it is done or only said.
    pub mode: Mode,
    /// What a conflict means for the exit code.
    pub on_tag_conflict: OnTagConflict,
    /// Whom keyless signatures are checked by.
    pub trust_root: Arc<Root>,
    /// How registries are reached.
    pub settings: Settings,
    /// Who we are at registries.
    pub credentials: Arc<Credentials>,
    /// Who we are at the registry of the target prefix, before what `credentials` say.
    pub target_credential: Option<Credential>,
}

/// The target, as far as the mode needs it: a plan never holds anything that can be written to.
enum Sink {
    ToRead(Arc<dyn Source>),
    ToWrite(Arc<dyn Target>),
}

impl Job {
    /// Runs it, until it is done or `stop` says why it must end.
    ///
    /// # Errors
    ///
    /// Fails only if registries cannot be spoken to at all. What goes wrong with an image is in the report.
    pub async fn run(
        self,
        events: &Events,
        stop: impl Future<Output = Interruption> + Send,
    ) -> Result<Report, SetupError> {
        let started = Instant::now();
        let stop = stop.shared();
        let stopped = stop.clone().map(drop::<Interruption> as fn(_)).shared();
        let registries = Registries::new(self.settings.clone(), Arc::clone(&self.credentials))?;
        let mut sources = self.sources(&registries);
        let settled = self.planned.as_ref().map(|planned| settle(planned, &mut sources));
        let sources = Arc::new(sources);
        let sink = self.sink(&registries);
        let (readable, depth): (Arc<dyn Source>, _) = match &sink {
            Sink::ToRead(target) => (Arc::clone(target), Depth::Full),
            Sink::ToWrite(target) => (Arc::<dyn Target>::clone(target), Depth::Needed),
        };
        let now = SystemTime::now();
        let verifier = Verifier::new(Arc::clone(&self.trust_root), now);
        let wanted = Wanted { config: &self.config, policy: &self.policy, verifier: &verifier };
        let Inspection { inventory, unseen } =
            inspect(wanted, &sources, &readable, depth, events, stopped.clone()).await;
        let mut plan = plan(&self.config, &self.policy, inventory);
        if let (Some(planned), Some(settled)) = (&self.planned, &settled) {
            planned.hold(&mut plan, &unseen, settled);
        }
        let mut review = None;
        if let Some(reviewing) = &self.reviewing {
            let in_time = tokio::select! {
                compared = reviewing.compare(&mut plan) => { review = compared; true }
                () = stopped.clone() => false,
            };
            if !in_time {
                reviewing.give_up(&mut plan);
            }
        }
        let plan = Arc::new(plan);
        for item in &plan.items {
            tracing::debug!(source = %item.source, target = %item.target, decision = item.decision.word());
        }
        let counted = Arc::clone(&sources);
        let results = match sink {
            Sink::ToRead(_) => None,
            Sink::ToWrite(target) => {
                Some(copy(Arc::clone(&plan), &unseen, sources, target, events, stopped).await)
            }
        };
        let mut pulls: Vec<Pulls> =
            counted.iter().filter_map(|(registry, source)| pulls(registry, source.as_ref(), &plan)).collect();
        pulls.sort_by(|one, other| one.registry.cmp(&other.registry));
        let traffic = registries.traffic();
        let skipped = if results.is_some() { traffic.skipped.load(Ordering::Relaxed) } else { 0 };
        let run = Run {
            mode: self.mode,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            duration: started.elapsed(),
            retries: traffic.retries.load(Ordering::Relaxed),
            bytes_moved: events.bytes_moved() + skipped,
            bytes_downloaded_again: events.meter().moved_again() + skipped,
            bytes_sent_twice: traffic.sent_twice.load(Ordering::Relaxed),
            on_tag_conflict: self.on_tag_conflict,
            pulls,
            trust_root: self.policy.needs_trust_root().then(|| told(&self.trust_root, now)),
            part: self.part,
            lists: Some(self.lists),
            review,
            by_plan: self.planned.map(|planned| planned.digest),
            unreported: None,
            interruption: stop.peek().copied(),
            remarks: self.remarks,
            commit: None,
            log: None,
        };
        let mut warnings = self.policy.warnings().to_vec();
        warnings.extend(self.config.warnings);
        Ok(Report {
            run,
            plan: Arc::unwrap_or_clone(plan),
            prefix: self.config.prefix,
            unseen: unseen.into_iter().collect(),
            results,
            changes: None,
            warnings,
        })
    }

    fn sources(&self, registries: &Registries) -> Sources {
        let mut sources: Sources = HashMap::new();
        for entry in &self.config.entries {
            sources.entry(entry.source.registry.clone()).or_insert_with_key(|registry| {
                Arc::new(Remembered::new(Arc::new(registries.source(registry)), REMEMBERED_BYTES))
            });
        }
        sources
    }

    fn sink(&self, registries: &Registries) -> Sink {
        let credential = self.target_credential.clone();
        match (&self.config.prefix, self.mode) {
            (TargetPrefix::Registry { registry, .. }, Mode::Plan) => {
                Sink::ToRead(Arc::new(registries.target_to_read(registry, credential)))
            }
            (TargetPrefix::Registry { registry, .. }, Mode::Sync) => {
                Sink::ToWrite(Arc::new(registries.target(registry, credential)))
            }
            (TargetPrefix::Layout { folder }, Mode::Plan) => Sink::ToRead(Arc::new(Layout::new(folder))),
            (TargetPrefix::Layout { folder }, Mode::Sync) => Sink::ToWrite(Arc::new(Layout::new(folder))),
        }
    }
}

/// Has a plan count for all sources that it speaks of.
fn settle(planned: &Planned, sources: &mut Sources) -> SettledSources {
    let settled = planned.settle(sources);
    for (registry, source) in &settled {
        sources.insert(registry.clone(), Arc::<Settled>::clone(source));
    }
    settled
}

/// What there is to say of a trust root: where it is from, and how old it is.
fn told(root: &Root, now: SystemTime) -> TrustRoot {
    let days = |at: SystemTime| now.duration_since(at).ok().map(|age| age.as_secs() / 86_400);
    TrustRoot {
        origin: match root.origin() {
            Origin::Embedded => "embedded".to_owned(),
            Origin::File(name) => name.clone(),
        },
        digest: root.digest().to_string(),
        published: root.as_of().and_then(written),
        newest: root.newest().and_then(written),
        days: root.as_of().and_then(days),
    }
}

/// What a source still allows, if it counts and has said so.
fn pulls(registry: &Registry, source: &dyn Source, plan: &Plan) -> Option<Pulls> {
    let store::Pulls::Left(quota) = source.pulls() else { return None };
    // Of what could not be read at least one manifest will be.
    let deferred = plan.deferred_of(registry);
    Some(Pulls {
        registry: registry.clone(),
        needed: plan.manifests_of(registry) + deferred,
        is_minimum: deferred > 0,
        remaining: quota.remaining,
        limit: quota.limit,
        window: quota.window,
    })
}
