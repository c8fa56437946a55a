//! Why a proof is none: which check failed, and what was found.
//!
//! The texts hold what strangers wrote. It is bounded and without control characters here; who shows it still escapes
//! it for where it goes.

use std::fmt;

use sigstore_verify::{CertificateError, Error, TransparencyLogError};

/// The most characters of foreign text in a fault.
const LONGEST: usize = 240;

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// That there is something of the kind that the rule asks for.
    Present,
    /// That it is of a format that can be checked at all.
    Supported,
    /// That it is not larger, and there are not more of them, than any real one.
    Size,
    /// That it is what its format says.
    Format,
    /// That it is about this image.
    Digest,
    /// That it was made with a key of the rule.
    Key,
    /// That it was made by an identity of the rule.
    Identity,
    /// The signature itself.
    Signature,
    /// The certificate and its chain up to the trust root.
    Certificate,
    /// That the certificate was alive when it was used.
    Lifetime,
    /// The certificate's entry in a certificate transparency log (SCT).
    CertificateLog,
    /// The log's promise to include the entry (SET).
    Promise,
    /// The proof that the log includes the entry.
    Inclusion,
    /// The state of the log that the proof leads to.
    Checkpoint,
    /// That the log's entry is about this signature.
    Entry,
    /// The time that a time-stamping authority or a log vouches for.
    Time,
    /// What an attestation says of builder and source.
    Statement,
}

impl Check {
    /// A word for machines, which stays the same.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "missing",
            Self::Supported => "unsupported",
            Self::Size => "size",
            Self::Format => "format",
            Self::Digest => "digest",
            Self::Key => "key",
            Self::Identity => "identity",
            Self::Signature => "signature",
            Self::Certificate => "certificate",
            Self::Lifetime => "certificate-lifetime",
            Self::CertificateLog => "certificate-log",
            Self::Promise => "log-promise",
            Self::Inclusion => "log-inclusion",
            Self::Checkpoint => "log-checkpoint",
            Self::Entry => "log-entry",
            Self::Time => "time",
            Self::Statement => "statement",
        }
    }

    /// What it means that the check failed.
    const fn failed(self) -> &'static str {
        match self {
            Self::Present => "nothing was found",
            Self::Supported => "it cannot be checked",
            Self::Size => "it is too large",
            Self::Format => "it is not what its format says",
            Self::Digest => "it is not about this image",
            Self::Key => "it is by none of the rule's keys",
            Self::Identity => "it is by nobody whom the rule names",
            Self::Signature => "the signature is wrong",
            Self::Certificate => "the certificate is not trusted",
            Self::Lifetime => "the certificate was not alive then",
            Self::CertificateLog => "the certificate's SCT is wrong",
            Self::Promise => "the log's promise (SET) is wrong",
            Self::Inclusion => "the proof that the log includes it is wrong",
            Self::Checkpoint => "the log's checkpoint is wrong",
            Self::Entry => "the log's entry is about something else",
            Self::Time => "no trusted time says when it was made",
            Self::Statement => "it does not say what the rule asks",
        }
    }
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Which one.
    pub check: Check,
    /// What was found; a lowercase fragment, bounded, without control characters. Can be empty.
    pub detail: String,
}

impl Fault {
    pub(super) fn new(check: Check, detail: &str) -> Self {
        Self { check, detail: shown(detail) }
    }

    /// What cannot be checked is never verified, whatever it is.
    pub(super) fn unsupported(what: &str) -> Self {
        Self::new(Check::Supported, what)
    }

