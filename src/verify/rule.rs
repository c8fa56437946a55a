//! What has to be shown for an image: by whom it is to be signed, and which attestations it is to have.
//!
//! A rule is data: which one holds for an image, and what follows from a judgement, is decided elsewhere.

use std::fmt;

use super::identity::Identity;
use super::key::PublicKey;
use super::statement::Wanted;

/// What is asked of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Who may sign. A rule without signers accepts nothing.
    pub signers: Vec<Signer>,
    /// How many of the signers have to make a signature.
    pub mode: Mode,
    /// Whether a signature is asked for. Without it, attestations of the signers are enough.
    pub signature: bool,
    /// Attestations that are asked for, all of them, each made by at least one of the signers.
    pub attestations: Vec<Wanted>,
    /// Whether signatures by key have to be in a transparency log. Those of identities always have to.
    pub log: bool,
}

/// Who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// Whoever has the private half of a key.
    Key(PublicKey),
    /// Whoever an issuer vouches for.
    Identity(Identity),
}

/// How many of the signers have to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One of them.
    Any,
    /// Each of them.
    All,
}

impl Rule {
    /// A rule that asks for a signature of any of these signers.
    #[must_use]
    pub const fn any_of(signers: Vec<Signer>) -> Self {
        Self { signers, mode: Mode::Any, signature: true, attestations: Vec::new(), log: false }
    }

    /// The signers that are keys, each with its place among the signers.
    pub(super) fn keys(&self) -> impl Iterator<Item = (usize, &PublicKey)> {
        self.signers.iter().enumerate().filter_map(|(place, signer)| match signer {
            Signer::Key(key) => Some((place, key)),
            Signer::Identity(_) => None,
        })
    }

    /// The signers that are identities, each with its place among the signers.
    pub(super) fn identities(&self) -> impl Iterator<Item = (usize, &Identity)> {
        self.signers.iter().enumerate().filter_map(|(place, signer)| match signer {
            Signer::Identity(identity) => Some((place, identity)),
            Signer::Key(_) => None,
        })
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Identity(identity) => identity.fmt(f),
        }
    }
}

/// What is asked, for people.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signers: Vec<String> = self.signers.iter().map(ToString::to_string).collect();
        let log = if self.log { " in a transparency log" } else { "" };
        let mut wanted = Vec::new();
        if self.signature {
            let between = if self.mode == Mode::All { " and by " } else { " or by " };
            wanted.push(format!("a signature{log} by {}", signers.join(between)));
        }
        if !self.attestations.is_empty() {
            let kinds: Vec<String> = self.attestations.iter().map(ToString::to_string).collect();
            let by = if self.signature && signers.len() == 1 {
                "the same".to_owned()
            } else {
                signers.join(" or by ")
            };
            wanted.push(format!("{}{log} by {by}", kinds.join(" and ")));
        }
        f.write_str(&wanted.join(", and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{GITHUB_ISSUER, Matcher};

    fn signer(subject: &str) -> Signer {
        let subject = Matcher::exact(subject).ok();
        Signer::Identity(Identity::new(GITHUB_ISSUER, subject, None).expect("an identity"))
    }

    #[test]
    fn a_rule_says_what_it_asks() {
        let one = Rule::any_of(vec![signer("a"), signer("b")]);
        assert_eq!(
            one.to_string(),
            "a signature by `a` (issuer https://token.actions.githubusercontent.com) or by `b` (issuer \
             https://token.actions.githubusercontent.com)"
        );
        let more = Rule {
            signers: vec![signer("a")],
            attestations: vec![Wanted::Spdx, Wanted::CycloneDx],
            log: true,
            ..one
        };
        assert_eq!(
            more.to_string(),
            "a signature in a transparency log by `a` (issuer https://token.actions.githubusercontent.com), and an SPDX \
             SBOM and a CycloneDX SBOM in a transparency log by the same"
        );
    }
}
