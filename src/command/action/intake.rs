//! What a run is about: lists, policy and prefix, from where the event allows.
//!
//! For a change that is under review nothing of the workspace is read: whoever wrote the change may have written
//! that too. Its lists come from its head commit, the policy and what to compare with from the base.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::try_join_all;

use super::review::{Review, in_repository};
use super::reviewed::reviewing;
use super::{Situation, is_in_workspace, log, of_the_workspace};
use crate::cli::{ActionOptions, ConnectionOptions, RunOptions};
use crate::command::login::{self, CREDENTIAL_FILES, secrets};
use crate::command::options::{assemble, job, prefix_sources, signatures};
use crate::command::sync::Job;
use crate::command::{Surroundings, UsageError};
use crate::config::{
    self, Change, Changes, Config, Entry, Fault, ListFile, MAX_BYTES, PrefixSources, TargetPrefix, Trusted,
};
use crate::github::api::{ApiErrorKind, ContentsError};
use crate::github::{Api, CommitId};
use crate::policy::{self, Policy};
use crate::registry::{Login, Reach};
use crate::secret::Secret;

/// What there is to do.
pub(super) enum Intake {
    /// This.
    Job(Box<Work>),
    /// Nothing, and what else there is to say.
    Nothing(Nothing, Vec<String>),
}

/// Something to do.
pub(super) struct Work {
    pub(super) job: Job,
    /// What the change under review brings.
    pub(super) changes: Option<Changes>,
    /// What there is to say of the run as a whole.
    pub(super) remarks: Vec<String>,
}

/// Why there is nothing to do.
pub(super) enum Nothing {
    /// The change does not bring anything.
    NoChange(&'static str),
    /// Somebody else tells, or told, what there is to say of the pull request.
    NotOurs(&'static str),
}

impl Nothing {
    /// The reason, in words.
    pub(super) const fn why(&self) -> &'static str {
        match self {
            Self::NoChange(why) | Self::NotOurs(why) => why,
        }
    }
}

/// Why there is nothing to run.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Inputs, lists or policy are wrong (exit code 2).
    Usage(UsageError),
    /// GitHub did not give what was asked for (exit code 1).
    GitHub(String),
}

impl From<UsageError> for Refusal {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<ContentsError> for Refusal {
    fn from(error: ContentsError) -> Self {
        match error {
            ContentsError::Api(error) => Self::GitHub(error.to_string()),
            other => Self::Usage(UsageError::Option(other.to_string())),
        }
    }
}

/// Reads what the run is about.
pub(super) async fn read(
    options: &ActionOptions,
    surroundings: &Surroundings,
    situation: &Situation,
) -> Result<Intake, Refusal> {
    if let (Some(review), Some(api)) = (&situation.review, &situation.api) {
        return Reader { options, surroundings, situation, review, api }.read().await;
    }
    let mut job = job(&options.run, situation.mode, options.plan.as_deref(), surroundings)?;
    job.reviewing = reviewing(options, situation)?;
    // A fork's pull request has no secrets, and is planned without them.
    if situation.review.is_none() {
        login::check(&job)?;
    }
    equip(&mut job.settings.login, options);
    Ok(Intake::Job(Box::new(Work { job, changes: None, remarks: Vec::new() })))
}

/// Reads a change that is under review.
struct Reader<'a> {
    options: &'a ActionOptions,
    surroundings: &'a Surroundings,
    situation: &'a Situation,
    review: &'a Review,
    api: &'a Api,
}

/// A list with the change, and without it.
struct Versions {
    name: String,
    head: Option<Vec<u8>>,
    before: Before,
}

impl Versions {
    /// What there is to say of a list that the change does not have.
    fn without_list(&self) -> Option<String> {
        match (&self.head, &self.before) {
            (Some(_), _) => None,
            (None, Before::Missing) => Some(format!(
                "there is no {}, neither with the change nor without it: a sync fails at a list that is not there; is \
                 its path in images-file right?",
                self.name
            )),
            (None, _) => Some(format!(
                "the change takes {} away: what it lists stays at the target and is not looked after any more; take it \
                 out of images-file too, since a sync fails at a list that is not there",
                self.name
            )),
        }
    }
}

/// A list as a commit has it that nobody is asked to mend.
#[derive(PartialEq)]
enum Before {
    /// There is none.
    Missing,
    /// This.
    There(Vec<u8>),
    /// Something else has its name: a directory, a symbolic link, something too large.
    Unusable,
}

