//! The body of an upload, as it comes from the other side of the copy: in one request, or a part in each of several.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use tokio::time::{Sleep, sleep, timeout};

use super::call::Call;
use super::client::{Client, Traffic};
use super::error::unreachable;
use crate::store::{BlobOrigin, BlobStream, StoreError, StoreErrorKind};

/// So long bytes wait that may be refused. What refuses them because of their number has read it in the head.
const MOMENT: Duration = Duration::from_millis(200);

/// A blob that is being sent. It is read on from part to part; where a request is lost, what it took is read again.
pub(super) struct Feed<'a> {
    origin: &'a dyn BlobOrigin,
    size: u64,
    /// What a part left behind that was read to its end.
    left: Slot,
    /// The body that was made last.
    last: Mutex<Arc<Watch>>,
    /// How far it was sent already.
    sent: Arc<AtomicU64>,
    traffic: Arc<Traffic>,
}

type Slot = Arc<Mutex<Option<Reading>>>;

/// A blob that was read up to a byte.
struct Reading {
    stream: BlobStream,
    /// The beginning of what follows.
    ahead: Bytes,
    at: u64,
}

/// Some of a blob's bytes, to be the body of a request. It can be opened again for another try.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    feed: &'a Feed<'a>,
    start: u64,
    pub(super) length: u64,
    is_doubtful: bool,
}

/// What is seen of a body while it is sent.
#[derive(Debug, Default)]
struct Watch {
    passed: AtomicU64,
    /// Whether the next piece has yet to come from the other side.
    waits: AtomicBool,
    /// Whether nobody wants the rest. An answer that comes early does not keep the HTTP client from sending it.
    is_over: AtomicBool,
}

impl<'a> Feed<'a> {
    pub(super) fn new(origin: &'a dyn BlobOrigin, size: u64, traffic: Arc<Traffic>) -> Self {
        Self { origin, size, left: Slot::default(), last: Mutex::default(), sent: Arc::default(), traffic }
    }

    /// Ends what is being sent still.
    pub(super) fn stop(&self) {
        self.next_watch();
    }

    fn next_watch(&self) -> Arc<Watch> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_over.store(true, Ordering::Relaxed);
        *last = Arc::default();
        Arc::clone(&last)
    }

    /// `length` bytes from `start` on.
    pub(super) fn part(&'a self, start: u64, length: u64) -> Part<'a> {
        Part { feed: self, start, length, is_doubtful: false }
    }
}

impl Part<'_> {
    /// The same, of which it is not known whether so many bytes are taken in one request: the bytes wait for an answer
    /// to the request's head, a moment.
    pub(super) fn doubtful(self, is_doubtful: bool) -> Self {
        Self { is_doubtful, ..self }
    }

    async fn open(&self) -> Result<Body, StoreError> {
        let Feed { origin, size, left, sent, traffic, .. } = self.feed;
        let watch = self.feed.next_watch();
        let reading = left.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reading = match reading.filter(|reading| reading.at == self.start) {
            Some(reading) => Some(reading),
            None if self.length == 0 && *size > 0 => None,
            None => {
                let stream = match self.start {
                    0 => origin.open().await?,
                    start => origin.open_from(start).await?,
                };
                Some(Reading { stream, ahead: Bytes::new(), at: self.start })
            }
        };
        Ok(Body {
            reading,
            is_empty: *size == 0,
            left: self.length,
            slot: Arc::clone(left),
            sent: Arc::clone(sent),
            traffic: Arc::clone(traffic),
            watch,
            hesitates: self.is_doubtful.then(|| Box::pin(sleep(MOMENT))),
        })
    }
}

/// A part on its way.
struct Body {
    reading: Option<Reading>,
    /// Whether the whole blob has no bytes; it is checked all the same.
    is_empty: bool,
    left: u64,
    slot: Slot,
    sent: Arc<AtomicU64>,
    traffic: Arc<Traffic>,
    watch: Arc<Watch>,
    hesitates: Option<Pin<Box<Sleep>>>,
}

