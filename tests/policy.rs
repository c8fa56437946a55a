//! The operator's policy: what it forbids, and what it lets move.
#![expect(clippy::expect_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use assert_cmd::Command;
use image_syncer::config::Signatures;
use image_syncer::oci::{Digest, MediaType, RawManifest};
use serde_json::json;
use support::content::{put, put_image, put_image_for, put_index, put_referrer, repository};
use support::scenario::{Scenario, Told};

const LATEST_MOVES: &str = "mutableTags: [\"**:latest\"]";
const SBOM: &str = "application/spdx+json";

/// The image that a tag of the source has now, and had.
struct Versions {
    old: RawManifest,
    new: RawManifest,
}

/// `team/app:latest`, mirrored, and then moved at the source.
fn moved_at_source(story: &Scenario) -> Versions {
    let old = put_image(&story.source.memory, "team/app", Some("latest"), &[b"base", b"old"]);
    story.sync().expect(&["copied"]);
    let new = put_image(&story.source.memory, "team/app", Some("latest"), &[b"base", b"new"]);
    Versions { old, new }
}

fn at_target(story: &Scenario, tag: &str) -> Option<Digest> {
    story.target.tag(&story.at_target("team/app"), tag)
}

/// Asserts that a single image is blocked by the policy, in these words.
#[track_caller]
fn expect_violation(told: &Told, words: &[&str]) {
    told.expect(&["blocked"]);
    assert_eq!(told.exit_code(), 3, "{}", told.text());
    let report = told.json();
    assert_eq!(report["items"][0]["cause"]["kind"], json!("policy"));
    let message = report["items"][0]["cause"]["message"].as_str().expect("a message").to_owned();
    for word in words {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_tag_that_may_move_moves() {
    let story = Scenario::new().lists("team/app:latest").policy(LATEST_MOVES);
    let Versions { old, new } = moved_at_source(&story);

    let told = story.plan();
    told.expect(&["move"]);
    assert_eq!(told.exit_code(), 0);
    // The base layer and the config are there already.
    assert_eq!(told.json()["items"][0]["bytes_to_move"], json!(3));
    assert_eq!(at_target(&story, "latest"), Some(old.digest.clone()), "a plan moves nothing");

    let told = story.sync();
    told.expect(&["moved"]);
    assert_eq!(told.exit_code(), 0);
    let at = story.at_target("team/app");
    assert_eq!(story.target.manifest(&at, "latest"), Some(new.clone()));
    for blob in new.parse().expect("a manifest").blobs() {
        assert_eq!(story.target.blob(&at, &blob.digest), story.source.blob("team/app", &blob.digest));
    }
    let item = &told.json()["items"][0];
    assert_eq!(item["decision"], json!("move"));
    assert_eq!(item["target_digest"], json!(old.digest));
    assert_eq!(item["digest"], json!(new.digest));
    for text in [told.text(), told.0.markdown(usize::MAX)] {
        assert!(text.contains(&old.digest.to_string()) && text.contains(&new.digest.to_string()), "{text}");
    }

    story.source.clear_log();
    story.target.clear_log();
    story.sync().expect(&["up-to-date"]);
    assert!(story.target.writes().is_empty());
}

#[test]
fn a_tag_that_no_pattern_names_stays() {
    for policy in ["", "mutableTags: [\"*/team/app:lates\", \"team/app:latest\", \"**:v*\"]"] {
        let story = Scenario::new().lists("team/app:latest").policy(policy);
        let Versions { old, .. } = moved_at_source(&story);
        story.plan().expect(&["conflict"]);
        let told = story.sync();
        told.expect(&["conflict"]);
        assert_eq!(told.exit_code(), 3);
        assert_eq!(at_target(&story, "latest"), Some(old.digest), "{policy}");
    }
}

#[test]
fn a_listed_digest_moves_the_tag_too() {
    let story = Scenario::new().policy(LATEST_MOVES).signatures(Signatures::Skip);
    let old = put_image(&story.source.memory, "team/app", Some("latest"), &[b"old"]);
    let new = put_image(&story.source.memory, "team/app", None, &[b"new"]);
    let mut story = story.entry(&format!("source: SOURCE/team/app:latest@{}", old.digest));
    story.sync().expect(&["copied"]);
    story = story.other_list().entry(&format!("source: SOURCE/team/app:latest@{}", new.digest));
    story.plan().expect(&["move"]);
    story.sync().expect(&["moved"]);
    assert_eq!(at_target(&story, "latest"), Some(new.digest));

    let gone = Digest::sha256(b"nobody has this");
    story = story.other_list().entry(&format!("source: SOURCE/team/app:latest@{gone}"));
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!(told.exit_code(), 1, "what the list wants is not there, and the tag cannot stay for it");
}

#[test]
fn companions_move_along_and_those_of_the_old_image_stay() {
    let story = Scenario::new().lists("team/app:latest").policy(LATEST_MOVES);
    let old = put_image(&story.source.memory, "team/app", Some("latest"), &[b"old"]);
    let old_sbom = put_referrer(&story.source.memory, "team/app", &old, SBOM, b"old sbom");
    story.sync().expect(&["copied"]);
    let new = put_image(&story.source.memory, "team/app", Some("latest"), &[b"new"]);
    let sbom = put_referrer(&story.source.memory, "team/app", &new, SBOM, b"new sbom");
    let signature = format!("sha256-{}.sig", new.digest.hex());
    let signed = put_image(&story.source.memory, "team/app", Some(&signature), &[b"signature"]);

    let told = story.sync();
    told.expect(&["moved"]);
    assert_eq!(told.json()["items"][0]["companions_proof"], json!({ "expected": 2, "verified": 2 }));
    let at = story.at_target("team/app");
    assert_eq!(at_target(&story, "latest"), Some(new.digest.clone()));
    assert_eq!(at_target(&story, &signature), Some(signed.digest));
    let referrers = |subject: &RawManifest| -> Vec<Digest> {
        story.target.referrers(&at, &subject.digest).into_iter().map(|referrer| referrer.digest).collect()
    };
    assert_eq!(referrers(&new), [sbom.digest]);
    assert_eq!(referrers(&old), [old_sbom.digest]);
}

#[test]
fn a_companions_tag_never_moves_and_keeps_the_images_tag_where_it_is() {
    let story = Scenario::new().lists("team/app:latest").policy("mutableTags: [\"**:*\"]");
    let Versions { old, new } = moved_at_source(&story);
    let tag = format!("sha256-{}.sig", new.digest.hex());
    put_image(&story.source.memory, "team/app", Some(&tag), &[b"theirs"]);
    let ours = put_image(&story.target.memory, &story.at_target("team/app"), Some(&tag), &[b"ours"]);
    story.plan().expect(&["conflict"]);
    story.sync().expect(&["conflict"]);
    assert_eq!(at_target(&story, "latest"), Some(old.digest));
    assert_eq!(at_target(&story, &tag), Some(ours.digest));

    // Nor does it if a list names it as an image.
    let story = story.other_list().lists(&format!("team/app:{tag}"));
    story.sync().expect(&["conflict"]);
}

/// Somebody else writes the tag when it is looked at for the `nth` time.
fn overtaken_at(nth: usize) {
    let story = Scenario::new().lists("team/app:latest").policy(LATEST_MOVES).signatures(Signatures::Skip);
    moved_at_source(&story);
    let at = story.at_target("team/app");
    let memory = story.target.memory.clone();
    let theirs = put_image(&memory, &at, None, &[b"somebody else's"]);
    let looks = AtomicUsize::new(0);
    let tag = theirs.clone();
    story.target.on_request(move |request| {
        let is_look = matches!(request.method.as_str(), "HEAD" | "GET")
            && request.uri.path().ends_with("/manifests/latest");
        if is_look && looks.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            memory.put_manifest(&repository(&at), &"latest".parse().expect("a tag"), &tag);
        }
        None
    });
    let told = story.sync();
    told.expect(&["conflict"]);
    assert_eq!(told.exit_code(), 3);
    assert_eq!(at_target(&story, "latest"), Some(theirs.digest));
    assert!(told.text().contains("somebody else wrote it"), "{}", told.text());
    assert!(told.text().contains("The next run looks again"), "{}", told.text());
}

#[test]
fn a_race_that_is_lost_before_the_push_is_a_conflict() {
    overtaken_at(2);
}

#[test]
fn a_race_that_is_lost_after_the_push_is_a_conflict() {
    overtaken_at(3);
}

#[test]
fn a_tag_moves_in_a_layout_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = format!("targetRepoPrefix: \"oci:{}/\"\n{LATEST_MOVES}", folder.path().display());
    let story = Scenario::new().lists("team/app:latest").policy(&policy);
    let Versions { old, new } = moved_at_source(&story);
    story.sync().expect(&["moved"]);
    let index = fs::read_to_string(folder.path().join("index.json")).expect("an index");
    assert!(index.contains(&new.digest.to_string()) && !index.contains(&old.digest.to_string()), "{index}");
    assert!(story.target.requests().is_empty());
}

