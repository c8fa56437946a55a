//! The files that the runner reads after a step (GitHub Docs, "Workflow commands", "Environment files"): its outputs
//! and its summary.
//!
//! Both are appended to: an earlier process of the same step may have written to them. A value is fenced with a
//! delimiter that nobody can have known, so that no value can make an output of its own.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// A summary of one byte more is dropped by the runner, as a whole.
pub const LARGEST_SUMMARY: u64 = 1024 * 1024;

/// All outputs of a job may have so many bytes, counted in UTF-16.
pub const LARGEST_OUTPUTS: usize = 1024 * 1024;

/// The longest name of an output.
const LONGEST_NAME: usize = 100;

/// A file of the runner's that cannot be written, or content that it cannot take.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The name of an output is none.
    #[error("`{0}` cannot be the name of an output: letters, digits, `-` and `_`, and no digit or `-` first")]
    Name(String),
    /// An output is there twice.
    #[error("the output `{0}` is set twice")]
    Twice(String),
    /// The outputs are too large for a job.
    #[error("the outputs have {size} bytes in UTF-16, and GitHub takes {LARGEST_OUTPUTS}")]
    OutputsTooLarge {
        /// Their size.
        size: usize,
    },
    /// A value has the delimiter in it: somebody guessed it, or it was used before.
    #[error("the output `{0}` has the delimiter in its value")]
    Delimiter(String),
    /// The summary would become so large that the runner drops it.
    #[error("the summary has {size} bytes and there is room for {room}: GitHub would drop it as a whole")]
    SummaryTooLarge {
        /// The size of what is to be appended.
        size: u64,
        /// The size that could be.
        room: u64,
    },
    /// The operating system has no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    /// The file cannot be read or written.
    #[error("the file of GitHub's runner cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// What stands before and after each value of the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiter(String);

impl Delimiter {
    /// A delimiter made from bytes that nobody else knows.
    #[must_use]
    pub fn new(secret: [u8; 16]) -> Self {
        Self(format!("image-syncer-{}", hex::encode(secret)))
    }

    /// A delimiter of the operating system's random bytes.
    pub fn random() -> Result<Self, FileError> {
        let mut secret = [0; 16];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| FileError::NoRandomness)?;
        Ok(Self::new(secret))
    }
}

/// The outputs of a step, in the order in which they were set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs(Vec<(String, String)>);

impl Outputs {
    /// Sets an output, once.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<(), FileError> {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !starts || name.len() > LONGEST_NAME || !name.bytes().all(is_name) {
            return Err(FileError::Name(super::names::quotable(name)));
        }
        // The runner compares names without regard to case.
        if self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(FileError::Twice(name.to_owned()));
        }
        self.0.push((name.to_owned(), value.into()));
        Ok(())
    }

    /// The lines for the runner.
    pub fn render(&self, delimiter: &Delimiter) -> Result<String, FileError> {
        let units = |text: &str| text.encode_utf16().count() * 2;
        let size = self.0.iter().map(|(name, value)| units(name) + units(value)).sum();
        if size > LARGEST_OUTPUTS {
            return Err(FileError::OutputsTooLarge { size });
        }
        let Delimiter(delimiter) = delimiter;
        let mut lines = String::new();
        for (name, value) in &self.0 {
            if value.contains(delimiter) {
                return Err(FileError::Delimiter(name.clone()));
            }
            // Writing to a string does not fail.
            let _ = write!(lines, "{name}<<{delimiter}\n{value}\n{delimiter}\n");
        }
        Ok(lines)
    }

    /// Appends the outputs to the file of `GITHUB_OUTPUT`.
    pub fn append_to(&self, path: &Path, delimiter: &Delimiter) -> Result<(), FileError> {
        let lines = self.render(delimiter)?;
        let (mut file, _, whole) = open(path)?;
        Ok(file.write_all(after(whole, &lines).as_bytes())?)
    }
}

/// How many bytes still fit into the file of `GITHUB_STEP_SUMMARY`.
pub fn summary_room(path: &Path) -> Result<u64, FileError> {
    match std::fs::metadata(path) {
        // One is kept for the line feed that what is there may lack.
        Ok(metadata) => Ok(LARGEST_SUMMARY.saturating_sub(metadata.len()).saturating_sub(1)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LARGEST_SUMMARY - 1),
        Err(error) => Err(error.into()),
    }
}

