//! Something before the target that takes requests up to a size only.

use crate::support::content::{noise, put_image};
use crate::support::fault::Fault;
use crate::{Large, MIB};

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
