//! A small world of its own for tests: an authority, a certificate log, a transparency log and a clock, all made on the
//! spot, and what they vouch for. Everything is JSON and text, as a registry has it, so that a test can change any byte.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber, SigningKey as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};

use super::{Found, Identity, Matcher, Proof, PublicKey, Root, Rule, Signer};
use crate::oci::Digest;

/// 2024-01-01T00:00:00Z; all times of the world are minutes after it.
const START: u64 = 1_704_067_200;

pub(super) const ISSUER: &str = "https://accounts.example.com";
pub(super) const SUBJECT: &str = "release@example.com";

/// The name of the image that everything is about.
pub(super) fn image() -> Digest {
    Digest::sha256(b"the image's manifest")
}

/// A year after everything was made.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + 365 * 24 * 3600)
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn unbase64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

/// Changes one character of a base64 text so that it stays base64 and says something else.
pub(super) fn flip(text: &str) -> String {
    let mut bytes = unbase64(text);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    base64(bytes)
}

/// The authorities of a world.
pub(super) struct World {
    root: CertifiedIssuer<'static, KeyPair>,
    pub(super) intermediate: CertifiedIssuer<'static, KeyPair>,
    certificate_log: KeyPair,
    log: KeyPair,
    clock_issuer: CertifiedIssuer<'static, KeyPair>,
    clock: KeyPair,
    clock_certificate: Vec<u8>,
}

/// Whom a certificate is for.
#[derive(Clone)]
pub(super) struct Who {
    pub(super) subject: SanType,
    /// Extensions below Fulcio's arc, by their last number.
    pub(super) extensions: Vec<(u64, String)>,
    /// When it is alive, in minutes.
    pub(super) alive: (u64, u64),
    pub(super) has_certificate_log: bool,
}

impl Default for Who {
    fn default() -> Self {
        Self {
            subject: SanType::Rfc822Name(SUBJECT.try_into().expect("an address")),
            extensions: vec![(8, ISSUER.to_owned())],
            alive: (0, 10),
            has_certificate_log: true,
        }
    }
}

/// A certificate with its key.
pub(super) struct Leaf {
    pub(super) der: Vec<u8>,
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

/// What a log says of an entry.
pub(super) struct Entry {
    kind: (&'static str, &'static str),
    body: Vec<u8>,
    promise: Vec<u8>,
    minute: u64,
}

const INDEX: u64 = 7;

fn params(name: &str, alive: (u64, u64)) -> CertificateParams {
    let time = |minute: u64| {
        let seconds = i64::try_from(START + minute * 60).expect("a time");
        time::OffsetDateTime::from_unix_timestamp(seconds).expect("a time")
    };
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (time(alive.0), time(alive.1));
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, (0, 10_000_000));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn spki(key: &KeyPair) -> Vec<u8> {
    key.subject_public_key_info()
}

fn id_of(key: &KeyPair) -> [u8; 32] {
    Sha256::digest(spki(key)).into()
}

fn sign(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    key.sign(message).expect("a signature")
}

/// A value in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..128 => bytes.push(u8::try_from(length).expect("short")),
        128..256 => bytes.extend([0x81, u8::try_from(length).expect("short")]),
        _ => {
            bytes.push(0x82);
            bytes.extend(u16::try_from(length).expect("not long").to_be_bytes());
        }
    }
    bytes.extend(content);
    bytes
}

fn oid(text: &str) -> Vec<u8> {
    ObjectIdentifier::new_unwrap(text).to_der().expect("an OID")
}

