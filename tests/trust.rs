//! The policy's rules of signatures: an image is mirrored only if it is signed as its rule asks, and each that is not
//! says why before anything of it is sent.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::fs;

use assert_cmd::Command;
use image_syncer::config::Signatures;
use image_syncer::oci::{MediaType, RawManifest};
use image_syncer::serve::Memory;
use serde_json::{Value, json};
use support::companions::{NOTATION, cosign_tag, put_cosign};
use support::content::{put, put_image, put_image_for, put_index, put_referrer, repository};
use support::fault::Fault;
use support::scenario::{Scenario, Told};
use support::signing::{Key, put_no_bundle};

const NAME: &str = "team/app";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

fn image(story: &Scenario) -> RawManifest {
    put_image(&story.source.memory, NAME, Some("1"), &[b"one"])
}

/// A policy with one rule for all sources: signed by one of these keys, and `more` keys of the rule.
fn signed_by(keys: &[&Key], more: &str) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("{{key: {}}}", key.yaml())).collect();
    format!("signatures:\n- sources: [\"**\"]\n  anyOf: [{}]\n{more}", keys.join(", "))
}

/// A story of one image, and a rule that asks for a key's signature.
fn story(more: &str) -> (Scenario, Key) {
    let key = Key::new();
    let story = Scenario::new().lists("team/app:1").policy(&signed_by(&[&key], more));
    (story, key)
}

/// Nothing was sent and nothing would be, for a reason that a person understands.
#[track_caller]
fn expect_denied(story: &Scenario, words: &[&str]) -> Told {
    let check = |told: &Told| {
        told.expect(&["blocked"]);
        assert_eq!(told.exit_code(), 3, "{}", told.text());
        let cause = told.cause(0);
        assert!(cause.contains("not allowed to mirror"), "{cause}");
        for word in words {
            assert!(cause.contains(word), "{word}: {cause}");
        }
    };
    story.target.clear_log();
    check(&story.plan());
    let told = story.sync();
    check(&told);
    let writes: Vec<String> = story.target.writes().iter().map(support::registry::Logged::line).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    told
}

#[track_caller]
fn expect_verified(told: &Told, word: &str) {
    told.expect(&[word]);
    assert_eq!(told.exit_code(), 0, "{}", told.text());
    assert_eq!(told.item(0)["verification"]["result"], "verified", "{}", told.text());
}

#[test]
fn what_a_key_of_the_rule_signed_is_mirrored() {
    let (story, key) = story("");
    let image = image(&story);
    let signature = key.sign_image(&story.source.memory, NAME, &image);
    expect_verified(&story.plan(), "copy");
    let told = story.sync();
    expect_verified(&told, "copied");
    story.assert_whole(NAME, &image.digest);
    assert_eq!(story.mirrored(NAME, &cosign_tag(&image, ".sig")), Some(signature));
    let verification = told.item(0)["verification"].clone();
    assert_eq!(verification["subject"], image.digest.to_string());
    assert_eq!(verification["rule"], "policy.yaml:2:3");
    let signer = &verification["signers"][0];
    assert_eq!(
        (&signer["kind"], &signer["repository"]),
        (&json!("key"), &json!("upstream.example/team/app"))
    );
    assert_eq!(signer["place"], format!("tag {}", cosign_tag(&image, ".sig")));
    assert_eq!(told.json()["trust_root"], Value::Null, "keys need none");
    assert!(told.text().contains("1 verified"), "{}", told.text());
    story.assert_settled();
}

#[test]
fn an_image_without_a_signature_is_denied() {
    let (story, _) = story("");
    image(&story);
    expect_denied(
        &story,
        &["no signature of it was found; the rule for `**` (policy.yaml:2:3) asks for a signature"],
    );
}

#[test]
fn another_keys_signature_is_none() {
    let (story, _) = story("");
    let image = image(&story);
    Key::new().sign_image(&story.source.memory, NAME, &image);
    let told = expect_denied(
        &story,
        &["its signatures are not what the policy asks for", "none of the rule's keys"],
    );
    assert_eq!(told.item(0)["verification"]["result"], "refused");
}

#[test]
fn a_signature_of_another_image_is_none() {
    let (story, key) = story("");
    let image = image(&story);
    let other = put_image(&story.source.memory, NAME, Some("2"), &[b"two"]);
    key.sign_as(&story.source.memory, NAME, &image, &other);
    expect_denied(&story, &["it is not about this image"]);
}

