//! The terminal: the only part that prints.
//!
//! Reports go to standard output; progress and errors go to standard error. Both may be closed at any
//! time, which stops nothing and is no error. What the surroundings are (a terminal, its width, whether
//! colours are welcome) is passed in.

mod activity;
mod bars;
mod lines;
mod plain_terminal;

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::event::{Event, Meter};
use crate::report::Look;
use bars::Bars;
use lines::Lines;

/// Whether progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Progress {
    /// Bars on a terminal, a line now and then elsewhere.
    #[default]
    Auto,
    /// Bars, wherever standard error goes.
    Always,
    /// Nothing.
    Never,
}

/// What is known of standard error.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Whether it is a terminal that can move its cursor.
    pub terminal: bool,
    /// Whether something else writes there too, such as debug logs; bars would be torn by it.
    pub shared: bool,
    /// How wide it is, and whether it shows colours.
    pub look: Look,
    /// Makes lines harmless for whoever obeys some, as GitHub's runner does.
    pub tame: Option<fn(&str) -> String>,
}

/// How progress looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Silent,
}

impl Progress {
    const fn style(self, screen: Screen) -> Style {
        match self {
            Self::Never => Style::Silent,
            Self::Always => Style::Bars,
            Self::Auto if screen.terminal && !screen.shared => Style::Bars,
            Self::Auto => Style::Lines,
        }
    }
}

/// How often bars are drawn anew.
const BARS_PERIOD: Duration = Duration::from_millis(100);

/// How often a line says how far the run is.
const LINES_PERIOD: Duration = Duration::from_secs(10);

/// Shows progress on standard error until all senders of events are gone.
pub async fn show_progress(
    progress: Progress,
    screen: Screen,
    events: UnboundedReceiver<Event>,
    meter: Meter,
) {
    match progress.style(screen) {
        Style::Silent => drop(events),
        Style::Bars => follow(&mut Bars::new(screen, meter), BARS_PERIOD, events).await,
        Style::Lines => {
            follow(&mut Lines::new(io::stderr(), screen, meter), LINES_PERIOD, events).await;
        }
    }
}

/// Something that shows what happens. Times count from its beginning.
trait Display {
    /// Shows what happened.
    fn take(&mut self, event: Event, now: Duration);
    /// Shows that time goes by.
    fn tick(&mut self, now: Duration);
    /// Clears what is not to stay.
    fn finish(&mut self);
}

async fn follow(display: &mut impl Display, period: Duration, mut events: UnboundedReceiver<Event>) {
    let start = Instant::now();
    let mut ticks = interval_at(start + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => display.take(event, start.elapsed()),
                None => break,
            },
            _ = ticks.tick() => display.tick(start.elapsed()),
        }
    }
    display.finish();
}

/// Writes `text` to standard output. That nobody reads it any more is no error.
///
/// # Errors
///
/// Fails if standard output cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    write_all(&mut io::stdout().lock(), text)
}

/// Writes `text` to standard error. If that fails there is nobody to tell.
pub fn print_error(text: &str) {
    let _ = write_all(&mut io::stderr().lock(), text);
}

fn write_all(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        assert!(write_all(&mut Failing(io::ErrorKind::BrokenPipe), "x").is_ok());
        assert!(write_all(&mut Failing(io::ErrorKind::StorageFull), "x").is_err());
    }

    #[test]
    fn bars_are_for_terminals() {
        let screen = |terminal, shared| Screen { terminal, shared, look: Look::default(), tame: None };
        assert_eq!(Progress::Auto.style(screen(true, false)), Style::Bars);
        assert_eq!(Progress::Auto.style(screen(true, true)), Style::Lines);
        assert_eq!(Progress::Auto.style(screen(false, false)), Style::Lines);
        assert_eq!(Progress::Always.style(screen(false, false)), Style::Bars);
        assert_eq!(Progress::Never.style(screen(true, false)), Style::Silent);
    }

    #[tokio::test]
    async fn progress_ends_with_the_last_sender() {
        let (events, receiver) = crate::event::Events::channel();
        let meter = events.meter();
        events.tell(Event::InspectionStarted { entries: 1 });
        drop(events);
        let screen = Screen { terminal: false, shared: false, look: Look::default(), tame: None };
        show_progress(Progress::Never, screen, receiver, meter).await;
    }
}
