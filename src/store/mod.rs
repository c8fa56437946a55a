//! Places that hold content: what can be read from them ([`Source`]) and what can be written ([`Target`]).
//!
//! A registry, an image layout folder and memory are all the same to the rest of the program. Who is
//! handed a `Source` cannot write: a plan never holds a `Target`. *Absent* is an answer (`None`, `false`);
//! *could not find out* is an error. The two are never mixed up.

mod remembered;
mod settled;
mod single_flight;
mod verified;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};

pub use remembered::Remembered;
pub use settled::{Moved, Settled, Settlement};
pub(crate) use single_flight::SingleFlight;
pub use verified::{Midstates, verified};

use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Registry, Repository, Tag};

/// All tags of a repository. Each of its images is compared with them, so that they are shared and not copied.
pub type Tags = Arc<HashSet<Tag>>;

/// The most bytes that a manifest may have: 4 MiB (distribution-spec, "Pushing Manifests").
pub const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;

/// The bytes of a blob, piece by piece.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;

/// A place that content can be read from.
#[async_trait]
pub trait Source: Send + Sync {
    /// What `reference` stands for, or `None` if there is no such manifest.
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<Descriptor>, StoreError>;

    /// A manifest, checked against the digest that it was asked for by, or `None` if it is not there.
    async fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
    ) -> Result<Option<RawManifest>, StoreError>;

    /// Whether the repository has a blob.
    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, StoreError>;

    /// A blob's bytes as they come, not checked: wrap them with [`verified`].
    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<BlobStream, StoreError>;

    /// As [`Source::blob`], from the byte `start` on, counted from 0. A store that cannot begin in the middle
    /// reads what stands before and drops it.
    async fn blob_from(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        start: u64,
    ) -> Result<BlobStream, StoreError> {
        Ok(without_first(self.blob(repository, blob).await?, start))
    }

    /// All manifests that name `subject` as theirs, of whatever page.
    ///
    /// `tags` are all tags of the repository, if they are known: a store without the referrers API need not
    /// look for an index under a tag that is not among them.
    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        tags: Option<&HashSet<Tag>>,
    ) -> Result<Vec<Descriptor>, StoreError>;

    /// The tags of a repository if one request lists them all, `None` where that is not so: where there
    /// are more pages, or the registry does not list tags.
    async fn all_tags(&self, repository: &Repository) -> Result<Option<Tags>, StoreError>;

    /// How many manifests may still be read.
    fn pulls(&self) -> Pulls {
        Pulls::Unlimited
    }
}

/// How many manifests a store still lets one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulls {
    /// As many as one likes, for all that is known.
    Unlimited,
    /// Whether there is a limit is not known: none was read yet.
    Unknown,
    /// There is a limit, and the store has not said yet what is left of it. Asking whether a manifest is there tells,
    /// and does not count.
    Unstated,
    /// What is left of a limit.
    Left(Quota),
}

/// What a store allows in a time. Manifests that are read count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many in the whole window, if it says so.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: u64,
    /// The window, if it says so.
    pub window: Option<Duration>,
}

/// The sources of a run, by registry.
pub type Sources = HashMap<Registry, Arc<dyn Source>>;

/// Gives a blob's bytes, again each time that it is asked: a push that breaks starts anew, or goes on from where
/// the target got to.
#[async_trait]
pub trait BlobOrigin: Send + Sync {
    /// The checked bytes from the start.
    async fn open(&self) -> Result<BlobStream, StoreError>;

    /// The checked bytes from `start` on, counted from 0. What stands before was passed on by an earlier opening,
    /// and is checked together with these.
    async fn open_from(&self, start: u64) -> Result<BlobStream, StoreError> {
        Ok(without_first(self.open().await?, start))
    }
}

/// A stream without its first `count` bytes.
fn without_first(stream: BlobStream, count: u64) -> BlobStream {
    let mut left = count;
    let rest = stream.try_filter_map(move |mut piece| {
        let cut = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let dropped = piece.split_to(cut);
        left -= dropped.len() as u64;
        std::future::ready(Ok((!piece.is_empty()).then_some(piece)))
    });
    rest.boxed()
}