impl Before {
    fn text(&self) -> Option<Vec<u8>> {
        match self {
            Self::There(text) => Some(text.clone()),
            Self::Missing | Self::Unusable => None,
        }
    }
}

impl Reader<'_> {
    async fn read(&self) -> Result<Intake, Refusal> {
        if self.review.closed {
            return Ok(Intake::Nothing(Nothing::NotOurs("the pull request is closed"), Vec::new()));
        }
        if self.is_stale().await? {
            let why = "stale: the pull request has a newer commit, which has a run of its own";
            return Ok(Intake::Nothing(Nothing::NotOurs(why), Vec::new()));
        }
        let (shard, plan) = (self.options.run.share.shard.is_some(), self.options.plan.is_some());
        if let Some((name, _)) = [("shard", shard), ("plan", plan)].into_iter().find(|(_, given)| *given) {
            let why =
                "a change that is proposed is looked at as a whole, by what sources have now; leave it out";
            return Err(UsageError::Option(format!("the input {name} is given: {why}")).into());
        }
        let start = self.start().await?;
        let lists = self.options.run.images_files.iter().map(|path| self.list(path, &start));
        let lists = try_join_all(lists).await?;
        let mut remarks: Vec<String> = lists.iter().filter_map(Versions::without_list).collect();
        if lists.iter().all(|list| list.head == list.before.text() && list.before != Before::Unusable) {
            return Ok(Intake::Nothing(Nothing::NoChange("the change does not touch the lists"), remarks));
        }
        if lists.iter().all(|list| list.head.is_none()) {
            return Ok(Intake::Nothing(Nothing::NoChange("the change takes the lists away"), remarks));
        }
        self.refuse_the_workspace()?;
        let run = &self.options.run;
        let policy = self.policy().await?;
        let before: Vec<ListFile> =
            lists.iter().filter_map(|list| ListFile::of(&list.name, list.before.text()?).ok()).collect();
        let stated_before = config::usable(&before, PrefixSources::default(), signatures(run)).stated;
        let trusted = self.trusted_prefix(&policy, &lists, &start, stated_before.as_ref()).await?;
        // A prefix that the lists had before counts for nothing, whatever it was.
        let text = trusted.to_string();
        let prefix = PrefixSources { command_line: Some(&text), ..PrefixSources::default() };
        let before = config::usable(&before, prefix, signatures(run));
        if !before.faults.is_empty() || lists.iter().any(|list| list.before == Before::Unusable) {
            let remark =
                "the lists were not in order before the change: what could not be read of them counts as new";
            remarks.push(remark.to_owned());
        }
        let head: Result<Vec<ListFile>, Fault> =
            lists.iter().filter_map(|list| Some(ListFile::of(&list.name, list.head.clone()?))).collect();
        let head = head.map_err(config::Faults::from).map_err(UsageError::Lists)?;
        let by_lists = policy.prefix().is_none() && run.target_repo_prefix.is_none();
        let trusted = Trusted { prefix: &trusted, stated_before: stated_before.as_ref(), by_lists };
        let config = config::load(&head, prefix_sources(run, &policy, Some(trusted)), signatures(run));
        let config =
            config.map_err(|faults| UsageError::Lists(faults.with_those_of_before(&before.faults)))?;
        let changes = Changes::between(before.config.as_ref(), &config);
        if start != self.review.base {
            let base = self.lists_of_the_base(&lists).await?;
            let base = config::usable(
                &base,
                PrefixSources { command_line: Some(&text), ..PrefixSources::default() },
                signatures(run),
            );
            remarks.extend(taken_meanwhile(before.config.as_ref(), base.config.as_ref(), &config, &changes));
        }
        let mut job = assemble(run, self.situation.mode, config, policy, self.surroundings)?;
        job.settings.anonymous_sources = self.review.fork;
        job.settings.reach = self.reach()?;
        self.leave_the_workspace(&mut job.settings.login)?;
        equip(&mut job.settings.login, self.options);
        Ok(Intake::Job(Box::new(Work { job, changes: Some(changes), remarks })))
    }

    async fn is_stale(&self) -> Result<bool, Refusal> {
        let Some(number) = self.review.number else { return Ok(false) };
        let head = self.api.pull_request_head(&self.review.repository, number).await;
        match head {
            Ok(head) => Ok(head != self.review.head),
            // Without that right the event is all that is known.
            Err(error) if matches!(error.kind, ApiErrorKind::Forbidden | ApiErrorKind::NotFound) => {
                log::notice(&format!("whether the pull request moved on is not known: {error}"));
                Ok(false)
            }
            Err(error) => Err(Refusal::GitHub(error.to_string())),
        }
    }

    /// The commit that the change departed from. What the base branch got since is no part of the change.
    async fn start(&self) -> Result<CommitId, Refusal> {
        let Review { repository, base, head, number, .. } = self.review;
        if number.is_none() {
            return Ok(base.clone());
        }
        match self.api.merge_base(repository, base, head).await {
            Ok(start) => Ok(start),
            Err(error) if matches!(error.kind, ApiErrorKind::Forbidden | ApiErrorKind::NotFound) => {
                log::notice(&format!("the change is compared with the base branch as it is: {error}"));
                Ok(base.clone())
            }
            Err(error) => Err(Refusal::GitHub(error.to_string())),
        }
    }

    async fn list(&self, path: &Path, start: &CommitId) -> Result<Versions, Refusal> {
        let name = in_repository(path);
        let (head, before) =
            futures::try_join!(self.file(&self.review.head, &name), self.before(start, &name))?;
        Ok(Versions { name, head, before })
    }

    async fn before(&self, commit: &CommitId, name: &str) -> Result<Before, ContentsError> {
        match self.file(commit, name).await {
            Ok(None) => Ok(Before::Missing),
            Ok(Some(text)) => Ok(Before::There(text)),
            Err(ContentsError::NotAFile { .. } | ContentsError::TooLarge { .. }) => Ok(Before::Unusable),
            Err(error) => Err(error),
        }
    }

    async fn file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ContentsError> {
        self.api.file_at(&self.review.repository, commit, path, MAX_BYTES as u64).await
    }

    async fn policy(&self) -> Result<Policy, Refusal> {
        let Some(path) = &self.options.run.policy_file else { return Ok(Policy::default()) };
        let name = in_repository(path);
        let Some(bytes) = self.file(&self.review.base, &name).await? else {
            let message = format!(
                "the policy {name} is not in the base commit {}: it is read there, so that no change brings its own",
                self.review.base.short()
            );
            return Err(UsageError::Option(message).into());
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| UsageError::Option(format!("the policy {name} is not UTF-8 text")))?;
        Ok(policy::load(&name, &text).map_err(UsageError::Policy)?)
    }

    /// Where the images go, by anybody but the change: the policy, the workflow, or the lists of the base branch.
    async fn trusted_prefix(
        &self,
        policy: &Policy,
        lists: &[Versions],
        start: &CommitId,
        stated_before: Option<&TargetPrefix>,
    ) -> Result<TargetPrefix, Refusal> {
        let prefix = match (policy.prefix(), &self.options.run.target_repo_prefix) {
            (Some(stated), _) => stated.prefix.clone(),
            (None, Some(text)) => {
                let parsed = text.parse::<TargetPrefix>();
                parsed
                    .map_err(|error| UsageError::Option(format!("the input target-repo-prefix: {error}")))?
            }
            (None, None) => {
                let of_the_base = if *start == self.review.base {
                    stated_before.cloned()
                } else {
                    self.prefix_of_the_base(lists).await?
                };
                of_the_base.ok_or_else(|| {
                    UsageError::Option(
                        "no target prefix is known but the change's own, which cannot decide where images go; name \
                         it with the input target-repo-prefix or in the policy, or merge a list that states it first"
                            .to_owned(),
                    )
                })?
            }
        };
        if matches!(prefix, TargetPrefix::Layout { .. }) {
            let message = "the target is a folder, and for a pull request nothing is read of this machine's";
            return Err(UsageError::Option(message.to_owned()).into());
        }
        Ok(prefix)
    }

    async fn prefix_of_the_base(&self, lists: &[Versions]) -> Result<Option<TargetPrefix>, Refusal> {
        let files = self.lists_of_the_base(lists).await?;
        Ok(config::usable(&files, PrefixSources::default(), signatures(&self.options.run)).stated)
    }

    /// The lists as the base branch has them now, as far as they can be read.
    async fn lists_of_the_base(&self, lists: &[Versions]) -> Result<Vec<ListFile>, Refusal> {
        let base = try_join_all(lists.iter().map(|list| self.before(&self.review.base, &list.name))).await?;
        let files = lists.iter().zip(base);
        Ok(files.filter_map(|(list, base)| ListFile::of(&list.name, base.text()?).ok()).collect())
    }

    fn reach(&self) -> Result<Reach, Refusal> {
        match (self.options.allow_private_networks, self.surroundings.has_proxy()) {
            (true, _) => Ok(Reach::Anywhere),
            (false, false) if self.review.fork => Ok(Reach::PublicForStrangers),
            (false, false) => Ok(Reach::Public),
            (false, true) if !self.review.fork => Ok(Reach::PublicByProxy),
            (false, true) => {
                let message = "behind an HTTP proxy nobody can check where a fork's sources are, so that a fork's \
                               pull request is not planned; an operator can allow it with `allow-private-networks`";
                Err(UsageError::Option(message.to_owned()).into())
            }
        }
    }

    /// Fails if a file of the workspace is to log in with, and passes over those that only the surroundings offer.
    fn leave_the_workspace(&self, login: &mut Login) -> Result<(), Refusal> {
        let runner = &self.situation.runner;
        for rule in &login.rules {
            if let Some(path) = rule.provider.file().filter(|path| is_in_workspace(runner, path)) {
                let what = format!("{} ({})", path.display(), rule.stated);
                return Err(UsageError::Option(of_the_workspace(&what)).into());
            }
        }
        for name in CREDENTIAL_FILES {
            let path = login.environment.get(name).map(|path| PathBuf::from(path.expose().trim()));
            if path.is_some_and(|path| is_in_workspace(runner, &path)) {
                log::notice(&format!(
                    "{name} leads into the workspace, of which nothing is read for a pull request: it is not used"
                ));
                login.environment = login.environment.without(name);
            }
        }
        Ok(())
    }

    /// Fails if an input or a variable names a file of the workspace.
    fn refuse_the_workspace(&self) -> Result<(), Refusal> {
        let RunOptions { credentials, connections, trust_root, .. } = &self.options.run;
        let ConnectionOptions { ca_file, client_cert, client_key, .. } = connections;
        let key = credentials.target_repo_auth_key.as_ref().map(|key| key.expose().trim_start());
        let key = key.filter(|key| !key.starts_with('{')).map(PathBuf::from);
        let named = [
            ("SYNCER_CA_FILE", ca_file),
            ("SYNCER_CLIENT_CERT", client_cert),
            ("SYNCER_CLIENT_KEY", client_key),
            ("the input target-repo-auth-key", &key),
            ("the input trust-root", trust_root),
            ("DOCKER_CONFIG", &self.surroundings.docker_config),
        ];
        for (what, path) in named {
            let runner = &self.situation.runner;
            if path.as_deref().is_some_and(|path| is_in_workspace(runner, path)) {
                return Err(UsageError::Option(of_the_workspace(what)).into());
            }
        }
        Ok(())
    }
}

