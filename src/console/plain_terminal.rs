//! A terminal that is written to without asking what it is: for bars that are wanted anyway, and tests.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

/// A terminal of a known width behind any writer.
pub(super) struct PlainTerminal<W> {
    out: Mutex<W>,
    columns: u16,
}

impl<W: Write> PlainTerminal<W> {
    pub(super) fn new(out: W, columns: usize) -> Self {
        Self { out: Mutex::new(out), columns: u16::try_from(columns).unwrap_or(u16::MAX) }
    }

    fn write(&self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).write_fmt(text)
    }

    /// Moves the cursor by `count`; terminals take a count of 0 for 1.
    fn cursor(&self, count: usize, direction: char) -> io::Result<()> {
        if count == 0 { Ok(()) } else { self.write(format_args!("\u{1b}[{count}{direction}")) }
    }
}

impl<W> fmt::Debug for PlainTerminal<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainTerminal").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl<W: Write + Send> TermLike for PlainTerminal<W> {
    fn width(&self) -> u16 {
        self.columns
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.write(format_args!("{s}\r\n"))
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.write(format_args!("{s}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write(format_args!("\r\u{1b}[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
