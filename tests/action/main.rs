//! The program as a GitHub Action: what each event does, where results go, and what a stranger cannot do.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../github/runner_commands.rs"]
#[allow(dead_code, reason = "shared with the tests of GitHub's side")]
mod runner_commands;
#[path = "../github/runner_files.rs"]
#[allow(dead_code, reason = "shared with the tests of GitHub's side")]
mod runner_files;
#[path = "../github/stand_in.rs"]
#[allow(dead_code, reason = "shared with the tests of GitHub's side")]
mod stand_in;
#[path = "../support/mod.rs"]
mod support;

mod comments;
mod events;
mod logins;
mod results;
mod reusable;
mod reviewed;
mod shards;
mod strangers;
mod workflow;
