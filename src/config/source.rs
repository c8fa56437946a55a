//! A `source`: the image that an entry names, and the ways in which people get it wrong.

use super::diagnostic::quoted;
use crate::oci::{Digest, DigestError, Reference, ReferenceError, Tag, split_registry};

/// The longest source that is looked at, in bytes: a name, a tag and a SHA-512 digest.
const LONGEST: usize = 600;

/// A source, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The reference, with `latest` where neither tag nor digest was written.
    pub(super) reference: Reference,
    /// The name as it was written, without tag and digest.
    pub(super) name: String,
    /// Whether neither tag nor digest was written.
    pub(super) floats: bool,
}

/// Reads a source; the error is a message that says how to fix it.
pub(super) fn parse(text: &str) -> Result<Source, String> {
    if let Some(mistake) = general_mistake(text) {
        return Err(mistake);
    }
    let name = match text.split_once('@') {
        Some((name, digest)) => {
            if let Err(error) = digest.parse::<Digest>() {
                return Err(digest_mistake(text, name, digest, &error));
            }
            name
        }
        None => text,
    };
    let (name, tag) = parts(name);
    if let Some(mistake) = name_mistake(text, name, tag) {
        return Err(mistake);
    }
    let mut reference: Reference = text.parse().map_err(|error| unusable(text, &error))?;
    let floats = reference.tag.is_none() && reference.digest.is_none();
    if floats {
        if let Some(meant) = version_as_path(name) {
            return Err(format!(
                "{} has no tag, and its last part looks like one; write {}, or add `:latest` if that is its name",
                quoted(text),
                quoted(&meant)
            ));
        }
        reference.tag = Some(Tag::latest());
    }
    Ok(Source { reference, name: name.to_owned(), floats })
}

/// Parts a name without digest into name and tag.
fn parts(name: &str) -> (&str, Option<&str>) {
    let (_, path) = split_registry(name);
    match path.find(':') {
        Some(colon) => {
            let colon = name.len() - path.len() + colon;
            (&name[..colon], Some(&name[colon + 1..]))
        }
        None => (name, None),
    }
}

/// Mistakes that show before a source is taken apart.
fn general_mistake(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("`source` is empty; write an image, for example `alpine:3.22`".to_owned());
    }
    if text.len() > LONGEST {
        return Some(format!("the source {} has {} bytes; {LONGEST} are the most", quoted(text), text.len()));
    }
    if text.contains(char::is_whitespace) {
        return Some(format!("the source {} has a blank in it; take it out", quoted(text)));
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Some(format!("the source {} has a scheme; write {}", quoted(text), quoted(rest)));
    }
    let bare = text.strip_prefix('@').unwrap_or(text);
    let is_bare_digest = ["sha256", "sha512"].iter().any(|algorithm| {
        bare.strip_prefix(algorithm)
            .and_then(|rest| rest.strip_prefix([':', '-', '@']))
            .is_some_and(|digits| digits.len() >= 32 && digits.chars().all(|c| c.is_ascii_hexdigit()))
    });
    if is_bare_digest || text.starts_with('@') {
        return Some(format!(
            "{} is a digest without an image; write the image's name before it: `NAME@{}`",
            quoted(text),
            quoted(bare).trim_matches('`')
        ));
    }
    let (name, rest) = text.split_at(text.find([':', '@']).unwrap_or(text.len()));
    let algorithm = match name.len() {
        64 => "sha256",
        128 => "sha512",
        _ => return None,
    };
    // The docker reference grammar has no such names either: they would be mistaken for digests.
    name.chars().all(|c| c.is_ascii_hexdigit()).then(|| {
        let tag = rest.split('@').next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        format!(
            "{} is a digest without an image; write the image's name before it: `NAME{tag}@{algorithm}:{name}`",
            quoted(text)
        )
    })
}

/// What is wrong with the part after `@`, which is not a digest.
fn digest_mistake(text: &str, name: &str, digest: &str, error: &DigestError) -> String {
    let meant = |digest: &str| quoted_name(&format!("{name}@{digest}"));
    let said = quoted(text);
    let is_digest = |text: &str| text.parse::<Digest>().is_ok();
    if digest.is_empty() {
        return format!("{said} ends with `@`; write the digest after it, or take the `@` out");
    }
    if digest.contains('@') {
        return format!("{said} has more than one `@`; a source is written `NAME:TAG@DIGEST`");
    }
    if let Some((digest, tag)) = digest.rsplit_once(':').filter(|(left, _)| is_digest(left)) {
        return format!(
            "in {said} the tag stands behind the digest; write {}",
            quoted_name(&format!("{name}:{tag}@{digest}"))
        );
    }
    let lower = digest.to_ascii_lowercase();
    if lower != digest && is_digest(&lower) {
        return format!("the digest of {said} has capital letters; write {}", meant(&lower));
    }
    for algorithm in ["sha256", "sha512"] {
        let Some(rest) = lower.strip_prefix(algorithm) else { continue };
        let digits = rest.trim_start_matches(['-', '_', '=', '.', ':']);
        let fixed = format!("{algorithm}:{digits}");
        if rest.len() - digits.len() <= 1 && !rest.starts_with(':') && is_digest(&fixed) {
            return format!(
                "in {said} a `:` belongs between `{algorithm}` and the digits; write {}",
                meant(&fixed)
            );
        }
    }
    if let DigestError::Length { algorithm, expected, found } = error {
        let wrong = if found < expected { "too few" } else { "too many" };
        return format!(
            "the {algorithm} digest of {said} has {found} hex digits, which is {} {wrong}; copy all {expected} of them again",
            found.abs_diff(*expected)
        );
    }
    let is_tag = digest.parse::<Tag>().is_ok();
    if is_tag && !lower.starts_with("sha") {
        let hex = digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit());
        return if hex {
            format!("the digest of {said} lacks its algorithm; write {}", meant(&format!("sha256:{lower}")))
        } else {
            format!(
                "in {said} a `:` belongs before the tag; write {}",
                quoted_name(&format!("{name}:{digest}"))
            )
        };
    }
    format!("what stands after `@` in {said} is no digest: {error}; copy the whole digest again")
}

