//! A plan as data that nobody sees, in the comment that people review: written for the sync after the merge, which
//! reads it back and compares.
//!
//! It is one line, bounded, and has nothing that could end it early. What is read may come from anywhere: who wrote the
//! comment is for the reader to know.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::{Entry, Report};
use crate::oci::Digest;
use crate::plan::{Reviewed, ReviewedEntry};

/// What the line begins with, before the number of its version.
const MARK: &str = "<!-- image-syncer-plan ";

/// The version of the data.
const VERSION: &str = "1";

/// The most that is unpacked, more than any comment holds.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Why what stands in a comment is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReviewError(String);

/// A plan as it stands in a comment.
#[derive(Debug, Serialize, Deserialize)]
struct Data {
    commit: String,
    digest: String,
    policy: Option<String>,
    signatures: String,
    /// The entries of the change; nothing where they have no room.
    entries: Option<Vec<Row>>,
}

/// Target, source, digest and platforms.
type Row = (String, String, Option<String>, Vec<String>);

impl Report {
    /// The plan as a line of at most `limit` bytes, without a line feed: the entries of this change, if there is room for
    /// all of them. `commit` is whose lists were read.
    pub(super) fn review_line(&self, commit: &str, limit: usize) -> String {
        let entry = |entry: Entry<'_>| {
            let item = entry.item;
            (
                item.target.to_string(),
                item.source.to_string(),
                item.digest.as_ref().map(ToString::to_string),
                item.chosen.iter().map(ToString::to_string).collect(),
            )
        };
        let mut data = Data {
            commit: commit.to_owned(),
            digest: self.plan.digest.to_string(),
            policy: self.plan.policy.as_ref().map(ToString::to_string),
            signatures: self.plan.signatures.word().to_owned(),
            entries: Some(self.entries().filter(Entry::is_of_this_change).map(entry).collect()),
        };
        let line = line(&data);
        if line.len() <= limit {
            return line;
        }
        data.entries = None;
        self::line(&data)
    }
}

fn line(data: &Data) -> String {
    // Texts and lists, written to memory: nothing of it can fail.
    let text = serde_json::to_vec(data).unwrap_or_default();
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    let packed = packed.write_all(&text).and_then(|()| packed.finish()).unwrap_or_default();
    format!("{MARK}{VERSION} {} -->", BASE64.encode(packed))
}

/// The plan in a comment, called `name`, with the commit whose lists were read; `None` if there is none in it.
///
/// # Errors
/// What stands there is no plan, or one of another version.
pub fn reviewed(comment: &str, name: &str) -> Result<Option<(Reviewed, String)>, ReviewError> {
    let mut lines = comment.lines().rev().map(str::trim_end);
    let Some(data) = lines.find_map(|line| line.strip_prefix(MARK)) else { return Ok(None) };
    let no_plan =
        |why: &dyn std::fmt::Display| ReviewError(format!("the plan in its comment cannot be read: {why}"));
    let (version, data) = data.split_once(' ').unwrap_or((data, ""));
    if version != VERSION {
        return Err(no_plan(&"another version of image-syncer wrote it"));
    }
    let packed = BASE64.decode(data.trim_end_matches("-->").trim()).map_err(|error| no_plan(&error))?;
    let mut text = Vec::new();
    DeflateDecoder::new(&*packed).take(LARGEST).read_to_end(&mut text).map_err(|error| no_plan(&error))?;
    let data: Data = serde_json::from_slice(&text).map_err(|error| no_plan(&error))?;
    let digest = |text: &str| text.parse::<Digest>().map_err(|error| no_plan(&error));
    let mut entries = None;
    if let Some(all) = data.entries {
        let mut read = HashMap::new();
        for (target, source, content, platforms) in all {
            let content = content.as_deref().map(digest).transpose()?;
            read.insert(target, ReviewedEntry { source, digest: content, platforms });
        }
        entries = Some(read);
    }
    let reviewed = Reviewed {
        name: name.to_owned(),
        digest: digest(&data.digest)?,
        policy: data.policy.as_deref().map(digest).transpose()?,
        signatures: data.signatures,
        entries,
    };
    Ok(Some((reviewed, data.commit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{plan_report, rich_change};

    const COMMIT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

    #[test]
    fn what_was_written_is_read_back_from_a_comment() {
        let report = rich_change();
        let comment = report.comment(59_800, COMMIT);
        // GitHub keeps lines as browsers send them.
        for text in [comment.clone(), comment.replace('\n', "\r\n")] {
            let (read, commit) = reviewed(&text, "#7").expect("a plan").expect("a plan");
            assert_eq!(
                (read.digest, read.policy, commit.as_str()),
                (report.plan.digest.clone(), None, COMMIT)
            );
            let entries = read.entries.expect("entries");
            let of_this_change: Vec<_> = report.entries().filter(Entry::is_of_this_change).collect();
            assert_eq!(entries.len(), of_this_change.len());
            for entry in of_this_change {
                let read = &entries[&entry.item.target.to_string()];
                assert_eq!(
                    (&read.source, &read.digest),
                    (&entry.item.source.to_string(), &entry.item.digest)
                );
            }
        }
        assert_eq!(comment.matches("<!-- image-syncer-plan 1 ").count(), 1);
    }

    #[test]
    fn without_room_there_is_the_digest_alone() {
        let report = plan_report(vec![crate::plan::Decision::Copy; 2000]);
        let comment = report.comment(59_800, COMMIT);
        assert!(comment.len() <= 59_800, "{}", comment.len());
        let (read, _) = reviewed(&comment, "#7").expect("a plan").expect("a plan");
        assert_eq!((read.entries, read.digest), (None, report.plan.digest));
        let some = plan_report(vec![crate::plan::Decision::Copy; 200]).comment(59_800, COMMIT);
        assert!(some.len() <= 59_800, "{}", some.len());
        let (read, _) = reviewed(&some, "#7").expect("a plan").expect("a plan");
        assert_eq!(read.entries.expect("entries").len(), 200);
    }

    #[test]
    fn what_is_no_plan_is_said_to_be_none() {
        assert_eq!(reviewed("## Nothing to sync\n<!-- content x -->", "#7"), Ok(None));
        assert_eq!(reviewed("> <!-- image-syncer-plan 1 x -->", "#7"), Ok(None), "a quotation");
        let good = rich_change().review_line(COMMIT, usize::MAX);
        let bomb = {
            let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
            packed.write_all(&vec![b' '; 64 * 1024 * 1024]).expect("packed");
            format!("{MARK}1 {} -->", BASE64.encode(packed.finish().expect("packed")))
        };
        for text in [
            good.replace("-plan 1 ", "-plan 2 "),
            good.replace("-plan 1 ", "-plan 1 !"),
            format!("{} -->", &good[..good.len() / 2]),
            format!("{MARK}1 -->"),
            bomb,
        ] {
            let error = reviewed(&text, "#7").expect_err(&text[..40.min(text.len())]).to_string();
            assert!(error.starts_with("the plan in its comment cannot be read: "), "{error}");
        }
    }
}
