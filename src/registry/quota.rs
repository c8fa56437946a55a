//! What a registry allows in a time: the headers `ratelimit-limit` and `ratelimit-remaining`, as Docker Hub sends them
//! (`100;w=21600`: so many pulls in so many seconds).
//!
//! A pull is a GET of a manifest; nothing else counts. Whoever wants one asks [`Quotas::admit`] first, so that no
//! request is sent that the registry would refuse: the answer is an error before the wall and not a 429 at it.
//! Windows that pass while a run waits are no wall, and are left to `Retry-After`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::sync::Notify;

use crate::store::Quota;

/// Windows as short as this pass within a run.
const SHORT: Duration = Duration::from_secs(300);

/// The quota of one registry, as one side of the copy knows it.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    stated: Option<(Quota, Instant)>,
    /// Pulls that were sent and are not answered.
    under_way: u64,
    /// Whether a pull was answered at all.
    answered: bool,
}

/// The quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsedUp(pub(super) Quota);

/// A pull that may be sent. It counts as under way until this is dropped.
pub(super) struct Pull<'a>(&'a Quotas);

impl Quotas {
    /// Waits until a pull may be sent. With few left, those that are under way are waited for: each may be the last.
    pub(super) async fn admit(&self) -> Result<Pull<'_>, UsedUp> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                match state.current() {
                    Some(quota) if quota.remaining == 0 => return Err(UsedUp(quota)),
                    Some(quota) if quota.remaining <= state.under_way => {}
                    _ => {
                        state.under_way += 1;
                        return Ok(Pull(self));
                    }
                }
            }
            changed.await;
        }
    }

    /// Takes note of what an answer says.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let Some((remaining, window)) = stated(headers, "ratelimit-remaining") else { return };
        let limit = stated(headers, "ratelimit-limit");
        let Some(window) = window.or(limit.and_then(|(_, window)| window)).filter(|it| *it > SHORT) else {
            return;
        };
        let mut state = self.state();
        // Answers overtake each other; what comes back in the course of a window is left to the next run.
        let remaining = state.current().map_or(remaining, |known| known.remaining.min(remaining));
        let quota = Quota { limit: limit.map(|(limit, _)| limit), remaining, window: Some(window) };
        state.stated = Some((quota, Instant::now()));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes note that a pull was refused because nothing is left.
    pub(super) fn exhaust(&self) -> UsedUp {
        let mut state = self.state();
        let known = state.current().unwrap_or(Quota { limit: None, remaining: 0, window: None });
        let quota = Quota { remaining: 0, ..known };
        state.stated = Some((quota, Instant::now()));
        drop(state);
        self.changed.notify_waiters();
        UsedUp(quota)
    }

    /// What is left, if the registry has said so.
    pub(super) fn left(&self) -> Option<Quota> {
        self.state().current()
    }

    /// Takes note that a pull was answered: a registry that counts has said so by now.
    pub(super) fn answered(&self) {
        self.state().answered = true;
    }

    /// Whether a pull was answered, so that a quota would be known.
    pub(super) fn is_known(&self) -> bool {
        self.state().answered
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known, unless the window has passed since. One that was not stated lasts as long as the run.
    fn current(&self) -> Option<Quota> {
        let lasts = |(quota, at): &(Quota, Instant)| quota.window.is_none_or(|window| at.elapsed() < window);
        self.stated.filter(lasts).map(|(quota, _)| quota)
    }
}

impl Drop for Pull<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way = state.under_way.saturating_sub(1);
        drop(state);
        self.0.changed.notify_waiters();
    }
}

/// Whether the text of a 429 says that the quota is used up, and not only that requests come too fast.
pub(super) fn is_about_quota(message: &str) -> bool {
    message.to_ascii_lowercase().contains("pull rate limit")
}

/// `76;w=21600`: a number, and the window that it is for.
fn stated(headers: &HeaderMap, name: &str) -> Option<(u64, Option<Duration>)> {
    let text = headers.get(name)?.to_str().ok()?;
    let mut parts = text.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok()).map(Duration::from_secs);
    Some((number, window))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn headers(limit: &str, remaining: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-limit", limit.parse().expect("a value"));
        headers.insert("ratelimit-remaining", remaining.parse().expect("a value"));
        headers
    }

    #[test]
    fn headers_are_numbers_with_a_window() {
        let window = Some(Duration::from_secs(21600));
        for (text, expected) in [
            ("76;w=21600", Some((76, window))),
            (" 0 ; w=21600", Some((0, window))),
            ("76", Some((76, None))),
            ("76;q=1;w=21600", Some((76, window))),
            ("many;w=21600", None),
            ("-1;w=21600", None),
            ("", None),
        ] {
            assert_eq!(stated(&headers("1", text), "ratelimit-remaining"), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn no_pull_is_sent_that_would_be_refused() {
        let quotas = Quotas::default();
        // Nothing is known: whoever asks may go.
        let first = quotas.admit().await.expect("a pull");
        quotas.note(&headers("100;w=21600", "2;w=21600"));
        drop(first);
        let one = quotas.admit().await.expect("a pull");
        let two = quotas.admit().await.expect("a pull");
        // Two are left and under way: whether one more may go is known when one is answered.
        let mut third = Box::pin(quotas.admit());
        assert!(third.as_mut().now_or_never().is_none());
        quotas.note(&headers("100;w=21600", "0;w=21600"));
        // An older answer comes late.
        quotas.note(&headers("100;w=21600", "1;w=21600"));
        drop((one, two));
        let used_up = third.await.err().expect("nothing is left");
        assert_eq!((used_up.0.limit, used_up.0.remaining), (Some(100), 0));
    }

    #[tokio::test]
    async fn short_windows_are_no_wall() {
        let quotas = Quotas::default();
        quotas.note(&headers("100;w=60", "0;w=60"));
        quotas.note(&headers("100", "0"));
        assert!(quotas.admit().await.is_ok());
        assert_eq!(quotas.left(), None);
        let used_up = quotas.exhaust().0;
        assert_eq!((used_up.remaining, used_up.window), (0, None), "nobody has stated a window");
        assert!(quotas.admit().await.is_err());
    }
}
