//! Why an entry stands as it does, in full, and what to do about it.

use super::{Entry, Mode, Status};
use crate::config::Change;
use crate::oci::{Reference, Tag};
use crate::plan::{Cause, CauseKind, Companion, CompanionKind, CompanionPlace, Decision, Standing};

/// Why an entry stands as it does: facts with their labels, then sentences.
///
/// The texts hold what came from outside and are not escaped; what stands between backticks is to be
/// shown as code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What stands in the way, in a few words.
    pub reason: String,
    /// References and digests in full, by labels of at most six letters.
    pub facts: Vec<(&'static str, String)>,
    /// What happened.
    pub story: Vec<String>,
    /// What to do.
    pub advice: Vec<Advice>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// A sentence; it ends with a colon if there is something to write.
    pub sentence: String,
    /// What to write into the list: a line of YAML.
    pub line: Option<String>,
}

impl Advice {
    fn say(sentence: &str) -> Self {
        Self { sentence: sentence.to_owned(), line: None }
    }

    fn write(sentence: &str, line: String) -> Self {
        Self { sentence: sentence.to_owned(), line: Some(line) }
    }
}

impl Entry<'_> {
    /// Why the entry is a conflict, blocked or failed, and what to do about it; from where to where a tag
    /// moves. `None` for all others.
    #[must_use]
    pub fn explanation(&self) -> Option<Explanation> {
        if !self.status().needs_someone() && !self.status().moves() {
            return None;
        }
        let item = self.item;
        let mut explanation = Explanation {
            reason: self.reason(),
            facts: vec![("source", item.source.to_string()), ("target", item.target.to_string())],
            story: Vec::new(),
            advice: Vec::new(),
        };
        match self.status() {
            Status::Conflict => self.explain_conflict(&mut explanation),
            Status::Move | Status::Moved => self.explain_move(&mut explanation),
            status => {
                explanation.story.extend(self.cause().map(cause_sentence));
                let unsure = self.cause().is_some_and(|cause| cause.operation == Cause::READ_BACK);
                explanation.advice.push(Advice::say(match (status, self.mode) {
                    (Status::Failed, _) if unsure => {
                        "What was written could not be read back. The next run looks again."
                    }
                    (Status::Failed, _) => "The tag was not written. The next run goes on from here.",
                    (_, Mode::Plan) => "Nothing will be written for this image.",
                    (_, Mode::Sync) => "Nothing was written for this image.",
                }));
            }
        }
        Some(explanation)
    }

    /// In a few words: the side and what it said, without what was asked of which reference.
    fn reason(&self) -> String {
        let tag_differs = self.item.target_digest.is_some() && self.item.target_digest != self.item.digest;
        match (self.status(), self.cause()) {
            (Status::Move | Status::Moved, _) => "the policy lets this tag move".to_owned(),
            (Status::Conflict, _) if self.item.decision == Decision::Conflict && tag_differs => {
                "the tag has other content at the target".to_owned()
            }
            (Status::Conflict, None) => "a companion has other content at the target".to_owned(),
            (_, None) => self.status().word().to_owned(),
            (_, Some(Cause { kind: CauseKind::Policy, message, .. })) => format!("not allowed: {message}"),
            (_, Some(cause)) => format!("{}: {}", cause.side.word(), cause.message),
        }
    }

    fn explain_move(&self, explanation: &mut Explanation) {
        let (before, after) = match self.status() {
            Status::Moved => ("had", "has"),
            _ => ("has", "gets"),
        };
        let digests = [(before, &self.item.target_digest), (after, &self.item.digest)];
        for (label, digest) in digests {
            explanation.facts.extend(digest.iter().map(|digest| (label, digest.to_string())));
        }
        explanation.story.push("The policy lets this tag move: its `mutableTags` name it.".to_owned());
    }

    fn explain_conflict(&self, explanation: &mut Explanation) {
        let overwritten = match self.mode {
            Mode::Plan => "Nothing will be overwritten.",
            Mode::Sync => "Nothing was overwritten.",
        };
        let differing: Vec<&Companion> = self.differing_companions().collect();
        if self.item.decision == Decision::Conflict && !differing.is_empty() {
            self.explain_companions(explanation, &differing, overwritten);
            return;
        }
        let item = self.item;
        let tag_differs = item.target_digest.is_some() && item.target_digest != item.digest;
        if let Some(found) = &item.target_digest {
            let label = if item.decision == Decision::Move { "had" } else { "has" };
            explanation.facts.push((label, found.to_string()));
        }
        if let Some(wanted) = &item.digest {
            explanation.facts.push(("wants", wanted.to_string()));
        }
        match self.cause() {
            Some(cause) if !(tag_differs && item.decision == Decision::Conflict) => {
                explanation.story.push(format!("{} {overwritten}", cause_sentence(cause)));
            }
            _ if tag_differs => explanation.story.push(format!(
                "The tag `{}` is at the target with other content than the list asks for. {overwritten}",
                item.target.tag
            )),
            _ => explanation.story.push(overwritten.to_owned()),
        }
        if self.cause().is_some_and(|cause| cause.operation == Cause::COMPANION_TAG) {
            explanation.advice.push(Advice::say("The next run looks again."));
        } else if item.decision == Decision::Move {
            let sentence = "The next run looks again, and moves the tag if it still has to move.";
            explanation.advice.push(Advice::say(sentence));
        } else {
            self.advise_on_tag(explanation, tag_differs);
        }
    }

    /// The two ways out of a tag that has other content.
    fn advise_on_tag(&self, explanation: &mut Explanation, tag_differs: bool) {
        let item = self.item;
        explanation.advice.push(Advice::write(
            "To have the new content, give the entry a new tag:",
            format!("tag: \"{}\"", next_tag(&item.target.tag)),
        ));
        let Some(found) = item.target_digest.as_ref().filter(|_| tag_differs) else { return };
        // What the target has may be of another source than the one that the entry names now.
        if self.change == Some(Change::Changed) {
            explanation.advice.push(Advice::say("To keep the old content, leave the entry as it was."));
        } else if item.digest == item.source_digest {
            let pinned = Reference { digest: Some(found.clone()), ..item.source.clone() };
            explanation.advice.push(Advice::write(
                "To keep the old content, name its digest:",
                format!("source: \"{pinned}\""),
            ));
        } else {
            // Else the target's digest is of an index that was made smaller, which the source never had.
            explanation.advice.push(Advice::say(if item.source_digest.as_ref() == Some(found) {
                "To keep the old content, take `platforms` out: the target has the whole index."
            } else {
                "To keep the old content, write the `platforms` that it has, if they were changed; else take the \
                 entry off the list: what is at the target stays there."
            }));
        }
    }

    fn differing_companions(&self) -> impl Iterator<Item = &Companion> {
        let companions = self.item.companions.iter().flatten();
        companions.filter(|companion| matches!(companion.standing, Standing::Differs { .. }))
    }

    /// A new tag for the image would not help: its companions' tags come from its digest.
    fn explain_companions(&self, explanation: &mut Explanation, differing: &[&Companion], overwritten: &str) {
        let target = &self.item.target;
        for companion in differing {
            if let CompanionPlace::Tag(tag) = &companion.place {
                explanation.facts.push(("tag", format!("{}{}:{tag}", target.root, target.repository)));
            }
            if let Standing::Differs { found } = &companion.standing {
                explanation.facts.push(("has", found.to_string()));
            }
            explanation.facts.push(("wants", companion.digest.to_string()));
            let kind = companion.kind.word();
            explanation.story.push(format!(
                "The {} {kind} of `{}` at the target is another one than the source's.",
                companion.format, companion.subject
            ));
        }
        explanation.story.push(overwritten.to_owned());
        explanation.advice.push(Advice::say(
            "Look at what the target has there. If nobody needs it, delete that tag at the target: the next run copies \
             the source's.",
        ));
        let grows = |kind| matches!(kind, CompanionKind::Signature | CompanionKind::Attestation);
        if differing.iter().any(|companion| grows(companion.kind)) {
            explanation.advice.push(Advice::say(
                "Signatures and attestations of your own that go with it can be made again after that run: a tag that \
                 has all of the source's, and more, is no conflict.",
            ));
        }
    }
}

