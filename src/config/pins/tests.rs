//! Lists in every shape that YAML has, and what digests change of them.

use proptest::prelude::*;

use super::*;

/// The digest of a letter, so that cases can be read.
fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().expect("a digest")
}

fn file(text: &str) -> ListFile {
    ListFile { name: "list.yaml".to_owned(), text: text.to_owned() }
}

/// `@A` stands for a digest in a case.
fn long(text: &str) -> String {
    ['a', 'b', 'c'].iter().fold(text.to_owned(), |text, letter| {
        text.replace(&format!("@{}", letter.to_uppercase()), &format!("@{}", digest(*letter)))
    })
}

/// Gives all floating sources of a list the digest `a`, and all that have a digest and a tag the digest `b`.
fn pinned(text: &str) -> Result<String, String> {
    let lists = [file(&long(text))];
    let sources = listed_sources(&lists).map_err(|faults| format!("bad case: {faults}"))?;
    let wanted = sources[0]
        .iter()
        .map(|source| match (&source.reference.tag, &source.reference.digest) {
            (_, None) => Some(digest('a')),
            (Some(_), Some(_)) => Some(digest('b')),
            (None, Some(_)) => None,
        })
        .collect();
    with_digests(&lists, &[wanted]).map(|mut texts| texts.remove(0)).map_err(|faults| faults.to_string())
}

#[track_caller]
fn check(before: &str, after: &str) {
    assert_eq!(pinned(before).as_deref(), Ok(long(after).as_str()), "{before}");
}

#[test]
fn names_get_digests_and_the_tag_that_they_float_on() {
    for (source, expected) in [
        ("alpine:3", "alpine:3@A"),
        ("alpine", "alpine:latest@A"),
        ("localhost:5000/a", "localhost:5000/a:latest@A"),
        ("localhost:5000/a:1", "localhost:5000/a:1@A"),
        ("Quay.io/x/y:1", "Quay.io/x/y:1@A"),
        ("alpine:3@C", "alpine:3@B"),
        ("localhost:5000/a:1@C", "localhost:5000/a:1@B"),
    ] {
        check(&format!("images: [{{source: {source}}}]"), &format!("images: [{{source: {expected}}}]"));
    }
    let bare = "images:\n  - source: alpine@C\n    tag: \"3\"\n";
    check(bare, bare);
}

#[test]
fn every_way_to_write_a_scalar_stays_as_it_is() {
    for (before, after) in [
        ("alpine:3", "alpine:3@A"),
        ("alpine:3   # alpine:3", "alpine:3@A   # alpine:3"),
        ("alpine:3\t# c", "alpine:3@A\t# c"),
        ("'alpine:3'", "'alpine:3@A'"),
        ("\"alpine:3\" # c", "\"alpine:3@A\" # c"),
        // `\x33` is `3`, and `\` at a line's end joins it with the next.
        ("\"alpine:\\x33\"", "\"alpine:\\x33@A\""),
        ("\"alp\\\n      ine:3\\\n      \"", "\"alp\\\n      ine:3\\\n      @A\""),
        ("\"\\u0061lpine:3@C\"", "\"\\u0061lpine:3@B\""),
        ("\n      alpine:3", "\n      alpine:3@A"),
        ("\n      # c\n      'alpine:3'", "\n      # c\n      'alpine:3@A'"),
        ("|-\n      alpine:3", "|-\n      alpine:3@A"),
        ("|- # alpine:3\n\n      alpine:3@C\n\n# alpine:3", ""),
        (">-\n      alpine:3   \n", ""),
        (">- # alpine:3\n      alpine:3\n# alpine:3", ">- # alpine:3\n      alpine:3@A\n# alpine:3"),
        ("|2-\n      alpine:3", "|2-\n      alpine:3@A"),
        ("!!str alpine:3", "!!str alpine:3@A"),
        ("&x alpine:3", "&x alpine:3@A"),
        ("!!str &x 'alpine:3@C'", "!!str &x 'alpine:3@B'"),
    ] {
        let list = |source: &str| format!("images:\n  - tag: '3'\n    source: {source}\n");
        // Without an expectation: a text that has blanks or line feeds is no source, and the list says so.
        if after.is_empty() {
            let told = pinned(&list(before)).expect_err(before);
            assert!(told.contains("has a blank in it"), "{told}");
        } else {
            check(&list(before), &list(after));
        }
    }
}

/// What cannot be kept, since an escape stands in the middle of the digest, is written without escapes.
#[test]
fn a_digest_with_escapes_in_it_is_written_plainly() {
    let escaped = format!("alpine:3\\x40{}", digest('c'));
    check(
        &format!("images: [{{source: \"{escaped}\"}}] # \"{escaped}\""),
        &format!("images: [{{source: \"alpine:3@B\"}}] # \"{escaped}\""),
    );
}

