//! Several runs that share one list: the built program, as each machine runs it, and the one report of theirs.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use http::Method;
use http::request::Parts;
use serde_json::Value;
use support::content::put_image;
use support::fault::Fault;
use support::registry::TestRegistry;
use support::scenario::Scenario;

/// Repositories, each with two tags; all images share a layer.
const REPOSITORIES: usize = 9;
const SHARDS: usize = 4;

/// A list of images of a source, in a folder where the program runs.
struct Fleet {
    source: TestRegistry,
    target: TestRegistry,
    home: tempfile::TempDir,
}

impl Fleet {
    fn new() -> Self {
        let (source, target) = (TestRegistry::start(), TestRegistry::start());
        let home = tempfile::tempdir().expect("a folder");
        let mut list = format!("targetRepoPrefix: {}/mirror/\nimages:\n", target.host());
        // The tags of a repository do not stand together.
        for tag in ["1", "2"] {
            for number in 0..REPOSITORIES {
                let repository = format!("team/app{number}");
                let own = format!("{repository}:{tag} {}", "x".repeat(1000 * number));
                put_image(&source.memory, &repository, Some(tag), &[b"base", own.as_bytes()]);
                list.extend([
                    format!("  - source: {}/{repository}:{tag}\n", source.host()),
                    format!("    target: {repository}\n"),
                ]);
            }
        }
        std::fs::write(home.path().join("external-images.yaml"), list).expect("a list");
        Self { source, target, home }
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
        let home = self.home.path();
        command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().expect("an output")
    }

    /// Runs one of the shards; its report is `shard-I.json`.
    #[track_caller]
    fn shard(&self, command: &str, index: usize, more: &[&str]) -> Value {
        let (shard, report) = (format!("{index}/{SHARDS}"), report_of(index));
        let arguments = [&[command, "--shard", &shard, "--report", &report], more].concat();
        let output = self.run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        self.json(&report)
    }

    fn json(&self, name: &str) -> Value {
        let text = std::fs::read(self.home.path().join(name)).expect("a report");
        serde_json::from_slice(&text).expect("JSON")
    }