#[test]
fn a_childs_signature_does_not_count_for_the_index() {
    let (story, key) = story("");
    let memory = &story.source.memory;
    let child = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let index = put_index(memory, NAME, Some("1"), &[(&child, "linux/amd64")]);
    key.sign_image(memory, NAME, &child);
    expect_denied(&story, &["no signature of it was found"]);
    key.sign_as(memory, NAME, &index, &child);
    expect_denied(&story, &["it is not about this image"]);
    key.sign_image(memory, NAME, &index);
    expect_verified(&story.sync(), "copied");
}

#[test]
fn one_good_signature_among_bad_ones_is_enough() {
    let (story, key) = story("");
    let image = image(&story);
    let (payload, good) = key.signature(&image);
    let (_, bad) = Key::new().signature(&image);
    let layers =
        [(payload.as_str(), bad.as_str()), ("no payload", "no signature"), (payload.as_str(), good.as_str())];
    put_cosign(&story.source.memory, NAME, &image, ".sig", &layers);
    expect_verified(&story.sync(), "copied");
}

#[test]
fn all_of_several_keys_have_to_sign() {
    let (one, other) = (Key::new(), Key::new());
    let rule = signed_by(&[&one, &other], "").replace("anyOf", "allOf");
    let story = Scenario::new().lists("team/app:1").policy(&rule);
    let image = image(&story);
    let (payload, first) = one.signature(&image);
    let (_, second) = other.signature(&image);
    let put = |layers: &[(&str, &str)]| put_cosign(&story.source.memory, NAME, &image, ".sig", layers);
    put(&[(&payload, &first)]);
    expect_denied(&story, &["its signatures are not what the policy asks for"]);
    put(&[(&payload, &first), (&payload, &second)]);
    expect_verified(&story.sync(), "copied");
}

/// The signature that the target has, and the one that only the source has, are two of two.
#[test]
fn what_the_target_has_and_what_the_source_has_count_together() {
    let (one, other) = (Key::new(), Key::new());
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story);
    let (payload, first) = one.signature(&image);
    let (_, second) = other.signature(&image);
    let put = |layers: &[(&str, &str)]| put_cosign(&story.source.memory, NAME, &image, ".sig", layers);
    put(&[(&payload, &first)]);
    story.sync().expect(&["copied"]);
    put(&[(&payload, &first), (&payload, &second)]);
    let story = story.policy(&signed_by(&[&one, &other], "").replace("anyOf", "allOf"));
    expect_verified(&story.sync(), "companions-copied");
}

#[test]
fn a_look_up_that_fails_is_a_failure_and_never_unsigned() {
    for (part, more) in [(".sig", "  unsigned: allow\n"), ("/referrers/", ""), (".sig", "")] {
        let (story, key) = story(more);
        let image = image(&story);
        key.sign_image(&story.source.memory, NAME, &image);
        story.source.on_request(move |request| {
            request.uri.path().contains(part).then(|| Fault::status(403, "DENIED"))
        });
        for told in [story.plan(), story.sync()] {
            told.expect(&["blocked"]);
            assert_eq!(told.exit_code(), 1, "{part}: {}", told.text());
            assert!(told.cause(0).contains("source: failed to"), "{}", told.cause(0));
        }
        assert!(story.target.tags().is_empty(), "{part}");
    }
}

#[test]
fn a_signature_that_cannot_be_read_is_a_failure() {
    let (story, key) = story("  unsigned: warn\n");
    let image = image(&story);
    let signature = key.sign_image(&story.source.memory, NAME, &image);
    let layer = signature.parse().expect("a manifest").layers()[0].digest.to_string();
    story.source.on_request(move |request| {
        request.uri.path().ends_with(&layer).then(|| Fault::status(500, "INTERNAL"))
    });
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!(told.exit_code(), 1, "{}", told.text());
    assert!(story.target.tags().is_empty());
}

#[test]
fn a_rule_that_is_tightened_counts_for_what_was_mirrored_before() {
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story);
    story.sync().expect(&["copied"]);
    let key = Key::new();
    let story = story.policy(&signed_by(&[&key], ""));
    expect_denied(&story, &["no signature of it was found"]);
    assert_eq!(story.mirrored(NAME, "1"), Some(image.clone()), "what is there stays");
    key.sign_image(&story.source.memory, NAME, &image);
    expect_verified(&story.plan(), "companions");
    expect_verified(&story.sync(), "companions-copied");
    expect_verified(&story.sync(), "up-to-date");
}

