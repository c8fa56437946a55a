//! Stories of targets that are audited by the built program, after something happened to them.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::executor::block_on;
use http::Method;
use image_syncer::oci::{Digest, RawManifest};
use image_syncer::registry::Credentials;
use image_syncer::serve::Backend as _;
use serde_json::{Value, json};
use support::auth::{Auth, TokenRequest};
use support::companions::{NOTATION, cosign_tag, sign};
use support::content::{put_image, put_image_for, put_index, put_referrer, reference, repository};
use support::fault::Fault;
use support::registry::{Logged, TestRegistry};
use support::scenario::Scenario;

/// The image's repository at the source, and at the target.
const NAME: &str = "team/app";
const THERE: &str = "mirror/team/app";
const ENTRY: &str = "source: SOURCE/team/app:1\n    target: team/app";

/// Two registries, of which the second mirrors an index of the first with all that belongs to it.
struct Story {
    scenario: Scenario,
    home: tempfile::TempDir,
    policy: String,
    index: RawManifest,
    amd64: RawManifest,
    arm64: RawManifest,
    signature: RawManifest,
    referrer: RawManifest,
}

impl Story {
    fn new() -> Self {
        Self::of(ENTRY)
    }

    /// The entry is mirrored; `DIGEST` stands for the index's digest.
    fn of(entry: &str) -> Self {
        Self::between(Scenario::new(), entry)
    }

    fn between(scenario: Scenario, entry: &str) -> Self {
        let memory = &scenario.source.memory;
        let amd64 = put_image_for(memory, NAME, None, "linux/amd64", &[b"base", b"amd64"]);
        let arm64 = put_image_for(memory, NAME, None, "linux/arm64", &[b"base", b"arm64"]);
        let children = [(&amd64, "linux/amd64"), (&arm64, "linux/arm64")];
        let index = put_index(memory, NAME, Some("1"), &children);
        let signature = sign(memory, NAME, &index);
        let referrer = put_referrer(memory, NAME, &amd64, NOTATION, b"a notation signature");
        let scenario = scenario.entry(&entry.replace("DIGEST", &index.digest.to_string()));
        scenario.sync().expect(&["copied"]);
        let home = tempfile::tempdir().expect("a folder");
        scenario.source.clear_log();
        scenario.target.clear_log();
        Self { scenario, home, policy: String::new(), index, amd64, arm64, signature, referrer }
    }

    fn policy(mut self, text: &str) -> Self {
        self.policy = self.scenario.filled(text);
        self
    }

    fn target(&self) -> &TestRegistry {
        &self.scenario.target
    }

    fn source(&self) -> &TestRegistry {
        &self.scenario.source
    }

    /// Runs `verify`, and asserts that it wrote to nobody.
    #[track_caller]
    fn verify(&self, arguments: &[&str]) -> Told {
        let home = self.home.path();
        std::fs::write(home.join("external-images.yaml"), self.scenario.list_text()).expect("a list");
        let prefix = format!("{}/mirror/", self.target().host());
        let report = home.join("report.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
        command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
        command.args(["verify", "-r", &prefix, "--report"]).arg(&report).args(arguments).stdin(Stdio::null());
        if !self.policy.is_empty() {
            std::fs::write(home.join("policy.yaml"), &self.policy).expect("a policy");
            command.args(["--policy-file", "policy.yaml"]);
        }
        let output = command.output().expect("an output");
        for registry in [self.source(), self.target()] {
            let writes: Vec<String> = registry.writes().iter().map(Logged::line).collect();
            assert!(writes.is_empty(), "{writes:#?}");
        }
        let report = std::fs::read(&report).ok();
        let report = report.map(|text| serde_json::from_slice(&text).expect("JSON")).unwrap_or_default();
        Told { output, report }
    }

    fn forget_manifest(&self, tag_or_digest: &str) {
        forget(self.target(), THERE, tag_or_digest);
    }

    fn forget_blob(&self, digest: &Digest) {
        let repository = repository(THERE);
        let deleted = block_on(self.target().memory.delete_blob(&repository, digest));
        assert!(deleted.expect("deleted"), "it was not there");
    }

    /// The layer that only one child has.
    fn own_layer(child: &RawManifest) -> Digest {
        child.parse().expect("a manifest").layers()[1].digest.clone()
    }
}

/// Makes a registry forget a tag, or a manifest with all its tags.
fn forget(registry: &TestRegistry, name: &str, tag_or_digest: &str) {
    let (repository, reference) = (repository(name), reference(tag_or_digest));
    let deleted = block_on(registry.memory.delete_manifest(&repository, &reference));
    assert!(deleted.expect("deleted"), "it was not there");
}

struct Told {
    output: Output,
    report: Value,
}

impl Told {
    fn text(&self) -> String {
        let (output, errors) = (&self.output.stdout, &self.output.stderr);
        format!("{}{}", String::from_utf8_lossy(output), String::from_utf8_lossy(errors))
    }

