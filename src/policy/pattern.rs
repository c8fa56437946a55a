//! Patterns of names; their rules stand at the head of the module above.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::oci::{DEFAULT_REGISTRY, ReferenceError, Registry, Repository, Tag};

/// The longest pattern, in characters. No name is longer than a registry, a repository and a tag.
const LONGEST: usize = 700;

/// A pattern of `registry/repository`.
#[derive(Debug, Clone)]
pub(super) struct SourcePattern {
    text: String,
    matcher: GlobMatcher,
}

/// How much a pattern of sources says; the greater, the more.
pub(super) type Strength = (bool, usize, bool, usize);

/// A pattern of `repository:tag`, below the target prefix.
#[derive(Debug, Clone)]
pub(super) struct TagPattern {
    text: String,
    repository: GlobMatcher,
    tag: GlobMatcher,
}

/// A pattern of registries.
#[derive(Debug, Clone)]
pub(super) struct RegistryPattern {
    text: String,
    matcher: GlobMatcher,
}

impl RegistryPattern {
    /// Reads a pattern, or says what is wrong with it and how to write it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        check_text(text)?;
        if let Some((registry, _)) = text.split_once('/') {
            return Err(format!("it names a registry and nothing in it; write `{registry}`"));
        }
        if text.contains("**") {
            return Err(format!("a registry has no components; write `{}`", text.replace("**", "*")));
        }
        if !text.contains(['.', ':', '*']) && text != "localhost" {
            return Err("it is no registry; write its host, such as `registry.example.com`".to_owned());
        }
        check_registry(text, "")?;
        let matcher = matcher(text)?;
        Ok(Self { text: text.to_owned(), matcher })
    }

    /// Whether it names a registry.
    pub(super) fn matches(&self, registry: &Registry) -> bool {
        self.matcher.is_match(registry.as_str())
    }

    /// How much it says: a name, which has no `*`, says more than any pattern, and a pattern the more, the more
    /// characters it states.
    pub(super) fn weight(&self) -> (bool, usize) {
        (!self.text.contains('*'), self.text.chars().filter(|c| *c != '*').count())
    }
}

impl fmt::Display for RegistryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl SourcePattern {
    /// Reads a pattern, or says what is wrong with it and how to write it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        check_text(text)?;
        if let Some((name, _)) = text.split_once('@') {
            return Err(format!("it has a digest, and a source is allowed by its name; write `{name}`"));
        }
        let (registry, path) = text.split_once('/').unwrap_or((text, ""));
        check_registry(registry, path)?;
        let (above, last) = path.rsplit_once('/').map_or(("", path), |(above, last)| (above, last));
        if let Some((name, _)) = last.split_once(':') {
            let above = if above.is_empty() { String::new() } else { format!("{above}/") };
            return Err(format!(
                "it has a tag, and a source is allowed by its name; write `{registry}/{above}{name}`"
            ));
        }
        if path.is_empty() && registry != "**" {
            return Err(format!(
                "it names a registry and no repository; write `{registry}/**` for all of them"
            ));
        }
        if !path.is_empty() {
            check_path(&format!("{registry}/"), path)?;
        }
        if registry == DEFAULT_REGISTRY && !path.contains('/') && path != "**" {
            return Err(format!(
                "names of Docker Hub's own have `library/`; write `{registry}/library/{path}`, or `{registry}/**` \
                 for all of Docker Hub"
            ));
        }
        Ok(Self { text: text.to_owned(), matcher: matcher(text)? })
    }

    /// Whether it names a source, given as `registry/repository`.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }

    /// The more is named, the stronger: the registry in full, then how much of it, then the same of the repository.
    pub(super) fn strength(&self) -> Strength {
        let registry = self.text.split('/').next().unwrap_or_default();
        let path = &self.text[registry.len()..];
        let letters = |text: &str| text.chars().filter(|c| *c != '*').count();
        let is_whole = |text: &str| !text.contains('*');
        (is_whole(registry), letters(registry), is_whole(path), letters(path))
    }
}

