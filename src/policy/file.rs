//! The policy's file: from text to rules, and everything that is wrong with it.

use std::fmt;
use std::path::Path;

use super::auth::{self, Auth};
use super::pattern::{SourcePattern, TagPattern};
use super::signatures::KeyFiles;
use super::{Policy, Rule, limits, registries, signatures};
use crate::config::diagnostic::{Diagnostics, Place, Reported, quoted};
use crate::config::fields::{Fields, Keys, ListKey, described};
use crate::config::file::{FileKind, read_text};
use crate::config::yaml::{self, Value};
use crate::config::{Faults, StatedPrefix, TargetPrefix, platforms};
use crate::oci::Platform;

/// Policies, as messages call them.
const POLICY: FileKind =
    FileKind { word: "policy", option: "--policy-file", when_large: "shorten it", when_several: "join them" };

/// The keys of a policy.
pub(super) const KEYS: Keys = Keys {
    of: "a policy",
    known: &[
        "targetRepoPrefix",
        "allowedSources",
        "requirePlatforms",
        "limits",
        "mutableTags",
        "signatures",
        "registries",
        "auth",
    ],
    legacy: &[],
};

/// The most patterns of a key; each image is compared with all of them.
pub(super) const MOST_PATTERNS: usize = 500;

/// What to write where there is no rule.
const EXAMPLE: &str =
    "write a rule such as `allowedSources: [\"docker.io/library/*\"]`, or leave --policy-file out";

pub(super) fn read(path: &Path) -> Result<Policy, Faults> {
    let text = read_text(path, &POLICY).map_err(|fault| Faults::new(vec![fault]))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    load(&path.display().to_string(), &text, KeyFiles::Below(folder))
}

pub(super) fn load(name: &str, text: &str, files: KeyFiles<'_>) -> Result<Policy, Faults> {
    let mut diagnostics = Diagnostics::new(name);
    let policy = read_rules(text, files, &mut diagnostics);
    diagnostics.warnings.sort();
    match policy {
        Ok(policy) if diagnostics.faults.is_empty() => {
            Ok(Policy { warnings: diagnostics.warnings, ..policy })
        }
        Ok(_) | Err(Reported) => Err(Faults::new(diagnostics.faults)),
    }
}

fn read_rules(text: &str, files: KeyFiles<'_>, diagnostics: &mut Diagnostics) -> Result<Policy, Reported> {
    let (root, error) = yaml::parse(text, &POLICY);
    let reported = error.map(|error| diagnostics.fault(error.place, error.message));
    let Some(root) = root else {
        return Err(reported.unwrap_or_else(|| {
            diagnostics.fault(Place::START, format!("the policy has no rule; {EXAMPLE}"))
        }));
    };
    let pairs = match (&*root.value, reported) {
        (Value::Mapping(pairs), _) if !pairs.is_empty() => pairs,
        // What comes before a syntax error and is no policy has nothing more to say.
        (_, Some(reported)) => return Err(reported),
        (Value::Mapping(_), None) => {
            return Err(diagnostics.fault(root.place, format!("the policy has no rule; {EXAMPLE}")));
        }
        (Value::Scalar { .. } | Value::List(_), None) => {
            let message = format!("a policy is a mapping of rules; this is {}; {EXAMPLE}", described(&root));
            return Err(diagnostics.fault(root.place, message));
        }
    };
    let fields = Fields::read(pairs, &KEYS, diagnostics);
    // Each key says its own faults, whatever became of the others.
    let prefix = read_prefix(&fields, diagnostics);
    let sources = read_sources(&fields, diagnostics);
    let platforms = read_platforms(&fields, diagnostics);
    let tags = read_tags(&fields, prefix.as_ref().ok().and_then(Option::as_ref), diagnostics);
    let limits = limits::read(&fields, diagnostics);
    let signatures = signatures::read(&fields, files, diagnostics);
    let registries = registries::read(&fields, diagnostics);
    let auth = fields.get("auth").map_or(Ok(Auth::default()), |node| auth::read(node, diagnostics));
    Ok(Policy {
        prefix: prefix?,
        allowed_sources: sources?,
        required_platforms: platforms?,
        mutable_tags: tags?,
        limits: limits?,
        signatures: signatures?,
        registries: registries?,
        auth: auth?,
        warnings: Vec::new(),
    })
}

