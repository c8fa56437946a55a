//! Many images over bad lines, in random trouble from a seed: in the end every image is at the target as it is at the
//! source, and at no time a tag there named anything else. And one layer of 2 GiB that breaks ten times.
//!
//! `cargo test` runs the small one, within its own process. The large ones take the built program and Debian's
//! docker-registry; `scripts/e2e --full` runs them.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]
#![allow(clippy::print_stdout, reason = "figures, for who asks for them")]

#[path = "../support/mod.rs"]
mod support;

mod images;
mod program;
mod reader;
mod weather;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use images::{Image, put_images};
use program::{DockerRegistry, Program};
use reader::Reader;
use serde_json::Value;
use support::content::put_huge_image;
use support::registry::TestRegistry;
use support::relay::{Relay, Trouble};
use support::scenario::Scenario;
use weather::Weather;

/// The dice of all runs.
const SEED: u64 = 20_261_120;

/// A run that gets nothing done for this long is not what a schedule does: what is not there by then failed.
const MOST_RUNS: usize = 8;

/// What the runs of a soak told.
#[derive(Debug, Default)]
struct Soaked {
    runs: usize,
    retries: u64,
    sent_twice: u64,
    downloaded_again: u64,
    moved: u64,
}

impl Soaked {
    fn add(&mut self, report: &Value) {
        let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).expect("a number");
        self.runs += 1;
        self.retries += number("/retries");
        self.sent_twice += number("/totals/bytes_sent_twice");
        self.downloaded_again += number("/totals/bytes_downloaded_again");
        self.moved += number("/totals/bytes_moved");
    }
}

/// Runs until everything is done, while a reader looks at the target's tags; gives what went wrong by kind.
fn soak(
    images: &[Image],
    target: &str,
    [source_line, target_line]: [&Relay; 2],
    weather: &Weather,
    run: impl Fn() -> Value,
) -> (Soaked, BTreeMap<&'static str, u64>) {
    let (lines, mut soaked) = ([source_line, target_line], Soaked::default());
    source_line.troubles(weather.at_source());
    target_line.troubles(weather.at_target());
    let reader = Reader::start(target, images);
    // An image that has arrived can still be one that a later run cannot look at, on such a line.
    let mut arrived = BTreeSet::new();
    loop {
        let report = run();
        soaked.add(&report);
        let items = report["items"].as_array().expect("items");
        let good = items.iter().filter(|item| item["cause"].is_null());
        arrived.extend(good.map(|item| item["target"].to_string()));
        if arrived.len() == images.len() {
            break;
        }
        let causes: Vec<&Value> =
            items.iter().map(|item| &item["cause"]).filter(|it| !it.is_null()).collect();
        assert!(items.iter().all(|item| item["outcome"] != "conflict"), "{causes:#?}");
        assert!(soaked.runs < MOST_RUNS, "{arrived:#?} are all that arrived: {:#?}", causes[0]);
    }
    let mut troubles = BTreeMap::new();
    for (kind, count) in lines.iter().flat_map(|line| line.injected()) {
        *troubles.entry(kind).or_default() += count;
    }
    reader.finish();
    for line in lines {
        line.heal();
    }
    let report = run();
    for item in report["items"].as_array().expect("items") {
        assert_eq!(item["outcome"], "up-to-date", "a run on good lines has nothing to do: {item:#}");
    }
    let harmful: u64 =
        troubles.iter().filter(|(kind, _)| !weather::SLOW.contains(kind)).map(|(_, it)| it).sum();
    assert!(harmful > images.len() as u64 / 2, "hardly anything went wrong: {troubles:#?}");
    assert!(soaked.retries <= harmful, "{} retries after {harmful} troubles", soaked.retries);
    (soaked, troubles)
}

