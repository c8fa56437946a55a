//! Where results go: the log, annotations, the summary, outputs, the comment, a check run.
//!
//! What cannot be written is a warning: the others still have it, and the exit code says how the run was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt as _;

use super::intake::{Nothing, Refusal};
use super::outputs::{self, no_images};
use super::review::in_repository;
use super::{LAST_WORDS, RUN, Situation, log};
use crate::cli::{ActionOptions, CommentWhen, WhichShard, in_inputs};
use crate::command::options::{SUMMARY_LIMIT, replace};
use crate::command::shard::matrix;
use crate::command::surroundings::Stop;
use crate::command::{FAILED, Surroundings, USAGE, UsageError};
use crate::config::Fault;
use crate::github::api::{ApiError, CheckRun, Conclusion};
use crate::github::files::{append_summary, summary_room};
use crate::github::{Annotation, Level, Place};
use crate::report::{self, Interruption, Report, Verdict, Weight, faults};

/// A comment of at most so many bytes, and so of no more characters; the marker comes on top of it.
const COMMENT_LIMIT: usize = 59_800;

/// The images of the outputs take so many bytes; GitHub takes 1 MB for all outputs of a job, in UTF-16.
const IMAGES_LIMIT: usize = 400_000;

/// The most that a check run's summary may have.
const CHECK_LIMIT: usize = 65_000;

/// A check run of hundreds of annotations may take so long.
const CHECK_RUN: Duration = Duration::from_secs(120);

/// Writes the outputs and the summary of a run that did not begin: not even the event is known.
pub(super) fn failed(message: &str, surroundings: &Surroundings) {
    let fault = Fault { location: None, message: message.to_owned() };
    let text = faults("The run cannot begin", &[fault], None, None, SUMMARY_LIMIT);
    let summary = surroundings.environment.get("INPUT_SUMMARY");
    let is_wanted = summary.is_none_or(|input| !input.expose().trim().eq_ignore_ascii_case("false"));
    if let Some(path) = surroundings.variables.get("GITHUB_STEP_SUMMARY").filter(|_| is_wanted) {
        // The log has said it already.
        let _ = append_summary(Path::new(path), &text);
    }
    if let Some(path) = surroundings.variables.get("GITHUB_OUTPUT") {
        outputs::set([("result", "failed".to_owned())].into_iter().chain(no_images()), Path::new(path));
    }
}

/// What is told of a run, in all its forms.
struct Told<'a> {
    result: &'a str,
    /// Markdown for the summary, in at most so many bytes.
    summary: &'a dyn Fn(usize) -> String,
    /// Markdown for the comment.
    comment: String,
    annotations: Vec<Annotation>,
    /// The check run's few words, and how it ended.
    title: String,
    conclusion: Conclusion,
    /// Whether a comment is worth writing where none is.
    worth: Worth,
    /// Whether the comment is for this run to write at all.
    comments: bool,
    /// Further outputs.
    outputs: Vec<(&'static str, String)>,
    interrupted: bool,
    /// Whether the summary and annotations tell it even where they are not wanted.
    whatever_is_wanted: bool,
}

/// What a comment would tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    Nothing,
    Something,
    Trouble,
}

/// Tells what became of a run.
pub(super) struct Publisher<'a> {
    pub(super) options: &'a ActionOptions,
    pub(super) situation: &'a Situation,
    /// Why the run has to end, also where all that is left is to tell what became of it.
    pub(super) stop: Stop,
}

