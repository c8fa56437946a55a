//! The explanation as a versioned JSON document, for programs. Its types are apart from the policy's, so that those can
//! change and the document does not; a change of meaning needs a new [`VERSION`].

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Entry, Location};
use crate::oci::Digest;
use crate::policy::{Allowance, ChunkRule, Explanation, ReferrersRule, RegistryRules, Ruling};

/// The version of the document.
const VERSION: u32 = 1;

/// What the policy says of one source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "image-syncer policy explain")]
pub struct Explained {
    /// The version of this format. Fields may be added within a version; none goes or changes its meaning.
    #[schemars(extend("const" = VERSION))]
    version: u32,
    /// The version of image-syncer that wrote it.
    image_syncer: String,
    /// The exit code: 0 the policy allows the source, 3 it does not.
    #[schemars(extend("enum" = [0, 3]))]
    pub exit_code: u8,
    /// The policy, as it was named.
    pub(super) policy: String,
    /// Its digest; `null` if it has no rule that decides what is mirrored.
    pub(super) policy_digest: Option<String>,
    /// The source, as a full reference.
    pub(super) source: String,
    /// Its name below the target prefix, if its entry has neither `target` nor `tag`.
    pub(super) target: String,
    /// The target prefix that the policy states, which is stronger than any other.
    pub(super) prefix: Option<StatedDocument>,
    /// Whether it may be mirrored: `allowedSources`.
    pub(super) allowed: AllowedDocument,
    /// Whether its tag may move at the target, and by which pattern of `mutableTags`; `null` if it may not.
    pub(super) mutable: Option<StatedDocument>,
    /// The platforms that it has to be for; empty if that does not matter.
    pub(super) platforms: Vec<String>,
    /// The most bytes of the image with its companions.
    pub(super) most_image_bytes: Option<u64>,
    /// The most bytes of a layer.
    pub(super) most_layer_bytes: Option<u64>,
    /// The rules of signatures whose patterns name it. The first holds; the others name it less closely.
    pub(super) signatures: Vec<RuleDocument>,
    /// What is stated of its registry.
    pub(super) registry: Option<RegistryDocument>,
    /// How to log in there; `null` if the docker configuration says, or nobody.
    pub(super) auth: Option<StatedDocument>,
}

/// Something that the policy states, and where.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Stated")]
pub(super) struct StatedDocument {
    /// What.
    pub(super) value: String,
    /// Where: file, line and column.
    pub(super) location: String,
}

/// Whether the source may be mirrored.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Allowed")]
pub(super) struct AllowedDocument {
    /// Whether it may.
    pub(super) is_allowed: bool,
    /// The pattern that names it; `null` if there are no patterns, or none does.
    pub(super) pattern: Option<StatedDocument>,
    /// Why it may not.
    pub(super) message: Option<String>,
}

/// A rule of signatures.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Rule")]
pub(super) struct RuleDocument {
    /// Whether it is the one that holds.
    pub(super) holds: bool,
    /// The closest of its patterns that name the source.
    pub(super) pattern: String,
    /// Where the rule is stated.
    pub(super) location: String,
    /// Who has to sign what, in words; `null` if nobody has to.
    pub(super) asks_for: Option<String>,
    /// How many seconds old an image has to be.
    pub(super) minimum_age_seconds: Option<u64>,
    /// What becomes of an image without a signature.
    #[schemars(extend("enum" = ["allow", "warn", "deny"]))]
    pub(super) unsigned: &'static str,
}

/// What is stated of a registry; `null` is what is not stated.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Registry")]
pub(super) struct RegistryDocument {
    /// The pattern that names it.
    pub(super) pattern: String,
    /// Which registry it is.
    pub(super) kind: Option<&'static str>,
    /// Whether uploads may go on in chunks: `never`, `allowed`, or the most bytes of a chunk.
    pub(super) chunks: Option<String>,
    /// Whether blobs are mounted.
    pub(super) mount: Option<bool>,
    /// How referrers are found.
    #[schemars(extend("enum" = ["probe", "tags", null]))]
    pub(super) referrers: Option<&'static str>,
    /// So many tags are asked for in one page.
    pub(super) page_size: Option<u16>,
}

/// The explanation of an entry: `below` is its name without the prefix. `policy` is what the policy's file is called.
#[must_use]
pub fn explained(
    policy: &str,
    digest: Option<&Digest>,
    entry: &Entry,
    below: &str,
    explanation: &Explanation<'_>,
) -> Explained {
    let Explanation { allowed, prefix, mutable, platforms, limits, signatures, registry, auth } = explanation;
    let allowed = match allowed {
        Allowance::Anything => AllowedDocument { is_allowed: true, pattern: None, message: None },
        Allowance::Named { pattern, location } => {
            AllowedDocument { is_allowed: true, pattern: Some(stated(pattern, location)), message: None }
        }
        Allowance::Refused(why) => {
            AllowedDocument { is_allowed: false, pattern: None, message: Some(why.clone()) }
        }
    };
    Explained {
        version: VERSION,
        image_syncer: env!("CARGO_PKG_VERSION").to_owned(),
        exit_code: if allowed.is_allowed { 0 } else { 3 },
        policy: policy.to_owned(),
        policy_digest: digest.map(ToString::to_string),
        source: entry.source.to_string(),
        target: format!("{below}:{}", entry.target.tag),
        prefix: prefix.map(|prefix| stated(&prefix.prefix.to_string(), &prefix.location)),
        allowed,
        mutable: mutable.as_ref().map(|(pattern, location)| stated(pattern, location)),
        platforms: platforms.iter().flat_map(|(all, _)| *all).map(ToString::to_string).collect(),
        most_image_bytes: limits.and_then(|limits| limits.image_size),
        most_layer_bytes: limits.and_then(|limits| limits.layer_size),
        signatures: signatures.iter().enumerate().map(|(place, ruling)| rule(place == 0, ruling)).collect(),
        registry: registry.as_ref().map(|(pattern, rules)| self::registry(pattern, rules)),
        auth: auth.map(|rule| stated(rule.provider.word(), &rule.location)),
    }
}

fn stated(value: &str, location: &Location) -> StatedDocument {
    StatedDocument { value: value.to_owned(), location: location.to_string() }
}

fn rule(holds: bool, ruling: &Ruling<'_>) -> RuleDocument {
    let rule = ruling.rule;
    RuleDocument {
        holds,
        pattern: ruling.pattern.clone(),
        location: rule.location.to_string(),
        asks_for: rule.wanted.is_some().then(|| rule.demand()),
        minimum_age_seconds: rule.minimum_age.map(|age| age.as_secs()),
        unsigned: rule.unsigned.word(),
    }
}

fn registry(pattern: &str, rules: &RegistryRules) -> RegistryDocument {
    RegistryDocument {
        pattern: pattern.to_owned(),
        kind: rules.kind,
        chunks: rules.chunks.map(|chunks| match chunks {
            ChunkRule::Never => "never".to_owned(),
            ChunkRule::Allowed => "allowed".to_owned(),
            ChunkRule::AtMost(bytes) => bytes.to_string(),
        }),
        mount: rules.mount,
        referrers: rules.referrers.map(|referrers| match referrers {
            ReferrersRule::Probe => "probe",
            ReferrersRule::Tags => "tags",
        }),
        page_size: rules.page_size,
    }
}

/// The explanation as a JSON document, indented, with a line feed at its end.
#[must_use]
pub fn json(explained: &Explained) -> String {
    // Strings, numbers, lists and structures: nothing in the document can fail to be written.
    let mut text = serde_json::to_string_pretty(explained).unwrap_or_default();
    text.push('\n');
    text
}
