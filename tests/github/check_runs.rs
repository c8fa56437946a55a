//! A check run: complete from the start, with its annotations in batches and its texts within GitHub's limits.

use axum::response::Response;
use image_syncer::github::api::{ApiErrorKind, CheckRun, Conclusion, MOST_ANNOTATIONS};
use image_syncer::github::{Annotation, CommitId, Level, Place};
use serde_json::json;

use crate::stand_in::{GitHub, told};
use crate::{api, repository};

fn head() -> CommitId {
    "1111111111111111111111111111111111111111".parse().expect("a commit")
}

fn run(annotations: usize) -> CheckRun {
    let annotation = |number: usize| Annotation {
        level: [Level::Error, Level::Warning, Level::Notice][number % 3],
        title: Some("conflict".into()),
        place: Some(Place {
            path: "external-images.yaml".into(),
            line: u32::try_from(number + 1).ok(),
            column: Some(5),
            end_column: None,
        }),
        message: format!("entry {number}"),
    };
    CheckRun {
        name: "image-syncer".into(),
        conclusion: Conclusion::Failure,
        title: "1 conflict".into(),
        summary: "# All".into(),
        text: None,
        details_url: Some("https://github.com/octo-org/mirror/actions/runs/1".parse().expect("a URL")),
        annotations: (0..annotations).map(annotation).collect(),
    }
}

#[tokio::test]
async fn annotations_come_in_batches_of_fifty() {
    for (count, requests) in [(0, 1), (1, 1), (50, 1), (51, 2), (120, 3)] {
        for github in [GitHub::start(), GitHub::enterprise()] {
            let shown = api(&github)
                .create_check_run(&repository(), &head(), &run(count))
                .await
                .expect("a check run");
            assert_eq!((shown.annotations, shown.left_out), (count, 0));
            assert!(shown.url.is_some());
            assert_eq!(github.take_lines().len(), requests);
            let runs = github.check_runs();
            assert_eq!(runs.len(), 1);
            let kept = runs[0]["output"]["annotations"].as_array().expect("a list");
            let lines: Vec<u64> = kept.iter().filter_map(|kept| kept["start_line"].as_u64()).collect();
            assert_eq!(lines, (1..=count as u64).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_check_run_says_what_was_meant() {
    let github = GitHub::start();
    api(&github).create_check_run(&repository(), &head(), &run(1)).await.expect("a check run");
    let mut kept = github.check_runs().remove(0);
    kept.as_object_mut().expect("an object").retain(|key, _| key != "id" && key != "html_url");
    assert_eq!(
        kept,
        json!({
            "name": "image-syncer",
            "head_sha": head().as_str(),
            "status": "completed",
            "conclusion": "failure",
            "details_url": "https://github.com/octo-org/mirror/actions/runs/1",
            "output": {
                "title": "1 conflict",
                "summary": "# All",
                "annotations": [{
                    "path": "external-images.yaml", "start_line": 1, "end_line": 1,
                    "start_column": 5, "end_column": 5, "annotation_level": "failure",
                    "message": "entry 0", "title": "conflict",
                }],
            },
        })
    );
}

#[tokio::test]
async fn texts_and_numbers_stay_within_the_limits() {
    let github = GitHub::start();
    let mut run = run(MOST_ANNOTATIONS + 7);
    run.title = "é".repeat(300);
    run.summary = "é".repeat(70_000);
    run.text = Some("x".repeat(70_000));
    run.annotations[0].message = "é".repeat(70_000);
    run.annotations[0].title = Some("t".repeat(300));
    run.annotations[1].place = None;
    let shown = api(&github).create_check_run(&repository(), &head(), &run).await.expect("a check run");
    assert_eq!((shown.annotations, shown.left_out), (MOST_ANNOTATIONS, 7));
    assert_eq!(github.take_lines().len(), 10);
}

#[tokio::test]
async fn whoever_may_not_write_is_told_which_permission_it_takes() {
    let github = GitHub::start();
    github.on_request(|_| Some(told(403, &json!({ "message": "Resource not accessible by integration" }))));
    let error = api(&github).create_check_run(&repository(), &head(), &run(1)).await.expect_err("an error");
    assert_eq!(error.kind, ApiErrorKind::Forbidden);
    assert!(error.to_string().contains("`permissions: checks: write`"), "{error}");
}

#[tokio::test]
async fn a_check_run_is_never_created_twice() {
    let github = GitHub::start();
    github.on_request(|_| Some(Response::builder().status(502).body("x".into()).expect("an answer")));
    let error = api(&github).create_check_run(&repository(), &head(), &run(60)).await.expect_err("an error");
    assert_eq!((error.kind, github.requests().len()), (ApiErrorKind::Unreachable, 1));
}
