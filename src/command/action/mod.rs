//! `action`: the main job as a step of a GitHub workflow.
//!
//! What started the workflow decides what may be done: a pull request or a merge group is planned, whatever any
//! input says, with lists and policy that come from GitHub's API and not from the workspace. Everything that is
//! printed goes through `log`, which leaves no line that the runner would obey.

mod intake;
mod log;
mod merge;
mod outputs;
mod publish;
mod review;
mod reviewed;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{USAGE, surroundings};
use crate::cli::{ActionMode, ActionOptions, SECRETS, in_inputs};
use crate::command::{Surroundings, UsageError};
use crate::config::Changes;
use crate::console::show_progress;
use crate::event::Events;
use crate::github::api::{Settings, StickyKey};
use crate::github::{Api, CommitId, Event, Runner, Token};
use crate::plan::{Cause, CauseKind, Side};
use crate::report::{Entry, Link, Mode, Report};
use intake::{Intake, Refusal, Work};
use publish::Publisher;
use review::Review;

/// How long GitHub may take to be told results once the run has to end: the runner waits 7.5 seconds.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The text of the link to the run.
const RUN: &str = "log of the run";

/// The largest file that is taken for a key.
const LARGEST_KEY: u64 = 64 * 1024;

/// Has GitHub hide the secrets among the variables, before anything else is printed.
pub fn hide_secrets(variables: impl IntoIterator<Item = (OsString, OsString)>) {
    let secrets = variables.into_iter().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        SECRETS.contains(&name.as_str()).then(|| value.into_string().ok()).flatten()
    });
    // A key can be given by its file's name, which is none.
    secrets.filter(|secret| !Path::new(secret).is_file()).for_each(|secret| hide_key(&secret));
}

/// Has GitHub hide a key, and what is secret in it where it is a document.
fn hide_key(key: &str) {
    log::hide(key);
    let document: Option<serde_json::Value> = serde_json::from_str(key).ok();
    if let Some(key) = document.as_ref().and_then(|document| document["private_key"].as_str()) {
        log::hide(key);
    }
}

/// Tells that the inputs cannot be meant, and gives the exit code.
#[must_use]
pub fn refuse(message: &str, surroundings: &Surroundings) -> u8 {
    let message = in_inputs(message);
    log::error(&message);
    publish::failed(&message, surroundings);
    USAGE
}

/// What the event asks for.
struct Situation {
    runner: Runner,
    mode: Mode,
    /// The change that is looked at, if the run is about one.
    review: Option<Review>,
    /// GitHub's API, if there is a token.
    api: Option<Arc<Api>>,
    /// The commit whose lists count.
    head: CommitId,
    /// Tells the comment from those of other runs.
    comment_key: StickyKey,
}

/// Runs the action and gives the exit code.
pub(super) async fn run(options: &ActionOptions, surroundings: &Surroundings) -> u8 {
    let situation = match Situation::read(options, surroundings) {
        Ok(situation) => situation,
        Err(message) => return refuse(&message, surroundings),
    };
    situation.hide_key_file(options);
    let debug = options.run.log.debug || situation.runner.is_debug;
    surroundings.start_log_to(debug, log::writer);
    // The first process of a container has to listen, or signals are nothing to it.
    let stop = surroundings::stop_for_all(options.run.timeout);
    let publisher = Publisher { options, situation: &situation, stop: stop.clone() };
    if let Some(folder) = &options.merge_reports {
        return match merge::reports(folder, options, &situation) {
            Ok(report) => publisher.report(&situation.complete(report, None, Vec::new())).await,
            Err(refusal) => publisher.refused(&refusal).await,
        };
    }
    let intake = tokio::select! {
        intake = intake::read(options, surroundings, &situation) => intake,
        how = stop.clone() => return publisher.interrupted(how).await,
    };
    let Work { job, changes, remarks } = match intake {
        Ok(Intake::Job(work)) => *work,
        Ok(Intake::Nothing(nothing, remarks)) => return publisher.nothing(&nothing, &remarks).await,
        Err(refusal) => return publisher.refused(&refusal).await,
    };
    let (events, receiver) = Events::channel();
    let progress =
        show_progress(crate::console::Progress::Auto, log::screen(surroundings), receiver, events.meter());
    let progress = tokio::spawn(progress);
    let done = job.run(&events, stop).await;
    drop(events);
    // The display ends with the events; if it failed there is nothing to clean up.
    let _ = progress.await;
    match done {
        Ok(report) => {
            let report = situation.complete(report, changes, remarks);
            publisher.report(&report).await
        }
        Err(error) => publisher.refused(&Refusal::Usage(UsageError::Option(error.to_string()))).await,
    }
}

/// Whether a path leads into the workspace, by what is there: a link or `..` leads where it leads.
fn is_in_workspace(runner: &Runner, path: &Path) -> bool {
    let whole = runner.workspace.join(path);
    let real = std::fs::canonicalize(&whole).unwrap_or_else(|_| whole.clone());
    let root = std::fs::canonicalize(&runner.workspace).unwrap_or_else(|_| runner.workspace.clone());
    whole.starts_with(&runner.workspace) || real.starts_with(root)
}

