//! Bundles that were fetched, good and tampered with.

use serde_json::{Value, json};

use super::super::sample::{
    Leaf, Who, World, base64, bundle, envelope, flip, image, now, pae, public, root_without, rule, statement,
    who,
};
use super::super::{Check, Judgement, Reason, Rule, Wanted, What, judge};
use super::*;

const PROOF: &str = "/verificationMaterial/tlogEntries/0/inclusionProof";
const STAMP: &str = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// A good bundle as cosign 3 makes it, in a world of its own.
struct Case {
    world: World,
    leaf: Leaf,
    bundle: Value,
}

impl Case {
    fn new() -> Self {
        let world = World::new();
        let leaf = world.leaf(&Who::default());
        let bundle = world.envelope_bundle(&leaf, &statement(&image(), COSIGN_SIGN, &json!({})));
        Self { world, leaf, bundle }
    }

    fn change(mut self, pointer: &str, change: impl FnOnce(&Value) -> Value) -> Self {
        let value = self.bundle.pointer_mut(pointer).expect(pointer);
        let changed = change(value);
        assert_ne!(*value, changed, "nothing was changed");
        *value = changed;
        self
    }

    fn flip(self, pointer: &str) -> Self {
        self.change(pointer, |text| json!(flip(text.as_str().expect("a text"))))
    }

    fn remove(mut self, pointer: &str) -> Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a place");
        let parent = self.bundle.pointer_mut(parent).and_then(Value::as_object_mut).expect(pointer);
        assert!(parent.remove(key).is_some(), "nothing was removed");
        self
    }

    fn judge(&self) -> Judgement {
        judge(&image(), &[bundle(&self.bundle)], &rule(), &self.world.root(), now())
    }

    fn fails(&self) -> Check {
        failed(self.judge()).fault.check
    }
}

fn failed(judgement: Judgement) -> Reason {
    let Judgement::Refused(mut reasons) = judgement else { panic!("{judgement:?}") };
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.remove(0)
}

fn accepted(judgement: Judgement) -> What {
    let Judgement::Accepted(mut accepted) = judgement else { panic!("{judgement:?}") };
    assert_eq!(accepted.evidence.len(), 1, "{accepted:?}");
    accepted.evidence.remove(0).what
}

#[test]
fn signatures_in_both_forms_are_accepted() {
    let case = Case::new();
    assert_eq!(accepted(case.judge()), What::Signature { repository: None });
    let message = case.world.message_bundle(&case.leaf);
    let judgement = judge(&image(), &[bundle(&message)], &rule(), &case.world.root(), now());
    assert_eq!(accepted(judgement), What::Signature { repository: None });
}