/// What is wrong with the name or the tag, as far as it can be said better than the grammar does.
fn name_mistake(text: &str, name: &str, tag: Option<&str>) -> Option<String> {
    let said = quoted(text);
    if let Some(tag) = tag {
        if tag.is_empty() {
            return Some(format!("{said} has no tag after the `:`; write one"));
        }
        if tag.starts_with("sha256:") || tag.starts_with("sha512:") {
            let meant = quoted_name(&format!("{name}@{tag}"));
            return Some(format!("in {said} an `@` belongs before the digest; write {meant}"));
        }
        if let Some((tag, digest)) = tag.split_once(":sha").filter(|_| !text.contains('@')) {
            let meant = quoted_name(&format!("{name}:{tag}@sha{digest}"));
            return Some(format!("in {said} an `@` belongs before the digest; write {meant}"));
        }
        if tag.contains(':') {
            return Some(format!(
                "{said} has more than one `:` in its last part; a source is written `NAME:TAG`"
            ));
        }
        if tag.contains('/') {
            return Some(format!("{said} has a `/` after its tag; a source is written `REGISTRY/NAME:TAG`"));
        }
    }
    // A name such as `Bitnami/kubectl` would be read as one of the registry `bitnami`.
    let (registry, path) = split_registry(name);
    let no_host = registry.is_some_and(|registry| !registry.contains(['.', ':']) && registry != "localhost");
    if no_host || path.contains(|c: char| c.is_ascii_uppercase()) {
        let meant = format!("{}{}", name.to_ascii_lowercase(), &text[name.len()..]);
        if meant.parse::<Reference>().is_ok() {
            return Some(format!("the name in {said} has capital letters; write {}", quoted_name(&meant)));
        }
    }
    None
}

fn unusable(text: &str, error: &ReferenceError) -> String {
    format!("the source {} is not usable: {error}", quoted(text))
}

/// The source that was meant where a version stands as the last part of a path.
fn version_as_path(name: &str) -> Option<String> {
    let (path, last) = name.rsplit_once('/')?;
    let digits = last.strip_prefix('v').unwrap_or(last);
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = rest.len() < digits.len();
    let dotted = rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    (number && (dotted || rest.is_empty())).then(|| format!("{path}:{last}"))
}

