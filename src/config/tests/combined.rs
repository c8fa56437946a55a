//! Several lists as one: targets, prefixes, and what one version has that another has not.

use super::*;

#[test]
fn a_target_belongs_to_one_entry() {
    let prefix = Some("r.example/m/");
    assert_eq!(
        said(&["images:\n- source: a:1\n- source: a:1\n- source: library/a:1\n"], prefix),
        [
            "docker.io/library/a:1 > r.example/m/library/a:1",
            "W a.yaml:3:11: this entry is line 2 once more and is left out; take one of them out",
            "W a.yaml:4:11: this entry is line 2 once more and is left out; take one of them out",
        ]
    );
    let list = format!(
        "images:\n- source: a:1\n- {{source: b:1, target: library/a}}\n- {{source: a:1, platforms: [linux/amd64]}}\n\
         - {{source: \"a@sha256:{HEX}\", tag: 2}}\n- source: a:2@sha256:{HEX}\n"
    );
    assert_eq!(
        said(&[&list], prefix),
        [
            "E a.yaml:3:12: the target `library/a:1` belongs to line 2 already, with another source \
             (`docker.io/library/a:1`); give one of them another `tag` or `target`, or take it out",
            "E a.yaml:4:12: the target `library/a:1` belongs to line 2 already, with other platforms \
             (`docker.io/library/a:1`); give one of them another `tag` or `target`, or take it out",
        ]
    );
    assert_eq!(
        said(
            &["images:\n- source: a:1\n", "images:\n- source: a:1\n- {source: x:1, target: library/a}\n"],
            prefix
        ),
        ["E b.yaml:3:12: the target `library/a:1` belongs to a.yaml:2:11 already, with another source \
             (`docker.io/library/a:1`); give one of them another `tag` or `target`, or take it out",]
    );
}

#[test]
fn the_strongest_prefix_decides() {
    let one = "targetRepoPrefix: list.example/\nimages:\n- source: a:1\n";
    let two = "targetRepoPrefix: other.example/\nimages:\n- source: b:1\n";
    let none = "images:\n- source: c:1\n";
    let decided = |lists: &[&str], policy: Option<&str>, command_line: Option<&str>| {
        let files: Vec<ListFile> =
            lists.iter().map(|text| ListFile { name: "a.yaml".into(), text: (*text).into() }).collect();
        let location = Location { file: "policy.yaml".into(), line: 1, column: 19 };
        let policy = policy.map(|text| StatedPrefix { prefix: text.parse().expect("a prefix"), location });
        let prefix = PrefixSources { policy: policy.as_ref(), command_line, trusted: None };
        load(&files, prefix, Signatures::Copy).map_or_else(
            |faults| faults.to_string(),
            |config| {
                let warnings = config.warnings.iter().map(|warning| format!("\n{warning}"));
                format!("{}{}", config.prefix, warnings.collect::<String>())
            },
        )
    };
    assert_eq!(
        decided(&[one], Some("policy.example/"), Some("cli.example/")),
        "policy.example/\n\
         a.yaml:1:19: `list.example/` has no effect: the policy (policy.yaml:1:19) says that the target prefix is \
         `policy.example/`; take it out\n\
         policy.yaml:1:19: the policy's `policy.example/` is the target prefix; `cli.example/` of \
         --target-repo-prefix or SYNCER_TARGET_REPO_PREFIX has no effect: take it out"
    );
    assert_eq!(decided(&[one], Some("list.example/"), Some("list.example/")), "list.example/");
    assert_eq!(decided(&[none], Some("policy.example/"), None), "policy.example/");
    assert_eq!(
        decided(&[none], Some("policy.example/"), Some("cli.example")),
        "--target-repo-prefix or SYNCER_TARGET_REPO_PREFIX: the target prefix `cli.example` does not end with `/`; \
         write it as `cli.example/`"
    );
    assert_eq!(decided(&[one], None, Some("cli.example/")), "cli.example/");
    assert_eq!(decided(&[none, one], None, None), "list.example/");
    assert_eq!(decided(&[one, two], None, Some("oci:out/")), "oci:out/");
    assert_eq!(
        decided(&[one, two], None, None),
        "a.yaml:1:19: this list goes to `other.example/`, and a.yaml:1:19 says `list.example/`; lists of one run go \
         to one prefix: state it once, or give --target-repo-prefix"
    );
    assert_eq!(
        decided(&[none], None, None),
        "no target prefix is given; name where the images go with --target-repo-prefix, with \
         SYNCER_TARGET_REPO_PREFIX, or with `targetRepoPrefix` in the list"
    );
    assert_eq!(
        decided(&[none], None, Some("r.example/x")),
        "--target-repo-prefix or SYNCER_TARGET_REPO_PREFIX: the target prefix `r.example/x` does not end with `/`; \
         write it as `r.example/x/`"
    );
    assert_eq!(
        decided(&["targetRepoPrefix: r.example\nimages: []"], None, None),
        "a.yaml:1:19: the target prefix `r.example` does not end with `/`; write it as `r.example/`"
    );
}