/// A bundle of an older version: with a chain in place of a single certificate.
fn older(version: &str) -> Case {
    let mut case = Case::new();
    case.bundle["mediaType"] = json!(format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
    let material = case.bundle["verificationMaterial"].as_object_mut().expect("an object");
    let single = material.remove("certificate");
    material.insert("x509CertificateChain".into(), json!({"certificates": [single]}));
    case
}

/// A promise alone is enough for what cosign's annotations hold, not for a bundle that was fetched.
#[test]
fn older_versions_need_a_proof_too() {
    for version in ["0.1", "0.2"] {
        accepted(older(version).judge());
        assert_eq!(older(version).remove(PROOF).fails(), Check::Inclusion);
    }
    assert_eq!(older("0.3").fails(), Check::Format);
}

/// Which root counts is the operator's to say, even where it is the same one.
#[test]
fn a_bundle_brings_no_root_of_its_own() {
    for (place, is_root) in [(0, false), (1, true)] {
        let case = older("0.1");
        let authorities =
            case.world.root_json()["certificateAuthorities"][0]["certChain"]["certificates"].clone();
        let certificates = "/verificationMaterial/x509CertificateChain/certificates";
        let case = case.change(certificates, |leaf| json!([leaf[0], authorities[place]]));
        if is_root {
            assert_eq!(case.fails(), Check::Format);
        } else {
            accepted(case.judge());
        }
    }
}

/// The version in the media type decides which checks there are, so that it must not be lowered.
#[test]
fn a_bundle_cannot_be_called_an_older_one() {
    for version in ["0.1", "0.2"] {
        let older = json!(format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
        assert_eq!(Case::new().change("/mediaType", |_| older.clone()).fails(), Check::Format);
        assert_eq!(Case::new().change("/mediaType", |_| older).remove(PROOF).fails(), Check::Format);
    }
    assert_eq!(Case::new().remove("/mediaType").fails(), Check::Format);
    for other in ["application/vnd.dev.sigstore.bundle.v0.4+json", "application/json", ""] {
        assert_eq!(Case::new().change("/mediaType", |_| json!(other)).fails(), Check::Supported, "{other}");
    }
}

#[test]
fn what_was_changed_is_not_signed() {
    assert_eq!(Case::new().flip("/dsseEnvelope/signatures/0/sig").fails(), Check::Time);
    let unstamped = || Case::new().remove("/verificationMaterial/timestampVerificationData");
    assert_eq!(unstamped().flip("/dsseEnvelope/signatures/0/sig").fails(), Check::Signature);
    let other = base64(statement(&image(), COSIGN_SIGN, &json!({"changed": true})));
    assert_eq!(unstamped().change("/dsseEnvelope/payload", |_| json!(other)).fails(), Check::Signature);
    let case = unstamped();
    let message = case.world.message_bundle(&case.leaf);
    let case = Case { bundle: message, ..case };
    assert_eq!(case.flip("/messageSignature/signature").fails(), Check::Signature);
}

#[test]
fn what_is_about_another_image_is_not_about_this_one() {
    let other = Digest::sha256(b"another image");
    let case = Case::new();
    let about_other = case.world.envelope_bundle(&case.leaf, &statement(&other, COSIGN_SIGN, &json!({})));
    let reason = failed(judge(&image(), &[bundle(&about_other)], &rule(), &case.world.root(), now()));
    assert_eq!(reason.fault.to_string(), format!("it is not about this image: it is about {other}"));
    // A message's digest that is right does not help if the signature is over something else.
    let message = case.world.message_bundle(&case.leaf);
    let check = |bundle_of: &Value, subject: &Digest| {
        failed(judge(subject, &[bundle(bundle_of)], &rule(), &case.world.root(), now())).fault.check
    };
    assert_eq!(check(&message, &other), Check::Digest);
    let mut lies = message;
    lies["messageSignature"]["messageDigest"]["digest"] = json!(base64(other.as_bytes()));
    assert_eq!(check(&lies, &other), Check::Signature);
}

#[test]
fn certificates_are_checked_up_to_the_trust_root() {
    const CERTIFICATE: &str = "/verificationMaterial/certificate/rawBytes";
    assert_eq!(Case::new().flip(CERTIFICATE).fails(), Check::Certificate);
    let case = Case::new();
    let other = base64(&case.world.leaf(&Who::default()).der);
    assert_eq!(case.change(CERTIFICATE, |_| json!(other)).fails(), Check::Signature);
    let case = Case::new();
    let root = root_without(&case.world, "/certificateAuthorities/0/certChain/certificates/0");
    let judgement = judge(&image(), &[bundle(&case.bundle)], &rule(), &root, now());
    assert_eq!(failed(judgement).fault.check, Check::Certificate);
    let case = Case::new();
    let leaf = case.world.leaf(&Who { has_certificate_log: false, ..Who::default() });
    let without = case.world.envelope_bundle(&leaf, &statement(&image(), COSIGN_SIGN, &json!({})));
    assert_eq!(Case { bundle: without, ..case }.fails(), Check::CertificateLog);
}

#[test]
fn the_logs_promise_proof_and_checkpoint_are_checked() {
    let entry = "/verificationMaterial/tlogEntries/0";
    let unstamped = || Case::new().remove("/verificationMaterial/timestampVerificationData");
    let promise = format!("{entry}/inclusionPromise/signedEntryTimestamp");
    assert_eq!(Case::new().flip(&promise).fails(), Check::Promise);
    assert_eq!(
        Case::new().change(&format!("{entry}/integratedTime"), |_| json!("1704067260")).fails(),
        Check::Promise
    );
    assert_eq!(Case::new().remove(PROOF).fails(), Check::Inclusion);
    assert_eq!(Case::new().flip(&format!("{PROOF}/hashes/0")).fails(), Check::Inclusion);
    assert_eq!(Case::new().change(&format!("{PROOF}/logIndex"), |_| json!("0")).fails(), Check::Inclusion);
    assert_eq!(Case::new().change(&format!("{PROOF}/logIndex"), |_| json!("2")).fails(), Check::Inclusion);
    assert_eq!(Case::new().flip(&format!("{PROOF}/rootHash")).fails(), Check::Checkpoint);
    let checkpoint = format!("{PROOF}/checkpoint/envelope");
    let change = |from: &'static str, to: &'static str| {
        Case::new().change(&checkpoint, |text| json!(text.as_str().expect("a text").replacen(from, to, 1)))
    };
    assert_eq!(change("log.example.com\n2", "log.example.com\n3").fails(), Check::Checkpoint);
    assert_eq!(change("log.example.com\n", "log.example.org\n").fails(), Check::Checkpoint);
    assert_eq!(Case::new().remove(&format!("{PROOF}/checkpoint")).fails(), Check::Checkpoint);
    // The proof of one entry is none of another: without the promise the body is bound by the proof alone.
    let case = unstamped();
    let other = case.world.envelope_bundle(&case.leaf, &statement(&image(), COSIGN_SIGN, &json!({"n": 1})));
    let body = other.pointer(&format!("{entry}/canonicalizedBody")).expect("a body").clone();
    let case = Case::new().remove(&format!("{entry}/inclusionPromise"));
    assert_eq!(case.change(&format!("{entry}/canonicalizedBody"), |_| body).fails(), Check::Inclusion);
    // An entry that is proven and about something else.
    let case = unstamped();
    let others = other_entry(&case);
    assert_eq!(case.change(entry, |_| others).fails(), Check::Entry);
}

/// A proven entry of the same signer about another statement.
fn other_entry(case: &Case) -> Value {
    let other = case.world.envelope_bundle(&case.leaf, &statement(&image(), COSIGN_SIGN, &json!({"n": 1})));
    other.pointer("/verificationMaterial/tlogEntries/0").expect("an entry").clone()
}

/// Each entry of a bundle has to be right: a good one does not carry a bad one.
#[test]
fn a_good_entry_does_not_carry_others() {
    let entries = "/verificationMaterial/tlogEntries";
    let case = Case::new();
    let other = other_entry(&case);
    let both = |first: &Value| json!([first[0], other]);
    assert_eq!(case.change(entries, both).fails(), Check::Entry);
    let case = Case::new();
    let unproven = |first: &Value| {
        let mut second = first[0].clone();
        second.as_object_mut().expect("an entry").remove("inclusionProof");
        json!([first[0], second])
    };
    assert_eq!(case.change(entries, unproven).fails(), Check::Inclusion);
    assert_eq!(Case::new().change(entries, |_| json!([])).fails(), Check::Inclusion);
}

#[test]
fn a_log_that_the_trust_root_does_not_know_says_nothing() {
    let case = Case::new();
    let mut root = case.world.root_json();
    root["tlogs"] = World::new().root_json()["tlogs"].clone();
    let root = Root::from_json("test", &root.to_string(), None).expect("a root");
    let judgement = judge(&image(), &[bundle(&case.bundle)], &rule(), &root, now());
    assert_eq!(failed(judgement).fault.check, Check::Promise);
    let case = case.remove("/verificationMaterial/tlogEntries/0/inclusionPromise");
    let judgement = judge(&image(), &[bundle(&case.bundle)], &rule(), &root, now());
    assert_eq!(failed(judgement).fault.check, Check::Checkpoint);
}

#[test]
fn time_stamps_are_checked_and_say_when() {
    let stamp_of = |stamp: fn(&Case, &[u8]) -> Vec<u8>| {
        let case = Case::new();
        let signature = case.bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().expect("a text");
        let signature = super::super::sample::unbase64(signature);
        let token = base64(stamp(&case, &signature));
        case.change(STAMP, |_| json!(token))
    };
    accepted(stamp_of(|case, signature| case.world.stamp(signature, 4)).judge());
    assert_eq!(stamp_of(|case, _| case.world.stamp(b"another", 5)).fails(), Check::Time);
    assert_eq!(stamp_of(|_, signature| World::new().stamp(signature, 5)).fails(), Check::Time);
    assert_eq!(stamp_of(|case, signature| case.world.stamp(signature, 11)).fails(), Check::Lifetime);
    assert_eq!(Case::new().flip(STAMP).fails(), Check::Time);
    // Without a promise the log's time is nobody's word: then a clock has to say when it was.
    let unpromised = || Case::new().remove("/verificationMaterial/tlogEntries/0/inclusionPromise");
    accepted(unpromised().judge());
    assert_eq!(unpromised().remove("/verificationMaterial/timestampVerificationData").fails(), Check::Time);
}

#[test]
fn the_certificate_says_who_it_was() {
    let check = |signer| {
        let case = Case::new();
        failed(judge(
            &image(),
            &[bundle(&case.bundle)],
            &Rule::any_of(vec![signer]),
            &case.world.root(),
            now(),
        ))
    };
    let reason = check(who("other@example.com", super::super::sample::ISSUER));
    assert_eq!(
        reason.to_string(),
        "referrer: it is by nobody whom the rule names: it is by `release@example.com` (issuer \
         https://accounts.example.com): the identity differs"
    );
    assert!(
        check(who(super::super::sample::SUBJECT, "https://example.com"))
            .to_string()
            .ends_with("the issuer differs")
    );
    let key = rcgen::KeyPair::generate().expect("a key");
    assert_eq!(check(public("cosign.pub", &key)).fault.check, Check::Key);
}

/// Certificates of an honest authority for people whose names only look like the one that is asked for.
#[test]
fn certificates_of_look_alikes_are_others() {
    use super::super::sample::{ISSUER, SUBJECT};
    let world = World::new();
    let check = |subject: &str, issuer: &str| {
        let who = Who {
            subject: rcgen::SanType::Rfc822Name(subject.try_into().expect("ASCII")),
            extensions: vec![(8, issuer.to_owned())],
            ..Who::default()
        };
        let leaf = world.leaf(&who);
        let bundle_of = world.envelope_bundle(&leaf, &statement(&image(), COSIGN_SIGN, &json!({})));
        judge(&image(), &[bundle(&bundle_of)], &rule(), &world.root(), now())
    };
    accepted(check(SUBJECT, ISSUER));
    for subject in [
        "xrelease@example.com",
        "release@example.com.evil.example",
        "release@example.com\n",
        "Release@example.com",
    ] {
        assert_eq!(failed(check(subject, ISSUER)).fault.check, Check::Identity, "{subject:?}");
    }
    for issuer in [
        "https://accounts.example.com/",
        "https://accounts.example.com\n",
        "https://\u{430}ccounts.example.com",
    ] {
        assert_eq!(failed(check(SUBJECT, issuer)).fault.check, Check::Identity, "{issuer:?}");
    }
}

#[test]
fn a_key_signs_bundles_without_a_log_unless_it_is_asked_for() {
    let world = World::new();
    let key = rcgen::KeyPair::generate().expect("a key");
    let payload = statement(&image(), COSIGN_SIGN, &json!({}));
    let signature = rcgen::SigningKey::sign(&key, &pae(&payload)).expect("a signature");
    let entry = world.envelope_entry(&payload, &signature, &key.public_key_pem(), 5);
    let of = |entries: Value| {
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": entries},
            "dsseEnvelope": envelope(&payload, &signature),
        })
    };
    let lax = Rule::any_of(vec![public("cosign.pub", &key)]);
    let strict = Rule { log: true, ..lax.clone() };
    let check =
        |bundle_of: &Value, rule: &Rule| judge(&image(), &[bundle(bundle_of)], rule, &world.root(), now());
    accepted(check(&of(json!([])), &lax));
    assert_eq!(failed(check(&of(json!([])), &strict)).fault.check, Check::Inclusion);
    let proven = of(json!([world.proven(&entry)]));
    accepted(check(&proven, &lax));
    accepted(check(&proven, &strict));
    let mut changed = proven.clone();
    let hash = changed.pointer_mut(&format!("{PROOF}/hashes/0")).expect("a hash");
    *hash = json!(flip(hash.as_str().expect("a text")));
    assert_eq!(failed(check(&changed, &lax)).fault.check, Check::Inclusion);
    // Somebody else's key, and a rule that asks for a person.
    let other = Rule::any_of(vec![public("other.pub", &rcgen::KeyPair::generate().expect("a key"))]);
    assert_eq!(failed(check(&proven, &other)).fault.check, Check::Key);
    assert_eq!(failed(check(&proven, &rule())).fault.check, Check::Identity);
}