    /// Asserts the exit code and the kinds of what was found of the only image.
    #[track_caller]
    fn expect(&self, code: i32, kinds: &[&str]) -> &Self {
        assert_eq!(self.output.status.code(), Some(code), "{}", self.text());
        assert_eq!(self.report["exit_code"], json!(code));
        assert_eq!(words(&self.report["images"][0]["findings"]), kinds, "{}", self.text());
        self
    }

    fn finding(&self, place: usize) -> &Value {
        &self.report["images"][0]["findings"][place]
    }

    /// Asserts that something was said, wherever its lines were broken.
    #[track_caller]
    fn says(&self, part: &str) -> &Self {
        let text = self.text();
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "│").collect();
        assert!(words.join(" ").contains(part), "`{part}` is missing:\n{text}");
        self
    }
}

/// The kinds of some findings or remarks.
fn words(findings: &Value) -> Vec<&str> {
    findings.as_array().expect("a list").iter().map(|it| it["kind"].as_str().expect("a kind")).collect()
}

#[test]
fn a_target_that_is_as_it_should_be_has_no_findings() {
    let story = Story::new();
    for arguments in [&[][..], &["--deep", "--unlisted"], &["--signatures", "require"]] {
        let told = story.verify(arguments);
        told.expect(0, &[]).says("The target is as it should be: 1 image.");
        let image = &told.report["images"][0];
        assert_eq!(image["state"], "sound");
        assert_eq!((&image["line"], &image["column"]), (&json!(2), &json!(13)));
        assert_eq!(image["digest"], story.index.digest.to_string());
        assert_eq!(image["expected"], story.index.digest.to_string());
        // The index with its children, and two signatures; config and layers of the two children, and of the
        // signatures.
        assert_eq!(told.report["totals"]["manifests"], 5);
        assert_eq!(told.report["totals"]["blobs"], 3 + 3 + 2 + 2);
    }
    // Nothing of a blob is read unless it is asked for.
    story.target().clear_log();
    story.verify(&[]).expect(0, &[]);
    assert_eq!(story.target().count(&Method::GET, "/blobs/"), 0);
    // The base layer, which both children have, is asked for once.
    let base = story.amd64.parse().expect("a manifest").layers()[0].digest.to_string();
    assert_eq!(story.target().count(&Method::HEAD, &base), 1);
}

#[test]
fn all_bytes_are_read_if_that_is_asked_for() {
    let story = Story::new();
    let told = story.verify(&["--deep"]);
    told.expect(0, &[]).says("All bytes of the blobs were read and hashed (");
    assert_ne!(told.report["totals"]["bytes_read"], 0);
    for child in [&story.amd64, &story.arm64] {
        assert_eq!(story.target().count(&Method::GET, &Story::own_layer(child).to_string()), 1);
    }
}

#[test]
fn a_tag_that_is_gone_is_missing() {
    let story = Story::new();
    story.forget_manifest("1");
    let told = story.verify(&[]);
    told.expect(3, &["missing"]).says("external-images.yaml:2:13").says("missing: the tag is not there");
    assert_eq!(told.report["images"][0]["digest"], Value::Null);
}

