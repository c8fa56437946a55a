//! How many requests a registry gets at a time: as many as the operator allows, fewer while the registry has trouble.
//!
//! 429 and answers that say "not now" halve the number, at most once for all requests that were under way together;
//! answers that take much longer than the quickest ones lower it by one. Each round of good answers raises it by one
//! (additive increase, multiplicative decrease, as TCP does it).
//!
//! Where the operator says nothing, there is a number to begin with and a higher one to get to. Beyond the first the
//! number grows only while answers take hardly longer than the quickest one: then it is the way that takes the time,
//! and the registry has nothing in line (as TCP Vegas does it). One that refused never gets as many again.
//!
//! A body of some size keeps its place for as long as it takes, which for a blob of a slow source is long. Some places are
//! never taken by those, so that what is small does not wait for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Where nobody says how many: so many at first, …
const FIRST: usize = 16;

/// … and up to so many.
const MOST: usize = 128;

/// So many more with each quick answer, which is four times as many with each round trip.
const GROWTH: usize = 3;

/// Answers are slow that take so many times as long as the quickest ones, and this long at the least.
const SLOW_FACTOR: u32 = 8;
const SLOW: Duration = Duration::from_secs(1);

/// Answers are quick that take no longer than one and a half times the quickest one's time, and this.
const TRIFLE: Duration = Duration::from_millis(1);

/// How much an answer counts in the mean of the latest ones: one part in so many.
const WEIGHT: u32 = 8;

/// A body of more bytes than this is a bulky one.
const BULKY: u64 = 64 * 1024;

/// The places for requests at one registry.
#[derive(Debug)]
pub(super) struct Slots {
    first: usize,
    places: Arc<Semaphore>,
    /// Bulky bodies take one of these as well, of which there are fewer.
    bulky: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    most: usize,
    /// Places that are taken and not to be given again, of all and of those for bulky bodies.
    surplus: usize,
    bulky_surplus: usize,
    /// Good answers since the number changed.
    good: usize,
    /// When the number was lowered last: what was sent before says nothing new.
    lowered: Option<Instant>,
    /// How long answers take, to requests that read and to those that write.
    paces: [Pace; 2],
}

#[derive(Debug, Default)]
struct Pace {
    quickest: Option<Duration>,
    mean: Duration,
}

/// A place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    place: Option<OwnedSemaphorePermit>,
    bulky: Option<OwnedSemaphorePermit>,
}

/// How many of so many places bulky bodies may take: three quarters.
fn for_bulky(limit: usize) -> usize {
    (limit * 3 / 4).max(1)
}

impl Slots {
    /// As many places as the operator allows, or as many as prove good.
    pub(super) fn new(allowed: Option<usize>) -> Arc<Self> {
        let (first, most) = allowed.map_or((FIRST, MOST), |allowed| (allowed.max(1), allowed.max(1)));
        let state = State {
            limit: first,
            most,
            surplus: 0,
            bulky_surplus: 0,
            good: 0,
            lowered: None,
            paces: Default::default(),
        };
        let places = |count| Arc::new(Semaphore::new(count));
        Arc::new(Self {
            first,
            places: places(first),
            bulky: places(for_bulky(first)),
            state: Mutex::new(state),
        })
    }

    /// Waits for a place for a request that moves a body of so many bytes, there or back.
    pub(super) async fn take(self: &Arc<Self>, bytes: u64) -> Slot {
        let mut slot = Slot { slots: Arc::clone(self), place: None, bulky: None };
        // Nobody closes them.
        if bytes > BULKY {
            slot.bulky = Arc::clone(&self.bulky).acquire_owned().await.ok();
        }
        slot.place = Arc::clone(&self.places).acquire_owned().await.ok();
        slot
    }

