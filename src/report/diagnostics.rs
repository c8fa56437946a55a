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
        let place = one_line(&place);
        // A runner takes a line that begins with `::` for a command.
        let guard = if place.trim_start().starts_with("::") { "./" } else { "" };
        let place = look.paint(Ink::Strong, &format!("{guard}{}", place.trim_start()));
        let _ = writeln!(text, "{place}: {}", one_line(&diagnostic.message));
    }
    let _ = writeln!(text, "{}", look.paint(Ink::Quiet, &count(list.len() as u64, "error", "errors")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::location;

    #[test]
    fn faults_are_lines_that_editors_understand() {
        let fault =
            |line, message: &str| Diagnostic { location: location(line), message: message.to_owned() };
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
        let mut fault = Diagnostic { location: location(1), message: "m".to_owned() };
        fault.location.file = "::error::x".into();
        let text = diagnostics("h", &[fault], Look::default());
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    }
}