#[test]
fn a_keys_signature_over_the_manifest_is_checked_by_its_digest() {
    let root = World::new().root();
    let of = |key: &rcgen::KeyPair| {
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "x"}},
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": base64(image().as_bytes())},
                "signature": base64(rcgen::SigningKey::sign(key, b"the image's manifest").expect("a signature")),
            },
        })
    };
    let check = |key: &rcgen::KeyPair, bundle_of: &Value, subject: &Digest| {
        judge(subject, &[bundle(bundle_of)], &Rule::any_of(vec![public("k", key)]), &root, now())
    };
    let key = rcgen::KeyPair::generate().expect("a key");
    accepted(check(&key, &of(&key), &image()));
    assert_eq!(failed(check(&key, &of(&key), &Digest::sha256(b"x"))).fault.check, Check::Digest);
    // An Ed25519 key signs the whole, and only the digest is at hand.
    let whole = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    assert_eq!(failed(check(&whole, &of(&whole), &image())).fault.check, Check::Supported);
}

/// GitHub's own authority, for private repositories, has no logs. Its clock stands in for them, and only its own.
#[test]
fn a_trust_root_without_a_log_asks_for_a_time_stamp() {
    let case = Case::new();
    let mut root = case.world.root_json();
    let parts = root.as_object_mut().expect("an object");
    parts.remove("tlogs");
    parts.remove("ctlogs");
    let both = format!("{}\n{root}", World::new().root_json());
    let root = Root::from_json("test", &both, None).expect("a root");
    let leaf = case.world.leaf(&Who { has_certificate_log: false, ..Who::default() });
    let made = case.world.envelope_bundle(&leaf, &statement(&image(), COSIGN_SIGN, &json!({})));
    let made = Case { bundle: made, ..case }.remove("/verificationMaterial/tlogEntries");
    let check = |case: &Case, root: &Root| judge(&image(), &[bundle(&case.bundle)], &rule(), root, now());
    accepted(check(&made, &root));
    // The same where the authority has logs: nothing is left out.
    assert_eq!(failed(check(&made, &made.world.root())).fault.check, Check::Inclusion);
    let made = made.remove("/verificationMaterial/timestampVerificationData");
    assert_eq!(failed(check(&made, &root)).fault.check, Check::Time);
}