#[test]
fn the_rest_of_the_list_stays_byte_for_byte() {
    let list = "\u{feff}# yaml-language-server: $schema=x # é\n%YAML 1.2\n---\n\"targetRepoPrefix\" : 'r.example/m/'\n\n\
                images:   # alpine:3\n# between\n- source:   alpine:3  # é alpine:3\n\n  tag: \"3\"\n-\n  \
                ? source\n  : busybox\n  platforms: [ linux/amd64 , ]\n- {  'source' : \"a/b\" , target: a/b }\n\
                - {\"source\":\"a/c:1@C\",\"sign\":true}\n...\n# end";
    let list = list.replace("# yaml-language-server: $schema=x # é\n", "");
    let expected = list
        .replace("source:   alpine:3 ", "source:   alpine:3@A ")
        .replace(": busybox", ": busybox:latest@A")
        .replace("\"a/b\"", "\"a/b:latest@A\"")
        .replace("a/c:1@C", "a/c:1@B");
    check(&list, &expected);
    check(&list.replace('\n', "\r\n"), &expected.replace('\n', "\r\n"));
    for json in ["{\"images\":[{\"source\":\"alpine:3\",\"tag\":\"3\"}]}", "{images: [{source: alpine:3}]}"] {
        check(json, &json.replace("alpine:3", "alpine:3@A"));
    }
    check("images:\n- source: alpine:3", "images:\n- source: alpine:3@A");
    check("images:\r- source: alpine:3\r", "images:\r- source: alpine:3@A\r");
    check("images: []\n", "images: []\n");
}

#[test]
fn a_text_that_aliases_stand_for_is_edited_once() {
    check(
        "images:\n  - source: &x alpine:3\n  - source: *x\n    target: other\n",
        "images:\n  - source: &x alpine:3@A\n  - source: *x\n    target: other\n",
    );
    check(
        "images:\n  - &e {source: alpine:3}\n  - *e\n  - source: busybox:1\n",
        "images:\n  - &e {source: alpine:3@A}\n  - *e\n  - source: busybox:1@A\n",
    );
    // An alias of a text that is no source stays what it is.
    check(
        "images:\n  - source: alpine:3\n    tag: &t v1\n  - source: busybox:1\n    tag: *t\n",
        "images:\n  - source: alpine:3@A\n    tag: &t v1\n  - source: busybox:1@A\n    tag: *t\n",
    );
}

#[test]
fn a_text_that_is_also_something_else_is_refused() {
    let told = pinned("images:\n  - source: &x busybox\n  - source: alpine:3\n    target: *x\n");
    assert_eq!(
        told.expect_err("a fault"),
        "list.yaml:4:13: this is the text of the source on line 2, which is to have another digest; write `busybox` \
         out here"
    );
    // The anchor may also stand at the other use.
    let told = pinned("images:\n  - target: &x busybox\n    source: *x\n").expect_err("a fault");
    assert!(told.starts_with("list.yaml:2:16: this is the text of the source on line 3"), "{told}");
}

#[test]
fn entries_that_share_a_text_and_want_other_digests_are_refused() {
    let lists = [file("images:\n  - source: &x alpine:3\n  - source: *x\n    target: other\n")];
    let told = |second| {
        let digests = [vec![Some(digest('a')), second]];
        with_digests(&lists, &digests).expect_err("a fault").to_string()
    };
    let expected =
        "list.yaml:3:13: this is the text of line 2, which is to have another digest; write it out here";
    assert_eq!(told(Some(digest('b'))), expected);
    assert_eq!(told(None), expected);
}

/// Two entries with one digest and one target are one image; with two digests they are not.
#[test]
fn a_list_that_would_have_faults_is_refused() {
    let list = long("images:\n  - {source: 'a:1@C', tag: x}\n  - {source: 'a:2@C', tag: x}\n");
    let digests = [vec![Some(digest('a')), Some(digest('b'))]];
    let told = with_digests(&[file(&list)], &digests).expect_err("a fault").to_string();
    assert!(told.contains("list.yaml:3:14: the target `library/a:x` belongs to line 2 already"), "{told}");
}

