//! A file at a commit: a regular one of the right size, or an error that says what is there.

use image_syncer::github::CommitId;
use image_syncer::github::api::{ApiErrorKind, ContentsError, Kind};
use serde_json::json;

use crate::stand_in::{Entry, GitHub};
use crate::{api, repository};

const LIST: &[u8] = b"images:\n- source: busybox:1\n";

async fn read(
    github: &GitHub,
    commit: &str,
    path: &str,
    most: u64,
) -> Result<Option<Vec<u8>>, ContentsError> {
    let commit: CommitId = commit.parse().expect("a commit");
    api(github).file_at(&repository(), &commit, path, most).await
}

#[tokio::test]
async fn a_regular_file_is_read_wherever_it_is() {
    for github in [GitHub::start(), GitHub::enterprise()] {
        let commit = github.commit(&[
            ("external-images.yaml", Entry::File(LIST)),
            ("lists/prod/images.yaml", Entry::Executable(b"deep")),
            ("lists/empty.yaml", Entry::File(b"")),
        ]);
        assert_eq!(
            read(&github, &commit, "external-images.yaml", 100).await.expect("a file").as_deref(),
            Some(LIST)
        );
        github.take_lines();
        let deep = read(&github, &commit, "lists/prod/images.yaml", 4).await.expect("a file");
        assert_eq!(deep.as_deref(), Some(&b"deep"[..]));
        let lines = github.take_lines();
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with("GET /repos/octo-org/mirror/git/") && !line.contains('?'))
        );
        assert_eq!(
            read(&github, &commit, "lists/empty.yaml", 4).await.expect("a file").as_deref(),
            Some(&b""[..])
        );
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_no_error() {
    let github = GitHub::start();
    let commit = github.commit(&[("a/b.yaml", Entry::File(LIST))]);
    for path in ["b.yaml", "a/c.yaml", "A/b.yaml", "a/b.yaml/c", "a/b"] {
        assert_eq!(read(&github, &commit, path, 100).await.expect("no error"), None, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_regular_file_is_told_and_not_read() {
    let github = GitHub::start();
    let commit = github.commit(&[
        ("link.yaml", Entry::Link(".github/workflows/secret.yml")),
        ("linked", Entry::Link("lists")),
        ("module", Entry::Submodule),
        ("lists/a.yaml", Entry::File(LIST)),
    ]);
    for (path, kind, told) in [
        ("link.yaml", Kind::SymbolicLink, "`link.yaml` is a symbolic link"),
        ("linked/a.yaml", Kind::SymbolicLink, "`linked` is a symbolic link"),
        ("module", Kind::Submodule, "`module` is a submodule"),
        ("module/a.yaml", Kind::Submodule, "`module` is a submodule"),
        ("lists", Kind::Directory, "`lists` is a directory"),
    ] {
        let error = read(&github, &commit, path, 100).await.expect_err("an error");
        assert!(matches!(error, ContentsError::NotAFile { kind: found, .. } if found == kind), "{error}");
        assert!(error.to_string().starts_with(told), "{error}");
    }
    assert!(github.take_lines().iter().all(|line| !line.contains("/blobs/")));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_asked_for() {
    let github = GitHub::start();
    let commit = github.commit(&[("a.yaml", Entry::File(LIST))]);
    let size = LIST.len() as u64;
    assert!(read(&github, &commit, "a.yaml", size).await.expect("a file").is_some());
    github.take_lines();
    let error = read(&github, &commit, "a.yaml", size - 1).await.expect_err("an error");
    assert!(matches!(error, ContentsError::TooLarge { size: found, .. } if found == size), "{error}");
    assert!(github.take_lines().iter().all(|line| !line.contains("/blobs/")));
}

#[tokio::test]
async fn a_file_of_another_size_than_its_directory_says_is_refused() {
    let github = GitHub::start();
    let large = vec![b'x'; 1024 * 1024];
    let commit =
        github.commit(&[("large.yaml", Entry::Lie(&large, 10)), ("small.yaml", Entry::Lie(b"12345", 10))]);
    for (path, kind) in [("large.yaml", ApiErrorKind::TooLarge), ("small.yaml", ApiErrorKind::Malformed)] {
        let error = read(&github, &commit, path, 100).await.expect_err("an error");
        assert!(matches!(&error, ContentsError::Api(error) if error.kind == kind), "{error}");
    }
}

#[tokio::test]
async fn what_could_not_be_found_out_is_never_absent() {
    let github = GitHub::start();
    let commit = github.commit(&[("a.yaml", Entry::File(LIST))]);
    let error = read(&github, &"0".repeat(40), "a.yaml", 100).await.expect_err("no such commit");
    assert!(matches!(&error, ContentsError::Api(error) if error.kind == ApiErrorKind::NotFound), "{error}");
    assert!(error.to_string().contains("`permissions: contents: read`"), "{error}");
    github.change_trees(|tree| tree["truncated"] = json!(true));
    let error = read(&github, &commit, "b.yaml", 100).await.expect_err("half a directory");
    assert!(matches!(&error, ContentsError::Api(error) if error.kind == ApiErrorKind::TooLarge), "{error}");
    assert!(read(&github, &commit, "a.yaml", 100).await.expect("a file").is_some());
    github.change_trees(|tree| tree["tree"][0]["sha"] = json!("../../../user"));
    let error = read(&github, &commit, "a.yaml", 100).await.expect_err("no object");
    assert!(matches!(&error, ContentsError::Api(error) if error.kind == ApiErrorKind::Malformed), "{error}");
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_asks_nothing() {
    let github = GitHub::start();
    let commit = github.commit(&[("a.yaml", Entry::File(LIST))]);
    for path in ["../a.yaml", "/a.yaml", "a//b", "a\\b", ""] {
        let error = read(&github, &commit, path, 100).await.expect_err("an error");
        assert!(matches!(error, ContentsError::Path { .. }), "{error}");
    }
    assert!(github.requests().is_empty());
}