#[test]
fn attestations_are_of_the_kind_that_is_asked_for() {
    let case = Case::new();
    let provenance = statement(
        &image(),
        "https://slsa.dev/provenance/v1",
        &json!({"runDetails": {"builder": {"id": "https://example.com/builder"}}}),
    );
    let bundle_of = case.world.envelope_bundle(&case.leaf, &provenance);
    let check = |wanted: Wanted, signature: bool| {
        let rule = Rule { attestations: vec![wanted], signature, ..rule() };
        judge(&image(), &[bundle(&bundle_of)], &rule, &case.world.root(), now())
    };
    let of = |builder: &str| {
        let builder = super::super::Matcher::exact(builder).ok();
        Wanted::Provenance { builder, source: None }
    };
    let kind = What::Attestation("https://slsa.dev/provenance/v1".to_owned());
    assert_eq!(accepted(check(of("https://example.com/builder"), false)), kind);
    assert_eq!(failed(check(of("https://example.com/other"), false)).fault.check, Check::Statement);
    assert_eq!(check(Wanted::Spdx, false), Judgement::Unsigned);
    // An attestation is no signature.
    assert_eq!(failed(check(of("https://example.com/builder"), true)).fault.check, Check::Present);
    assert_eq!(
        judge(&image(), &[bundle(&bundle_of)], &rule(), &case.world.root(), now()),
        Judgement::Unsigned
    );
}