#[test]
fn a_signature_that_comes_later_opens_the_gate() {
    let (story, key) = story("");
    let image = image(&story);
    expect_denied(&story, &["no signature of it was found"]);
    key.sign_image(&story.source.memory, NAME, &image);
    expect_verified(&story.sync(), "copied");
    story.assert_settled();
}

#[test]
fn an_image_without_a_signature_is_warned_of_or_allowed_where_the_rule_says_so() {
    for (word, said) in [("warn", true), ("allow", false)] {
        let (story, _) = story(&format!("  unsigned: {word}\n"));
        let image = image(&story);
        // What cannot be checked is as good as nothing.
        put_referrer(&story.source.memory, NAME, &image, NOTATION, b"a signature");
        let told = story.sync();
        told.expect(&["copied"]);
        assert_eq!(told.exit_code(), 0);
        let item = told.item(0);
        assert_eq!(item["verification"]["result"], "unsigned", "never verified");
        let remarks = item["remarks"].as_array().expect("a list");
        assert_eq!(remarks.iter().any(|remark| remark["code"] == "unsigned"), said, "{remarks:?}");
        assert_eq!(told.text().contains("cannot be checked") || told.text().contains("can be checked"), said);
    }
}

#[test]
fn a_wrong_signature_is_denied_also_where_none_is_allowed() {
    let (story, _) = story("  unsigned: allow\n");
    let image = image(&story);
    put_no_bundle(&story.source.memory, NAME, &image);
    expect_denied(&story, &["its signatures are not what the policy asks for"]);
}

#[test]
fn signatures_count_also_where_they_are_not_copied() {
    let (story, key) = story("");
    let story = story.signatures(Signatures::Skip);
    let image = image(&story);
    expect_denied(&story, &["no signature of it was found"]);
    key.sign_image(&story.source.memory, NAME, &image);
    expect_verified(&story.sync(), "copied");
    assert_eq!(story.mirrored(NAME, &cosign_tag(&image, ".sig")), None);
    // The source still has it.
    expect_verified(&story.sync(), "up-to-date");
}

/// What the list pins and the target has whole is verified there.
#[test]
fn a_pinned_image_is_verified_without_its_source() {
    let (story, key) = story("");
    let image = image(&story);
    key.sign_image(&story.source.memory, NAME, &image);
    expect_verified(&story.sync(), "copied");
    let story = story.other_list().entry(&format!("source: SOURCE/team/app:1@{}", image.digest));
    let story = story.signatures(Signatures::Skip);
    // Not copied anew, and found where it was copied to.
    story.source.clear_log();
    expect_verified(&story.sync(), "up-to-date");
    let asked: Vec<String> = story.source.requests().iter().map(support::registry::Logged::line).collect();
    assert!(asked.is_empty(), "{asked:#?}");
}

#[test]
fn what_a_vanished_source_had_is_verified_at_the_target() {
    let (story, key) = story("");
    let image = image(&story);
    key.sign_image(&story.source.memory, NAME, &image);
    expect_verified(&story.sync(), "copied");
    story.source.on_request(|request| {
        request.uri.path().contains("/manifests/").then(|| Fault::status(404, "MANIFEST_UNKNOWN"))
    });
    let told = story.sync();
    expect_verified(&told, "up-to-date");
    assert!(told.text().contains("source is gone"), "{}", told.text());
}

#[test]
fn a_smaller_index_is_made_of_one_that_is_verified() {
    let (story, key) = story("");
    let story = story.other_list().entry("source: SOURCE/team/app:1\n    platforms: [linux/amd64]");
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"b"]);
    let index = put_index(memory, NAME, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    expect_denied(&story, &["no signature of it was found"]);
    key.sign_image(memory, NAME, &index);
    let told = story.sync();
    expect_verified(&told, "copied");
    assert_eq!(told.item(0)["verification"]["subject"], index.digest.to_string());
    assert_ne!(told.item(0)["digest"], index.digest.to_string());
    expect_verified(&story.sync(), "up-to-date");
}

