//! What is wrong with a command line or a list, for people at a terminal.

use std::fmt::Write as _;

use super::terminal::{Ink, Look};
use super::text::one_line;
use super::units::count;
use crate::config::Fault;

/// More lines than this bury whoever reads them.
const MOST_LINES: usize = 200;

/// `header`, then a line `file:line:column: message` for each fault, then how many there are.
///
/// The lines are neither wrapped nor coloured within the place, so that editors find their way.
#[must_use]
pub fn diagnostics(header: &str, faults: &[Fault], look: Look) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", look.paint(Ink::Bad, &one_line(header)));
    for fault in faults.iter().take(MOST_LINES) {
        let message = one_line(&fault.message);
        let Some(location) = &fault.location else {
            let _ = writeln!(text, "{message}");
            continue;
        };
        let place = location.to_string();
        let place = one_line(&place);
        // A runner takes a line that begins with `::` for a command.
        let guard = if place.trim_start().starts_with("::") { "./" } else { "" };
        let place = look.paint(Ink::Strong, &format!("{guard}{}", place.trim_start()));
        let _ = writeln!(text, "{place}: {message}");
    }
    if faults.len() > MOST_LINES {
        let _ = writeln!(text, "… and {} more", faults.len() - MOST_LINES);
    }
    let _ = writeln!(text, "{}", look.paint(Ink::Quiet, &count(faults.len() as u64, "error", "errors")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::location;

    #[test]
    fn faults_are_lines_that_editors_understand() {
        let fault =
            |line, message: &str| Fault { location: Some(location(line)), message: message.to_owned() };
        let list = [
            fault(3, "`tage` is not a key of an image; did you mean `tag`?"),
            fault(9, "\u{1b}[2J\n::error::x"),
        ];
        let text = diagnostics("external-images.yaml cannot be used", &list, Look::default());
        insta::assert_snapshot!(text, @r"
        external-images.yaml cannot be used
        external-images.yaml:3:13: `tage` is not a key of an image; did you mean `tag`?
        external-images.yaml:9:13: �[2J ::error::x
        2 errors
        ");
    }

    /// A file's name is the only text from outside that begins a line.
    #[test]
    fn a_files_name_is_no_workflow_command() {
        let mut place = location(1);
        place.file = "::error::x".into();
        let fault = Fault { location: Some(place), message: "m".to_owned() };
        let text = diagnostics("h", &[fault], Look::default());
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    }
}
