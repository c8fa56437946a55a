//! A file at a commit, through the Git trees API ("Git database").
//!
//! The contents API would follow a symbolic link, to any file of the repository; here the path is walked directory by
//! directory, and only a regular file is read. Its size is known before it is.

use serde::Deserialize;

use super::error::{ApiError, ApiErrorKind, Operation};
use super::{Api, Call, ONE_THING};
use crate::github::names::{CommitId, RepositoryName, is_object_id, quotable};

/// The most that is read of a directory. GitHub cuts those of more than 7 MB, and says so.
const DIRECTORY: usize = 10 * 1024 * 1024;

/// The longest path, in bytes, and the most components that it has.
const LONGEST_PATH: usize = 4096;
const MOST_COMPONENTS: usize = 32;

const PERMISSION: &str = "contents: read";

/// What a path leads to that is no regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A submodule: a commit of another repository.
    Submodule,
    /// A mode that Git does not have.
    Unknown,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::SymbolicLink => "a symbolic link",
            Self::Submodule => "a submodule",
            Self::Unknown => "of an unknown kind",
        })
    }
}

/// A file that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// The path is none that could be in a repository.
    #[error("`{path}` is not a path in a repository: {fault}")]
    Path {
        /// The path, bounded and harmless.
        path: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The path, or the beginning of it, leads to something that is not read.
    #[error("`{path}` is {kind}, and only a regular file is read")]
    NotAFile {
        /// The path as far as it was walked.
        path: String,
        /// What is there.
        kind: Kind,
    },
    /// The file is too large.
    #[error("`{path}` has {size} bytes, and {most} are the most")]
    TooLarge {
        /// The path.
        path: String,
        /// The file's size.
        size: u64,
        /// The most that is accepted.
        most: u64,
    },
    /// GitHub could not be asked.
    #[error(transparent)]
    Api(#[from] ApiError),
}

#[derive(Deserialize)]
struct Commit {
    tree: Named,
}

#[derive(Deserialize)]
struct Named {
    sha: String,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    mode: String,
    sha: String,
    size: Option<u64>,
}

impl Api {
    /// A file at a commit, of `most` bytes at the most; `None` if that commit has no such file.
    ///
    /// The commit may be one of a fork: GitHub keeps the commits of pull requests with their base repository.
    pub async fn file_at(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        path: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>, ContentsError> {
        let components = components(path)?;
        let operation = Operation::about(&format!("read at commit {}", commit.short()), path, PERMISSION);
        let url = self.url(repository, &["git", "commits", commit.as_str()]);
        let root: Commit = self.read(url, &operation, ONE_THING).await?;
        let mut id = root.tree.sha;
        for (depth, name) in components.iter().enumerate() {
            let walked = || quotable(&components[..=depth].join("/"));
            let Some(entry) = self.entry(repository, &id, name, &operation).await? else { return Ok(None) };
            let kind = match entry.mode.as_str() {
                "100644" | "100755" if depth + 1 == components.len() => {
                    return self.blob(repository, &entry, path, most, &operation).await.map(Some);
                }
                // A file stands where a directory would have to be: what is below it does not exist.
                "100644" | "100755" => return Ok(None),
                "040000" if depth + 1 < components.len() => {
                    id = entry.sha;
                    continue;
                }
                "040000" => Kind::Directory,
                "120000" => Kind::SymbolicLink,
                "160000" => Kind::Submodule,
                _ => Kind::Unknown,
            };
            return Err(ContentsError::NotAFile { path: walked(), kind });
        }
        Ok(None)
    }

    async fn entry(
        &self,
        repository: &RepositoryName,
        tree: &str,
        name: &str,
        operation: &Operation,
    ) -> Result<Option<Entry>, ApiError> {
        let url = self.url(repository, &["git", "trees", checked(tree, operation)?]);
        let tree: Tree = self.read(url, operation, DIRECTORY).await?;
        let found = tree.tree.into_iter().find(|entry| entry.path == name);
        if found.is_none() && tree.truncated {
            let message = "the directory has more files than GitHub lists";
            return Err(operation.error(ApiErrorKind::TooLarge, message));
        }
        Ok(found)
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        entry: &Entry,
        path: &str,
        most: u64,
        operation: &Operation,
    ) -> Result<Vec<u8>, ContentsError> {
        let malformed = |message: &str| operation.error(ApiErrorKind::Malformed, message);
        let size = entry.size.ok_or_else(|| malformed("GitHub does not say how large the file is"))?;
        if size > most {
            return Err(ContentsError::TooLarge { path: quotable(path), size, most });
        }
        let url = self.url(repository, &["git", "blobs", checked(&entry.sha, operation)?]);
        let mut call = Call::get(url, operation.clone());
        call.accept = "application/vnd.github.raw+json";
        let limit = usize::try_from(size).unwrap_or(usize::MAX);
        let body = self.expect(&call, limit).await?.body;
        if body.len() != limit {
            let message = format!("GitHub sent {} bytes of a file that has {size}", body.len());
            return Err(malformed(&message).into());
        }
        Ok(body)
    }
}

/// An object's ID that GitHub named, which is to stand in a URL.
fn checked<'a>(id: &'a str, operation: &Operation) -> Result<&'a str, ApiError> {
    if is_object_id(id) {
        return Ok(id);
    }
    let message = format!("`{}` is not the ID of an object", quotable(id));
    Err(operation.error(ApiErrorKind::Malformed, message))
}

/// The components of a path that a repository can have.
fn components(path: &str) -> Result<Vec<&str>, ContentsError> {
    let components: Vec<&str> = path.split('/').collect();
    let fault = if path.is_empty() {
        "it is empty"
    } else if path.len() > LONGEST_PATH || components.len() > MOST_COMPONENTS {
        "it is too long"
    } else if path.starts_with('/') {
        "it has to be relative to the repository's root"
    } else if path.contains('\\') {
        "its components are parted by `/`, not by `\\`"
    } else if path.chars().any(char::is_control) {
        "it has control characters"
    } else if components.iter().any(|component| matches!(*component, "" | "." | "..")) {
        "it has an empty component, `.` or `..`"
    } else if components.iter().any(|component| component.eq_ignore_ascii_case(".git")) {
        "`.git` is never part of a commit"
    } else {
        return Ok(components);
    };
    Err(ContentsError::Path { path: quotable(path), fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_walked_component_by_component() {
        assert_eq!(components("lists/prod/external-images.yaml").expect("a path").len(), 3);
        assert_eq!(components("..a/b ü").expect("a path"), ["..a", "b ü"]);
        let deep = ["a"; 33].join("/");
        let long = "a".repeat(4097);
        for path in [
            "",
            "/a",
            "a/",
            "a//b",
            "./a",
            "a/./b",
            "../a",
            "a/..",
            "a\\b",
            "a\nb",
            "a\0",
            "C:\\a",
            ".git/config",
            &deep,
            &long,
        ] {
            let error = components(path).expect_err(path).to_string();
            assert!(!error.contains('\n') && error.len() < 300, "{error}");
        }
    }
}
