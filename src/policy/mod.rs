//! The operator's policy: what may be mirrored, and which tags may move.
//!
//! `image-syncer-policy.yaml` is read as the list is, with all its faults at once, each with its line and
//! column. The answers are given here ([`Policy::allows`], [`Policy::lets_move`], …); what follows from
//! them is for the plan to decide. A run without a policy has an empty one: every source is allowed, no
//! platform is required, no tag moves.
//!
//! # Patterns
//!
//! A pattern is compared with a whole name, from its beginning to its end, component by component. A
//! component is what stands between two `/`. In it, `*` stands for any characters, also none, but never
//! for a `/`. `**` stands alone in its component and for any number of components: at least one at the
//! end of a pattern, any number, also none, elsewhere. All other characters stand for themselves.

mod auth;
mod explain;
mod file;
mod limits;
mod pattern;
mod registries;
mod schema;
mod signatures;

use std::fmt;
use std::path::Path;

use serde_json::json;

use crate::config::{Diagnostic, Faults, Location, StatedPrefix};
use crate::oci::{Digest, Platform, Reference, Registry};
use crate::verify::Signer;
use pattern::{RegistryPattern, SourcePattern, TagPattern};

pub use auth::{Auth, AuthRule, load_auth};
pub use explain::{Allowance, Explanation};
pub use limits::Limits;
pub use registries::{ChunkRule, KINDS, ReferrersRule, RegistryRules};
pub use schema::POLICY_SCHEMA;
pub use signatures::{Ruling, SignatureRule, Unsigned};

/// What the operator asks for, validated. The default asks for nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    prefix: Option<StatedPrefix>,
    allowed_sources: Option<Rule<SourcePattern>>,
    required_platforms: Option<Rule<Platform>>,
    mutable_tags: Option<Rule<TagPattern>>,
    limits: Option<Limits>,
    signatures: Vec<SignatureRule>,
    registries: Vec<(RegistryPattern, RegistryRules)>,
    auth: Auth,
    warnings: Vec<Diagnostic>,
}

/// The values of a key, at least one, and where they are stated.
#[derive(Debug, Clone)]
struct Rule<T> {
    location: Location,
    values: Vec<T>,
}

/// Reads a policy from a file of at most 5 MiB, and the keys that it names from the files beside it.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path) -> Result<Policy, Faults> {
    file::read(path)
}

/// Reads a policy from a text; messages call it `name`. Keys have to stand in the text itself: no file is read.
///
/// # Errors
/// All that is wrong with it.
pub fn load(name: &str, text: &str) -> Result<Policy, Faults> {
    file::load(name, text, signatures::KeyFiles::Nowhere)
}

impl Policy {
    /// The target prefix, which is stronger than any other, if one is stated.
    #[must_use]
    pub const fn prefix(&self) -> Option<&StatedPrefix> {
        self.prefix.as_ref()
    }

    /// How to log in where: `auth`.
    #[must_use]
    pub const fn auth(&self) -> &Auth {
        &self.auth
    }

    /// What is not wrong but deserves a word: patterns and platforms that are there twice.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Whether an image may be mirrored from where it is: `allowedSources`.
    ///
    /// The patterns are compared with `registry/repository` as a full reference has them, so with
    /// `docker.io/library/alpine` where a list says `alpine`.
    ///
    /// # Errors
    /// It may not, and why; nobody has to ask its registry for it.
    pub fn allows(&self, source: &Reference) -> Result<(), Refusal> {
        let Some(rule) = &self.allowed_sources else { return Ok(()) };
        let name = name_of(source);
        if rule.values.iter().any(|pattern| pattern.matches(&name)) {
            return Ok(());
        }
        let near = name.rsplit_once('/').map_or(name.as_str(), |(above, _)| above);
        let more = if near.contains('/') { format!(" or `{near}/*`") } else { String::new() };
        Err(Refusal(format!(
            "no pattern of `allowedSources` ({}) names it; add `{name}`{more} there, or take the image off the list",
            rule.location
        )))
    }

    /// Whether images have to be for certain platforms, so that it matters what they are for.
    #[must_use]
    pub const fn requires_platforms(&self) -> bool {
        self.required_platforms.is_some()
    }

    /// Whether an image that is for these platforms is for all that are required: `requirePlatforms`.
    ///
    /// `selected` says that the list has it made smaller, so that the entry and not the image may lack one.
    ///
    /// # Errors
    /// It is not, and which it lacks.
    pub fn accepts_platforms(&self, available: &[Platform], selected: bool) -> Result<(), Refusal> {
        let Some(rule) = &self.required_platforms else { return Ok(()) };
        let lacks = |wanted: &&Platform| !available.iter().any(|platform| platform.satisfies(wanted));
        let missing: Vec<&Platform> = rule.values.iter().filter(lacks).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let has = if available.is_empty() { "none that is known".to_owned() } else { joined(available) };
        let advice = if selected {
            "name it in the entry's `platforms` too, if the source has it"
        } else {
            "mirror a version that has it, or take the image off the list"
        };
        Err(Refusal(format!(
            "`requirePlatforms` ({}) asks for {}, and the image is for {has}; {advice}",
            rule.location,
            joined(missing)
        )))
    }