    pub(super) fn format(why: impl fmt::Display) -> Self {
        Self::new(Check::Format, &why.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.check.failed())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

/// The verifier's own words, sorted by the check that they are about.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let check = match &error {
            Error::IdentityMismatch { .. } | Error::IssuerMismatch { .. } => Check::Identity,
            Error::SignatureInvalid(_) | Error::Crypto(_) => Check::Signature,
            Error::ArtifactMismatch(why) if why.contains("entry") => Check::Entry,
            Error::ArtifactMismatch(_) => Check::Digest,
            Error::Certificate(certificate) => of_certificate(certificate),
            Error::TransparencyLog(log) => of_log(log),
            Error::Timestamp(_) => Check::Time,
            Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) => Check::Supported,
            Error::Bundle(error) => of_bundle(error),
            _ => Check::Format,
        };
        Self::new(check, &error.to_string())
    }
}

fn of_certificate(error: &CertificateError) -> Check {
    match error {
        // What webpki says of a certificate or of one above it.
        CertificateError::ChainInvalid(why)
            if why.contains("CertExpired") || why.contains("CertNotValidYet") =>
        {
            Check::Lifetime
        }
        CertificateError::Expired { .. }
        | CertificateError::NotYetValid { .. }
        | CertificateError::NoValidAuthority { .. } => Check::Lifetime,
        CertificateError::Sct(_) => Check::CertificateLog,
        _ => Check::Certificate,
    }
}

const fn of_log(error: &TransparencyLogError) -> Check {
    match error {
        TransparencyLogError::InclusionProof(_) => Check::Inclusion,
        TransparencyLogError::Checkpoint(_) => Check::Checkpoint,
        TransparencyLogError::InclusionPromise(_) | TransparencyLogError::UnknownLog { .. } => Check::Promise,
        TransparencyLogError::IntegratedTime(_) => Check::Lifetime,
        TransparencyLogError::MalformedEntry(_) => Check::Format,
        _ => Check::Entry,
    }
}

const fn of_bundle(error: &sigstore_verify::bundle::Error) -> Check {
    use sigstore_verify::bundle::Error;
    match error {
        Error::MissingInclusionProof(_) | Error::LogIndexOutOfRange { .. } => Check::Inclusion,
        Error::MissingInclusionPromise(_) => Check::Promise,
        Error::MissingCheckpoint | Error::CheckpointRootMismatch => Check::Checkpoint,
        Error::MissingSigningTimeEvidence | Error::MissingTimestamp => Check::Time,
        _ => Check::Format,
    }
}

/// A fault, where it is, and how often it was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Which manifest the first proof with this fault is in; `None` where it is about all of them.
    pub place: Option<String>,
    /// What is wrong with it.
    pub fault: Fault,
    /// How many proofs have the same fault, at least one.
    pub times: usize,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}", self.fault)?;
        if self.times > 1 { write!(f, " ({} times)", self.times) } else { Ok(()) }
    }
}

/// Foreign text, bounded, in one line and without what a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(LONGEST + 1)
        .map(|character| if is_harmless(character) { character } else { '\u{fffd}' })
        .collect();
    if line.chars().count() > LONGEST {
        line = line.chars().take(LONGEST - 1).collect();
        line.push('…');
    }
    line
}

/// Neither a control character nor one that changes the direction of the text or cannot be seen.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_bounded_and_stays_in_its_line() {
        assert_eq!(shown("a\nb\u{1b}[31m\u{202e}c"), "a\u{fffd}b\u{fffd}[31m\u{fffd}c");
        assert_eq!(shown(&"x".repeat(1_000)).chars().count(), LONGEST);
        assert_eq!(shown(&"x".repeat(LONGEST)), "x".repeat(LONGEST));
    }

    #[test]
    fn a_reason_says_where_what_and_how_often() {
        let fault = Fault::new(Check::Digest, "sha256:aa");
        let reason = Reason { place: Some("sha256-1.sig".into()), fault, times: 2 };
        assert_eq!(reason.to_string(), "sha256-1.sig: it is not about this image: sha256:aa (2 times)");
        let reason = Reason { place: None, fault: Fault::new(Check::Present, ""), times: 1 };
        assert_eq!(reason.to_string(), "nothing was found");
    }
}