    fn merge(&self, shards: &[usize]) -> Output {
        let mut arguments = vec!["report".to_owned(), "merge".to_owned()];
        arguments.extend(shards.iter().map(|index| report_of(*index)));
        arguments.extend(["--report", "merged.json"].map(ToOwned::to_owned));
        self.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn report_of(index: usize) -> String {
    format!("shard-{index}.json")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What stands in a field of all items.
fn all(report: &Value, field: &str) -> Vec<String> {
    let items = report["items"].as_array().expect("items");
    items.iter().map(|item| item[field].as_str().expect("a text").to_owned()).collect()
}

/// A target's repository, without its tag.
fn repository(target: &str) -> &str {
    target.rsplit_once(':').expect("a tag").0
}

#[test]
fn shards_do_together_what_one_run_does() {
    let fleet = Fleet::new();
    let mut seen = BTreeSet::new();
    for index in 1..=SHARDS {
        let report = fleet.shard("sync", index, &[]);
        assert_eq!(report["shard"]["index"], index);
        assert_eq!(report["shard"]["list_images"], 2 * REPOSITORIES);
        let repositories: BTreeSet<String> =
            all(&report, "target").iter().map(|target| repository(target).to_owned()).collect();
        assert!(repositories.is_disjoint(&seen), "a repository is in two shards");
        assert_eq!(report["totals"]["outcomes"]["copied"], 2 * repositories.len());
        seen.extend(repositories);
    }
    let merged = fleet.merge(&[3, 1, 4, 2]);
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged));
    assert!(text(&merged).contains("Sync: 18 images"), "{}", text(&merged));
    let merged = fleet.json("merged.json");
    assert_eq!(merged["shard"], Value::Null);

    // The same state as one run makes, of which a plan then says the same, image by image.
    let one = Fleet::new();
    assert_eq!(one.run(&["sync"]).status.code(), Some(0));
    assert_eq!(fleet.target.tags(), one.target.tags());
    assert_eq!(fleet.run(&["plan", "--report", "plan.json"]).status.code(), Some(0));
    let plan = fleet.json("plan.json");
    assert_eq!(plan["totals"]["outcomes"]["up-to-date"], 2 * REPOSITORIES);
    assert_eq!(merged["plan_digest"], plan["plan_digest"]);
    assert_eq!(all(&merged, "target"), all(&plan, "target"));
}

#[test]
fn a_shard_says_which_it_is() {
    let fleet = Fleet::new();
    let output = fleet.run(&["plan", "--shard", "2/4", "--summary", "summary.md", "--report", "report.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let images = all(&fleet.json("report.json"), "target").len();
    let heading = format!("Plan, shard 2 of 4: {images} of 18 images");
    assert!(text(&output).contains(&heading), "{}", text(&output));
    let summary = std::fs::read_to_string(fleet.home.path().join("summary.md")).expect("a summary");
    assert!(summary.contains("Plan, shard 2 of 4: "), "{summary}");
    assert!(summary.contains(&format!("{images} of 18 images → ")), "{summary}");
}

#[test]
fn a_shard_that_did_not_report_fails_and_another_try_heals_it() {
    let fleet = Fleet::new();
    for index in [1, 2, 4] {
        fleet.shard("sync", index, &[]);
    }
    let merged = fleet.merge(&[1, 2, 4]);
    assert_eq!(merged.status.code(), Some(1), "{}", text(&merged));
    assert!(text(&merged).contains("shard 3 of 4 has no report"), "{}", text(&merged));
    assert_eq!(fleet.json("merged.json")["unreported"]["shards"], serde_json::json!([3]));
    fleet.shard("sync", 3, &[]);
    assert_eq!(fleet.merge(&[1, 2, 3, 4]).status.code(), Some(0));
    assert_eq!(fleet.target.tags().len(), 2 * REPOSITORIES);
}

#[test]
fn reports_that_do_not_belong_together_are_refused() {
    let fleet = Fleet::new();
    fleet.shard("plan", 1, &[]);
    fleet.shard("sync", 2, &[]);
    let merged = fleet.merge(&[1, 2]);
    assert_eq!(merged.status.code(), Some(2), "{}", text(&merged));
    assert!(text(&merged).contains("shard-1.json and shard-2.json have another mode"), "{}", text(&merged));
    std::fs::write(fleet.home.path().join("shard-3.json"), "{").expect("a file");
    let merged = text(&fleet.merge(&[3, 4]));
    assert!(merged.contains("shard-3.json: it is no report"), "{merged}");
    assert!(merged.contains("failed to read shard-4.json"), "{merged}");
}

#[test]
fn a_plan_balances_the_shards() {
    let fleet = Fleet::new();
    assert_eq!(fleet.run(&["plan", "--report", "plan.json"]).status.code(), Some(0));
    let mut counts = Vec::new();
    let mut seen = BTreeSet::new();
    for index in 1..=SHARDS {
        let targets = all(&fleet.shard("sync", index, &["--shard-plan", "plan.json"]), "target");
        counts.push(targets.len());
        let repositories: BTreeSet<&str> = targets.iter().map(|target| repository(target)).collect();
        // Both tags of each are there.
        assert_eq!(targets.len(), 2 * repositories.len());
        seen.extend(targets);
    }
    // What is nearly as heavy as each other is dealt out in turn, which names alone do not do.
    counts.sort_unstable();
    assert_eq!(counts, [4, 4, 4, 6]);
    assert_eq!(seen.len(), 2 * REPOSITORIES);
    assert_eq!(fleet.merge(&[1, 2, 3, 4]).status.code(), Some(0));
    // What was divided by a plan and what was divided by names do not make a whole.
    fleet.shard("sync", 1, &[]);
    let merged = fleet.merge(&[1, 2, 3, 4]);
    assert_eq!(merged.status.code(), Some(2));
    assert!(text(&merged).contains("balanced by different plans"), "{}", text(&merged));
}

/// A plan that may not be the one that was meant balances what it can, and all shards say the same of it.
#[test]
fn a_plan_of_something_else_is_doubted() {
    let fleet = Fleet::new();
    let plan = |more: &[&str]| {
        let output = fleet.run(&[&["plan", "--report", "plan.json"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    };
    let doubted = |expected: &str| {
        for index in 1..=SHARDS {
            let output = fleet.run(&[
                "plan",
                "--shard",
                &format!("{index}/{SHARDS}"),
                "--shard-plan",
                "plan.json",
                "--report",
                &report_of(index),
            ]);
            let remarks = fleet.json(&report_of(index))["remarks"].to_string();
            assert!(remarks.contains(expected), "{expected}: {remarks}");
            assert!(text(&output).contains(expected), "{}", text(&output));
        }
        let merged = fleet.merge(&(1..=SHARDS).collect::<Vec<_>>());
        assert_eq!(merged.status.code(), Some(0), "{}", text(&merged));
        assert_eq!(text(&merged).matches(expected).count(), 1, "{}", text(&merged));
    };
    plan(&[]);
    for index in 1..=SHARDS {
        assert_eq!(
            fleet.shard("plan", index, &["--shard-plan", "plan.json"])["remarks"],
            serde_json::json!([])
        );
    }
    let other = format!("{}/other/", fleet.target.host());
    plan(&["--target-repo-prefix", &other]);
    doubted(&format!("is of another target prefix, `{other}`"));
    plan(&["--shard", "2/4"]);
    doubted("is of shard 2 of 4 alone");
    let path = fleet.home.path().join("external-images.yaml");
    let list = std::fs::read_to_string(&path).expect("a list");
    let head = list.split("images:").next().expect("a prefix");
    std::fs::write(&path, format!("{head}images: []\n")).expect("a list");
    plan(&[]);
    std::fs::write(&path, &list).expect("a list");
    doubted("has no images");
    // The first four of the nine repositories.
    let some: Vec<&str> = list.lines().take(2 + 2 * 4).collect();
    std::fs::write(&path, some.join("\n")).expect("a list");
    plan(&[]);
    std::fs::write(&path, &list).expect("a list");
    doubted("has 4 of the 9 target repositories of the list");
}

/// What nobody writes to would be waited for without an end.
#[test]
fn a_plan_is_a_file() {
    let fleet = Fleet::new();
    let made = Command::new("mkfifo").arg(fleet.home.path().join("plan.json")).status().expect("a pipe");
    assert!(made.success());
    for name in ["plan.json", "/dev/zero", "."] {
        let refused = fleet.run(&["plan", "--shard", "1/4", "--shard-plan", name]);
        assert_eq!(refused.status.code(), Some(2), "{name}");
        assert!(text(&refused).contains(&format!("--shard-plan: {name} is no file")), "{}", text(&refused));
    }
}

#[test]
fn a_kubernetes_job_says_which_shard_it_is() {
    let fleet = Fleet::new();
    let of_job = |index: &str| {
        let arguments = ["plan", "--report", "report.json"];
        fleet
            .program(&arguments)
            .env("SYNCER_SHARD", "job/4")
            .env("JOB_COMPLETION_INDEX", index)
            .output()
            .expect("an output")
    };
    assert_eq!(of_job("2").status.code(), Some(0));
    assert_eq!(fleet.json("report.json")["shard"]["index"], 3);
    for (index, expected) in [
        ("4", "is none of 0 to 3"),
        ("", "is not set"),
        ("x", "is none of 0 to 3"),
        ("+1", "is none"),
        (" 1 ", "is none"),
        ("01", "is none"),
    ] {
        let refused = of_job(index);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused).contains(expected), "{}", text(&refused));
    }
}

/// What is wrong with the list is wrong for all: no shard begins with its part of it.
#[test]
fn each_shard_reads_the_whole_list() {
    let fleet = Fleet::new();
    let path = fleet.home.path().join("external-images.yaml");
    let list = std::fs::read_to_string(&path).expect("a list");
    let twice = format!("{list}  - source: {}/team/app1:2\n    target: team/app0\n", fleet.source.host());
    std::fs::write(&path, twice).expect("a list");
    for index in 1..=SHARDS {
        let output = fleet.run(&["sync", "--shard", &format!("{index}/{SHARDS}")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains("belongs to line"), "{}", text(&output));
    }
    assert!(fleet.target.requests().is_empty());
}

fn is(parts: &Parts, method: &Method) -> bool {
    parts.method == *method && parts.uri.path().ends_with("/mirror/app/manifests/1")
}

/// A hook that has one side of a race wait for the other: at the PUT of the tag, and at the look after it.
fn race(
    registry: &TestRegistry,
    before_put: impl Fn() + Send + Sync + 'static,
    after_put: impl Fn() + Send + Sync + 'static,
) {
    let pushed = std::sync::atomic::AtomicBool::new(false);
    registry.on_request(move |parts: &Parts| -> Option<Fault> {
        if is(parts, &Method::PUT) {
            before_put();
            pushed.store(true, std::sync::atomic::Ordering::SeqCst);
        } else if is(parts, &Method::HEAD) && pushed.load(std::sync::atomic::Ordering::SeqCst) {
            after_put();
        }
        None
    });
}

/// A signal from one side of a race to the other; who waits for what never comes goes on after a while and fails.
fn signal() -> (impl Fn() + Send + Sync, impl Fn() + Send + Sync) {
    let (sender, receiver) = mpsc::channel();
    let receiver = std::sync::Mutex::new(receiver);
    let wait = move || {
        let _ = receiver.lock().expect("a lock").recv_timeout(Duration::from_secs(20));
    };
    (move || sender.send(()).unwrap_or_default(), wait)
}

/// Two whole runs find that the tag is free, and both write it: the protocol cannot prevent that. The one whose content
/// is not there in the end says so, and does not fight for it.
#[test]
fn of_two_runs_that_race_the_one_that_lost_says_so() {
    let ours = Scenario::new().entry("source: SOURCE/team/app:1\n    target: app");
    let same_content = TestRegistry::builder().memory(ours.target.memory.clone()).start();
    let theirs = Scenario::between(TestRegistry::start(), same_content)
        .entry("source: SOURCE/team/app:1\n    target: app");
    put_image(&ours.source.memory, "team/app", Some("1"), &[b"ours"]);
    let kept = put_image(&theirs.source.memory, "team/app", Some("1"), &[b"theirs"]);
    let (they_looked, wait_until_they_looked) = signal();
    let (we_wrote, wait_until_we_wrote) = signal();
    let (they_wrote, wait_until_they_wrote) = signal();
    race(&ours.target, wait_until_they_looked, move || {
        we_wrote();
        wait_until_they_wrote();
    });
    let before_their_put = move || {
        they_looked();
        wait_until_we_wrote();
    };
    race(&theirs.target, before_their_put, they_wrote);
    let (us, them) = std::thread::scope(|scope| {
        let them = scope.spawn(|| theirs.sync());
        (ours.sync(), them.join().expect("a run"))
    });
    them.expect(&["copied"]);
    us.expect(&["conflict"]);
    assert_eq!((us.exit_code(), them.exit_code()), (3, 0));
    assert!(us.item(0)["cause"]["message"].to_string().contains("somebody else"), "{}", us.text());
    assert_eq!(ours.target.tag("mirror/app", "1"), Some(kept.digest.clone()));
    assert_eq!(ours.target.count(&Method::PUT, "/mirror/app/manifests/1"), 1, "it is not fought for");
    // Later runs tell the same, and whoever has it right has nothing to do.
    ours.target.heal();
    theirs.target.heal();
    ours.sync().expect(&["conflict"]);
    theirs.sync().expect(&["up-to-date"]);
    assert_eq!(ours.target.tag("mirror/app", "1"), Some(kept.digest));
}

/// Two whole runs of one list at a time harm nothing: both end well, and everything is there.
#[test]
fn two_runs_of_one_list_at_a_time_are_one() {
    let fleet = Fleet::new();
    let running: Vec<_> = (0..2)
        .map(|_| fleet.program(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a run"))
        .collect();
    for mut run in running {
        assert_eq!(run.wait().expect("an end").code(), Some(0));
    }
    let wanted = fleet.source.tags();
    let there = fleet.target.tags();
    let names: Vec<_> = there.keys().map(|name| name.trim_start_matches("mirror/")).collect();
    assert_eq!(names, wanted.keys().collect::<Vec<_>>());
    assert!(there.values().eq(wanted.values()));
}

/// The requests of a plan, for so many tags of each of some repositories.
fn requests_of_a_plan(tags: usize) -> usize {
    let repositories = 10;
    let mut story = Scenario::new();
    for tag in 0..tags {
        for number in 0..repositories {
            let (repository, tag) = (format!("team/app{number}"), tag.to_string());
            let own = format!("{repository}:{tag}");
            put_image(&story.source.memory, &repository, Some(&tag), &[b"base", own.as_bytes()]);
            story = story.lists(&own);
        }
    }
    let told = story.plan();
    assert_eq!(told.words(), vec!["copy"; tags * repositories]);
    story.source.requests().len() + story.target.requests().len()
}

/// Each further image takes as many requests as the one before it, however many tags of its repository are listed. What
/// looked at each tag for each tag would send two thirds more. The lists are short: of long ones sources are asked before
/// the targets have answered, now and then in vain.
#[test]
fn the_work_of_a_plan_grows_with_the_list_and_no_faster() {
    let [few, more, most] = [3, 6, 9].map(requests_of_a_plan);
    assert!((most - more) * 10 <= (more - few) * 13, "{few}, {more}, {most}");
    assert!(more - few <= 30 * 16, "{} requests for 30 images", more - few);
}
