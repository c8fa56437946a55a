//! What the policy states of registries, as those who speak to them need it.

use crate::oci::Registry;
use crate::policy::{ChunkRule, Policy, ReferrersRule};
use crate::registry::quirks::{Chunks, Kind, Overrides, Referrers};

/// What the policy states of these registries.
pub(super) fn stated<'a>(
    policy: &Policy,
    registries: impl IntoIterator<Item = &'a Registry>,
) -> impl Iterator<Item = (Registry, Overrides)> {
    registries.into_iter().filter_map(|registry| {
        let rules = policy.rules_for(registry)?;
        let overrides = Overrides {
            kind: rules.kind.and_then(Kind::of_word),
            chunks: rules.chunks.map(|rule| match rule {
                ChunkRule::Never => Chunks::Never,
                ChunkRule::Allowed => Chunks::Allowed { at_most: None },
                ChunkRule::AtMost(bytes) => Chunks::Allowed { at_most: Some(bytes) },
            }),
            mount: rules.mount,
            referrers: rules.referrers.map(|rule| match rule {
                ReferrersRule::Probe => Referrers::Probe,
                ReferrersRule::Tags => Referrers::Tags,
            }),
            page_size: rules.page_size,
        };
        Some((registry.clone(), overrides))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{KINDS, load};

    /// The policy knows the kinds by their words only, since it must not know how registries are spoken to.
    #[test]
    fn every_kind_of_a_policy_is_known() {
        for word in KINDS {
            assert_eq!(Kind::of_word(word).map(Kind::word), Some(word));
        }
    }

    #[test]
    fn what_the_policy_states_arrives() {
        let text = "registries: {\"*.example.com\": {kind: nexus, chunks: 8MiB, mount: false, referrers: tags, pageSize: 7}}";
        let policy = load("policy.yaml", text).expect("a policy");
        let (named, other) = ("r.example.com".parse(), "quay.io".parse());
        let registries: [Registry; 2] = [named.expect("a registry"), other.expect("a registry")];
        let found: Vec<_> = stated(&policy, &registries).collect();
        let expected = Overrides {
            kind: Some(Kind::Nexus),
            chunks: Some(Chunks::Allowed { at_most: Some(8 * 1024 * 1024) }),
            mount: Some(false),
            referrers: Some(Referrers::Tags),
            page_size: Some(7),
        };
        assert_eq!(found, [(registries[0].clone(), expected)]);
    }
}
