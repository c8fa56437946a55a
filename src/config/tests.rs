//! Whole lists, and what is said of them.

mod combined;

use proptest::prelude::*;

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn load_all(lists: &[&str], command_line: Option<&str>) -> Result<Config, Faults> {
    let files: Vec<ListFile> = lists
        .iter()
        .zip('a'..)
        .map(|(text, name)| ListFile { name: format!("{name}.yaml"), text: (*text).to_owned() })
        .collect();
    load(&files, PrefixSources { command_line, ..PrefixSources::default() }, Signatures::Copy)
}

/// Everything that is said of lists: faults as `E`, else entries as `source > target` and warnings as `W`.
fn said(lists: &[&str], command_line: Option<&str>) -> Vec<String> {
    match load_all(lists, command_line) {
        Ok(config) => {
            let entries = config.entries.iter().map(|entry| {
                let platforms: Vec<String> = entry.platforms.iter().map(ToString::to_string).collect();
                format!("{} > {} {}", entry.source, entry.target, platforms.join(" ")).trim_end().to_owned()
            });
            entries.chain(config.warnings.iter().map(|warning| format!("W {warning}"))).collect()
        }
        Err(faults) => faults.to_string().lines().map(|line| format!("E {line}")).collect(),
    }
}

fn check(list: &str, expected: &[&str]) {
    assert_eq!(said(&[list], Some("r.example/m/")), expected, "{list}");
}

/// Checks what is said of an entry, given as the lines of its mapping; `3:…` is the entry's first line.
fn check_entry(lines: &[&str], expected: &[&str]) {
    check(&format!("images:\n  - {}\n", lines.join("\n    ")), expected);
}

#[test]
fn a_list_becomes_a_config() {
    let list = format!(
        "targetRepoPrefix: \"r.example/mirror/\"\nimages:\n\
         - source: \"org/app:1.4\"\n\
         - source: busybox@sha256:{HEX}\n  tag: \"1.32.0-v1\"\n\
         - source: \"ghcr.io/org/app:1.4.2@sha256:{HEX}\"\n\
         - {{source: quay.io/org/tool:v2, platforms: [linux/amd64, linux/arm64], target: tools/tool}}\n\
         - source: localhost:5000/a/b:v1\n  tag: v1-mirrored\n"
    );
    assert_eq!(
        said(&[&list], None),
        [
            "docker.io/org/app:1.4 > r.example/mirror/org/app:1.4".to_owned(),
            format!("docker.io/library/busybox@sha256:{HEX} > r.example/mirror/library/busybox:1.32.0-v1"),
            format!("ghcr.io/org/app:1.4.2@sha256:{HEX} > r.example/mirror/ghcr.io/org/app:1.4.2"),
            "quay.io/org/tool:v2 > r.example/mirror/tools/tool:v2 linux/amd64 linux/arm64".to_owned(),
            "localhost:5000/a/b:v1 > r.example/mirror/localhost_5000/a/b:v1-mirrored".to_owned(),
        ]
    );
    let config = load_all(&[&list], None).expect("a config");
    assert_eq!(config.entries[3].location.to_string(), "a.yaml:7:12");
    assert_eq!(config.entries[1].written, format!("busybox@sha256:{HEX}"));
}

#[test]
fn tags_keep_their_text() {
    for tag in ["1.20", "0x10", "1e3", "yes", "nil", "2024-01-02", "1_000", "007"] {
        let expected = format!("docker.io/library/a:1 > r.example/m/library/a:{tag}");
        check_entry(&["source: a:1", &format!("tag: {tag}")], &[&expected]);
        check_entry(&["source: a:1", &format!("tag: '{tag}'")], &[&expected]);
    }
    check_entry(&["source: a:1", "tag: \"null\""], &["docker.io/library/a:1 > r.example/m/library/a:null"]);
}

#[test]
fn a_value_that_is_null_is_none() {
    let no_value = "has no value; write one, or take the key out";
    for null in [" null", " Null", " NULL", " ~", ""] {
        for key in ["tag", "target"] {
            // A value that is not there is placed at the colon.
            let column = 5 + key.len() + usize::from(!null.is_empty()) * 2;
            let expected = format!("E a.yaml:3:{column}: `{key}` {no_value}");
            check_entry(&["source: a:1", &format!("{key}:{null}")], &[&expected]);
        }
        let column = if null.is_empty() { 11 } else { 13 };
        check_entry(&[&format!("source:{null}")], &[&format!("E a.yaml:2:{column}: `source` {no_value}")]);
    }
    check(
        "images: [null, {source: a:1, platforms: ~}, {source: a:2, platforms: [null]}]",
        &[
            "E a.yaml:1:10: an entry is a mapping with a `source`; this one is empty",
            "E a.yaml:1:41: `platforms` has no value; name at least one, or take the key out to copy all of them",
            "E a.yaml:1:71: a platform is a text such as `linux/amd64`; this is empty",
        ],
    );
    check(
        "images: ~",
        &["E a.yaml:1:9: `images` has no value; write `images: []` if there is nothing to mirror"],
    );
}

