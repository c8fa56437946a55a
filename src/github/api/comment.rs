//! A sticky comment: one for each key on a pull request, edited in place (REST, "Issue comments").
//!
//! It is found by a hidden marker at its start *and* by its author: anybody can write the marker. Of several own ones
//! the oldest is it. Nothing is sent where nothing would change, since an edit is seen by everybody who follows.

use std::str::FromStr;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::error::{ApiError, ApiErrorKind, Operation};
use super::link::{Unreadable, next_page};
use super::{Api, Call, ONE_THING};
use crate::github::names::{RepositoryName, quotable};

/// The longest comment that GitHub takes, in characters.
pub const LONGEST_COMMENT: usize = 65_536;

/// So many comments are asked for at once, and so many times. What is beyond is not looked at.
const PAGE: usize = 100;
const PAGES: usize = 30;

/// The most that is read of a page: a hundred of the longest comments, of the widest characters.
const PAGE_BYTES: usize = 32 * 1024 * 1024;

const PERMISSION: &str = "pull-requests: write";

/// What tells the comments of several workflows on one pull request apart: up to 64 letters, digits, `.`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyKey(String);

/// A key that cannot stand in a comment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be a comment's key: 1 to 64 letters, digits, `.`, `_` and `-`")]
pub struct KeyError(String);

impl FromStr for StickyKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let is_tame = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_tame) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError(quotable(text)))
        }
    }
}

impl StickyKey {
    /// What a comment with this key begins with.
    #[must_use]
    pub fn marker(&self) -> String {
        format!("<!-- image-syncer:{} -->", self.0)
    }
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// GitHub's number for it.
    pub id: u64,
    /// Its page.
    pub url: Option<Url>,
    /// Its text, with the marker.
    pub body: String,
}

impl Comment {
    /// Whether it says `text` below its marker, wherever the last link that is called `link` leads.
    #[must_use]
    pub fn says(&self, text: &str, link: &str) -> bool {
        let without_link = |text: &str| {
            let text = normalised(text);
            let around = text.rsplit_once(&format!("[{link}]("));
            let around = around.and_then(|(before, rest)| Some((before, rest.split_once(')')?.1)));
            around.map_or_else(|| text.clone(), |(before, after)| format!("{before}{after}"))
        };
        self.body.split_once('\n').is_some_and(|(_, said)| without_link(said) == without_link(text))
    }
}

/// What became of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created,
    /// It was there and says something else now.
    Edited,
    /// It was there and said the same; nothing was sent.
    Unchanged,
}

/// A comment that says what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What became of it.
    pub change: Change,
    /// Its page.
    pub url: Option<Url>,
}

/// The comment with a key on a pull request, whether it exists or not.
#[derive(Debug)]
pub struct Sticky<'a> {
    api: &'a Api,
    repository: &'a RepositoryName,
    number: u64,
    marker: String,
}

#[derive(Deserialize)]
struct RawComment {
    id: u64,
    body: Option<String>,
    html_url: Option<String>,
    user: Option<RawUser>,
}

#[derive(Deserialize)]
struct RawUser {
    login: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl From<RawComment> for Comment {
    fn from(raw: RawComment) -> Self {
        let url = raw.html_url.and_then(|url| Url::parse(&url).ok());
        Self { id: raw.id, url, body: raw.body.unwrap_or_default() }
    }
}

/// Who writes. A bot is `name[bot]` to REST and to `viewer`, and `name` with a type elsewhere; a person cannot have a
/// name with brackets, but a person can have a bot's name without them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Author {
    name: String,
    is_bot: bool,
}

impl Author {
    fn viewer(login: &str) -> Self {
        let (name, is_bot) = bare(login);
        Self { name, is_bot }
    }

    /// The author of a comment; `None` where what is said of it does not fit together.
    fn of(user: &RawUser) -> Option<Self> {
        let (name, has_suffix) = bare(&user.login);
        match user.kind.as_deref() {
            Some("Bot") => Some(Self { name, is_bot: true }),
            Some("User") if !has_suffix => Some(Self { name, is_bot: false }),
            _ => None,
        }
    }
}

fn bare(login: &str) -> (String, bool) {
    let login = login.to_ascii_lowercase();
    login.strip_suffix("[bot]").map_or_else(|| (login.clone(), false), |name| (name.to_owned(), true))
}

impl Api {
    /// The comment with a key on a pull request; asks nothing yet.
    #[must_use]
    pub fn sticky<'a>(&'a self, repository: &'a RepositoryName, number: u64, key: &StickyKey) -> Sticky<'a> {
        Sticky { api: self, repository, number, marker: key.marker() }
    }
}

