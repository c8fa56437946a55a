//! Lists, and other files that people write, as texts.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::MAX_BYTES;
use super::diagnostic::{Diagnostics, Fault, Place, quoted};
use super::list::LIST;

/// A list's text with the name by which messages call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFile {
    /// The file's name, as somebody wrote it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl ListFile {
    /// Reads a list of at most 5 MiB.
    ///
    /// # Errors
    /// The file cannot be read, is too large, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        Ok(Self { name: path.display().to_string(), text: read_text(path, &LIST)? })
    }
}

impl ListFile {
    /// Reads lists, as far as that goes.
    pub(crate) fn read_all(paths: &[PathBuf]) -> (Vec<Self>, Vec<Fault>) {
        let mut lists = Vec::new();
        let mut faults = Vec::new();
        for path in paths {
            match Self::read(path) {
                Ok(list) => lists.push(list),
                Err(fault) => faults.push(fault),
            }
        }
        (lists, faults)
    }

    /// A list of at most 5 MiB that somebody else read.
    ///
    /// # Errors
    /// It is too large, or not UTF-8.
    pub fn of(name: &str, bytes: Vec<u8>) -> Result<Self, Fault> {
        Ok(Self { name: name.to_owned(), text: text_of(name, bytes, &LIST)? })
    }
}

/// What people write into a file, as messages call it.
#[derive(Debug)]
pub(crate) struct FileKind {
    /// `list`, to fit "the list" and "a list".
    pub(crate) word: &'static str,
    /// The option that names the file.
    pub(crate) option: &'static str,
    /// What to do about one that is too large.
    pub(crate) when_large: &'static str,
    /// What to do about several documents in one file.
    pub(crate) when_several: &'static str,
}

/// Reads a file of at most 5 MiB.
///
/// # Errors
/// The file cannot be read, is too large, or is not UTF-8.
pub(crate) fn read_text(path: &Path, kind: &FileKind) -> Result<String, Fault> {
    let name = path.display().to_string();
    let bytes = bounded(path).map_err(|error| {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no such file; name the {} with {}", kind.word, kind.option)
            }
            io::ErrorKind::IsADirectory => "this is a folder; name a file in it".to_owned(),
            _ => error.to_string(),
        };
        Fault::new(None, &format!("failed to read the {} {}: {cause}", kind.word, quoted(&name)))
    })?;
    text_of(&name, bytes, kind)
}

/// The text of a file's bytes, of which there may be 5 MiB.
fn text_of(name: &str, bytes: Vec<u8>, kind: &FileKind) -> Result<String, Fault> {
    if bytes.len() > MAX_BYTES {
        let message =
            format!("the {} has more than {MAX_BYTES} bytes (5 MiB); {}", kind.word, kind.when_large);
        let location = Diagnostics::new(name).location(Place::START);
        return Err(Fault::new(Some(location), &message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        not_utf8(name, error.as_bytes().get(..good).unwrap_or_default())
    })
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The fault of a file that ceases to be UTF-8 after `good`.
fn not_utf8(name: &str, good: &[u8]) -> Fault {
    let good = String::from_utf8_lossy(good);
    let line = good.matches('\n').count() + 1;
    let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let place = Place { line: number(line), column: number(column) };
    let location = Diagnostics::new(name).location(place);
    Fault::new(Some(location), "this is not UTF-8 text; save the file in UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &[u8]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.yaml");
        std::fs::write(&path, content).expect("a file");
        let answer = ListFile::read(&path).map_or_else(|fault| fault.to_string(), |file| file.text);
        answer.replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn a_list_is_bounded_utf8_text() {
        assert_eq!(check(b"images: []\n"), "images: []\n");
        assert_eq!(
            check(b"a: \xc3\xa9\nb: \xff"),
            "DIR/list.yaml:2:4: this is not UTF-8 text; save the file in UTF-8"
        );
        assert_eq!(
            check(&vec![b'#'; MAX_BYTES + 1]),
            "DIR/list.yaml:1:1: the list has more than 5242880 bytes (5 MiB); split it, and name each part with \
             --images-file"
        );
    }

    #[test]
    fn what_is_no_file_is_said() {
        let read = |path: &str| ListFile::read(Path::new(path)).expect_err("no list").to_string();
        assert_eq!(
            read("no/such.yaml"),
            "failed to read the list `no/such.yaml`: there is no such file; name the list with --images-file"
        );
        assert_eq!(read("src"), "failed to read the list `src`: this is a folder; name a file in it");
    }
}
