//! When a GET is sent again, and after what pause (GitHub Docs, "Rate limits for the REST API", "Exceeding the rate
//! limit").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};

/// How stubborn the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a GET is sent again after its first failure.
    pub retries: usize,
    /// The first pause; each further one is twice as long, with jitter.
    pub first_delay: Duration,
    /// The longest pause that GitHub may ask for; where it asks for more, the request fails at once.
    pub longest_asked: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { retries: 3, first_delay: Duration::from_millis(500), longest_asked: Duration::from_secs(90) }
    }
}

impl Retry {
    /// The pauses, one for each retry.
    pub(super) fn delays(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.first_delay)
            .with_max_times(self.retries)
            .with_jitter()
            .build()
    }

    /// The next pause; `None` if GitHub asks for too long a one, or if it was tried often enough.
    pub(super) fn pause(
        &self,
        delays: &mut impl Iterator<Item = Duration>,
        asked: Duration,
    ) -> Option<Duration> {
        let own = delays.next()?;
        (asked <= self.longest_asked).then(|| own.max(asked))
    }
}

/// The pause that an answer asks for, at the least; `None` if it will not be another one later.
pub(super) fn asked(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Option<Duration> {
    let transient = matches!(status.as_u16(), 408 | 500 | 502 | 503 | 504);
    let limited = is_rate_limit(status, headers, body);
    if !transient && !limited {
        return None;
    }
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = number(RETRY_AFTER.as_str()) {
        return Some(Duration::from_secs(seconds));
    }
    if limited && number("x-ratelimit-remaining") == Some(0) {
        let reset = UNIX_EPOCH.checked_add(Duration::from_secs(number("x-ratelimit-reset")?))?;
        return Some(reset.duration_since(now).unwrap_or_default());
    }
    // "If neither header is there, wait for at least one minute."
    Some(if limited { Duration::from_secs(60) } else { Duration::ZERO })
}

/// Whether an answer is about too many requests. GitHub says 403 for that as well as 429.
pub(super) fn is_rate_limit(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    let spent = headers.get("x-ratelimit-remaining").is_some_and(|value| value == "0");
    let said = || {
        let text = String::from_utf8_lossy(body).to_ascii_lowercase();
        text.contains("secondary rate limit") || text.contains("api rate limit exceeded")
    };
    status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN && (spent || headers.contains_key(RETRY_AFTER) || said()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Option<u64> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            })
            .collect();
        let status = StatusCode::from_u16(status).expect("a status");
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        asked(status, &headers, body.as_bytes(), now).map(|pause| pause.as_secs())
    }

    #[test]
    fn what_can_be_better_later_is_known() {
        assert_eq!(pause(502, &[], ""), Some(0));
        assert_eq!(pause(503, &[("retry-after", "7")], ""), Some(7));
        assert_eq!(pause(429, &[], ""), Some(60));
        assert_eq!(pause(403, &[("retry-after", "9")], ""), Some(9));
        assert_eq!(
            pause(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")], ""),
            Some(30)
        );
        assert_eq!(pause(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")], ""), Some(0));
        assert_eq!(pause(403, &[], r#"{"message":"You have exceeded a secondary rate limit"}"#), Some(60));
        assert_eq!(
            pause(403, &[("x-ratelimit-remaining", "12")], r#"{"message":"Resource not accessible"}"#),
            None
        );
        assert_eq!(pause(404, &[], ""), None);
        assert_eq!(pause(200, &[], ""), None);
    }

    #[test]
    fn a_pause_that_is_too_long_is_not_begun() {
        let retry = Retry { retries: 1, first_delay: Duration::from_secs(1), ..Retry::default() };
        let pause = |asked| retry.pause(&mut retry.delays(), Duration::from_secs(asked));
        assert_eq!(pause(91), None);
        assert_eq!(pause(90), Some(Duration::from_secs(90)));
        assert!(pause(0).expect("a pause") >= Duration::from_secs(1));
        assert_eq!(retry.pause(&mut std::iter::empty(), Duration::ZERO), None);
    }
}