#[test]
fn all_faults_of_all_lists_come_together() {
    let first = "images:\n- source: golang/1.17.7\n  tage: x\n- source: a@b\n  platforms: []\n";
    let second = "images:\n- alpine\n---\n";
    assert_eq!(
        said(&[second, first, "images: []"], None),
        [
            "E no target prefix is given; name where the images go with --target-repo-prefix, with \
             SYNCER_TARGET_REPO_PREFIX, or with `targetRepoPrefix` in the list",
            "E a.yaml:2:3: an entry is a mapping; put `source: ` before `alpine`",
            "E a.yaml:3:1: a second YAML document begins here; a list is one document: join them, or put this one \
             into a file of its own",
            "E b.yaml:2:11: `golang/1.17.7` has no tag, and its last part looks like one; write `golang:1.17.7`, or \
             add `:latest` if that is its name",
            "E b.yaml:3:3: an entry has no key `tage`; did you mean `tag`?",
            "E b.yaml:4:11: in `a@b` a `:` belongs before the tag; write `a:b`",
            "E b.yaml:5:14: `platforms` is empty; name at least one, or take the key out to copy all of them",
        ]
    );
}

#[test]
fn a_trusted_prefix_is_not_moved_by_a_list() {
    let trusted = "r.example/mirror/".parse::<TargetPrefix>().expect("a prefix");
    let before = "old.example/mirror/".parse::<TargetPrefix>().expect("a prefix");
    let load = |stated: &str| {
        let text = format!("{stated}images:\n- source: org/app:1\n");
        let trusted = Trusted { prefix: &trusted, stated_before: Some(&before), by_lists: false };
        let prefix = PrefixSources { trusted: Some(trusted), ..PrefixSources::default() };
        load(&[ListFile { name: "a.yaml".into(), text }], prefix, Signatures::Copy)
    };
    for stated in ["", "targetRepoPrefix: r.example/mirror/\n"] {
        let config = load(stated).expect("a good list");
        assert_eq!(config.entries[0].target.to_string(), "r.example/mirror/org/app:1");
    }
    let faults = load("targetRepoPrefix: evil.example/mirror/\n").expect_err("another prefix").to_string();
    assert!(faults.starts_with("a.yaml:1:19: `evil.example/mirror/` is not where the images go"), "{faults}");
    // What the policy overrides is told as it is after the merge.
    let location = Location { file: "policy.yaml".into(), line: 1, column: 19 };
    let policy = StatedPrefix { prefix: trusted.clone(), location };
    let sources = PrefixSources {
        policy: Some(&policy),
        command_line: Some("cli.example/"),
        trusted: Some(Trusted { prefix: &trusted, stated_before: None, by_lists: false }),
    };
    let config = super::super::load(&[], sources, Signatures::Copy).expect("a prefix");
    assert!(config.warnings[0].message.contains("`cli.example/` of --target-repo-prefix"));
    let config = load("targetRepoPrefix: old.example/mirror/\n").expect("it was so before");
    assert!(config.warnings[0].message.starts_with("`old.example/mirror/` is not where the images go"));
    assert_eq!(config.entries[0].target.to_string(), "r.example/mirror/org/app:1");
}

#[test]
fn what_is_in_order_can_be_used_whatever_is_wrong_with_the_rest() {
    let list = |text: &str| ListFile { name: "a.yaml".into(), text: text.into() };
    let text = "targetRepoPrefix: r.example/m/\nimages:\n- source: org/app:1\n- source: org/app@\n";
    let found = usable(&[list(text)], PrefixSources::default(), Signatures::Copy);
    assert_eq!(found.stated.expect("a prefix").to_string(), "r.example/m/");
    assert_eq!(found.config.expect("an entry").entries.len(), 1);
    assert_eq!(found.faults.len(), 1);
    // The same fault further down was there before; another one was not.
    let now = format!("# a line\n{text}- source: org/other@\n");
    let faults = load(&[list(&now)], PrefixSources::default(), Signatures::Copy).expect_err("faults");
    let faults: Vec<bool> = faults
        .with_those_of_before(&found.faults)
        .as_slice()
        .iter()
        .map(|fault| fault.message.contains("(this was so before the change"))
        .collect();
    assert_eq!(faults, [true, false]);
}

#[test]
fn changes_are_told_by_target_and_image() {
    let before = "images:\n\
        - source: org/same:1\n\
        - source: org/other:1\n\
        - source: org/gone:1\n\
        - {source: org/narrowed:1, platforms: [linux/amd64, linux/arm64]}\n";
    let now = format!(
        "images:\n\
        - source: org/added:1\n\
        - {{source: org/narrowed:1, platforms: [linux/amd64]}}\n\
        - source: org/other:1@sha256:{HEX}\n\
        - {{source: org/same:1, tag: \"1\"}}\n"
    );
    let [before, now] =
        [before, &now].map(|list| load_all(&[list], Some("r.example/m/")).expect("a good list"));
    let changes = Changes::between(Some(&before), &now);
    assert_eq!(changes.entries, [Change::Added, Change::Changed, Change::Changed, Change::Unchanged]);
    let removed: Vec<String> = changes.removed.iter().map(|entry| entry.target.to_string()).collect();
    assert_eq!(removed, ["r.example/m/org/gone:1"]);
    assert_eq!(Changes::between(None, &now).entries, [Change::Added; 4]);
}
