//! How long an answer is waited for, when a request is tried again, and how long it waits before (RFC 9110,
//! section 10.2.3 "Retry-After").

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

use crate::duration;

/// How long a registry may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until an answer begins, and between two pieces of a body, in either direction.
    pub idle: Duration,
    /// Until the answer to an upload begins, after its last byte: registries check and store it then.
    pub commit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            commit: Duration::from_secs(300),
        }
    }
}

/// How stubborn the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is tried again after its first failure.
    pub retries: usize,
    /// The first pause; each further one is twice as long, with jitter.
    pub first_delay: Duration,
    /// The longest pause of our own choice.
    pub longest_delay: Duration,
    /// The longest pause that a registry may ask for; where it asks for more, the request fails at once.
    pub longest_asked: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 4,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(8),
            longest_asked: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// The pauses, one for each retry.
    pub(super) fn delays(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(self.retries)
            .with_jitter()
            .build()
    }

    /// The next pause: our own, or what the registry asks for and a part of our own, so that those whom it told the
    /// same do not meet again. `None` if that is too long, or if it was tried often enough.
    pub(super) fn pause(
        &self,
        delays: &mut impl Iterator<Item = Duration>,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        let (own, asked) = (delays.next()?, asked.unwrap_or_default());
        (!self.is_too_long(asked)).then(|| if asked > own { asked + own / 8 } else { own })
    }

    /// Whether a run does not wait for as long as a registry asks for: a later one goes on.
    pub(super) fn is_too_long(&self, asked: Duration) -> bool {
        asked > self.longest_asked
    }
}

/// A transfer that gets ahead is tried again so many times as often as a request, altogether.
const PARTS: usize = 25;

/// So many bytes are getting ahead. With fewer, who hangs after every byte could be waited for without end.
const PROGRESS: u64 = 256 * 1024;

/// The tries of a transfer that comes in parts: as many as of a request while nothing comes, and more where each
/// brings something.
#[derive(Debug)]
pub(super) struct Tries {
    policy: RetryPolicy,
    delays: ExponentialBackoff,
    left: usize,
    /// What has come since it got ahead last, in bytes.
    come: u64,
}

impl Tries {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, delays: policy.delays(), left: policy.retries.saturating_mul(PARTS), come: 0 }
    }

    /// So many more bytes have come.
    pub(super) fn progress(&mut self, bytes: u64) {
        self.come = self.come.saturating_add(bytes);
        if self.come >= PROGRESS {
            self.come = 0;
            self.start_anew();
        }
    }

    /// It was not this one's fault: it has all its tries again.
    pub(super) fn start_anew(&mut self) {
        self.delays = self.policy.delays();
    }

    /// The pause before the next try, as [`RetryPolicy::pause`] has it.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        self.policy.pause(&mut self.delays, asked)
    }
}

/// Whether an answer may be another one later.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504) || status.as_u16() > 511
}

/// What `Retry-After` asks for: seconds, an HTTP date, or a duration as Go prints it.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(headers.get(RETRY_AFTER)?.as_bytes()).ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date.duration_since(now).unwrap_or_default());
    }
    duration::parse(text)
}

/// What the text of a refusal asks for: `retry-after: 880.092µs, allowed: 44000/minute`.
pub(super) fn asked_in_words(message: &str) -> Option<Duration> {
    let (_, after) = message.split_once("retry-after:")?;
    let word = after.trim_start().split([',', ' ', ';']).next()?;
    word.parse().map(Duration::from_secs).ok().or_else(|| duration::parse(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, http::HeaderValue::from_bytes(text.as_bytes()).expect("a value"));
            retry_after(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("1m1.5s"), Some(Duration::from_millis(61_500)));
        assert_eq!(read("soon"), None);
        assert_eq!(read("880.092µs"), Some(Duration::from_nanos(880_092)));
    }

    #[test]
    fn a_pause_may_be_asked_for_in_words() {
        let asked = |text| asked_in_words(text);
        let text = "r.io answered 429 Too Many Requests, TOOMANYREQUESTS: retry-after: 880.092µs, allowed: 44000/minute";
        assert_eq!(asked(text), Some(Duration::from_nanos(880_092)));
        assert_eq!(asked("retry-after: 3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("retry-after: soon"), None);
        assert_eq!(asked("too many requests"), None);
    }

    #[test]
    fn what_gets_ahead_is_tried_longer_and_not_for_ever() {
        let policy = RetryPolicy { retries: 2, ..RetryPolicy::default() };
        let mut tries = Tries::new(policy);
        assert_eq!((0..9).filter_map(|_| tries.pause(None)).count(), 2);
        let count = |each: u64| {
            let mut tries = Tries::new(policy);
            let ahead = (0..1000).map_while(|_| {
                tries.progress(each);
                tries.pause(None)
            });
            ahead.count()
        };
        assert_eq!((count(1), count(PROGRESS / 3), count(PROGRESS)), (2, 2, 2 * PARTS));
    }

    #[test]
    fn pauses_grow_and_end() {
        let delays: Vec<_> = RetryPolicy::default().delays().collect();
        assert_eq!(delays.len(), 4);
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(16)));
    }
}
