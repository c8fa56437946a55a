//! What a run is about: lists, policy and prefix, from where the event allows.
//!
//! For a change that is under review nothing of the workspace is read: whoever wrote the change may have written
//! that too. Its lists come from its head commit, the policy and what to compare with from the base.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::try_join_all;

use super::review::Review;
use super::{Situation, is_in_workspace, log};
use crate::cli::{ActionOptions, ConnectionOptions, RunOptions};
use crate::command::login::{CREDENTIAL_FILES, secrets};
use crate::command::options::{assemble, job, prefix_sources, signatures};
use crate::command::sync::Job;
use crate::command::{Surroundings, UsageError};
use crate::config::{self, Changes, Config, Fault, ListFile, MAX_BYTES, TargetPrefix};
use crate::github::api::{ApiErrorKind, ContentsError};
use crate::github::{Api, CommitId};
use crate::policy::{self, Policy};
use crate::registry::{Login, Reach};
use crate::secret::Secret;

/// What there is to do.
pub(super) enum Intake {
    /// This, and what the change under review brings.
    Job(Box<Job>, Option<Changes>),
    /// Nothing.
    Nothing(Nothing),
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
        let reader = Reader { options, surroundings, situation, review, api };
        return reader.read().await;
    }
    let mut job = job(&options.run, situation.mode, surroundings)?;
    equip(&mut job.settings.login, options);
    Ok(Intake::Job(Box::new(job), None))
}

/// Reads a change that is under review.
struct Reader<'a> {
    options: &'a ActionOptions,
    surroundings: &'a Surroundings,
    situation: &'a Situation,
    review: &'a Review,
    api: &'a Api,
}

/// A list at both commits.
struct Versions {
    name: String,
    head: Option<Vec<u8>>,
    base: Option<Vec<u8>>,
}