impl TagPattern {
    /// Reads a pattern, or says what is wrong with it and how to write it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        check_text(text)?;
        if let Some((name, _)) = text.split_once('@') {
            return Err(format!("it has a digest, and digests never move; write `{name}`"));
        }
        let parts = text.rsplit_once(':').filter(|(_, tag)| !tag.is_empty() && !tag.contains('/'));
        let Some((repository, tag)) = parts else {
            let name = text.trim_end_matches(':').replace(':', "_");
            return Err(format!("it names no tag; write `{name}:latest`, or `{name}:*` for all its tags"));
        };
        if repository.is_empty() {
            return Err(format!("it names no repository; write `**:{tag}` for all of them"));
        }
        if repository.contains(':') {
            let name = repository.replace(':', "_");
            return Err(format!(
                "names below the target prefix write the `:` of a port as `_`; write `{name}:{tag}`"
            ));
        }
        check_path("", repository)?;
        if tag.contains("**") {
            return Err(format!("a tag has no components; write `{repository}:{}`", tag.replace("**", "*")));
        }
        // With its stars as letters, a pattern of tags is a tag.
        let sample = tag.replace('*', "x").parse::<Tag>();
        sample.map_err(|_| ReferenceError::Tag(tag.to_owned()).to_string())?;
        Ok(Self { text: text.to_owned(), repository: matcher(repository)?, tag: matcher(tag)? })
    }

    /// Whether it names a tag of a repository.
    pub(super) fn matches(&self, repository: &str, tag: &str) -> bool {
        self.repository.is_match(repository) && self.tag.is_match(tag)
    }

    /// Whether it names every tag of every repository.
    pub(super) fn is_everything(&self) -> bool {
        self.text == "**:*"
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a tag is one that belongs to a digest: `sha256-HEX`, alone or with a suffix.
pub(super) fn belongs_to_a_digest(tag: &str) -> bool {
    ["sha256-", "sha512-"].iter().any(|start| {
        let hex = tag.strip_prefix(start).map(|rest| rest.split('.').next().unwrap_or_default());
        hex.is_some_and(|hex| hex.len() >= 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty; take it out".to_owned());
    }
    if text.chars().count() > LONGEST {
        return Err(format!("it has more than {LONGEST} characters, which no name has"));
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(format!("it has a scheme; write `{rest}`"));
    }
    let odd = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"/.-_:*@[]".contains(*c));
    if let Some(odd) = odd {
        return Err(format!(
            "it has a {odd:?}, which no name has; `*` within a component and `**` across components are all there is"
        ));
    }
    Ok(())
}

fn check_registry(registry: &str, path: &str) -> Result<(), String> {
    let full =
        |registry: &str| if path.is_empty() { registry.to_owned() } else { format!("{registry}/{path}") };
    if registry == "**" {
        return Ok(());
    }
    if matches!(registry, "index.docker.io" | "registry-1.docker.io") {
        return Err(format!(
            "sources at Docker Hub are `{DEFAULT_REGISTRY}`; write `{}`",
            full(DEFAULT_REGISTRY)
        ));
    }
    if !registry.contains(['.', ':', '*']) && registry != "localhost" {
        let library = if path.is_empty() { "library/" } else { "" };
        return Err(format!(
            "it does not begin with a registry; write `docker.io/{library}{}`",
            full(registry)
        ));
    }
    if registry.contains("**") {
        return Err(alone(&full(registry)));
    }
    if registry.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(format!("names are in lower case; write `{}`", full(&registry.to_ascii_lowercase())));
    }
    // With its stars as letters, and as digits in a port, a pattern of registries is a registry.
    let (host, port) = registry.rsplit_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    let port = port.map_or_else(String::new, |port| format!(":{}", port.replace('*', "1")));
    let sample = format!("{}{port}", host.replace('*', "x")).parse::<Registry>();
    sample.map(drop).map_err(|_| ReferenceError::Registry(registry.to_owned()).to_string())
}

/// Checks the components of a repository's pattern; `lead` stands before it.
fn check_path(lead: &str, path: &str) -> Result<(), String> {
    if let Some(above) = path.strip_suffix('/') {
        return Err(format!("it ends with `/`; write `{lead}{above}/**` for all that is below"));
    }
    if path.split('/').any(str::is_empty) {
        return Err("there is nothing between two `/`, or before the first one".to_owned());
    }
    if path.split('/').any(|component| component != "**" && component.contains("**")) {
        return Err(alone(&format!("{lead}{path}")));
    }
    if path.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(format!("names are in lower case; write `{lead}{}`", path.to_ascii_lowercase()));
    }
    // With its stars as letters, a pattern of repositories is a repository.
    let sample = path.replace('*', "x").parse::<Repository>();
    sample.map(drop).map_err(|_| ReferenceError::Repository(path.to_owned()).to_string())
}

