//! Digests in the sources of lists: which there are, and a list's text with other ones.
//!
//! Only bytes of `source` values are edited: what stands between the end of the name or tag and the end of the
//! value. Quotes, comments, order and anchors stay as they are, byte for byte. What comes out is read again and
//! has to be the same list but for the digests; what cannot be edited so is a fault, never a guess.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::ListFile;
use super::combine;
use super::diagnostic::{Diagnostics, Fault, Faults, Location, Place, quoted};
use super::entry::Wanted;
use super::list::LIST;
use super::yaml::{self, Node, Value};
use crate::oci::{Digest, Reference};

/// A `source` of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSource {
    /// Where it stands; where it is an alias, that is the alias's place.
    pub location: Location,
    /// As it is written.
    pub written: String,
    /// What it stands for, with `latest` where neither tag nor digest is written.
    pub reference: Reference,
}

impl ListedSource {
    /// The source as it is written with this digest: `NAME[:TAG]@DIGEST`, with `:latest` where it has neither tag nor
    /// digest.
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> String {
        written_with(&self.written, &self.reference, digest)
    }
}

/// The sources of some lists, list by list, each in its order, also those that are there twice.
///
/// # Errors
/// All that is wrong with the lists, but for where their images go.
pub fn listed_sources(lists: &[ListFile]) -> Result<Vec<Vec<ListedSource>>, Faults> {
    let listed = |(location, wanted): (Location, Wanted)| ListedSource {
        location,
        written: wanted.written,
        reference: wanted.source,
    };
    Ok(combine::entries(lists)?.into_iter().map(|list| list.into_iter().map(listed).collect()).collect())
}

/// The texts of some lists with other digests: for each list, and each of its [`listed_sources`], the digest that it
/// is to have; `None` leaves it alone.
///
/// # Errors
/// The lists are not in order; or they would not be the same but for the digests, and why.
pub fn with_digests(lists: &[ListFile], digests: &[Vec<Option<Digest>>]) -> Result<Vec<String>, Faults> {
    let before = combine::entries(lists)?;
    let mut faults = Vec::new();
    let mut after = Vec::new();
    for ((file, entries), digests) in lists.iter().zip(&before).zip(digests) {
        match edited(file, entries, digests) {
            Ok(text) => after.push(ListFile { name: file.name.clone(), text }),
            Err(mut more) => faults.append(&mut more),
        }
    }
    if !faults.is_empty() {
        return Err(Faults::new(faults));
    }
    let read_again = combine::entries(&after)?;
    for ((before, after), digests) in before.iter().zip(&read_again).zip(digests) {
        faults.extend(differences(before, after, digests));
    }
    if faults.is_empty() {
        Ok(after.into_iter().map(|file| file.text).collect())
    } else {
        Err(Faults::new(faults))
    }
}

fn written_with(written: &str, reference: &Reference, digest: &Digest) -> String {
    let floats = reference.digest.is_none() && !has_tag(written);
    format!("{}{}@{digest}", without_digest(written), if floats { ":latest" } else { "" })
}