#[test]
fn keys_are_known_or_named() {
    check_entry(
        &["source: a:1", "tage: x"],
        &["E a.yaml:3:5: an entry has no key `tage`; did you mean `tag`?"],
    );
    check_entry(&["sorce: a:1"], &["E a.yaml:2:5: an entry has no key `sorce`; did you mean `source`?"]);
    check_entry(
        &["source: a:1", "comment: x"],
        &["E a.yaml:3:5: an entry has no key `comment`; its keys are `source`, `tag`, `target`, `platforms`"],
    );
    check_entry(
        &["source: a:1", "source: a:2"],
        &["E a.yaml:3:5: `source` is here twice, first on line 2; keep one"],
    );
    check_entry(
        &["tag: x"],
        &["E a.yaml:2:5: this entry has no `source`; name the image to mirror, as in `source: alpine:3.22`"],
    );
    check_entry(&["source: a:1", "[x]: y"], &["E a.yaml:3:5: a key is a word; this one is a list"]);
    check("image:\n- source: a:1\n", &["E a.yaml:1:1: a list has no key `image`; did you mean `images`?"]);
}

#[test]
fn legacy_keys_are_explained() {
    let amd64 = "an image for a single platform is fine without it; take it out, or write `platforms: \
                 [\"linux/amd64\"]` to copy only that platform of an image for several";
    let sign = "it has no effect: images are mirrored with the signatures that they have; take it out";
    check(
        "sign: true\nimages:\n- source: a:1\n  amd64Only: true\n- source: b:1\n  amd64only: false\n  sign: yes\n",
        &[
            "docker.io/library/a:1 > r.example/m/library/a:1",
            "docker.io/library/b:1 > r.example/m/library/b:1",
            &format!("W a.yaml:1:1: `sign` is a legacy key: {sign}"),
            &format!("W a.yaml:4:3: `amd64Only` is a legacy key: {amd64}"),
            &format!("W a.yaml:6:3: `amd64only` is a legacy key: {amd64}"),
            &format!("W a.yaml:7:3: `sign` is a legacy key: {sign}"),
        ],
    );
    check_entry(
        &["source: a:1", "sign: [x]", "amd64Only: maybe"],
        &[
            "E a.yaml:3:11: `sign` is true or false; this is a list",
            "E a.yaml:4:16: `amd64Only` is true or false; this is the text `maybe`",
        ],
    );
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    check_entry(&["source:"], &["E a.yaml:2:11: `source` has no value; write one, or take the key out"]);
    check_entry(&["source: [a]"], &["E a.yaml:2:13: `source` is a text; this is a list"]);
    check_entry(
        &["source: a:1", "tag: {a: b}", "target: ''"],
        &[
            "E a.yaml:3:10: `tag` is a text; this is a mapping",
            "E a.yaml:4:13: `target` has no value; write one, or take the key out",
        ],
    );
    check(
        "images:\n- alpine:3\n- \"b\"\n-\n- [c]\n",
        &[
            "E a.yaml:2:3: an entry is a mapping; put `source: ` before `alpine:3`",
            "E a.yaml:3:3: an entry is a mapping; put `source: ` before `b`",
            "E a.yaml:4:2: an entry is a mapping with a `source`; this one is empty",
            "E a.yaml:5:3: an entry is a mapping with a `source`; this one is a list",
        ],
    );
    check(
        "images:\n  source: a:1\n",
        &["E a.yaml:2:3: `images` is a list, and this is a mapping; put `- ` before each `source`"],
    );
    check("images: alpine\n", &["E a.yaml:1:9: `images` is a list; this is the text `alpine`"]);
    check(
        "images:\n",
        &["E a.yaml:1:7: `images` has no value; write `images: []` if there is nothing to mirror"],
    );
    check("images: []\n", &[]);
}

