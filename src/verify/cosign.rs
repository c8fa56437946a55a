//! cosign's older form: what stands in the annotations of `.sig` and `.att` layers, as a sigstore bundle.
//!
//! The log's answer in `dev.sigstore.cosign/bundle` has its promise (SET) and no proof of inclusion, which is what a
//! bundle of version 0.1 may have. Only here is one made that has no proof: of bundles that were fetched, each entry
//! needs one.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use sigstore_verify::types::bundle::{
    InclusionPromise, KindVersion, LogId, MessageDigest, MessageSignature, PublicKeyIdentifier,
    Rfc3161Timestamp, TimestampVerificationData, TransparencyLogEntry, VerificationMaterial,
    VerificationMaterialContent, X509Certificate,
};
use sigstore_verify::types::{
    Bundle, CanonicalizedBody, DerCertificate, DigestBytes, DsseEnvelope, HashAlgorithm, LogIndex, LogKeyId,
    MediaType, SignatureBytes, SignatureContent, SignedTimestamp, TimestampToken,
};

use super::fault::{Check, Fault};
use crate::oci::Digest;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const LOG: &str = "dev.sigstore.cosign/bundle";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// The largest annotation, in bytes.
const LARGEST: usize = 512 * 1024;

/// No chain has more certificates than this.
const LONGEST_CHAIN: usize = 8;

type Annotations = BTreeMap<String, String>;

/// The bundle of a `.sig` layer with this payload.
pub(super) fn of_signature(payload: &[u8], annotations: &Annotations) -> Result<Bundle, Fault> {
    let text = annotation(annotations, SIGNATURE)?
        .ok_or_else(|| Fault::format(format_args!("it has no annotation `{SIGNATURE}`")))?;
    let signature = MessageSignature::new(SignatureBytes::new(decode(SIGNATURE, text)?)).with_message_digest(
        MessageDigest::new(
            HashAlgorithm::Sha2256,
            DigestBytes::new(Digest::sha256(payload).as_bytes().to_vec()),
        ),
    );
    of_content(SignatureContent::MessageSignature(signature), annotations)
}

/// The bundle of an `.att` layer with this DSSE envelope.
pub(super) fn of_envelope(envelope: &[u8], annotations: &Annotations) -> Result<Bundle, Fault> {
    let envelope: DsseEnvelope = serde_json::from_slice(envelope)
        .map_err(|error| Fault::format(format_args!("its envelope is not readable: {error}")))?;
    of_content(SignatureContent::DsseEnvelope(envelope), annotations)
}

fn of_content(content: SignatureContent, annotations: &Annotations) -> Result<Bundle, Fault> {
    let material = match annotation(annotations, CERTIFICATE)? {
        None => VerificationMaterialContent::PublicKey(PublicKeyIdentifier::new("")),
        Some(text) => {
            let mut certificates = certificates(CERTIFICATE, text)?;
            if certificates.len() != 1 {
                return Err(Fault::format(format_args!("`{CERTIFICATE}` is not one certificate")));
            }
            if let Some(text) = annotation(annotations, CHAIN)? {
                certificates.extend(self::certificates(CHAIN, text)?);
            }
            VerificationMaterialContent::X509CertificateChain { certificates }
        }
    };
    let entry = annotation(annotations, LOG)?.map(log_entry).transpose()?;
    // Where no log answered there is no promise, which version 0.1 demands.
    let version = if entry.is_some() { MediaType::Bundle0_1 } else { MediaType::Bundle0_2 };
    let stamps = annotation(annotations, TIMESTAMP)?.map(time_stamp).transpose()?;
    let material = VerificationMaterial::new(material)
        .with_tlog_entries(entry.into_iter().collect())
        .with_timestamp_verification_data(TimestampVerificationData::new(stamps.into_iter().collect()));
    Ok(Bundle::new(version, material, content))
}

/// An annotation's text; one that is empty says as much as none.
fn annotation<'a>(annotations: &'a Annotations, key: &str) -> Result<Option<&'a str>, Fault> {
    match annotations.get(key).map(String::as_str) {
        None | Some("") => Ok(None),
        Some(text) if text.len() > LARGEST => {
            Err(Fault::new(Check::Size, &format!("its annotation `{key}` has {} bytes", text.len())))
        }
        Some(text) => Ok(Some(text)),
    }
}

fn decode(key: &str, text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text).map_err(|error| Fault::format(format_args!("`{key}` is not base64: {error}")))
}

fn parse<'a, T: Deserialize<'a>>(key: &str, text: &'a str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|error| Fault::format(format_args!("`{key}` is not readable: {error}")))
}

fn certificates(key: &str, text: &str) -> Result<Vec<X509Certificate>, Fault> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes())
        .take(LONGEST_CHAIN + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Fault::format(format_args!("`{key}` is no PEM: {error:?}")))?;
    if found.is_empty() || found.len() > LONGEST_CHAIN {
        return Err(Fault::format(format_args!("`{key}` has not one to {LONGEST_CHAIN} certificates")));
    }
    Ok(found.into_iter().map(|der| X509Certificate::new(DerCertificate::from_bytes(&der))).collect())
}

/// What Rekor answered when the signature was made.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    signed_entry_timestamp: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    body: String,
    integrated_time: u64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    kind: String,
    api_version: String,
}

fn log_entry(text: &str) -> Result<TransparencyLogEntry, Fault> {
    let Answer { signed_entry_timestamp, payload } = parse(LOG, text)?;
    let body = decode(LOG, &payload.body)?;
    let Body { kind, api_version } = serde_json::from_slice(&body)
        .map_err(|error| Fault::format(format_args!("the log's entry is not readable: {error}")))?;
    let kind = match (kind.as_str(), api_version.as_str()) {
        ("hashedrekord", "0.0.1") => KindVersion::HashedRekordV001,
        ("dsse", "0.0.1") => KindVersion::DsseV001,
        ("intoto", "0.0.2") => KindVersion::IntotoV002,
        _ => return Err(Fault::unsupported(&format!("its log entry is of the kind `{kind}` {api_version}"))),
    };
    let index = LogIndex::new(payload.log_index).map_err(Fault::format)?;
    let log_id = hex::decode(&payload.log_id)
        .map_err(|error| Fault::format(format_args!("the log's id is no hex: {error}")))?;
    let time = SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(payload.integrated_time))
        .and_then(|time| time.try_into().ok())
        .ok_or_else(|| Fault::format("the log's time is no time"))?;
    let promise = InclusionPromise::new(SignedTimestamp::new(decode(LOG, &signed_entry_timestamp)?));
    let id = LogId::new(LogKeyId::new(log_id));
    Ok(TransparencyLogEntry::new(index, id, kind, CanonicalizedBody::new(body))
        .with_integrated_time(time)
        .with_inclusion_promise(promise))
}

#[derive(Deserialize)]
struct Stamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    token: String,
}

fn time_stamp(text: &str) -> Result<Rfc3161Timestamp, Fault> {
    let Stamp { token } = parse(TIMESTAMP, text)?;
    Ok(Rfc3161Timestamp::new(TimestampToken::new(decode(TIMESTAMP, &token)?)))
}

#[cfg(test)]
mod tests;