/// The list says which content is meant: somebody wrote the tag.
#[test]
fn a_tag_with_other_content_than_the_list_says_has_moved() {
    let story = Story::of("source: SOURCE/team/app:1@DIGEST\n    target: team/app");
    let other = put_image(&story.target().memory, THERE, Some("1"), &[b"somebody's"]);
    let told = story.verify(&["--signatures", "skip"]);
    told.expect(3, &["moved"]).says("no sync overwrites it");
    assert_eq!(told.finding(0)["expected"], story.index.digest.to_string());
    assert_eq!(told.finding(0)["found"], other.digest.to_string());
    assert!(story.source().requests().is_empty(), "the source has nothing to say of it");
}

/// What was mirrored stays. Nothing tells which of the two is meant, so that this fails no audit.
#[test]
fn a_source_that_moved_on_is_a_remark() {
    let story = Story::new();
    put_image(&story.source().memory, NAME, Some("1"), &[b"newer"]);
    let told = story.verify(&[]);
    told.expect(0, &[]).says("source-moved").says("`image-syncer pin`");
    assert_eq!(words(&told.report["images"][0]["remarks"]), ["source-moved"]);
    // What belongs to the image that was mirrored is looked for all the same.
    story.forget_manifest(&cosign_tag(&story.index, ".sig"));
    story.verify(&[]).expect(3, &["companion-missing"]);
}

#[test]
fn a_source_that_is_gone_is_a_remark_and_what_is_there_is_looked_at() {
    let story = Story::new();
    forget(story.source(), NAME, "1");
    let told = story.verify(&[]);
    told.expect(0, &[]);
    assert_eq!(words(&told.report["images"][0]["remarks"]), ["source-gone"]);
    story.forget_blob(&story.signature.parse().expect("a manifest").layers()[0].digest);
    let told = story.verify(&[]);
    let part = format!("layer 1 of the signature {}", story.signature.digest.short());
    assert_eq!(told.expect(3, &["blob-missing"]).finding(0)["part"], part);
}

#[test]
fn a_blob_that_vanished_is_named_with_its_place() {
    let story = Story::new();
    let layer = Story::own_layer(&story.arm64);
    story.forget_blob(&layer);
    let told = story.verify(&[]);
    told.expect(3, &["blob-missing"])
        .says("blob-missing (layer 2 of linux/arm64)")
        .says("→ delete the tag at the target");
    assert_eq!(told.finding(0)["part"], "layer 2 of linux/arm64");
    assert_eq!(told.finding(0)["expected"], layer.to_string());
    // What both children have is missed by both.
    let config = story.amd64.parse().expect("a manifest").blobs().next().expect("a config").digest.clone();
    story.forget_blob(&story.amd64.parse().expect("a manifest").layers()[0].digest);
    story.forget_blob(&config);
    let told = story.verify(&[]);
    told.expect(3, &["blob-missing"; 4]);
    let parts: Vec<&Value> = (0..4).map(|place| &told.finding(place)["part"]).collect();
    let expected = [
        "config of linux/amd64",
        "layer 1 of linux/amd64",
        "layer 1 of linux/arm64",
        "layer 2 of linux/arm64",
    ];
    assert_eq!(parts, expected);
}

/// The advice is good: what the audit tells to do heals the target.
#[test]
fn the_advice_heals() {
    let story = Story::new();
    story.forget_blob(&Story::own_layer(&story.arm64));
    story.verify(&[]).expect(3, &["blob-missing"]);
    story.forget_manifest("1");
    story.scenario.sync().expect(&["copied"]);
    story.target().clear_log();
    story.verify(&["--deep"]).expect(0, &[]);
}

#[test]
fn a_child_that_vanished_is_named_by_its_platform() {
    let story = Story::new();
    story.forget_manifest(&story.arm64.digest.to_string());
    let told = story.verify(&[]);
    told.expect(3, &["manifest-missing"]).says("manifest-missing (linux/arm64)");
    assert_eq!(told.finding(0)["expected"], story.arm64.digest.to_string());
}

#[test]
fn a_blob_of_another_size_is_told() {
    let story = Story::new();
    let layer = Story::own_layer(&story.amd64).to_string();
    story.target().on_request(move |request| {
        let is_it = request.method == Method::HEAD && request.uri.path().ends_with(&layer);
        is_it.then(|| Fault::With("content-length", "7".to_owned()))
    });
    let told = story.verify(&[]);
    told.expect(3, &["wrong-size"]).says("has 7 bytes of it, the manifest says 5");
    assert_eq!(told.finding(0)["part"], "layer 2 of linux/amd64");
}