#[test]
fn what_is_no_list_is_said() {
    let example = "write `images:` and below it lines such as `  - source: \"alpine:3.22\"`";
    for (list, expected) in [
        ("", format!("1:1: the list is empty; {example}")),
        ("# nothing yet\n", format!("1:1: the list is empty; {example}")),
        ("---\n", format!("1:4: the list is empty; {example}")),
        ("targetRepoPrefix: r.example/\n", format!("1:1: the list has no `images`; {example}")),
        ("Hello, world\n", format!("1:1: this is no list of images; {example}")),
        ("- source: a:1\n", "1:1: these entries stand alone; put `images:` on a line before them".to_owned()),
        (
            "images: []\n---\nimages: []\n",
            "2:1: a second YAML document begins here; a list is one document: join them, or put this one into a \
             file of its own"
                .to_owned(),
        ),
    ] {
        check(list, &[&format!("E a.yaml:{expected}")]);
    }
    for (list, place) in [
        ("images: [\n", "1:9"),
        ("images:\n- source: \"a\n", "3:1"),
        ("{{{", "1:3"),
        ("<html>\n<body>: :\n", "2:7"),
        ("images:\n\t- source: a\n", "2:2"),
    ] {
        let said = said(&[list], Some("r.example/"));
        assert!(
            said.len() == 1 && said[0].starts_with(&format!("E a.yaml:{place}: this is not YAML: ")),
            "{list}: {said:?}"
        );
    }
    let long = format!("images: []\n#{}", "x".repeat(MAX_BYTES));
    check(
        &long,
        &[
            "E a.yaml:1:1: the list has 5242892 bytes; 5242880 (5 MiB) are the most: split it, and name each part with --images-file",
        ],
    );
}

#[test]
fn sources_that_float_or_have_no_name_are_pointed_at() {
    check_entry(
        &["source: rancher/k3s"],
        &[
            "docker.io/rancher/k3s:latest > r.example/m/rancher/k3s:latest",
            "W a.yaml:2:13: `rancher/k3s` floats: it has neither tag nor digest and is read as \
             `rancher/k3s:latest`; write the tag that you want",
        ],
    );
    check_entry(
        &["source: quay.io/x/y", "tag: v1"],
        &[
            "quay.io/x/y:latest > r.example/m/quay.io/x/y:v1",
            "W a.yaml:2:13: `quay.io/x/y` floats: it has neither tag nor digest and is read as \
             `quay.io/x/y:latest` (`tag` names it at the target only); write the tag that you want",
        ],
    );
    check_entry(
        &[&format!("source: a/b@sha256:{HEX}")],
        &[&format!(
            "E a.yaml:2:13: `a/b@sha256:{HEX}` has a digest and no tag, so it has no name at the target; add a \
             `tag`, or write `a/b:TAG@sha256:{HEX}`"
        )],
    );
    // The misspelt key is the fault; that the tag is missing follows from it.
    check_entry(
        &[&format!("source: a/b@sha256:{HEX}"), "tage: v1"],
        &["E a.yaml:3:5: an entry has no key `tage`; did you mean `tag`?"],
    );
    check_entry(
        &["source: '[::1]:5000/a:1'"],
        &[
            "E a.yaml:2:13: `[::1]:5000/a:1` gives no name for the target: `[__1]_5000/a` is not a repository name: \
           it has lower-case letters and digits, parted by `/`, `.`, `_`, `__` or `-`; name a repository below the \
           prefix with `target`",
        ],
    );
}

#[test]
fn tag_and_target_are_names() {
    let grammar = "it has lower-case letters and digits, parted by `/`, `.`, `_`, `__` or `-`";
    for (tag, expected) in [
        (":v1", "the tag `:v1` has a `:` in it; write `v1`".to_owned()),
        ("golang:1.22", "the tag `golang:1.22` has a `:` in it; write `1.22`".to_owned()),
        (
            "1@sha256:abc",
            "the tag `1@sha256:abc` has a digest in it; a digest belongs into `source`, after an `@`"
                .to_owned(),
        ),
    ] {
        check_entry(&["source: a:1", &format!("tag: '{tag}'")], &[&format!("E a.yaml:3:10: {expected}")]);
    }
    check_entry(
        &["source: a:1", "target: Tools/x/"],
        &[&format!(
            "E a.yaml:3:13: `target` is not usable: `Tools/x/` is not a repository name: {grammar}; write `tools/x`"
        )],
    );
    check_entry(
        &["source: a:1", "target: tools/x:v1"],
        &[&format!(
            "E a.yaml:3:13: `target` is not usable: `tools/x:v1` is not a repository name: {grammar}; it is a \
             repository below the prefix: the tag goes into `tag`, and the registry is the prefix's"
        )],
    );
    let long = "x/".repeat(126) + "xxx";
    check_entry(
        &["source: a:1", &format!("target: {long}")],
        &[
            "E a.yaml:2:13: the name at the target is not usable: the repository name has 257 characters; 255 are the \
           most; shorten it with `target`",
        ],
    );
}

