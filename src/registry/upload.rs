//! Sending a blob's bytes (distribution-spec, "Pushing blobs").
//!
//! A PUT with everything is what every registry takes, and so the rule. In several requests it goes where that breaks
//! and the registry knows how far it got ("Resuming an upload", as the specification's GET of an upload has it), and
//! where something on the way refuses large requests ("Pushing a blob in chunks"). What goes wrong with that ends in
//! the rule again; in the end the registry checks the digest either way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderValue, Method, StatusCode};
use url::Url;

use super::answer::Answer;
use super::call::Call;
use super::feed::{Feed, Part};
use super::origin::same_origin;
use super::quirks::Chunks;
use super::retry::{Tries, is_transient, retry_after};
use super::{ReadWrite, Remote};
use crate::oci::{Descriptor, Repository};
use crate::store::{BlobOrigin, Placed, StoreError, StoreErrorKind};

/// The largest chunk, and the first that is tried.
const LARGEST_CHUNK: u64 = 64 * 1024 * 1024;

/// A way that does not even let so many bytes pass is none.
const SMALLEST_CHUNK: u64 = 256 * 1024;

/// A blob on its way into a repository.
#[derive(Clone, Copy)]
pub(super) struct Upload<'a> {
    pub(super) repository: &'a Repository,
    pub(super) blob: &'a Descriptor,
    pub(super) origin: &'a dyn BlobOrigin,
}

/// What was found out about a registry's uploads, beside what is known of it.
#[derive(Debug)]
pub(super) struct Lessons {
    /// No larger requests are tried, in bytes.
    largest: AtomicU64,
    /// Requests as large as this were taken, in bytes.
    taken: AtomicU64,
    /// Whether an upload that broke may go on.
    resumes: AtomicBool,
}

impl Default for Lessons {
    fn default() -> Self {
        Self { largest: AtomicU64::new(u64::MAX), taken: AtomicU64::new(0), resumes: AtomicBool::new(true) }
    }
}

impl Lessons {
    fn largest(&self) -> u64 {
        self.largest.load(Ordering::Relaxed)
    }

    /// Whether there is a limit to the size of requests, and it is not known how this one stands to it.
    fn doubts(&self, length: u64) -> bool {
        self.largest() < u64::MAX && length > self.taken.load(Ordering::Relaxed)
    }

    /// Has smaller requests made after one of `refused` bytes was too large. False if there are none.
    fn take_smaller(&self, refused: u64, at_most: Option<u64>) -> bool {
        let half = refused.checked_sub(1).and_then(u64::checked_ilog2).map_or(0, |log| 1 << log);
        let smaller = half.min(LARGEST_CHUNK).min(at_most.unwrap_or(u64::MAX));
        let is_some = smaller >= SMALLEST_CHUNK;
        if is_some {
            self.largest.fetch_min(smaller, Ordering::Relaxed);
        }
        is_some
    }
}

/// An upload as the registry knows it.
struct Session {
    location: Url,
    /// So many bytes are there.
    received: u64,
}

impl Session {
    fn at(location: Url) -> Self {
        Self { location, received: 0 }
    }
}

/// A try to send a blob that failed, and what may help.
struct Failed {
    error: StoreError,
    again: Option<Again>,
}

enum Again {
    /// Another try later, how long the registry asks to wait before, and whether it refused for the number of requests.
    Later { asked: Option<Duration>, refused: bool },
    /// Everything from the start, at once: in smaller requests, or in one.
    Anew,
    /// The same if it is the first time: what arrived was not what was sent.
    Mangled,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let again = (error.kind == StoreErrorKind::Unavailable)
            .then_some(Again::Later { asked: None, refused: false });
        Self { error, again }
    }
}

