//! What an image's signatures and its age are worth by the policy's rule, and what follows from it.
//!
//! `inspect` finds it out, `decide` decides on it. What could not be looked up is never "unsigned", and what could not
//! be checked is never "verified".

use std::time::Duration;

use super::{Cause, CauseKind, Side};
use crate::oci::{Digest, Reference};
use crate::policy::{Ruling, Unsigned};

/// So many reasons are told of why signatures do not count; more are counted.
const REASONS_TOLD: usize = 3;

/// The most characters of a reason.
const LONGEST_REASON: usize = 200;

/// What was found out about an entry's signatures.
#[derive(Debug, Clone)]
pub enum Verification {
    /// Nobody looked: no rule is about the source, or the image itself is a conflict, gone or blocked.
    NotAsked,
    /// They were checked.
    Checked(Checked),
    /// A look-up failed. This is never "unsigned".
    Blocked(Cause),
}

/// What came of checking an image by the policy's rule for its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Where the rule is stated.
    pub rule: String,
    /// The manifest whose signatures count: the source's, before platforms are left out of it.
    pub subject: Digest,
    /// What its signatures are worth.
    pub signing: Signing,
    /// When the image was made, where the rule asks for its age and it is to be copied.
    pub made: Option<Made>,
}

/// What an image's signatures are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// The rule asks for none.
    NotAsked,
    /// They are what the rule asks for: by these.
    Verified(Vec<Signer>),
    /// There is none that could be checked: what there is instead.
    Unsigned(Vec<String>),
    /// There are some, and they are not what the rule asks for: why.
    Refused(Vec<String>),
}

impl Signing {
    /// The word in reports: `not-asked`, `verified`, `unsigned`, `refused`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::Verified(_) => "verified",
            Self::Unsigned(_) => "unsigned",
            Self::Refused(_) => "refused",
        }
    }
}

/// Who signed, as it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key by its fingerprint, or the identity in the certificate.
    pub name: SignerName,
    /// Where the signature is: a tag, or a referrer.
    pub place: String,
    /// The predicate type, if it is a signed statement about the image.
    pub statement: Option<String>,
    /// The name that the signer gave to the image. It is told and proves nothing.
    pub repository: Option<String>,
    /// When a transparency log took it in, as RFC 3339 has it.
    pub logged: Option<String>,
}

/// What a signer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerName {
    /// A key.
    Key {
        /// What the policy calls it.
        name: String,
        /// The SHA-256 digest of the public key in DER.
        fingerprint: String,
    },
    /// An identity, and who vouches for it.
    Identity {
        /// The identity.
        name: String,
        /// The issuer.
        issuer: String,
    },
}

/// When an image was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// As RFC 3339 has it; `None` if nothing says so.
    pub at: Option<String>,
    /// How long ago that was.
    pub age: Option<Duration>,
    /// Whether a transparency log says so, and not only the image.
    pub logged: bool,
}

/// What follows from what was found out.
pub(super) enum Consequence {
    None,
    /// The image may go, with a word.
    Remark(String),
    /// The rule does not allow it.
    Violation(Cause),
}

/// What follows from `checked` by the rule.
pub(super) fn consequence(source: &Reference, ruling: &Ruling<'_>, checked: &Checked) -> Consequence {
    let rule = format!("the rule for `{}` ({})", ruling.pattern, ruling.rule.location);
    let violation = |message: String| {
        Consequence::Violation(Cause {
            side: Side::Source,
            operation: "mirror".into(),
            reference: source.to_string(),
            kind: CauseKind::Policy,
            message,
        })
    };
    if let Some(message) = too_young(ruling, checked, &rule) {
        return violation(message);
    }
    let demand = ruling.rule.demand();
    match (&checked.signing, ruling.rule.unsigned) {
        (Signing::Verified(_) | Signing::NotAsked, _) | (Signing::Unsigned(_), Unsigned::Allow) => {
            Consequence::None
        }
        (Signing::Unsigned(instead), Unsigned::Warn) => Consequence::Remark(format!(
            "{}; {rule} asks for {demand}, and only warns of images without any",
            nothing(instead)
        )),
        (Signing::Unsigned(instead), Unsigned::Deny) => violation(format!(
            "{}; {rule} asks for {demand}; ask its publisher to sign it, or take it off the list",
            nothing(instead)
        )),
        (Signing::Refused(reasons), _) => violation(format!(
            "its signatures are not what the policy asks for; {rule} asks for {demand}; found: {}",
            told(reasons)
        )),
    }
}

/// That nothing was found, or nothing that can be checked.
fn nothing(instead: &[String]) -> String {
    match instead {
        [] => "no signature of it was found".to_owned(),
        _ => format!("no signature of it was found that can be checked ({})", told(instead)),
    }
}

fn too_young(ruling: &Ruling<'_>, checked: &Checked, rule: &str) -> Option<String> {
    let (minimum, made) = (ruling.rule.minimum_age?, checked.made.as_ref()?);
    match (&made.at, made.age) {
        (Some(at), Some(age)) if age < minimum => {
            let by = if made.logged {
                "a transparency log has its signature since"
            } else {
                "it says it was made"
            };
            Some(format!(
                "it is younger than the policy allows: {by} {at}; {rule} asks for an age of {}, which it has in {}",
                rough(minimum),
                rough(minimum.saturating_sub(age))
            ))
        }
        (Some(_), Some(_)) => None,
        _ => Some(format!(
            "nothing says when it was made; {rule} asks for an age of {}: give its source a rule without `minimumAge`",
            rough(minimum)
        )),
    }
}

/// A time in its largest whole unit, rounded up.
fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("day", 86_400), ("hour", 3600), ("minute", 60)];
    let (unit, length) =
        units.into_iter().find(|(_, length)| seconds >= 2 * length).unwrap_or(("minute", 60));
    let count = seconds.div_ceil(length).max(1);
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Some of the reasons, each of a sane length.
fn told(reasons: &[String]) -> String {
    let cut = |reason: &String| match reason.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.clone(),
    };
    let mut told: Vec<String> = reasons.iter().take(REASONS_TOLD).map(cut).collect();
    if let Some(more) = reasons.len().checked_sub(REASONS_TOLD).filter(|more| *more > 0) {
        told.push(format!("and {more} more"));
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        for (seconds, told) in [
            (1, "1 minute"),
            (120, "2 minutes"),
            (7199, "120 minutes"),
            (7200, "2 hours"),
            (86_400, "24 hours"),
            (3 * 86_400, "3 days"),
            (3 * 86_400 + 1, "4 days"),
        ] {
            assert_eq!(rough(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn reasons_are_bounded() {
        let reasons: Vec<String> = (0..1000).map(|_| "é".repeat(1000)).collect();
        let text = told(&reasons);
        assert!(text.chars().count() < 4 * LONGEST_REASON, "{text}");
        assert!(text.ends_with("; and 997 more"), "{text}");
    }
}