#[test]
fn a_source_that_is_not_allowed_is_not_contacted() {
    let story = Scenario::new().lists("team/app:1").policy("allowedSources: [\"quay.io/**\"]");
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    for told in [story.plan(), story.sync()] {
        let name = format!("{}/team/app", story.source.host());
        let words = [
            "`allowedSources` (policy.yaml:1:17)",
            &format!("add `{name}` or"),
            "take the image off the list",
        ];
        expect_violation(&told, &words);
        assert!(told.text().contains("not allowed to mirror"), "{}", told.text());
    }
    assert_eq!(story.source.requests().len(), 0);
    assert!(story.target.writes().is_empty() && story.target.tags().is_empty());
}

#[test]
fn what_is_allowed_is_copied_beside_what_is_not() {
    let story = Scenario::new().lists("team/app:1").lists("other/app:1").lists("team/sub/app:1");
    let story = story.policy("allowedSources: [\"SOURCE/team/*\"]");
    for name in ["team/app", "other/app", "team/sub/app"] {
        put_image(&story.source.memory, name, Some("1"), &[name.as_bytes()]);
    }
    let told = story.sync();
    told.expect(&["copied", "blocked", "blocked"]);
    assert_eq!(told.exit_code(), 3);
    let asked: Vec<_> = story.source.requests().into_iter().map(|request| request.path).collect();
    assert!(asked.iter().all(|path| path == "/v2/" || path.starts_with("/v2/team/app/")), "{asked:?}");
    assert_eq!(story.target.tags().len(), 1);
}