impl Publisher<'_> {
    /// Tells a report, and gives the exit code.
    pub(super) async fn report(&self, report: &Report) -> u8 {
        log::report(report);
        let verdict = report.verdict();
        let (images, missing) = report.images(IMAGES_LIMIT);
        if missing > 0 {
            log::warn(&format!(
                "the output `images` lacks {missing} of {} images, those that are of least concern: it would be too \
                 large; the file of `report-file` has all",
                report.entries().count()
            ));
        }
        for remark in &report.run.remarks {
            log::warn(remark);
        }
        if report.run.interruption == Some(Interruption::TimeLimit) {
            log::error(Interruption::TimeLimit.sentence());
        }
        if let Some(missing) = &report.run.unreported {
            log::error(&missing.sentence());
        }
        let mut outputs = outputs::of(report);
        outputs.extend([("images", images), ("report-file", self.write_report(report).unwrap_or_default())]);
        outputs.extend(self.options.shards.map(|count| ("shards", matrix(count, report))));
        let result = report.result();
        let takes_away = report.changes.as_ref().is_some_and(|changes| !changes.removed.is_empty());
        let told = Told {
            result,
            summary: &|limit| report.markdown(limit),
            comment: report.comment(COMMENT_LIMIT, self.situation.head.as_str()),
            annotations: report.annotations().into_iter().map(annotation).collect(),
            title: report.headline(),
            conclusion: match verdict {
                Verdict::Done => Conclusion::Success,
                Verdict::Deferred => Conclusion::Neutral,
                Verdict::Interrupted | Verdict::Terminated => Conclusion::Cancelled,
                _ => Conclusion::Failure,
            },
            worth: match (verdict, result) {
                // A conflict that only warns is no work, and still what its author has to know.
                (Verdict::Done, "noop") if !takes_away && !report.has_conflict() => Worth::Nothing,
                (Verdict::Done, _) => Worth::Something,
                _ => Worth::Trouble,
            },
            outputs,
            comments: true,
            // Nobody waits for a run whose time is over; who cancels one does.
            interrupted: report.run.interruption.is_some_and(|how| how != Interruption::TimeLimit),
            whatever_is_wanted: false,
        };
        self.tell(told).await;
        verdict.exit_code()
    }

    /// Tells why there was nothing to run, and gives the exit code.
    pub(super) async fn refused(&self, refusal: &Refusal) -> u8 {
        let (title, list, code) = match refusal {
            Refusal::Usage(UsageError::Lists(faults))
                if faults.as_slice().iter().any(|fault| fault.location.is_some()) =>
            {
                ("The list cannot be used", faults.as_slice().to_vec(), USAGE)
            }
            Refusal::Usage(UsageError::Policy(faults)) => {
                ("The policy cannot be used", faults.as_slice().to_vec(), USAGE)
            }
            // What is wrong is no line of theirs: a file that is not there, an input.
            Refusal::Usage(UsageError::Lists(faults)) => {
                ("The run cannot begin", faults.as_slice().to_vec(), USAGE)
            }
            Refusal::Usage(UsageError::Auth(title, faults)) => {
                // Its lines are those of an input, and of no file that could be annotated.
                let told = faults
                    .as_slice()
                    .iter()
                    .map(|fault| Fault { location: None, message: fault.to_string() });
                (*title, told.collect(), USAGE)
            }
            Refusal::Usage(UsageError::Option(message)) => {
                ("The run cannot begin", vec![Fault { location: None, message: message.clone() }], USAGE)
            }
            Refusal::GitHub(message) => (
                "GitHub did not answer as it should",
                vec![Fault { location: None, message: message.clone() }],
                FAILED,
            ),
        };
        let tell = |fault: Fault| Fault { message: in_inputs(&fault.message), ..fault };
        let list: Vec<Fault> = list.into_iter().map(tell).collect();
        for fault in &list {
            log::say(&fault.to_string());
        }
        let run = &self.options.run;
        let mut files = run.images_files.iter().chain(&run.policy_file);
        let is_missing = |path: &PathBuf| !self.situation.runner.workspace.join(path).exists();
        let is_about_files = matches!(refusal, Refusal::Usage(UsageError::Lists(_) | UsageError::Policy(_)));
        if self.situation.review.is_none() && is_about_files && files.any(is_missing) {
            log::notice(
                "lists and policy are read from the workspace: is there a step before this one that checks them out?",
            );
        }
        let annotations = list.iter().map(|fault| Annotation {
            level: Level::Error,
            title: Some(title.to_owned()),
            place: fault
                .location
                .as_ref()
                .map(|location| place(&location.file, location.line, location.column)),
            message: fault.message.clone(),
        });
        let (commit, log) = self.situation.links();
        let text = |limit| faults(title, &list, Some(&commit), Some(&log), limit);
        let told = Told {
            result: "failed",
            summary: &text,
            comment: text(COMMENT_LIMIT),
            annotations: annotations.collect(),
            title: title.to_owned(),
            conclusion: Conclusion::Failure,
            worth: Worth::Trouble,
            outputs: no_images(),
            comments: true,
            interrupted: false,
            whatever_is_wanted: self.speaks_for_all(),
        };
        self.tell(told).await;
        code
    }

    /// Tells that the run was stopped before it began, and gives the exit code.
    pub(super) async fn interrupted(&self, how: Interruption) -> u8 {
        let text = format!("## ❌ {}\n\nNothing was looked at yet.\n", how.sentence());
        log::error(how.sentence());
        let told = Told {
            result: "failed",
            summary: &|_| text.clone(),
            comment: text.clone(),
            annotations: Vec::new(),
            title: how.sentence().to_owned(),
            conclusion: Conclusion::Cancelled,
            worth: Worth::Trouble,
            comments: true,
            outputs: no_images(),
            interrupted: how != Interruption::TimeLimit,
            whatever_is_wanted: self.speaks_for_all(),
        };
        self.tell(told).await;
        Verdict::of_interruption(how).exit_code()
    }

    /// Tells that there was nothing to do, and why.
    pub(super) async fn nothing(&self, nothing: &Nothing, remarks: &[String]) -> u8 {
        let why = nothing.why();
        log::notice(why);
        for remark in remarks {
            log::warn(remark);
        }
        let (commit, log) = self.situation.links();
        let is_ours = matches!(nothing, Nothing::NoChange(_));
        let title = if is_ours { "✅ Nothing to sync" } else { "⏭️ Nothing done" };
        let text = report::nothing(title, why, remarks, Some(&commit), Some(&log));
        let told = Told {
            result: "noop",
            summary: &|_| text.clone(),
            comment: text.clone(),
            annotations: Vec::new(),
            title: if is_ours { "Nothing to sync" } else { "Nothing done" }.to_owned(),
            conclusion: if is_ours { Conclusion::Success } else { Conclusion::Neutral },
            worth: Worth::Nothing,
            outputs: no_images(),
            comments: is_ours,
            interrupted: false,
            whatever_is_wanted: false,
        };
        self.tell(told).await;
        0
    }

    /// Whether this is the first of several jobs that share a list. Where it cannot begin no report is written that a
    /// later job could tell, and what is wrong is wrong for the others, too: it is told once, and not by each of them.
    fn speaks_for_all(&self) -> bool {
        let shard = self.options.run.share.shard;
        self.options.shards.is_some()
            || matches!(shard, Some(WhichShard::This(shard)) if shard.index() == 1 && shard.count() > 1)
    }

    async fn tell(&self, told: Told<'_>) {
        let runner = &self.situation.runner;
        if let Some(path) =
            runner.step_summary.as_deref().filter(|_| told.whatever_is_wanted || self.options.summary)
        {
            let written = summary_room(path).and_then(|room| {
                let room = usize::try_from(room).unwrap_or(usize::MAX).min(SUMMARY_LIMIT);
                append_summary(path, &(told.summary)(room))
            });
            if let Err(error) = written {
                log::warn(&format!("the summary is not written: {error}"));
            }
        }
        // Before GitHub is asked for anything, since it may never answer.
        if let Some(path) = &runner.output {
            let set = [("result", told.result.to_owned())].into_iter().chain(told.outputs.iter().cloned());
            outputs::set(set, path);
        }
        let end = self.end().shared();
        // Whoever waits for an interrupted run to end has waited long enough.
        let comment_url = if told.interrupted || !told.comments {
            None
        } else {
            let written = tokio::select! {
                written = self.comment(&told) => written.map_err(|error| error.to_string()),
                how = end.clone() => Err(format!("GitHub has not answered. {}", how.sentence())),
            };
            written.unwrap_or_else(|error| {
                log::warn(&format!(
                    "the comment is not written: {error}; the job summary tells what it would"
                ));
                None
            })
        };
        if self.options.check_run {
            tokio::select! {
                shown = tokio::time::timeout(CHECK_RUN, self.check_run(&told)) => match shown {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => log::warn(&error.to_string()),
                    Err(_) => log::warn("the check run was not made in time"),
                },
                how = end => log::warn(&format!("the check run was not made in time. {}", how.sentence())),
            }
        }
        // Last: what went wrong with the others comes before the lines of the lists, of which GitHub keeps ten.
        if told.whatever_is_wanted || self.options.annotations {
            log::annotate_all(told.annotations);
        }
        if let Some(path) = &runner.output {
            outputs::set([("comment-url", comment_url.unwrap_or_default())], path);
        }
    }

    /// Completes when nobody waits for GitHub any more: a moment after the run had to end.
    async fn end(&self) -> Interruption {
        let how = self.stop.clone().await;
        tokio::time::sleep(LAST_WORDS).await;
        how
    }

    /// Whether the pull request has a newer commit by now, whose run tells what there is to say.
    async fn is_overtaken(&self) -> bool {
        let (Some(review), Some(api)) = (&self.situation.review, &self.situation.api) else { return false };
        match review.number {
            // Who may not ask has been told so at the start.
            Some(number) => {
                let head = api.pull_request_head(&review.repository, number).await;
                head.is_ok_and(|head| head != review.head)
            }
            None => false,
        }
    }

    /// The comment's address, if there is one after this.
    async fn comment(&self, told: &Told<'_>) -> Result<Option<String>, ApiError> {
        let review = self.situation.review.as_ref();
        let (Some(review), Some(api)) = (review, &self.situation.api) else { return Ok(None) };
        let Some(number) = review.number.filter(|_| self.options.comment != CommentWhen::Never) else {
            return Ok(None);
        };
        let sticky = api.sticky(&review.repository, number, &self.situation.comment_key);
        let existing = sticky.existing().await?;
        let is_due = match self.options.comment {
            CommentWhen::Always => true,
            CommentWhen::OnChange => existing.is_some() || told.worth != Worth::Nothing,
            CommentWhen::OnFailure => existing.is_some() || told.worth == Worth::Trouble,
            CommentWhen::Never => false,
        };
        if !is_due {
            return Ok(None);
        }
        if self.is_overtaken().await {
            let stale =
                "stale: the pull request got a newer commit meanwhile, and its run writes the comment";
            log::notice(stale);
            if let Some(path) = self.situation.runner.step_summary.as_deref().filter(|_| self.options.summary)
            {
                // The log has said it already.
                let _ = append_summary(path, &format!("\n⏭️ {stale}.\n"));
            }
            return Ok(existing.and_then(|existing| existing.url).map(|url| url.to_string()));
        }
        if let Some(existing) = existing.as_ref().filter(|it| it.says(&told.comment, RUN)) {
            return Ok(existing.url.as_ref().map(ToString::to_string));
        }
        let written = sticky.write(existing.as_ref(), &told.comment).await?;
        Ok(written.url.map(|url| url.to_string()))
    }

    async fn check_run(&self, told: &Told<'_>) -> Result<(), ApiError> {
        let Some(api) = &self.situation.api else { return Ok(()) };
        let run = CheckRun {
            name: self.options.comment_key.clone(),
            conclusion: told.conclusion,
            title: told.title.clone(),
            summary: (told.summary)(CHECK_LIMIT),
            text: None,
            details_url: Some(self.situation.runner.run_url()),
            annotations: told.annotations.clone(),
        };
        let repository = self.situation.review.as_ref().map(|review| &review.repository);
        let repository = repository.unwrap_or(&self.situation.runner.repository);
        let shown = api.create_check_run(repository, &self.situation.head, &run).await?;
        if shown.left_out > 0 {
            let (count, are) = match shown.left_out {
                1 => ("1 annotation".to_owned(), "is"),
                many => (format!("{many} annotations"), "are"),
            };
            log::notice(&format!(
                "{count} {are} not in the check run, being about no line or one too many; the log has what they say"
            ));
        }
        Ok(())
    }

    /// The report as a file for later steps, by its path in the workspace.
    fn write_report(&self, report: &Report) -> Option<String> {
        let name = match self.options.comment_key.as_str() {
            "image-syncer" => "image-syncer-report.json".to_owned(),
            key => format!("image-syncer-report-{key}.json"),
        };
        let path = self.situation.runner.workspace.join(&name);
        // A link may be the change's own, and lead to the log.
        if std::fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            log::warn(&format!(
                "the report is not written to the workspace: {name} is there, and is no file"
            ));
            return None;
        }
        match replace(&path, &report.json()) {
            Ok(()) => Some(name),
            Err(error) => {
                log::warn(&format!("the report is not written to the workspace: {error}"));
                None
            }
        }
    }
}

/// A place in a list, whose path is the repository's: GitHub shows nothing at `./list.yaml`.
fn place(file: &str, line: u32, column: u32) -> Place {
    Place { path: in_repository(Path::new(file)), line: Some(line), column: Some(column), end_column: None }
}

fn annotation(of: crate::report::Annotation) -> Annotation {
    Annotation {
        level: match of.weight {
            Weight::Error => Level::Error,
            Weight::Warning => Level::Warning,
        },
        title: Some(of.title),
        place: Some(place(&of.location.file, of.location.line, of.location.column)),
        message: of.message,
    }
}
