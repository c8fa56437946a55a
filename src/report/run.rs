//! The facts of a run that no plan knows.

use std::time::Duration;

use super::part::{Part, Unreported};
use crate::oci::{Digest, Registry};

/// What a report says of the run as a whole.
#[derive(Debug, Clone)]
pub struct Run {
    /// Whether anything was to be written.
    pub mode: Mode,
    /// The program's version.
    pub version: String,
    /// From the first request to the last.
    pub duration: Duration,
    /// Requests that were sent again.
    pub retries: u64,
    /// Bytes of blobs that came from sources, those of failed copies included.
    pub bytes_moved: u64,
    /// Those of them that had come before, and came again because something broke.
    pub bytes_downloaded_again: u64,
    /// Bytes of blobs that were sent to the target once more because something broke.
    pub bytes_sent_twice: u64,
    /// Whether a conflict decides the exit code.
    pub on_tag_conflict: OnTagConflict,
    /// What registries that count what is read of them still allow, as far as they have said so.
    pub pulls: Vec<Pulls>,
    /// Whom keyless signatures are checked by, if a rule of the policy needs to know.
    pub trust_root: Option<TrustRoot>,
    /// The part of the lists that the run did, where several runs share them.
    pub part: Option<Part>,
    /// The digest of what the lists ask for, all parts of them together; `None` in a report that lacks it.
    pub lists: Option<Digest>,
    /// What was reviewed before, where somebody looked for that.
    pub review: Option<Review>,
    /// The digest of the plan that was carried out, where one had been made before.
    pub by_plan: Option<Digest>,
    /// The parts of which there is no report, in a report of several.
    pub unreported: Option<Unreported>,
    /// What ended the run before its time.
    pub interruption: Option<Interruption>,
    /// What there is to say of the run as a whole: sentences without their full stops. They can hold what came from
    /// outside and are not escaped.
    pub remarks: Vec<String>,
    /// The commit whose lists were read, where that is known.
    pub commit: Option<Link>,
    /// Where the run's log can be seen.
    pub log: Option<Link>,
}

/// What was reviewed before, that the images are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Review {
    /// Where each plan was reviewed, with its digest, the newest first.
    pub plans: Vec<(Link, Digest)>,
    /// Why there is no more to compare with: a sentence without its full stop. It can hold what came from outside.
    pub note: Option<String>,
}

/// What a registry still allows. A pull is a manifest that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulls {
    /// The registry.
    pub registry: Registry,
    /// How many a sync of this plan takes.
    pub needed: u64,
    /// Whether it can take more, since not all images could be looked at.
    pub is_minimum: bool,
    /// How many are left.
    pub remaining: u64,
    /// How many there are in the whole window, if the registry says so.
    pub limit: Option<u64>,
    /// The window, if the registry says so.
    pub window: Option<Duration>,
}

/// Whom keyless signatures are checked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoot {
    /// Where it is from: `embedded`, or the file.
    pub origin: String,
    /// The SHA-256 digest of its document.
    pub digest: String,
    /// When it was published, or its file written, as far as that is known: a date as RFC 3339 has it.
    pub published: Option<String>,
    /// Since when its newest key counts.
    pub newest: Option<String>,
    /// How many days ago it was published or written.
    pub days: Option<u64>,
}

/// Something that can be looked at elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is called.
    pub name: String,
    /// Its address.
    pub url: String,
}

/// Whether a run writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It says what it would do.
    Plan,
    /// It does it.
    Sync,
}

impl Mode {
    /// `plan` or `sync`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Sync => "sync",
        }
    }
}

/// What a conflict means for the exit code. Nothing is overwritten either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OnTagConflict {
    /// A conflict fails the run (exit code 3).
    #[default]
    Fail,
    /// A conflict is reported and does not decide the exit code.
    Warn,
}

impl OnTagConflict {
    /// `fail` or `warn`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
        }
    }
}

/// What ended a run before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// SIGINT: someone pressed Ctrl-C, or a workflow was cancelled.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The run's own time limit.
    TimeLimit,
}

impl Interruption {
    /// `SIGINT`, `SIGTERM` or `time-limit`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::TimeLimit => "time-limit",
        }
    }

    /// How the run ended, as a sentence without its full stop.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Interrupt => "The run was interrupted (SIGINT)",
            Self::Terminate => "The run was ended (SIGTERM)",
            Self::TimeLimit => "The run's time limit was reached",
        }
    }
}
