//! What is known of registries beforehand, by their names, where their answers alone do not tell it.

use crate::oci::Registry;

/// Whether a registry takes a blob in several requests (distribution-spec, "Pushing a blob in chunks").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunks {
    /// It is known to get them wrong.
    Never,
    /// It takes them.
    Allowed {
        /// The most bytes of a chunk, where that is known.
        at_most: Option<u64>,
    },
}

/// What is known of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Whether it takes a blob in several requests.
    pub chunks: Chunks,
}

impl Profile {
    /// What is known of a registry by its name.
    ///
    /// One that nobody knows is given chunks, since that cannot harm: they are only used where one request does
    /// not do, go on only where the registry itself says to stand, and end with a digest that it checks. Tried:
    /// docker-registry 2.8 and zot 1.4 forget an upload whose request broke, so that it starts anew; olareg and our
    /// own `serve` go on. All four take whole chunks.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let host = registry.as_str();
        let host = host.split(':').next().unwrap_or_default();
        // GHCR refuses chunks that are not small, ECR forgets all but the first one.
        let ecr = host == "public.ecr.aws" || (host.contains(".dkr.ecr") && host.contains(".amazonaws.com"));
        let chunks = if host == "ghcr.io" || ecr { Chunks::Never } else { Chunks::Allowed { at_most: None } };
        Self { chunks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_get_chunks_wrong_are_known() {
        let chunks = |host: &str| Profile::of(&host.parse().expect("a registry")).chunks;
        for host in ["ghcr.io", "public.ecr.aws", "123456789012.dkr.ecr.eu-central-1.amazonaws.com"] {
            assert_eq!(chunks(host), Chunks::Never, "{host}");
        }
        for host in ["docker.io", "127.0.0.1:5000", "registry.example.com"] {
            assert_eq!(chunks(host), Chunks::Allowed { at_most: None }, "{host}");
        }
    }
}