impl Sticky<'_> {
    /// The comment, if there is one.
    pub async fn existing(&self) -> Result<Option<Comment>, ApiError> {
        let author = self.viewer().await?;
        let operation = self.operation("find the comment on");
        let mut url = self.list();
        url.query_pairs_mut().append_pair("per_page", &PAGE.to_string());
        for _ in 0..PAGES {
            let call = Call::get(url.clone(), operation.clone());
            let answer = self.api.expect(&call, PAGE_BYTES).await?;
            let comments: Vec<RawComment> = answer.json(&operation)?;
            // They come in the order in which they were written.
            let own = comments.into_iter().find(|comment| {
                comment.body.as_ref().is_some_and(|body| body.starts_with(&self.marker))
                    && comment.user.as_ref().and_then(Author::of).as_ref() == Some(&author)
            });
            if let Some(own) = own {
                return Ok(Some(own.into()));
            }
            url = match next_page(&url, &answer.headers) {
                Ok(None) => return Ok(None),
                Ok(Some(next)) if self.api.is_at_home(&next) => next,
                Ok(Some(_)) | Err(Unreadable) => {
                    let message = "GitHub names the next page in a way that cannot be followed";
                    return Err(operation.error(ApiErrorKind::Malformed, message));
                }
            };
        }
        // To go on as if there were none would be one comment more with each run.
        let message = format!("it has more than {} comments", PAGE * PAGES);
        Err(operation.error(ApiErrorKind::TooLarge, message))
    }

    /// Makes the comment say `body`, wherever it stands; the marker is put in front.
    pub async fn update(&self, body: &str) -> Result<Written, ApiError> {
        let existing = self.existing().await?;
        self.write(existing.as_ref(), body).await
    }

    /// As [`Self::update`], by one who has asked for the [existing](Self::existing) comment already.
    pub async fn write(&self, existing: Option<&Comment>, body: &str) -> Result<Written, ApiError> {
        let operation = self.operation("comment on");
        let body = format!("{}\n{body}", self.marker);
        let length = body.chars().count();
        if length > LONGEST_COMMENT {
            let message = format!("the text has {length} characters, and GitHub takes {LONGEST_COMMENT}");
            return Err(operation.error(ApiErrorKind::TooLarge, message));
        }
        let (method, url, change) = match existing {
            Some(comment) if normalised(&comment.body) == normalised(&body) => {
                return Ok(Written { change: Change::Unchanged, url: comment.url.clone() });
            }
            Some(comment) => {
                let id = comment.id.to_string();
                let url = self.api.url(self.repository, &["issues", "comments", &id]);
                (Method::PATCH, url, Change::Edited)
            }
            None => (Method::POST, self.list(), Change::Created),
        };
        let body = json!({ "body": body });
        let call = Call::send(method, url, &body, operation.clone());
        let (answer, change) = match self.api.expect(&call, ONE_THING).await {
            // Somebody deleted it meanwhile.
            Err(error) if existing.is_some() && error.status == Some(StatusCode::NOT_FOUND) => {
                let call = Call::send(Method::POST, self.list(), &body, operation);
                (self.api.expect(&call, ONE_THING).await?, Change::Created)
            }
            answer => (answer?, change),
        };
        // It is written, whatever the answer looks like.
        let comment = answer.json::<RawComment>(&call.operation).ok().map(Comment::from);
        Ok(Written { change, url: comment.and_then(|comment| comment.url) })
    }

    /// The pull request's comments.
    fn list(&self) -> Url {
        self.api.url(self.repository, &["issues", &self.number.to_string(), "comments"])
    }

    async fn viewer(&self) -> Result<Author, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            viewer: Viewer,
        }
        #[derive(Deserialize)]
        struct Viewer {
            login: String,
        }
        let operation = Operation::new("ask GitHub whose the token is", "");
        let data: Data = self.api.ask("query { viewer { login } }", operation).await?;
        Ok(Author::viewer(&data.viewer.login))
    }

    fn operation(&self, name: &str) -> Operation {
        Operation::new(format!("{name} pull request #{}", self.number), PERMISSION)
    }
}

/// A body without what GitHub may change about it.
fn normalised(body: &str) -> String {
    body.replace("\r\n", "\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_tame() {
        let key: StickyKey = "Prod-list_1.2".parse().expect("a key");
        assert_eq!(key.marker(), "<!-- image-syncer:Prod-list_1.2 -->");
        let long = "a".repeat(65);
        for text in ["", "a b", "a-->", "é", "a\n", &long] {
            assert!(text.parse::<StickyKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_author_is_a_name_and_a_kind() {
        let user = |login: &str, kind: Option<&str>| {
            Author::of(&RawUser { login: login.into(), kind: kind.map(str::to_owned) })
        };
        let bot = Some(Author::viewer("github-actions[bot]"));
        assert_eq!(user("github-actions[bot]", Some("Bot")), bot);
        assert_eq!(user("GitHub-Actions", Some("Bot")), bot);
        assert_ne!(user("github-actions", Some("User")), bot);
        assert_eq!(user("github-actions[bot]", Some("User")), None);
        assert_eq!(user("github-actions[bot]", None), None);
        assert_eq!(user("github-actions", Some("Mannequin")), None);
        let person = Some(Author::viewer("Octocat"));
        assert_eq!(user("octocat", Some("User")), person);
        assert_ne!(user("octocat[bot]", Some("Bot")), person);
        assert_ne!(user("octocat", Some("Bot")), person);
    }
}