#[test]
fn other_bytes_are_found_by_reading_them_only() {
    let story = Story::new();
    let layer = Story::own_layer(&story.amd64).to_string();
    story.target().on_request(move |request| {
        let is_it = request.method == Method::GET && request.uri.path().ends_with(&layer);
        is_it.then_some(Fault::Corrupt)
    });
    story.verify(&[]).expect(0, &[]);
    let told = story.verify(&["--deep"]);
    told.expect(3, &["corrupt"]).says("corrupt (layer 2 of linux/amd64)");
}

#[test]
fn a_manifest_with_other_bytes_is_corrupt() {
    let story = Story::new();
    let child = story.arm64.digest.to_string();
    story.target().on_request(move |request| {
        let is_it =
            request.method == Method::GET && request.uri.path().ends_with(&format!("manifests/{child}"));
        is_it.then_some(Fault::Corrupt)
    });
    let told = story.verify(&["--signatures", "skip"]);
    assert_eq!(told.expect(3, &["corrupt"]).finding(0)["part"], "linux/arm64");
}

#[test]
fn companions_that_only_the_source_has_are_missing() {
    let story = Story::new();
    story.forget_manifest(&cosign_tag(&story.index, ".sig"));
    let told = story.verify(&[]);
    told.expect(3, &["companion-missing"]).says("the source has the signature");
    assert_eq!(told.finding(0)["expected"], story.signature.digest.to_string());
    story.forget_manifest(&story.referrer.digest.to_string());
    story.verify(&[]).expect(3, &["companion-missing"; 2]);
    story
        .verify(&["--signatures", "require"])
        .expect(3, &["unsigned", "companion-missing", "companion-missing"]);
    story.verify(&["--signatures", "skip"]).expect(0, &[]).says("were left out");
}

/// It came to the source after the image was mirrored.
#[test]
fn a_signature_that_was_added_later_is_missing_until_the_next_sync() {
    let story = Story::new();
    let later = sign(&story.source().memory, NAME, &story.arm64);
    let told = story.verify(&[]);
    assert_eq!(told.expect(3, &["companion-missing"]).finding(0)["expected"], later.digest.to_string());
    story.scenario.sync().expect(&["companions-copied"]);
    story.target().clear_log();
    story.verify(&[]).expect(0, &[]);
}

#[test]
fn a_companion_that_is_not_the_sources_is_told() {
    let story = Story::new();
    let tag = cosign_tag(&story.index, ".sig");
    put_image(&story.target().memory, THERE, Some(&tag), &[b"somebody's"]);
    let told = story.verify(&[]);
    told.expect(3, &["companion-differs"]).says("holds another signature than the source");
}

#[test]
fn tags_that_no_list_names_are_found_in_all_repositories() {
    let story = Story::new();
    let memory = &story.target().memory;
    let here = put_image(memory, THERE, Some("old"), &[b"old"]);
    let elsewhere = put_image(memory, "mirror/team/other", Some("2"), &[b"other"]);
    put_image(memory, "private/app", Some("1"), &[b"not ours"]);
    story.verify(&[]).expect(0, &[]);
    let told = story.verify(&["--unlisted"]);
    told.expect(3, &[]).says("2 tags that no list names.").says("all that the target's catalog has below");
    let host = story.target().host();
    assert_eq!(
        told.report["unlisted"],
        json!({
            "catalog": "all", "message": null, "repositories": 2, "tags": 3, "complete": true, "more_findings": 0,
            "failures": [],
            "findings": [
                { "kind": "unlisted", "target": format!("{host}/{THERE}:old"), "digest": here.digest.to_string(),
                  "in_listed_repository": true },
                { "kind": "unlisted", "target": format!("{host}/mirror/team/other:2"),
                  "digest": elsewhere.digest.to_string(), "in_listed_repository": false },
            ],
        })
    );
}

