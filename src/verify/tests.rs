//! Judgements over several proofs, and what a rule asks of them.

use super::sample::{Who, World, cosign, flip, image, key_annotations, now, payload, public, rule, who};
use super::*;

fn key() -> rcgen::KeyPair {
    rcgen::KeyPair::generate().expect("a key")
}

fn signed_by(key: &rcgen::KeyPair) -> Found {
    let payload = payload(&image());
    let annotations = key_annotations(key, &payload);
    cosign(payload, annotations)
}

fn judge_by(found: &[Found], rule: &Rule) -> Judgement {
    judge(&image(), found, rule, &World::new().root(), now())
}

fn reasons(judgement: Judgement) -> Vec<Reason> {
    let Judgement::Refused(reasons) = judgement else { panic!("{judgement:?}") };
    reasons
}

fn accepted(judgement: Judgement) -> Accepted {
    let Judgement::Accepted(accepted) = judgement else { panic!("{judgement:?}") };
    accepted
}

#[test]
fn nothing_is_unsigned_and_never_refused() {
    assert_eq!(judge_by(&[], &rule()), Judgement::Unsigned);
}

#[test]
fn of_two_signatures_one_good_one_is_enough() {
    let (ours, other) = (key(), key());
    let rule = Rule::any_of(vec![public("ours.pub", &ours)]);
    for found in [[signed_by(&other), signed_by(&ours)], [signed_by(&ours), signed_by(&other)]] {
        let accepted = accepted(judge_by(&found, &rule));
        assert_eq!((accepted.evidence.len(), accepted.others), (1, 1));
    }
    let reasons = reasons(judge_by(&[signed_by(&other), signed_by(&key())], &rule));
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].to_string(), "sha256-1.sig: it is by none of the rule's keys (2 times)");
}

/// Many proofs are looked at, bad ones cost little, and what is said of them stays short.
#[test]
fn a_thousand_bad_ones_do_not_hide_a_good_one_and_do_not_become_one() {
    let world = World::new();
    let leaf = world.leaf(&Who::default());
    let payload = payload(&image());
    let good = cosign(payload.clone(), world.sig(&leaf, &payload));
    let bad = |number: usize| {
        let mut annotations = world.sig(&leaf, &payload);
        let signature = annotations.get_mut("dev.cosignproject.cosign/signature").expect("a signature");
        *signature = flip(signature);
        Found { place: number.to_string(), ..cosign(payload.clone(), annotations) }
    };
    let mut found: Vec<Found> = (1..MOST_PROOFS).map(bad).collect();
    let root = world.root();
    let refused = reasons(judge(&image(), &found, &rule(), &root, now()));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].times, refused[0].fault.check), (MOST_PROOFS - 1, Check::Signature));
    found.push(good.clone());
    assert_eq!(accepted(judge(&image(), &found, &rule(), &root, now())).others, MOST_PROOFS - 1);
    // One more is one too many, and that is said.
    found.insert(0, bad(0));
    let refused = reasons(judge(&image(), &found, &rule(), &root, now()));
    assert!(refused.iter().any(|reason| reason.fault.check == Check::Size), "{refused:?}");
}

#[test]
fn what_is_said_of_many_different_faults_is_bounded() {
    let found: Vec<Found> = (0..100)
        .map(|number| Found {
            place: "x".into(),
            proof: Proof::Unsupported(format!("it is of the kind {number}")),
        })
        .collect();
    let reasons = reasons(judge_by(&found, &rule()));
    assert_eq!(reasons.len(), 21);
    assert_eq!(reasons[20].fault.detail, "80 more proofs have other faults");
}

#[test]
fn what_cannot_be_checked_is_never_verified() {
    let found =
        [Found { place: "sha256:1".into(), proof: Proof::Unsupported("it is a notation signature".into()) }];
    let reasons = reasons(judge_by(&found, &rule()));
    assert_eq!(reasons[0].to_string(), "sha256:1: it cannot be checked: it is a notation signature");
}

#[test]
fn all_means_each_signer() {
    let (one, two) = (key(), key());
    let rule =
        Rule { mode: Mode::All, ..Rule::any_of(vec![public("one.pub", &one), public("two.pub", &two)]) };
    assert_eq!(accepted(judge_by(&[signed_by(&one), signed_by(&two)], &rule)).evidence.len(), 2);
    for found in [vec![signed_by(&one)], vec![signed_by(&one), signed_by(&one)]] {
        let reasons = reasons(judge_by(&found, &rule));
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert_eq!(reasons[0].fault.check, Check::Present);
        assert!(reasons[0].fault.detail.starts_with("no signature by key `two.pub`"), "{}", reasons[0]);
    }
    // Two names of one key are both satisfied by it.
    let twice = Rule { signers: vec![public("one.pub", &one), public("again.pub", &one)], ..rule };
    assert_eq!(accepted(judge_by(&[signed_by(&one)], &twice)).evidence.len(), 1);
}

#[test]
fn a_rule_that_asks_for_nothing_accepts_nothing() {
    let ours = key();
    let nobody = Rule::any_of(Vec::new());
    let nothing = Rule { signature: false, ..Rule::any_of(vec![public("ours.pub", &ours)]) };
    let nobody_of_all = Rule { mode: Mode::All, ..nobody.clone() };
    for rule in [nobody, nobody_of_all, nothing] {
        assert!(!matches!(judge_by(&[signed_by(&ours)], &rule), Judgement::Accepted(_)), "{rule:?}");
    }
}

#[test]
fn a_workflow_on_github_is_accepted_by_what_github_says_of_it() {
    let world = World::new();
    let subject = "https://github.com/org/app/.github/workflows/release.yml@refs/tags/v1.2";
    let leaf = world.leaf(&Who {
        subject: rcgen::SanType::URI(subject.try_into().expect("a URI")),
        extensions: vec![
            (8, GITHUB_ISSUER.to_owned()),
            (12, "https://github.com/org/app".to_owned()),
            (14, "refs/tags/v1.2".to_owned()),
            (18, subject.to_owned()),
        ],
        ..Who::default()
    });
    let payload = payload(&image());
    let found = [cosign(payload.clone(), world.sig(&leaf, &payload))];
    let check = |repository: &str, subject: Option<Matcher>| {
        let file = Some(".github/workflows/release.yml");
        let workflow = Workflow::new(repository, file, Some("refs/tags/v*")).expect("a workflow");
        let identity = Identity::new(GITHUB_ISSUER, subject, Some(workflow)).expect("an identity");
        judge(&image(), &found, &Rule::any_of(vec![Signer::Identity(identity)]), &world.root(), now())
    };
    let By::Identity(signatory) = accepted(check("org/app", None)).evidence.remove(0).by else {
        panic!("a key")
    };
    assert_eq!(signatory.repository.as_deref(), Some("https://github.com/org/app"));
    let pattern = "https://github.com/org/app/.github/workflows/*@refs/tags/v*";
    accepted(check("org/app", Matcher::pattern(pattern).ok()));
    assert_eq!(reasons(check("org/other", None))[0].fault.check, Check::Identity);
    let other = Matcher::pattern("https://github.com/other/*/.github/workflows/*@refs/tags/v*");
    assert_eq!(reasons(check("org/app", Some(other.expect("a pattern"))))[0].fault.check, Check::Identity);
    // Another issuer says the same of somebody else.
    assert_eq!(
        reasons(judge(
            &image(),
            &found,
            &Rule::any_of(vec![who(subject, "https://example.com")]),
            &world.root(),
            now()
        ))[0]
            .fault
            .check,
        Check::Identity
    );
}