/// A source that a message proposes: whole, so that it can be copied.
fn quoted_name(name: &str) -> String {
    format!("`{name}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn message(text: &str) -> String {
        match parse(text) {
            Ok(source) if source.floats => format!("floats: {}", source.reference),
            Ok(source) => format!("ok: {}", source.reference),
            Err(message) => message,
        }
    }

    #[test]
    fn good_sources_are_read() {
        for (text, expected) in [
            ("alpine:3.22", "ok: docker.io/library/alpine:3.22".to_owned()),
            ("quay.io/x/y", "floats: quay.io/x/y:latest".to_owned()),
            ("scratch", "floats: docker.io/library/scratch:latest".to_owned()),
            ("rancher/k3s", "floats: docker.io/rancher/k3s:latest".to_owned()),
            ("org/1password", "floats: docker.io/org/1password:latest".to_owned()),
            ("localhost:5000/a/1.2:latest", "ok: localhost:5000/a/1.2:latest".to_owned()),
            (&format!("a/b:1@sha256:{HEX}"), format!("ok: docker.io/a/b:1@sha256:{HEX}")),
            (&format!("r.example:5000/a@sha256:{HEX}"), format!("ok: r.example:5000/a@sha256:{HEX}")),
        ] {
            assert_eq!(message(text), expected);
        }
        let source = parse(&format!("r.example:5000/a/b:v1@sha256:{HEX}")).expect("a source");
        assert_eq!(source.name, "r.example:5000/a/b");
    }

    #[test]
    fn each_mistake_says_how_to_fix_it() {
        let short = &HEX[1..];
        let upper = HEX.to_uppercase();
        for (text, expected) in [
            (String::new(), "`source` is empty; write an image, for example `alpine:3.22`".to_owned()),
            ("al pine:3".into(), "the source `al pine:3` has a blank in it; take it out".into()),
            ("docker://alpine:3".into(), "the source `docker://alpine:3` has a scheme; write `alpine:3`".into()),
            (
                format!("sha256:{HEX}"),
                format!("`sha256:{HEX}` is a digest without an image; write the image's name before it: `NAME@sha256:{HEX}`"),
            ),
            (
                HEX.to_owned(),
                format!("`{HEX}` is a digest without an image; write the image's name before it: `NAME@sha256:{HEX}`"),
            ),
            (
                format!("{upper}:v1"),
                format!("`{upper}:v1` is a digest without an image; write the image's name before it: `NAME:v1@sha256:{HEX}`"),
            ),
            (
                format!("@sha256:{HEX}"),
                format!("`@sha256:{HEX}` is a digest without an image; write the image's name before it: `NAME@sha256:{HEX}`"),
            ),
            (
                format!("a/b@sha256-{HEX}"),
                format!("in `a/b@sha256-{HEX}` a `:` belongs between `sha256` and the digits; write `a/b@sha256:{HEX}`"),
            ),
            (
                format!("a/b@sha256{HEX}"),
                format!("in `a/b@sha256{HEX}` a `:` belongs between `sha256` and the digits; write `a/b@sha256:{HEX}`"),
            ),
            (
                format!("a/b:sha256:{HEX}"),
                format!("in `a/b:sha256:{HEX}` an `@` belongs before the digest; write `a/b@sha256:{HEX}`"),
            ),
            (
                format!("a/b:1:sha256:{HEX}"),
                format!("in `a/b:1:sha256:{HEX}` an `@` belongs before the digest; write `a/b:1@sha256:{HEX}`"),
            ),
            (
                format!("a/b@sha256:{short}"),
                format!("the sha256 digest of `a/b@sha256:{short}` has 63 hex digits, which is 1 too few; copy all 64 of them again"),
            ),
            (
                format!("a/b@sha256:{HEX}0c"),
                format!("the sha256 digest of `a/b@sha256:{HEX}0c` has 66 hex digits, which is 2 too many; copy all 64 of them again"),
            ),
            (
                format!("a/b@SHA256:{upper}"),
                format!("the digest of `a/b@SHA256:{upper}` has capital letters; write `a/b@sha256:{HEX}`"),
            ),
            (
                format!("a/b@{HEX}"),
                format!("the digest of `a/b@{HEX}` lacks its algorithm; write `a/b@sha256:{HEX}`"),
            ),
            (
                format!("a/b@sha256:{HEX}:1"),
                format!("in `a/b@sha256:{HEX}:1` the tag stands behind the digest; write `a/b:1@sha256:{HEX}`"),
            ),
            ("alpine@3.22".into(), "in `alpine@3.22` a `:` belongs before the tag; write `alpine:3.22`".into()),
            ("alpine@".into(), "`alpine@` ends with `@`; write the digest after it, or take the `@` out".into()),
            (
                "alpine@sha256:xyz".into(),
                "what stands after `@` in `alpine@sha256:xyz` is no digest: a digest holds the characters 0-9 and \
                 a-f only; this one has `x`; copy the whole digest again"
                    .into(),
            ),
            (
                format!("a@sha256:{HEX}@sha256:{HEX}"),
                format!("{} has more than one `@`; a source is written `NAME:TAG@DIGEST`", quoted(&format!("a@sha256:{HEX}@sha256:{HEX}"))),
            ),
            ("alpine:".into(), "`alpine:` has no tag after the `:`; write one".into()),
            ("a:1:2".into(), "`a:1:2` has more than one `:` in its last part; a source is written `NAME:TAG`".into()),
            ("Bitnami/kubectl:1".into(), "the name in `Bitnami/kubectl:1` has capital letters; write `bitnami/kubectl:1`".into()),
            ("ghcr.io/Org/App:V1".into(), "the name in `ghcr.io/Org/App:V1` has capital letters; write `ghcr.io/org/app:V1`".into()),
            (
                "golang/1.17.7-alpine3.15".into(),
                "`golang/1.17.7-alpine3.15` has no tag, and its last part looks like one; write \
                 `golang:1.17.7-alpine3.15`, or add `:latest` if that is its name"
                    .into(),
            ),
            (
                "quay.io/x/v2.1".into(),
                "`quay.io/x/v2.1` has no tag, and its last part looks like one; write `quay.io/x:v2.1`, or add \
                 `:latest` if that is its name"
                    .into(),
            ),
            (
                "a//b:1".into(),
                "the source `a//b:1` is not usable: `a//b` is not a repository name: it has lower-case letters and \
                 digits, parted by `/`, `.`, `_`, `__` or `-`"
                    .into(),
            ),
        ] {
            assert_eq!(message(&text), expected);
        }
        assert!(message(&"a".repeat(601)).ends_with("has 601 bytes; 600 are the most"));
    }
}
