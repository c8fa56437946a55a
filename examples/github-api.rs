//! Makes each call of the library to GitHub's API, so that its requests can be held against GitHub's own description:
//! `cargo run --example github-api -- REST-URL GRAPHQL-URL OWNER/NAME COMMIT PATH`, with the token in `GITHUB_TOKEN`.
//! It writes to pull request 1: it is for a server that only plays GitHub. A mock of GitHub's `OpenAPI` description
//! knows neither GraphQL nor the media types `application/vnd.github+json` and `…raw+json` of answers, so that a
//! proxy in front of it has to answer the one and ask for `application/json` in place of the others.

use std::process::ExitCode;

use anyhow::Context as _;
use image_syncer::github::api::{Api, CheckRun, Comment, Conclusion, Settings, StickyKey};
use image_syncer::github::{Annotation, CommitId, Level, Place, RepositoryName, Token};
use url::Url;

/// What is called, and what came of it.
struct Calls(Vec<(&'static str, Result<String, String>)>);

impl Calls {
    fn note<T: std::fmt::Debug, E: std::fmt::Display>(&mut self, call: &'static str, outcome: Result<T, E>) {
        let outcome = outcome.map(|value| format!("{value:?}")).map_err(|error| error.to_string());
        self.0.push((call, outcome));
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rest, graphql, repository, commit, path] = arguments.as_slice() else {
        anyhow::bail!("usage: github-api REST-URL GRAPHQL-URL OWNER/NAME COMMIT PATH");
    };
    let token = Token::new(&std::env::var("GITHUB_TOKEN").context("GITHUB_TOKEN is to hold a token")?)?;
    let api = Api::new(Settings::new(Url::parse(rest)?, Url::parse(graphql)?, token))?;
    let repository: RepositoryName = repository.parse()?;
    let commit: CommitId = commit.parse()?;
    let mut calls = Calls(Vec::new());
    calls.note("file_at", api.file_at(&repository, &commit, path, 1024 * 1024).await);
    calls.note("pull_request_head", api.pull_request_head(&repository, 1).await);
    calls.note("merged_with", api.merged_with(&repository, &commit).await);
    calls.note("commits_of", api.commits_of(&repository, &commit, "external-images.yaml", 10).await);
    let key: StickyKey = "default".parse()?;
    let sticky = api.sticky(&repository, 1, &key);
    let existing = sticky.existing().await;
    calls.note("sticky.existing", existing.as_ref());
    calls.note("sticky.write (create)", sticky.write(None, "Nothing to sync.").await);
    let old = Comment { id: 1, url: None, body: String::new() };
    calls.note("sticky.write (edit)", sticky.write(Some(&old), "Nothing to sync.").await);
    calls.note("create_check_run", api.create_check_run(&repository, &commit, &check_run()).await);
    let mut all_well = true;
    for (call, outcome) in calls.0 {
        all_well &= outcome.is_ok();
        let (word, text) = match &outcome {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        print_line(&format!("{word:6} {call}: {text}"));
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "this is a program of its own")]
fn print_line(line: &str) {
    println!("{line}");
}

/// One with each field that there is, and so many annotations that they take two requests.
fn check_run() -> CheckRun {
    let annotation = |number: u32| Annotation {
        level: [Level::Error, Level::Warning, Level::Notice][number as usize % 3],
        title: Some("conflict".into()),
        place: Some(Place {
            path: "external-images.yaml".into(),
            line: Some(number),
            column: (number > 1).then_some(5),
            end_column: (number > 2).then_some(9),
        }),
        message: format!("entry {number}"),
    };
    CheckRun {
        name: "image-syncer".into(),
        conclusion: Conclusion::ActionRequired,
        title: "1 conflict".into(),
        summary: "**1 conflict**".into(),
        text: Some("More.".into()),
        details_url: Url::parse("https://github.com/octo-org/mirror/actions/runs/1").ok(),
        annotations: (1..=60).map(annotation).collect(),
    }
}
