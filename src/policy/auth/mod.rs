//! `auth`: how to log in where, as a mapping from patterns of registries to providers.
//!
//! It is a key of the policy, and a text of its own (`--auth`). A message never quotes a value: people write
//! passwords where the name of a variable belongs.

mod provider;

use crate::config::diagnostic::{Diagnostics, Place, Reported, quoted};
use crate::config::fields::Keys;
use crate::config::file::FileKind;
use crate::config::yaml::{self, Node, Value};
use crate::config::{Faults, Location};
use crate::login::Provider;
use crate::oci::{DEFAULT_REGISTRY, Registry};

use super::pattern::SourcePattern;

/// Texts of their own, as messages call them.
const TEXT: FileKind =
    FileKind { word: "auth setting", option: "--auth", when_large: "shorten it", when_several: "join them" };

/// The most registries; each request for a credential is compared with all of them.
const MOST_RULES: usize = 200;

/// What to write.
const EXAMPLE: &str = "write a registry and its provider, such as `ghcr.io: github`";

/// How to log in where.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// The strongest first: of those that match, the first counts.
    rules: Vec<AuthRule>,
}

/// A pattern of registries or repositories, and how to log in there.
#[derive(Debug, Clone)]
pub struct AuthRule {
    /// Where it is stated.
    pub location: Location,
    /// Who gives the credential.
    pub provider: Provider,
    registry: String,
    pattern: SourcePattern,
}

/// Reads a text of nothing but registries and providers; messages call it `name`.
///
/// # Errors
/// All that is wrong with it.
pub fn load_auth(name: &str, text: &str) -> Result<Auth, Faults> {
    let mut diagnostics = Diagnostics::new(name);
    let (root, error) = yaml::parse(text, &TEXT);
    let reported = error.map(|error| diagnostics.fault(error.place, error.message));
    let auth = match (root, reported) {
        (Some(root), None) => read(&root, &mut diagnostics),
        (_, Some(reported)) => Err(reported),
        (None, None) => Err(diagnostics.fault(Place::START, format!("it names no registry; {EXAMPLE}"))),
    };
    match auth {
        Ok(auth) if diagnostics.faults.is_empty() => Ok(auth),
        Ok(_) | Err(Reported) => Err(Faults::new(diagnostics.faults)),
    }
}

/// Reads the mapping.
pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Result<Auth, Reported> {
    let pairs = match &*node.value {
        Value::Mapping(pairs) if pairs.len() > MOST_RULES => {
            let message = format!("`auth` has {} registries; {MOST_RULES} are the most", pairs.len());
            return Err(diagnostics.fault(node.place, message));
        }
        Value::Mapping(pairs) if !pairs.is_empty() => pairs,
        Value::Mapping(_) => {
            return Err(diagnostics.fault(node.place, format!("`auth` names no registry; {EXAMPLE}")));
        }
        Value::Scalar { .. } | Value::List(_) => {
            let message = format!("`auth` is a mapping from registries to providers; {EXAMPLE}");
            return Err(diagnostics.fault(node.place, message));
        }
    };
    let mut rules: Vec<AuthRule> = Vec::with_capacity(pairs.len());
    let mut failed = None;
    for (key, value) in pairs {
        match read_rule(key, value, diagnostics) {
            Ok(rule) => match rules.iter().find(|known| known.text() == rule.text()) {
                Some(first) => {
                    let line = first.location.line;
                    let message =
                        format!("{} is here twice, first on line {line}; keep one", quoted(&rule.text()));
                    failed = Some(diagnostics.fault(key.place, message));
                }
                None => rules.push(rule),
            },
            Err(reported) => failed = Some(reported),
        }
    }
    if let Some(second) = rules.iter().filter(|rule| rule.provider.reads_input()).nth(1) {
        let place = Place { line: second.location.line, column: second.location.column };
        let message = "only one password can come from standard input; take the others from variables";
        failed = Some(diagnostics.fault(place, message));
    }
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.pattern.strength()));
    failed.map_or(Ok(Auth { rules }), Err)
}

fn read_rule(key: &Node, value: &Node, diagnostics: &mut Diagnostics) -> Result<AuthRule, Reported> {
    let location = diagnostics.location(key.place);
    let parsed = match &*key.value {
        Value::Scalar { text } => parse_pattern(text),
        Value::List(_) | Value::Mapping(_) => Err("is no text".to_owned()),
    };
    let (registry, pattern) = parsed.map_err(|error| {
        let message = format!("this pattern of registries is not usable: {error}");
        diagnostics.fault(key.place, message)
    })?;
    let (name, provider) = provider::read(value, diagnostics)?;
    let fault = match (&provider, registry.as_str()) {
        (Provider::Docker | Provider::Anonymous, _) => None,
        (Provider::GitHub { .. }, host) if host.contains('*') => {
            Some("the workflow's token goes to registries that are named in full, such as `ghcr.io`")
        }
        (_, host) if name == provider::DOCKER_HUB && host != DEFAULT_REGISTRY => {
            Some("the provider `dockerhub` is for `docker.io`; elsewhere a user and a password are `basic`")
        }
        (Provider::Basic { .. }, host) if !is_in_a_domain(host) => Some(
            "who lists images would decide where this password goes; name the registry, or at least its domain \
             as in `*.example.com`",
        ),
        _ => None,
    };
    match fault {
        Some(message) => Err(diagnostics.fault(key.place, message)),
        None => Ok(AuthRule { location, provider, registry, pattern }),
    }
}

/// A pattern of `registry/repository`; a registry alone is all that it has.
fn parse_pattern(text: &str) -> Result<(String, SourcePattern), String> {
    if text.contains('@') {
        return Err("a registry's name has no `@`; users and digests do not belong here".to_owned());
    }
    let whole = if text.contains('/') || text == "**" { text.to_owned() } else { format!("{text}/**") };
    let pattern = SourcePattern::parse(&whole)?;
    let registry = whole.split('/').next().unwrap_or_default().to_owned();
    Ok((registry, pattern))
}

/// Whether the stars of a registry's pattern, if there are any, stand below a domain that one owner registered.
fn is_in_a_domain(registry: &str) -> bool {
    let Some((_, after)) = registry.rsplit_once('*') else { return true };
    // Neither addresses nor ports have an owner.
    let is_name =
        !registry.starts_with('[') && after.split('.').next_back().is_some_and(|end| !is_number(end));
    let host = registry.split(':').next().unwrap_or_default();
    let after = after.split(':').next().unwrap_or_default();
    let sample = host.replace('*', "x");
    is_name
        && host.contains('*')
        && psl::domain_str(&sample).is_some_and(|domain| after.ends_with(&format!(".{domain}")))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Auth {
    /// The rules, the strongest first.
    #[must_use]
    pub fn rules(&self) -> &[AuthRule] {
        &self.rules
    }
}

impl AuthRule {
    /// Whether it is about a repository, given as `registry/repository`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.pattern.matches(name)
    }

    /// The registry, if it is named in full.
    #[must_use]
    pub fn registry(&self) -> Option<Registry> {
        self.registry.parse().ok().filter(|_| !self.registry.contains('*'))
    }

    fn text(&self) -> String {
        self.pattern.to_string()
    }
}

/// The keys of a provider that has none but its name.
const fn keys(of: &'static str, known: &'static [&'static str]) -> Keys {
    Keys { of, known, legacy: &[] }
}

#[cfg(test)]
mod tests;
