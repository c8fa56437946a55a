//! What is printed for the runner, read as the runner reads it: an annotation is one command with what was meant, and
//! no foreign text is ever a command.

use image_syncer::github::annotation::{MOST_OF_A_LEVEL, within_budget};
use image_syncer::github::{Annotation, Level, Place, workflow_command};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::runner_commands::{Command, Names, Sight, command, lines};

/// What commands are made of, and what hides them.
const PIECES: [&str; 44] = [
    "::",
    ":",
    "##[",
    "#",
    "[",
    "]",
    "error",
    "warning",
    "set-env name=PATH",
    "add-mask",
    "stop-commands",
    "group",
    "set-output name=result",
    " ",
    "\t",
    "\u{a0}",
    "\u{2003}",
    "\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "%",
    "%0A",
    "%0D",
    "%25",
    "%3A",
    ",",
    "=",
    ";",
    "\u{200b}",
    "\u{ad}",
    "\u{feff}",
    "\0",
    "\u{1b}[31m",
    "\u{301}",
    "\u{fe0f}",
    "\u{e0001}",
    "\u{202e}",
    "𝄞",
    "file=x",
];

/// Text that wants to be a command.
fn hostile() -> BoxedStrategy<String> {
    let piece = prop_oneof![8 => select(&PIECES[..]).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat()).boxed()
}

/// Text of which nothing has to be changed: everything in it is seen, and white space is inside.
fn visible() -> BoxedStrategy<String> {
    let piece =
        select(&["::", ":", "##[", "]", "error", " ", "%", "%0A", "%25", "%3A", ",", "=", ";", "é", "𝄞"][..]);
    vec(piece, 0..12).prop_map(|pieces| format!("x{}x", pieces.concat())).boxed()
}

fn level() -> impl Strategy<Value = Level> {
    select(&[Level::Error, Level::Warning, Level::Notice][..])
}

fn annotation(text: BoxedStrategy<String>) -> impl Strategy<Value = Annotation> {
    let number = || option::of(1..9999_u32);
    let place = (text.clone(), number(), number(), number())
        .prop_map(|(path, line, column, end_column)| Place { path, line, column, end_column });
    (level(), option::of(text.clone()), option::of(place), text)
        .prop_map(|(level, title, place, message)| Annotation { level, title, place, message })
}

/// The only command of an output; it is the same however the runner sees it.
fn only(output: &str) -> Command {
    let lines = lines(output);
    assert_eq!(lines.len(), 1, "{output:?}");
    let found = command(lines[0], Sight::Ordinal, Names::Registered).expect("a command");
    assert_eq!(command(lines[0], Sight::Collation, Names::Any).as_ref(), Some(&found), "{output:?}");
    found
}

fn assert_harmless(output: &str) {
    for line in output.split(['\r', '\n', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
        for sight in [Sight::Ordinal, Sight::Collation] {
            assert_eq!(command(line, sight, Names::Any), None, "{line:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_foreign_line_is_a_command(text in hostile()) {
        let line = workflow_command::harmless_line(&text);
        prop_assert!(lines(&line).len() <= 1);
        prop_assert!(!line.chars().any(char::is_control));
        assert_harmless(&line);
        prop_assert_eq!(workflow_command::harmless_line(&line), line);
        assert_harmless(&workflow_command::harmless_lines(&text));
    }

    #[test]
    fn foreign_lines_behind_words_of_ours_are_no_commands(text in hostile(), more in hostile()) {
        assert_harmless(&workflow_command::harmless_line(&format!("{text}: {more}")));
        assert_harmless(&workflow_command::harmless_line(&format!("  {text}{more}")));
    }

    #[test]
    fn an_annotation_is_one_command_with_what_was_meant(what in annotation(visible())) {
        let found = only(&workflow_command::annotation(&what));
        prop_assert_eq!(&found.name, what.level.command());
        prop_assert_eq!(&found.data, &what.message);
        let property = |name: &str| found.properties.get(name).cloned();
        let place = what.place.clone().unwrap_or_default();
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        prop_assert_eq!(property("title"), what.title);
        prop_assert_eq!(property("file"), what.place.map(|place| place.path));
        prop_assert_eq!(property("line"), number(place.line));
        prop_assert_eq!(property("col"), number(place.line.and(place.column)));
        prop_assert_eq!(property("endcolumn"), number(place.line.and(place.column).and(place.end_column)));
    }

    #[test]
    fn an_annotation_of_foreign_text_is_one_command_and_no_other(what in annotation(hostile())) {
        let found = only(&workflow_command::annotation(&what));
        prop_assert_eq!(&found.name, what.level.command());
        let place = what.place.unwrap_or_default();
        let line = place.line.map(|line| line.to_string());
        prop_assert_eq!(found.properties.get("line"), line.as_ref());
        for name in found.properties.keys() {
            let known = ["file", "line", "endline", "col", "endcolumn", "title"];
            prop_assert!(known.contains(&name.as_str()), "{}", name);
        }
        prop_assert!(found.properties.get("title").is_none_or(|title| what.title.is_some() && !title.contains('\n')));
        prop_assert!(found.data.encode_utf16().count() <= 4096);
    }

    #[test]
    fn the_budget_holds_and_each_is_still_one_command(all in vec(annotation(hostile()), 0..60)) {
        let kept = within_budget(all, [0; 3]);
        for level in [Level::Error, Level::Warning, Level::Notice] {
            prop_assert!(kept.iter().filter(|kept| kept.level == level).count() <= MOST_OF_A_LEVEL);
        }
        for kept in &kept {
            prop_assert_eq!(only(&workflow_command::annotation(kept)).name, kept.level.command());
        }
    }

    #[test]
    fn a_group_is_one_command(title in hostile()) {
        let found = only(&workflow_command::group(&title));
        prop_assert_eq!(found.name, "group");
        prop_assert_eq!(&found.data, &workflow_command::harmless_line(&title));
    }

    #[test]
    fn a_mask_is_the_secret_itself(secret in hostile()) {
        let masks = workflow_command::mask(&secret);
        prop_assert_eq!(masks.is_empty(), secret.trim().is_empty());
        for (place, mask) in masks.iter().enumerate() {
            let lines = lines(mask);
            prop_assert_eq!(lines.len(), 1);
            let found = command(lines[0], Sight::Ordinal, Names::Registered).expect("a command");
            prop_assert_eq!(&found.name, "add-mask");
            if place == 0 {
                prop_assert_eq!(&found.data, secret.trim());
            } else {
                prop_assert!(secret.contains(&found.data) && !found.data.contains(['\r', '\n']));
            }
        }
    }
}

#[test]
fn the_end_of_a_group_is_a_command() {
    assert_eq!(only(workflow_command::END_GROUP).name, "endgroup");
}
