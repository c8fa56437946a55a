//! A blob on its way from a registry. Where it breaks, it goes on with the next byte (RFC 9110, section 14 "Range
//! Requests"), and whoever reads it notices a pause only.
//!
//! Each part is asked for at the registry itself: addresses that it redirects to can expire. Whether the parts
//! belong together is for the digest to say.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderValue, StatusCode};

use super::answer::Answer;
use super::call::Call;
use super::client::Client;
use super::error::clean;
use super::retry::Tries;
use crate::store::{BlobStream, StoreError, StoreErrorKind};

/// The bytes of a blob of `size` bytes from `start` on. `call` asks for all of it.
pub(super) async fn download(
    client: Arc<Client>,
    call: Call,
    size: u64,
    start: u64,
) -> Result<BlobStream, StoreError> {
    let tries = Tries::new(client.retry);
    let mut download = Download { client, call, size, at: start, part: None, tries };
    download.part = Some(download.ask().await?);
    let pieces = futures::stream::unfold(Some(download), |download| async {
        let mut download = download?;
        match download.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(download))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(pieces.boxed())
}

struct Download {
    client: Arc<Client>,
    call: Call,
    size: u64,
    /// The next byte that is to be passed on.
    at: u64,
    /// What is being read.
    part: Option<Part>,
    tries: Tries,
}

/// An answer with some of the bytes.
struct Part {
    pieces: BlobStream,
    /// So many of its first bytes were passed on before.
    known: u64,
    /// Whether more may follow after its end: not if the registry says that this is all there is.
    has_rest: bool,
}

impl Download {
    /// Asks for what is still to come.
    async fn ask(&mut self) -> Result<Part, StoreError> {
        self.call.headers.remove(RANGE);
        if self.at > 0
            && let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.at))
        {
            self.call.headers.insert(RANGE, range);
        }
        let answer = self.client.send(&self.call).await?;
        let part = match answer.status {
            StatusCode::OK => {
                let length: Option<u64> = answer.header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
                let has_rest = length.is_none_or(|length| length == self.size);
                Part { known: self.at, has_rest, pieces: answer.stream() }
            }
            StatusCode::PARTIAL_CONTENT => {
                let first = first_byte(&answer, self.size).filter(|first| *first <= self.at);
                let Some(first) = first else {
                    let sent = clean(answer.header(CONTENT_RANGE).unwrap_or("no Content-Range"), 100);
                    return Err(self.corrupt(format!(
                        "asked for the bytes from {} of {} on, {} sent others: {sent}",
                        self.at, self.size, self.client.host
                    )));
                };
                Part { known: self.at - first, has_rest: true, pieces: answer.stream() }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(self.corrupt(format!(
                    "{} has no bytes from {} on, and the manifest says that there are {}",
                    self.client.host, self.at, self.size
                )));
            }
            _ => return Err(answer.into_error().await),
        };
        self.client.silence.ends();
        Ok(part)
    }

    /// The next piece; `None` at the end, which need not be where it should.
    async fn next(&mut self) -> Result<Option<bytes::Bytes>, StoreError> {
        loop {
            let Some(part) = &mut self.part else { return Ok(None) };
            let broken = match part.pieces.next().await {
                Some(Ok(mut piece)) => {
                    let known =
                        piece.split_to(usize::try_from(part.known).unwrap_or(usize::MAX).min(piece.len()));
                    part.known -= known.len() as u64;
                    self.client.traffic.skipped.fetch_add(known.len() as u64, Ordering::Relaxed);
                    if piece.is_empty() {
                        continue;
                    }
                    self.at += piece.len() as u64;
                    self.tries.progress(piece.len() as u64);
                    return Ok(Some(piece));
                }
                // All has come, whatever became of the connection.
                _ if self.at >= self.size => return Ok(None),
                Some(Err(error)) => error,
                None if part.has_rest => self.too_short(),
                None => return Ok(None),
            };
            // The place in the registry's limit is free during the pause.
            self.part = None;
            self.part = Some(self.go_on(broken).await?);
        }
    }

    /// Asks for the rest after a pause, or fails with what broke.
    async fn go_on(&mut self, broken: StoreError) -> Result<Part, StoreError> {
        let transient = broken.kind == StoreErrorKind::Unavailable;
        let pause = if transient { self.tries.pause(None) } else { None };
        let Some(pause) = pause.filter(|pause| self.client.in_time(*pause)) else { return Err(broken) };
        tracing::debug!(host = %self.client.host, at = self.at, size = self.size, ?pause, %broken, "going on");
        tokio::time::sleep(pause).await;
        self.client.traffic.retries.fetch_add(1, Ordering::Relaxed);
        self.ask().await
    }

    fn too_short(&self) -> StoreError {
        let message = format!("the body ended after {} of {} bytes", self.at, self.size);
        self.error(StoreErrorKind::Unavailable, message)
    }

    fn corrupt(&self, message: String) -> StoreError {
        self.error(StoreErrorKind::Corrupt, message)
    }

    fn error(&self, kind: StoreErrorKind, message: String) -> StoreError {
        StoreError::new(self.call.operation, &self.call.reference, kind, message)
    }
}

/// Where a part begins, by its `Content-Range: bytes FIRST-LAST/SIZE` (RFC 9110, section 14.4), if it is one of a
/// blob of that size.
fn first_byte(answer: &Answer, size: u64) -> Option<u64> {
    let (unit, range) = answer.header(CONTENT_RANGE)?.trim().split_once(' ')?;
    let (range, whole) = range.trim().split_once('/')?;
    let right_size = whole == "*" || whole.parse() == Ok(size);
    let first = range.split('-').next()?.parse().ok()?;
    (unit.eq_ignore_ascii_case("bytes") && right_size).then_some(first)
}