fn alone(text: &str) -> String {
    let stars =
        text.split('/').map(|part| if part == "**" { part.to_owned() } else { part.replace("**", "*") });
    let single = stars.collect::<Vec<_>>().join("/");
    format!("`**` stands alone between two `/`; write `{single}`, or `/**` for all that is below")
}

/// The matcher of a pattern whose characters were checked.
fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    // The brackets of an IPv6 address stand for themselves.
    let pattern = pattern.replace('[', "\u{0}").replace(']', "[]]").replace('\u{0}', "[[]");
    let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(false).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(pattern: &str, good: &[&str], bad: &[&str]) {
        let pattern = SourcePattern::parse(pattern).expect("a pattern");
        for name in good {
            assert!(pattern.matches(name), "{pattern} names {name}");
        }
        for name in bad {
            assert!(!pattern.matches(name), "{pattern} does not name {name}");
        }
    }

    #[test]
    fn a_pattern_names_whole_names_component_by_component() {
        matches(
            "docker.io/library/*",
            &["docker.io/library/alpine", "docker.io/library/a.b"],
            &["docker.io/library/a/b", "docker.io/library", "docker.io/libraryx/a", "xdocker.io/library/a"],
        );
        matches(
            "quay.io/**",
            &["quay.io/a", "quay.io/a/b/c"],
            &["quay.io", "quay.io.evil.example/a", "evil.example/quay.io/a", "quayxio/a"],
        );
        matches(
            "ghcr.io/org/app",
            &["ghcr.io/org/app"],
            &[
                "ghcr.io/org/app/x",
                "ghcr.io/org/app2",
                "ghcr.io/org/ap",
                "ghcr.io/Org/app",
                "x/ghcr.io/org/app",
            ],
        );
        matches("ghcr.io/org/**", &["ghcr.io/org/a"], &["ghcr.io/org", "ghcr.io/organised/a"]);
        matches(
            "r.example/**/app",
            &["r.example/app", "r.example/a/b/app"],
            &["r.example/a/app/b", "r.example/xapp"],
        );
        matches("**", &["docker.io/library/alpine", "r.example:5000/a"], &[]);
        matches(
            "*.example.com/*/app-*",
            &["a.b.example.com/x/app-1", "x.example.com/x/app-"],
            &["x.example.com/app-1"],
        );
        matches("[::1]:5000/a*", &["[::1]:5000/a", "[::1]:5000/ab"], &[":5000/a", "[:1]:5000/a"]);
        matches("localhost:*/**", &["localhost:5000/a"], &["localhost/a", "localhost.example:1/a"]);
    }

    #[test]
    fn a_pattern_of_tags_has_a_repository_and_a_tag() {
        let check = |pattern: &str, repository: &str, tag: &str| {
            TagPattern::parse(pattern).expect("a pattern").matches(repository, tag)
        };
        for (pattern, repository, tag, expected) in [
            ("library/alpine:latest", "library/alpine", "latest", true),
            ("library/alpine:latest", "library/alpine", "latest2", false),
            ("library/alpine:latest", "x/library/alpine", "latest", false),
            ("library/*:3.*", "library/alpine", "3.22", true),
            ("library/*:3.*", "library/alpine", "33", false),
            ("library/*:3.*", "library/a/b", "3.22", false),
            ("**:latest", "a", "latest", true),
            ("**:latest", "quay.io/a/b", "latest", true),
            ("**:latest", "quay.io/a/b", "Latest", false),
            ("quay.io/**:v*-dev", "quay.io/a/b", "v1-dev", true),
            ("quay.io/**:v*-dev", "quay.io", "v1-dev", false),
            ("localhost_5000/a:*", "localhost_5000/a", "x", true),
        ] {
            assert_eq!(check(pattern, repository, tag), expected, "{pattern} {repository} {tag}");
        }
    }

    #[test]
    fn what_is_no_pattern_of_sources_is_said() {
        for (text, expected) in [
            ("alpine", "it does not begin with a registry; write `docker.io/library/alpine`"),
            ("library/*", "it does not begin with a registry; write `docker.io/library/*`"),
            (
                "docker.io/alpine",
                "names of Docker Hub's own have `library/`; write `docker.io/library/alpine`, or `docker.io/**` for \
                 all of Docker Hub",
            ),
            ("index.docker.io/a/b", "sources at Docker Hub are `docker.io`; write `docker.io/a/b`"),
            ("quay.io", "it names a registry and no repository; write `quay.io/**` for all of them"),
            ("quay.io/", "it names a registry and no repository; write `quay.io/**` for all of them"),
            ("quay.io/org/", "it ends with `/`; write `quay.io/org/**` for all that is below"),
            ("quay.io//a", "there is nothing between two `/`, or before the first one"),
            ("quay.io/a:1", "it has a tag, and a source is allowed by its name; write `quay.io/a`"),
            ("quay.io/x/a:1", "it has a tag, and a source is allowed by its name; write `quay.io/x/a`"),
            (
                "quay.io/a@sha256:00",
                "it has a digest, and a source is allowed by its name; write `quay.io/a`",
            ),
            ("https://quay.io/**", "it has a scheme; write `quay.io/**`"),
            ("Quay.io/**", "names are in lower case; write `quay.io/**`"),
            ("quay.io/Org/*", "names are in lower case; write `quay.io/org/*`"),
            (
                "quay.io/org**",
                "`**` stands alone between two `/`; write `quay.io/org*`, or `/**` for all that is below",
            ),
            (
                "q**.io/org",
                "`**` stands alone between two `/`; write `q*.io/org`, or `/**` for all that is below",
            ),
            (
                "quay.io/{a,b}",
                "it has a '{', which no name has; `*` within a component and `**` across components are all there is",
            ),
            (
                "quay.io/[a-c]",
                "`[a-c]` is not a repository name: it has lower-case letters and digits, parted by `/`, `.`, `_`, `__` \
                 or `-`",
            ),
            (
                "quay.io/a*_",
                "`a*_` is not a repository name: it has lower-case letters and digits, parted by `/`, `.`, `_`, `__` \
                 or `-`",
            ),
            ("r.example:x*/a", "`r.example:x*` is not a registry; write it as host or host:port"),
            ("a_b.example/x", "`a_b.example` is not a registry; write it as host or host:port"),
        ] {
            assert_eq!(
                SourcePattern::parse(text).map(|pattern| pattern.to_string()),
                Err(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_of_tags_is_said() {
        for (text, expected) in [
            (
                "library/alpine",
                "it names no tag; write `library/alpine:latest`, or `library/alpine:*` for all its tags",
            ),
            (
                "localhost:5000/a:latest",
                "names below the target prefix write the `:` of a port as `_`; write `localhost_5000/a:latest`",
            ),
            (
                "localhost:5000/a",
                "it names no tag; write `localhost_5000/a:latest`, or `localhost_5000/a:*` for all its tags",
            ),
            ("a:**", "a tag has no components; write `a:*`"),
            (":latest", "it names no repository; write `**:latest` for all of them"),
            ("a:", "it names no tag; write `a:latest`, or `a:*` for all its tags"),
            (
                "a:.*",
                "`.*` is not a tag: it has at most 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` \
                 or `-`",
            ),
            ("a@sha256:00", "it has a digest, and digests never move; write `a`"),
        ] {
            assert_eq!(
                TagPattern::parse(text).map(|pattern| pattern.to_string()),
                Err(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_digests_tags_are_known() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for tag in [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha512-{hex}{hex}.att")] {
            assert!(belongs_to_a_digest(&tag), "{tag}");
        }
        for tag in ["latest", "sha256-abc", &format!("v-sha256-{hex}"), &format!("sha256-{hex}-x")] {
            assert!(!belongs_to_a_digest(tag), "{tag}");
        }
    }
}
