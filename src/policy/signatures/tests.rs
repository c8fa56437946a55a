//! Rules of signatures: what is said of them, and which one holds.

use super::super::{Policy, load};
use crate::oci::{Digest, Reference};
use crate::verify::{Mode, Signer};

/// A public key, made for these tests; nobody has its private half any more.
const PEM: &str = "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVOosRiDyK3EToQQUncw0f10riZjt\\nzFbsDCf6U9EPquWs/WjvMYNH0Q2S1FPVmJ2FJ0J4nCHEEoQBDyvlE2eSRg==\\n-----END PUBLIC KEY-----\\n";

fn text(rules: &str) -> String {
    format!("signatures:\n{}", rules.replace("PEM", &format!("\"{PEM}\"")))
}

fn policy(rules: &str) -> Policy {
    load("policy.yaml", &text(rules)).expect(rules)
}

#[track_caller]
fn check(rules: &str, expected: &str) {
    let said = load("policy.yaml", &text(rules)).expect_err(rules).to_string();
    assert_eq!(said, format!("policy.yaml:{expected}"), "{rules}");
}

fn source(name: &str) -> Reference {
    name.parse().expect("a reference")
}

fn holds(policy: &Policy, name: &str) -> Option<(u32, String)> {
    policy.signatures_of(&source(name)).map(|ruling| (ruling.rule.location.line, ruling.pattern))
}

#[test]
fn the_closest_pattern_decides() {
    let policy = policy(
        "- {sources: [\"**\"], unsigned: allow}\n- {sources: [\"quay.io/**\", \"quay.io/org/app*\"], unsigned: allow}\n\
         - {sources: [\"quay.io/org/*\"], unsigned: allow}\n- {sources: [\"*.io/org/app\"], unsigned: allow}\n\
         - {sources: [\"quay.io/org/app\"], unsigned: allow}\n",
    );
    for (name, line, pattern) in [
        ("quay.io/org/app:1", 6, "quay.io/org/app"),
        ("quay.io/org/app2:1", 3, "quay.io/org/app*"),
        ("quay.io/org/other:1", 4, "quay.io/org/*"),
        ("quay.io/a/b/c:1", 3, "quay.io/**"),
        ("ghcr.io/org/app:1", 5, "*.io/org/app"),
        ("docker.io/library/alpine:1", 2, "**"),
    ] {
        assert_eq!(holds(&policy, name), Some((line, pattern.to_owned())), "{name}");
    }
    assert_eq!(holds(&Policy::default(), "quay.io/a:1"), None);
}

#[test]
fn a_rule_is_read_whole() {
    let policy = policy(
        "- sources: [\"quay.io/**\"]\n  allOf:\n  - key: PEM\n  - {github: {repository: org/app, workflow: .github/workflows/r.yml, ref: \"refs/tags/v*\"}}\n  \
         - {identityPattern: \"*@example.com\", issuer: https://accounts.example.com}\n  transparencyLog: true\n  \
         attestations: [spdx, {type: slsaProvenance, builder: \"https://b.example/1\", source: github.com/org/app}]\n  \
         minimumAge: 36h\n  unsigned: warn\n",
    );
    let ruling = policy.signatures_of(&source("quay.io/org/app:1")).expect("a rule");
    let rule = ruling.rule.wanted.as_ref().expect("signers");
    assert_eq!((rule.signers.len(), rule.mode, rule.signature, rule.log), (3, Mode::All, false, true));
    assert!(matches!(&rule.signers[0], Signer::Key(key) if key.name() == "of the policy"));
    assert_eq!(rule.attestations.len(), 2);
    assert_eq!(ruling.rule.minimum_age.map(|age| age.as_secs()), Some(36 * 3600));
    assert_eq!(ruling.rule.unsigned.word(), "warn");
}

#[test]
fn what_is_wrong_with_a_rule_is_said() {
    let example = "[{sources: [\"quay.io/org/**\"], anyOf: [{key: cosign.pub}]}]";
    check("  a", &format!("2:3: `signatures` is a list such as `{example}`; this is the text `a`"));
    check(
        "- {anyOf: [{key: PEM}]}",
        "2:3: a rule of `signatures` says which images it is about; add `sources: [\"docker.io/library/*\"]`",
    );
    check(
        "- {source: [\"**\"], unsigned: allow}",
        "2:4: a rule of `signatures` has no key `source`; did you mean `sources`?",
    );
    check(
        "- {sources: [alpine], unsigned: allow}",
        "2:14: the pattern `alpine` is not usable: it does not begin with a registry; write `docker.io/library/alpine`",
    );
    check(
        "- {sources: [\"**\"]}",
        "2:3: this rule is not usable: it asks for nothing; say who has to sign with `anyOf` or `allOf`, or write \
         `unsigned: allow` to ask for no signature of these sources",
    );
    check(
        "- {sources: [\"**\"], unsigned: deny}",
        "2:3: this rule is not usable: it asks for signatures and does not say whose; name them with `anyOf` or `allOf`",
    );
    check(
        "- {sources: [\"**\"], attestations: [spdx]}",
        "2:3: this rule is not usable: it does not say who has to sign; name them with `anyOf` or `allOf`",
    );
    check(
        "- {sources: [\"**\"], unsigned: allow}\n- {sources: [\"a.io/b\", \"**\"], unsigned: allow}",
        "3:3: the pattern `**` is in the rule of line 2 too; keep one of them",
    );
    check(
        "- {sources: [\"**\"], minimumAge: 7 days}",
        "2:33: `7 days` is no value of `minimumAge`; write days or hours, such as `7d` or `36h`",
    );
    check(
        "- {sources: [\"**\"], unsigned: allowed}",
        "2:31: `allowed` is no value of `unsigned`; did you mean `allow`?",
    );
    check(
        "- {sources: [\"**\"], anyOf: [{key: PEM}], allOf: [{key: PEM}]}",
        &format!(
            "2:{}: `anyOf` and `allOf` are both there; keep one, or make two rules of it",
            48 + PEM.len()
        ),
    );
    check(
        "- {sources: [\"**\"], anyOf: []}",
        "2:28: `anyOf` is empty; name at least one, or take the key out to ask for no signature",
    );
}

