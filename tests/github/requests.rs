//! How GitHub is spoken to: who asks, how long an answer may be and take, when a question is asked again, and that
//! the token is never told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use image_syncer::github::api::{Api, ApiError, ApiErrorKind};
use image_syncer::github::{CommitId, Token};
use serde_json::json;

use crate::stand_in::{Entry, GitHub, TOKEN, told};
use crate::{api, repository, settings};

async fn head(api: &Api) -> Result<CommitId, ApiError> {
    api.pull_request_head(&repository(), 7).await
}

fn status(status: u16) -> Response {
    Response::builder().status(status).body(Body::from("<html>")).expect("an answer")
}

/// Answers the first requests with something else.
fn first(github: &GitHub, count: usize, answer: impl Fn() -> Response + Send + Sync + 'static) {
    let seen = Arc::new(AtomicUsize::new(0));
    github.on_request(move |_| (seen.fetch_add(1, Ordering::Relaxed) < count).then(&answer));
}

#[tokio::test]
async fn the_head_of_a_pull_request_moves() {
    for github in [GitHub::start(), GitHub::enterprise()] {
        let api = api(&github);
        assert_eq!(head(&api).await.expect("a head").as_str(), "1".repeat(40));
        github.move_head(&"A".repeat(40));
        assert_eq!(head(&api).await.expect("a head").as_str(), "a".repeat(40));
        github.move_head("main");
        assert_eq!(head(&api).await.expect_err("no commit").kind, ApiErrorKind::Malformed);
    }
}

#[tokio::test]
async fn where_a_change_departed_is_found() {
    for github in [GitHub::start(), GitHub::enterprise()] {
        let [start, base, head] =
            ["start", "base", "head"].map(|name| github.commit(&[(name, Entry::File(b"x"))]));
        let id = |text: &str| text.parse::<CommitId>().expect("a commit");
        let api = api(&github);
        let found = api.merge_base(&repository(), &id(&base), &id(&head)).await.expect("a commit");
        assert_eq!(found.as_str(), base);
        github.departs(&head, &start);
        github.take_lines();
        let found = api.merge_base(&repository(), &id(&base), &id(&head)).await.expect("a commit");
        assert_eq!(found.as_str(), start);
        // The first page would have the differences of up to 300 files.
        let asked = format!("GET /repos/octo-org/mirror/compare/{base}...{head}?per_page=1&page=2");
        assert_eq!(github.take_lines(), [asked]);
        github.departs(&head, "main");
        let error = api.merge_base(&repository(), &id(&base), &id(&head)).await.expect_err("no commit");
        assert_eq!(error.kind, ApiErrorKind::Malformed);
    }
}

#[tokio::test]
async fn each_request_says_who_asks_and_in_which_version() {
    let github = GitHub::start();
    head(&api(&github)).await.expect("a head");
    let seen = github.requests().remove(0);
    let header = |name: &str| seen.headers[name].to_str().expect("text").to_owned();
    assert!(header("user-agent").starts_with("image-syncer/"));
    assert_eq!(header("x-github-api-version"), "2022-11-28");
    assert_eq!(header("accept"), "application/vnd.github+json");
    assert_eq!(header("authorization"), format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn a_question_is_asked_again_a_few_times() {
    for failure in [500, 502, 503, 504] {
        let github = GitHub::start();
        first(&github, 3, move || status(failure));
        head(&api(&github)).await.expect("a head");
        assert_eq!(github.requests().len(), 4);
        first(&github, 9, move || status(failure));
        let error = head(&api(&github)).await.expect_err("an error");
        assert_eq!((error.kind, github.requests().len()), (ApiErrorKind::Unreachable, 8));
    }
    for failure in [400, 401, 404, 410, 422, 301] {
        let github = GitHub::start();
        first(&github, 1, move || status(failure));
        head(&api(&github)).await.expect_err("an error");
        assert_eq!(github.requests().len(), 1, "{failure}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_if_it_is_short() {
    let github = GitHub::start();
    let limited = |seconds: &'static str| {
        move || {
            let mut answer = told(403, &json!({ "message": "You have exceeded a secondary rate limit." }));
            answer.headers_mut().insert("retry-after", seconds.parse().expect("a header"));
            answer
        }
    };
    first(&github, 1, limited("1"));
    let start = Instant::now();
    head(&api(&github)).await.expect("a head");
    assert!(start.elapsed() >= Duration::from_secs(1));
    first(&github, 1, limited("600"));
    let start = Instant::now();
    let error = head(&api(&github)).await.expect_err("an error");
    assert_eq!(error.kind, ApiErrorKind::RateLimited);
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let github = GitHub::start();
    github.on_request(|_| {
        let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 65_536]));
        Some(Response::new(Body::from_stream(pieces)))
    });
    let error = head(&api(&github)).await.expect_err("an error");
    assert_eq!(error.kind, ApiErrorKind::TooLarge, "{error}");
    github.on_request(|_| {
        let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 65_536]));
        Some(Response::builder().status(422).body(Body::from_stream(pieces)).expect("an answer"))
    });
    let error = head(&api(&github)).await.expect_err("an error");
    assert_eq!(error.status.map(|status| status.as_u16()), Some(422), "{error}");
}