/// What there is to say if one of the sides could not be looked at for lack of a right.
fn on_what_could_not_be_read(report: &Report, is_fork: bool, has_secrets: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    let targets = report.totals().targets_not_readable;
    if targets > 0 && has_secrets {
        let (what, whether) = if targets == 1 { ("target", "it has") } else { ("targets", "they have") };
        remarks.push(format!(
            "{targets} {what} could not be looked at with the login that this run has, so that nobody knows whether \
             {whether} other content already: check the login and its right to read"
        ));
    }
    let is_denied = |cause: &Cause| cause.side == Side::Source && cause.kind == CauseKind::Denied;
    let unread = |entry: Entry<'_>| entry.is_of_this_change() && entry.cause().is_some_and(is_denied);
    if is_fork && report.entries().any(unread) {
        let remark = "the pull request comes from a fork: sources are looked up without credentials, so that an image \
                      that only a login may read cannot be planned here; from a branch of this repository it can";
        remarks.push(remark.to_owned());
    }
    remarks
}

/// That something is read from where the author of a change may have written it.
fn of_the_workspace(what: &str) -> String {
    format!(
        "{what} leads into the workspace, of which nothing is read for a pull request: whoever wrote it may have \
         written that too; keep the file elsewhere, such as in RUNNER_TEMP"
    )
}

impl Situation {
    fn read(options: &ActionOptions, surroundings: &Surroundings) -> Result<Self, String> {
        let runner = Runner::read(|name| surroundings.variables.get(name).cloned());
        let runner = runner.map_err(|error| error.to_string())?;
        let event = Event::read(&runner.event_name, &runner.event_path).map_err(|error| error.to_string())?;
        let asked = match options.mode {
            _ if options.dry_run => Mode::Plan,
            ActionMode::Plan => Mode::Plan,
            ActionMode::Auto | ActionMode::Sync => Mode::Sync,
        };
        let comment_key = options.comment_key.parse();
        let comment_key = comment_key.map_err(|error| format!("the input comment-key: {error}"))?;
        let review = Review::of(&event, &runner);
        let mode = if review.is_some() { Mode::Plan } else { asked };
        let certificates = surroundings::CERTIFICATES.into_iter().find(|name| {
            let path = surroundings.variables.get(*name).filter(|path| !path.is_empty());
            review.is_some() && path.is_some_and(|path| is_in_workspace(&runner, Path::new(path)))
        });
        if let Some(name) = certificates {
            return Err(of_the_workspace(name));
        }
        let api = match &options.github_token {
            None => None,
            Some(token) => {
                let token =
                    Token::new(token.expose()).map_err(|error| format!("the input github-token: {error}"))?;
                let (rest, graphql) = (runner.api_url.clone(), runner.graphql_url.clone());
                let mut settings = Settings::new(rest, graphql, token);
                let trusted = |path: &&PathBuf| review.is_none() || !is_in_workspace(&runner, path);
                if let Some(path) = options.run.connections.ca_file.as_ref().filter(trusted) {
                    settings.extra_roots.extend(std::fs::read(path));
                }
                Some(Arc::new(Api::new(settings).map_err(|error| error.to_string())?))
            }
        };
        if review.is_some() && api.is_none() {
            return Err(
                "the input github-token is empty: in pull requests and merge groups the lists are read \
                        through GitHub's API"
                    .to_owned(),
            );
        }
        let head = review.as_ref().map_or_else(|| runner.sha.clone(), |review| review.head.clone());
        Ok(Self { runner, mode, review, api, head, comment_key })
    }

    /// Has GitHub hide a key that is given by its file's name. For a change that is under review nothing of the
    /// workspace is read, not even for that.
    fn hide_key_file(&self, options: &ActionOptions) {
        let Some(key) = &options.run.credentials.target_repo_auth_key else { return };
        let path = Path::new(key.expose().trim());
        let is_ours = self.review.is_none() || !is_in_workspace(&self.runner, path);
        if is_ours && path.metadata().is_ok_and(|it| it.is_file() && it.len() <= LARGEST_KEY) {
            hide_key(&std::fs::read_to_string(path).unwrap_or_default());
        }
    }

    /// Whether this is a push, to be synced by this very run: each job of a matrix would ask for itself.
    fn is_whole_push(&self, options: &ActionOptions) -> bool {
        let is_push = self.runner.event_name == "push" && self.mode == Mode::Sync;
        is_push && options.run.share.shard.is_none()
    }

    /// A report with what GitHub knows of the run.
    fn complete(&self, mut report: Report, changes: Option<Changes>, remarks: Vec<String>) -> Report {
        report.changes = changes;
        report.run.remarks.extend(remarks);
        let is_fork = self.review.as_ref().is_some_and(|review| review.fork);
        // A fork's `pull_request` cannot have a login, and nobody has to be told each time.
        let has_secrets = !is_fork || self.runner.event_name != "pull_request";
        report.run.remarks.extend(on_what_could_not_be_read(&report, is_fork, has_secrets));
        let (commit, log) = self.links();
        (report.run.commit, report.run.log) = (Some(commit), Some(log));
        report
    }

    /// The commit whose lists count, and the run.
    fn links(&self) -> (Link, Link) {
        let commit =
            Link { name: self.head.short().to_owned(), url: self.runner.commit_url(&self.head).to_string() };
        let log = Link { name: RUN.to_owned(), url: self.runner.run_url().to_string() };
        (commit, log)
    }
}
