//! Where an image goes: prefix + repository + `:` + tag.
//!
//! Users of kyma's image-syncer have these names in their charts and manifests. They must not change.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::oci::{DEFAULT_REGISTRY, ReferenceError, Registry, Repository, Tag, split_registry};

/// What all targets of a run have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPrefix {
    /// `registry/path/`: repositories below a path of a registry.
    Registry {
        /// The registry.
        registry: Registry,
        /// The path below it: empty, or ending in `/`.
        path: String,
    },
    /// `oci:DIR/`: an OCI image layout folder.
    Layout {
        /// The folder.
        folder: PathBuf,
    },
}

/// The name of an image at the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// What stands before the repository in the full name: `registry/` or `oci:DIR/`.
    pub root: Arc<str>,
    /// The repository at the target, the prefix's path included.
    pub repository: Repository,
    /// The tag at the target.
    pub tag: Tag,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", self.root, self.repository, self.tag)
    }
}

/// Why a text is no target prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// There is nothing.
    #[error("the target prefix is empty; write it as `registry.example.com/path/` or `oci:DIR/`")]
    Empty,
    /// There is no `/` at the end.
    #[error("the target prefix `{0}` does not end with `/`; write it as `{0}/`")]
    NoSlash(String),
    /// It is an address with a scheme.
    #[error("the target prefix `{0}` has a scheme; write it as `{1}`")]
    Scheme(String, String),
    /// What stands before the first `/` is a path, not a host.
    #[error(
        "the target prefix `{0}` does not begin with a registry; write it as `registry.example.com/{0}`, or \
         `docker.io/{0}` for Docker Hub"
    )]
    NoRegistry(String),
    /// The registry or the path is none.
    #[error("the target prefix `{0}` is not usable: {1}")]
    Name(String, ReferenceError),
    /// `oci:` without a folder.
    #[error("the target prefix `{0}` names no folder; write it as `oci:DIR/`")]
    NoFolder(String),
}

impl FromStr for TargetPrefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let shown = || shown(text);
        if text.trim().is_empty() {
            return Err(PrefixError::Empty);
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(PrefixError::Scheme(shown(), format!("{}/", rest.trim_end_matches('/'))));
        }
        if matches!(text, "oci:" | "oci:/") {
            return Err(PrefixError::NoFolder(shown()));
        }
        let Some(name) = text.strip_suffix('/') else {
            return Err(PrefixError::NoSlash(shown()));
        };
        if let Some(folder) = name.strip_prefix("oci:") {
            return Ok(Self::Layout { folder: folder.into() });
        }
        let (Some(registry), path) = split_registry(text) else {
            return Err(PrefixError::NoRegistry(shown()));
        };
        // A capital letter alone makes a registry of it for references. Here it would hide a path.
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(PrefixError::NoRegistry(shown()));
        }
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
            registry => registry,
        };
        let registry = registry.parse().map_err(|error| PrefixError::Name(shown(), error))?;
        if let Some(path) = path.strip_suffix('/') {
            path.parse::<Repository>().map_err(|error| PrefixError::Name(shown(), error))?;
        }
        Ok(Self::Registry { registry, path: path.to_owned() })
    }
}

impl TargetPrefix {
    /// What stands before the repository in a full name: `registry/` or `oci:DIR/`.
    #[must_use]
    pub fn root(&self) -> Arc<str> {
        match self {
            Self::Registry { registry, .. } => format!("{registry}/").into(),
            Self::Layout { folder } => format!("oci:{}/", folder.display()).into(),
        }
    }

    /// The target of an image whose repository below the prefix is `repository`.
    ///
    /// # Errors
    /// The path and the repository together are longer than 255 characters.
    pub fn target(&self, repository: &Repository, tag: Tag) -> Result<Target, ReferenceError> {
        let repository = match self {
            Self::Registry { path, .. } => format!("{path}{repository}").parse()?,
            Self::Layout { .. } => repository.clone(),
        };
        Ok(Target { root: self.root(), repository, tag })
    }

    /// A target's repository below the prefix.
    #[must_use]
    pub fn below<'a>(&self, target: &'a Target) -> &'a str {
        let repository = target.repository.as_str();
        match self {
            Self::Registry { path, .. } => repository.strip_prefix(path.as_str()).unwrap_or(repository),
            Self::Layout { .. } => repository,
        }
    }
}

impl fmt::Display for TargetPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root())?;
        match self {
            Self::Registry { path, .. } => f.write_str(path),
            Self::Layout { .. } => Ok(()),
        }
    }
}

