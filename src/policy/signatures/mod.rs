//! `signatures`: by whom images have to be signed, as a list of rules for patterns of sources.
//!
//! One rule holds for an image: the one whose pattern names its source most closely. A rule states who may sign, which
//! attestations are asked for, how old an image has to be, and what becomes of one without a signature. What a signature
//! is worth is for `verify` to say.

mod signer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::pattern::{SourcePattern, Strength};
use crate::config::Location;
use crate::config::diagnostic::{Diagnostics, Reported, nearest, quoted};
use crate::config::fields::{Fields, Keys, ListKey, described};
use crate::config::yaml::{Node, Value};
use crate::verify::{Mode, Rule};

/// The keys of a rule.
pub(super) const KEYS: Keys = Keys {
    of: "a rule of `signatures`",
    known: &["sources", "anyOf", "allOf", "transparencyLog", "attestations", "minimumAge", "unsigned"],
    legacy: &[],
};

/// The most rules.
const MOST_RULES: usize = 200;

/// The most patterns of a rule.
const MOST_PATTERNS: usize = 100;

/// How the key is written.
const EXAMPLE: &str = "[{sources: [\"quay.io/org/**\"], anyOf: [{key: cosign.pub}]}]";

/// What a rule asks of the images that it is about.
#[derive(Debug, Clone)]
pub struct SignatureRule {
    /// Where it is stated.
    pub location: Location,
    /// Who has to sign, and what; `None` if nobody has to.
    pub wanted: Option<Arc<Rule>>,
    /// How old an image has to be to be copied.
    pub minimum_age: Option<Duration>,
    /// What becomes of an image without a signature.
    pub unsigned: Unsigned,
    patterns: Vec<SourcePattern>,
    canonical: Json,
}

/// What becomes of an image that has no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsigned {
    /// It is mirrored all the same.
    Allow,
    /// It is mirrored, and a word is said.
    Warn,
    /// It is not mirrored.
    #[default]
    Deny,
}

/// The rule that holds for a source, and why it is this one.
#[derive(Debug, Clone)]
pub struct Ruling<'a> {
    /// The rule.
    pub rule: &'a SignatureRule,
    /// The pattern that names the source.
    pub pattern: String,
}

/// Where the files of keys are.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyFiles<'a> {
    /// In this folder, where they are not named in full.
    Below(&'a Path),
    /// Nowhere: the policy itself is no file of this machine.
    Nowhere,
}

impl Unsigned {
    const WORDS: [(&'static str, Self); 3] =
        [("allow", Self::Allow), ("warn", Self::Warn), ("deny", Self::Deny)];

    /// `allow`, `warn` or `deny`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl SignatureRule {
    /// What it asks for, for people, to fit "asks for …".
    #[must_use]
    pub fn demand(&self) -> String {
        self.wanted.as_ref().map_or_else(|| "no signature".to_owned(), ToString::to_string)
    }

    /// The patterns of sources.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        self.patterns.iter().map(ToString::to_string)
    }

    /// The closest of its patterns that name a source, given as `registry/repository`.
    fn closest(&self, name: &str) -> Option<(Strength, &SourcePattern)> {
        let naming = self.patterns.iter().filter(|pattern| pattern.matches(name));
        naming.map(|pattern| (pattern.strength(), pattern)).max_by_key(|(strength, _)| *strength)
    }

    /// All of it as JSON, the same however it is written.
    pub(super) const fn canonical(&self) -> &Json {
        &self.canonical
    }
}

/// The rules that are about a source, given as `registry/repository`: the one that holds first, then those that would
/// hold without it.
pub(super) fn rulings<'a>(rules: &'a [SignatureRule], name: &str) -> Vec<Ruling<'a>> {
    let mut about: Vec<(Strength, Ruling<'a>)> = rules
        .iter()
        .filter_map(|rule| {
            let (strength, pattern) = rule.closest(name)?;
            Some((strength, Ruling { rule, pattern: pattern.to_string() }))
        })
        .collect();
    // Of equally close ones the first that is written holds.
    about.sort_by_key(|(strength, _)| std::cmp::Reverse(*strength));
    about.into_iter().map(|(_, ruling)| ruling).collect()
}