#[test]
fn the_closest_rule_holds() {
    let key = Key::new();
    let rules = format!(
        "signatures:\n- sources: [\"SOURCE/**\"]\n  anyOf: [{{key: {}}}]\n- sources: [\"SOURCE/team/free\"]\n  unsigned: allow\n",
        key.yaml()
    );
    let story = Scenario::new().lists("team/app:1").lists("team/free:1").policy(&rules);
    for name in ["team/app", "team/free"] {
        put_image(&story.source.memory, name, Some("1"), &[name.as_bytes()]);
    }
    let told = story.sync();
    told.expect(&["blocked", "copied"]);
    assert_eq!(told.exit_code(), 3);
    assert_eq!(told.item(1)["verification"]["result"], "not-asked");
}

#[test]
fn an_attestation_that_is_asked_for_has_to_be_there() {
    let (story, key) =
        story("  attestations: [{type: slsaProvenance, builder: \"https://builder.example/1\"}]\n");
    let memory = &story.source.memory;
    let image = image(&story);
    key.sign_image(memory, NAME, &image);
    expect_denied(&story, &["SLSA provenance"]);
    let provenance = |builder: &str| {
        json!({
            "buildDefinition": { "buildType": "https://builder.example/type", "externalParameters": {} },
            "runDetails": { "builder": { "id": builder } },
        })
    };
    key.attest(memory, NAME, &image, PROVENANCE, &provenance("https://builder.example/2"));
    expect_denied(&story, &["SLSA provenance"]);
    Key::new().attest(memory, NAME, &image, PROVENANCE, &provenance("https://builder.example/1"));
    expect_denied(&story, &["SLSA provenance"]);
    key.attest(memory, NAME, &image, PROVENANCE, &provenance("https://builder.example/1"));
    let told = story.sync();
    expect_verified(&told, "copied");
    assert_eq!(told.item(0)["verification"]["signers"][0]["statement"], PROVENANCE);
}

/// An image whose configuration says when it was made.
fn put_made(memory: &Memory, tag: &str, created: Option<&str>) -> RawManifest {
    let repository = repository(NAME);
    let config = json!({ "os": "linux", "architecture": "amd64", "created": created });
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": memory.put_blob(&repository, MediaType::OCI_CONFIG, config.to_string()),
        "layers": [memory.put_blob(&repository, MediaType::OCI_LAYER_GZIP, tag.to_owned())],
    });
    put(memory, &repository, Some(tag), MediaType::OCI_MANIFEST, &document)
}

#[test]
fn an_image_has_to_have_its_age() {
    let now = httpdate::fmt_http_date(std::time::SystemTime::now());
    let year: u32 = now.split(' ').nth(3).and_then(|year| year.parse().ok()).expect("a year");
    for (created, said) in [
        (
            Some(format!("{}-01-01T00:00:00Z", year + 1)),
            "it is younger than the policy allows: it says it was made",
        ),
        (Some("1970-01-01T00:00:00Z".to_owned()), "nothing says when it was made"),
        (Some("long ago".to_owned()), "nothing says when it was made"),
        (None, "nothing says when it was made"),
    ] {
        let story = Scenario::new().lists("team/app:1");
        let story = story.policy("signatures: [{sources: [\"**\"], minimumAge: 7d}]");
        put_made(&story.source.memory, "1", created.as_deref());
        expect_denied(&story, &[said, "asks for an age of 7 days"]);
    }
    let story = Scenario::new().lists("team/app:1");
    let story = story.policy("signatures: [{sources: [\"**\"], minimumAge: 7d}]");
    put_made(&story.source.memory, "1", Some("2020-02-02T02:02:02.123456789Z"));
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.item(0)["verification"]["made"]["at"], "2020-02-02T02:02:02Z");
    assert_eq!(told.item(0)["verification"]["made"]["by"], "image");
    story.assert_settled();
}

#[test]
fn what_is_too_large_is_not_copied() {
    for (limits, said) in [
        ("{layerSize: 1KiB}", "`layerSize` (policy.yaml:1:9) allows 1024 bytes"),
        ("{imageSize: 1KiB}", "`imageSize` (policy.yaml:1:9) allows 1024 bytes"),
    ] {
        let story = Scenario::new().lists("team/app:1").policy(&format!("limits: {limits}"));
        put_image(&story.source.memory, NAME, Some("1"), &[&[7; 2000]]);
        expect_denied(&story, &[said]);
    }
    let story = Scenario::new().lists("team/app:1").policy("limits: {layerSize: 2KiB, imageSize: 10KiB}");
    let image = put_image(&story.source.memory, NAME, Some("1"), &[&[7; 2000]]);
    story.sync().expect(&["copied"]);
    // What belongs to an image is copied with it, and counts.
    put_referrer(&story.source.memory, NAME, &image, "application/spdx+json", &[7; 20_000]);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!(told.exit_code(), 3, "{}", told.text());
}