#[test]
fn what_is_no_bundle_says_so() {
    let root = World::new().root();
    let check = |bytes: &[u8]| {
        let found = super::super::Found {
            place: "referrer".into(),
            proof: super::super::Proof::Bundle(bytes.to_vec()),
        };
        failed(judge(&image(), &[found], &rule(), &root, now())).fault.check
    };
    for bytes in [&b""[..], b"{}", b"[]", b"\xff", b"{\"mediaType\": 1}"] {
        assert_eq!(check(bytes), Check::Format, "{bytes:?}");
    }
    assert_eq!(Case::new().remove("/verificationMaterial").fails(), Check::Format);
    assert_eq!(Case::new().remove("/dsseEnvelope").fails(), Check::Format);
    assert_eq!(check(&vec![b' '; super::super::LARGEST_PROOF + 1]), Check::Size);
    for (kind, version) in [("intoto", "0.0.1"), ("rekord", "0.0.1"), ("dsse", "0.0.2")] {
        let case = Case::new().change(
            "/verificationMaterial/tlogEntries/0/kindVersion",
            |_| json!({"kind": kind, "version": version}),
        );
        assert_eq!(case.fails(), Check::Supported, "{kind}");
    }
    let case = Case::new().change("/dsseEnvelope/payloadType", |_| json!("text/plain"));
    assert_eq!(case.fails(), Check::Supported);
    let two = |signatures: &Value| json!([signatures[0], signatures[0]]);
    assert_eq!(Case::new().change("/dsseEnvelope/signatures", two).fails(), Check::Format);
}
