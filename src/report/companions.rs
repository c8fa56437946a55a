//! What belongs to an image, in a few words.
//!
//! "Signed" is said only of an image whose own manifest has a signature: one on a child or on an SBOM
//! says nothing about the image, nor does one of an index from which platforms were left out.

use std::collections::HashSet;

use super::text::{one_line, shorten_middle};
use super::verification;
use crate::oci::Digest;
use crate::plan::{Companion, CompanionKind, Item, Standing};

/// The longest name of a format that is shown, in columns.
const LONGEST_FORMAT: usize = 40;

/// What belongs to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whether it is signed.
    pub signed: Signed,
    /// By whom it is verified, made fit for a line; `None` if it is not.
    pub verified: Option<String>,
    /// What there is to say of signatures that the policy does not accept.
    pub denied: Option<&'static str>,
    /// The formats of its signatures, each once, made fit for a line.
    pub formats: Vec<String>,
    /// Attestations of the image and its children.
    pub attestations: usize,
    /// SBOMs of the image and its children.
    pub sboms: usize,
    /// Other referrers of the image and its children.
    pub others: usize,
}

/// Whether an image is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Nobody looked.
    NotLookedAt,
    /// No: somebody looked.
    No,
    /// Some of an index's children are, and the index is not.
    ChildrenOnly,
    /// Yes, whatever the signature is worth.
    Yes,
}

/// What belongs to the image of an item.
#[must_use]
pub fn summary(item: &Item) -> Summary {
    let mut summary = Summary {
        signed: Signed::NotLookedAt,
        verified: verification::brief(item),
        denied: verification::denied(item),
        formats: Vec::new(),
        attestations: 0,
        sboms: 0,
        others: 0,
    };
    let Some(companions) = &item.companions else { return summary };
    let themselves: HashSet<&Digest> = companions.iter().map(|companion| &companion.digest).collect();
    let image = item.digest.as_ref().or(item.source_digest.as_ref());
    summary.signed = Signed::No;
    let countable = |companion: &&Companion| {
        companion.standing != Standing::Gone && !themselves.contains(&companion.subject)
    };
    for companion in companions.iter().filter(countable) {
        let count = companion.count.max(1);
        match companion.kind {
            CompanionKind::Signature if Some(&companion.subject) == image => summary.signed = Signed::Yes,
            CompanionKind::Signature if summary.signed == Signed::No => summary.signed = Signed::ChildrenOnly,
            CompanionKind::Signature => {}
            CompanionKind::Attestation => {
                summary.attestations = summary.attestations.saturating_add(count);
            }
            CompanionKind::Sbom => summary.sboms = summary.sboms.saturating_add(count),
            CompanionKind::Other => summary.others = summary.others.saturating_add(count),
        }
    }
    let speaks = |companion: &&Companion| {
        companion.kind == CompanionKind::Signature
            && !themselves.contains(&companion.subject)
            && (summary.signed != Signed::Yes || Some(&companion.subject) == image)
    };
    for companion in companions.iter().filter(speaks) {
        let format = shorten_middle(&one_line(&companion.format), LONGEST_FORMAT);
        if !summary.formats.contains(&format) {
            summary.formats.push(format);
        }
    }
    summary
}

impl Summary {
    /// `verified: key cosign.pub, 2 attestations`, `signed: cosign, SBOM`, `unsigned` or `not looked at`.
    #[must_use]
    pub fn full(&self) -> String {
        let mut text = match (&self.verified, self.signed) {
            (Some(by), _) => format!("verified: {by}"),
            (None, Signed::NotLookedAt) => return self.denied.unwrap_or("not looked at").to_owned(),
            (None, Signed::No) => "unsigned".to_owned(),
            (None, Signed::ChildrenOnly) => format!("children signed: {}", self.formats.join(", ")),
            (None, Signed::Yes) => format!("signed: {}", self.formats.join(", ")),
        };
        for (count, one, many) in [
            (self.attestations, "attestation", "attestations"),
            (self.sboms, "SBOM", "SBOMs"),
            (self.others, "other", "others"),
        ] {
            match count {
                0 => {}
                1 => text = format!("{text}, {one}"),
                _ => text = format!("{text}, {count} {many}"),
            }
        }
        text
    }

    /// `verified`, `signed +3`, `unsigned` or `–`.
    #[must_use]
    pub fn brief(&self) -> String {
        let word = match (&self.verified, self.signed) {
            (Some(_), _) => "verified",
            (None, Signed::NotLookedAt) => return self.denied.unwrap_or("–").to_owned(),
            (None, Signed::No) => "unsigned",
            (None, Signed::ChildrenOnly) => "children signed",
            (None, Signed::Yes) => "signed",
        };
        match self.attestations.saturating_add(self.sboms).saturating_add(self.others) {
            0 => word.to_owned(),
            more => format!("{word} +{more}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{companion, digest, item};

    fn check(companions: Option<Vec<Companion>>, full: &str, brief: &str) {
        let mut item = item("library/app", "1");
        item.companions = companions;
        let summary = summary(&item);
        assert_eq!((summary.full().as_str(), summary.brief().as_str()), (full, brief));
    }

    #[test]
    fn what_belongs_to_an_image_is_said_in_a_few_words() {
        use CompanionKind::{Attestation, Other, Sbom, Signature};
        let image = || digest("library/app:1");
        check(None, "not looked at", "–");
        check(Some(vec![]), "unsigned", "unsigned");
        check(
            Some(vec![
                companion(Signature, "cosign", 2, image()),
                companion(Signature, "notation", 1, image()),
                companion(Attestation, "cosign", 2, image()),
                companion(Sbom, "SPDX", 1, image()),
                companion(Other, "x/y", 3, digest("a child")),
            ]),
            "signed: cosign, notation, 2 attestations, SBOM, 3 others",
            "signed +6",
        );
        check(
            Some(vec![companion(Sbom, "SPDX", 1, image()), companion(Attestation, "cosign", 1, image())]),
            "unsigned, attestation, SBOM",
            "unsigned +2",
        );
    }

    #[test]
    fn a_signature_of_something_else_does_not_make_an_image_signed() {
        use CompanionKind::{Sbom, Signature};
        check(
            Some(vec![companion(Signature, "cosign", 1, digest("a child"))]),
            "children signed: cosign",
            "children signed",
        );
        let sbom = companion(Sbom, "SPDX", 1, digest("library/app:1"));
        let of_sbom = companion(Signature, "cosign", 1, sbom.digest.clone());
        check(Some(vec![sbom, of_sbom]), "unsigned, SBOM", "unsigned +1");
    }
}
