//! The sticky comment: found by marker and author, edited in place, and left alone where it says the same.

use axum::response::Response;
use image_syncer::github::api::{Api, ApiError, ApiErrorKind, Change, LONGEST_COMMENT, StickyKey, Written};
use serde_json::json;

use crate::stand_in::{GitHub, told};
use crate::{api, repository};

const MARKER: &str = "<!-- image-syncer:prod -->";
const BOT: &str = "github-actions[bot]";

fn key() -> StickyKey {
    "prod".parse().expect("a key")
}

async fn update_with(api: &Api, body: &str) -> Result<Written, ApiError> {
    api.sticky(&repository(), 7, &key()).update(body).await
}

async fn update(github: &GitHub, body: &str) -> Result<Written, ApiError> {
    update_with(&api(github), body).await
}

#[tokio::test]
async fn a_comment_is_created_once_and_then_edited_in_place() {
    for github in [GitHub::start(), GitHub::enterprise()] {
        github.comment_by("octocat", "User", "What is this?");
        let created = update(&github, "Two images\nwould be copied.").await.expect("a comment");
        let edited = update(&github, "One image\nwould be copied.").await.expect("a comment");
        assert_eq!((created.change, edited.change), (Change::Created, Change::Edited));
        assert_eq!(created.url, edited.url);
        github.take_lines();
        let unchanged = update(&github, "One image\nwould be copied.\n").await.expect("a comment");
        assert_eq!((unchanged.change, &unchanged.url), (Change::Unchanged, &edited.url));
        assert!(unchanged.url.expect("a page").as_str().contains("/octo-org/mirror/pull/7#issuecomment-"));
        let lines = github.take_lines();
        assert!(
            lines.iter().all(|line| line.starts_with("GET ") || line.ends_with("/graphql")),
            "{lines:#?}"
        );
        let comments = github.comments();
        assert_eq!(comments.len(), 2);
        assert_eq!(comments[1].body, format!("{MARKER}\r\nOne image\r\nwould be copied."));
    }
}

/// Between looking and writing somebody deletes it.
#[tokio::test]
async fn a_comment_that_was_deleted_is_written_anew() {
    let github = GitHub::start();
    update(&github, "One image.").await.expect("a comment");
    github.on_request(|seen| {
        let gone = seen.method == http::Method::PATCH;
        gone.then(|| told(404, &json!({ "message": "Not Found" })))
    });
    let written = update(&github, "Two images.").await.expect("a comment");
    assert_eq!(written.change, Change::Created);
    assert!(github.comments().last().expect("a comment").body.ends_with("Two images."));
}

#[tokio::test]
async fn a_comment_of_somebody_else_is_never_taken_for_ours() {
    let github = GitHub::start();
    for (login, kind) in [
        ("mallory", "User"),
        ("github-actions", "User"),
        ("github-actions-bot", "Bot"),
        ("octo-app[bot]", "Bot"),
        (BOT, "User"),
        ("github-actions", "Mannequin"),
    ] {
        github.comment_by(login, kind, &format!("{MARKER}\nforged"));
    }
    github.comment_by_nobody(&format!("{MARKER}\nby nobody"));
    github.comment_by(BOT, "Bot", &format!("> {MARKER}\nquoted"));
    github.comment_by(BOT, "Bot", &format!(" {MARKER}\nindented"));
    github.comment_by(BOT, "Bot", "<!-- image-syncer:prod2 -->\nof another key");
    let before = github.comments();
    let sticky_of = api(&github);
    let repository = repository();
    let sticky = sticky_of.sticky(&repository, 7, &key());
    assert_eq!(sticky.existing().await.expect("an answer"), None);
    assert_eq!(update(&github, "ours").await.expect("a comment").change, Change::Created);
    assert_eq!(github.comments()[..before.len()], before[..]);
    assert_eq!(github.comments().len(), before.len() + 1);
}

#[tokio::test]
async fn a_person_with_a_token_has_a_comment_as_well() {
    let github = GitHub::start();
    github.token_of("Octocat");
    github.comment_by("octocat[bot]", "Bot", MARKER);
    let id = github.comment_by("octocat", "User", MARKER);
    assert_eq!(update(&github, "new").await.expect("a comment").change, Change::Edited);
    let edited: Vec<u64> =
        github.comments().iter().filter(|kept| kept.body.ends_with("new")).map(|kept| kept.id).collect();
    assert_eq!(edited, [id]);
}