#[test]
fn without_a_catalog_the_repositories_of_the_list_are_looked_at() {
    let story = Story::new();
    let memory = &story.target().memory;
    put_image(memory, THERE, Some("old"), &[b"old"]);
    put_image(memory, "mirror/team/other", Some("2"), &[b"other"]);
    for status in [401, 403, 404, 405, 501] {
        story.target().on_request(move |request| {
            (request.uri.path() == "/v2/_catalog").then(|| Fault::status(status, "UNSUPPORTED"))
        });
        let told = story.verify(&["--unlisted"]);
        told.expect(3, &[]).says("the target does not tell which others it has");
        assert_eq!(told.report["unlisted"]["catalog"], "refused", "{status}");
        assert_eq!(told.report["unlisted"]["repositories"], 1);
        assert_eq!(words(&told.report["unlisted"]["findings"]).len(), 1);
    }
    story.target().on_request(|request| {
        let answer = || Fault::body(200, "application/json", "{\"repositories\": []}");
        (request.uri.path() == "/v2/_catalog").then(answer)
    });
    let told = story.verify(&["--unlisted"]);
    assert_eq!(told.expect(3, &[]).report["unlisted"]["catalog"], "partial");
}

/// The right to see all repositories is one of its own, and who may read those of the list asks for it.
#[test]
fn the_catalog_is_asked_for_by_who_reads_the_repositories() {
    let target = TestRegistry::builder().auth(Auth::bearer("robot", "a password")).start();
    let login = STANDARD.encode("robot:a password");
    let config = json!({ "auths": { target.host(): { "auth": login } } }).to_string();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("config.json"), &config).expect("a configuration");
    let credentials = Credentials::from_docker_config(&folder.path().join("config.json"));
    let scenario =
        Scenario::between(TestRegistry::start(), target).credentials(credentials.expect("credentials"));
    let story = Story::between(scenario, ENTRY);
    put_image(&story.target().memory, "mirror/team/other", Some("2"), &[b"other"]);
    let told = story.verify(&["--unlisted"]);
    assert_eq!(told.expect(0, &[]).report["unlisted"]["catalog"], "refused", "strangers may only pull");
    std::fs::create_dir(story.home.path().join(".docker")).expect("a folder");
    std::fs::write(story.home.path().join(".docker/config.json"), &config).expect("a configuration");
    let told = story.verify(&["--unlisted"]);
    assert_eq!(told.expect(3, &[]).report["unlisted"]["catalog"], "all");
    let asked = story.target().token_requests();
    let robot = |request: &&TokenRequest| request.user.as_deref() == Some("robot");
    assert!(asked.iter().filter(robot).any(|request| request.scopes == ["registry:catalog:*"]), "{asked:?}");
}

#[test]
fn a_catalog_and_tags_that_cannot_be_read_are_failures() {
    let story = Story::new();
    story.target().on_request(|request| {
        (request.uri.path() == "/v2/_catalog").then(|| Fault::body(200, "application/json", "{\"no\": 1}"))
    });
    let told = story.verify(&["--unlisted"]);
    assert_eq!(told.expect(1, &[]).report["unlisted"]["catalog"], "unknown");
    story.target().on_request(|request| {
        request.uri.path().ends_with("/tags/list").then(|| Fault::status(403, "DENIED"))
    });
    let told = story.verify(&["--unlisted"]);
    told.expect(1, &[]).says("failed to list the tags of");
    assert_eq!(words(&told.report["unlisted"]["findings"]).len(), 0);
}

/// The audit has just seen a tag that the list of tags lacks.
#[test]
fn a_list_of_tags_that_lacks_what_is_there_is_not_believed() {
    let story = Story::new();
    for empty in [true, false] {
        story.target().on_request(move |request| {
            let answer = if empty {
                Fault::body(200, "application/json", "{\"name\": \"x\", \"tags\": [\"other\"]}")
            } else {
                Fault::status(404, "NOT_FOUND")
            };
            request.uri.path().ends_with("/tags/list").then_some(answer)
        });
        story.verify(&["--unlisted"]).expect(1, &[]).says("lacks 1, which is there, and so may lack others");
    }
}

