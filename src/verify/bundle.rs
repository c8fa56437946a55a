//! Sigstore bundles of versions 0.1 to 0.3, and whether one of a rule's signers made what they hold.
//!
//! The cryptography is sigstore-verify's. Here is decided what it is asked: of a certificate all that its domain of
//! the trust root has, of a key the signature, and the log where there is an entry or the rule asks for one. Of a
//! bundle that was fetched each log entry needs a proof of inclusion; a promise alone is not enough.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle, DerCertificate, HashAlgorithm, MediaType, SignatureContent,
};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};
use x509_cert::der::Decode as _;

use super::fault::{Check, Fault};
use super::identity::Signatory;
use super::key::PublicKey;
use super::root::{Domain, Root};
use super::rule::Rule;
use super::{By, Verified};
use crate::oci::Digest;

/// What a bundle's signature is over: the payload itself, or the image's manifest, of which the digest is known.
#[derive(Clone, Copy)]
pub(super) enum Signed<'a> {
    Payload(&'a [u8]),
    Image(&'a Digest),
}

impl<'a> Signed<'a> {
    fn artifact(self) -> Result<Artifact<'a>, Fault> {
        let digest = match self {
            Self::Payload(bytes) => return Ok(Artifact::from_blob(bytes)),
            Self::Image(digest) => digest,
        };
        let algorithm = match digest {
            Digest::Sha256(_) => HashAlgorithm::Sha2256,
            Digest::Sha512(_) => HashAlgorithm::Sha2512,
        };
        let digest = ArtifactDigest::new(algorithm, digest.as_bytes().to_vec()).map_err(Fault::format)?;
        Ok(Artifact::from_digest(digest))
    }
}

/// Reads a bundle that was fetched.
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, Fault> {
    /// The library takes a bundle without a media type for one of version 0.1.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        media_type: String,
    }
    let unreadable =
        |error: &dyn std::fmt::Display| Fault::format(format_args!("it is no readable bundle: {error}"));
    let text = std::str::from_utf8(bytes).map_err(|error| unreadable(&error))?;
    let Head { media_type } = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    if media_type.parse::<MediaType>().is_err() {
        return Err(Fault::unsupported(&format!("it is a bundle of the type `{media_type}`")));
    }
    let bundle = Bundle::from_json(text).map_err(|error| {
        let error = error.to_string();
        match error.split_once("unsupported Rekor entry format: ") {
            Some((_, kind)) => Fault::unsupported(&format!("its log entry is of the kind {kind}")),
            None => unreadable(&error),
        }
    })?;
    let is_single =
        matches!(bundle.verification_material.content, VerificationMaterialContent::Certificate(_));
    if is_single && bundle.media_type != MediaType::Bundle0_3 {
        return Err(Fault::format("it is called a bundle of an older version than what it holds"));
    }
    // Which root counts is not for a bundle to say.
    let chain = certificates(&bundle.verification_material.content);
    if chain.len() > 1 && chain.iter().any(is_root) {
        return Err(Fault::format("it brings a root certificate of its own"));
    }
    let unproven = |entry: &sigstore_verify::types::TransparencyLogEntry| entry.inclusion_proof.is_none();
    if bundle.verification_material.tlog_entries.iter().any(unproven) {
        return Err(Fault::new(Check::Inclusion, "the log's entry has no proof of inclusion"));
    }
    Ok(bundle)
}

/// Whether one of the rule's signers made the bundle.
pub(super) fn check(
    bundle: &Bundle,
    signed: Signed<'_>,
    rule: &Rule,
    root: &Root,
    now: SystemTime,
) -> Result<Verified, Fault> {
    if matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_)) {
        return check_key(bundle, signed, rule, root, now);
    }
    let chain = certificates(&bundle.verification_material.content);
    check_certificate(bundle, &chain, signed, rule, root, now)
}

fn is_root(certificate: &DerCertificate) -> bool {
    x509_cert::Certificate::from_der(certificate.as_bytes())
        .is_ok_and(|certificate| certificate.tbs_certificate.issuer == certificate.tbs_certificate.subject)
}

