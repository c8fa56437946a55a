//! GitHub's side, against what GitHub does: its runner's own rules for a step's output and files, and its API, of
//! which a stand-in in this process keeps the state.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod check_runs;
mod comments;
mod contents;
mod requests;
mod runner_commands;
mod runner_files;
mod stand_in;
mod workflow_commands;

use image_syncer::github::api::{Api, Retry, Settings};
use image_syncer::github::{RepositoryName, Token};
use stand_in::{GitHub, TOKEN};
use std::time::Duration;

/// The repository of all stories.
fn repository() -> RepositoryName {
    stand_in::REPOSITORY.parse().expect("a repository")
}

/// How a test speaks to the stand-in: as everybody does, with less patience.
fn settings(github: &GitHub) -> Settings {
    let mut settings =
        Settings::new(github.api_url(), github.graphql_url(), Token::new(TOKEN).expect("a token"));
    settings.timeout = Duration::from_secs(5);
    settings.retry = Retry { first_delay: Duration::from_millis(1), ..Retry::default() };
    settings
}

fn api(github: &GitHub) -> Api {
    Api::new(settings(github)).expect("an API")
}