/// The list of tags comes in pages, whether the registry says where the next one is or not.
#[test]
fn tags_of_all_pages_are_found() {
    let behaviour = image_syncer::serve::Behaviour { page_limit: 2, ..Default::default() };
    let scenario =
        Scenario::between(TestRegistry::start(), TestRegistry::builder().behaviour(behaviour).start());
    let story = Story::between(scenario, ENTRY).policy("registries: {TARGET: {pageSize: 2}}");
    for number in 0..7 {
        put_image(&story.target().memory, THERE, Some(&format!("old-{number}")), &[b"old"]);
        put_image(&story.target().memory, &format!("mirror/other-{number}"), Some("1"), &[b"old"]);
    }
    let told = story.verify(&["--unlisted"]);
    assert_eq!(words(&told.expect(3, &[]).report["unlisted"]["findings"]).len(), 14);
    story.target().on_request(|request| {
        let path = request.uri.path();
        (path.ends_with("/tags/list") || path == "/v2/_catalog").then_some(Fault::Without("link"))
    });
    let told = story.verify(&["--unlisted"]);
    assert_eq!(words(&told.expect(3, &[]).report["unlisted"]["findings"]).len(), 14);
}

#[test]
fn what_could_not_be_looked_up_is_not_missing() {
    let story = Story::new();
    let layer = Story::own_layer(&story.arm64).to_string();
    for part in
        ["/manifests/1".to_owned(), format!("/blobs/{layer}"), format!("/manifests/{}", story.arm64.digest)]
    {
        let wanted = part.clone();
        story.target().on_request(move |request| {
            request.uri.path().ends_with(&wanted).then(|| Fault::status(403, "DENIED"))
        });
        let told = story.verify(&["--signatures", "skip"]);
        told.expect(1, &[]).says("failed: target: failed to ").says("not all could be looked up");
        assert_eq!(told.report["images"][0]["state"], "failed", "{part}");
    }
    // What was found besides is told, and the failure is the stronger word.
    story.forget_blob(&Story::own_layer(&story.amd64));
    let told = story.verify(&["--signatures", "skip"]);
    told.expect(1, &["blob-missing"]);
    assert_eq!(told.report["images"][0]["failures"].as_array().map(Vec::len), Some(1));
}

#[test]
fn companions_that_could_not_be_looked_up_are_failures() {
    for at_source in [true, false] {
        let story = Story::new();
        let registry = if at_source { story.source() } else { story.target() };
        registry.on_request(|request| {
            request.uri.path().contains("/referrers/").then(|| Fault::status(403, "DENIED"))
        });
        let told = story.verify(&[]);
        told.expect(1, &[]);
        let side = if at_source { "source" } else { "target" };
        assert_eq!(told.report["images"][0]["failures"][0]["side"], side);
    }
}

#[test]
fn a_source_that_does_not_answer_hides_no_finding() {
    let story = Story::new();
    story.forget_blob(&Story::own_layer(&story.amd64));
    story.source().on_request(|_| Some(Fault::status(403, "DENIED")));
    let told = story.verify(&[]);
    told.expect(1, &["blob-missing"]);
    // With a digest in the list the source has nothing to say of the image.
    let story = Story::of("source: SOURCE/team/app:1@DIGEST\n    target: team/app");
    story.source().on_request(|_| Some(Fault::status(403, "DENIED")));
    story.verify(&["--signatures", "skip"]).expect(0, &[]);
}

/// What was right when it was mirrored is held against the rules of today.
#[test]
fn a_rule_that_was_tightened_is_held_against_what_is_there() {
    let story = Story::new().policy("allowedSources: [quay.io/**]");
    let told = story.verify(&[]);
    told.expect(3, &["not-allowed"]).says("no pattern of `allowedSources`");
    story.source().clear_log();
    story.verify(&[]).expect(3, &["not-allowed"]);
    assert!(story.source().requests().is_empty(), "nobody asks a source that is not allowed");
    let story = Story::new().policy("requirePlatforms: [linux/amd64, linux/s390x]");
    story.verify(&[]).expect(3, &["not-allowed"]).says("`requirePlatforms`");
}