#[test]
fn forty_images_arrive_over_bad_lines() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    let images = put_images(&source, 40, SEED);
    let lines = [&source, &target].map(|registry| Relay::to(registry.address));
    let mut story = Scenario::between(source, target);
    for image in &images {
        story = story.entry(&format!("source: SOURCE/{0}:1\n    target: {0}", image.name));
    }
    let mut story = story.source_through(&lines[0]).target_through(&lines[1]);
    story.settings.retry.retries = 4;
    let host = story.target.host();
    let weather = Weather::new(SEED, Duration::from_millis(1));
    let (soaked, troubles) = soak(&images, &host, [&lines[0], &lines[1]], &weather, || story.sync().json());
    println!("{soaked:?}\n{troubles:#?}");
    assert!(troubles.len() > 10, "most kinds occur: {troubles:#?}");
}

#[test]
#[ignore = "takes minutes and docker-registry; scripts/e2e --full runs it"]
fn a_thousand_images_arrive_over_bad_lines_at_a_real_registry() {
    let source = TestRegistry::start();
    let images = put_images(&source, 1000, SEED);
    let target = DockerRegistry::start();
    let (from, to) = (Relay::to(source.address), Relay::to(target.address));
    let entries =
        images.iter().map(|image| format!("source: {}/{1}:1\n    target: {1}", from.host(), image.name));
    let program = Program::new(entries, &to.host());
    let weather = Weather::new(SEED, Duration::from_secs(1));
    let began = Instant::now();
    let (soaked, troubles) = soak(&images, &target.host(), [&from, &to], &weather, || program.sync());
    println!("images: {}, seed: {SEED}", images.len());
    println!("troubles: {}", troubles.values().sum::<u64>());
    for (kind, count) in troubles {
        println!("  {kind}: {count}");
    }
    println!("runs until all is there: {}", soaked.runs);
    println!("retries: {}", soaked.retries);
    println!("bytes moved: {}", soaked.moved);
    println!("bytes sent twice: {}", soaked.sent_twice);
    println!("bytes downloaded again: {}", soaked.downloaded_again);
    println!("time: {:.1} s", began.elapsed().as_secs_f32());
    println!("peak memory: {:.1} MiB", program.peak_mib());
    assert!(program.peak_mib() < 64.0);
}

#[test]
#[ignore = "takes minutes, 2 GiB of disk and docker-registry; scripts/e2e --full runs it"]
fn a_layer_of_2_gib_that_breaks_ten_times_is_downloaded_once() {
    const SIZE: u64 = 2 << 30;
    const BREAKS: usize = 10;
    let source = TestRegistry::start();
    let (image, layer) = put_huge_image(&source.memory, "team/huge", "1", SIZE);
    let target = DockerRegistry::start();
    let line = Relay::to(source.address);
    let (pulled, wanted) = (std::sync::atomic::AtomicUsize::new(0), layer.to_string());
    line.troubles(move |seen| {
        let layer = seen.method == "GET" && seen.path.contains(&wanted);
        let number = layer.then(|| pulled.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        number.filter(|number| *number < BREAKS).map(|_| Trouble::ResetAnswer(SIZE / 11))
    });
    let entry = format!("source: {}/team/huge:1\n    target: team/huge", line.host());
    let program = Program::new(std::iter::once(entry), &target.host());
    let began = Instant::now();
    let report = program.sync();
    let elapsed = began.elapsed();
    assert_eq!(report["items"][0]["outcome"], "copied", "{:#}", report["items"][0]);
    let wire = line.bytes_down();
    println!("a layer of {SIZE} bytes, broken {BREAKS} times");
    println!("bytes on the wire: {wire}, {} thousandths of its size", wire * 1000 / SIZE);
    println!("retries: {}", report["retries"]);
    println!("bytes downloaded again: {}", report["totals"]["bytes_downloaded_again"]);
    println!("bytes sent twice: {}", report["totals"]["bytes_sent_twice"]);
    println!("time: {:.1} s", elapsed.as_secs_f32());
    println!("peak memory: {:.1} MiB", program.peak_mib());
    assert_eq!(line.injected().values().sum::<u64>(), BREAKS as u64);
    assert!(wire * 10 <= SIZE * 11, "{wire} bytes for {SIZE}");
    assert!(program.peak_mib() < 64.0);
    let there = reader::Look::at(&target.host());
    assert_eq!(there.tag("mirror/team/huge", "1"), Some(image.digest));
    assert_eq!(there.blob_size("mirror/team/huge", &layer), Some(SIZE));
}