    /// Whether a tag at the target may move: `mutableTags`. `repository` is the part below the prefix.
    ///
    /// A tag that belongs to a digest, as cosign's and the referrers' do, is never one: such a tag can only
    /// grow, whatever a pattern says.
    #[must_use]
    pub fn lets_move(&self, repository: &str, tag: &str) -> bool {
        let patterns = self.mutable_tags.iter().flat_map(|rule| &rule.values);
        !pattern::belongs_to_a_digest(tag)
            && patterns.into_iter().any(|pattern| pattern.matches(repository, tag))
    }

    /// Whether so many bytes may be copied for one image, the largest of its blobs having `largest`: `limits`.
    ///
    /// # Errors
    /// They may not, and why.
    pub fn accepts_size(&self, image: u64, largest: u64) -> Result<(), Refusal> {
        self.limits.as_ref().map_or(Ok(()), |limits| limits.accept(image, largest))
    }

    /// The rule of signatures that holds for a source: `signatures`. Of all whose patterns name it, the one that names
    /// it most closely: the registry in full, then the most of it, then the same of the repository.
    #[must_use]
    pub fn signatures_of(&self, source: &Reference) -> Option<Ruling<'_>> {
        signatures::rulings(&self.signatures, &name_of(source)).into_iter().next()
    }

    /// Whether it matters who vouches for identities and logs: whether a rule names an identity or asks for a log.
    #[must_use]
    pub fn needs_trust_root(&self) -> bool {
        let wanted = self.signatures.iter().filter_map(|rule| rule.wanted.as_ref());
        let is_identity = |signer: &Signer| matches!(signer, Signer::Identity(_));
        wanted.into_iter().any(|rule| rule.log || rule.signers.iter().any(is_identity))
    }

    /// What is stated of a registry: `registries`. Of all patterns that name it, the one that says most counts:
    /// a name before any pattern, then the one with the most characters besides `*`.
    #[must_use]
    pub fn rules_for(&self, registry: &Registry) -> Option<&RegistryRules> {
        let naming = self.registries.iter().filter(|(pattern, _)| pattern.matches(registry));
        naming.max_by_key(|(pattern, _)| pattern.weight()).map(|(_, rules)| rules)
    }

    /// SHA-256 of the canonical JSON (RFC 8785) of the rules, each list in the order of its texts: comments,
    /// the order of keys and of patterns, and what is there twice make no difference. `registries` and `auth` are
    /// left out: how images get to the target, and who asks, does not change what is decided to be there. `None` if
    /// there is no other rule.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let mut document = serde_json::Map::new();
        if let Some(stated) = &self.prefix {
            document.insert("targetRepoPrefix".to_owned(), json!(stated.prefix.to_string()));
        }
        let lists = [
            ("allowedSources", self.allowed_sources.as_ref().map(Rule::texts)),
            ("requirePlatforms", self.required_platforms.as_ref().map(Rule::texts)),
            ("mutableTags", self.mutable_tags.as_ref().map(Rule::texts)),
        ];
        for (key, texts) in lists {
            if let Some(texts) = texts {
                document.insert(key.to_owned(), json!(texts));
            }
        }
        if let Some(limits) = &self.limits {
            // As texts: the canonical form of large numbers is another one than theirs.
            let sizes = [limits.image_size, limits.layer_size].map(|size| size.map(|size| size.to_string()));
            document.insert("limits".to_owned(), json!({ "imageSize": sizes[0], "layerSize": sizes[1] }));
        }
        if !self.signatures.is_empty() {
            // In their order, which decides between patterns that name a source equally closely.
            let rules: Vec<_> = self.signatures.iter().map(SignatureRule::canonical).collect();
            document.insert("signatures".to_owned(), json!(rules));
        }
        // Strings, booleans and lists: this always has a canonical form.
        let text = serde_json_canonicalizer::to_vec(&document).unwrap_or_default();
        (!document.is_empty()).then(|| Digest::sha256(&text))
    }
}

impl<T: fmt::Display> Rule<T> {
    /// The values as texts, sorted.
    fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.values.iter().map(ToString::to_string).collect();
        texts.sort_unstable();
        texts
    }
}

/// Why the policy does not allow something: the rule with its place, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// What patterns of sources are compared with.
fn name_of(source: &Reference) -> String {
    format!("{}/{}", source.registry, source.repository)
}

fn joined<'a>(platforms: impl IntoIterator<Item = &'a Platform>) -> String {
    platforms.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
