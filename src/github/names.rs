//! What GitHub names things with: a repository, a commit, and the token that proves who asks. Each is checked once
//! where it comes in, so that it can stand in a URL ever after.

use std::fmt;
use std::str::FromStr;

/// GitHub's longest names: 39 characters of an owner, 100 of a repository; a server may allow more.
const LONGEST_NAME: usize = 100;

/// A name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `owner/name`.
    #[error("`{0}` is not the name of a repository, which is `owner/name`")]
    Repository(String),
    /// Not a commit's ID.
    #[error("`{0}` is not the ID of a commit, which has 40 or 64 hexadecimal digits")]
    Commit(String),
    /// Nothing that could stand in a header. The text is not repeated.
    #[error("the token is empty or has characters that no token has, such as a line break")]
    Token,
}

/// A repository: `owner/name`. GitHub compares both without regard to case, and so does `==`.
#[derive(Debug, Clone, Eq)]
pub struct RepositoryName {
    owner: String,
    name: String,
}

impl RepositoryName {
    /// The user or the organisation.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl PartialEq for RepositoryName {
    fn eq(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_name = |name: &str| {
            (1..=LONGEST_NAME).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
                && name != "."
                && name != ".."
        };
        match text.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(NameError::Repository(quotable(text))),
        }
    }
}

/// A commit's ID: 40 hexadecimal digits, or 64 in a repository with SHA-256; lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, by which people know a commit.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CommitId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_object_id(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NameError::Commit(quotable(text)))
        }
    }
}

/// Whether a text is the ID of something that Git keeps.
pub(super) fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A token for GitHub's API. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token as it is; blanks around it are not part of it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NameError::Token);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, for the header that sends it and the mask that hides it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A foreign text, short enough and tame enough to stand in an error.
pub(super) fn quotable(text: &str) -> String {
    let line = super::workflow_command::harmless_line(text);
    super::workflow_command::cut(&line, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_an_owner_and_a_name() {
        let name: RepositoryName = "Octo-Org/.github".parse().expect("a repository");
        assert_eq!((name.owner(), name.name()), ("Octo-Org", ".github"));
        assert_eq!(name, "octo-org/.GitHub".parse().expect("a repository"));
        let long = format!("a/{}", "b".repeat(101));
        for text in
            ["", "a", "a/", "/b", "a/b/c", "a/..", "./b", "a/b?c", "a/b#c", "a b/c", "a/b\n", "a/%2e", &long]
        {
            assert!(text.parse::<RepositoryName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn commits_are_digits() {
        let id: CommitId = "0123456789ABCDEF0123456789abcdef01234567".parse().expect("a commit");
        assert_eq!((id.as_str(), id.short()), ("0123456789abcdef0123456789abcdef01234567", "0123456"));
        assert!("a".repeat(64).parse::<CommitId>().is_ok());
        for text in ["", "main", &"a".repeat(39), &"g".repeat(40), &"é".repeat(20), &"a".repeat(41)] {
            assert!(text.parse::<CommitId>().is_err(), "{text:?}");
        }
        let error = "::error::x\n".parse::<CommitId>().expect_err("no commit").to_string();
        assert!(error.contains("`: :error::x `"), "{error}");
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" ghs_secret\n").expect("a token");
        assert_eq!((format!("{token:?}").as_str(), token.expose()), ("***", "ghs_secret"));
        for text in ["", "  ", "a b", "a\nb", "a\u{e9}"] {
            let error = Token::new(text).expect_err("no token").to_string();
            assert!(text.trim().is_empty() || !error.contains(text), "{error}");
        }
    }
}