#[test]
fn platforms_are_a_list_of_platforms() {
    let platforms = |value: &str, expected: &str| {
        check_entry(&["source: a:1", &format!("platforms: {value}")], &[&format!("E a.yaml:3:{expected}")]);
    };
    platforms("[]", "16: `platforms` is empty; name at least one, or take the key out to copy all of them");
    platforms("linux/amd64", "16: `platforms` is a list; write `platforms: [\"linux/amd64\"]`");
    platforms(
        "{a: b}",
        "16: `platforms` is a list such as `[\"linux/amd64\", \"linux/arm64\"]`; this is a mapping",
    );
    platforms("", "14: `platforms` has no value; name at least one, or take the key out to copy all of them");
    platforms(
        "[amd64]",
        "17: `amd64` is not a platform; write it as os/architecture, for example linux/amd64 or linux/arm/v7",
    );
    platforms(&format!("[{}]", "linux/a, ".repeat(101)), "16: `platforms` has 101 of them; 100 are the most");
    platforms("[[x]]", "17: a platform is a text such as `linux/amd64`; this is a list");
    check_entry(
        &["source: a:1", "platforms: [linux/arm64, linux/arm/v7, linux/arm64/v8]"],
        &[
            "docker.io/library/a:1 > r.example/m/library/a:1 linux/arm64 linux/arm/v7",
            "W a.yaml:3:44: the platform `linux/arm64/v8` is `linux/arm64` once more; take one of them out",
        ],
    );
}

#[test]
fn what_messages_quote_cannot_act() {
    check_entry(
        &["\"sou\\u001brce\": \"a\\nb\""],
        &["E a.yaml:2:5: an entry has no key `sou\\u{1b}rce`; did you mean `source`?"],
    );
    let said = said(&[&format!("images:\n- source: \"x y{}\"\n", "z".repeat(2_000_000))], Some("r.example/"));
    assert!(said.len() == 1 && said[0].len() < 300, "{}", said[0].len());
}

#[test]
fn an_alias_stands_for_its_entry() {
    check(
        "images:\n- &a {source: a:1}\n- *a\n- {source: b:1, platforms: &p [linux/amd64]}\n- {source: c:1, platforms: *p}\n",
        &[
            "docker.io/library/a:1 > r.example/m/library/a:1",
            "docker.io/library/b:1 > r.example/m/library/b:1 linux/amd64",
            "docker.io/library/c:1 > r.example/m/library/c:1 linux/amd64",
            "W a.yaml:2:15: this entry is line 2 once more and is left out; take one of them out",
        ],
    );
}

#[test]
fn a_large_list_takes_little_time_and_memory() {
    let entries: String =
        (0..20_000).map(|number| ["- source: r.example/a/b:", &number.to_string(), "\n"].concat()).collect();
    let begin = std::time::Instant::now();
    assert_eq!(
        load_all(&[&format!("images:\n{entries}")], Some("r.example/")).expect("a config").entries.len(),
        20_000
    );

    for broken in [entries.replace("source", "sauce"), entries.replace("a/b:", "a/b@")] {
        let faults = load_all(&[&format!("images:\n{broken}")], Some("r.example/")).expect_err("faults");
        assert_eq!(faults.as_slice().len(), 1001);
        assert!(faults.to_string().ends_with("\n… and 801 more"));
    }
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

proptest! {
    /// Whatever a list holds, it is read or each fault names a place and a cause.
    #[test]
    fn any_text_is_a_list_or_faults(
        text in prop::collection::vec(
            prop::sample::select(vec![
                "images", "source", "tag", "target", "platforms", "sign", ": ", ":", "- ", "\n", "\n  ", "[", "]", "{", "}",
                ", ", "\"", "'", "alpine", "@sha256:", "1.20", "&a ", "*a", "---\n", "#", "|\n", "é", "\u{202e}", "\t", "<<",
            ]),
            0..40,
        )
    ) {
        match load_all(&[&text.concat()], Some("r.example/m/")) {
            Ok(config) => {
                for entry in config.entries {
                    prop_assert!(entry.target.to_string().starts_with("r.example/m/"));
                }
            }
            Err(faults) => {
                prop_assert!(!faults.as_slice().is_empty());
                for fault in faults.as_slice() {
                    prop_assert!(fault.location.as_ref().is_some_and(|location| location.line > 0 && location.column > 0));
                    prop_assert!(!fault.message.is_empty() && !fault.message.contains(char::is_control));
                }
            }
        }
    }
}