impl Reader<'_> {
    async fn read(&self) -> Result<Intake, Refusal> {
        if self.review.closed {
            return Ok(Intake::Nothing(Nothing::NotOurs("the pull request is closed")));
        }
        if self.is_stale().await? {
            let why = "stale: the pull request has a newer commit, which has a run of its own";
            return Ok(Intake::Nothing(Nothing::NotOurs(why)));
        }
        let lists = try_join_all(self.options.run.images_files.iter().map(|path| self.list(path))).await?;
        if lists.iter().all(|list| list.head == list.base) {
            if lists.iter().all(|list| list.head.is_none()) {
                let names = lists.iter().map(|list| list.name.as_str()).collect::<Vec<_>>().join(", ");
                log::warn(&format!("neither the head nor the base commit has {names}: is the path right?"));
            }
            return Ok(Intake::Nothing(Nothing::NoChange("the change does not touch the lists")));
        }
        if lists.iter().all(|list| list.head.is_none()) {
            return Ok(Intake::Nothing(Nothing::NoChange("the change takes the lists away")));
        }
        self.refuse_the_workspace()?;
        let run = &self.options.run;
        let policy = self.policy().await?;
        let base = self.base(&lists, &policy);
        let trusted = self.trusted_prefix(base.as_ref(), &policy)?;
        let head = files(lists.iter().filter_map(|list| Some((&list.name, list.head.clone()?))));
        let head = head.map_err(config::Faults::from).map_err(UsageError::Lists)?;
        let prefix = prefix_sources(run, &policy, Some(&trusted));
        let config = config::load(&head, prefix, signatures(run)).map_err(UsageError::Lists)?;
        let changes = Changes::between(base.as_ref(), &config);
        let mut job = assemble(run, self.situation.mode, config, policy, self.surroundings)?;
        job.settings.anonymous_sources = self.review.fork;
        job.settings.reach = self.reach()?;
        self.leave_the_workspace(&mut job.settings.login)?;
        equip(&mut job.settings.login, self.options);
        Ok(Intake::Job(Box::new(job), Some(changes)))
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

    async fn list(&self, path: &Path) -> Result<Versions, Refusal> {
        let name = path.display().to_string();
        let (head, base) =
            futures::try_join!(self.file(&self.review.head, &name), self.file(&self.review.base, &name))?;
        Ok(Versions { name, head, base })
    }

    async fn file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ContentsError> {
        let path = path.strip_prefix("./").unwrap_or(path);
        self.api.file_at(&self.review.repository, commit, path, MAX_BYTES as u64).await
    }

    async fn policy(&self) -> Result<Policy, Refusal> {
        let Some(path) = &self.options.run.policy_file else { return Ok(Policy::default()) };
        let name = path.display().to_string();
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

    /// The lists as they are without the change. That they are not in order is no fault of the change's.
    fn base(&self, lists: &[Versions], policy: &Policy) -> Option<Config> {
        let run = &self.options.run;
        let base = files(lists.iter().filter_map(|list| Some((&list.name, list.base.clone()?)))).ok()?;
        if base.is_empty() {
            return None;
        }
        let config = config::load(&base, prefix_sources(run, policy, None), signatures(run));
        if config.is_err() {
            log::warn("the lists of the base commit are not in order: all entries count as this change's");
        }
        config.ok()
    }

    /// Where the images go, by anybody but the change.
    fn trusted_prefix(&self, base: Option<&Config>, policy: &Policy) -> Result<TargetPrefix, Refusal> {
        let prefix = match (base, policy.prefix(), &self.options.run.target_repo_prefix) {
            (Some(base), ..) => base.prefix.clone(),
            (None, Some(stated), _) => stated.prefix.clone(),
            (None, None, Some(text)) => {
                let parsed = text.parse::<TargetPrefix>();
                parsed
                    .map_err(|error| UsageError::Option(format!("the input target-repo-prefix: {error}")))?
            }
            (None, None, None) => {
                let message = "no target prefix is known but the change's own, which does not decide it; name it \
                               with the input target-repo-prefix, or in the policy";
                return Err(UsageError::Option(message.to_owned()).into());
            }
        };
        if matches!(prefix, TargetPrefix::Layout { .. }) {
            let message =
                "the target is a folder of the workspace, of which nothing is read for a pull request";
            return Err(UsageError::Option(message.to_owned()).into());
        }
        Ok(prefix)
    }

    fn reach(&self) -> Result<Reach, Refusal> {
        match (self.options.allow_private_networks, self.surroundings.has_proxy()) {
            (true, _) => Ok(Reach::Anywhere),
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
                return Err(of_the_workspace(&format!("{} ({})", path.display(), rule.stated)).into());
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
        let RunOptions { credentials, connections, .. } = &self.options.run;
        let ConnectionOptions { ca_file, client_cert, client_key, .. } = connections;
        let key = credentials.target_repo_auth_key.as_ref().map(|key| key.expose().trim_start());
        let key = key.filter(|key| !key.starts_with('{')).map(PathBuf::from);
        let named = [
            ("ca-file", ca_file),
            ("client-cert", client_cert),
            ("client-key", client_key),
            ("target-repo-auth-key", &key),
            ("DOCKER_CONFIG", &self.surroundings.docker_config),
        ];
        for (what, path) in named {
            let runner = &self.situation.runner;
            if path.as_deref().is_some_and(|path| is_in_workspace(runner, path)) {
                return Err(of_the_workspace(what).into());
            }
        }
        Ok(())
    }
}

fn of_the_workspace(what: &str) -> UsageError {
    UsageError::Option(format!(
        "{what} leads into the workspace, of which nothing is read for a pull request: whoever wrote it may have \
         written that too; keep the file elsewhere, such as in RUNNER_TEMP"
    ))
}

/// Gives the workflow's token to log in with, and has the runner hide what that is done with.
fn equip(login: &mut Login, options: &ActionOptions) {
    login.workflow_token.clone_from(&options.github_token);
    login.hide = Some(Arc::new(|secret: &Secret| log::hide(secret.expose())));
    for secret in secrets(login) {
        log::hide(secret.expose());
    }
}

/// Lists of what was read; or what is wrong with the first that is none.
fn files<'a>(lists: impl Iterator<Item = (&'a String, Vec<u8>)>) -> Result<Vec<ListFile>, Fault> {
    lists.map(|(name, bytes)| ListFile::of(name, bytes)).collect()
}