    /// Takes note of an answer to a request that was sent at `sent`, and that only reads or not. What writes may take
    /// long because of its bytes.
    pub(super) fn answered(&self, status: StatusCode, sent: Instant, only_reads: bool) {
        let took = sent.elapsed();
        let mut state = self.state();
        if matches!(status.as_u16(), 429 | 503) {
            if state.is_news(sent) {
                let half = state.limit / 2;
                state.most = half.max(self.first);
                self.lower(&mut state, half);
            }
            return;
        }
        let pace = &mut state.paces[usize::from(only_reads)];
        pace.note(took);
        let (slow, quick) = (only_reads && pace.is_slow(), pace.is_quick());
        if slow && state.is_news(sent) {
            let fewer = state.limit - 1;
            self.lower(&mut state, fewer);
        } else if !slow && status.as_u16() < 500 {
            state.good += 1;
            if state.limit < self.first {
                if state.good >= state.limit {
                    self.raise(&mut state, 1);
                }
            } else if quick && self.places.available_permits() == 0 {
                self.raise(&mut state, GROWTH);
            }
        }
    }

    fn lower(&self, state: &mut State, limit: usize) {
        let limit = limit.max(1);
        forget(&self.places, state.limit - limit, &mut state.surplus);
        forget(&self.bulky, for_bulky(state.limit) - for_bulky(limit), &mut state.bulky_surplus);
        tracing::debug!(limit, "fewer requests at a time");
        (state.limit, state.good, state.lowered) = (limit, 0, Some(Instant::now()));
    }