#[test]
fn more_signatures_than_any_image_has_are_a_failure() {
    let (story, key) = story("");
    let image = image(&story);
    let (payload, signature) = key.signature(&image);
    let layers = vec![(payload.as_str(), signature.as_str()); 1001];
    put_cosign(&story.source.memory, NAME, &image, ".sig", &layers);
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!(told.exit_code(), 1, "{}", told.text());
    assert!(told.cause(0).contains("more than 1000"), "{}", told.cause(0));
}

#[test]
fn the_plans_digest_is_of_the_keys_and_not_of_their_spelling() {
    let (story, key) = story("");
    image(&story);
    let digest = |story: &Scenario| story.plan().json()["plan_digest"].as_str().expect("a digest").to_owned();
    let before = digest(&story);
    let spelled = format!(
        "# said otherwise\nsignatures:\n- unsigned: deny\n  anyOf:\n  - key: |\n{}\n  sources: ['**']\n",
        key.pem().lines().map(|line| format!("      {line}\n")).collect::<String>()
    );
    let story = story.policy(&spelled);
    assert_eq!(digest(&story), before);
    let story = story.policy(&signed_by(&[&Key::new()], ""));
    assert_ne!(digest(&story), before);
}

#[test]
fn the_report_says_which_trust_root_counts_and_how_old_it_is() {
    let story = Scenario::new().lists("team/app:1");
    let image = image(&story);
    Key::new().sign_image(&story.source.memory, NAME, &image);
    let story = story.policy(
        "signatures: [{sources: [\"**\"], anyOf: [{identity: a@example.com, issuer: https://accounts.example.com}]}]",
    );
    let told = expect_denied(
        &story,
        &["asks for a signature by `a@example.com` (issuer https://accounts.example.com)"],
    );
    let root = told.json()["trust_root"].clone();
    assert_eq!(root["origin"], "embedded");
    assert!(root["age_days"].is_number() && root["published"].is_string(), "{root}");
    assert!(told.text().contains("keyless signatures are checked by: embedded, of 20"), "{}", told.text());
}

/// The built program, with a key in a file beside the policy.
#[test]
fn the_program_reads_keys_and_explains_the_policy() {
    let story = Scenario::new();
    let image = image(&story);
    let key = Key::new();
    key.sign_image(&story.source.memory, NAME, &image);
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("policy/keys")).expect("a folder");
    let write = |name: &str, text: &str| {
        let text = text.replace("SOURCE", &story.source.host()).replace("TARGET", &story.target.host());
        fs::write(folder.path().join(name), text).expect("a file");
    };
    let run = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("image-syncer").expect("the program");
        let output = command.env_clear().current_dir(folder.path()).args(arguments).output().expect("a run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    write("external-images.yaml", "images:\n  - source: SOURCE/team/app:1\n");
    write(
        "policy/policy.yaml",
        "targetRepoPrefix: TARGET/m/\nsignatures:\n- sources: [SOURCE/**]\n  anyOf: [{key: keys/a.pub}]\n",
    );
    let policy = "--policy-file=policy/policy.yaml";
    let (code, _, said) = run(&[policy]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("policy.yaml:4:17: the key `keys/a.pub` is not usable: failed to read"), "{said}");
    write("policy/keys/a.pub", &key.pem());
    let (code, said, error) = run(&[policy]);
    assert_eq!(code, Some(0), "{said}{error}");
    assert!(said.contains("verified: key keys/a.pub"), "{said}");

    let source = format!("{}/team/app:1", story.source.host());
    let (code, said, error) = run(&["policy", "explain", &source, policy]);
    assert_eq!(code, Some(0), "{said}{error}");
    assert!(said.contains("the rule at policy/policy.yaml:3:3 holds"), "{said}");
    let (_, said, _) = run(&["policy", "explain", &source, policy, "--format=json"]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(told["signatures"][0]["holds"], true, "{said}");

    write("root.json", "{}");
    let (code, _, said) = run(&[policy, "--trust-root=root.json"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--trust-root: root.json is not usable"), "{said}");
}