#[tokio::test]
async fn of_several_own_ones_the_oldest_is_edited_wherever_it_is() {
    let github = GitHub::enterprise();
    for number in 0..230 {
        github.comment_by("octocat", "User", &format!("{MARKER} {number}"));
    }
    let oldest = github.comment_by("GitHub-Actions[bot]", "Bot", &format!("{MARKER}\r\nold"));
    github.comment_by(BOT, "Bot", &format!("{MARKER}\r\nyounger"));
    let written = update(&github, "new").await.expect("a comment");
    assert_eq!(written.change, Change::Edited);
    let edited = github.comments().into_iter().find(|kept| kept.id == oldest).expect("the comment");
    assert_eq!(edited.body, format!("{MARKER}\r\nnew"));
    let pages = github.take_lines().into_iter().filter(|line| line.contains("per_page=100")).count();
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn too_many_comments_are_an_error_and_not_one_comment_more() {
    let github = GitHub::start();
    for number in 0..3001 {
        github.comment_by("octocat", "User", &number.to_string());
    }
    let error = update(&github, "new").await.expect_err("an error");
    assert_eq!(error.kind, ApiErrorKind::TooLarge);
    assert_eq!(github.comments().len(), 3001);
}

#[tokio::test]
async fn the_next_page_is_followed_to_the_api_only() {
    for next in ["https://example.com/steal?page=2", "/graphql", "http://["] {
        let github = GitHub::enterprise();
        github.on_request(move |seen| {
            let mut answer = told(200, &json!([]));
            answer.headers_mut().insert("link", format!("<{next}>; rel=\"next\"").parse().expect("a header"));
            seen.path.contains("/comments").then_some(answer)
        });
        let error = update(&github, "new").await.expect_err(next);
        assert_eq!(error.kind, ApiErrorKind::Malformed, "{error}");
        assert_eq!(github.requests().len(), 2);
    }
}

#[tokio::test]
async fn whoever_may_not_write_is_told_which_permission_it_takes() {
    for status in [403, 404] {
        let github = GitHub::start();
        github.on_request(move |seen| {
            let refused = || told(status, &json!({ "message": "Resource not accessible by integration" }));
            (seen.method != "GET" && seen.path.contains("/comments")).then(refused)
        });
        let error = update(&github, "new").await.expect_err("an error");
        assert_eq!(error.kind, ApiErrorKind::Forbidden);
        let text = error.to_string();
        assert!(text.contains("Resource not accessible") && text.contains("pull-requests: write"), "{text}");
        github.comment_by(BOT, "Bot", MARKER);
        assert_eq!(update(&github, "new").await.expect_err("an error").kind, ApiErrorKind::Forbidden);
    }
}

#[tokio::test]
async fn a_text_that_github_would_refuse_is_not_sent() {
    let github = GitHub::start();
    let room = LONGEST_COMMENT - MARKER.len() - 1;
    let error = update(&github, &"é".repeat(room + 1)).await.expect_err("an error");
    assert_eq!(error.kind, ApiErrorKind::TooLarge);
    assert!(github.comments().is_empty());
    update(&github, &"é".repeat(room)).await.expect("what fits is sent");
}

/// Two of a comment are worse than none.
#[tokio::test]
async fn a_write_is_never_sent_again() {
    for status in [500, 502, 503, 429] {
        let github = GitHub::start();
        github.on_request(move |seen| {
            let broken = || Response::builder().status(status).body("x".into()).expect("an answer");
            (seen.method == "POST" && seen.path.contains("/comments")).then(broken)
        });
        update(&github, "new").await.expect_err("an error");
        let posts = github.take_lines().into_iter().filter(|line| line.starts_with("POST /repos")).count();
        assert_eq!(posts, 1);
    }
}

#[tokio::test]
async fn a_comment_that_is_written_is_written_whatever_the_answer_says() {
    let github = GitHub::start();
    github.on_request(|seen| {
        (seen.method == "POST" && seen.path.contains("/comments")).then(|| Response::new("<html>".into()))
    });
    let written = update(&github, "new").await.expect("a comment");
    assert_eq!((written.change, written.url), (Change::Created, None));
}
