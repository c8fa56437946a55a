//! One pause for all requests to a registry that refuses them because they are too many.
//!
//! Requests that were refused together and wait by themselves meet again. So refusals that come together
//! close the gate for all of them and for those that come after; a further one keeps it closed for longer. One now and
//! then is a matter of the request that it hits. From the second time on it is
//! known how many requests the registry has let through in which time: they then leave one by one, a little slower than
//! that. While nothing is refused they leave faster again, by little at first and soon by much: what looked like a limit
//! may have been a bad moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use url::Url;

use super::answer::Answer;
use super::client::Client;
use super::origin::same_origin;

/// The longest time between two requests. Who allows even fewer refuses some.
const SLOWEST: Duration = Duration::from_secs(2);

/// Requests that have waited for the gate to open leave at least so far apart.
const SPREAD: Duration = Duration::from_millis(5);

/// Requests so close together need not be held apart.
const NEGLIGIBLE: Duration = Duration::from_millis(1);

/// After this time without a refusal they leave faster.
const GOOD: Duration = Duration::from_millis(500);

/// The time between two requests becomes so much shorter then, in parts of a thousand, and the next time as if it were done
/// twice.
const FASTER: u32 = 900;

/// Refusals with no more answers than this between one and the next are together, …
const BETWEEN: u64 = 4;

/// … and if so many came after the first they are no accident.
const TOGETHER: u32 = 2;

/// After this time without a refusal, the next one is the first again.
const QUIET: Duration = Duration::from_secs(60);

/// The gate that requests to one registry pass.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When it opens.
    opens: Option<Instant>,
    /// When the next request may leave.
    next: Option<Instant>,
    /// The time between two requests.
    spacing: Duration,
    /// When it was closed last, and how many requests had got through by then.
    closed: Option<(Instant, u64)>,
    /// Answers that were no refusals.
    through: u64,
    /// When the spacing has changed, and what it is multiplied with the next time, in parts of a thousand.
    changed: Option<(Instant, u32)>,
    /// What was refused last, when, and how many requests had got through by then.
    refused: Option<(Url, Instant, u64)>,
    /// How many refusals of other things have come together since the first.
    together: u32,
    /// Whether they are so many that it is the requests' number, and not one of them.
    is_general: bool,
}

impl Gate {
    /// Waits until a request may leave.
    pub(super) async fn pass(&self) {
        loop {
            let now = Instant::now();
            let at = self.state().reserve(now);
            if at <= now {
                return;
            }
            tokio::time::sleep_until(at.into()).await;
            if !self.state().is_closed(Instant::now()) {
                return;
            }
        }
    }

    /// Takes note that a request was refused. True if it closes for that, for at least so long.
    pub(super) fn refuse(&self, what: &Url, pause: Duration) -> bool {
        self.state().refuse(what, pause, Instant::now())
    }

    /// Takes note of an answer that was no refusal.
    pub(super) fn let_through(&self) {
        self.state().let_through(Instant::now());
    }

    /// How many requests got through so far.
    pub(super) fn through(&self) -> u64 {
        self.state().through
    }

    /// Whether all requests are refused now and then, and others than the one that asks got through since `through`
    /// was read: its turn will come, too.
    pub(super) fn goes_on(&self, through: u64) -> bool {
        let state = self.state();
        state.is_general && state.through > through
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_closed(&self, now: Instant) -> bool {
        self.opens.is_some_and(|opens| opens > now)
    }

    /// When a request may leave that comes now; the next one comes after it.
    fn reserve(&mut self, now: Instant) -> Instant {
        let spacing = if self.is_closed(now) { self.spacing.max(SPREAD) } else { self.spacing };
        let at = now.max(self.opens.unwrap_or(now)).max(self.next.unwrap_or(now));
        self.next = Some(at + spacing);
        at
    }

    fn refuse(&mut self, what: &Url, pause: Duration, now: Instant) -> bool {
        let through = self.through;
        let is_soon = |at: &Instant, then: u64| now.duration_since(*at) < QUIET && through - then <= BETWEEN;
        let before = self.refused.take().filter(|(_, at, then)| is_soon(at, *then));
        self.together = match before {
            Some((refused, ..)) if refused == *what && !self.is_general => self.together,
            Some(_) => self.together.saturating_add(1),
            None => 0,
        };
        self.is_general = self.together >= TOGETHER;
        self.refused = Some((what.clone(), now, through));
        if !self.is_general {
            return false;
        }
        let is_news = !self.is_closed(now);
        let opens = now + pause;
        self.opens = Some(self.opens.map_or(opens, |known| known.max(opens)));
        // Places that were reserved are given anew.
        self.next = None;
        if is_news {
            self.close(now);
        }
        true
    }

    /// Finds out how fast requests may come, from what got through since it was closed for the last time.
    fn close(&mut self, now: Instant) {
        let Some((since, before)) = self.closed.filter(|(since, _)| now.duration_since(*since) < QUIET)
        else {
            self.closed = Some((now, self.through));
            return;
        };
        let through = u32::try_from(self.through - before).unwrap_or(u32::MAX);
        if through == 0 {
            return;
        }
        // A tenth slower than the registry has let them through.
        self.spacing = (now.duration_since(since) * 10 / 9 / through).min(SLOWEST);
        tracing::debug!(spacing = ?self.spacing, "requests leave one by one");
        (self.closed, self.changed) = (Some((now, self.through)), None);
    }

    fn let_through(&mut self, now: Instant) {
        self.through += 1;
        if self.spacing.is_zero() || self.is_closed(now) {
            return;
        }
        let (since, factor) = *self.changed.get_or_insert((now, FASTER));
        if now.duration_since(since) < GOOD {
            return;
        }
        self.changed = Some((now, factor * factor / 1000));
        self.spacing = self.spacing * factor / 1000;
        if self.spacing < NEGLIGIBLE {
            self.spacing = Duration::ZERO;
        }
        // Whoever was given a time by the old spacing goes by it; those who come now do not.
        self.next = self.next.map(|next| next.min(now + self.spacing));
    }
}

/// The gates of all registries of a run, by their hosts: both sides of a copy pass the same one.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<String, Arc<Gate>>>);

impl Gates {
    pub(super) fn of(&self, host: &str) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gates.entry(host.to_owned()).or_default())
    }
}