/// What there is to say of targets that the change wants and that the base branch gave to another image since the change
/// departed from it: Git may well merge the two, and then the list has them twice.
fn taken_meanwhile(
    start: Option<&Config>,
    base: Option<&Config>,
    head: &Config,
    changes: &Changes,
) -> Option<String> {
    let base = base?;
    let since = Changes::between(start, base);
    let taken: Vec<&Entry> = base
        .entries
        .iter()
        .zip(&since.entries)
        .filter(|(_, change)| **change != Change::Unchanged)
        .map(|(entry, _)| entry)
        .collect();
    let against = Changes::between(Some(base), head);
    let twice = |entry: &Entry| taken.iter().any(|other| other.target == entry.target);
    let clashes = head.entries.iter().zip(&changes.entries).zip(&against.entries);
    let clashes: Vec<String> = clashes
        .filter(|((entry, here), there)| {
            **here != Change::Unchanged && **there == Change::Changed && twice(entry)
        })
        .map(|((entry, _), _)| format!("`{}`", entry.target))
        .collect();
    (!clashes.is_empty()).then(|| {
        format!(
            "the base branch has got another image meanwhile for what this change wants to be {}: update the branch, \
             and settle which of the two it is",
            clashes.join(", ")
        )
    })
}

/// Gives the workflow's token to log in with, and has the runner hide what that is done with.
fn equip(login: &mut Login, options: &ActionOptions) {
    login.workflow_token.clone_from(&options.github_token);
    login.hide = Some(Arc::new(|secret: &Secret| log::hide(secret.expose())));
    for secret in secrets(login) {
        log::hide(secret.expose());
    }
}
