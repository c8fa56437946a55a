//! All tags of a repository, and all repositories: page by page (distribution-spec, "Listing Tags"; the catalog is an
//! extension that many registries have, and few for everyone).
//!
//! A list that is cut short is never taken for a whole one.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde::Deserialize;
use url::Url;

use super::Remote;
use super::auth::{CATALOG, Scope};
use super::call::Call;
use super::link::next_page;
use super::origin::same_origin;
use crate::oci::{Repository, Tag};
use crate::store::{Catalog, Listing, StoreError, StoreErrorKind};

/// More names than this are not held: in a repository, or below a prefix.
const MOST_NAMES: usize = 200_000;

/// More pages than this are a circle.
const MOST_PAGES: usize = 20_000;

/// The most bytes of a page: some registries send everything at once.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

const LIST_TAGS: &str = "list the tags of";
const LIST_REPOSITORIES: &str = "list the repositories of";

/// A page, of tags or of repositories.
#[derive(Deserialize)]
struct Page {
    /// `null` is an empty list; without either key the document is something else.
    #[serde(alias = "repositories", deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

/// What came of a list.
enum Listed {
    /// These are all of its names.
    All(BTreeSet<String>),
    /// The first page was answered with this instead.
    Not(StatusCode, StoreError),
}

impl<A> Remote<A> {
    /// All names of a list that `wanted` takes. `first` makes a request of the address of a page.
    async fn all_pages(
        &self,
        path: &str,
        wanted: impl Fn(&str) -> bool + Send + Sync,
        call: impl Fn(Url) -> Call + Send + Sync,
    ) -> Result<Listed, StoreError> {
        let page_size = self.client.knowledge.profile().page_size;
        let page_after = |last: Option<&str>| {
            let mut url = self.client.url(path);
            url.query_pairs_mut().append_pair("n", &page_size.to_string());
            if let Some(last) = last {
                url.query_pairs_mut().append_pair("last", last);
            }
            url
        };
        let mut names = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut last: Option<String> = None;
        let mut next = Some(page_after(None));
        while let Some(url) = next.take() {
            let call = call(url.clone());
            if seen.len() >= MOST_PAGES || !seen.insert(url) {
                return Err(call.error(StoreErrorKind::Corrupt, "its pages lead in a circle"));
            }
            let (answer, body) = self.client.fetch(&call, PAGE_BYTES).await?;
            if answer.status != StatusCode::OK || answer.is_web_page() {
                let status = answer.status;
                let error =
                    if answer.is_web_page() { answer.web_page_error() } else { answer.into_error().await };
                return if seen.len() == 1 { Ok(Listed::Not(status, error)) } else { Err(error) };
            }
            let page: Page = serde_json::from_slice(&body).map_err(|error| {
                call.error(StoreErrorKind::Corrupt, format!("the answer is no such list: {error}"))
            })?;
            let page = page.tags.unwrap_or_default();
            let following = next_page(&answer.url, &answer.headers).map_err(|_| {
                call.error(StoreErrorKind::Corrupt, "the `Link` to its next page cannot be read")
            })?;
            next = following.map(|next| self.client.at_home(next));
            if let Some(next) = next.as_ref().filter(|next| !same_origin(next, &self.client.base)) {
                let host = next.host_str().unwrap_or_default();
                let message = format!("its next page is on another host, {host}");
                return Err(call.error(StoreErrorKind::Corrupt, message));
            }
            // Not every registry says that there is more. One that does not go on says the same again.
            let is_full = page.len() >= usize::from(page_size);
            if let (None, true, Some(end)) = (&next, is_full, page.last())
                && last.as_ref() != Some(end)
            {
                next = Some(page_after(Some(end)));
            }
            last = page.last().cloned().or(last);
            names.extend(page.into_iter().filter(|name| wanted(name)));
            if names.len() > MOST_NAMES {
                let message = format!("there are more than {MOST_NAMES}");
                return Err(call.error(StoreErrorKind::TooLarge, message));
            }
        }
        Ok(Listed::All(names))
    }
}

#[async_trait]
impl<A: Send + Sync> Listing for Remote<A> {
    async fn tags_of(&self, repository: &Repository) -> Result<Option<BTreeSet<Tag>>, StoreError> {
        let reference = format!("{}/{repository}", self.registry);
        let call =
            |url| Call::new(Method::GET, url, LIST_TAGS, reference.clone()).scope(self.scope(repository));
        match self.all_pages(&format!("{repository}/tags/list"), |_| true, call).await? {
            Listed::All(names) => Ok(Some(names.iter().filter_map(|name| name.parse().ok()).collect())),
            Listed::Not(StatusCode::NOT_FOUND, _) => Ok(None),
            Listed::Not(_, error) => Err(error),
        }
    }

    async fn catalog(&self, start: &str, asking: &Repository) -> Result<Catalog, StoreError> {
        let call = |url| {
            let scope = Scope { repository: asking.clone(), actions: CATALOG };
            let call = Call::new(Method::GET, url, LIST_REPOSITORIES, self.registry.to_string()).scope(scope);
            Call { leave_host: false, ..call }
        };
        let listed = self.all_pages("_catalog", |name| name.starts_with(start), call).await;
        match listed {
            Ok(Listed::All(names)) => {
                Ok(Catalog::All(names.iter().filter_map(|name| name.parse().ok()).collect()))
            }
            // It has none, or not for us.
            Ok(Listed::Not(status, error)) if !status.is_server_error() || status.as_u16() == 501 => {
                Ok(Catalog::Refused(error.message))
            }
            Err(error) if error.kind == StoreErrorKind::Denied => Ok(Catalog::Refused(error.message)),
            Ok(Listed::Not(_, error)) | Err(error) => Err(error),
        }
    }
}
