//! References: `[registry/]repository[:tag][@digest]` (OCI distribution-spec, "Pulling manifests", with
//! the defaults of Docker's reference grammar).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Digest, DigestError};

/// The registry of a name that has none.
pub const DEFAULT_REGISTRY: &str = "docker.io";

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

text_type! {
    /// A registry's host, with its port if it has one: `quay.io`, `127.0.0.1:5000`, `[::1]:5000`.
    Registry
}
text_type! {
    /// A repository's name within its registry, at most 255 characters: `library/busybox`.
    Repository
}
text_type! {
    /// A tag, at most 128 characters.
    Tag
}

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("the reference is empty")]
    Empty,
    /// The registry is no host with an optional port.
    #[error("`{0}` is not a registry; write it as host or host:port")]
    Registry(String),
    /// The repository has a character or a form that the specification does not allow.
    #[error(
        "`{0}` is not a repository name: it has lower-case letters and digits, parted by `/`, `.`, `_`, `__` or `-`"
    )]
    Repository(String),
    /// Registry and repository are longer than 255 characters.
    #[error("the repository name has {0} characters; 255 are the most")]
    TooLong(usize),
    /// The tag has a character or a form that the specification does not allow.
    #[error(
        "`{0}` is not a tag: it has at most 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` or `-`"
    )]
    Tag(String),
    /// The part after `@` is not a digest.
    #[error("after `@`: {0}")]
    Digest(#[from] DigestError),
}

impl FromStr for Registry {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = || ReferenceError::Registry(shown(text));
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or_else(error)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| error())?;
            ("v6", rest)
        } else {
            text.find(':').map_or((text, ""), |colon| text.split_at(colon))
        };
        if !port.is_empty() {
            let number = port.strip_prefix(':').ok_or_else(error)?;
            let digits = number.chars().all(|c| c.is_ascii_digit());
            if !digits || number.parse::<u16>().is_err() {
                return Err(error());
            }
        }
        let good_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if text.len() > 255 || !host.split('.').all(good_label) {
            return Err(error());
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl Registry {
    /// Whether the host is this machine: `localhost`, `*.localhost`, `127.0.0.0/8` or `[::1]`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        if let Some(address) = self.0.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            return address.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
        }
        let host = self.0.split(':').next().unwrap_or_default();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > 255 {
            return Err(ReferenceError::TooLong(text.len()));
        }
        if text.is_empty() || !text.split('/').all(good_component) {
            return Err(ReferenceError::Repository(shown(text)));
        }
        Ok(Self(text.into()))
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, the specification's path component.
fn good_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separator = String::new();
    let mut after_word = false;
    for c in component.chars() {
        if alphanumeric(c) {
            let good = separator.is_empty()
                || (after_word
                    && (matches!(separator.as_str(), "." | "_" | "__")
                        || separator.chars().all(|c| c == '-')));
            if !good {
                return false;
            }
            separator.clear();
            after_word = true;
        } else if matches!(c, '.' | '_' | '-') {
            separator.push(c);
        } else {
            return false;
        }
    }
    after_word && separator.is_empty()
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let good = text.len() <= 128
            && text.chars().next().is_some_and(word)
            && text.chars().all(|c| word(c) || c == '.' || c == '-');
        if good { Ok(Self(text.into())) } else { Err(ReferenceError::Tag(shown(text))) }
    }
}

impl Tag {
    /// The tag under which the referrers of `digest` are indexed where a registry has no referrers API
    /// (distribution-spec, "Referrers Tag Schema"): of a longer digest, its first 64 digits.
    #[must_use]
    pub fn referrers_fallback(digest: &Digest) -> Self {
        let mut hex = digest.hex();
        hex.truncate(64);
        Self(format!("{}-{hex}", digest.algorithm()).into())
    }

    /// cosign's tag for what belongs to `digest`: `sha256-HEX` and a suffix such as `.sig`. `None` if it
    /// is longer than a tag can be, as it is for SHA-512.
    #[must_use]
    pub fn cosign(digest: &Digest, suffix: &str) -> Option<Self> {
        format!("{}-{}{suffix}", digest.algorithm(), digest.hex()).parse().ok()
    }

    /// `latest`.
    #[must_use]
    pub fn latest() -> Self {
        Self("latest".into())
    }
}

/// What a manifest is asked for by: its tag or its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ManifestRef {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