fn certificates(material: &VerificationMaterialContent) -> Vec<DerCertificate> {
    match material {
        VerificationMaterialContent::Certificate(one) => vec![one.raw_bytes.clone()],
        VerificationMaterialContent::X509CertificateChain { certificates } => {
            certificates.iter().map(|one| one.raw_bytes.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// The identity first: it costs nothing, and a stranger's signature is no fault of the signature.
fn check_certificate(
    bundle: &Bundle,
    chain: &[DerCertificate],
    signed: Signed<'_>,
    rule: &Rule,
    root: &Root,
    now: SystemTime,
) -> Result<Verified, Fault> {
    let leaf = chain.first().ok_or_else(|| Fault::format("it has neither a certificate nor a key"))?;
    let certificate =
        parse_certificate_info(leaf).map_err(|error| Fault::new(Check::Certificate, &error.to_string()))?;
    let signatory = Signatory::of(&certificate);
    let signers = signers_of(&signatory, rule)?;
    // Two domains can have authorities of the same name; what one of them vouches for is vouched for.
    let mut shown = Err(Fault::new(Check::Certificate, "the trust root is empty"));
    for domain in root.domains_of(chain) {
        let found = domain.check(bundle, signed.artifact()?, now);
        if found.is_ok() || shown.is_err() {
            shown = found.map(|time| (domain, time));
        }
        if shown.is_ok() {
            break;
        }
    }
    let (domain, signed_at) = shown.map_err(|fault| match fault.check {
        Check::Lifetime => {
            let (from, to) = (certificate.not_before, certificate.not_after);
            let when = match used_at(&fault.detail, &from) {
                Some(time) => format!(", and was used at {time}"),
                None => format!("; {}", fault.detail),
            };
            Fault::new(Check::Lifetime, &format!("it counts from {from} to {to}{when}"))
        }
        _ => fault,
    })?;
    let (by, name) = (By::Identity(signatory), domain.name.clone());
    Ok(Verified { signers, by, signed_at, logged: domain.has_log, domain: Some(name) })
}

/// When a certificate was used, from what webpki says of it, in the type of times that people can read.
fn used_at<T: TryFrom<SystemTime>>(detail: &str, _like: &T) -> Option<T> {
    let seconds = detail.split_once("UnixTime(")?.1.split_once(')')?.0.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?.try_into().ok()
}

/// The signers of the rule that somebody is.
fn signers_of(signatory: &Signatory, rule: &Rule) -> Result<Vec<usize>, Fault> {
    let mut mismatches = Vec::new();
    let mut signers = Vec::new();
    for (number, identity) in rule.identities() {
        match identity.check(signatory) {
            Ok(()) => signers.push(number),
            Err(mismatch) => mismatches.push(mismatch),
        }
    }
    if !signers.is_empty() {
        return Ok(signers);
    }
    Err(match mismatches.as_slice() {
        [] => Fault::new(
            Check::Key,
            &format!("it is by {signatory}, without a key, and the rule asks for a key"),
        ),
        [only] => Fault::new(Check::Identity, &format!("it is by {signatory}: {}", only.as_str())),
        _ => Fault::new(Check::Identity, &format!("it is by {signatory}")),
    })
}

impl Domain {
    /// Whether this domain vouches for a bundle with a certificate, and since when: by all that it has.
    fn check(
        &self,
        bundle: &Bundle,
        artifact: Artifact<'_>,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, Fault> {
        let mut policy = VerificationPolicy::any_identity();
        if !self.has_log {
            policy = policy.skip_tlog_unsafe();
        }
        if !self.has_certificate_log {
            policy = policy.skip_sct();
        }
        let result = self.verifier.verify(artifact, bundle, &policy)?;
        let all_shown = result.certificate_verified()
            && result.sct_verified() == self.has_certificate_log
            && result.tlog_verified() == self.has_log;
        if !all_shown {
            return Err(Fault::new(Check::Certificate, "not all of its checks were made"));
        }
        time_of(&result, now)
    }
}

fn check_key(
    bundle: &Bundle,
    signed: Signed<'_>,
    rule: &Rule,
    root: &Root,
    now: SystemTime,
) -> Result<Verified, Fault> {
    if rule.keys().next().is_none() {
        return Err(Fault::new(
            Check::Identity,
            "it is signed with a key, and the rule asks for an identity",
        ));
    }
    let mut found = None;
    for (_, key) in rule.keys() {
        if is_signed(bundle, signed, key)? {
            found = Some(key);
            break;
        }
    }
    let Some(key) = found else { return Err(Fault::new(Check::Key, "")) };
    // The same key can stand in a rule by two names.
    let signers: Vec<usize> =
        rule.keys().filter(|(_, other)| other.der() == key.der()).map(|(number, _)| number).collect();
    let by = By::Key { name: key.name().to_owned(), fingerprint: key.fingerprint() };
    match log_of(bundle, root, rule.log)? {
        None => Ok(Verified { signers, by, signed_at: None, logged: false, domain: None }),
        Some(domain) => {
            let policy = PublicKeyVerificationPolicy::new(key.der().clone());
            let result = domain.verifier.verify(signed.artifact()?, bundle, &policy)?;
            let time = time_of(&result, now)?;
            Ok(Verified { signers, by, signed_at: time, logged: true, domain: Some(domain.name.clone()) })
        }
    }
}

/// Whether `key` made the signature, whatever a log says of it.
fn is_signed(bundle: &Bundle, signed: Signed<'_>, key: &PublicKey) -> Result<bool, Fault> {
    let message = match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            return Ok(key.signed(&envelope.pae(), &envelope.signature.sig));
        }
        SignatureContent::MessageSignature(message) => message,
        _ => return Err(Fault::unsupported("it is a bundle with neither a signature nor an envelope")),
    };
    match signed {
        Signed::Payload(payload) => Ok(key.signed(payload, &message.signature)),
        Signed::Image(digest) => {
            if let Some(stated) = &message.message_digest
                && stated.algorithm.digest_size() == digest.as_bytes().len()
                && stated.digest.as_bytes() != digest.as_bytes()
            {
                return Err(Fault::new(
                    Check::Digest,
                    &format!("it is about {}", hex::encode(stated.digest.as_bytes())),
                ));
            }
            key.signed_digest(digest, &message.signature).ok_or_else(|| {
                Fault::unsupported(
                    "a key of this kind signs the manifest itself, of which only the digest is at hand",
                )
            })
        }
    }
}

/// Where a key's signature is to be found in a log. An entry of a log that the trust root does not know says
/// nothing, and is no fault unless a log is asked for; one that it knows has to be right.
fn log_of<'a>(bundle: &Bundle, root: &'a Root, is_asked: bool) -> Result<Option<&'a Domain>, Fault> {
    let entries = &bundle.verification_material.tlog_entries;
    let known = entries.iter().find_map(|entry| root.domain_of_log(entry.log_id.key_id.as_bytes()));
    match (known, entries.is_empty()) {
        (Some(domain), _) => Ok(Some(domain)),
        (None, _) if !is_asked => Ok(None),
        (None, true) => Err(Fault::new(Check::Inclusion, "it is in no log, and the rule asks for one")),
        (None, false) => {
            Err(Fault::new(Check::Inclusion, "the trust root does not know the log that it is in"))
        }
    }
}

/// The earliest time that somebody vouches for; none of them may be yet to come.
fn time_of(result: &VerificationResult, now: SystemTime) -> Result<Option<SystemTime>, Fault> {
    let times = || result.verified_timestamps().iter().map(|time| SystemTime::from(*time));
    if times().any(|time| time > now) {
        return Err(Fault::new(Check::Time, "it was made in the future"));
    }
    Ok(times().min())
}

#[cfg(test)]
mod tests;