/// `cause` as a sentence.
fn cause_sentence(cause: &Cause) -> String {
    let what = match cause.kind {
        CauseKind::Failure | CauseKind::Access | CauseKind::Denied => "failed to",
        CauseKind::Policy => "not allowed to",
        CauseKind::Quota => "waits to",
    };
    let stop = if cause.message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!(
        "{}: {what} {} `{}`: {}{stop}",
        cause.side.word(),
        cause.operation,
        cause.reference,
        cause.message
    )
}

/// A tag that is free, most likely: `1.4.2` → `1.4.2-v2`, `1.4.2-v2` → `1.4.2-v3`.
fn next_tag(tag: &Tag) -> String {
    let tag = tag.as_str();
    let numbered = tag.rsplit_once("-v").and_then(|(stem, number)| Some((stem, number.parse::<u32>().ok()?)));
    let (stem, number) = numbered.map_or((tag, 2), |(stem, number)| (stem, number.saturating_add(1)));
    let end = format!("-v{number}");
    // A tag has at most 128 characters, all of them ASCII.
    format!("{}{end}", &stem[..stem.len().min(128 - end.len())])
}

/// A source as tables show it: by tag where it has one, else by a short digest.
pub(super) fn source_name(source: &Reference) -> String {
    let version = match (&source.tag, &source.digest) {
        (Some(tag), _) => format!(":{tag}"),
        (None, Some(digest)) => format!("@{}", digest.short()),
        (None, None) => String::new(),
    };
    format!("{}/{}{version}", source.registry, source.repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_tag_is_a_tag() {
        let long = "x".repeat(128);
        for (tag, next) in [
            ("1.4.2", "1.4.2-v2".to_owned()),
            ("1.4.2-v2", "1.4.2-v3".to_owned()),
            ("1.4.2-vx", "1.4.2-vx-v2".to_owned()),
            (&long, format!("{}-v2", "x".repeat(125))),
        ] {
            let text = next_tag(&tag.parse().expect("a tag"));
            assert_eq!(text, next);
            assert!(text.parse::<Tag>().is_ok());
        }
    }
}
