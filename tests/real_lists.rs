//! The lists and target names that users of kyma's image-syncer have: they must work, and must not change.
//!
//! The rules stand in a table here. Where `IMAGE_SYNCER_SHARED_DATA` names the folder with the full data
//! (`external-images/targets.tsv`, `invalid.tsv` and the lists), as in CI, all of it is checked as well, and
//! a file that lacks rows fails.
#![expect(clippy::expect_used, reason = "a test fails by it")]

use std::fs;
use std::path::PathBuf;

use image_syncer::config::{Config, Faults, LIST_SCHEMA, ListFile, PrefixSources, Signatures, load};

/// The prefix that the data was made with.
const PREFIX: &str = "europe-docker.pkg.dev/kyma-project/prod/external/";
const HEX: &str = "31a54a0cf86d7354788a8265f60ae6acb4b348a67efbcf7c1007dd3cf7af05ab";

fn shared_data() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("IMAGE_SYNCER_SHARED_DATA")?).join("external-images");
    assert!(folder.is_dir(), "IMAGE_SYNCER_SHARED_DATA is set, and {} is not there", folder.display());
    Some(folder)
}

/// The rows of a table, without its head.
fn rows(name: &str) -> Option<Vec<[String; 3]>> {
    let text = fs::read_to_string(shared_data()?.join(name)).expect("a table");
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
        cells.try_into().expect("three cells")
    });
    Some(rows.collect())
}

fn load_entry(source: &str, tag: &str) -> Result<Config, Faults> {
    let tag = if tag.is_empty() { String::new() } else { format!("\n  tag: {tag}") };
    let text = format!("images:\n- source: \"{source}\"{tag}\n");
    let list = ListFile { name: "external-images.yaml".to_owned(), text };
    load(&[list], PrefixSources { command_line: Some(PREFIX), ..PrefixSources::default() }, Signatures::Copy)
}

fn check_target(source: &str, tag: &str, target: &str) {
    match load_entry(source, tag) {
        Ok(config) => assert_eq!(config.entries[0].target.to_string(), target, "{source} {tag}"),
        Err(faults) => panic!("{source} {tag}: {faults}"),
    }
}

#[test]
fn target_names_follow_the_rules() {
    for (source, tag, target) in [
        // A name of Docker Hub's own gets `library/`, an organisation's stays.
        ("alpine:3.22", "", "library/alpine:3.22"),
        ("curlimages/curl:7.78.0", "", "curlimages/curl:7.78.0"),
        // A registry that is written stays in the path.
        ("quay.io/coreos/etcd:v3.3.25", "", "quay.io/coreos/etcd:v3.3.25"),
        ("gcr.io/a/b/c/d:v1", "", "gcr.io/a/b/c/d:v1"),
        ("docker.io/library/alpine:3.22", "", "docker.io/library/alpine:3.22"),
        ("registry.example.com:8443/a/b:v1", "", "registry.example.com_8443/a/b:v1"),
        // The tag is `tag`, else the source's own; its text is kept.
        (&format!("busybox@sha256:{HEX}"), "1.32.0-v1", "library/busybox:1.32.0-v1"),
        (&format!("golang@sha256:{HEX}"), "1.20", "library/golang:1.20"),
        (&format!("ghcr.io/org/app:1.4.2@sha256:{HEX}"), "", "ghcr.io/org/app:1.4.2"),
        ("quay.io/org/tool", "v0.7.0", "quay.io/org/tool:v0.7.0"),
    ] {
        check_target(source, tag, &format!("{PREFIX}{target}"));
    }
}

#[test]
fn all_target_names_of_users_stay() {
    let Some(rows) = rows("targets.tsv") else { return };
    assert_eq!(rows.len(), 478, "the whole file is checked, or nothing is shown");
    let (impossible, possible): (Vec<_>, Vec<_>) = rows.iter().partition(|[_, tag, _]| tag.contains(':'));
    for [source, tag, target] in &possible {
        check_target(source, tag, target);
    }
    // One user wrote `golang:1.22.6-alpine` as a tag. The rule gives a name, which no registry accepts: the
    // name is checked but for the tag, and the entry is refused with what to write instead.
    assert_eq!(impossible.len(), 1);
    for [source, tag, target] in &impossible {
        let repository = target.strip_suffix(&format!(":{tag}")).expect("a name that ends with the tag");
        check_target(source, "any", &format!("{repository}:any"));
        let said = load_entry(source, tag).expect_err("a tag with a colon").to_string();
        assert!(said.contains("has a `:` in it; write `1.22.6-alpine`"), "{said}");
    }
    println!("{} target names checked", possible.len() + impossible.len());
}

/// What a message that says how to fix a mistake has in it.
const FIXES: [&str; 4] = ["write ", "add a `tag`", "copy all 64 of them again", "take "];

#[test]
fn all_mistakes_of_users_are_explained() {
    let Some(rows) = rows("invalid.tsv") else { return };
    assert_eq!(rows.len(), 11, "the whole file is checked, or nothing is shown");
    for [source, tag, expected] in &rows {
        match load_entry(source, tag) {
            Ok(config) => {
                assert_eq!(expected, "warning: floats, read as latest", "{source} {tag}");
                let said: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
                assert!(said.len() == 1 && said[0].contains(" floats: "), "{source}: {said:?}");
                assert!(said[0].contains(&format!("`{source}:latest`")), "{source}: {said:?}");
            }
            Err(faults) => {
                assert_eq!(expected, "error", "{source} {tag}: {faults}");
                let said = faults.to_string();
                assert_eq!(faults.as_slice().len(), 1, "{said}");
                assert!(said.starts_with("external-images.yaml:2:11: "), "{said}");
                assert!(FIXES.iter().any(|fix| said.contains(fix)), "{said}");
                let mut entry = serde_json::json!({ "source": source });
                if !tag.is_empty() {
                    entry["tag"] = tag.as_str().into();
                }
                assert!(
                    !is_valid(&serde_json::json!({ "images": [entry] })),
                    "{said}: the schema lets it pass"
                );
            }
        }
    }
    println!("{} mistakes checked", rows.len());
}

fn is_valid(list: &serde_json::Value) -> bool {
    let schema = serde_json::from_str(LIST_SCHEMA).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("a schema").is_valid(list)
}

#[test]
fn all_lists_of_users_are_valid() {
    let Some(folder) = shared_data() else { return };
    let mut checked = 0;
    for file in fs::read_dir(folder).expect("a folder") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let list = ListFile::read(&path).expect("a list");
        let entries = list.text.matches("source:").count();
        let value: serde_json::Value = serde_saphyr::from_str(&list.text).expect("YAML");
        assert!(is_valid(&value), "{} is not valid by the schema", path.display());
        let prefix = PrefixSources { command_line: Some(PREFIX), ..PrefixSources::default() };
        let config = load(&[list], prefix, Signatures::Copy).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(config.entries.len(), entries, "{}", path.display());
        for warning in &config.warnings {
            assert!(warning.message.starts_with("`amd64Only` is a legacy key"), "{warning}");
        }
        checked += 1;
    }
    assert_eq!(checked, 5);
    println!("{checked} lists checked");
}
