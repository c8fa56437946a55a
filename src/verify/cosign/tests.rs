//! cosign's older form, good and tampered with.

use serde_json::{Value, json};

use super::super::sample::{
    ISSUER, Leaf, SUBJECT, Who, World, base64, cosign, envelope, flip, image, key_annotations, now, pae,
    payload, public, root_without, rule, statement, unbase64,
};
use super::super::{By, Check, Found, Judgement, Proof, Rule, Wanted, What, judge};
use super::*;

/// A good `.sig` layer in a world of its own.
struct Case {
    world: World,
    leaf: Leaf,
    payload: Vec<u8>,
    annotations: Annotations,
}

impl Case {
    fn new() -> Self {
        Self::of(&Who::default())
    }

    fn of(who: &Who) -> Self {
        let world = World::new();
        let leaf = world.leaf(who);
        let payload = payload(&image());
        let annotations = world.sig(&leaf, &payload);
        Self { world, leaf, payload, annotations }
    }

    fn change(&mut self, key: &str, change: impl FnOnce(&str) -> String) {
        let text = self.annotations.get_mut(key).expect("an annotation");
        let changed = change(text);
        assert_ne!(*text, changed, "nothing was changed");
        *text = changed;
    }

    /// Changes one value of the log's answer.
    fn change_log(&mut self, pointer: &str, change: impl FnOnce(&Value) -> Value) {
        self.change(LOG, |text| {
            let mut answer: Value = serde_json::from_str(text).expect("JSON");
            let value = answer.pointer_mut(pointer).expect("a value");
            *value = change(value);
            answer.to_string()
        });
    }

    /// Has the log answer for another time, as an honest log would.
    fn log_at(&mut self, minute: u64) {
        let signature = unbase64(&self.annotations[SIGNATURE]);
        let entry = self.world.entry(&Digest::sha256(&self.payload), &signature, &self.leaf.pem, minute);
        self.annotations.insert(LOG.to_owned(), self.world.annotation(&entry).to_string());
    }

    fn found(&self) -> [Found; 1] {
        [cosign(self.payload.clone(), self.annotations.clone())]
    }

    fn judge(&self) -> Judgement {
        judge(&image(), &self.found(), &rule(), &self.world.root(), now())
    }

    /// The one check that failed.
    fn fails(&self) -> Check {
        failed(self.judge())
    }
}

fn failed(judgement: Judgement) -> Check {
    let Judgement::Refused(reasons) = judgement else { panic!("{judgement:?}") };
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].to_string().len() > 20, "{}", reasons[0]);
    reasons[0].fault.check
}

#[test]
fn a_signature_without_a_key_is_accepted_and_says_by_whom() {
    let judgement = Case::new().judge();
    let Judgement::Accepted(accepted) = judgement else { panic!("{judgement:?}") };
    assert_eq!(accepted.others, 0);
    let [evidence] = accepted.evidence.as_slice() else { panic!("{accepted:?}") };
    assert_eq!(evidence.what, What::Signature { repository: Some("registry.example.com/app".into()) });
    let By::Identity(signatory) = &evidence.by else { panic!("{evidence:?}") };
    assert_eq!(signatory.subject.as_deref(), Some(SUBJECT));
    assert_eq!(signatory.issuer.as_deref(), Some(ISSUER));
    assert!(evidence.logged);
    let since = evidence.signed_at.expect("a time").duration_since(SystemTime::UNIX_EPOCH).expect("a time");
    assert_eq!(since.as_secs(), 1_704_067_200 + 300);
}

#[test]
fn a_payload_that_was_changed_is_not_signed() {
    let mut case = Case::new();
    case.payload = String::from_utf8(case.payload).expect("JSON").replace("/app", "/apq").into_bytes();
    assert_eq!(case.fails(), Check::Signature);
}

#[test]
fn a_payload_about_another_image_is_not_about_this_one() {
    let mut case = Case::new();
    case.payload = payload(&Digest::sha256(b"another image"));
    case.annotations = case.world.sig(&case.leaf, &case.payload);
    assert_eq!(case.fails(), Check::Digest);
}

/// Whoever signed a child did not sign the index that it is in.
#[test]
fn a_childs_signature_does_not_count_for_the_index() {
    let case = Case::new();
    let index = Digest::sha256(b"an index that names the image");
    let judgement = judge(&index, &case.found(), &rule(), &case.world.root(), now());
    let Judgement::Refused(reasons) = &judgement else { panic!("{judgement:?}") };
    assert_eq!(
        reasons[0].to_string(),
        format!("sha256-1.sig: it is not about this image: it is about {}", image())
    );
}