#[tokio::test]
async fn silence_ends() {
    let github = GitHub::start();
    github.on_request(|_| {
        Some(Response::new(Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>())))
    });
    let mut settings = settings(&github);
    settings.timeout = Duration::from_millis(200);
    settings.retry.retries = 1;
    let start = Instant::now();
    let error = head(&Api::new(settings).expect("an API")).await.expect_err("an error");
    assert!(error.to_string().contains("did not answer within 0.2 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(github.requests().len(), 2);
}

#[tokio::test]
async fn nobody_there_is_told() {
    let mut settings = settings(&GitHub::start());
    settings.retry.retries = 0;
    let error = head(&Api::new(settings).expect("an API")).await.expect_err("an error");
    assert_eq!(error.kind, ApiErrorKind::Unreachable);
    assert!(error.to_string().starts_with("read pull request #7: cannot connect to 127.0.0.1: "), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let github = GitHub::start();
    let elsewhere = GitHub::start();
    let location = format!("{}repos/octo-org/mirror/pulls/7", elsewhere.api_url());
    github.on_request(move |_| {
        let answer = Response::builder().status(301).header("location", &location).body(Body::empty());
        Some(answer.expect("an answer"))
    });
    let error = head(&api(&github)).await.expect_err("an error");
    assert!(error.to_string().contains("renamed"), "{error}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_github_says_is_told_harmlessly_and_without_the_token() {
    let github = GitHub::start();
    github.on_request(|_| {
        let message = format!("no {TOKEN}\r\n::error::x ##[error]y");
        Some(told(422, &json!({ "message": message })))
    });
    let error = head(&api(&github)).await.expect_err("an error");
    let text = format!("{error} {error:?}");
    assert!(text.contains("no *** ::error::x ## [error]y") && !text.contains(TOKEN), "{text}");
    assert!(!text.contains(['\r', '\n']), "{text}");
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_told() {
    let github = GitHub::start();
    let mut settings = settings(&github);
    settings.token = Token::new("ghs_other").expect("a token");
    let error = head(&Api::new(settings).expect("an API")).await.expect_err("an error");
    assert_eq!(error.kind, ApiErrorKind::Unauthorized);
    assert!(!format!("{error} {error:?}").contains("ghs_other"), "{error}");
}

/// A commit has come with those pull requests of its that were merged.
#[tokio::test]
async fn the_pull_request_of_a_commit_is_found() {
    for github in [GitHub::start(), GitHub::enterprise()] {
        let (one, two) = ("a".repeat(40), "b".repeat(40));
        github.merge(&one, 7, &"c".repeat(40), "main");
        github.merge(&two, 9, &"d".repeat(40), "release");
        let api = api(&github);
        let commit = |text: &str| text.parse::<CommitId>().expect("a commit");
        let found = api.merged_with(&repository(), &commit(&one)).await.expect("an answer");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].number, found[0].base.as_str()), (7, "main"));
        assert_eq!(found[0].head.as_str(), "c".repeat(40));
        assert_eq!(api.merged_with(&repository(), &commit(&"e".repeat(40))).await.expect("an answer"), []);
        let commits = api.commits_of(&repository(), &commit(&two), "a/ b.yaml", 10).await.expect("an answer");
        assert_eq!(commits.iter().map(CommitId::as_str).collect::<Vec<_>>(), [two.as_str(), one.as_str()]);
        let lines = github.take_lines();
        assert!(
            lines.contains(&format!("GET /repos/octo-org/mirror/commits/{one}/pulls?per_page=10")),
            "{lines:?}"
        );
        let list = format!("GET /repos/octo-org/mirror/commits?sha={two}&path=a%2F+b.yaml&per_page=10");
        assert!(lines.contains(&list), "{lines:?}");
    }
}

/// One that is open, or was closed without being merged, has brought nothing anywhere.
#[tokio::test]
async fn a_pull_request_that_was_not_merged_is_none_of_a_commit() {
    let github = GitHub::start();
    github.on_request(|_| {
        let ends = json!({ "head": { "sha": "c".repeat(40) }, "base": { "ref": "main" } });
        let mut open = ends;
        open["number"] = json!(7);
        open["merged_at"] = json!(null);
        Some(told(200, &json!([open])))
    });
    let commit = "a".repeat(40).parse::<CommitId>().expect("a commit");
    assert_eq!(api(&github).merged_with(&repository(), &commit).await.expect("an answer"), []);
    github.on_request(|_| Some(told(200, &json!([{ "number": 7 }]))));
    let error = api(&github).merged_with(&repository(), &commit).await.expect_err("no list of pull requests");
    assert_eq!(error.kind, ApiErrorKind::Malformed);
}