#[test]
fn a_rule_that_is_tightened_blocks_what_is_there_and_takes_nothing_away() {
    let story = Scenario::new().lists("team/app:1");
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    story.sync().expect(&["copied"]);
    let before = story.target.tags();
    let story = story.policy("allowedSources: [\"quay.io/**\"]");
    expect_violation(&story.sync(), &["allowedSources"]);
    let story = story.policy("requirePlatforms: [linux/arm64]").signatures(Signatures::Skip);
    expect_violation(&story.plan(), &["asks for linux/arm64, and the image is for linux/amd64"]);
    expect_violation(&story.sync(), &["asks for linux/arm64, and the image is for linux/amd64"]);
    assert_eq!(story.target.tags(), before);
}

#[test]
fn the_policys_prefix_wins_and_says_so() {
    let story = Scenario::new().lists("team/app:1").policy("targetRepoPrefix: TARGET/fixed/\n");
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    let told = story.sync();
    told.expect(&["copied"]);
    let tags: Vec<String> = story.target.tags().into_keys().collect();
    assert_eq!(tags, [format!("fixed/{}/team/app:1", story.source.host().replace(':', "_"))]);
    let warning = told.json()["warnings"][0].clone();
    assert_eq!(warning["location"]["file"], json!("policy.yaml"));
    let message = warning["message"].as_str().expect("a message");
    let ignored = "/mirror/` of --target-repo-prefix or SYNCER_TARGET_REPO_PREFIX has no effect";
    assert!(message.contains(ignored), "{message}");
}

#[test]
fn an_index_has_to_be_for_all_required_platforms() {
    let story = Scenario::new().lists("team/app:1").policy("requirePlatforms: [linux/amd64, linux/arm64]");
    let amd64 = put_image_for(&story.source.memory, "team/app", None, "linux/amd64", &[b"a"]);
    let s390x = put_image_for(&story.source.memory, "team/app", None, "linux/s390x", &[b"s"]);
    let arm64 = put_image_for(&story.source.memory, "team/app", None, "linux/arm64", &[b"b"]);
    let children = [(&amd64, "linux/amd64"), (&s390x, "linux/s390x")];
    put_index(&story.source.memory, "team/app", Some("1"), &children);
    let words =
        ["`requirePlatforms` (policy.yaml:1:19) asks for linux/arm64", "is for linux/amd64, linux/s390x;"];
    expect_violation(&story.plan(), &words);
    expect_violation(&story.sync(), &words);
    assert!(story.target.writes().is_empty());

    let children = [(&amd64, "linux/amd64"), (&arm64, "linux/arm64/v8")];
    put_index(&story.source.memory, "team/app", Some("1"), &children);
    story.sync().expect(&["copied"]);
    story.sync().expect(&["up-to-date"]);

    // An entry that leaves one out has to name it too.
    let story =
        story.other_list().entry("source: SOURCE/team/app:1\n    tag: small\n    platforms: [linux/amd64]");
    expect_violation(&story.sync(), &["name it in the entry's `platforms` too"]);
}