impl Body {
    /// The next bytes of what is there.
    fn cut(&mut self) -> Option<Bytes> {
        let reading = self.reading.as_mut()?;
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(reading.ahead.len());
        let piece = reading.ahead.split_to(length);
        let length = length as u64;
        let before = reading.at;
        reading.at += length;
        self.left -= length;
        let farthest = self.sent.fetch_max(reading.at, Ordering::Relaxed);
        self.traffic.sent_twice.fetch_add(farthest.saturating_sub(before).min(length), Ordering::Relaxed);
        self.watch.passed.fetch_add(length, Ordering::Relaxed);
        if self.left == 0 {
            // Who sends it need not ask for more, having as many bytes as were announced.
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.reading.take();
        }
        Some(piece)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = &mut *self;
        if let Some(hesitates) = &mut body.hesitates {
            ready!(hesitates.as_mut().poll(cx));
            body.hesitates = None;
        }
        if body.watch.is_over.load(Ordering::Relaxed) {
            body.reading = None;
            let message = "the answer came before the end";
            return Poll::Ready(Some(Err(StoreError::new(
                "upload blob",
                "",
                StoreErrorKind::Other,
                message,
            ))));
        }
        loop {
            let Some(reading) = body.reading.as_mut().filter(|_| body.left > 0 || body.is_empty) else {
                return Poll::Ready(None);
            };
            if !reading.ahead.is_empty() {
                return Poll::Ready(body.cut().map(Ok));
            }
            let polled = reading.stream.as_mut().poll_next(cx);
            body.watch.waits.store(polled.is_pending(), Ordering::Relaxed);
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => reading.ahead = piece,
                Poll::Ready(end) => {
                    body.reading = None;
                    return Poll::Ready(end);
                }
            }
        }
    }
}

impl Client {
    /// Sends a part as a request's body. As long as pieces flow, or do not come from the other side, whose patience
    /// is its own, there is no limit to the time it takes.
    pub(super) async fn head_of_upload(
        &self,
        call: &Call,
        request: reqwest::RequestBuilder,
        part: Part<'_>,
    ) -> Result<reqwest::Response, StoreError> {
        let body = part.open().await.map_err(StoreError::exhausted)?;
        let watch = Arc::clone(&body.watch);
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        // These take the place of what a request without a body says. With two lengths the body would be sent
        // in HTTP's own chunks, which not every registry takes.
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, part.length.into());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let send = request.headers(headers).body(reqwest::Body::wrap_stream(body)).send();
        tokio::pin!(send);
        let began = Instant::now();
        let mut before = 0;
        loop {
            let patience = if before < part.length { self.patience.idle * 2 } else { self.patience.commit };
            match timeout(patience, &mut send).await {
                Ok(Ok(response)) => {
                    self.note_answer(call, &response, began);
                    return Ok(response);
                }
                Ok(Err(error)) => {
                    let host = self.name_of(&call.url);
                    return Err(unreachable(call.operation, &call.reference, &host, &error));
                }
                Err(_) if watch.waits.load(Ordering::Relaxed) => {}
                Err(_) if watch.passed.load(Ordering::Relaxed) > before => {
                    before = watch.passed.load(Ordering::Relaxed);
                }
                Err(_) => return Err(self.silent(call, &call.url, patience)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    struct Hello;

    #[async_trait::async_trait]
    impl BlobOrigin for Hello {
        async fn open(&self) -> Result<BlobStream, StoreError> {
            Ok(futures::stream::once(async { Ok(Bytes::from_static(b"hello")) }).boxed())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_refused_waits_a_moment() {
        let traffic = Arc::<Traffic>::default();
        let feed = Feed::new(&Hello, 5, traffic);
        let mut body = feed.part(0, 5).doubtful(true).open().await.unwrap();
        assert!(timeout(MOMENT / 2, body.next()).await.is_err());
        let piece = timeout(MOMENT, body.next()).await.unwrap();
        assert_eq!(piece.unwrap().unwrap(), "hello");
    }
}