/// The repository below the prefix of an image whose name, without tag and digest, is `name`.
///
/// A registry that the name has stays in the path, with the `:` of its port written `_`. A name without a
/// registry and without `/` gets `library/`. Nothing else is normalised: what was written is what users see.
pub(super) fn derived_repository(name: &str) -> Result<Repository, ReferenceError> {
    match split_registry(name) {
        (Some(registry), path) => {
            format!("{}/{path}", registry.to_ascii_lowercase().replace(':', "_")).parse()
        }
        (None, path) if path.contains('/') => path.parse(),
        (None, name) => name.parse::<Repository>().and_then(|name| format!("library/{name}").parse()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> String {
        text.parse::<TargetPrefix>()
            .map_or_else(|error| format!("error: {error}"), |prefix| prefix.to_string())
    }

    fn target(prefix: &str, name: &str, tag: &str) -> String {
        let prefix: TargetPrefix = prefix.parse().expect("a prefix");
        derived_repository(name)
            .and_then(|repository| prefix.target(&repository, tag.parse()?))
            .map_or_else(|error| format!("error: {error}"), |target| target.to_string())
    }

    #[test]
    fn the_rules_of_target_names() {
        for (name, expected) in [
            ("alpine", "r.example/m/library/alpine:1"),
            ("org/app", "r.example/m/org/app:1"),
            ("a/b/c", "r.example/m/a/b/c:1"),
            ("quay.io/x/y", "r.example/m/quay.io/x/y:1"),
            ("quay.io/y", "r.example/m/quay.io/y:1"),
            ("docker.io/library/alpine", "r.example/m/docker.io/library/alpine:1"),
            ("docker.io/alpine", "r.example/m/docker.io/alpine:1"),
            ("localhost/x", "r.example/m/localhost/x:1"),
            ("127.0.0.1:5000/a/b", "r.example/m/127.0.0.1_5000/a/b:1"),
            ("Quay.IO/a/b", "r.example/m/quay.io/a/b:1"),
        ] {
            assert_eq!(target("r.example/m/", name, "1"), expected);
        }
        assert_eq!(target("r.example/", "alpine", "1"), "r.example/library/alpine:1");
        assert_eq!(target("localhost:5000/m/n/", "alpine", "1"), "localhost:5000/m/n/library/alpine:1");
        assert_eq!(target("oci:out/", "quay.io/x/y", "v1"), "oci:out/quay.io/x/y:v1");
        assert!(target("r.example/", "[::1]:5000/a", "1").starts_with("error: "));
        assert!(target("r.example/", &"a".repeat(250), "1").contains("255 are the most"));
    }

    #[test]
    fn a_prefix_is_a_registry_path_or_a_folder() {
        for good in [
            "r.example/",
            "r.example/a/b/",
            "localhost/",
            "localhost:5000/x/",
            "[::1]:5000/x/",
            "oci:out/",
            "oci:/tmp/x/",
            "oci:./",
        ] {
            assert_eq!(prefix(good), good);
        }
        assert_eq!(prefix("index.docker.io/org/"), "docker.io/org/");
        for (text, expected) in [
            ("", "the target prefix is empty; write it as `registry.example.com/path/` or `oci:DIR/`"),
            (
                "r.example/a",
                "the target prefix `r.example/a` does not end with `/`; write it as `r.example/a/`",
            ),
            ("oci:out", "the target prefix `oci:out` does not end with `/`; write it as `oci:out/`"),
            (
                "https://r.example/a",
                "the target prefix `https://r.example/a` has a scheme; write it as `r.example/a/`",
            ),
            (
                "mirror/",
                "the target prefix `mirror/` does not begin with a registry; write it as \
                 `registry.example.com/mirror/`, or `docker.io/mirror/` for Docker Hub",
            ),
            ("oci:", "the target prefix `oci:` names no folder; write it as `oci:DIR/`"),
            ("oci:/", "the target prefix `oci:/` names no folder; write it as `oci:DIR/`"),
        ] {
            assert_eq!(prefix(text), format!("error: {expected}"));
        }
        for bad in ["A/", "r.example//", "r.example/A/", "r.example/a//", "r_example.x/a/", "r.example/a b/"]
        {
            assert!(prefix(bad).starts_with("error: "), "{bad}: {}", prefix(bad));
        }
    }

    const COMPONENT: &str = "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}";

    prop_compose! {
        fn path()(parts in prop::collection::vec(COMPONENT, 1..4)) -> String {
            parts.join("/")
        }
    }

    prop_compose! {
        fn host()(name in "[a-z0-9]{1,8}(-[a-z0-9]{1,4})?\\.[a-z]{2,5}", port in prop::option::of(1_u16..)) -> String {
            port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"))
        }
    }

    proptest! {
        /// An explicit registry and the whole path can be read from the target's name again.
        #[test]
        fn a_registry_stays_in_the_path(host in host(), path in path(), tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,30}") {
            let expected = format!("r.example/m/{}/{path}:{tag}", host.replace(':', "_"));
            prop_assert_eq!(target("r.example/m/", &format!("{host}/{path}"), &tag), expected);
        }

        /// A name without a registry is kept as it is, or gets `library/`; it never becomes another one's.
        #[test]
        fn a_plain_name_is_kept(path in path()) {
            prop_assume!(split_registry(&path).0.is_none());
            let repository = derived_repository(&path).expect("a repository").to_string();
            let expected = if path.contains('/') { path } else { format!("library/{path}") };
            prop_assert_eq!(repository, expected);
        }

        /// The prefix is never normalised away, and whatever stands below it cannot leave it.
        #[test]
        fn a_target_stays_below_its_prefix(host in host(), below in prop::option::of(path()), name in "\\PC{0,40}") {
            let prefix = below.map_or_else(|| format!("{host}/"), |below| format!("{host}/{below}/"));
            let parsed: TargetPrefix = prefix.parse().expect("a prefix");
            prop_assert_eq!(parsed.to_string(), prefix.as_str());
            if let Ok(repository) = derived_repository(&name) {
                let target = parsed.target(&repository, Tag::latest()).expect("short").to_string();
                prop_assert!(target.starts_with(&prefix), "{}", target);
                prop_assert!(!target.contains("/../") && !target.contains("//"), "{}", target);
            }
        }

        /// Nothing that anybody writes makes the parser panic, and what it accepts it also writes.
        #[test]
        fn any_text_is_a_prefix_or_an_error(text in "\\PC{0,40}/?") {
            if let Ok(prefix) = text.parse::<TargetPrefix>() {
                prop_assert_eq!(prefix.to_string().parse::<TargetPrefix>(), Ok(prefix));
            }
        }
    }
}
