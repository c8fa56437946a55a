//! A blob's bytes, checked against their digest while they pass: at once, or by several readers of whom each goes
//! on where the target got to.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;

use super::{BlobStream, StoreError, StoreErrorKind};
use crate::oci::{Descriptor, Digest, Digester};

/// So many states of a digest are kept at the most, of some hundred bytes each.
const MOST_STATES: usize = 128;

/// So many bytes lie between two of them at the least.
const SPACING: u64 = 1024 * 1024;

/// Passes a blob's bytes on and checks them on the way: exactly `blob.size` bytes with `blob.digest`.
///
/// The last piece is held back until the digest is known to be right, so that a reader that got all
/// bytes got the right ones. A stream that is too long fails at the first byte too many.
#[must_use]
pub fn verified(inner: BlobStream, blob: &Descriptor, reference: String) -> BlobStream {
    Midstates::default().verified(inner, blob, reference, 0)
}

/// What a digest was on the way through a blob, so that a reader need not begin at the start to check the whole.
///
/// Its size is bounded: the larger the blob, the farther apart are the states. A reader begins at one of them,
/// reads on to where it has to go on without passing that on, and meets the later ones on its way: the bytes that
/// are read twice have to be the same twice, or else what the first reader passed on was not checked.
#[derive(Debug, Clone, Default)]
pub struct Midstates(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    spacing: u64,
    /// By the number of bytes that they are of, ascending.
    states: Vec<(u64, Digester)>,
    /// The farthest one.
    last: Option<(u64, Digester)>,
}

impl Kept {
    fn all(&self) -> impl Iterator<Item = &(u64, Digester)> {
        self.states.iter().chain(&self.last)
    }

    fn note(&mut self, at: u64, digester: &Digester) {
        if self.last.as_ref().is_some_and(|(last, _)| *last >= at) {
            return;
        }
        self.last = Some((at, digester.clone()));
        let spacing = self.spacing.max(SPACING);
        if at < self.states.last().map_or(0, |(before, _)| *before).saturating_add(spacing) {
            return;
        }
        self.states.push((at, digester.clone()));
        if self.states.len() > MOST_STATES {
            let mut place = 0;
            self.states.retain(|_| {
                place += 1;
                place % 2 == 0
            });
            self.spacing = spacing * 2;
        }
    }
}

impl Midstates {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last state at or before `start`.
    fn before(&self, start: u64) -> Option<(u64, Digester)> {
        self.kept().all().filter(|(at, _)| *at <= start).last().cloned()
    }

    fn first_after(&self, start: u64) -> Option<(u64, Digester)> {
        self.kept().all().find(|(at, _)| *at > start).cloned()
    }

    /// The byte at which a reader has to begin that is to pass on those from `start` on.
    #[must_use]
    pub fn begin(&self, start: u64) -> u64 {
        self.before(start).map_or(0, |(at, _)| at)
    }

    /// As [`verified`], of a blob whose bytes before `start` an earlier reader passed on. `inner` begins at
    /// [`Midstates::begin`].
    #[must_use]
    pub fn verified(
        &self,
        inner: BlobStream,
        blob: &Descriptor,
        reference: String,
        start: u64,
    ) -> BlobStream {
        let (seen, digester) = self.before(start).unwrap_or_else(|| (0, Digester::new(&blob.digest)));
        Box::pin(Verified {
            inner,
            expected: blob.digest.clone(),
            size: blob.size,
            start,
            seen,
            digester: Some(digester),
            midstates: self.clone(),
            reference,
            held: None,
        })
    }
}

struct Verified {
    inner: BlobStream,
    expected: Digest,
    size: u64,
    /// What stands before is checked and not passed on.
    start: u64,
    seen: u64,
    /// Gone once the stream has ended.
    digester: Option<Digester>,
    midstates: Midstates,
    reference: String,
    held: Option<Bytes>,
}

impl Verified {
    fn corrupt(&self, message: String) -> StoreError {
        StoreError::new("read blob", &self.reference, StoreErrorKind::Corrupt, message)
    }