/// Whether a source without digest has a tag, and not only a port.
fn has_tag(written: &str) -> bool {
    written.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

fn without_digest(written: &str) -> &str {
    written.split('@').next().unwrap_or_default()
}

/// The text of one list with other digests.
fn edited(
    file: &ListFile,
    entries: &[(Location, Wanted)],
    digests: &[Option<Digest>],
) -> Result<String, Vec<Fault>> {
    let mut diagnostics = Diagnostics::new(&file.name);
    let edits = edits(&file.text, entries, digests, &mut diagnostics);
    if !edits.is_empty() {
        check_other_uses(&file.text, entries, &edits, &mut diagnostics);
    }
    if !diagnostics.faults.is_empty() {
        return Err(diagnostics.faults);
    }
    let mut text = String::with_capacity(file.text.len() + 80 * edits.len());
    let mut done = 0;
    for edit in edits.into_values() {
        text.push_str(&file.text[done..edit.bytes.start]);
        text.push_str(&edit.text);
        done = edit.bytes.end;
    }
    text.push_str(&file.text[done..]);
    Ok(text)
}

/// New text for some bytes of a list.
struct Edit {
    /// The line of the source that asks for it.
    line: u32,
    bytes: Range<usize>,
    text: String,
}

/// The edits by the byte at which their scalar begins: a scalar that aliases stand for is edited once.
fn edits(
    text: &str,
    entries: &[(Location, Wanted)],
    digests: &[Option<Digest>],
    diagnostics: &mut Diagnostics,
) -> BTreeMap<usize, Edit> {
    let mut wanted: HashMap<usize, (u32, String)> = HashMap::new();
    let mut edits = BTreeMap::new();
    for ((_, entry), digest) in entries.iter().zip(digests) {
        let old = &entry.written;
        let new =
            digest.as_ref().map_or_else(|| old.clone(), |digest| written_with(old, &entry.source, digest));
        let start = entry.bytes.start;
        if let Some((line, first)) = wanted.get(&start) {
            if *first != new {
                diagnostics.fault(
                    entry.place,
                    format!(
                        "this is the text of line {line}, which is to have another digest; write it out here"
                    ),
                );
            }
            continue;
        }
        wanted.insert(start, (entry.place.line, new.clone()));
        if new == *old {
            continue;
        }
        if let Some((bytes, text)) = edit(text, entry, &new) {
            edits.insert(start, Edit { line: entry.place.line, bytes, text });
        } else {
            let message = format!(
                "{} is written in a way that cannot be edited; write it on one line: `source: \"{old}\"`",
                quoted(old)
            );
            diagnostics.fault(entry.place, message);
        }
    }
    edits
}

/// The bytes to replace in the source of an entry, and what to write there. `None` if its text is not found there.
fn edit(text: &str, entry: &Wanted, new: &str) -> Option<(Range<usize>, String)> {
    let (old, start) = (entry.written.as_str(), entry.bytes.start);
    let raw = text.get(entry.bytes.clone())?;
    let inner = inner(raw)?;
    let content = raw.get(inner.clone())?;
    let kept = without_digest(old);
    let (old_end, new_end) = (old.get(kept.len()..)?, new.get(kept.len()..)?);
    let has_escapes = raw.starts_with('"') && content != old;
    if content != old && !has_escapes {
        return None;
    }
    let end = start + inner.end;
    if content.ends_with(old_end) {
        return Some((end - old_end.len()..end, new_end.to_owned()));
    }
    // A digest with escapes in it. No character of a source needs one.
    Some((start + inner.start..end, new.to_owned()))
}

/// Where in a scalar its text is: within its quotes. Of a block scalar the parser gives the text alone.
fn inner(raw: &str) -> Option<Range<usize>> {
    match raw.chars().next()? {
        '"' | '\'' => Some(1..raw.len().checked_sub(1)?),
        _ => Some(0..raw.trim_end().len()),
    }
}

/// A scalar that is to be edited may be the value of sources only.
fn check_other_uses(
    text: &str,
    entries: &[(Location, Wanted)],
    edits: &BTreeMap<usize, Edit>,
    diagnostics: &mut Diagnostics,
) {
    let sources: HashSet<Place> = entries.iter().map(|(_, entry)| entry.place).collect();
    let mut waiting: Vec<Node> = yaml::parse(text, &LIST).0.into_iter().collect();
    while let Some(node) = waiting.pop() {
        match &*node.value {
            Value::List(nodes) => waiting.extend(nodes.iter().cloned()),
            Value::Mapping(pairs) => {
                waiting.extend(pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]));
            }
            Value::Scalar { text } => {
                let edit = edits.get(&node.bytes.start).filter(|_| !node.bytes.is_empty());
                if let Some(edit) = edit.filter(|_| !sources.contains(&node.place)) {
                    diagnostics.fault(
                        node.place,
                        format!(
                            "this is the text of the source on line {}, which is to have another digest; write {} out here",
                            edit.line,
                            quoted(text)
                        ),
                    );
                }
            }
        }
    }
}

/// How two versions of a list differ besides the digests that were wanted.
fn differences(
    before: &[(Location, Wanted)],
    after: &[(Location, Wanted)],
    digests: &[Option<Digest>],
) -> Vec<Fault> {
    if before.len() != after.len() {
        let message = "with the digests the list would have other entries; write each source on one line";
        return vec![Fault::new(None, message)];
    }
    let mut faults = Vec::new();
    for (((location, old), (_, new)), digest) in before.iter().zip(after).zip(digests) {
        let digest = digest.as_ref().or(old.source.digest.as_ref()).cloned();
        let expected = Reference { digest, ..old.source.clone() };
        let same_target = (&old.repository, &old.tag) == (&new.repository, &new.tag);
        if new.source != expected || !same_target || old.platforms != new.platforms {
            let message = format!(
                "with its digest this entry would be read as {}; write the source on one line: `source: \"{}\"`",
                quoted(&new.source.to_string()),
                old.written
            );
            faults.push(Fault::new(Some(location.clone()), &message));
        }
    }
    faults
}

#[cfg(test)]
mod tests;
