//! Progress as lines, for logs: one for each image that ends, and one now and then.

use std::io::Write;
use std::time::Duration;

use super::activity::Activity;
use super::{Display, Screen};
use crate::event::{Event, Meter};
use crate::report::{Look, Status, finished};

/// Progress as lines.
pub(super) struct Lines<W> {
    out: W,
    look: Look,
    tame: Option<fn(&str) -> String>,
    activity: Activity,
    last_words: String,
}

impl<W: Write> Lines<W> {
    pub(super) const fn new(out: W, screen: Screen, meter: Meter) -> Self {
        // Logs have no width.
        let look = Look { columns: usize::MAX, ..screen.look };
        Self { out, look, tame: screen.tame, activity: Activity::new(meter), last_words: String::new() }
    }

    fn line(&mut self, line: &str) {
        // A log that nobody reads stops no run.
        let _ = match self.tame {
            Some(tame) => writeln!(self.out, "{}", tame(line)),
            None => writeln!(self.out, "{line}"),
        };
    }
}

impl<W: Write> Display for Lines<W> {
    fn take(&mut self, event: Event, now: Duration) {
        self.activity.take(&event);
        match event {
            Event::ItemFinished { target, outcome, transfer, .. }
                if Status::of_outcome(&outcome) != Status::UpToDate =>
            {
                let line = finished(&target, &outcome, &transfer, self.look);
                self.line(&line);
            }
            Event::CopyStarted { .. } => self.activity.sample(now),
            _ => {}
        }
    }

    fn tick(&mut self, now: Duration) {
        self.activity.sample(now);
        let words = self.activity.words();
        if !words.is_empty() && words != self.last_words {
            self.line(&format!("· {words}"));
            self.last_words = words;
        }
    }

    fn finish(&mut self) {
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;
    use crate::plan::{Cause, CauseKind, Outcome, Side, Transfer};

    #[test]
    fn a_run_in_lines() {
        let (events, _receiver) = Events::channel();
        let screen = Screen { terminal: false, shared: false, look: Look::default(), tame: None };
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, screen, events.meter());
        let started =
            |item, target: &str| Event::ItemStarted { item, target: target.to_owned(), bytes: 1 << 20 };
        let finished = |item, target: &str, outcome, transfer| Event::ItemFinished {
            item,
            target: target.to_owned(),
            outcome,
            transfer,
        };
        let seconds = Duration::from_secs;
        lines.take(Event::InspectionStarted { entries: 4 }, seconds(0));
        lines.take(Event::Inspected { entry: 2 }, seconds(1));
        lines.tick(seconds(10));
        lines.take(Event::CopyStarted { items: 3, bytes: 3 << 20 }, seconds(12));
        for (item, target) in [(0, "r.example/a:1"), (1, "r.example/b:1"), (3, "r.example/c:1")] {
            lines.take(started(item, target), seconds(12));
        }
        events.moved(5 << 20);
        let transfer =
            Transfer { bytes_copied: 5 << 20, blobs_copied: 1, bytes_mounted: 1024, ..Transfer::default() };
        lines.take(finished(0, "r.example/a:1", Outcome::Copied, transfer), seconds(14));
        lines.tick(seconds(20));
        lines.tick(seconds(30));
        let cause = Cause {
            side: Side::Target,
            operation: "push blob".into(),
            reference: "r.example/b@sha256:00".to_owned(),
            kind: CauseKind::Failure,
            message: "500\n::error::x".to_owned(),
        };
        lines.take(finished(1, "r.example/b:1", Outcome::Failed(cause), Transfer::default()), seconds(31));
        lines.take(finished(3, "r.example/c:1", Outcome::UpToDate, Transfer::default()), seconds(32));
        lines.finish();
        insta::assert_snapshot!(String::from_utf8(out).expect("text"), @r"
        · looking at images: 1 of 4
        ✓ copied        5.0 MiB  r.example/a:1
        · 1 of 3 images · 5.0 MiB moved · 640.0 KiB/s
        · 1 of 3 images · 5.0 MiB moved
        ✗ failed                 r.example/b:1: target: failed to push blob r.example/b@sha256:00: 500 ::error::x
        ");
    }
}
