//! Progress on a terminal: images that ended scroll by, a bar and the images at work stay below them.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::activity::{Activity, Phase};
use super::plain_terminal::PlainTerminal;
use super::{Display, Screen};
use crate::event::{Event, Meter};
use crate::report::text::{one_line, shorten_end, shorten_reference, width};
use crate::report::units::{bytes, number};
use crate::report::{Look, Status, finished};

/// How wide the bar is.
const BAR: usize = 24;

/// Progress on a terminal.
pub(super) struct Bars {
    activity: Activity,
    look: Look,
    all: MultiProgress,
    work: ProgressBar,
    bar: ProgressBar,
}

impl Bars {
    pub(super) fn new(screen: Screen, meter: Meter) -> Self {
        let target = if screen.terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::term_like(Box::new(PlainTerminal::new(
                std::io::stderr(),
                screen.look.columns,
            )))
        };
        Self::on(target, screen.look, meter)
    }

    fn on(target: ProgressDrawTarget, look: Look, meter: Meter) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let (bar_colour, plain) = if look.colour { ("\u{1b}[36m", "\u{1b}[0m") } else { ("", "") };
        let template = format!("{bar_colour}{{bar:{BAR}}}{plain} {{msg}}");
        let work = all.add(ProgressBar::new(0).with_style(style("{msg}")));
        let bar = all.add(ProgressBar::new(0).with_style(style(&template).progress_chars("━╸ ")));
        Self { activity: Activity::new(meter), look, all, work, bar }
    }

    fn draw(&self) {
        let (position, length, words) = match self.activity.phase() {
            Phase::Waiting => return,
            Phase::Inspecting { done, all } | Phase::Copying { done, all, bytes: 0 } => {
                (done as u64, all as u64, self.activity.words())
            }
            Phase::Copying { bytes: length, done, all } => {
                let position = self.activity.bytes_done().min(length);
                let rate = match self.activity.rate() {
                    0 => String::new(),
                    rate => format!(" · {}/s", bytes(rate)),
                };
                let words = format!(
                    "{} of {} · {} of {} images{rate}",
                    bytes(position),
                    bytes(length),
                    number(done as u64),
                    number(all as u64)
                );
                (position, length, words)
            }
        };
        self.bar.set_length(length);
        self.bar.set_position(position);
        let room = self.look.columns.saturating_sub(BAR + 2);
        self.bar.set_message(shorten_end(&words, room).into_owned());
        self.work.set_message(at_work(self.activity.targets(), self.look.columns.saturating_sub(1)));
        self.work.tick();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// As many targets as fit into a line, and how many more there are.
fn at_work<'a>(mut targets: impl ExactSizeIterator<Item = &'a str>, columns: usize) -> String {
    let mut line = String::new();
    while let Some(target) = targets.next() {
        let left = targets.len();
        let more = if left > 0 { format!(" and {left} more") } else { String::new() };
        let target = one_line(target);
        let name = target.rsplit_once('/').map_or(&*target, |(_, name)| name);
        let separator = if line.is_empty() { "" } else { ", " };
        if line.is_empty() {
            line = shorten_reference(name, columns.saturating_sub(more.len())).into_owned();
        } else if width(&line) + separator.len() + width(name) + more.len() <= columns {
            line.push_str(separator);
            line.push_str(name);
        } else {
            return format!("{line} and {} more", left + 1);
        }
    }
    line
}

impl Display for Bars {
    fn take(&mut self, event: Event, now: Duration) {
        self.activity.take(&event);
        match event {
            Event::ItemFinished { target, outcome, transfer, .. }
                if Status::of_outcome(&outcome) != Status::UpToDate =>
            {
                // A terminal that has gone is nobody to tell.
                let _ = self.all.println(finished(&target, &outcome, &transfer, self.look));
            }
            Event::CopyStarted { .. } => self.activity.sample(now),
            _ => {}
        }
    }

    fn tick(&mut self, now: Duration) {
        self.activity.sample(now);
        self.draw();
    }

    fn finish(&mut self) {
        self.work.finish_and_clear();
        self.bar.finish_and_clear();
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_at_work_fit_into_a_line() {
        let targets = ["r.example/mirror/nginx:1.25", "r.example/mirror/redis:7", "r.example/mirror/app:1"];
        for (columns, line) in
            [(80, "nginx:1.25, redis:7, app:1"), (25, "nginx:1.25 and 2 more"), (18, "ng….25 and 2 more")]
        {
            let text = at_work(targets.into_iter(), columns);
            assert!(width(&text) <= columns, "{text}");
            if columns > 20 {
                assert_eq!(text, line);
            }
        }
        assert_eq!(at_work([].into_iter(), 80), "");
    }
}
