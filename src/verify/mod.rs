//! Whether an image is signed by whom it is to be signed: from what a registry has, as bytes, to a [`Judgement`].
//!
//! It is pure: it asks nobody, and the time comes in. (sigstore-verify looks at the clock, too, and takes nothing from
//! the future.) All checks of a proof or none: what cannot be checked is unsupported and never verified, and a proof
//! that fails one check is no proof. How proofs are found is decided elsewhere, and so is what follows from a judgement.
//!
//! cosign's specifications of signatures and attestations, sigstore's bundles 0.1 to 0.3 with entries of Rekor v1 and
//! v2, SCTs (RFC 6962), time stamps (RFC 3161), in-toto statements in DSSE envelopes.

mod bundle;
mod cosign;
mod fault;
mod identity;
mod key;
mod pattern;
mod payload;
mod root;
mod rule;
mod statement;
mod tally;

use std::collections::BTreeMap;
use std::time::SystemTime;

use sigstore_verify::types::{Bundle, SignatureContent};

use crate::oci::Digest;
use bundle::Signed;
use statement::Statement;

pub use fault::{Check, Fault, Reason};
pub use identity::{GITHUB_ISSUER, Identity, IdentityError, Signatory, Workflow};
pub use key::{KeyError, PublicKey};
pub use pattern::{Matcher, MatcherError};
pub use root::{LARGEST_ROOT, Origin, Root, RootError};
pub use rule::{Mode, Rule, Signer};
pub use statement::{Source, Wanted};

/// So many proofs of one image are looked at.
pub const MOST_PROOFS: usize = 1_000;

/// The largest proof that is looked at, in bytes; SBOMs can be in one.
pub const LARGEST_PROOF: usize = 32 * 1024 * 1024;

/// What a registry has, as bytes that nobody has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A layer of cosign's `.sig` manifest: the payload, and the layer's annotations.
    Cosign {
        /// The layer's content.
        payload: Vec<u8>,
        /// The annotations of its descriptor.
        annotations: BTreeMap<String, String>,
    },
    /// A layer of cosign's `.att` manifest: a DSSE envelope, and the layer's annotations.
    Envelope {
        /// The layer's content.
        envelope: Vec<u8>,
        /// The annotations of its descriptor.
        annotations: BTreeMap<String, String>,
    },
    /// A sigstore bundle: the layer of a referrer, such as cosign 3 and GitHub make them.
    Bundle(Vec<u8>),
    /// A signature of another kind, such as notation's: what it is.
    Unsupported(String),
}

/// A proof, and which manifest it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What messages call it: a tag or a digest.
    pub place: String,
    /// What is there.
    pub proof: Proof,
}

/// What the proofs of an image come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// All that the rule asks for was shown.
    Accepted(Accepted),
    /// There is nothing of the kind that the rule asks for, good or bad.
    Unsigned,
    /// There is something, and it does not show what the rule asks for. Never empty.
    Refused(Vec<Reason>),
}

/// By what an image was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What was shown, at least one thing.
    pub evidence: Vec<Evidence>,
    /// How many other proofs there are, of others, not needed or wrong.
    pub others: usize,
}

/// A proof that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Which manifest it is in.
    pub place: String,
    /// What was signed.
    pub what: What,
    /// Who signed it.
    pub by: By,
    /// A time before which it was made, that a log or a time-stamping authority vouches for.
    pub signed_at: Option<SystemTime>,
    /// Whether a transparency log has it.
    pub logged: bool,
    /// Which part of the trust root vouches for it; `None` where only a key does.
    pub domain: Option<String>,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The image.
    Signature {
        /// What the signer called it, if that was said. It decides nothing.
        repository: Option<String>,
    },
    /// A statement about the image, of this predicate type.
    Attestation(String),
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Whoever has the private half of this key.
    Key {
        /// What the rule calls the key.
        name: String,
        /// The SHA-256 digest of the public key in DER.
        fingerprint: Digest,
    },
    /// Somebody whom an issuer vouches for.
    Identity(Signatory),
}

/// Who made a proof, and when.
struct Verified {
    /// The places among the rule's signers, at least one.
    signers: Vec<usize>,
    by: By,
    signed_at: Option<SystemTime>,
    logged: bool,
    domain: Option<String>,
}

/// What a proof claims to be.
enum Claim {
    Signature { repository: Option<String> },
    Statement(Statement),
}

/// Judges an image by what was found for it.
///
/// Each of the first [`MOST_PROOFS`] proofs is looked at, until the rule is satisfied. `now` is only to be later than
/// what logs and time-stamping authorities say.
#[must_use]
pub fn judge(subject: &Digest, found: &[Found], rule: &Rule, root: &Root, now: SystemTime) -> Judgement {
    let mut tally = tally::Tally::new(rule);
    for Found { place, proof } in found.iter().take(MOST_PROOFS) {
        if let Err(fault) = look_at(place, proof, subject, rule, root, now, &mut tally) {
            tally.refuse(place, fault);
        }
        if tally.is_satisfied() {
            break;
        }
    }
    tally.judgement(found.len())
}

fn look_at(
    place: &str,
    proof: &Proof,
    subject: &Digest,
    rule: &Rule,
    root: &Root,
    now: SystemTime,
    tally: &mut tally::Tally<'_>,
) -> Result<(), Fault> {
    let (bundle, signed, claim) = read(proof, subject)?;
    if !tally.is_asked(&claim) {
        return Ok(());
    }
    let verified = bundle::check(&bundle, signed, rule, root, now)?;
    tally.accept(place, claim, verified)
}

/// What a proof holds, if it is about the image.
fn read<'a>(proof: &'a Proof, subject: &'a Digest) -> Result<(Bundle, Signed<'a>, Claim), Fault> {
    let size = match proof {
        Proof::Cosign { payload: bytes, .. }
        | Proof::Envelope { envelope: bytes, .. }
        | Proof::Bundle(bytes) => bytes.len(),
        Proof::Unsupported(what) => return Err(Fault::unsupported(what)),
    };
    if size > LARGEST_PROOF {
        return Err(Fault::new(Check::Size, &format!("it has {size} bytes")));
    }
    let bundle = match proof {
        Proof::Cosign { payload, annotations } => {
            let repository = payload::read(payload, subject)?;
            let bundle = cosign::of_signature(payload, annotations)?;
            return Ok((bundle, Signed::Payload(payload), Claim::Signature { repository }));
        }
        Proof::Envelope { envelope, annotations } => cosign::of_envelope(envelope, annotations)?,
        Proof::Bundle(bytes) => bundle::read(bytes)?,
        Proof::Unsupported(what) => return Err(Fault::unsupported(what)),
    };
    let claim = match &bundle.content {
        SignatureContent::MessageSignature(_) => Claim::Signature { repository: None },
        SignatureContent::DsseEnvelope(envelope) => {
            let statement = statement::read(&envelope.payload_type, envelope.payload.as_bytes(), subject)?;
            if statement.is_signature() {
                Claim::Signature { repository: None }
            } else {
                Claim::Statement(statement)
            }
        }
        _ => return Err(Fault::unsupported("it is a bundle with neither a signature nor an envelope")),
    };
    Ok((bundle, Signed::Image(subject), claim))
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