/// Nothing that is known comes to this; it is looked at all the same before anything is written.
#[test]
fn what_would_be_read_as_something_else_is_told() {
    let entries = |text: &str| combine::entries(&[file(&long(text))]).expect("a list").remove(0);
    let before = entries("images: [{source: a:1}, {source: b:1@C}]");
    let told = |text: &str, digests: [Option<Digest>; 2]| {
        differences(&before, &entries(text), &digests).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let wanted = || [Some(digest('a')), None];
    assert!(told("images: [{source: a:1@A}, {source: b:1@C}]", wanted()).is_empty());
    assert_eq!(told("images: [{source: a:1@A}]", wanted()).len(), 1);
    for other in [
        "a:1",
        "a:1@B",
        "a:2@A",
        "b/a:1@A",
        "a:1@A, tag: x",
        "a:1@A, target: x",
        "a:1@A, platforms: [linux/arm64]",
    ] {
        let told = told(&format!("images: [{{source: {other}}}, {{source: b:1@C}}]"), wanted());
        assert!(
            told.len() == 1 && told[0].starts_with("list.yaml:1:19: with its digest"),
            "{other}: {told:?}"
        );
    }
}

#[test]
fn several_lists_are_edited_each_and_all_or_none() {
    let lists = [
        file("images: [{source: a:1}]"),
        ListFile { name: "b.yaml".into(), ..file("images: [{source: b:1}]") },
    ];
    let digests = [vec![None], vec![Some(digest('a'))]];
    let texts = with_digests(&lists, &digests).expect("texts");
    assert_eq!(texts, ["images: [{source: a:1}]".to_owned(), long("images: [{source: b:1@A}]")]);
    let located = listed_sources(&lists).expect("sources");
    assert_eq!(located[1][0].location.to_string(), "b.yaml:1:19");
    assert_eq!(located[1][0].with_digest(&digest('a')), long("b:1@A"));
}

/// Ways to write an entry, with `S` for its source.
const BLOCK: [&str; 13] = [
    "- source: S\n",
    "- source: S   # S\n",
    "-   source: 'S'\n    tag: TAG\n",
    "- source: \"S\" # c\n",
    "- source: \"\\x61\\\n    S\"\n",
    "- source: |-\n    S\n",
    "- source: >- # S\n    S\n# S\n",
    "-\n  # between\n  source:\n    S\n  target: TARGET\n",
    "- { source: S, target: TARGET }\n",
    "- {\"source\":\"S\",\"tag\":\"TAG\"}\n",
    "- ? source\n  : 'S'\n",
    "- source: &ANCHOR S\n- source: *ANCHOR\n  target: TARGET\n",
    "- tag: TAG\n  source: !!str S # S\n\n",
];

/// What may stand in a source: a name with its tag, or without, or with a digest as well.
fn source_text(number: usize) -> impl Strategy<Value = String> {
    let old = digest('c');
    prop_oneof![
        Just(format!("n{number}")),
        Just(format!("org/n{number}:1.2-x")),
        Just(format!("r.example:5000/n{number}")),
        Just(format!("r.example:5000/a/n{number}:v1")),
        Just(format!("ghcr.io/o/n{number}:1@{old}")),
    ]
}

fn list_text() -> impl Strategy<Value = String> {
    let entry = |number: usize| {
        (0..BLOCK.len(), source_text(number)).prop_map(move |(shape, source)| {
            BLOCK[shape]
                .replace("TARGET", &format!("other/t{number}"))
                .replace("TAG", &format!("t{number}"))
                .replace("ANCHOR", &format!("a{number}"))
                .replace('S', &source)
        })
    };
    let entries = (1_usize..8).prop_flat_map(move |most| (0..most).map(entry).collect::<Vec<_>>());
    (entries, any::<[bool; 3]>()).prop_map(|(entries, [has_mark, has_prefix, ends])| {
        let mut text = String::from(if has_mark { "\u{feff}" } else { "" });
        text.push_str(if has_prefix { "targetRepoPrefix: r.example/m/ # é\n" } else { "# é\n---\n" });
        text.push_str("images:\n");
        text.extend(entries);
        if ends { text } else { text.trim_end().to_owned() }
    })
}

proptest! {
    /// parse(pin(x)) = parse(x) but for digests, and nothing but digests and the tags of what floated came in.
    #[test]
    fn a_pinned_list_is_the_same_list(text in list_text(), crlf in any::<bool>(), which in any::<u64>()) {
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let before = [file(&text)];
        let sources = listed_sources(&before).map_err(|faults| TestCaseError::fail(format!("{faults}\n{text}")))?;
        // An anchor and its alias are the same source, and so agree.
        let wanted = |source: &ListedSource| {
            let number = source.written.split(['n', ':', '@']).nth(1).map_or(0, str::len);
            (which >> (number % 64) & 1 == 0).then(|| digest('a'))
        };
        let digests: Vec<Option<Digest>> = sources[0].iter().map(wanted).collect();
        let after = with_digests(&before, std::slice::from_ref(&digests))
            .map_err(|faults| TestCaseError::fail(format!("{faults}\n{text}")))?;
        let again = listed_sources(&[file(&after[0])]).expect("a list");
        prop_assert_eq!(sources[0].len(), again[0].len());
        for ((old, new), digest) in sources[0].iter().zip(&again[0]).zip(&digests) {
            let expected = digest.clone().or(old.reference.digest.clone());
            prop_assert_eq!(&new.reference, &Reference { digest: expected, ..old.reference.clone() });
            prop_assert_eq!(&new.location, &old.location);
        }
        // Without what came in, it is the old text byte for byte.
        let (added, gone) = (format!("@{}", digest('a')), format!("@{}", digest('c')));
        let bare = |text: &str| text.replace(&added, "").replace(&gone, "").replace(":latest", "");
        prop_assert_eq!(bare(&after[0]), bare(&text));
        // And it is done once for all.
        prop_assert_eq!(&with_digests(&[file(&after[0])], &[digests]).expect("a list"), &after);
    }
}
