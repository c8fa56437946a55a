//! How GitHub's runner reads the file of a step's outputs, written anew from what it does on Linux, and outputs that
//! arrive as they were meant.

use image_syncer::github::files::{Delimiter, Outputs};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

/// The outputs of a file: `name=value`, or `name<<delimiter`, the value's lines, and the delimiter.
pub(crate) fn outputs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        match (line.find('='), line.find("<<")) {
            _ if line.is_empty() => {}
            (Some(equals), fence) if fence.is_none_or(|fence| equals < fence) => {
                if equals == 0 {
                    return Err(format!("`{line}` has no name"));
                }
                found.push((line[..equals].to_owned(), line[equals + 1..].to_owned()));
            }
            (_, Some(fence)) => {
                let (name, delimiter) = (&line[..fence], &line[fence + 2..]);
                if name.is_empty() || delimiter.is_empty() {
                    return Err(format!("`{line}` has no name or no delimiter"));
                }
                let mut end = None;
                let mut start = 0;
                for line in rest.split_inclusive('\n') {
                    if line.strip_suffix('\n').unwrap_or(line) == delimiter {
                        end = Some((start, start + line.len()));
                        break;
                    }
                    start += line.len();
                }
                let (end, next) = end.ok_or_else(|| format!("the delimiter `{delimiter}` does not come"))?;
                let value = rest[..end].strip_suffix('\n').unwrap_or(&rest[..end]);
                found.push((name.to_owned(), value.to_owned()));
                rest = &rest[next..];
            }
            _ => return Err(format!("`{line}` is no output")),
        }
    }
    Ok(found)
}

const FENCE: &str = "image-syncer-07070707070707070707070707070707";

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => select(&["\n", "\r", "\r\n", "=", "<<", "a", "result=synced", "result<<X", "X", "image-syncer-", "\u{feff}",
            "\u{2028}", " ", "::set-output name=a::b"][..]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn outputs_arrive_as_they_were_meant(values in btree_map("[a-z_][a-z0-9_-]{0,20}", value(), 0..6)) {
        let mut written = Outputs::default();
        for (name, value) in &values {
            written.set(name, value.as_str()).expect("an output");
        }
        let text = written.render(&Delimiter::new([7; 16])).expect("lines");
        let read = outputs(&text).expect("outputs");
        prop_assert_eq!(read, values.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_the_runner_reads_is_found() {
    let text = format!("a=1\n\nb<<X\none\ntwo\n\nX\nc<<X\nX\nd==<<\ne<<{FENCE}\n{FENCE}");
    let found = outputs(&text).expect("outputs");
    let shown: Vec<String> = found.iter().map(|(name, value)| format!("{name}|{value}")).collect();
    assert_eq!(shown, ["a|1", "b|one\ntwo\n", "c|", "d|=<<", "e|"]);
    for text in ["a", "=1", "<<X\nX", "a<<", "a<<X\nb"] {
        assert!(outputs(text).is_err(), "{text}");
    }
}

/// The fence is what keeps a value from being another output, and a value that knew it is refused.
#[test]
fn a_value_that_knew_the_fence_would_be_another_output() {
    let forged = format!("x\n{FENCE}\nresult=synced");
    let mut written = Outputs::default();
    written.set("images", forged.as_str()).expect("an output");
    assert!(written.render(&Delimiter::new([7; 16])).is_err());
    let unchecked = format!("images<<{FENCE}\n{forged}\n{FENCE}\n");
    assert_ne!(outputs(&unchecked).ok().map(|outputs| outputs.len()), Some(1));
}