#[test]
fn an_image_of_some_platforms_is_held_against_the_same_choice() {
    let entry = "source: SOURCE/team/app:1\n    target: team/app\n    platforms: [linux/arm64]";
    let story = Story::of(entry);
    let told = story.verify(&["--deep"]);
    told.expect(0, &[]);
    let digest = story.target().tag(THERE, "1").expect("a tag");
    assert_ne!(digest, story.index.digest);
    assert_eq!(told.report["images"][0]["expected"], digest.to_string());
    // The whole index has come in its place.
    let story = Story::of(&entry.replace("app:1", "app:1@DIGEST"));
    let children = [(&story.amd64, "linux/amd64"), (&story.arm64, "linux/arm64")];
    put_index(&story.target().memory, THERE, Some("1"), &children);
    let told = story.verify(&["--signatures", "skip"]);
    told.expect(3, &["moved", "manifest-missing"]);
}

#[test]
fn a_folder_is_audited_too() {
    let story = Story::new();
    let folder = story.home.path().join("images");
    let prefix = format!("oci:{}/", folder.display());
    std::fs::write(story.home.path().join("external-images.yaml"), story.scenario.list_text())
        .expect("a list");
    let run = |command: &str, arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
        program
            .env_clear()
            .env("HOME", story.home.path())
            .current_dir(story.home.path())
            .stdin(Stdio::null());
        let output = program.args([command, "-r", &prefix]).args(arguments).output().expect("an output");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(run("sync", &[]).0, Some(0));
    let (code, told) = run("verify", &["--deep", "--unlisted"]);
    assert_eq!(code, Some(0), "{told}");
    let layer = folder.join("blobs/sha256").join(Story::own_layer(&story.amd64).hex());
    std::fs::write(&layer, "AMD64").expect("other bytes");
    assert_eq!(run("verify", &[]).0, Some(0));
    let (code, told) = run("verify", &["--deep"]);
    assert!(code == Some(3) && told.contains("corrupt (layer 2 of linux/amd64)"), "{told}");
    std::fs::remove_file(&layer).expect("a file");
    let (code, told) = run("verify", &[]);
    assert!(code == Some(3) && told.contains("blob-missing (layer 2 of linux/amd64)"), "{told}");
}

#[test]
fn json_is_as_the_schema_that_the_program_prints() {
    let story = Story::new();
    story.forget_blob(&Story::own_layer(&story.arm64));
    put_image(&story.target().memory, THERE, Some("old"), &[b"old"]);
    put_image(&story.source().memory, NAME, Some("1"), &[b"newer"]);
    let report = story.verify(&["--deep", "--unlisted"]).expect(3, &["blob-missing"]).report.clone();
    let mut program = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
    let printed = program.args(["schema", "verify"]).output().expect("an output").stdout;
    let schema: Value = serde_json::from_slice(&printed).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<String> = validator.iter_errors(&report).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(!validator.is_valid(&json!({ "version": 1 })));
}

#[test]
fn what_was_not_looked_at_in_time_is_said() {
    let story = Story::new();
    story.target().on_request(|request| request.uri.path().contains("/manifests/").then_some(Fault::Stall));
    let told = story.verify(&["--timeout", "1s", "--unlisted"]);
    told.expect(1, &[]).says("1 image not looked at").says("The run's time limit was reached");
    assert_eq!(told.report["interrupted"], "time-limit");
    assert_eq!(told.report["images"][0]["state"], "not-run");
    assert_eq!(told.report["unlisted"]["complete"], false);
}

#[test]
fn findings_go_where_they_are_asked_for() {
    let story = Story::new();
    story.forget_blob(&Story::own_layer(&story.arm64));
    let told = story.verify(&["--format", "json", "--summary", "summary.md"]);
    assert_eq!(serde_json::from_slice::<Value>(&told.output.stdout).expect("JSON"), told.report);
    let summary = std::fs::read_to_string(story.home.path().join("summary.md")).expect("a summary");
    assert!(summary.starts_with("## ❌ 1 finding at 1 of 1 image\n"), "{summary}");
    assert!(summary.contains("**blob-missing** (layer 2 of linux/arm64)"), "{summary}");
    let told = story.verify(&["--format", "markdown"]);
    assert!(String::from_utf8_lossy(&told.output.stdout).starts_with("## ❌ 1 finding"), "{}", told.text());
    // A folder that is not there is told before anybody is asked.
    let told = story.verify(&["--summary", "none/summary.md"]);
    assert_eq!(told.output.status.code(), Some(2));
}
