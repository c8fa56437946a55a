//! Places that hold content: what can be read from them ([`Source`]) and what can be written ([`Target`]).
//!
//! A registry, an image layout folder and memory are all the same to the rest of the program. Who is
//! handed a `Source` cannot write: a plan never holds a `Target`. *Absent* is an answer (`None`, `false`);
//! *could not find out* is an error. The two are never mixed up.

mod remembered;
mod single_flight;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

pub use remembered::Remembered;
pub(crate) use single_flight::SingleFlight;

use crate::oci::{Descriptor, Digest, Digester, ManifestRef, RawManifest, Registry, Repository, Tag};

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
    async fn all_tags(&self, repository: &Repository) -> Result<Option<Vec<Tag>>, StoreError>;
}

/// The sources of a run, by registry.
pub type Sources = HashMap<Registry, Arc<dyn Source>>;

/// Gives a blob's bytes, again from the start each time that it is asked: a push that breaks starts anew.
#[async_trait]
pub trait BlobOrigin: Send + Sync {
    /// The checked bytes from the start.
    async fn open(&self) -> Result<BlobStream, StoreError>;
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

/// Passes a blob's bytes on and checks them on the way: exactly `blob.size` bytes with `blob.digest`.
///
/// The last piece is held back until the digest is known to be right, so that a reader that got all
/// bytes got the right ones. A stream that is too long fails at the first byte too many.
#[must_use]
pub fn verified(inner: BlobStream, blob: &Descriptor, reference: String) -> BlobStream {
    Box::pin(Verified {
        inner,
        expected: blob.digest.clone(),
        size: blob.size,
        seen: 0,
        digester: Some(Digester::new(&blob.digest)),
        reference,
        held: None,
    })
}

struct Verified {
    inner: BlobStream,
    expected: Digest,
    size: u64,
    seen: u64,
    digester: Option<Digester>,
    reference: String,
    held: Option<Bytes>,
}

impl Verified {
    fn corrupt(&self, message: String) -> StoreError {
        StoreError::new("read blob", &self.reference, StoreErrorKind::Corrupt, message)
    }

    fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, StoreError> {
        self.seen += piece.len() as u64;
        if self.seen > self.size {
            return Err(self.corrupt(format!("the body is longer than the {} bytes announced", self.size)));
        }
        if let Some(digester) = &mut self.digester {
            digester.update(&piece);
        }
        Ok(self.held.replace(piece))
    }

    fn finish(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(digester) = self.digester.take() else { return Ok(None) };
        if self.seen < self.size {
            return Err(self.corrupt(format!("the body ended after {} of {} bytes", self.seen, self.size)));
        }
        let found = digester.finish();
        if found != self.expected {
            return Err(self.corrupt(format!("the content has the digest {found}")));
        }
        Ok(self.held.take())
    }
}

impl Stream for Verified {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.digester.is_none() {
                return Poll::Ready(None);
            }
            let step = match self.inner.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => continue,
                Poll::Ready(Some(Ok(piece))) => self.take(piece),
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => return Poll::Ready(self.finish().transpose()),
            };
            match step {
                Ok(None) => {}
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Err(error) => {
                    self.digester = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::MediaType;
    use futures::TryStreamExt as _;

    async fn read(content: &'static [&'static [u8]], named: &[u8], size: u64) -> Result<Vec<u8>, String> {
        let blob = Descriptor::new(MediaType::OCI_LAYER, Digest::sha256(named), size);
        let pieces = futures::stream::iter(content.iter().map(|piece| Ok(Bytes::from_static(piece))));
        verified(Box::pin(pieces), &blob, "r/a".into())
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
            .map_err(|error| error.message)
    }

    #[test]
    fn a_message_is_one_line_of_a_sane_length() {
        let message = |text: &str| StoreError::new("read", "r", StoreErrorKind::Other, text).message;
        assert_eq!(message("a\u{1b}[31m\nb"), "a [31m b");
        assert_eq!(message(&"é".repeat(1000)), "é".repeat(1000));
        assert_eq!(message(&"é".repeat(1001)), "é".repeat(1000) + "…");
    }

    #[tokio::test]
    async fn only_the_right_bytes_pass_whole() {
        assert_eq!(read(&[b"ab", b"", b"c"], b"abc", 3).await, Ok(b"abc".to_vec()));
        assert_eq!(read(&[], b"", 0).await, Ok(Vec::new()));
        assert!(read(&[b"ab"], b"abc", 3).await.is_err_and(|text| text.contains("2 of 3")));
        assert!(read(&[b"abcd"], b"abc", 3).await.is_err_and(|text| text.contains("longer")));
        assert!(read(&[b"abd"], b"abc", 3).await.is_err_and(|text| text.contains("digest")));
    }
}