#[test]
fn what_is_wrong_with_a_signer_is_said() {
    let check = |signer: &str, expected: &str| {
        check(&format!("- sources: [\"**\"]\n  anyOf:\n  - {signer}"), expected);
    };
    check(
        "{}",
        "4:5: a signer is a key or an identity; write `{key: cosign.pub}`, or an `identity` and its `issuer`",
    );
    check(
        "{identity: a@example.com}",
        "4:5: an identity counts by who vouches for it; add its `issuer`, such as `https://token.actions.githubusercontent.com`",
    );
    check(
        "{key: PEM, issuer: https://a.example}",
        "4:5: a signer is a key or an identity; take out `key` or `issuer`, or make two signers of it",
    );
    check(
        "{identity: a@example.com, identityPattern: \"*@example.com\", issuer: https://a.example}",
        "4:48: `identity` and `identityPattern` are both there; keep one",
    );
    for (signer, start) in [
        (
            "{identityPattern: \"*\", issuer: https://a.example}",
            "4:23: this `identityPattern` is not usable: ",
        ),
        (
            "{identity: \"*@example.com\", issuer: https://a.example}",
            "4:16: this `identity` is not usable: `*` is no part of it",
        ),
        (
            "{identity: a@example.com, issuer: http://a.example}",
            "4:39: this identity is not usable: the issuer begins with `https://`",
        ),
        (
            "{github: {repository: org}}",
            "4:27: this `github` is not usable: a repository is written `owner/name`",
        ),
        ("{github: {ref: refs/heads/main}}", "4:14: `github` names the workflow's `repository`"),
        (
            "{github: {repository: org/app, ref: main}}",
            "4:27: this `github` is not usable: the ref is not usable",
        ),
        (
            "{github: org/app}",
            "4:14: `github` is a mapping such as `{repository: org/app}`; this is the text `org/app`",
        ),
    ] {
        let rules = text(&format!("- sources: [\"**\"]\n  anyOf:\n  - {signer}"));
        let said = load("policy.yaml", &rules).expect_err(signer).to_string();
        assert!(said.starts_with(&format!("policy.yaml:{start}")), "{signer}: {said}");
    }
}

/// Whoever writes a private key there by mistake must not find it in a log.
#[test]
fn no_key_is_repeated() {
    let private = PEM.replace("PUBLIC", "PRIVATE");
    let said = load("p", &format!("signatures: [{{sources: [\"**\"], anyOf: [{{key: \"{private}\"}}]}}]"));
    let said = said.expect_err("a fault").to_string();
    assert!(said.contains("it is a private key"), "{said}");
    assert!(!said.contains("MFkw"), "{said}");
}

#[test]
fn a_keys_file_is_read_beside_the_policy_and_nowhere_else() {
    let rules = "signatures: [{sources: [\"**\"], anyOf: [{key: keys/a.pub}]}]";
    let said = load("policy.yaml", rules).expect_err("no file").to_string();
    assert_eq!(
        said,
        "policy.yaml:1:46: the key `keys/a.pub` is not usable: the policy itself is not read from a file of this machine \
         here, and no file beside it is; write the key itself, as the lines of its PEM below `key: |`"
    );
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("keys")).expect("a folder");
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, rules).expect("a file");
    let said = super::super::read(&path).expect_err("no key").to_string();
    assert!(said.contains("there is no such file; a key's path begins at the policy's folder"), "{said}");
    let key = PEM.replace("\\n", "\n");
    std::fs::write(folder.path().join("keys/a.pub"), key).expect("a file");
    let read = super::super::read(&path).expect("a policy");
    let in_place = policy("- {sources: [\"**\"], anyOf: [{key: PEM}]}");
    assert_eq!(read.digest(), in_place.digest(), "the key counts, and not where it stands");
}

#[test]
fn the_digest_is_of_what_is_asked() {
    let digest = |rules: &str| -> Option<Digest> { policy(rules).digest() };
    let first = digest(
        "- {sources: [\"a.io/b\", \"c.io/d\"], anyOf: [{key: PEM}, {identity: a@b.c, issuer: https://d.e}]}",
    );
    let same = digest(
        "- anyOf:\n  - issuer: https://d.e\n    identity: a@b.c\n  - key: PEM\n  sources: [c.io/d, a.io/b]\n  unsigned: deny\n",
    );
    assert_eq!(first, same);
    for other in [
        "- {sources: [\"a.io/b\", \"c.io/d\"], allOf: [{key: PEM}, {identity: a@b.c, issuer: https://d.e}]}",
        "- {sources: [\"a.io/b\"], anyOf: [{key: PEM}, {identity: a@b.c, issuer: https://d.e}]}",
        "- {sources: [\"a.io/b\", \"c.io/d\"], anyOf: [{key: PEM}, {identity: a@b.c, issuer: https://d.f}]}",
        "- {sources: [\"a.io/b\", \"c.io/d\"], anyOf: [{key: PEM}, {identity: a@b.c, issuer: https://d.e}], unsigned: warn}",
        "- {sources: [\"a.io/b\", \"c.io/d\"], anyOf: [{key: PEM}, {identity: a@b.c, issuer: https://d.e}], minimumAge: 1h}",
    ] {
        assert_ne!(digest(other), first, "{other}");
    }
}
