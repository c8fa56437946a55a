//! Whole policies, what is said of them, and what they answer.

use super::*;

/// What is said of a policy: its faults, or its warnings.
fn said(text: &str) -> Vec<String> {
    match load("policy.yaml", text) {
        Ok(policy) => policy.warnings().iter().map(|warning| format!("W {warning}")).collect(),
        Err(faults) => faults.to_string().lines().map(|line| format!("E {line}")).collect(),
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(said(text), expected, "{text}");
}

fn policy(text: &str) -> Policy {
    load("policy.yaml", text).expect("a policy")
}

fn source(registry: &str, repository: &str) -> Reference {
    Reference {
        registry: registry.parse().expect("a registry"),
        repository: repository.parse().expect("a repository"),
        tag: None,
        digest: None,
    }
}

fn platforms(list: &[&str]) -> Vec<Platform> {
    list.iter().map(|text| text.parse().expect("a platform")).collect()
}

#[test]
fn all_faults_come_together() {
    check(
        "targetRepoPrefix: r.example/mirror\n\
         allowedSource: [\"quay.io/**\"]\n\
         requirePlatforms: [amd64, linux/arm64, arm64]\n\
         mutableTags:\n- library/alpine\n- {a: b}\n- ok:*\n",
        &[
            "E policy.yaml:1:19: the target prefix `r.example/mirror` does not end with `/`; write it as \
             `r.example/mirror/`",
            "E policy.yaml:2:1: a policy has no key `allowedSource`; did you mean `allowedSources`?",
            "E policy.yaml:3:20: `amd64` is not a platform; write it as os/architecture, for example linux/amd64 or \
             linux/arm/v7",
            "E policy.yaml:3:40: `arm64` is not a platform; write it as os/architecture, for example linux/amd64 or \
             linux/arm/v7",
            "E policy.yaml:5:3: the pattern `library/alpine` is not usable: it names no tag; write \
             `library/alpine:latest`, or `library/alpine:*` for all its tags",
            "E policy.yaml:6:3: a pattern of `mutableTags` is a text; this is a mapping",
        ],
    );
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    check(
        "allowedSources: quay.io/**",
        &["E policy.yaml:1:17: `allowedSources` is a list; write `allowedSources: [\"quay.io/**\"]`"],
    );
    check(
        "mutableTags: a:latest",
        &["E policy.yaml:1:14: `mutableTags` is a list; write `mutableTags: [\"a:latest\"]`"],
    );
    check(
        "allowedSources: all",
        &[
            "E policy.yaml:1:17: `allowedSources` is a list such as `[\"docker.io/library/*\", \"quay.io/**\"]`; this is \
           the text `all`",
        ],
    );
    check(
        "allowedSources: []\nmutableTags: []\nrequirePlatforms: []",
        &[
            "E policy.yaml:1:17: `allowedSources` is empty; name at least one, or take the key out to allow all sources",
            "E policy.yaml:2:14: `mutableTags` is empty; name at least one, or take the key out to let no tag move",
            "E policy.yaml:3:19: `requirePlatforms` is empty; name at least one, or take the key out to require none",
        ],
    );
    check(
        "targetRepoPrefix:",
        &["E policy.yaml:1:17: `targetRepoPrefix` has no value; write one, or take the key out"],
    );
    let many = format!("mutableTags: [{}]", "\"a:b\", ".repeat(501));
    check(&many, &["E policy.yaml:1:14: `mutableTags` has 501 of them; 500 are the most"]);
}

#[test]
fn what_is_no_policy_is_said() {
    let rule = "write a rule such as `allowedSources: [\"docker.io/library/*\"]`, or leave --policy-file out";
    check("", &[&format!("E policy.yaml:1:1: the policy has no rule; {rule}")]);
    check("# nothing yet\n", &[&format!("E policy.yaml:1:1: the policy has no rule; {rule}")]);
    check("{}", &[&format!("E policy.yaml:1:1: the policy has no rule; {rule}")]);
    check("- a", &[&format!("E policy.yaml:1:1: a policy is a mapping of rules; this is a list; {rule}")]);
    check(
        "allowed",
        &[&format!("E policy.yaml:1:1: a policy is a mapping of rules; this is the text `allowed`; {rule}")],
    );
    check(
        "images:\n- source: a:1\n",
        &[
            "E policy.yaml:1:1: a policy has no key `images`; its keys are `targetRepoPrefix`, `allowedSources`, \
           `requirePlatforms`, `limits`, `mutableTags`, `signatures`, `registries`, `auth`",
        ],
    );
    check(
        "mutableTags: [a:b]\n---\nmutableTags: [c:d]\n",
        &["E policy.yaml:2:1: a second YAML document begins here; a policy is one document: join them"],
    );
    check(
        "mutableTags: [a:b]\nmutableTags: [c:d]\n",
        &["E policy.yaml:2:1: `mutableTags` is here twice, first on line 1; keep one"],
    );
    let large = format!("mutableTags: [a:b] #{}", "x".repeat(5 * 1024 * 1024));
    check(
        &large,
        &["E policy.yaml:1:1: the policy has 5242900 bytes; 5242880 (5 MiB) are the most: shorten it"],
    );
    let deep = "[".repeat(1000);
    assert!(said(&deep)[0].contains("a policy needs no such nesting"), "{:?}", said(&deep));
    let missing = read(Path::new("no/policy.yaml")).expect_err("no policy").to_string();
    assert_eq!(
        missing,
        "failed to read the policy `no/policy.yaml`: there is no such file; name the policy with --policy-file"
    );
}

#[test]
fn what_is_odd_is_warned_of() {
    check(
        "allowedSources: [\"quay.io/**\", \"quay.io/**\"]\nmutableTags: [\"**:*\"]\nrequirePlatforms: [linux/arm64, linux/arm64/v8]\n",
        &[
            "W policy.yaml:1:32: the pattern `quay.io/**` is here once more; take one of them out",
            "W policy.yaml:2:14: `**:*` lets every tag move, so that none of the mirrored images stays what it is; name \
             the tags that have to",
            "W policy.yaml:3:33: the platform `linux/arm64/v8` is `linux/arm64` once more; take one of them out",
        ],
    );
}

#[test]
fn a_pattern_of_tags_begins_below_the_prefix() {
    check(
        "mutableTags: [\"r.example/mirror/library/alpine:latest\"]\ntargetRepoPrefix: r.example/mirror/\n",
        &[
            "E policy.yaml:1:15: the pattern `r.example/mirror/library/alpine:latest` is not usable: the target prefix \
           does not belong into it; write `library/alpine:latest`",
        ],
    );
}

#[test]
fn no_policy_asks_for_nothing() {
    let policy = Policy::default();
    assert_eq!(policy.allows(&source("evil.example", "a")), Ok(()));
    assert_eq!(policy.accepts_platforms(&[], false), Ok(()));
    assert!(!policy.requires_platforms());
    assert!(!policy.lets_move("library/alpine", "latest"));
    assert_eq!(policy.prefix(), None);
    assert_eq!(policy.digest(), None);
}

#[test]
fn a_source_that_is_not_named_is_refused() {
    let policy = policy("allowedSources:\n  - docker.io/library/*\n  - quay.io/**\n");
    assert_eq!(policy.allows(&source("docker.io", "library/alpine")), Ok(()));
    assert_eq!(policy.allows(&source("quay.io", "a/b/c")), Ok(()));
    let said =
        |registry, repository| policy.allows(&source(registry, repository)).expect_err("refused").to_string();
    assert_eq!(
        said("docker.io", "grafana/grafana"),
        "no pattern of `allowedSources` (policy.yaml:2:3) names it; add `docker.io/grafana/grafana` or \
         `docker.io/grafana/*` there, or take the image off the list"
    );
    assert_eq!(
        said("quay.io.evil.example", "a"),
        "no pattern of `allowedSources` (policy.yaml:2:3) names it; add `quay.io.evil.example/a` there, or take the \
         image off the list"
    );
}

#[test]
fn an_image_has_to_be_for_the_required_platforms() {
    let policy = policy("requirePlatforms: [linux/amd64, linux/arm64]\n");
    assert_eq!(
        policy.accepts_platforms(&platforms(&["linux/arm64/v8", "linux/s390x", "linux/amd64"]), false),
        Ok(())
    );
    let said = |available: &[&str], selected| {
        policy.accepts_platforms(&platforms(available), selected).expect_err("refused").to_string()
    };
    assert_eq!(
        said(&["linux/amd64", "linux/arm/v7"], false),
        "`requirePlatforms` (policy.yaml:1:19) asks for linux/arm64, and the image is for linux/amd64, linux/arm/v7; \
         mirror a version that has it, or take the image off the list"
    );
    assert_eq!(
        said(&["linux/amd64"], true),
        "`requirePlatforms` (policy.yaml:1:19) asks for linux/arm64, and the image is for linux/amd64; name it in the \
         entry's `platforms` too, if the source has it"
    );
    assert_eq!(
        said(&[], false),
        "`requirePlatforms` (policy.yaml:1:19) asks for linux/amd64, linux/arm64, and the image is for none that is \
         known; mirror a version that has it, or take the image off the list"
    );
}

#[test]
fn only_named_tags_move_and_those_of_digests_never() {
    let policy = policy("mutableTags: [\"library/alpine:latest\", \"quay.io/**:*\"]\n");
    assert!(policy.lets_move("library/alpine", "latest"));
    assert!(!policy.lets_move("library/alpine", "3.22"));
    assert!(policy.lets_move("quay.io/a", "v1"));
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for tag in [format!("sha256-{hex}"), format!("sha256-{hex}.sig")] {
        assert!(!policy.lets_move("quay.io/a", &tag), "{tag}");
    }
}

#[test]
fn the_digest_is_of_the_rules_and_not_of_how_they_are_written() {
    let digest = |text: &str| policy(text).digest().expect("rules").to_string();
    let one = "targetRepoPrefix: r.example/m/\nallowedSources: [quay.io/**, docker.io/**]\nmutableTags: [\"a:b\"]\n";
    let same = "# why\nmutableTags:\n  - 'a:b'\nallowedSources:\n  - docker.io/** # all\n  - quay.io/**\n  - quay.io/**\n\
                targetRepoPrefix: \"r.example/m/\"\n";
    assert_eq!(digest(one), digest(same));
    let canonical = "{\"allowedSources\":[\"docker.io/**\",\"quay.io/**\"],\"mutableTags\":[\"a:b\"],\
                     \"targetRepoPrefix\":\"r.example/m/\"}";
    assert_eq!(digest(one), Digest::sha256(canonical.as_bytes()).to_string());
    assert_ne!(digest(one), digest(&one.replace("a:b", "a:c")));
    assert_ne!(digest("mutableTags: [\"a:b\"]"), digest("requirePlatforms: [a/b]"));
}

#[test]
fn what_is_stated_of_registries_is_read_and_its_faults_come_together() {
    check(
        "registries:\n  quay.io: {kind: artifactry, chunks: 8MB}\n  alpine: {mount: maybe, speed: 1}\n  \
         \"r.example\": []\n  \"*.example/x\": {pageSize: 0}\n",
        &[
            "E policy.yaml:2:19: `artifactry` is no value of `kind`; did you mean `artifactory`?",
            "E policy.yaml:2:39: `8MB` is no value of `chunks`; write `never`, `allowed`, or the size of the largest \
             chunk, such as `8MiB`",
            "E policy.yaml:3:3: the registry `alpine` is not usable: it is no registry; write its host, such as \
             `registry.example.com`",
            "E policy.yaml:3:19: `maybe` is no value of `mount`; write true or false",
            "E policy.yaml:3:26: a registry has no key `speed`; its keys are `kind`, `chunks`, `mount`, `referrers`, \
             `pageSize`",
            "E policy.yaml:4:16: what is known of a registry is a mapping such as `{kind: artifactory}`; this is a list",
            "E policy.yaml:5:3: the registry `*.example/x` is not usable: it names a registry and nothing in it; write \
             `*.example`",
            "E policy.yaml:5:29: `0` is no value of `pageSize`; write a number of tags from 1 to 10000",
        ],
    );
    check(
        "registries: 3\n",
        &[
            "E policy.yaml:1:13: `registries` is a mapping such as `{\"registry.example.com\": {kind: artifactory}}`; \
           this is the text `3`",
        ],
    );
    check(
        "registries:\n  r.io: {mount: true}\n  r.io: {mount: false}\n",
        &["E policy.yaml:3:3: the registry `r.io` is here twice; keep one"],
    );
}

#[test]
fn the_pattern_that_says_most_of_a_registry_counts() {
    let policy = policy(
        "registries:\n  \"*\": {pageSize: 1}\n  \"*.example.com\": {pageSize: 2}\n  \"*.corp.example.com\": \
         {pageSize: 3}\n  r.example.com: {pageSize: 4, chunks: 8MiB, referrers: tags}\n",
    );
    let page = |registry: &str| {
        policy.rules_for(&registry.parse().expect("a registry")).and_then(|rules| rules.page_size)
    };
    assert_eq!(page("quay.io"), Some(1));
    assert_eq!(page("s.example.com"), Some(2));
    assert_eq!(page("s.corp.example.com"), Some(3));
    assert_eq!(page("r.example.com"), Some(4));
    let rules = policy.rules_for(&"r.example.com".parse().expect("a registry")).expect("rules");
    assert_eq!(rules.chunks, Some(ChunkRule::AtMost(8 * 1024 * 1024)));
    assert_eq!(rules.referrers, Some(ReferrersRule::Tags));
    assert_eq!(policy.digest(), None, "what is at the target does not depend on it");
}

/// Who asks does not change what is decided to be at the target.
#[test]
fn how_to_log_in_is_no_part_of_the_digest() {
    let rules = "mutableTags: [\"a:b\"]\n";
    let with = policy(&format!("{rules}auth: {{ghcr.io: github}}\n"));
    assert_eq!(with.digest(), policy(rules).digest());
    assert_eq!(with.auth().rules().len(), 1);
    assert_eq!(policy("auth: {ghcr.io: github}").digest(), None);
    check(
        "auth: {ghcr.io: githup}\nmutableTags: [a]\n",
        &[
            "E policy.yaml:1:17: this is none of the providers `docker`, `anonymous`, `basic`, `dockerhub`, `github`, \
           `gcp`, `aws`, `azure`; did you mean `github`?",
            "E policy.yaml:2:15: the pattern `a` is not usable: it names no tag; write `a:latest`, or `a:*` for all its \
           tags",
        ],
    );
}