#[test]
fn an_index_within_an_index_counts_whether_it_is_there_or_not() {
    let story = Scenario::new().lists("team/app:1").policy("requirePlatforms: [linux/arm64]");
    let arm64 = put_image_for(&story.source.memory, "team/app", None, "linux/arm64", &[b"b"]);
    let inner = put_index(&story.source.memory, "team/app", None, &[(&arm64, "linux/arm64")]);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [inner.descriptor()],
    });
    put(&story.source.memory, &repository("team/app"), Some("1"), MediaType::OCI_INDEX, &document);
    story.sync().expect(&["copied"]);
    story.sync().expect(&["up-to-date"]);
}

#[test]
fn a_single_image_has_to_be_for_the_required_platform_and_an_artifact_has_none() {
    let story = Scenario::new().lists("team/app:1").policy("requirePlatforms: [linux/arm64]");
    put_image_for(&story.source.memory, "team/app", Some("1"), "linux/amd64", &[b"a"]);
    expect_violation(&story.plan(), &["the image is for linux/amd64;"]);
    expect_violation(&story.sync(), &["the image is for linux/amd64;"]);
    put_image_for(&story.source.memory, "team/app", Some("1"), "linux/arm64/v8", &[b"a"]);
    let told = story.sync();
    told.expect(&["copied"]);
    assert_eq!(told.json()["items"][0]["platforms"], json!(["linux/arm64/v8"]));

    let story = story.other_list().lists("team/chart:1");
    let image = put_image(&story.source.memory, "team/chart", None, &[b"x"]);
    let chart = put_referrer(&story.source.memory, "team/chart", &image, "application/x-chart", b"chart");
    story.source.memory.put_manifest(&repository("team/chart"), &"1".parse().expect("a tag"), &chart);
    story.sync().expect(&["copied"]);
    story.sync().expect(&["up-to-date"]);
}

#[test]
fn a_move_has_to_be_for_the_required_platforms_too() {
    let policy = format!("requirePlatforms: [linux/amd64]\n{LATEST_MOVES}");
    let story = Scenario::new().lists("team/app:latest").policy(&policy);
    let old = put_image(&story.source.memory, "team/app", Some("latest"), &[b"old"]);
    story.sync().expect(&["copied"]);
    put_image_for(&story.source.memory, "team/app", Some("latest"), "linux/arm64", &[b"new"]);
    expect_violation(&story.sync(), &["asks for linux/amd64"]);
    assert_eq!(at_target(&story, "latest"), Some(old.digest));
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_failure_and_no_violation() {
    let story = Scenario::new().lists("team/app:1").policy("requirePlatforms: [linux/arm64]");
    put_image_for(&story.source.memory, "team/app", Some("1"), "linux/arm64", &[b"a"]);
    story.source.on_request(|request| {
        request.uri.path().contains("/blobs/").then(|| support::fault::Fault::status(403, "DENIED"))
    });
    let told = story.sync();
    told.expect(&["blocked"]);
    assert_eq!(told.exit_code(), 1, "{}", told.text());
}

#[test]
fn the_plans_digest_is_of_the_policys_rules() {
    let story = Scenario::new().lists("team/app:1");
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    let digest = |story: &Scenario| story.plan().json()["plan_digest"].as_str().expect("a digest").to_owned();
    let without = digest(&story);
    let story = story.policy("mutableTags: [\"a:b\", \"c:d\"]");
    let with = digest(&story);
    let story = story.policy("# said otherwise\nmutableTags:\n- c:d\n- a:b\n");
    assert_eq!(digest(&story), with);
    assert_ne!(with, without);
}

#[test]
fn the_command_line_reads_the_policy() {
    let story = Scenario::new();
    put_image(&story.source.memory, "team/app", Some("1"), &[b"one"]);
    let folder = tempfile::tempdir().expect("a folder");
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
    write("policy.yaml", "targetRepoPrefix: TARGET/fixed\nmutableTag: []\n");
    let (code, _, said) = run(&["--policy-file", "policy.yaml"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("policy.yaml:1:19: the target prefix"), "{said}");
    assert!(said.contains("policy.yaml:2:1: a policy has no key `mutableTag`; did you mean"), "{said}");

    write("policy.yaml", "targetRepoPrefix: TARGET/fixed/\nallowedSources: [SOURCE/**]\n");
    let (code, said, _) = run(&["--policy-file=policy.yaml"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(story.target.tags().len(), 1);

    write("policy.yaml", "targetRepoPrefix: TARGET/fixed/\nallowedSources: [quay.io/**]\n");
    let (code, said, _) = run(&["--policy-file=policy.yaml"]);
    assert_eq!(code, Some(3), "{said}");

    let (code, schema, _) = run(&["schema", "policy"]);
    assert_eq!((code, schema.as_str()), (Some(0), image_syncer::policy::POLICY_SCHEMA));
}
