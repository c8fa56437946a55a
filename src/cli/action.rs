//! The options of `action`: the inputs of the GitHub Action, as the runner hands them to a container.
//!
//! An input is the variable `INPUT_` and its name in capitals, with its hyphens. It comes before the variable
//! `SYNCER_…` of the same option, and is checked as an option that was typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{RunOptions, ShardCount, value};
use crate::secret::Secret;

/// What inputs are called in the environment.
pub(super) const PREFIX: &str = "INPUT_";

/// The inputs, as `action.yml` has them; other options of `action` have their variables only.
pub(super) const INPUTS: [&str; 28] = [
    "images-file",
    "mode",
    "dry-run",
    "target-repo-prefix",
    "target-repo-auth-key",
    "access-token",
    "auth",
    "policy-file",
    "on-tag-conflict",
    "signatures",
    "trust-root",
    "create-repositories",
    "concurrency",
    "timeout",
    "plan",
    "require-reviewed",
    "shard",
    "shard-plan",
    "shards",
    "merge-reports",
    "comment",
    "comment-key",
    "summary",
    "annotations",
    "check-run",
    "allow-private-networks",
    "github-token",
    "debug",
];

/// Options that a workflow gives by their variables.
const VARIABLES: [&str; 5] = ["ca-file", "client-cert", "client-key", "endpoint", "plain-http"];

/// A message about options in the words of whoever writes a workflow: inputs, and variables where there is no input.
#[must_use]
pub fn in_inputs(message: &str) -> String {
    let mut parts = message.split("--");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        let called = match name {
            input if INPUTS.contains(&input) => format!("the input {input}"),
            variable if VARIABLES.contains(&variable) => {
                format!("SYNCER_{}", variable.to_ascii_uppercase().replace('-', "_"))
            }
            other => format!("--{other}"),
        };
        told.push_str(&called);
        told.push_str(rest);
    }
    told
}

/// What the runner sets as if it were an input: how the container was to be started.
pub(super) const OF_THE_RUNNER: [&str; 2] = ["args", "entrypoint"];

/// Inputs, and the variables of options, that hold secrets.
pub const SECRETS: [&str; 6] = [
    "INPUT_TARGET-REPO-AUTH-KEY",
    "INPUT_ACCESS-TOKEN",
    "INPUT_GITHUB-TOKEN",
    "SYNCER_TARGET_REPO_AUTH_KEY",
    "SYNCER_ACCESS_TOKEN",
    "SYNCER_GITHUB_TOKEN",
];

/// The options of `action`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Debug, Args)]
pub struct ActionOptions {
    /// What to do; pull requests and merge groups only ever plan
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: ActionMode,
    /// Plan, whatever the mode
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub dry_run: bool,
    /// Carry out this plan, as an earlier job's report has it: no tag is resolved again
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Mirror nothing that is not as it was reviewed in its pull request
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub require_reviewed: bool,
    /// When to write the comment on the pull request
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub comment: CommentWhen,
    /// Tells the comments of several runs on one pull request apart
    #[arg(long, value_name = "KEY", default_value = "image-syncer")]
    pub comment_key: String,
    /// Whether to write the job summary
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub summary: bool,
    /// Whether to annotate the lines of the lists
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub annotations: bool,
    /// Whether to make a check run on the head commit
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub check_run: bool,
    /// Whether pull requests may name registries at private, loopback and link-local addresses
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub allow_private_networks: bool,
    /// Say in the output `shards` what a matrix of so many jobs gives to `shard`: a number, or `auto` by what there is
    /// to do
    #[arg(long, value_name = "NUMBER")]
    pub shards: Option<ShardCount>,
    /// Instead of a run: make one report of those of all shards, which are in this folder or in folders of it
    #[arg(long, value_name = "DIR")]
    pub merge_reports: Option<PathBuf>,
    /// The token for GitHub's API
    #[arg(long, value_name = "TOKEN", value_parser = value::secret)]
    pub github_token: Option<Secret>,
    /// What `sync` and `plan` have too.
    #[command(flatten)]
    pub run: RunOptions,
}

/// `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ActionMode {
    /// Plan for pull requests and merge groups, sync else.
    #[default]
    Auto,
    /// Plan.
    Plan,
    /// Sync; pull requests and merge groups plan all the same.
    Sync,
}

/// `comment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CommentWhen {
    /// Always.
    Always,
    /// When there is something to say, or what was said is no longer true.
    #[default]
    OnChange,
    /// When something is wrong, or what was said is no longer true.
    OnFailure,
    /// Never.
    Never,
}

#[cfg(test)]
mod tests;
