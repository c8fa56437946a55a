//! A derived index: an index with only some of its children.
//!
//! Its bytes are a promise: the same choice from the same index gives the same digest for ever. It is
//! the source's JSON with the other entries left out, key order and unknown fields kept, compact.

use serde_json::Value;

use super::{Descriptor, Digest, Manifest, ManifestError, Platform, RawManifest};

/// The annotation by which buildx names the manifest that an attestation is about.
const ATTESTED_DIGEST: &str = "vnd.docker.reference.digest";

/// Why an index with only the wanted platforms could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// The source's document cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The source lacks a wanted platform.
    #[error("the source has no image for {}; it has {}", list(.missing), list(.available))]
    Missing {
        /// What was asked for and is not there.
        missing: Vec<Platform>,
        /// What is there.
        available: Vec<Platform>,
    },
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none".to_owned();
    }
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The index with the children for `wanted`, and with the attestations of those children.
///
/// An index of which all children are kept is returned unchanged, with the source's own digest.
///
/// # Errors
///
/// Fails if the document is no index, or if it lacks one of the wanted platforms.
pub fn derive_index(index: &RawManifest, wanted: &[Platform]) -> Result<RawManifest, DeriveError> {
    let manifest = index.parse()?;
    let children = manifest.children();
    let keep = kept(children, wanted)?;
    if keep.iter().all(|keep| *keep) {
        return Ok(index.clone());
    }
    let malformed = |what: &str| ManifestError::Malformed(what.to_owned());
    let mut document: Value =
        serde_json::from_slice(&index.bytes).map_err(|error| ManifestError::Malformed(error.to_string()))?;
    let entries = document
        .get_mut("manifests")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| malformed("there is no `manifests`"))?;
    let mut keep = keep.into_iter();
    entries.retain(|_| keep.next().unwrap_or(false));
    let bytes = serde_json::to_vec(&document).map_err(|error| ManifestError::Malformed(error.to_string()))?;
    Ok(RawManifest::new(index.media_type.clone(), bytes))
}

fn kept(children: &[Descriptor], wanted: &[Platform]) -> Result<Vec<bool>, DeriveError> {
    let satisfies = |child: &Descriptor, wanted: &Platform| {
        child.platform.as_ref().is_some_and(|platform| platform.satisfies(wanted))
    };
    let missing: Vec<Platform> = wanted
        .iter()
        .filter(|wanted| !children.iter().any(|child| satisfies(child, wanted)))
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(DeriveError::Missing { missing, available: available(children) });
    }
    let chosen: Vec<bool> =
        children.iter().map(|child| wanted.iter().any(|wanted| satisfies(child, wanted))).collect();
    let chosen_digest = |digest: &str| {
        digest.parse::<Digest>().is_ok_and(|digest| {
            children.iter().zip(&chosen).any(|(child, chosen)| *chosen && child.digest == digest)
        })
    };
    Ok(children
        .iter()
        .zip(&chosen)
        .map(|(child, chosen)| {
            *chosen || child.annotations.get(ATTESTED_DIGEST).is_some_and(|digest| chosen_digest(digest))
        })
        .collect())
}

fn available(children: &[Descriptor]) -> Vec<Platform> {
    children
        .iter()
        .filter_map(|child| child.platform.clone())
        .filter(|platform| !platform.is_unknown())
        .collect()
}

impl Manifest {
    /// The platforms of an index's children, attestations left out.
    #[must_use]
    pub fn platforms(&self) -> Vec<Platform> {
        available(self.children())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::MediaType;

    fn index() -> RawManifest {
        let child = |digit: char, rest: &str| {
            format!(
                r#"{{"size": 7, "digest":"sha256:{}","mediaType":"{}",{rest}}}"#,
                digit.to_string().repeat(64),
                MediaType::OCI_MANIFEST
            )
        };
        let text = format!(
            r#"{{ "x-unknown": [1.50, "é"], "schemaVersion": 2, "manifests": [{},{},{},{}], "mediaType":"{}" }}"#,
            child('a', r#""platform":{"os":"linux","architecture":"amd64","x":1}"#),
            child('b', r#""platform":{"architecture":"arm64","os":"linux","variant":"v8"}"#),
            child('c', &attestation('a')),
            child('d', &attestation('b')),
            MediaType::OCI_INDEX
        );
        RawManifest::new(MediaType::OCI_INDEX, text)
    }

    fn attestation(of: char) -> String {
        format!(
            r#""annotations":{{"vnd.docker.reference.digest":"sha256:{}","vnd.docker.reference.type":"attestation-manifest"}},"platform":{{"os":"unknown","architecture":"unknown"}}"#,
            of.to_string().repeat(64)
        )
    }

    fn platforms(list: &[&str]) -> Vec<Platform> {
        list.iter().map(|text| text.parse().expect("a platform")).collect()
    }

    /// The golden digest: a change of it would move what users have mirrored.
    #[test]
    fn the_same_choice_gives_the_same_bytes_for_ever() {
        let derived = derive_index(&index(), &platforms(&["linux/arm64"])).expect("derived");
        let text = std::str::from_utf8(&derived.bytes).expect("text");
        assert!(
            text.starts_with(
                r#"{"x-unknown":[1.50,"é"],"schemaVersion":2,"manifests":[{"size":7,"digest":"sha256:bbbb"#
            ),
            "{text}"
        );
        assert!(!text.contains("aaaa") && !text.contains("cccc") && text.contains("dddd"), "{text}");
        assert!(text.ends_with(&format!(r#"}}],"mediaType":"{}"}}"#, MediaType::OCI_INDEX)), "{text}");
    }

    #[test]
    fn all_platforms_leave_the_index_alone() {
        let derived = derive_index(&index(), &platforms(&["linux/arm64", "linux/amd64"])).expect("derived");
        assert_eq!(derived, index());
    }

    #[test]
    fn a_missing_platform_is_named_with_what_is_there() {
        let error = derive_index(&index(), &platforms(&["linux/s390x"])).expect_err("missing");
        assert_eq!(
            error.to_string(),
            "the source has no image for linux/s390x; it has linux/amd64, linux/arm64/v8"
        );
    }
}