fn read_prefix(fields: &Fields<'_>, diagnostics: &mut Diagnostics) -> Result<Option<StatedPrefix>, Reported> {
    let Some((text, place)) = fields.text("targetRepoPrefix", diagnostics)? else { return Ok(None) };
    match text.parse::<TargetPrefix>() {
        Ok(prefix) => Ok(Some(StatedPrefix { prefix, location: diagnostics.location(place) })),
        Err(error) => Err(diagnostics.fault(place, error.to_string())),
    }
}

fn read_sources(
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Rule<SourcePattern>>, Reported> {
    let key = ListKey {
        key: "allowedSources",
        most: MOST_PATTERNS,
        example: "[\"docker.io/library/*\", \"quay.io/**\"]",
        when_empty: "to allow all sources",
        is_item: |text| SourcePattern::parse(text).is_ok(),
    };
    read_patterns(fields, &key, SourcePattern::parse, diagnostics)
}

fn read_tags(
    fields: &Fields<'_>,
    prefix: Option<&StatedPrefix>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Rule<TagPattern>>, Reported> {
    let key = ListKey {
        key: "mutableTags",
        most: MOST_PATTERNS,
        example: "[\"library/alpine:latest\", \"**:latest\"]",
        when_empty: "to let no tag move",
        is_item: |text| TagPattern::parse(text).is_ok(),
    };
    let prefix = prefix.map(|stated| stated.prefix.to_string());
    let parse = |text: &str| match prefix.as_ref().and_then(|prefix| text.strip_prefix(prefix)) {
        Some(below) => Err(format!("the target prefix does not belong into it; write `{below}`")),
        None => TagPattern::parse(text),
    };
    let rule = read_patterns(fields, &key, parse, diagnostics)?;
    if let Some(node) = fields
        .get(key.key)
        .filter(|_| rule.iter().flat_map(|rule| &rule.values).any(TagPattern::is_everything))
    {
        let message = "`**:*` lets every tag move, so that none of the mirrored images stays what it is; name the \
                       tags that have to";
        diagnostics.warning(node.place, message);
    }
    Ok(rule)
}

fn read_platforms(
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Rule<Platform>>, Reported> {
    const KEY: &str = "requirePlatforms";
    let values = platforms::read(fields, KEY, "to require none", diagnostics)?;
    Ok(fields.get(KEY).map(|node| Rule { location: diagnostics.location(node.place), values }))
}

/// The rule that a key's patterns are.
fn read_patterns<T: fmt::Display>(
    fields: &Fields<'_>,
    key: &ListKey,
    parse: impl Fn(&str) -> Result<T, String>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Rule<T>>, Reported> {
    let values = patterns(fields, key, parse, diagnostics)?;
    Ok(fields.get(key.key).map(|node| Rule { location: diagnostics.location(node.place), values }))
}

/// The patterns of a key, each once; none if the key is not there.
pub(super) fn patterns<T: fmt::Display>(
    fields: &Fields<'_>,
    key: &ListKey,
    parse: impl Fn(&str) -> Result<T, String>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<T>, Reported> {
    let nodes = fields.list(key, diagnostics)?;
    let mut values: Vec<T> = Vec::with_capacity(nodes.len());
    let mut failed = None;
    for node in nodes {
        let text = match &*node.value {
            Value::Scalar { text } if !text.is_empty() => text,
            _ => {
                let message = format!("a pattern of `{}` is a text; this is {}", key.key, described(node));
                failed = Some(diagnostics.fault(node.place, message));
                continue;
            }
        };
        match parse(text) {
            Ok(pattern) if values.iter().any(|known| known.to_string() == *text) => {
                let message = format!("the pattern `{pattern}` is here once more; take one of them out");
                diagnostics.warning(node.place, message);
            }
            Ok(pattern) => values.push(pattern),
            Err(error) => {
                let message = format!("the pattern {} is not usable: {error}", quoted(text));
                failed = Some(diagnostics.fault(node.place, message));
            }
        }
    }
    failed.map_or(Ok(values), Err)
}