/// Appends Markdown to the file of `GITHUB_STEP_SUMMARY`, or nothing at all if it does not fit.
pub fn append_summary(path: &Path, markdown: &str) -> Result<(), FileError> {
    let (mut file, length, whole) = open(path)?;
    let room = LARGEST_SUMMARY.saturating_sub(length).saturating_sub(1);
    let size = markdown.len() as u64;
    if size > room {
        return Err(FileError::SummaryTooLarge { size, room });
    }
    Ok(file.write_all(after(whole, markdown).as_bytes())?)
}

/// A file to append to, its length, and whether its last line is whole.
fn open(path: &Path) -> io::Result<(File, u64, bool)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok((file, length, last == [b'\n']))
}

fn after(whole: bool, text: &str) -> String {
    if whole { text.to_owned() } else { format!("\n{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn outputs_are_fenced() {
        let mut outputs = Outputs::default();
        outputs.set("result", "noop").expect("an output");
        outputs.set("up-to-date", "").expect("an output");
        outputs.set("images", "[\n1\n]\n").expect("an output");
        let fence = "image-syncer-07070707070707070707070707070707";
        assert_eq!(
            outputs.render(&Delimiter::new([7; 16])).expect("lines"),
            format!(
                "result<<{fence}\nnoop\n{fence}\nup-to-date<<{fence}\n\n{fence}\nimages<<{fence}\n[\n1\n]\n\n{fence}\n"
            )
        );
        assert_ne!(Delimiter::random().expect("a delimiter"), Delimiter::random().expect("a delimiter"));
    }

    #[test]
    fn delimiters_are_never_the_same() {
        let delimiter = || Delimiter::random().expect("random bytes");
        assert_ne!(delimiter(), delimiter());
    }

    #[test]
    fn a_value_with_the_delimiter_is_refused() {
        let delimiter = Delimiter::new([1; 16]);
        let mut outputs = Outputs::default();
        outputs.set("images", format!("x\n{}\nresult=synced", delimiter.0)).expect("an output");
        assert!(matches!(outputs.render(&delimiter), Err(FileError::Delimiter(name)) if name == "images"));
        outputs.render(&Delimiter::new([2; 16])).expect("another one does");
    }

    #[test]
    fn names_are_checked() {
        let mut outputs = Outputs::default();
        let long = "a".repeat(101);
        for name in ["", "a b", "a=b", "a<<b", "a\nb", "1a", "-a", "é", &long] {
            assert!(matches!(outputs.set(name, ""), Err(FileError::Name(_))), "{name}");
        }
        outputs.set("Report-File", "").expect("an output");
        assert!(matches!(outputs.set("report-file", ""), Err(FileError::Twice(_))));
    }

    #[test]
    fn outputs_that_no_job_can_have_are_refused() {
        let mut outputs = Outputs::default();
        outputs.set("a", "𝄞".repeat(LARGEST_OUTPUTS / 4)).expect("an output");
        let refused = outputs.render(&Delimiter::new([1; 16]));
        assert!(matches!(refused, Err(FileError::OutputsTooLarge { size }) if size == LARGEST_OUTPUTS + 2));
    }

    #[test]
    fn outputs_are_appended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("output");
        fs::write(&path, "other=1").expect("written");
        let mut outputs = Outputs::default();
        outputs.set("a", "b").expect("an output");
        let delimiter = Delimiter::new([1; 16]);
        outputs.append_to(&path, &delimiter).expect("appended");
        let text = fs::read_to_string(&path).expect("a text");
        assert_eq!(text, format!("other=1\n{}", outputs.render(&delimiter).expect("lines")));
    }

    #[test]
    fn a_summary_counts_what_the_file_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("summary");
        assert_eq!(summary_room(&path).expect("room"), LARGEST_SUMMARY - 1);
        append_summary(&path, "# One").expect("appended");
        append_summary(&path, "# Two\n").expect("appended");
        append_summary(&path, "# Three\n").expect("appended");
        assert_eq!(fs::read_to_string(&path).expect("a text"), "# One\n# Two\n# Three\n");
        let room = summary_room(&path).expect("room");
        let most = "x".repeat(usize::try_from(room).expect("a size"));
        let refused = append_summary(&path, &format!("{most}x"));
        assert!(matches!(refused, Err(FileError::SummaryTooLarge { size, room: told }) if size == told + 1));
        assert_eq!(fs::read_to_string(&path).expect("a text").len(), 20, "nothing was written");
        append_summary(&path, &most).expect("what fits is appended");
        assert!(fs::metadata(&path).expect("a file").len() < LARGEST_SUMMARY);
        assert_eq!(summary_room(&path).expect("room"), 0);
    }
}
