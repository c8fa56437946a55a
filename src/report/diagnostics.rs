//! What is wrong with a command line or a list, for people at a terminal.

use std::fmt::Write as _;

use super::terminal::{Ink, Look};
use super::text::one_line;
use super::units::count;
use crate::config::Diagnostic;

/// `header`, then a line `file:line:column: message` for each fault, then how many there are.
///
/// The lines are neither wrapped nor coloured within the place, so that editors find their way.
#[must_use]
pub fn diagnostics(header: &str, list: &[Diagnostic], look: Look) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", look.paint(Ink::Bad, &one_line(header)));
    for diagnostic in list {
        let place = diagnostic.location.to_string();
        let _ = writeln!(
            text,
            "{}: {}",
            look.paint(Ink::Strong, &one_line(&place)),
            one_line(&diagnostic.message)
        );
    }
    let _ = writeln!(text, "{}", look.paint(Ink::Quiet, &count(list.len() as u64, "error", "errors")));
    text
}