/// How much is believed of what a store says to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push<'a> {
    /// A blob that the repository has is not sent again. One that the named repository of the same store
    /// has is mounted from there, if the store does that.
    IfMissing {
        /// Where to mount from.
        mount_from: Option<&'a Repository>,
    },
    /// The blob is sent whatever the store says: it was mistaken before.
    Again,
}

/// How a blob came to be at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It was there.
    Present,
    /// Its bytes were sent.
    Uploaded,
    /// The store took it over from another of its repositories.
    Mounted,
}

/// A place that content can be written to.
#[async_trait]
pub trait Target: Source {
    /// Sees to it that the repository has a blob, by the cheapest way that `push` allows; its bytes come
    /// from `origin`.
    async fn push_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        push: Push<'_>,
        origin: &dyn BlobOrigin,
    ) -> Result<Placed, StoreError>;

    /// Puts a manifest under a tag or its digest, byte for byte.
    ///
    /// If it has a `subject`, the store sees to it that [`Source::referrers`] of that subject name it.
    async fn push_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestRef,
        manifest: &RawManifest,
    ) -> Result<(), StoreError>;
}

/// What went wrong, as far as the program acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// It has to be there and is not: a blob, a child of an index.
    NotFound,
    /// 401 or 403: the credentials, or the lack of them, do not allow it.
    Denied,
    /// 429, after all retries.
    RateLimited,
    /// What the store allows in a time is used up, or would be: a later run can go on.
    UsedUp,
    /// 5xx, 408, a broken connection, a time-out: may be better later.
    Unavailable,
    /// The way to the store, or the login at it, is out of order, and will not be better by itself: a certificate that
    /// is not trusted, a credential helper or a token service that does not do its work.
    Access,
    /// Bytes that are not what their digest, their size or the protocol says.
    Corrupt,
    /// More than a sane answer has.
    TooLarge,
    /// The target does not know a blob or a child that the manifest names.
    ContentUnknown,
    /// The store refuses the content as such, or the program does.
    Unsupported,
    /// Everything else.
    Other,
}

/// A request to a store that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to {operation} {reference}: {message}")]
pub struct StoreError {
    /// What was tried, to fit "failed to …".
    pub operation: &'static str,
    /// On what: a full reference or a host.
    pub reference: String,
    /// What went wrong, as far as the program acts on it.
    pub kind: StoreErrorKind,
    /// What went wrong, and what to do where that is known. Never holds a secret.
    pub message: String,
}

impl StoreError {
    /// An error of the given parts.
    pub fn new(
        operation: &'static str,
        reference: impl fmt::Display,
        kind: StoreErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { operation, reference: reference.to_string(), kind, message: bounded(message.into()) }
    }

    /// The error of something that was tried as often as makes sense: who needed it does not try again.
    pub(crate) fn exhausted(mut self) -> Self {
        if matches!(self.kind, StoreErrorKind::Unavailable | StoreErrorKind::RateLimited) {
            self.kind = StoreErrorKind::Other;
        }
        self
    }
}

/// The most characters of a message. What a manifest or a registry says can be quoted in it.
const LONGEST_MESSAGE: usize = 1000;

/// `text` on one line and of a sane length.
fn bounded(text: String) -> String {
    let short = text.char_indices().nth(LONGEST_MESSAGE).is_none();
    if short && !text.contains(char::is_control) {
        return text;
    }
    let mut line: String =
        text.chars().take(LONGEST_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if !short {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_a_sane_length() {
        let message = |text: &str| StoreError::new("read", "r", StoreErrorKind::Other, text).message;
        assert_eq!(message("a\u{1b}[31m\nb"), "a [31m b");
        assert_eq!(message(&"é".repeat(1000)), "é".repeat(1000));
        assert_eq!(message(&"é".repeat(1001)), "é".repeat(1000) + "…");
    }
}