/// Reads the rules.
pub(super) fn read(
    fields: &Fields<'_>,
    files: KeyFiles<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<SignatureRule>, Reported> {
    let key = ListKey {
        key: "signatures",
        most: MOST_RULES,
        example: EXAMPLE,
        when_empty: "to ask for no signatures",
        is_item: |_| false,
    };
    let nodes = fields.list(&key, diagnostics)?;
    let mut rules: Vec<SignatureRule> = Vec::with_capacity(nodes.len());
    let mut failed = None;
    for node in nodes {
        let rule = if let Value::Mapping(pairs) = &*node.value {
            read_rule(node, pairs, files, diagnostics)
        } else {
            let message = format!(
                "a rule of `signatures` is a mapping such as `{}`; this is {}",
                EXAMPLE.trim_matches(['[', ']']),
                described(node)
            );
            Err(diagnostics.fault(node.place, message))
        };
        match rule {
            Ok(rule) => match twice(&rules, &rule) {
                Some(message) => failed = Some(diagnostics.fault(node.place, message)),
                None => rules.push(rule),
            },
            Err(reported) => failed = Some(reported),
        }
    }
    failed.map_or(Ok(rules), Err)
}

/// What there is to say of a pattern that an earlier rule has too: which of them held would be a matter of luck.
fn twice(rules: &[SignatureRule], rule: &SignatureRule) -> Option<String> {
    rules.iter().find_map(|known| {
        let both = known.patterns().find(|pattern| rule.patterns().any(|other| other == *pattern))?;
        let line = known.location.line;
        Some(format!("the pattern `{both}` is in the rule of line {line} too; keep one of them"))
    })
}

fn read_rule(
    node: &Node,
    pairs: &[(Node, Node)],
    files: KeyFiles<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<SignatureRule, Reported> {
    let faults = diagnostics.faults.len();
    let fields = Fields::read(pairs, &KEYS, diagnostics);
    let unknown = diagnostics.faults.len() > faults;
    // Each key says its own faults, whatever became of the others.
    let patterns = read_sources(node, &fields, diagnostics);
    let signers = read_signers(&fields, files, diagnostics);
    let attestations = signer::attestations(&fields, diagnostics);
    let log = read_word(&fields, "transparencyLog", &[("true", true), ("false", false)], diagnostics);
    let minimum_age = read_age(&fields, diagnostics);
    let unsigned = read_word(&fields, "unsigned", &Unsigned::WORDS, diagnostics);
    let (patterns, signers, attestations) = (patterns?, signers?, attestations?);
    let (log, minimum_age, unsigned) = (log?, minimum_age?, unsigned?);
    if unknown {
        return Err(Reported);
    }
    let asks_nobody = signers.is_none();
    let missing = if asks_nobody && (!attestations.is_empty() || log == Some(true)) {
        Some("it does not say who has to sign; name them with `anyOf` or `allOf`")
    } else if asks_nobody && unsigned.is_some_and(|unsigned| unsigned != Unsigned::Allow) {
        Some("it asks for signatures and does not say whose; name them with `anyOf` or `allOf`")
    } else if asks_nobody && unsigned.is_none() && minimum_age.is_none() {
        Some(
            "it asks for nothing; say who has to sign with `anyOf` or `allOf`, or write `unsigned: allow` to ask for no \
             signature of these sources",
        )
    } else {
        None
    };
    if let Some(message) = missing {
        return Err(diagnostics.fault(node.place, format!("this rule is not usable: {message}")));
    }
    let mut sorted: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    sorted.sort_unstable();
    let unsigned = unsigned.unwrap_or_default();
    let canonical = json!({
        "sources": sorted,
        "signers": signers.as_ref().map(|signers| signers.canonical.clone()),
        "transparencyLog": log.unwrap_or_default(),
        "attestations": attestations.iter().map(|(_, canonical)| canonical.clone()).collect::<Vec<_>>(),
        "minimumAge": minimum_age.map(|age| age.as_secs().to_string()),
        "unsigned": unsigned.word(),
    });
    let wanted = signers.map(|signers| Rule {
        signers: signers.all,
        mode: signers.mode,
        // A signed statement about the image signs it.
        signature: attestations.is_empty(),
        attestations: attestations.into_iter().map(|(wanted, _)| wanted).collect(),
        log: log.unwrap_or_default(),
    });
    Ok(SignatureRule {
        location: diagnostics.location(node.place),
        wanted: wanted.map(Arc::new),
        minimum_age,
        unsigned,
        patterns,
        canonical,
    })
}

fn read_sources(
    node: &Node,
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<SourcePattern>, Reported> {
    let key = ListKey {
        key: "sources",
        most: MOST_PATTERNS,
        example: "[\"docker.io/library/*\"]",
        when_empty: "with its rule",
        is_item: |text| SourcePattern::parse(text).is_ok(),
    };
    if fields.get(key.key).is_none() {
        return Err(if fields.was_meant(key.key) {
            Reported
        } else {
            let message = "a rule of `signatures` says which images it is about; add `sources: [\"docker.io/library/*\"]`";
            diagnostics.fault(node.place, message)
        });
    }
    super::file::patterns(fields, &key, SourcePattern::parse, diagnostics)
}

/// Who may sign, as a rule has them.
struct Signers {
    all: Vec<crate::verify::Signer>,
    mode: Mode,
    canonical: Json,
}

fn read_signers(
    fields: &Fields<'_>,
    files: KeyFiles<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Signers>, Reported> {
    let (key, mode) = match (fields.get("anyOf"), fields.get("allOf")) {
        (Some(_), Some(all)) => {
            let message = "`anyOf` and `allOf` are both there; keep one, or make two rules of it";
            return Err(diagnostics.fault(all.place, message));
        }
        (Some(_), None) => ("anyOf", Mode::Any),
        (None, Some(_)) => ("allOf", Mode::All),
        (None, None) => return Ok(None),
    };
    let read = signer::signers(fields, key, files, diagnostics)?;
    let mut texts: Vec<Json> = read.iter().map(|(_, canonical)| canonical.clone()).collect();
    texts.sort_by_key(ToString::to_string);
    Ok(Some(Signers {
        all: read.into_iter().map(|(signer, _)| signer).collect(),
        mode,
        canonical: json!({ key: texts }),
    }))
}

fn read_word<T: Copy>(
    fields: &Fields<'_>,
    key: &str,
    words: &[(&str, T)],
    diagnostics: &mut Diagnostics,
) -> Result<Option<T>, Reported> {
    let Some((text, place)) = fields.text(key, diagnostics)? else { return Ok(None) };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(Some(*value));
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let hint = match nearest(text, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one of {}", known.join(", ")),
    };
    Err(diagnostics.fault(place, format!("{} is no value of `{key}`; {hint}", quoted(text))))
}

/// A time in whole days or hours.
fn read_age(fields: &Fields<'_>, diagnostics: &mut Diagnostics) -> Result<Option<Duration>, Reported> {
    let Some((text, place)) = fields.text("minimumAge", diagnostics)? else { return Ok(None) };
    let units = [("d", 86_400), ("h", 3600)];
    let seconds = units.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit)?;
        let plain =
            number.len() <= 5 && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
        Some(number.parse::<u64>().ok().filter(|_| plain)? * seconds)
    });
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(|| {
        let message = format!(
            "{} is no value of `minimumAge`; write days or hours, such as `7d` or `36h`",
            quoted(text)
        );
        diagnostics.fault(place, message)
    })
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests;