    fn raise(&self, state: &mut State, by: usize) {
        let limit = state.limit + by.min(state.most - state.limit);
        add(&self.places, limit - state.limit, &mut state.surplus);
        add(&self.bulky, for_bulky(limit) - for_bulky(state.limit), &mut state.bulky_surplus);
        (state.limit, state.good) = (limit, 0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes places away: free ones at once, the others when they are given back.
fn forget(places: &Semaphore, count: usize, surplus: &mut usize) {
    *surplus += count - places.forget_permits(count);
}

fn add(places: &Semaphore, count: usize, surplus: &mut usize) {
    let kept = count.min(*surplus);
    *surplus -= kept;
    places.add_permits(count - kept);
}

impl State {
    /// Whether a request was sent after the number was lowered last.
    fn is_news(&self, sent: Instant) -> bool {
        self.lowered.is_none_or(|lowered| sent > lowered)
    }
}

impl Pace {
    fn note(&mut self, took: Duration) {
        self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
        self.mean = match self.mean {
            Duration::ZERO => took,
            mean => (mean * (WEIGHT - 1) + took) / WEIGHT,
        };
    }

    fn is_slow(&self) -> bool {
        self.quickest.is_some_and(|quickest| self.mean > (quickest * SLOW_FACTOR).max(SLOW))
    }

    /// Whether answers take hardly longer than they must.
    fn is_quick(&self) -> bool {
        self.quickest.is_some_and(|quickest| self.mean <= quickest * 3 / 2 + TRIFLE)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        let State { surplus, bulky_surplus, .. } = &mut *state;
        for (place, surplus) in [(self.place.take(), surplus), (self.bulky.take(), bulky_surplus)] {
            if let Some(place) = place.filter(|_| *surplus > 0) {
                *surplus -= 1;
                place.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn free(slots: &Arc<Slots>) -> usize {
        let mut taken = Vec::new();
        while let Some(slot) = slots.take(0).now_or_never() {
            taken.push(slot);
        }
        taken.len()
    }

    #[test]
    fn refusals_halve_the_number_once_and_good_answers_raise_it() {
        let slots = Slots::new(Some(16));
        let sent = Instant::now();
        let busy: Vec<Slot> = (0..16).map(|_| slots.take(0).now_or_never().expect("a place")).collect();
        for _ in 0..16 {
            slots.answered(StatusCode::TOO_MANY_REQUESTS, sent, true);
        }
        assert!(slots.take(0).now_or_never().is_none(), "those that are under way keep their places");
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
    fn the_number_grows_while_the_way_takes_the_time() {
        let ago = |millis| Instant::now().checked_sub(Duration::from_millis(millis)).expect("a moment");
        let slots = Slots::new(None);
        assert_eq!(free(&slots), 16);
        slots.answered(StatusCode::OK, ago(500), true);
        assert_eq!(free(&slots), 16, "nobody waits for more");
        let mut busy = Vec::new();
        for _ in 0..200 {
            while let Some(slot) = slots.take(0).now_or_never() {
                busy.push(slot);
            }
            slots.answered(StatusCode::OK, ago(600), true);
        }
        assert_eq!(busy.len(), 128);
        drop(busy);
        slots.answered(StatusCode::TOO_MANY_REQUESTS, Instant::now(), true);
        assert_eq!(free(&slots), 64);
        let busy: Vec<Slot> = (0..64).map(|_| slots.take(0).now_or_never().expect("a place")).collect();
        for _ in 0..200 {
            slots.answered(StatusCode::OK, Instant::now(), true);
        }
        drop(busy);
        assert_eq!(free(&slots), 64, "it refused more");

        let slots = Slots::new(None);
        slots.answered(StatusCode::OK, ago(100), true);
        for _ in 0..20 {
            slots.answered(StatusCode::OK, ago(400), true);
        }
        let busy: Vec<Slot> = (0..16).map(|_| slots.take(0).now_or_never().expect("a place")).collect();
        for _ in 0..200 {
            slots.answered(StatusCode::OK, ago(400), true);
        }
        assert!(slots.take(0).now_or_never().is_none(), "it has a line already");
        slots.answered(StatusCode::TOO_MANY_REQUESTS, Instant::now(), true);
        drop(busy);
        let busy: Vec<Slot> = (0..8).map(|_| slots.take(0).now_or_never().expect("a place")).collect();
        for _ in 0..1000 {
            slots.answered(StatusCode::OK, Instant::now(), true);
        }
        drop(busy);
        assert_eq!(free(&slots), 16, "nor more than at first, if that was refused");
    }

    #[test]
    fn bulky_bodies_leave_places_to_others() {
        let take = |slots: &Arc<Slots>, bytes| slots.take(bytes).now_or_never();
        let slots = Slots::new(Some(8));
        let mut bulky: Vec<Slot> = std::iter::from_fn(|| take(&slots, 1 << 20)).collect();
        assert_eq!(bulky.len(), 6);
        assert_eq!(free(&slots), 2);
        slots.answered(StatusCode::TOO_MANY_REQUESTS, Instant::now(), true);
        bulky.truncate(3);
        assert!(take(&slots, 1 << 20).is_none(), "three of four");
        assert_eq!(free(&slots), 1);
        bulky.clear();
        assert_eq!(std::iter::from_fn(|| take(&slots, 1 << 20)).take(9).map(std::mem::forget).count(), 3);
        let only = Slots::new(Some(1));
        let one = take(&only, 1 << 20).expect("there is always one");
        drop(one);
        assert_eq!(free(&only), 1);
    }

    #[test]
    fn there_is_always_one() {
        let slots = Slots::new(Some(0));
        assert_eq!(free(&slots), 1);
        for _ in 0..5 {
            slots.answered(StatusCode::TOO_MANY_REQUESTS, Instant::now(), true);
        }
        assert_eq!(free(&slots), 1);
    }

    #[test]
    fn slow_answers_lower_the_number_by_one() {
        let slots = Slots::new(Some(4));
        let ago = |time: Duration| Instant::now().checked_sub(time).expect("a moment");
        slots.answered(StatusCode::OK, ago(Duration::from_millis(10)), true);
        for _ in 0..20 {
            slots.answered(StatusCode::OK, ago(Duration::from_secs(3)), true);
        }
        // They were all sent before the number was lowered for the first time.
        assert_eq!(free(&slots), 3);
        // A large body that takes its time says nothing.
        let slots = Slots::new(Some(4));
        slots.answered(StatusCode::OK, ago(Duration::from_millis(10)), true);
        slots.answered(StatusCode::OK, ago(Duration::from_secs(30)), false);
        assert_eq!(free(&slots), 4);
    }
}
