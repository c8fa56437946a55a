//! What a policy says of one source: the answers that a run would get, with the patterns and places that give them.

use super::signatures::rulings;
use super::{AuthRule, Limits, Policy, RegistryRules, Ruling, name_of};
use crate::config::{Location, StatedPrefix};
use crate::oci::{Platform, Reference};

/// All that a policy says of a source.
#[derive(Debug, Clone)]
pub struct Explanation<'a> {
    /// Whether it may be mirrored.
    pub allowed: Allowance,
    /// Where images go.
    pub prefix: Option<&'a StatedPrefix>,
    /// The pattern of `mutableTags` that names its tag at the target, and where these are stated.
    pub mutable: Option<(String, &'a Location)>,
    /// The platforms that it has to be for, and where that is stated.
    pub platforms: Option<(&'a [Platform], &'a Location)>,
    /// How large it may be.
    pub limits: Option<&'a Limits>,
    /// The rule of signatures that holds, then those that are about it too and name it less closely.
    pub signatures: Vec<Ruling<'a>>,
    /// What is stated of its registry, and by which pattern.
    pub registry: Option<(String, &'a RegistryRules)>,
    /// How to log in there.
    pub auth: Option<&'a AuthRule>,
}

/// Whether a source may be mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowance {
    /// There is no rule.
    Anything,
    /// This pattern names it.
    Named {
        /// The pattern.
        pattern: String,
        /// Where the patterns are stated.
        location: Location,
    },
    /// No pattern names it: why it is refused.
    Refused(String),
}

impl Policy {
    /// What it says of `source`, which is called `tag` in the repository `below` the prefix.
    #[must_use]
    pub fn explain(&self, source: &Reference, below: &str, tag: &str) -> Explanation<'_> {
        let name = name_of(source);
        let allowed = match (self.allows(source), &self.allowed_sources) {
            (Err(refusal), _) => Allowance::Refused(refusal.to_string()),
            (Ok(()), None) => Allowance::Anything,
            (Ok(()), Some(rule)) => {
                let naming = rule.values.iter().filter(|pattern| pattern.matches(&name));
                let pattern = naming.max_by_key(|pattern| pattern.strength()).map(ToString::to_string);
                Allowance::Named { pattern: pattern.unwrap_or_default(), location: rule.location.clone() }
            }
        };
        let mutable = self.mutable_tags.as_ref().filter(|_| self.lets_move(below, tag)).and_then(|rule| {
            let pattern = rule.values.iter().find(|pattern| pattern.matches(below, tag))?;
            Some((pattern.to_string(), &rule.location))
        });
        let naming = self.registries.iter().filter(|(pattern, _)| pattern.matches(&source.registry));
        let registry = naming.max_by_key(|(pattern, _)| pattern.weight());
        Explanation {
            allowed,
            prefix: self.prefix.as_ref(),
            mutable,
            platforms: self.required_platforms.as_ref().map(|rule| (rule.values.as_slice(), &rule.location)),
            limits: self.limits.as_ref(),
            signatures: rulings(&self.signatures, &name),
            registry: registry.map(|(pattern, rules)| (pattern.to_string(), rules)),
            auth: self.auth.rules().iter().find(|rule| rule.matches(&name)),
        }
    }
}
