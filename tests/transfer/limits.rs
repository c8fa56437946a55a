//! Something before the target that takes requests up to a size only.

use std::process::Command;

use crate::support::content::{noise, put_image};
use crate::support::fault::Fault;
use crate::{Large, MIB, NAME};

/// As nginx with this `client_max_body_size`.
fn limited(large: Large, most: usize) -> Large {
    large.story.target.on_request(move |parts| {
        let length = parts.headers.get("content-length").and_then(|text| text.to_str().ok()?.parse().ok());
        let too_large = length.is_some_and(|length: usize| length > most);
        too_large.then(Fault::too_large)
    });
    large
}

#[test]
fn what_is_too_large_for_one_request_goes_in_several() {
    let large = limited(Large::of(5 * MIB + 4321), MIB);
    let story = &large.story;
    large.arrives();
    let patches: Vec<_> = large.uploads();
    let refused = patches.iter().filter(|line| line.ends_with("413")).count();
    assert_eq!(refused, 3, "the whole, 4 MiB and 2 MiB: {patches:#?}");
    assert_eq!(patches.iter().filter(|line| *line == &format!("PATCH {MIB} 202")).count(), 5);
    let ranges: Vec<String> = story.target.requests().iter().map(|it| it.header("content-range")).collect();
    assert!(
        ranges.contains(&format!("0-{}", MIB - 1))
            && ranges.contains(&format!("{}-{}", 5 * MIB, 5 * MIB + 4320))
    );
}

/// What was found out with one blob holds for the others.
#[test]
fn the_limit_is_found_once() {
    let large = limited(Large::of(5 * MIB), MIB);
    large.arrives();
    large.story.target.clear_log();
    let story = large.story.other_list();
    for number in 0..4_u8 {
        let mut layer = noise(3 * MIB);
        layer[0] = number;
        put_image(&story.source.memory, &format!("team/more{number}"), Some("1"), &[&layer]);
    }
    let story = (0..4).fold(story, |story, number| story.lists(&format!("team/more{number}:1")));
    story.sync().expect(&["copied"; 4]);
    let refused = story.target.requests().iter().filter(|it| it.status == 413).count();
    // Those that go at the same time as the first may all find it.
    assert!(refused <= 4 * 3, "{refused}");
}

#[test]
fn a_limit_that_lets_nothing_pass_is_told() {
    let large = limited(Large::of(MIB), 100 * 1024);
    large.fails(&[
        "target: failed to upload blob",
        "413 Payload Too Large",
        "limits the size of a request; raise that limit",
        "smaller requests were tried",
    ]);
    let uploads = large.uploads();
    assert_eq!(uploads.len(), 3, "the whole, 512 KiB, 256 KiB: {uploads:?}");
}

/// A chunk breaks: the upload goes on after what came of it.
#[test]
fn a_chunk_that_breaks_is_not_sent_from_the_start() {
    let large = Large::of(4 * MIB).target_does(|time, parts| {
        let length: usize = parts.headers["content-length"].to_str().ok()?.parse().ok()?;
        if length > MIB {
            return Some(Fault::too_large());
        }
        (time == 4).then_some(Fault::DropUploadAfter(300_000))
    });
    large.arrives();
    let uploads = large.uploads();
    let from = uploads.iter().position(|line| line == "GET 0 204").expect("a question");
    assert_eq!(uploads.iter().skip(from).filter(|line| line.starts_with("PATCH")).count(), 2, "{uploads:?}");
}

/// Runs the built program into a registry that it takes for GHCR, with a fault in the way of large requests.
fn into_ghcr(fault: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static) -> (Large, String) {
    let large = Large::of(2 * MIB).target_does(move |time, _| fault(time));
    let home = tempfile::tempdir().expect("a folder");
    let list = format!("images:\n  - source: {}/{NAME}:1\n    target: app\n", large.story.source.host());
    std::fs::write(home.path().join("external-images.yaml"), list).expect("a list");
    // Behind another address nobody knows it by its name.
    std::fs::write(home.path().join("policy.yaml"), "registries:\n  ghcr.io:\n    kind: ghcr\n")
        .expect("a policy");
    let output = Command::new(env!("CARGO_BIN_EXE_image-syncer"))
        .args(["sync", "-r", "ghcr.io/mirror/", "--policy-file", "policy.yaml", "--endpoint"])
        .arg(format!("ghcr.io={}", large.story.target.url()))
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .expect("an output");
    (large, String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_registry_that_gets_chunks_wrong_is_sent_none() {
    let (large, told) = into_ghcr(|_| Some(Fault::too_large()));
    let told = told.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for part in
        ["413 Payload Too Large", "raise that limit", "does not take a blob in several smaller requests"]
    {
        assert!(told.contains(part), "no `{part}` in: {told}");
    }
    assert_eq!(large.uploads(), [format!("PUT {} 413", 2 * MIB)]);

    let (large, told) = into_ghcr(|time| (time == 0).then_some(Fault::DropUploadAfter(MIB)));
    assert!(told.contains("1 copied"), "{told}");
    assert_eq!(large.uploads(), [format!("PUT {} 0", 2 * MIB), format!("PUT {} 201", 2 * MIB)]);
}