#[test]
fn a_signature_that_was_changed_is_wrong() {
    let mut case = Case::new();
    case.change(SIGNATURE, flip);
    assert_eq!(case.fails(), Check::Signature);
}

#[test]
fn a_certificate_that_was_changed_is_not_trusted() {
    let mut case = Case::new();
    let der = case.leaf.der.clone();
    case.change(CERTIFICATE, |_| {
        let mut der = der;
        let last = der.len() - 1;
        der[last] ^= 1;
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(der))
    });
    assert_eq!(case.fails(), Check::Certificate);
}

#[test]
fn the_same_persons_other_certificate_did_not_make_the_signature() {
    let mut case = Case::new();
    let other = case.world.leaf(&Who::default());
    case.change(CERTIFICATE, |_| other.pem.clone());
    assert_eq!(case.fails(), Check::Signature);
}

#[test]
fn a_certificate_of_another_authority_is_not_trusted() {
    let mut case = Case::new();
    let stranger = World::new();
    let leaf = stranger.leaf(&Who::default());
    case.annotations = stranger.sig(&leaf, &case.payload);
    // The stranger's log is not known either; here it is the authority's turn.
    let signature = unbase64(&case.annotations[SIGNATURE]);
    let entry = case.world.entry(&Digest::sha256(&case.payload), &signature, &leaf.pem, 5);
    case.annotations.insert(LOG.to_owned(), case.world.annotation(&entry).to_string());
    assert_eq!(case.fails(), Check::Certificate);
}

/// A trust root can have the outermost authority only; then the chain beside the certificate leads there.
#[test]
fn a_chain_has_to_lead_to_the_trust_root() {
    let mut case = Case::new();
    let root = root_without(&case.world, "/certificateAuthorities/0/certChain/certificates/0");
    let check = |case: &Case| judge(&image(), &case.found(), &rule(), &root, now());
    let judgement = check(&case);
    assert!(matches!(judgement, Judgement::Accepted(_)), "{judgement:?}");
    let good = case.annotations[CHAIN].clone();
    let stranger = World::new();
    for chain in [stranger.chain(), String::new(), case.leaf.pem.clone()] {
        case.annotations.insert(CHAIN.to_owned(), chain);
        assert_eq!(failed(check(&case)), Check::Certificate);
    }
    case.annotations.insert(CHAIN.to_owned(), good.replace("BEGIN", "BEGUN"));
    assert_eq!(failed(check(&case)), Check::Format);
    case.annotations.insert(CHAIN.to_owned(), good.repeat(LONGEST_CHAIN));
    assert_eq!(failed(check(&case)), Check::Format);
}

#[test]
fn a_certificate_that_no_log_has_is_not_accepted() {
    let case = Case::of(&Who { has_certificate_log: false, ..Who::default() });
    assert_eq!(case.fails(), Check::CertificateLog);
}

#[test]
fn a_certificate_in_a_strangers_log_is_not_accepted() {
    let case = Case::new();
    let mut root = case.world.root_json();
    root["ctlogs"] = World::new().root_json()["ctlogs"].clone();
    let root = super::super::Root::from_json("test", &root.to_string(), None).expect("a root");
    assert_eq!(failed(judge(&image(), &case.found(), &rule(), &root, now())), Check::CertificateLog);
}

#[test]
fn what_the_log_did_not_promise_is_not_accepted() {
    let mut case = Case::new();
    case.change_log("/SignedEntryTimestamp", |text| json!(flip(text.as_str().expect("a text"))));
    assert_eq!(case.fails(), Check::Promise);
    let mut case = Case::new();
    case.change_log("/Payload/integratedTime", |time| json!(time.as_u64().expect("a time") - 60));
    assert_eq!(case.fails(), Check::Promise);
    let mut case = Case::new();
    case.change_log("/Payload/logIndex", |_| json!(8));
    assert_eq!(case.fails(), Check::Promise);
    let mut case = Case::new();
    case.change_log("/Payload/logID", |_| json!("00".repeat(32)));
    assert_eq!(case.fails(), Check::Promise);
}

#[test]
fn a_signature_that_is_in_no_log_is_not_accepted() {
    let mut case = Case::new();
    case.annotations.remove(LOG);
    assert_eq!(case.fails(), Check::Inclusion);
    // A clock's word does not stand in for the log's.
    let signature = unbase64(&case.annotations[SIGNATURE]);
    let stamp = json!({"SignedRFC3161Timestamp": base64(case.world.stamp(&signature, 5))});
    case.annotations.insert(TIMESTAMP.to_owned(), stamp.to_string());
    assert_eq!(case.fails(), Check::Inclusion);
}