impl World {
    pub(super) fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority("root"), key()).expect("a root");
        let mut between = authority("intermediate");
        between.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let intermediate = CertifiedIssuer::signed_by(between, key(), &root).expect("an issuer");
        let clock_issuer = CertifiedIssuer::self_signed(authority("clock root"), key()).expect("a root");
        let mut clock_params = params("clock", (0, 10_000_000));
        clock_params.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        clock_params.serial_number = Some(SerialNumber::from(vec![42]));
        let clock = key();
        let clock_certificate =
            clock_params.signed_by(&clock, &clock_issuer).expect("a certificate").der().to_vec();
        Self {
            root,
            intermediate,
            certificate_log: key(),
            log: key(),
            clock_issuer,
            clock,
            clock_certificate,
        }
    }

    /// The trust root as JSON, with the intermediate among the authorities, as sigstore's has it.
    pub(super) fn root_json(&self) -> Value {
        let since = json!({"start": "2020-01-01T00:00:00Z"});
        let log = |key: &KeyPair| {
            json!({
                "baseUrl": "https://log.example.com",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": base64(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since,
                },
                "logId": {"keyId": base64(id_of(key))},
            })
        };
        let chain = |certificates: &[&[u8]]| {
            let certificates: Vec<Value> =
                certificates.iter().map(|der| json!({"rawBytes": base64(der)})).collect();
            json!({"uri": "https://ca.example.com", "certChain": {"certificates": certificates}, "validFor": since})
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log)],
            "certificateAuthorities": [chain(&[self.intermediate.der(), self.root.der()])],
            "ctlogs": [log(&self.certificate_log)],
            "timestampAuthorities": [chain(&[&self.clock_certificate, self.clock_issuer.der()])],
        })
    }

    pub(super) fn root(&self) -> Root {
        Root::from_json("test", &self.root_json().to_string(), None).expect("a trust root")
    }

    pub(super) fn leaf(&self, who: &Who) -> Leaf {
        let mut params = params("leaf", who.alive);
        params.serial_number = Some(SerialNumber::from(vec![7]));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.subject_alt_names = vec![who.subject.clone()];
        params.custom_extensions = who
            .extensions
            .iter()
            .map(|(number, text)| {
                let content = der(0x0c, &[text.as_bytes()]);
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, *number], content)
            })
            .collect();
        let key = key();
        if who.has_certificate_log {
            let before = params.signed_by(&key, &self.intermediate).expect("a certificate");
            let stamp = self.certificate_stamp(before.der());
            let list = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], stamp);
            params.custom_extensions.push(list);
        }
        let certificate = params.signed_by(&key, &self.intermediate).expect("a certificate");
        Leaf { der: certificate.der().to_vec(), pem: certificate.pem(), key }
    }

    /// The SCT list for a certificate that has none yet (RFC 6962, section 3.3), as the extension's content.
    fn certificate_stamp(&self, before: &[u8]) -> Vec<u8> {
        let certificate = x509_cert::Certificate::from_der(before).expect("a certificate");
        let tbs = certificate.tbs_certificate.to_der().expect("a certificate");
        let time = ((START + 60) * 1000).to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend(time);
        signed.extend([0, 1]);
        signed.extend(id_of(self.intermediate.key()));
        signed.extend(&u32::try_from(tbs.len()).expect("short").to_be_bytes()[1..]);
        signed.extend(&tbs);
        signed.extend([0, 0]);
        let signature = sign(&self.certificate_log, &signed);
        let prefixed =
            |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat();
        let stamp = [&[0][..], &id_of(&self.certificate_log), &time, &[0, 0], &[4, 3], &prefixed(&signature)]
            .concat();
        der(0x04, &[&prefixed(&prefixed(&stamp))])
    }

    /// A log's entry for a signature over something with this digest.
    pub(super) fn entry(&self, digest: &Digest, signature: &[u8], verifier_pem: &str, minute: u64) -> Entry {
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
                "signature": {"content": base64(signature), "publicKey": {"content": base64(verifier_pem)}},
            },
        });
        self.entry_of(("hashedrekord", "0.0.1"), body.to_string().into_bytes(), minute)
    }

    /// A log's entry for a DSSE envelope.
    pub(super) fn envelope_entry(
        &self,
        payload: &[u8],
        signature: &[u8],
        verifier_pem: &str,
        minute: u64,
    ) -> Entry {
        let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": Digest::sha256(bytes).hex()});
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": hash(b"as it was sent"),
                "payloadHash": hash(payload),
                "signatures": [{"signature": base64(signature), "verifier": base64(verifier_pem)}],
            },
        });
        self.entry_of(("dsse", "0.0.1"), body.to_string().into_bytes(), minute)
    }

    pub(super) fn entry_of(&self, kind: (&'static str, &'static str), body: Vec<u8>, minute: u64) -> Entry {
        let promised = format!(
            r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{INDEX}}}"#,
            base64(&body),
            START + minute * 60,
            hex::encode(id_of(&self.log))
        );
        Entry { kind, promise: sign(&self.log, promised.as_bytes()), body, minute }
    }

    /// The entry as cosign writes it into the annotation `dev.sigstore.cosign/bundle`.
    pub(super) fn annotation(&self, entry: &Entry) -> Value {
        json!({
            "SignedEntryTimestamp": base64(&entry.promise),
            "Payload": {
                "body": base64(&entry.body),
                "integratedTime": START + entry.minute * 60,
                "logIndex": INDEX,
                "logID": hex::encode(id_of(&self.log)),
            },
        })
    }

    /// The entry as bundles have it, with a proof of inclusion in a log of two entries (RFC 6962, section 2.1).
    pub(super) fn proven(&self, entry: &Entry) -> Value {
        let leaf = |body: &[u8]| Sha256::digest([&[0], body].concat());
        let sibling = leaf(b"another entry");
        let top = Sha256::digest([&[1][..], &sibling, &leaf(&entry.body)].concat());
        let note = format!("log.example.com\n2\n{}\n", base64(top));
        let signature = [&id_of(&self.log)[..4], &sign(&self.log, note.as_bytes())].concat();
        json!({
            "logIndex": INDEX.to_string(),
            "logId": {"keyId": base64(id_of(&self.log))},
            "kindVersion": {"kind": entry.kind.0, "version": entry.kind.1},
            "integratedTime": (START + entry.minute * 60).to_string(),
            "inclusionPromise": {"signedEntryTimestamp": base64(&entry.promise)},
            "inclusionProof": {
                "logIndex": "1",
                "treeSize": "2",
                "rootHash": base64(top),
                "hashes": [base64(sibling)],
                "checkpoint": {"envelope": format!("{note}\n\u{2014} log.example.com {}\n", base64(signature))},
            },
            "canonicalizedBody": base64(&entry.body),
        })
    }

    /// What the clock says of a signature (RFC 3161): that it was there at this minute of the first hour.
    pub(super) fn stamp(&self, signature: &[u8], minute: u64) -> Vec<u8> {
        const SHA256: &str = "2.16.840.1.101.3.4.2.1";
        const STAMP: &str = "1.2.840.113549.1.9.16.1.4";
        let sha256 = der(0x30, &[&oid(SHA256)]);
        let stamp = der(
            0x30,
            &[
                &[2, 1, 1],
                &oid("1.2.3.4"),
                &der(0x30, &[&sha256, &der(0x04, &[&Sha256::digest(signature)])]),
                &[2, 1, 1],
                &der(0x18, &[format!("2024010100{minute:02}00Z").as_bytes()]),
            ],
        );
        let attribute = |name: &str, value: Vec<u8>| der(0x30, &[&oid(name), &der(0x31, &[&value])]);
        let attributes = [
            attribute("1.2.840.113549.1.9.3", oid(STAMP)),
            attribute("1.2.840.113549.1.9.4", der(0x04, &[&Sha256::digest(&stamp)])),
        ]
        .concat();
        let certificate = x509_cert::Certificate::from_der(&self.clock_certificate).expect("a certificate");
        let issuer = certificate.tbs_certificate.issuer.to_der().expect("a name");
        let signer = der(
            0x30,
            &[
                &[2, 1, 1],
                &der(0x30, &[&issuer, &[2, 1, 42]]),
                &sha256,
                &der(0xa0, &[&attributes]),
                &der(0x30, &[&oid("1.2.840.10045.4.3.2")]),
                &der(0x04, &[&sign(&self.clock, &der(0x31, &[&attributes]))]),
            ],
        );
        let content = der(0x30, &[&oid(STAMP), &der(0xa0, &[&der(0x04, &[&stamp])])]);
        let inner = der(0x30, &[&[2, 1, 3], &der(0x31, &[&sha256]), &content, &der(0x31, &[&signer])]);
        der(0x30, &[&oid("1.2.840.113549.1.7.2"), &der(0xa0, &[&inner])])
    }

    /// A `.sig` layer, signed without a key at minute 5.
    pub(super) fn sig(&self, leaf: &Leaf, payload: &[u8]) -> BTreeMap<String, String> {
        let signature = sign(&leaf.key, payload);
        let entry = self.entry(&Digest::sha256(payload), &signature, &leaf.pem, 5);
        let mut annotations = key_annotations(&leaf.key, payload);
        annotations.insert("dev.cosignproject.cosign/signature".into(), base64(&signature));
        annotations.insert("dev.sigstore.cosign/certificate".into(), leaf.pem.clone());
        annotations.insert("dev.sigstore.cosign/chain".into(), self.chain());
        annotations.insert("dev.sigstore.cosign/bundle".into(), self.annotation(&entry).to_string());
        annotations
    }

    /// The authorities in PEM, as cosign writes them beside a certificate.
    pub(super) fn chain(&self) -> String {
        format!("{}\n{}", self.intermediate.pem(), self.root.pem())
    }

    /// A bundle of version 0.3 with a DSSE envelope of this payload, made at minute 5.
    pub(super) fn envelope_bundle(&self, leaf: &Leaf, payload: &[u8]) -> Value {
        let signature = sign(&leaf.key, &pae(payload));
        let entry = self.envelope_entry(payload, &signature, &leaf.pem, 5);
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": base64(&leaf.der)},
                "tlogEntries": [self.proven(&entry)],
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{"signedTimestamp": base64(self.stamp(&signature, 5))}],
                },
            },
            "dsseEnvelope": envelope(payload, &signature),
        })
    }

    /// A bundle of version 0.3 with a signature over the image's manifest, made at minute 5.
    pub(super) fn message_bundle(&self, leaf: &Leaf) -> Value {
        let signature = sign(&leaf.key, b"the image's manifest");
        let entry = self.entry(&image(), &signature, &leaf.pem, 5);
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": base64(&leaf.der)},
                "tlogEntries": [self.proven(&entry)],
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": base64(image().as_bytes())},
                "signature": base64(&signature),
            },
        })
    }
}

