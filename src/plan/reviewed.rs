//! What people agreed to when they reviewed a change of the lists, and how a plan of today stands to it.
//!
//! Entries are compared one by one: what another change brought meanwhile is no difference for those of this one. Pure,
//! as the decision is.

use std::collections::HashMap;

use super::{Cause, CauseKind, Decision, Item, Plan, Remark, RemarkKind, Side};
use crate::oci::Digest;

/// A plan that was reviewed: what it said of the entries that its change added or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// Where it was reviewed, for people: `#7`.
    pub name: String,
    /// The digest of the whole plan.
    pub digest: Digest,
    /// The digest of the policy, if there was one.
    pub policy: Option<Digest>,
    /// What was to be done about companions: `copy`, `require` or `skip`.
    pub signatures: String,
    /// What was said of each target; `None` if only the digest of the whole is known.
    pub entries: Option<HashMap<String, ReviewedEntry>>,
}

/// An entry as it was reviewed, in the words of reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewedEntry {
    /// The source.
    pub source: String,
    /// What was to be at the target; `None` if that was not known.
    pub digest: Option<Digest>,
    /// The platforms that the list chose; empty means all of them.
    pub platforms: Vec<String>,
}

/// How an item stands to what was reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Where it was reviewed.
    pub review: String,
    /// What is not as it was; nothing if it is as reviewed.
    pub differences: Vec<Difference>,
}

/// Something that is not as it was reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: Aspect,
    /// As it was reviewed.
    pub reviewed: String,
    /// As it is now.
    pub now: String,
}

/// What can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The content: the source moved.
    Digest,
    /// Where it comes from.
    Source,
    /// Which platforms of it.
    Platforms,
    /// What is done about companions.
    Signatures,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Digest, Self::Source, Self::Platforms, Self::Signatures];

    /// `digest`, `source`, `platforms` or `signatures`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Source => "source",
            Self::Platforms => "platforms",
            Self::Signatures => "signatures",
        }
    }
}

/// What stands for what is not known, or not there.
const NOTHING: &str = "none";

impl Reviewed {
    /// How an item stands to it; `None` if it says nothing of that item.
    fn compare(&self, plan: &Digest, item: &Item, signatures: &str) -> Option<Comparison> {
        let compared = |differences| Some(Comparison { review: self.name.clone(), differences });
        let Some(entries) = &self.entries else {
            // All is as it was; else nobody knows what is not.
            return if self.digest == *plan { compared(Vec::new()) } else { None };
        };
        let entry = entries.get(&item.target.to_string())?;
        let digest =
            |digest: &Option<Digest>| digest.as_ref().map_or(NOTHING.to_owned(), ToString::to_string);
        let platforms = |platforms: &[String]| match platforms {
            [] => "all".to_owned(),
            platforms => platforms.join(", "),
        };
        let chosen: Vec<String> = item.chosen.iter().map(ToString::to_string).collect();
        let aspects = [
            (Aspect::Digest, digest(&entry.digest), digest(&item.digest)),
            (Aspect::Source, entry.source.clone(), item.source.to_string()),
            (Aspect::Platforms, platforms(&entry.platforms), platforms(&chosen)),
            (Aspect::Signatures, self.signatures.clone(), signatures.to_owned()),
        ];
        let differing = aspects.into_iter().filter(|(_, reviewed, now)| reviewed != now);
        compared(differing.map(|(what, reviewed, now)| Difference { what, reviewed, now }).collect())
    }
}

/// Compares each item with the first of the reviews that says something of it, the newest being first. With `require`
/// nothing is done that was not reviewed as it is, unless the list itself has its digest.
pub fn compare(plan: &mut Plan, reviews: &[Reviewed], require: bool) {
    let signatures = plan.signatures.word();
    for item in &mut plan.items {
        let compared = reviews.iter().find_map(|review| review.compare(&plan.digest, item, signatures));
        // Of what has no digest there is nothing to compare yet.
        let compared = compared.filter(|_| item.digest.is_some());
        let message = compared.as_ref().and_then(Comparison::message);
        let refused = match (&compared, &message) {
            (Some(_), message) => message.clone(),
            (None, _) if item.source.digest.is_some() => None,
            (None, _) => Some("nobody is known to have reviewed it".to_owned()),
        };
        item.reviewed = compared;
        if let Some(reason) = refused.filter(|_| require && item.decision.writes()) {
            item.decision = Decision::Blocked(violation(item, &reason));
        } else if let Some(message) = message {
            item.remarks.push(Remark { kind: RemarkKind::NotAsReviewed, message });
        }
    }
}

fn violation(item: &Item, reason: &str) -> Cause {
    let message = format!(
        "{reason}, and `require-reviewed` wants it reviewed as it is; propose a change that names its digest in the list"
    );
    Cause {
        side: Side::Source,
        operation: "mirror".into(),
        reference: item.source.to_string(),
        kind: CauseKind::Policy,
        message,
    }
}

impl Comparison {
    /// What is not as it was reviewed, as a sentence without its full stop; `None` if all is.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let differences: Vec<String> = self
            .differences
            .iter()
            .map(|Difference { what, reviewed, now }| format!("{} was {reviewed} and is {now}", what.word()))
            .collect();
        let all = differences.join("; ");
        (!all.is_empty()).then(|| format!("not as reviewed in {}: its {all}", self.review))
    }
}

#[cfg(test)]
mod tests;
