//! `registries`: what the operator knows of registries, by patterns of their names.

use super::file::MOST_PATTERNS;
use super::limits;
use super::pattern::RegistryPattern;
use crate::config::diagnostic::{Diagnostics, Reported, nearest, quoted};
use crate::config::fields::{Fields, Keys, described};
use crate::config::yaml::{Node, Value};

/// What is stated of a registry. What is not stated stays as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegistryRules {
    /// Which registry it is: one of [`KINDS`].
    pub kind: Option<&'static str>,
    /// Whether uploads may go on in chunks.
    pub chunks: Option<ChunkRule>,
    /// Whether blobs are mounted.
    pub mount: Option<bool>,
    /// How referrers are found.
    pub referrers: Option<ReferrersRule>,
    /// So many tags are asked for in one page.
    pub page_size: Option<u16>,
}

/// Whether uploads may go on in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkRule {
    /// They may not.
    Never,
    /// They may, in chunks of any size.
    Allowed,
    /// They may, in chunks of at most so many bytes.
    AtMost(u64),
}

/// How referrers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferrersRule {
    /// By the API if there is one, else under the fallback tag.
    Probe,
    /// Under the fallback tag.
    Tags,
}

/// The kinds of registries.
pub const KINDS: [&str; 12] = [
    "docker-hub",
    "ghcr",
    "ecr",
    "ecr-public",
    "gar",
    "acr",
    "quay",
    "gitlab",
    "harbor",
    "artifactory",
    "nexus",
    "generic",
];

/// The keys of a registry's rules.
pub(super) const KEYS: Keys =
    Keys { of: "a registry", known: &["kind", "chunks", "mount", "referrers", "pageSize"], legacy: &[] };

/// The largest page that makes sense to ask for.
const LARGEST_PAGE: u16 = 10_000;

/// How the key is written.
const EXAMPLE: &str = "{\"registry.example.com\": {kind: artifactory}}";

/// The rules of all registries, each with its pattern.
pub(super) fn read(
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<(RegistryPattern, RegistryRules)>, Reported> {
    let Some(node) = fields.get("registries") else { return Ok(Vec::new()) };
    let pairs = match &*node.value {
        Value::Mapping(pairs) if pairs.len() > MOST_PATTERNS => {
            let message = format!("`registries` has {} of them; {MOST_PATTERNS} are the most", pairs.len());
            return Err(diagnostics.fault(node.place, message));
        }
        Value::Mapping(pairs) if !pairs.is_empty() => pairs,
        Value::Mapping(_) => {
            let message =
                format!("`registries` names no registry; write one, such as `{EXAMPLE}`, or leave it out");
            return Err(diagnostics.fault(node.place, message));
        }
        _ => {
            let message =
                format!("`registries` is a mapping such as `{EXAMPLE}`; this is {}", described(node));
            return Err(diagnostics.fault(node.place, message));
        }
    };
    let mut rules: Vec<(RegistryPattern, RegistryRules)> = Vec::with_capacity(pairs.len());
    let mut failed = None;
    for (key, value) in pairs {
        let pattern = read_pattern(key, &rules, diagnostics);
        match (pattern, read_rules(value, diagnostics)) {
            (Ok(pattern), Ok(rule)) => rules.push((pattern, rule)),
            (Err(reported), _) | (_, Err(reported)) => failed = Some(reported),
        }
    }
    failed.map_or(Ok(rules), Err)
}

fn read_pattern(
    key: &Node,
    known: &[(RegistryPattern, RegistryRules)],
    diagnostics: &mut Diagnostics,
) -> Result<RegistryPattern, Reported> {
    let Value::Scalar { text } = &*key.value else {
        let message = format!("a registry is a name or a pattern; this is {}", described(key));
        return Err(diagnostics.fault(key.place, message));
    };
    if known.iter().any(|(pattern, _)| pattern.to_string() == *text) {
        let message = format!("the registry {} is here twice; keep one", quoted(text));
        return Err(diagnostics.fault(key.place, message));
    }
    RegistryPattern::parse(text).map_err(|error| {
        diagnostics.fault(key.place, format!("the registry {} is not usable: {error}", quoted(text)))
    })
}

fn read_rules(node: &Node, diagnostics: &mut Diagnostics) -> Result<RegistryRules, Reported> {
    let pairs = match &*node.value {
        Value::Mapping(pairs) if !pairs.is_empty() => pairs,
        Value::Mapping(_) => {
            let message = "nothing is stated of this registry; write what is known of it, such as `{kind: artifactory}`, \
                           or leave it out";
            return Err(diagnostics.fault(node.place, message));
        }
        _ => {
            let message = format!(
                "what is known of a registry is a mapping such as `{{kind: artifactory}}`; this is {}",
                described(node)
            );
            return Err(diagnostics.fault(node.place, message));
        }
    };
    let faults = diagnostics.faults.len();
    let fields = Fields::read(pairs, &KEYS, diagnostics);
    let unknown = diagnostics.faults.len() > faults;
    // Each key says its own faults, whatever became of the others.
    let kind = read_key(&fields, "kind", diagnostics, |text| {
        let known = KINDS.iter().find(|kind| **kind == text).copied();
        known.ok_or_else(|| match nearest(text, &KINDS) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("write one of {}", KINDS.join(", ")),
        })
    });
    let chunks = read_key(&fields, "chunks", diagnostics, chunk_rule);
    let mount = read_key(&fields, "mount", diagnostics, |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("write true or false".to_owned()),
    });
    let referrers = read_key(&fields, "referrers", diagnostics, |text| match text {
        "probe" => Ok(ReferrersRule::Probe),
        "tags" => Ok(ReferrersRule::Tags),
        _ => Err("write `probe`, or `tags` for a registry whose referrers API is not to be asked".to_owned()),
    });
    let page_size = read_key(&fields, "pageSize", diagnostics, |text| {
        let size = text.parse::<u16>().ok().filter(|size| (1..=LARGEST_PAGE).contains(size));
        size.ok_or_else(|| format!("write a number of tags from 1 to {LARGEST_PAGE}"))
    });
    let rules = RegistryRules {
        kind: kind?,
        chunks: chunks?,
        mount: mount?,
        referrers: referrers?,
        page_size: page_size?,
    };
    if unknown { Err(Reported) } else { Ok(rules) }
}

/// A key's value, if the key is there.
fn read_key<T>(
    fields: &Fields<'_>,
    key: &str,
    diagnostics: &mut Diagnostics,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Reported> {
    let Some((text, place)) = fields.text(key, diagnostics)? else { return Ok(None) };
    let value = parse(text);
    value.map(Some).map_err(|advice| {
        diagnostics.fault(place, format!("{} is no value of `{key}`; {advice}", quoted(text)))
    })
}

/// `never`, `allowed`, or the size of the largest chunk.
fn chunk_rule(text: &str) -> Result<ChunkRule, String> {
    const FORM: &str = "write `never`, `allowed`, or the size of the largest chunk, such as `8MiB`";
    match text {
        "never" => return Ok(ChunkRule::Never),
        "allowed" => return Ok(ChunkRule::Allowed),
        _ => {}
    }
    limits::bytes(text).map(ChunkRule::AtMost).ok_or_else(|| FORM.to_owned())
}