/// Whether an answer shows that requests are not refused for their number.
pub(super) fn is_let_through(status: StatusCode) -> bool {
    !status.is_server_error() && !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED)
}

impl Client {
    /// Whether the registry refuses requests because they are too many. What other hosts refuse, that it leads to, says
    /// nothing of it.
    pub(super) fn is_too_many(&self, answer: &Answer, of_registry: bool) -> bool {
        let is_asked = !of_registry || same_origin(&answer.url, &self.base);
        answer.status == StatusCode::TOO_MANY_REQUESTS && is_asked
    }

    /// Waits before the next try: where the gate is closed for all, there, with its place in the limit of requests.
    pub(super) async fn wait(&self, gate: &Gate, what: &Url, refused: bool, pause: Duration) {
        if !refused || !gate.refuse(what, pause) {
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(250);

    fn url(path: &str) -> Url {
        format!("https://r.io/v2/{path}").parse().expect("a URL")
    }

    #[test]
    fn all_wait_for_the_same_pause_and_a_further_refusal_makes_it_longer() {
        let (mut state, now) = (State::default(), Instant::now());
        for name in ["x", "y"] {
            assert!(!state.refuse(&url(name), PAUSE, now), "one may be an accident, and two");
        }
        assert_eq!(state.reserve(now), now);
        assert!(state.refuse(&url("a"), PAUSE, now));
        assert_eq!((state.reserve(now), state.reserve(now)), (now + PAUSE, now + PAUSE + SPREAD));
        let later = now + PAUSE / 2;
        state.refuse(&url("b"), PAUSE, later);
        state.refuse(&url("c"), Duration::ZERO, later);
        assert_eq!(state.reserve(later), later + PAUSE);
        assert!(!state.is_closed(later + PAUSE));
    }

    #[test]
    fn what_gets_through_says_how_fast_requests_may_come() {
        let (mut state, now) = (State::default(), Instant::now());
        let all_refused =
            |state: &mut State, at| ["a", "b", "c"].map(|name| state.refuse(&url(name), PAUSE, at));
        all_refused(&mut state, now);
        for _ in 0..9 {
            state.let_through(now);
        }
        let again = now + PAUSE;
        assert_eq!(all_refused(&mut state, again), [false, false, true]);
        // Nine in 250 ms, and a tenth less.
        assert_eq!(state.spacing.as_millis(), 30);
        let open = again + PAUSE;
        assert_eq!(state.reserve(open), open);
        assert_eq!(state.reserve(open).duration_since(open).as_millis(), 30);
        let mut spacings = Vec::new();
        for step in 0..7 {
            state.let_through(open + GOOD * step);
            spacings.push(state.spacing.as_millis());
        }
        assert_eq!(spacings, [30, 27, 22, 14, 6, 1, 0], "by little at first, and soon by much");
        assert!(state.spacing.is_zero());
    }

    /// A registry that was down for a moment lets little through, which says nothing of how fast it is.
    #[test]
    fn a_bad_moment_is_soon_forgotten() {
        let (mut state, now) = (State::default(), Instant::now());
        for name in ["a", "b", "c"] {
            state.refuse(&url(name), PAUSE, now);
        }
        state.let_through(now);
        state.refuse(&url("a"), PAUSE, now + SLOWEST);
        assert_eq!(state.spacing, SLOWEST);
        let mut at = now + SLOWEST + PAUSE;
        let open = at;
        while !state.spacing.is_zero() {
            at = at.max(state.reserve(at));
            state.let_through(at);
        }
        let took = at.duration_since(open);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    #[test]
    fn one_thing_that_is_refused_for_ever_holds_up_no_other() {
        let gate = Gate::default();
        let through = gate.through();
        for _ in 0..5 {
            gate.refuse(&url("a"), Duration::ZERO);
            gate.let_through();
        }
        assert!(gate.state().spacing.is_zero() && !gate.goes_on(through));
        gate.refuse(&url("b"), Duration::ZERO);
        gate.refuse(&url("c"), Duration::ZERO);
        assert!(gate.goes_on(through) && !gate.goes_on(gate.through()));
    }
}