/// A `.sig` layer's annotations, signed with a key.
pub(super) fn key_annotations(key: &KeyPair, payload: &[u8]) -> BTreeMap<String, String> {
    BTreeMap::from([("dev.cosignproject.cosign/signature".into(), base64(sign(key, payload)))])
}

/// A DSSE envelope with one signature.
pub(super) fn envelope(payload: &[u8], signature: &[u8]) -> Value {
    json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64(payload),
        "signatures": [{"sig": base64(signature)}],
    })
}

/// What a DSSE envelope's signature is over.
pub(super) fn pae(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    [head.as_bytes(), payload].concat()
}

/// cosign's payload for an image.
pub(super) fn payload(digest: &Digest) -> Vec<u8> {
    json!({
        "critical": {
            "identity": {"docker-reference": "registry.example.com/app"},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
    .into_bytes()
}

/// An in-toto statement about an image.
pub(super) fn statement(digest: &Digest, kind: &str, predicate: &Value) -> Vec<u8> {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": digest.hex()}}],
        "predicateType": kind,
        "predicate": predicate,
    })
    .to_string()
    .into_bytes()
}

pub(super) fn cosign(payload: Vec<u8>, annotations: BTreeMap<String, String>) -> Found {
    Found { place: "sha256-1.sig".into(), proof: Proof::Cosign { payload, annotations } }
}

pub(super) fn bundle(bundle: &Value) -> Found {
    Found { place: "referrer".into(), proof: Proof::Bundle(bundle.to_string().into_bytes()) }
}

/// A rule that asks for [`SUBJECT`] of [`ISSUER`].
pub(super) fn rule() -> Rule {
    Rule::any_of(vec![who(SUBJECT, ISSUER)])
}

pub(super) fn who(subject: &str, issuer: &str) -> Signer {
    let subject = Matcher::exact(subject).expect("a subject");
    Signer::Identity(Identity::new(issuer, Some(subject), None).expect("an identity"))
}

pub(super) fn public(name: &str, key: &KeyPair) -> Signer {
    Signer::Key(PublicKey::from_pem(name, &key.public_key_pem()).expect("a key"))
}

/// A world's trust root without the element of an array at this place.
pub(super) fn root_without(world: &World, pointer: &str) -> Root {
    let mut json = world.root_json();
    let (array, place) = pointer.rsplit_once('/').expect("a place");
    let array = json.pointer_mut(array).and_then(Value::as_array_mut).expect("an array");
    array.remove(place.parse().expect("a number"));
    Root::from_json("test", &json.to_string(), None).expect("a trust root")
}
