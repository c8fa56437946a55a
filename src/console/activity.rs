//! What is going on, from events: how far the run is, how fast, and on what.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::event::{Event, Meter};
use crate::report::units::{bytes, number};

/// The rate is that of so much time.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// What is going on.
#[derive(Debug)]
pub(super) struct Activity {
    meter: Meter,
    phase: Phase,
    /// Items at work, in the plan's order: target and bytes.
    active: BTreeMap<usize, (String, u64)>,
    finished_bytes: u64,
    samples: VecDeque<(Duration, u64)>,
}

/// What the run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing yet.
    Waiting,
    /// Registries are being asked.
    Inspecting {
        /// How many entries were looked at.
        done: usize,
        /// How many there are.
        all: usize,
    },
    /// Images are being copied.
    Copying {
        /// How many items have ended.
        done: usize,
        /// How many there are.
        all: usize,
        /// Bytes of all of them.
        bytes: u64,
    },
}

impl Activity {
    pub(super) const fn new(meter: Meter) -> Self {
        Self {
            meter,
            phase: Phase::Waiting,
            active: BTreeMap::new(),
            finished_bytes: 0,
            samples: VecDeque::new(),
        }
    }

    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::InspectionStarted { entries } => self.phase = Phase::Inspecting { done: 0, all: *entries },
            Event::Inspected { .. } => {
                if let Phase::Inspecting { done, .. } = &mut self.phase {
                    *done += 1;
                }
            }
            Event::CopyStarted { items, bytes } => {
                self.phase = Phase::Copying { done: 0, all: *items, bytes: *bytes };
            }
            Event::ItemStarted { item, target, bytes } => {
                self.active.insert(*item, (target.clone(), *bytes));
            }
            Event::ItemFinished { item, .. } => {
                let Some((_, bytes)) = self.active.remove(item) else { return };
                self.finished_bytes = self.finished_bytes.saturating_add(bytes);
                if let Phase::Copying { done, .. } = &mut self.phase {
                    *done += 1;
                }
            }
        }
    }

    /// Takes a sample for the rate.
    pub(super) fn sample(&mut self, now: Duration) {
        self.samples.push_back((now, self.meter.moved()));
        while self.samples.get(1).is_some_and(|(time, _)| now.saturating_sub(*time) >= RATE_WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second, over the last samples.
    pub(super) fn rate(&self) -> u64 {
        let (Some((start, before)), Some((end, after))) = (self.samples.front(), self.samples.back()) else {
            return 0;
        };
        let millis = end.saturating_sub(*start).as_millis();
        let moved = u128::from(after.saturating_sub(*before));
        (moved * 1000).checked_div(millis).and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0)
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Bytes that are dealt with, moved or not. What ended counts in full, also where nobody counted what
    /// was spared.
    pub(super) fn bytes_done(&self) -> u64 {
        self.meter.moved().saturating_add(self.meter.spared()).max(self.finished_bytes)
    }

    /// The targets at work, in the plan's order.
    pub(super) fn targets(&self) -> impl ExactSizeIterator<Item = &str> {
        self.active.values().map(|(target, _)| target.as_str())
    }

    /// How far the run is, in words; empty before it has begun.
    pub(super) fn words(&self) -> String {
        match self.phase {
            Phase::Waiting => String::new(),
            Phase::Inspecting { done, all } => {
                format!("looking at images: {} of {}", number(done as u64), number(all as u64))
            }
            Phase::Copying { done, all, .. } => {
                let moved = self.meter.moved();
                let rate = match self.rate() {
                    0 => String::new(),
                    rate => format!(" · {}/s", bytes(rate)),
                };
                format!(
                    "{} of {} images · {} moved{rate}",
                    number(done as u64),
                    number(all as u64),
                    bytes(moved)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;
    use crate::plan::{Outcome, Transfer};

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let events = Events::ignored();
        let mut activity = Activity::new(events.meter());
        assert_eq!(activity.rate(), 0);
        for second in 0..20 {
            activity.sample(Duration::from_secs(second));
            events.moved(if second < 10 { 1000 } else { 50 });
        }
        assert_eq!(activity.rate(), 50);
    }

    #[test]
    fn what_ended_counts_in_full() {
        let events = Events::ignored();
        let mut activity = Activity::new(events.meter());
        activity.take(&Event::CopyStarted { items: 2, bytes: 300 });
        activity.take(&Event::ItemStarted { item: 7, target: "a".to_owned(), bytes: 100 });
        activity.take(&Event::ItemStarted { item: 3, target: "b".to_owned(), bytes: 200 });
        assert_eq!(activity.targets().collect::<Vec<_>>(), ["b", "a"]);
        events.moved(20);
        events.spared(30);
        assert_eq!(activity.bytes_done(), 50);
        activity.take(&Event::ItemFinished {
            item: 7,
            target: "a".to_owned(),
            outcome: Outcome::Copied,
            transfer: Transfer::default(),
        });
        assert_eq!(activity.bytes_done(), 100);
        assert_eq!(activity.phase(), Phase::Copying { done: 1, all: 2, bytes: 300 });
        assert_eq!(activity.targets().collect::<Vec<_>>(), ["b"]);
    }
}
