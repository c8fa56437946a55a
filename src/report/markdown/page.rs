//! A text that grows by rows and stays within a limit.

use crate::report::units::number;

/// Room that is kept for the notice of what was left out.
const NOTICE: usize = 700;

/// A text of at most so many bytes, cut between rows.
pub(crate) struct Page {
    text: String,
    limit: usize,
    /// What comes at the very end, whatever is left out.
    footer: String,
    left_out: Vec<String>,
    /// Where to find what is left out, as a sentence.
    elsewhere: &'static str,
}

/// A part of a page: something before its rows, the rows, something after them.
pub(crate) struct Part {
    /// What the notice calls its rows.
    pub(crate) name: &'static str,
    /// Before the first row.
    pub(crate) open: String,
    /// After the last row.
    pub(crate) close: &'static str,
}

impl Part {
    /// A part whose rows speak for themselves.
    pub(crate) const fn bare(name: &'static str) -> Self {
        Self { name, open: String::new(), close: "" }
    }

    /// A part below a heading.
    pub(crate) fn open(name: &'static str, heading: &str, head: &str) -> Self {
        Self { name, open: format!("### {heading}\n\n{head}"), close: "\n" }
    }

    /// A part that is folded below its title.
    pub(crate) fn folded(name: &'static str, title: &str, head: &str) -> Self {
        Self {
            name,
            open: format!("<details><summary>{title}</summary>\n\n{head}"),
            close: "\n</details>\n\n",
        }
    }
}

impl Page {
    pub(crate) fn new(head: String, footer: String, limit: usize, elsewhere: &'static str) -> Self {
        Self { text: head, limit, footer, left_out: Vec::new(), elsewhere }
    }

    /// Adds a part with a row for each of `list`, as many as fit. Once a part was cut, later ones are left out.
    pub(crate) fn part<T>(&mut self, part: &Part, list: &[T], row: impl Fn(&T) -> String) {
        if list.is_empty() {
            return;
        }
        let frame = part.open.len() + part.close.len();
        let room = self.limit.saturating_sub(self.text.len() + self.footer.len() + NOTICE + frame);
        let mut rows = String::new();
        let mut written = 0;
        if self.left_out.is_empty() {
            for entry in list {
                let text = row(entry);
                if rows.len() + text.len() > room {
                    break;
                }
                rows.push_str(&text);
                written += 1;
            }
        }
        if written > 0 {
            self.text.push_str(&part.open);
            self.text.push_str(&rows);
            self.text.push_str(part.close);
        }
        if written < list.len() {
            let missing = list.len() - written;
            let whole = number(list.len() as u64);
            self.left_out.push(match (written, list.len()) {
                (0, 2..) => format!("all {whole} {}", part.name),
                _ => format!("{} of {whole} {}", number(missing as u64), part.name),
            });
        }
    }

    pub(crate) fn finish(mut self) -> String {
        if !self.left_out.is_empty() {
            let notice = format!(
                "> [!IMPORTANT]\n> Cut to fit into {} bytes. Not shown: {}. {}\n\n",
                number(self.limit as u64),
                self.left_out.join(", "),
                self.elsewhere
            );
            self.text.push_str(&notice);
        }
        self.text.push_str(&self.footer);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_between_rows_and_says_so() {
        let part = Part { name: "rows", open: "open\n".to_owned(), close: "close\n" };
        let list: Vec<usize> = (0..1000).collect();
        let mut page = Page::new("head\n".to_owned(), "foot\n".to_owned(), 1000, "It is all there.");
        page.part(&part, &list, |number| format!("row {number}\n"));
        page.part(&part, &list[..3], |number| format!("row {number}\n"));
        let text = page.finish();
        assert!(text.len() <= 1000, "{}", text.len());
        assert!(text.starts_with("head\nopen\nrow 0\n"), "{text}");
        assert!(text.contains("\nrow 40\nclose\n> [!IMPORTANT]\n"), "{text}");
        assert!(text.contains("Not shown: 959 of 1,000 rows, all 3 rows. It is all there."), "{text}");
        assert!(text.ends_with("\nfoot\n"), "{text}");
    }
}