/// The log's entry of one signature does not carry another one.
#[test]
fn a_log_entry_is_about_one_signature() {
    let mut case = Case::new();
    let mut other = payload(&image());
    other.push(b'\n');
    let annotations = case.world.sig(&case.leaf, &other);
    case.annotations.insert(LOG.to_owned(), annotations[LOG].clone());
    assert_eq!(case.fails(), Check::Entry);
}

#[test]
fn a_certificate_counts_while_it_is_alive() {
    let mut case = Case::new();
    for minute in [0, 10] {
        case.log_at(minute);
        assert!(matches!(case.judge(), Judgement::Accepted(_)), "{minute}");
    }
    case.log_at(11);
    let Judgement::Refused(reasons) = case.judge() else { panic!("it was accepted") };
    assert_eq!(
        reasons[0].to_string(),
        "sha256-1.sig: the certificate was not alive then: it counts from 2024-01-01T00:00:00Z to 2024-01-01T00:10:00Z, \
         and was used at 2024-01-01T00:11:00Z"
    );
    assert_eq!(reasons[0].fault.check, Check::Lifetime);
    let mut case = Case::of(&Who { alive: (5, 10), ..Who::default() });
    case.log_at(4);
    assert_eq!(case.fails(), Check::Lifetime);
}

#[test]
fn what_was_made_in_the_future_is_not_accepted() {
    let case = Case::new();
    let early = SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_067_200 + 299);
    assert_eq!(failed(judge(&image(), &case.found(), &rule(), &case.world.root(), early)), Check::Time);
}

#[test]
fn a_clocks_word_has_to_be_right_if_there_is_one() {
    let mut case = Case::new();
    let signature = unbase64(&case.annotations[SIGNATURE]);
    let text = |token: Vec<u8>| json!({"SignedRFC3161Timestamp": base64(token)}).to_string();
    case.annotations.insert(TIMESTAMP.to_owned(), text(case.world.stamp(&signature, 4)));
    assert!(matches!(case.judge(), Judgement::Accepted(_)));
    for (stamp, check) in [
        (case.world.stamp(b"another signature", 4), Check::Time),
        (World::new().stamp(&signature, 4), Check::Time),
        (case.world.stamp(&signature, 20), Check::Lifetime),
        (b"nothing".to_vec(), Check::Time),
    ] {
        case.annotations.insert(TIMESTAMP.to_owned(), text(stamp));
        assert_eq!(case.fails(), check);
    }
    case.annotations.insert(TIMESTAMP.to_owned(), "{}".to_owned());
    assert_eq!(case.fails(), Check::Format);
}

#[test]
fn what_cannot_be_read_says_what_it_is() {
    for (key, text) in [
        (SIGNATURE, "%"),
        (SIGNATURE, ""),
        (CERTIFICATE, "no PEM"),
        (LOG, "{}"),
        (LOG, "[]"),
        (
            LOG,
            "{\"SignedEntryTimestamp\": \"\", \"Payload\": {\"body\": \"e30=\", \"integratedTime\": 1, \"logIndex\": 1, \"logID\": \"\"}}",
        ),
    ] {
        let mut case = Case::new();
        case.annotations.insert(key.to_owned(), text.to_owned());
        assert_eq!(case.fails(), Check::Format, "{key} {text}");
    }
    let mut case = Case::new();
    case.annotations.insert(LOG.to_owned(), "x".repeat(LARGEST + 1));
    assert_eq!(case.fails(), Check::Size);
}

/// Rekor's older kinds of entries hold signatures in ways that are not checked here.
#[test]
fn log_entries_of_other_kinds_are_unsupported() {
    for (kind, version) in
        [("rekord", "0.0.1"), ("intoto", "0.0.1"), ("hashedrekord", "0.0.3"), ("x", "0.0.1")]
    {
        let mut case = Case::new();
        let body = json!({"kind": kind, "apiVersion": version, "spec": {}}).to_string().into_bytes();
        let entry = case.world.entry_of(("hashedrekord", "0.0.1"), body, 5);
        case.annotations.insert(LOG.to_owned(), case.world.annotation(&entry).to_string());
        assert_eq!(case.fails(), Check::Supported, "{kind}");
    }
}

/// An `.att` layer.
fn attestation(envelope: &Value, annotations: Annotations) -> Found {
    let envelope = envelope.to_string().into_bytes();
    Found { place: "sha256-1.att".into(), proof: Proof::Envelope { envelope, annotations } }
}