    /// Takes a piece in and gives the one before.
    fn take(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, StoreError> {
        let before = self.seen;
        if before + piece.len() as u64 > self.size {
            return Err(self.corrupt(format!("the body is longer than the {} bytes announced", self.size)));
        }
        self.digest(&piece)?;
        let known = usize::try_from(self.start.saturating_sub(before)).unwrap_or(usize::MAX);
        drop(piece.split_to(known.min(piece.len())));
        Ok(if piece.is_empty() { None } else { self.held.replace(piece) })
    }

    fn digest(&mut self, mut piece: &[u8]) -> Result<(), StoreError> {
        let Some(mut digester) = self.digester.take() else { return Ok(()) };
        while !piece.is_empty() {
            let met = self.midstates.first_after(self.seen);
            let until_met = met.as_ref().and_then(|(at, _)| usize::try_from(at - self.seen).ok());
            let length = until_met.map_or(piece.len(), |length| length.min(piece.len()));
            let (now, later) = piece.split_at(length);
            digester.update(now);
            self.seen += now.len() as u64;
            piece = later;
            if let Some((at, state)) = met
                && at == self.seen
                && state.finish() != digester.clone().finish()
            {
                return Err(self.corrupt(format!("the first {at} bytes are others than before")));
            }
        }
        self.midstates.kept().note(self.seen, &digester);
        self.digester = Some(digester);
        Ok(())
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
    use futures::{StreamExt as _, TryStreamExt as _};

    const MIB: u64 = SPACING;

    fn blob(content: &[u8], size: u64) -> Descriptor {
        Descriptor::new(MediaType::OCI_LAYER, Digest::sha256(content), size)
    }

    async fn all(stream: BlobStream) -> Result<Vec<u8>, String> {
        let add = |mut all: Vec<u8>, piece: Bytes| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        };
        stream.try_fold(Vec::new(), add).await.map_err(|error| error.message)
    }

    async fn read(content: &'static [&'static [u8]], named: &[u8], size: u64) -> Result<Vec<u8>, String> {
        let pieces = futures::stream::iter(content.iter().map(|piece| Ok(Bytes::from_static(piece))));
        all(verified(Box::pin(pieces), &blob(named, size), "r/a".into())).await
    }

    #[tokio::test]
    async fn only_the_right_bytes_pass_whole() {
        assert_eq!(read(&[b"ab", b"", b"c"], b"abc", 3).await, Ok(b"abc".to_vec()));
        assert_eq!(read(&[], b"", 0).await, Ok(Vec::new()));
        assert!(read(&[b"ab"], b"abc", 3).await.is_err_and(|text| text.contains("2 of 3")));
        assert!(read(&[b"abcd"], b"abc", 3).await.is_err_and(|text| text.contains("longer")));
        assert!(read(&[b"abd"], b"abc", 3).await.is_err_and(|text| text.contains("digest")));
    }

    /// The bytes from `begin` on, in pieces of an odd size.
    fn pieces(content: &[u8], begin: u64) -> BlobStream {
        let rest = &content[usize::try_from(begin).expect("an offset")..];
        let pieces: Vec<_> = rest.chunks(30_011).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        futures::stream::iter(pieces).boxed()
    }

    fn noise(length: u64) -> Vec<u8> {
        (0..length).map(|place| u8::try_from(place * 31 % 251).unwrap_or_default()).collect()
    }

    /// A first reader passes on about so many bytes.
    async fn read_some(midstates: &Midstates, content: &[u8], named: &Descriptor, most: u64) -> u64 {
        let mut stream = midstates.verified(pieces(content, 0), named, "r/a".into(), 0);
        let mut passed = 0;
        while passed < most {
            passed += stream.next().await.expect("a piece").expect("a good piece").len() as u64;
        }
        passed
    }

    #[tokio::test]
    async fn a_second_reader_goes_on_and_the_whole_is_checked() {
        let content = noise(5 * MIB);
        let named = blob(&content, 5 * MIB);
        let midstates = Midstates::default();
        let passed = read_some(&midstates, &content, &named, 3 * MIB).await;
        for start in [0, 1, MIB, 2 * MIB + 12_345, passed] {
            let begin = midstates.begin(start);
            assert!(begin <= start && start - begin < MIB + 40_000, "{begin} for {start}");
            let rest = midstates.verified(pieces(&content, begin), &named, "r/a".into(), start);
            let start = usize::try_from(start).expect("an offset");
            assert!(all(rest).await.is_ok_and(|rest| rest == content[start..]), "{start}");
        }
    }

    /// The first reader passed on something else than the second one reads: the target has what nobody checked.
    #[tokio::test]
    async fn bytes_that_are_read_twice_are_the_same_twice() {
        let content = noise(4 * MIB);
        let named = blob(&content, 4 * MIB);
        for wrong in [0_usize, 2 * 1024 * 1024 + 70_000] {
            let mut other = content.clone();
            other[wrong] ^= 1;
            let midstates = Midstates::default();
            let passed = read_some(&midstates, &other, &named, 2 * MIB + 200_000).await;
            let start = passed - 10;
            let begin = midstates.begin(start);
            let rest = midstates.verified(pieces(&content, begin), &named, "r/a".into(), start);
            let error = all(rest).await.expect_err("refused");
            assert!(error.contains("others than before") || error.contains("digest"), "{error}");
        }
    }

    #[test]
    fn the_states_of_a_large_blob_are_few() {
        let mut kept = Kept::default();
        let digester = Digester::sha256();
        for piece in 1..=20_000_u64 {
            kept.note(piece * 500_000, &digester);
        }
        assert!((MOST_STATES / 3..=MOST_STATES).contains(&kept.states.len()), "{}", kept.states.len());
        assert!(kept.states.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(kept.last.map(|(at, _)| at), Some(20_000 * 500_000));
        assert!(kept.spacing <= 20_000 * 500_000 * 2 / MOST_STATES as u64, "{}", kept.spacing);
    }
}
