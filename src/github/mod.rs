//! GitHub's side of a run in GitHub Actions: what the runner gives, what an event says, and where results go that
//! people look at: log, annotations, outputs, step summary, comment, check run.
//!
//! It takes rendered text and plain strings and knows nothing of images, so that it uses no other part. It decides
//! nothing: whether something is said, and what, is for `command` to say. It prints nothing either: a workflow
//! command is a line that somebody else prints.
//!
//! Whatever comes from outside (a payload, an answer, a list, an error of a registry) is bounded when it comes and
//! escaped for where it goes; the token goes to GitHub's API and nowhere else.

pub mod annotation;
pub mod api;
pub mod event;
pub mod files;
mod names;
pub mod runner;
pub mod workflow_command;

pub use annotation::{Annotation, Level, Place};
pub use api::Api;
pub use event::Event;
pub use names::{CommitId, NameError, RepositoryName, Token};
pub use runner::Runner;