impl ManifestRef {
    /// The tag, if this is one.
    #[must_use]
    pub const fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Digest(_) => None,
        }
    }

    /// The digest, if this is one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
        }
    }
}

impl From<Tag> for ManifestRef {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for ManifestRef {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl FromStr for ManifestRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl fmt::Display for ManifestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A whole reference. Tag and digest can both be there: then the digest decides and the tag is a name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The registry; `docker.io` where the text names none.
    pub registry: Registry,
    /// The repository; on `docker.io` a name without `/` has got its `library/`.
    pub repository: Repository,
    /// The tag, if there is one.
    pub tag: Option<Tag>,
    /// The digest, if there is one.
    pub digest: Option<Digest>,
}

impl Reference {
    /// What to ask the registry for: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn manifest_ref(&self) -> ManifestRef {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => ManifestRef::Digest(digest.clone()),
            (None, Some(tag)) => ManifestRef::Tag(tag.clone()),
            (None, None) => ManifestRef::Tag(Tag::latest()),
        }
    }
}

/// Parts a name at its first `/`, if what stands before is a registry: it has a `.` or a `:`, or is
/// `localhost`, or has a capital letter, which no repository has.
#[must_use]
pub fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(|c| c.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (registry, rest) = split_registry(name);
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag.parse::<Tag>()?)),
            None => (rest, None),
        };
        let registry: Registry = match registry {
            None | Some("index.docker.io" | "registry-1.docker.io") => DEFAULT_REGISTRY.parse()?,
            Some(registry) => registry.parse()?,
        };
        let repository = if registry.as_str() == DEFAULT_REGISTRY && !path.contains('/') {
            path.parse::<Repository>().and_then(|path| format!("library/{path}").parse())?
        } else {
            path.parse()?
        };
        Ok(Self { registry, repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parsed(text: &str) -> String {
        text.parse::<Reference>().map_or_else(|error| error.to_string(), |reference| reference.to_string())
    }

    #[test]
    fn names_get_dockers_defaults() {
        assert_eq!(parsed("busybox"), "docker.io/library/busybox");
        assert_eq!(parsed("org/app:1"), "docker.io/org/app:1");
        assert_eq!(parsed("index.docker.io/busybox:1"), "docker.io/library/busybox:1");
        assert_eq!(parsed("quay.io/app:1"), "quay.io/app:1");
        assert_eq!(parsed("localhost/app"), "localhost/app");
        assert_eq!(parsed("127.0.0.1:5000/a/b:v1"), "127.0.0.1:5000/a/b:v1");
        assert_eq!(parsed("[::1]:5000/a/b"), "[::1]:5000/a/b");
        assert_eq!(parsed(&format!("ghcr.io/a/b:1@{DIGEST}")), format!("ghcr.io/a/b:1@{DIGEST}"));
    }

    #[test]
    fn what_is_not_a_reference_is_named() {
        assert!(parsed("").contains("empty"));
        assert!(parsed("a/B:1").contains("repository name"));
        assert!(parsed("a//b").contains("repository name"));
        assert!(parsed("a/b_.c").contains("repository name"));
        assert!(parsed("a/b:-x").contains("is not a tag"));
        assert!(parsed("quay.io:x/a/b").contains("is not a registry"));
        assert!(parsed("a/b@sha256:12").contains("64 hex digits"));
    }

    #[test]
    fn tags_of_companions_fit() {
        let sha256 = Digest::sha256(b"");
        let sha512: Digest = format!("sha512:{}", "ab".repeat(64)).parse().expect("a digest");
        let fallback = |digest: &Digest| Tag::referrers_fallback(digest).to_string();
        assert_eq!(fallback(&sha256), format!("sha256-{}", sha256.hex()));
        assert_eq!(fallback(&sha512), format!("sha512-{}", "ab".repeat(32)));
        assert_eq!(Tag::cosign(&sha256, ".sbom").map(|tag| tag.as_str().len()), Some(76));
        assert_eq!(Tag::cosign(&sha512, ".sig"), None);
    }

    #[test]
    fn loopback_hosts_are_known() {
        for (text, loopback) in [
            ("localhost:5000", true),
            ("127.1.2.3", true),
            ("[::1]:80", true),
            ("quay.io", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<Registry>().expect("a registry").is_loopback(), loopback, "{text}");
        }
    }
}