impl Remote<ReadWrite> {
    /// Sends the bytes to the upload that was begun at `location`. What breaks goes on where the registry got to, or
    /// else from the start.
    pub(super) async fn upload(&self, upload: Upload<'_>, location: Url) -> Result<Placed, StoreError> {
        let feed = Feed::new(upload.origin, upload.blob.size, Arc::clone(&self.client.traffic));
        let mut session = Session::at(location);
        let mut tries = Tries::new(self.client.retry);
        let (mut farthest, mut mangled) = (0, 0);
        loop {
            let Failed { error, again } = match self.send(upload, &feed, &mut session).await {
                Ok(()) => return Ok(Placed::Uploaded),
                Err(failed) => failed,
            };
            feed.stop();
            let (asked, refused) = match again {
                Some(Again::Later { asked, refused }) => (asked, refused),
                Some(Again::Mangled) if mangled > 0 => return Err(error),
                Some(again) => {
                    mangled += usize::from(matches!(again, Again::Mangled));
                    self.client.traffic.retries.fetch_add(1, Ordering::Relaxed);
                    session = Session::at(self.plain_start(upload).await?);
                    continue;
                }
                None => return Err(error),
            };
            let pause = tries.pause(asked).filter(|pause| self.client.in_time(*pause));
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(host = %self.client.host, ?pause, %error, "the upload broke");
            self.client.wait(&self.client.gate, &session.location, refused, pause).await;
            self.client.traffic.retries.fetch_add(1, Ordering::Relaxed);
            // The answer may have been lost, and not the bytes.
            if self.head_blob(upload.repository, upload.blob).await? {
                return Ok(Placed::Uploaded);
            }
            session = match self.standing(upload, &session.location).await {
                Some(standing) => standing,
                None => Session::at(self.plain_start(upload).await?),
            };
            tries.progress(session.received.saturating_sub(farthest));
            farthest = farthest.max(session.received);
        }
    }

    fn chunks(&self) -> Chunks {
        self.client.knowledge.profile().chunks
    }

    /// How far an upload got whose request broke. `None` if the registry does not say, or is not to be asked.
    async fn standing(&self, upload: Upload<'_>, location: &Url) -> Option<Session> {
        if matches!(self.chunks(), Chunks::Never) || !self.lessons.resumes.load(Ordering::Relaxed) {
            return None;
        }
        let call = self.upload_call(Method::GET, upload, location.clone()).ok()?;
        let answer = self.client.send(&call).await.ok()?;
        let received = answer.header(RANGE).and_then(received).filter(|_| answer.status.is_success());
        let location = self.next_location(&answer).unwrap_or_else(|| location.clone());
        drop(answer.error_body().await);
        // `0-0` is what most say of an upload that has nothing.
        let received = received.filter(|received| (2..=upload.blob.size).contains(received))?;
        tracing::debug!(host = %self.client.host, received, size = upload.blob.size, "the upload goes on");
        Some(Session { location, received })
    }

    async fn send(&self, upload: Upload<'_>, feed: &Feed<'_>, session: &mut Session) -> Result<(), Failed> {
        let (size, largest) = (upload.blob.size, self.lessons.largest());
        if session.received == 0 && size <= largest {
            return self.put(upload, session, feed.part(0, size)).await;
        }
        let at_most = match self.chunks() {
            Chunks::Allowed { at_most } => at_most.unwrap_or(u64::MAX),
            Chunks::Never => u64::MAX,
        };
        self.send_chunks(upload, feed, session, largest.min(at_most)).await
    }

    /// Sends what is still to come in requests of `chunk` bytes at the most, and ends the upload.
    async fn send_chunks(
        &self,
        upload: Upload<'_>,
        feed: &Feed<'_>,
        session: &mut Session,
        chunk: u64,
    ) -> Result<(), Failed> {
        while session.received < upload.blob.size {
            let length = chunk.min(upload.blob.size - session.received);
            let part = feed.part(session.received, length);
            let part = part.doubtful(self.lessons.doubts(length));
            let mut call = self.upload_call(Method::PATCH, upload, session.location.clone())?;
            let end = session.received + length;
            if let Ok(range) = HeaderValue::try_from(format!("{}-{}", session.received, end - 1)) {
                call.headers.insert(CONTENT_RANGE, range);
            }
            let answer = self.client.send_part(&call, part).await?;
            if answer.status == StatusCode::RANGE_NOT_SATISFIABLE {
                // It still had to take in what came before.
                let again = Some(Again::Later { asked: None, refused: false });
                return Err(Failed { error: answer.into_error().await, again });
            }
            let answer = self.taken(upload, answer, part).await?;
            if let Some(next) = self.next_location(&answer) {
                session.location = next;
            }
            drop(answer.error_body().await);
            self.lessons.taken.fetch_max(length, Ordering::Relaxed);
            session.received = end;
        }
        self.put(upload, session, feed.part(upload.blob.size, 0)).await
    }

