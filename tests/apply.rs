//! A plan that is made, looked at, and carried out as it is: `plan --out`, `sync --plan`.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::collections::HashMap;
use std::process::{Command, Output, Stdio};

use http::Method;
use image_syncer::oci::{Digest, RawManifest};
use image_syncer::plan::{Item, Plan};
use image_syncer::report::{Report, json};
use serde_json::Value;
use support::companions::{SPDX, cosign_tag, entry, put_cosign, put_fallback, sign};
use support::content::{put_image, put_image_for, put_index, put_referrer};
use support::fault::Fault;
use support::registry::TestRegistry;

const LIST: &str = "external-images.yaml";
const PLAN: &str = "plan.json";

/// Two registries, and a folder where the program runs.
struct Story {
    source: TestRegistry,
    target: TestRegistry,
    home: tempfile::TempDir,
}

impl Story {
    /// A list of these entries, `SOURCE` being the source.
    fn of(entries: &[&str]) -> Self {
        let story = Self {
            source: TestRegistry::start(),
            target: TestRegistry::start(),
            home: tempfile::tempdir().expect("a folder"),
        };
        story.lists(entries);
        story
    }

    fn lists(&self, entries: &[&str]) {
        let mut list = format!("targetRepoPrefix: {}/mirror/\nimages:\n", self.target.host());
        for entry in entries {
            list.extend(["  - ", entry, "\n"]);
        }
        self.write(LIST, &list.replace("SOURCE", &self.source.host()));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join(name)).expect("a file")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
        let home = self.home.path();
        command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
        command.args(arguments).stdin(Stdio::null()).output().expect("an output")
    }

    /// Makes a plan.
    #[track_caller]
    fn plan(&self, more: &[&str]) -> Value {
        let output = self.run(&[&["plan", "--out", PLAN], more].concat());
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", text(&output));
        serde_json::from_str(&self.read(PLAN)).expect("JSON")
    }

    /// Carries it out, and gives the report.
    #[track_caller]
    fn apply(&self, code: i32, more: &[&str]) -> Value {
        let arguments = [&["sync", "--plan", PLAN, "--report", "report.json"], more].concat();
        let output = self.run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        serde_json::from_str(&self.read("report.json")).expect("JSON")
    }

    /// Asserts that the plan is refused for a reason, before anything is asked or written.
    #[track_caller]
    fn refused(&self, reason: &str, more: &[&str]) {
        self.source.clear_log();
        self.target.clear_log();
        let output = self.run(&[&["sync", "--plan", PLAN], more].concat());
        let told = text(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("error: --plan: ") && told.contains(reason), "{told}");
        assert!(self.source.requests().is_empty() && self.target.requests().is_empty(), "{told}");
    }

    /// Writes the plan anew with other items, and the digest that belongs to them.
    fn forge(&self, change: impl Fn(&mut Item)) {
        let mut report: Report = json::read(self.read(PLAN).as_bytes()).expect("a plan");
        report.plan.items.iter_mut().for_each(change);
        let Plan { items, signatures, policy, .. } = report.plan;
        report.plan = Plan::new(items, signatures, policy, HashMap::new());
        self.write(PLAN, &report.json());
    }

    fn image(&self, tag: &str, content: &str) -> RawManifest {
        put_image(&self.source.memory, "team/app", Some(tag), &[content.as_bytes()])
    }

    fn mirrored(&self, tag: &str) -> Option<Digest> {
        self.target.tag("mirror/app", tag)
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const ONE: &str = "source: SOURCE/team/app:1\n    target: app";

#[test]
fn a_plan_is_carried_out_whatever_its_tags_have_by_now() {
    let story = Story::of(&[ONE, "source: SOURCE/team/app:2\n    target: app"]);
    let (old, other) = (story.image("1", "old"), story.image("2", "other"));
    let plan = story.plan(&[]);
    assert!(story.target.writes().is_empty() && story.target.tags().is_empty());
    let new = story.image("1", "new");
    story.source.clear_log();
    let report = story.apply(0, &[]);
    assert_eq!((story.mirrored("1"), story.mirrored("2")), (Some(old.digest.clone()), Some(other.digest)));
    assert_eq!(report["applied_plan"], plan["plan_digest"]);
    assert_eq!(report["plan_digest"], plan["plan_digest"]);
    let remarks = report["items"][0]["remarks"].as_array().expect("remarks");
    assert_eq!(remarks[0]["code"], "source-moved");
    let told = remarks[0]["message"].as_str().expect("a message");
    assert!(told.contains(&old.digest.to_string()) && told.contains(&new.digest.to_string()), "{told}");
    assert_eq!(report["items"][1]["remarks"], serde_json::json!([]));
    // Each tag is looked at once, to say if it moved, and nothing is read by it.
    for tag in ["1", "2"] {
        let path = format!("/manifests/{tag}");
        let asked = story.source.requests();
        let asked: Vec<_> = asked.iter().filter(|request| request.path.ends_with(&path)).collect();
        assert!(matches!(&asked[..], [once] if once.method == Method::HEAD), "{asked:?}");
    }
    // Once more there is nothing to do.
    let again = story.apply(0, &[]);
    assert_eq!(again["totals"]["outcomes"]["up-to-date"], 2);
}

#[test]
fn what_belongs_to_an_image_is_what_belonged_to_it_then() {
    for api in [true, false] {
        let source =
            if api { TestRegistry::start() } else { TestRegistry::builder().without_referrers_api().start() };
        let story = Story { source, ..Story::of(&[]) };
        story.lists(&[ONE]);
        let memory = &story.source.memory;
        let image = story.image("1", "one");
        let signature = sign(memory, "team/app", &image);
        let sbom = put_referrer(memory, "team/app", &image, SPDX, b"an sbom");
        // Where there is no API the index says what there is, and by the time of the sync it says something else.
        let listed = |referrer| put_fallback(memory, "team/app", &image, &[entry(referrer)]);
        if !api {
            listed(&sbom);
        }
        let plan = story.plan(&[]);
        assert_eq!(plan["items"][0]["companions"].as_array().map(Vec::len), Some(2), "{plan}");
        let other = put_referrer(memory, "team/app", &image, SPDX, b"another sbom");
        if !api {
            listed(&other);
        }
        let payloads = [("a payload", "a signature"), ("a payload", "another signature")];
        put_cosign(memory, "team/app", &image, ".sig", &payloads);
        story.apply(0, &[]);
        assert_eq!(story.mirrored("1"), Some(image.digest.clone()));
        assert_eq!(story.mirrored(&cosign_tag(&image, ".sig")), Some(signature.digest));
        let referrers = story.target.referrers("mirror/app", &image.digest);
        let referrers: Vec<Digest> = referrers.into_iter().map(|referrer| referrer.digest).collect();
        assert_eq!(referrers, [sbom.digest]);
        // A sync of its own finds what came since.
        assert_eq!(story.run(&["sync"]).status.code(), Some(0));
        let referrers = story.target.referrers("mirror/app", &image.digest);
        assert!(referrers.iter().any(|referrer| referrer.digest == other.digest), "{referrers:?}");
    }
}

/// Some registries forget what no tag names any more.
#[test]
fn what_belonged_to_an_image_and_is_gone_is_said() {
    let story = Story::of(&[ONE]);
    let image = story.image("1", "one");
    let signature = sign(&story.source.memory, "team/app", &image);
    story.plan(&[]);
    let gone = signature.digest.to_string();
    story.source.on_request(move |parts| {
        parts.uri.path().ends_with(&gone).then(|| Fault::status(404, "MANIFEST_UNKNOWN"))
    });
    let report = story.apply(0, &[]);
    assert_eq!(story.mirrored("1"), Some(image.digest));
    let remark = &report["items"][0]["remarks"][0];
    assert_eq!(remark["code"], "companion-gone", "{report}");
    let message = remark["message"].as_str().expect("a message");
    assert!(message.contains(&signature.digest.to_string()), "{message}");
}

#[test]
fn a_smaller_index_is_the_one_of_the_plan() {
    let story = Story::of(&["source: SOURCE/team/app:1\n    target: app\n    platforms: [linux/amd64]"]);
    let memory = &story.source.memory;
    let amd64 = put_image_for(memory, "team/app", None, "linux/amd64", &[b"a"]);
    let arm64 = put_image_for(memory, "team/app", None, "linux/arm64", &[b"b"]);
    put_index(memory, "team/app", Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let plan = story.plan(&[]);
    put_index(memory, "team/app", Some("1"), &[(&amd64, "linux/amd64")]);
    story.apply(0, &[]);
    let digest = story.mirrored("1").expect("an index");
    assert_eq!(plan["items"][0]["digest"], digest.to_string());
}

#[test]
fn a_look_up_that_fails_is_no_more_than_a_remark() {
    let story = Story::of(&[ONE]);
    let image = story.image("1", "one");
    story.plan(&[]);
    for status in [403, 404] {
        story.source.on_request(move |parts| {
            parts.uri.path().ends_with("/manifests/1").then(|| Fault::status(status, "NO"))
        });
        let report = story.apply(0, &[]);
        assert_eq!(story.mirrored("1"), Some(image.digest.clone()));
        assert_eq!(report["items"][0]["remarks"][0]["code"], "source-moved", "{report}");
    }
}

#[test]
fn a_tag_that_appeared_meanwhile_is_left_alone() {
    let story = Story::of(&[ONE, "source: SOURCE/team/app:2\n    target: app"]);
    let (one, two) = (story.image("1", "one"), story.image("2", "two"));
    story.plan(&[]);
    let other = put_image(&story.target.memory, "mirror/app", Some("1"), &[b"somebody's"]);
    put_image(&story.target.memory, "mirror/app", Some("2"), &[b"two"]);
    let report = story.apply(3, &[]);
    let outcomes: Vec<&Value> = (0..2).map(|place| &report["items"][place]["outcome"]).collect();
    assert_eq!(outcomes, ["conflict", "up-to-date"]);
    assert_eq!((story.mirrored("1"), story.mirrored("2")), (Some(other.digest), Some(two.digest)));
    assert_ne!(story.mirrored("1"), Some(one.digest));
}

/// A tag that may move was to move from what it had.
#[test]
fn a_tag_that_somebody_else_moved_meanwhile_is_a_conflict() {
    let story = Story::of(&[ONE]);
    story.write("policy.yaml", "mutableTags: [\"app:1\"]\n");
    let policy = ["--policy-file", "policy.yaml"];
    let new = story.image("1", "new");
    put_image(&story.target.memory, "mirror/app", Some("1"), &[b"old"]);
    let plan = story.plan(&policy);
    assert_eq!(plan["items"][0]["decision"], "move", "{plan}");
    let theirs = put_image(&story.target.memory, "mirror/app", Some("1"), &[b"theirs"]);
    let report = story.apply(3, &policy);
    assert_eq!(report["items"][0]["outcome"], "conflict");
    assert_eq!(story.mirrored("1"), Some(theirs.digest));
    put_image(&story.target.memory, "mirror/app", Some("1"), &[b"old"]);
    story.apply(0, &policy);
    assert_eq!(story.mirrored("1"), Some(new.digest));
}

#[test]
fn what_the_plan_did_not_do_is_not_done() {
    let story = Story::of(&[ONE]);
    story.image("1", "one");
    let other = put_image(&story.target.memory, "mirror/app", Some("1"), &[b"other"]);
    let plan = story.plan(&[]);
    assert_eq!(plan["items"][0]["decision"], "conflict");
    // The tag is gone by now, for all that the target says.
    story.target.on_request(|parts| {
        parts.uri.path().ends_with("/manifests/1").then(|| Fault::status(404, "MANIFEST_UNKNOWN"))
    });
    let report = story.apply(1, &[]);
    assert_eq!(report["items"][0]["outcome"], "blocked");
    let message = report["items"][0]["cause"]["message"].as_str().expect("a message");
    assert!(message.contains("the plan has `conflict` for it"), "{message}");
    story.target.heal();
    assert_eq!(story.mirrored("1"), Some(other.digest));
}

/// An image that could not be looked at has no digest that anybody could have agreed to.
#[test]
fn what_the_plan_could_not_look_at_is_not_done() {
    let story = Story::of(&[ONE]);
    story.source.on_request(|_| Some(Fault::status(403, "DENIED")));
    let output = story.run(&["plan", "--out", PLAN]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    story.source.heal();
    story.image("1", "one");
    let report = story.apply(1, &[]);
    let message = report["items"][0]["cause"]["message"].as_str().expect("a message");
    assert!(message.contains("the plan has no digest for it"), "{message}");
    assert!(story.target.tags().is_empty());
}

#[test]
fn a_plan_that_was_edited_is_refused() {
    let story = Story::of(&[ONE]);
    let (old, new) = (story.image("1", "one"), story.image("2", "two"));
    story.plan(&[]);
    let good = story.read(PLAN);
    story.write(PLAN, &good.replace(&old.digest.to_string(), &new.digest.to_string()));
    story.refused("somebody changed it", &[]);
    // A name that the list does not have.
    story.write(PLAN, &good.replace("/mirror/app:1\"", "/mirror/other:1\""));
    story.refused("it lacks", &[]);
    story.write(PLAN, &good.replace("/team/app:1\"", "/team/evil:1\""));
    story.refused("it has another entry for", &[]);
    for (what, with, reason) in [
        (
            "\"source_digest\": \"sha256:",
            "\"source_digest\": \"sha256:x",
            "its `source_digest` is \"sha256:x",
        ),
        (
            "\"decision\": \"copy\"",
            "\"decision\": \"dance\"",
            "is \"dance\", which this program does not write",
        ),
        ("\"items\": [", "\"item\": [", "it is no report"),
    ] {
        story.write(PLAN, &good.replace(what, with));
        story.refused(reason, &[]);
    }
}

/// Who edits well can choose among what the list's own repository has, and nothing else.
#[test]
fn a_plan_that_was_edited_well_pushes_nothing_that_the_list_does_not_say() {
    let story = Story::of(&[ONE]);
    let image = story.image("1", "one");
    let elsewhere = put_image(&story.source.memory, "team/evil", Some("1"), &[b"evil"]);
    story.plan(&[]);
    let good = story.read(PLAN);
    let evil = elsewhere.digest.clone();
    story.forge(move |item| {
        item.digest = Some(evil.clone());
        item.source_digest = Some(evil.clone());
    });
    let report = story.apply(1, &[]);
    assert_eq!(report["items"][0]["outcome"], "blocked", "{report}");
    assert!(story.target.tags().is_empty());

    // The list has the digest: no plan has another one.
    story.lists(&[&format!("source: SOURCE/team/app:1@{}\n    target: app", image.digest)]);
    story.plan(&[]);
    let evil = elsewhere.digest;
    story.forge(move |item| {
        item.digest = Some(evil.clone());
        item.source_digest = Some(evil.clone());
    });
    story.refused("its `source_digest` is not that of its source", &[]);

    // A companion under a name that no companion has.
    story.lists(&[ONE]);
    story.write(PLAN, &good);
    let signature = sign(&story.source.memory, "team/app", &image);
    story.plan(&[]);
    let tag = cosign_tag(&image, ".sig");
    story.write(PLAN, &story.read(PLAN).replace(&format!("\"{tag}\""), "\"latest\""));
    story.apply(0, &[]);
    assert_eq!((story.mirrored("1"), story.mirrored("latest")), (Some(image.digest), None));
    assert_eq!(story.mirrored(&tag), None, "{}", signature.digest);
}

#[test]
fn a_plan_of_other_lists_is_refused() {
    let story = Story::of(&[ONE]);
    story.image("1", "one");
    story.image("2", "two");
    story.plan(&[]);
    let two = "source: SOURCE/team/app:2\n    target: app";
    for (entries, reason) in [
        (&[ONE, two][..], "external-images.yaml:5:13: it lacks"),
        (&["source: SOURCE/team/app:2\n    target: app\n    tag: \"1\""], "it has another entry for"),
        (
            &["source: SOURCE/team/app:1\n    target: app\n    platforms: [linux/amd64]"],
            "it has another entry for",
        ),
        (&[two], "it lacks"),
    ] {
        story.lists(entries);
        story.refused(reason, &[]);
    }
    story.lists(&[ONE, two]);
    story.plan(&[]);
    story.lists(&[two, ONE]);
    story.refused("it is of other lists than this run's", &[]);
    story.lists(&[ONE]);
    story.refused("it has", &[]);
}

#[test]
fn a_plan_of_other_choices_is_refused() {
    let story = Story::of(&[ONE]);
    story.image("1", "one");
    story.plan(&[]);
    story.refused("with `--signatures copy`", &["--signatures", "skip"]);
    story.refused("other lists", &["--target-repo-prefix", &format!("{}/else/", story.target.host())]);
    story.write("policy.yaml", "mutableTags: [\"app:1\"]\n");
    let policy = ["--policy-file", "policy.yaml"];
    story.refused("without a policy", &policy);
    story.plan(&policy);
    story.refused("this run has none", &[]);
    story.write("policy.yaml", "mutableTags: [\"app:2\"]\n");
    story.refused("another policy", &policy);
}

#[test]
fn what_is_no_whole_plan_of_this_version_is_refused() {
    let story = Story::of(&[ONE]);
    story.image("1", "one");
    story.plan(&[]);
    let good = story.read(PLAN);
    let version = format!("\"image_syncer\": \"{}\"", env!("CARGO_PKG_VERSION"));
    story.write(PLAN, &good.replace(&version, "\"image_syncer\": \"0.0.1\""));
    story.refused("image-syncer 0.0.1 made it", &[]);
    story.write(PLAN, &good.replacen("\"version\": 1", "\"version\": 2", 1));
    story.refused("version 2 of the report", &[]);
    for part in [0, 1, 2, 3] {
        story.write(PLAN, &good[..good.len() * part / 4]);
        story.refused("it is no report", &[]);
    }
    story.write(PLAN, &good.replace("\"interrupted_by\": null", "\"interrupted_by\": \"SIGINT\""));
    story.refused("it is not whole", &[]);
    let output = story.run(&["sync", "--report", PLAN]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    story.refused("it is the report of a sync", &[]);
    std::fs::remove_file(story.home.path().join(PLAN)).expect("removed");
    story.refused("failed to read plan.json", &[]);
}

#[test]
fn a_plan_that_came_to_an_early_end_is_not_written() {
    let story = Story::of(&[ONE]);
    story.source.on_request(|_| Some(Fault::Stall));
    let output = story.run(&["plan", "--out", PLAN, "--timeout", "300ms"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("the plan plan.json is not written: it is not whole"),
        "{}",
        text(&output)
    );
    assert!(!story.home.path().join(PLAN).exists());
    let output = story.run(&["plan", "--out", "nowhere/plan.json"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

/// What a plan would do of a plan is said, and shards share one.
#[test]
fn a_plan_is_carried_out_in_parts_and_looked_at_before() {
    let entries: Vec<String> =
        (0..6).map(|number| format!("source: SOURCE/team/app:{number}\n    target: app{number}")).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let story = Story::of(&entries);
    let images: Vec<RawManifest> =
        (0..6).map(|number| story.image(&number.to_string(), &format!("image {number}"))).collect();
    story.plan(&[]);
    for number in 0..6 {
        story.image(&number.to_string(), &format!("moved {number}"));
    }
    let report = story.apply(0, &["--dry-run"]);
    assert_eq!((&report["mode"], &report["totals"]["decisions"]["copy"]), (&"plan".into(), &6.into()));
    assert!(story.target.writes().is_empty());
    story.apply(0, &["--shard", "1/2"]);
    story.apply(0, &["--shard", "2/2"]);
    for (number, image) in images.iter().enumerate() {
        let there = story.target.tag(&format!("mirror/app{number}"), &number.to_string());
        assert_eq!(there.as_ref(), Some(&image.digest));
    }
    for number in 0..6 {
        story.image(&number.to_string(), &format!("image {number}"));
    }
    story.plan(&["--shard", "1/2"]);
    story.apply(0, &["--shard", "1/2"]);
    story.refused("is it the plan of another shard?", &["--shard", "2/2"]);
}