#[test]
fn attestations_are_taken_with_and_without_a_key() {
    let world = World::new();
    let leaf = world.leaf(&Who::default());
    let statement = statement(&image(), "https://spdx.dev/Document", &json!({}));
    let signature = rcgen::SigningKey::sign(&leaf.key, &pae(&statement)).expect("a signature");
    let envelope = envelope(&statement, &signature);
    let entry = world.envelope_entry(&statement, &signature, &leaf.pem, 5);
    let annotations = Annotations::from([
        (CERTIFICATE.to_owned(), leaf.pem.clone()),
        (LOG.to_owned(), world.annotation(&entry).to_string()),
        (SIGNATURE.to_owned(), String::new()),
    ]);
    let asks = |rule: Rule| Rule { attestations: vec![Wanted::Spdx], signature: false, ..rule };
    let by_key = || asks(Rule::any_of(vec![public("cosign.pub", &leaf.key)]));
    let judge = |found: Found, rule: &Rule| judge(&image(), &[found], rule, &world.root(), now());
    for (annotations, rule) in [(annotations.clone(), asks(rule())), (Annotations::new(), by_key())] {
        let judgement = judge(attestation(&envelope, annotations), &rule);
        let Judgement::Accepted(accepted) = judgement else { panic!("{judgement:?}") };
        assert_eq!(accepted.evidence[0].what, What::Attestation("https://spdx.dev/Document".into()));
    }
    let mut other = envelope.clone();
    other["payload"] = json!(base64(super::super::sample::statement(
        &image(),
        "https://spdx.dev/Document",
        &json!({"changed": true})
    )));
    assert_eq!(failed(judge(attestation(&other, annotations), &asks(rule()))), Check::Signature);
    assert_eq!(failed(judge(attestation(&other, Annotations::new()), &by_key())), Check::Key);
    other["signatures"] = json!([]);
    assert_eq!(failed(judge(attestation(&other, Annotations::new()), &by_key())), Check::Format);
}

#[test]
fn every_kind_of_key_signs() {
    let payload = payload(&image());
    let root = World::new().root();
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let by_key = Rule::any_of(vec![public("cosign.pub", &key)]);
        let check = |payload: &[u8], annotations: Annotations| {
            judge(&image(), &[cosign(payload.to_vec(), annotations)], &by_key, &root, now())
        };
        let good = key_annotations(&key, &payload);
        let judgement = check(&payload, good.clone());
        let Judgement::Accepted(accepted) = judgement else { panic!("{algorithm:?}: {judgement:?}") };
        let evidence = &accepted.evidence[0];
        assert!(matches!(&evidence.by, By::Key { name, .. } if name == "cosign.pub"));
        assert!(!evidence.logged && evidence.signed_at.is_none());
        let mut changed = good;
        changed.insert(SIGNATURE.to_owned(), flip(&changed[SIGNATURE]));
        assert_eq!(failed(check(&payload, changed)), Check::Key);
        let other = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        assert_eq!(failed(check(&payload, key_annotations(&other, &payload))), Check::Key);
    }
}

#[test]
fn a_keys_signature_is_in_a_log_only_if_it_is_asked_to_be() {
    let world = World::new();
    let key = rcgen::KeyPair::generate().expect("a key");
    let payload = payload(&image());
    let without = key_annotations(&key, &payload);
    let signature = unbase64(&without[SIGNATURE]);
    let with = |world: &World, minute| {
        let entry = world.entry(&Digest::sha256(&payload), &signature, &key.public_key_pem(), minute);
        let mut annotations = without.clone();
        annotations.insert(LOG.to_owned(), world.annotation(&entry).to_string());
        annotations
    };
    let lax = Rule::any_of(vec![public("cosign.pub", &key)]);
    let strict = Rule { log: true, ..lax.clone() };
    let check = |annotations: Annotations, rule: &Rule| {
        judge(&image(), &[cosign(payload.clone(), annotations)], rule, &world.root(), now())
    };
    assert_eq!(failed(check(without.clone(), &strict)), Check::Inclusion);
    for rule in [&lax, &strict] {
        let judgement = check(with(&world, 5), rule);
        let Judgement::Accepted(accepted) = judgement else { panic!("{judgement:?}") };
        assert!(accepted.evidence[0].logged && accepted.evidence[0].signed_at.is_some());
        // What a log that is known says has to be right, asked for or not.
        let mut changed = with(&world, 5);
        changed.insert(LOG.to_owned(), changed[LOG].replace("1704067500", "1704067560"));
        assert_eq!(failed(check(changed, rule)), Check::Promise);
    }
    // A log of somebody else says nothing.
    let others = with(&World::new(), 5);
    assert!(matches!(check(others.clone(), &lax), Judgement::Accepted(_)));
    assert_eq!(failed(check(others, &strict)), Check::Inclusion);
}