    /// Ends an upload with its last bytes, if any are left.
    async fn put(&self, upload: Upload<'_>, session: &Session, part: Part<'_>) -> Result<(), Failed> {
        let mut location = session.location.clone();
        location.query_pairs_mut().append_pair("digest", &upload.blob.digest.to_string());
        let call = self.upload_call(Method::PUT, upload, location)?;
        let answer = self.client.send_part(&call, part).await?;
        let answer = self.taken(upload, answer, part).await?;
        drop(answer.error_body().await);
        Ok(())
    }

    /// The answer to a request with some of the bytes, if it says that they were taken.
    async fn taken(&self, upload: Upload<'_>, answer: Answer, part: Part<'_>) -> Result<Answer, Failed> {
        let status = answer.status;
        if status.is_success() {
            return Ok(answer);
        }
        let asked = retry_after(&answer.headers, SystemTime::now());
        let refused = self.client.is_too_many(&answer, true);
        let mut error = answer.into_error().await;
        let size = upload.blob.size;
        let again = if status == StatusCode::PAYLOAD_TOO_LARGE {
            let (is_smaller, advice) = self.take_smaller(part.length);
            error.message.push_str(advice);
            is_smaller.then_some(Again::Anew)
        } else if is_transient(status) {
            Some(Again::Later { asked, refused })
        } else if part.length < size && size <= self.lessons.largest() {
            // It said how far it got, and does not go on from there.
            self.lessons.resumes.store(false, Ordering::Relaxed);
            Some(Again::Anew)
        } else {
            (error.kind == StoreErrorKind::Corrupt).then_some(Again::Mangled)
        };
        Err(Failed { error, again })
    }

    /// Whether smaller requests than one of `refused` bytes can be made, and what to say if not.
    fn take_smaller(&self, refused: u64) -> (bool, &'static str) {
        match self.chunks() {
            Chunks::Never => (
                false,
                "; this registry does not take a blob in several smaller requests, as far as is known; the policy's \
                 `registries` can say otherwise (`chunks`)",
            ),
            Chunks::Allowed { at_most } if self.lessons.take_smaller(refused, at_most) => (true, ""),
            Chunks::Allowed { .. } => (false, "; smaller requests were tried, or would be too many"),
        }
    }

    /// A request to the address that the registry gave the upload.
    fn upload_call(&self, method: Method, upload: Upload<'_>, location: Url) -> Result<Call, StoreError> {
        let reference = self.name(upload.repository, &upload.blob.digest);
        if self.client.base.scheme() == "https" && location.scheme() == "http" {
            // Only the host: the rest of such an address can hold a secret.
            let host = location.host_str().unwrap_or_default();
            let message = format!("the registry wants the upload at an unencrypted address, at {host}");
            return Err(StoreError::new("upload blob", reference, StoreErrorKind::Other, message));
        }
        let call = Call::new(method, location, "upload blob", reference);
        let at_home = same_origin(&call.url, &self.client.base);
        Ok(if at_home { call.scope(self.scope(upload.repository)) } else { call })
    }

    /// Where the upload goes on, if the answer says so.
    pub(super) fn next_location(&self, answer: &Answer) -> Option<Url> {
        let location = answer.url.join(answer.header(LOCATION)?).ok()?;
        Some(self.client.at_home(location))
    }
}

/// How many bytes a registry has of an upload, by its `Range: 0-LAST`.
fn received(range: &str) -> Option<u64> {
    let (first, last) = range.trim().trim_start_matches("bytes=").split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    (first == "0").then(|| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_halved_down_to_a_floor() {
        let lessons = Lessons::default();
        let mut tried = Vec::new();
        let mut refused = 200 * 1024 * 1024;
        while lessons.take_smaller(refused, None) {
            refused = lessons.largest();
            tried.push(refused / 1024);
        }
        assert_eq!(tried, [65_536, 32_768, 16_384, 8192, 4096, 2048, 1024, 512, 256]);
        assert!(!Lessons::default().take_smaller(SMALLEST_CHUNK, None));
        let lessons = Lessons::default();
        assert!(lessons.take_smaller(1 << 30, Some(5_000_000)));
        assert_eq!(lessons.largest(), 5_000_000);
    }

    #[test]
    fn an_upload_s_standing_is_read_in_its_forms() {
        assert_eq!(received("0-3999999"), Some(4_000_000));
        assert_eq!(received("bytes=0-9"), Some(10));
        assert_eq!(received("0-0"), Some(1));
        for none in ["", "5-9", "0-x", "9"] {
            assert_eq!(received(none), None, "{none}");
        }
    }
}
