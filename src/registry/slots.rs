//! How many requests a registry gets at a time: as many as the operator allows, fewer while the registry has trouble.
//!
//! 429 and answers that say "not now" halve the number, at most once for all requests that were under way together;
//! answers that take much longer than the quickest ones lower it by one. Each round of good answers raises it by one
//! (additive increase, multiplicative decrease, as TCP does it).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers are slow that take so many times as long as the quickest ones, and this long at the least.
const SLOW_FACTOR: u32 = 8;
const SLOW: Duration = Duration::from_secs(1);

/// How much an answer counts in the mean of the latest ones: one part in so many.
const WEIGHT: u32 = 8;

/// The places for requests at one registry.
#[derive(Debug)]
pub(super) struct Slots {
    places: Arc<Semaphore>,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Places that are taken and not to be given again.
    surplus: usize,
    /// Good answers since the number changed.
    good: usize,
    /// When the number was lowered last: what was sent before says nothing new.
    lowered: Option<Instant>,
    quickest: Option<Duration>,
    mean: Duration,
}

/// A place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    place: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let most = most.max(1);
        let state =
            State { limit: most, surplus: 0, good: 0, lowered: None, quickest: None, mean: Duration::ZERO };
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), most, state: Mutex::new(state) })
    }

    /// Waits for a place.
    pub(super) async fn take(self: &Arc<Self>) -> Slot {
        // Nobody closes it.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        Slot { slots: Arc::clone(self), place }
    }

    /// Takes note of an answer to a request that was sent at `sent`. `is_small` says that its time is that of the
    /// registry and not that of many bytes.
    pub(super) fn answered(&self, status: StatusCode, sent: Instant, is_small: bool) {
        let took = sent.elapsed();
        let mut state = self.state();
        if matches!(status.as_u16(), 429 | 503) {
            if state.is_news(sent) {
                let half = state.limit / 2;
                self.lower(&mut state, half);
            }
            return;
        }
        if is_small {
            state.quickest = Some(state.quickest.map_or(took, |quickest| quickest.min(took)));
            state.mean = match state.mean {
                Duration::ZERO => took,
                mean => (mean * (WEIGHT - 1) + took) / WEIGHT,
            };
        }
        let slow = state.quickest.is_some_and(|quickest| state.mean > (quickest * SLOW_FACTOR).max(SLOW));
        if slow && state.is_news(sent) {
            let fewer = state.limit - 1;
            self.lower(&mut state, fewer);
        } else if !slow && status.as_u16() < 500 {
            state.good += 1;
            if state.good >= state.limit && state.limit < self.most {
                self.raise(&mut state);
            }
        }
    }

    fn lower(&self, state: &mut State, limit: usize) {
        let limit = limit.max(1);
        let gone = self.places.forget_permits(state.limit - limit);
        state.surplus += state.limit - limit - gone;
        tracing::debug!(limit, "fewer requests at a time");
        (state.limit, state.good, state.lowered) = (limit, 0, Some(Instant::now()));
    }

    fn raise(&self, state: &mut State) {
        (state.limit, state.good) = (state.limit + 1, 0);
        if state.surplus > 0 {
            state.surplus -= 1;
        } else {
            self.places.add_permits(1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a request was sent after the number was lowered last.
    fn is_news(&self, sent: Instant) -> bool {
        self.lowered.is_none_or(|lowered| sent > lowered)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let mut state = self.slots.state();
        if state.surplus > 0 {
            state.surplus -= 1;
            place.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn free(slots: &Arc<Slots>) -> usize {
        let mut taken = Vec::new();
        while let Some(slot) = slots.take().now_or_never() {
            taken.push(slot);
        }
        taken.len()
    }

    #[test]
    fn refusals_halve_the_number_once_and_good_answers_raise_it() {
        let slots = Slots::new(16);
        let sent = Instant::now();
        let busy: Vec<Slot> = (0..16).map(|_| slots.take().now_or_never().expect("a place")).collect();
        for _ in 0..16 {
            slots.answered(StatusCode::TOO_MANY_REQUESTS, sent, true);
        }
        assert!(slots.take().now_or_never().is_none(), "those that are under way keep their places");
        drop(busy);
        assert_eq!(free(&slots), 8, "sixteen refusals at once are one");
        slots.answered(StatusCode::SERVICE_UNAVAILABLE, Instant::now(), true);
        assert_eq!(free(&slots), 4);
        for _ in 0..4 {
            slots.answered(StatusCode::OK, Instant::now(), false);
        }
        assert_eq!(free(&slots), 5);
        for _ in 0..1000 {
            slots.answered(StatusCode::OK, Instant::now(), false);
        }
        assert_eq!(free(&slots), 16, "never more than the operator allows");
    }

    #[test]
    fn there_is_always_one() {
        let slots = Slots::new(0);
        assert_eq!(free(&slots), 1);
        for _ in 0..5 {
            slots.answered(StatusCode::TOO_MANY_REQUESTS, Instant::now(), true);
        }
        assert_eq!(free(&slots), 1);
    }

    #[test]
    fn slow_answers_lower_the_number_by_one() {
        let slots = Slots::new(4);
        let ago = |time: Duration| Instant::now().checked_sub(time).expect("a moment");
        slots.answered(StatusCode::OK, ago(Duration::from_millis(10)), true);
        for _ in 0..20 {
            slots.answered(StatusCode::OK, ago(Duration::from_secs(3)), true);
        }
        // They were all sent before the number was lowered for the first time.
        assert_eq!(free(&slots), 3);
        // A large body that takes its time says nothing.
        let slots = Slots::new(4);
        slots.answered(StatusCode::OK, ago(Duration::from_millis(10)), true);
        slots.answered(StatusCode::OK, ago(Duration::from_secs(30)), false);
        assert_eq!(free(&slots), 4);
    }
}
