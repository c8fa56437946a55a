//! Whether a registry answers at all. Many images that come from one that does not must not each wait until
//! all tries are used up: together they would take the time of all others.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// What is known of a registry's silence.
#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    answered: Option<Instant>,
    /// When the first request failed without an answer, since there was one.
    unanswered: Option<Instant>,
    silent: bool,
}

impl Silence {
    /// Something came back, whatever it says.
    pub(super) fn ends(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { answered: Some(Instant::now()), unanswered: None, silent: false };
    }

    /// A request had no answer. Where that goes on for `long`, whoever asks, the registry is silent.
    pub(super) fn goes_on(&self, now: Instant, long: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *state.unanswered.get_or_insert(now);
        state.silent |= now.duration_since(since) >= long;
    }

    /// A request that began at `began` used up its tries. If nobody else had an answer since, the registry is
    /// silent.
    pub(super) fn suspect(&self, began: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.silent |= state.answered.is_none_or(|answered| answered < began);
    }

    /// Whether nothing is to be expected of the registry: each request is tried once then, so that whatever
    /// still is answered ends the silence.
    pub(super) fn lasts(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).silent
    }

    /// How long to wait for the beginning of an answer.
    pub(super) fn patience(&self, usual: Duration) -> Duration {
        if self.lasts() { usual / 6 } else { usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_silent_if_nobody_has_an_answer() {
        let (silence, began) = (Silence::default(), Instant::now());
        assert!(!silence.lasts());
        silence.ends();
        silence.suspect(began);
        assert!(!silence.lasts(), "somebody had an answer meanwhile");
        silence.suspect(Instant::now());
        assert!(silence.lasts());
        assert_eq!(silence.patience(Duration::from_secs(30)), Duration::from_secs(5));
        silence.ends();
        assert!(!silence.lasts());
        assert_eq!(silence.patience(Duration::from_secs(30)), Duration::from_secs(30));
    }

    #[test]
    fn a_registry_is_silent_if_nothing_comes_for_long() {
        let (silence, long) = (Silence::default(), Duration::from_secs(60));
        let now = Instant::now();
        silence.goes_on(now, long);
        silence.ends();
        silence.goes_on(now + long, long);
        silence.goes_on(now + long + Duration::from_secs(59), long);
        assert!(!silence.lasts());
        silence.goes_on(now + long + long, long);
        assert!(silence.lasts());
    }
}
