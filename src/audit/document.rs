//! An audit as a versioned JSON document, for programs. Its types are apart from those of the audit, so that those
//! can change and the document does not; a change of meaning needs a new [`VERSION`].

use schemars::JsonSchema;
use serde::Serialize;

use super::finding::{Check, Finding, Kind, Remark, RemarkKind, State};
use super::summary::{Totals, exit_code};
use super::{Audit, Known, Stray, Unlisted};
use crate::oci::Digest;
use crate::plan::Cause;
use crate::report::Interruption;

/// The version of the document.
const VERSION: u32 = 1;

/// What `image-syncer verify` found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "image-syncer verify")]
pub(super) struct Document {
    /// The version of this format. Fields may be added within a version; none goes or changes its meaning.
    #[schemars(extend("const" = VERSION))]
    version: u32,
    /// The version of image-syncer that wrote it.
    image_syncer: String,
    /// The exit code: 0 everything is as it should be, 1 something could not be looked up or the time was over
    /// before, 3 findings, 130 and 143 interrupted (SIGINT, SIGTERM).
    #[schemars(extend("enum" = [0, 1, 3, 130, 143]))]
    exit_code: u8,
    /// What ended it before its time: `time-limit`, `SIGINT` or `SIGTERM`.
    #[schemars(extend("enum" = ["time-limit", "SIGINT", "SIGTERM", null]))]
    interrupted: Option<&'static str>,
    /// What all targets begin with.
    target_prefix: String,
    /// What was to be done about companions.
    #[schemars(extend("enum" = ["copy", "require", "skip"]))]
    signatures: &'static str,
    /// Whether every blob was read and hashed.
    deep: bool,
    /// How long it took.
    duration_ms: u64,
    /// Sums.
    totals: TotalsDocument,
    /// All images of the lists, in their order.
    images: Vec<ImageDocument>,
    /// Tags that no list names; `null` if nobody asked (`--unlisted`).
    unlisted: Option<UnlistedDocument>,
}

/// Sums.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Totals")]
struct TotalsDocument {
    /// Findings, unlisted tags among them.
    findings: usize,
    /// Images without a finding that were looked at whole.
    sound: usize,
    /// Images with findings.
    unsound: usize,
    /// Images of which something could not be looked up, with findings or not.
    failed: usize,
    /// Images whose turn did not come.
    not_run: usize,
    /// Manifests that were read at the target.
    manifests: usize,
    /// Blobs that were looked at, each as often as it is named.
    blobs: usize,
    /// Bytes of blobs that were read and hashed.
    bytes_read: u64,
}

/// An image of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Image")]
struct ImageDocument {
    /// The list, as it was named.
    file: String,
    /// Where the image is named, counted from 1.
    line: u32,
    /// Counted from 1, in characters.
    column: u32,
    /// The source, as a full reference.
    source: String,
    /// The target, as a full reference.
    target: String,
    /// `findings`, also if something else could not be looked up; `failed`: something could not be looked up;
    /// `not-run`: the run ended before its turn; `sound`.
    #[schemars(extend("enum" = ["findings", "failed", "not-run", "sound"]))]
    state: &'static str,
    /// The digest that belongs there, where that is known.
    expected: Option<String>,
    /// The digest that the tag has.
    digest: Option<String>,
    /// What is not as it should be, at most 100.
    findings: Vec<FindingDocument>,
    /// How many findings there are besides.
    more_findings: usize,
    /// What is worth a word and nobody's fault.
    remarks: Vec<RemarkDocument>,
    /// What could not be looked up.
    failures: Vec<FailureDocument>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct FindingDocument {
    /// `moved`: the tag has another digest than the list says. `missing`: the tag is not there. `manifest-missing`,
    /// `blob-missing`: a part of the image is not there. `wrong-size`, `corrupt`: it is there and is not what it
    /// should be. `not-allowed`: the policy does not allow the image. `unsigned`: a signature is required.
    /// `companion-missing`, `companion-differs`: a signature or another companion is not there, or not the source's.
    #[schemars(extend("enum" = Kind::ALL.map(Kind::word)))]
    kind: &'static str,
    /// What of the image it is about, such as `layer 2 of linux/arm64`; `null` for the tag itself.
    part: Option<String>,
    /// The digest that belongs there.
    expected: Option<String>,
    /// The digest that is there.
    found: Option<String>,
    /// What was found, for people.
    message: String,
    /// What to do, for people.
    advice: String,
}

/// Something worth a word.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Remark")]
struct RemarkDocument {
    /// `source-moved`: source and target differ, and the list has no digest that says which is meant. `source-gone`:
    /// the source does not have the image any more. `foreign-layer`: a layer that its author keeps elsewhere is not
    /// at the target. `companion-gone`: the source lists a companion that it does not have.
    #[schemars(extend("enum" = RemarkKind::ALL.map(RemarkKind::word)))]
    kind: &'static str,
    /// The word, for people.
    message: String,
}

/// Something that could not be looked up.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
struct FailureDocument {
    /// Whose side it is on.
    #[schemars(extend("enum" = ["source", "target"]))]
    side: &'static str,
    /// What was tried, to fit "failed to …".
    operation: String,
    /// On what.
    reference: String,
    /// What went wrong, for people.
    message: String,
}

/// Tags that no list names.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Unlisted")]
struct UnlistedDocument {
    /// Which repositories were looked at besides those of the list. `all`: all below the prefix, as the target's
    /// catalog has them. `partial`: those that the catalog has, which lacks some of the list. `refused`: none, the
    /// target does not tell. `unknown`: none, the catalog could not be read.
    #[schemars(extend("enum" = ["all", "partial", "refused", "unknown"]))]
    catalog: &'static str,
    /// Why the catalog was refused, for people.
    message: Option<String>,
    /// Repositories whose tags were listed.
    repositories: usize,
    /// Their tags, those of companions left out.
    tags: usize,
    /// Whether all of it was looked at before the run had to end.
    complete: bool,
    /// The tags that no list names, at most 20,000.
    findings: Vec<StrayDocument>,
    /// How many such tags there are besides.
    more_findings: usize,
    /// What could not be looked up.
    failures: Vec<FailureDocument>,
}

/// A tag that no list names.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "UnlistedTag")]
struct StrayDocument {
    /// What it is.
    #[schemars(extend("const" = "unlisted"))]
    kind: &'static str,
    /// The tag, as a full reference.
    target: String,
    /// What it stands for; `null` if that could not be looked up.
    digest: Option<String>,
    /// Whether the list names other tags of its repository.
    in_listed_repository: bool,
}

/// What was found as a JSON document, indented, with a line feed at its end.
#[must_use]
pub fn json(audit: &Audit) -> String {
    let totals = Totals::of(audit);
    let document = Document {
        version: VERSION,
        image_syncer: env!("CARGO_PKG_VERSION").to_owned(),
        exit_code: exit_code(audit),
        interrupted: audit.interruption.map(Interruption::word),
        target_prefix: audit.prefix.to_string(),
        signatures: audit.signatures.word(),
        deep: audit.asked.deep,
        duration_ms: u64::try_from(audit.duration.as_millis()).unwrap_or(u64::MAX),
        totals: TotalsDocument {
            findings: totals.all_findings(),
            sound: totals.sound,
            unsound: totals.unsound,
            failed: totals.failed,
            not_run: totals.not_run,
            manifests: totals.manifests,
            blobs: totals.blobs,
            bytes_read: audit.bytes_read,
        },
        images: audit.checks.iter().map(ImageDocument::of).collect(),
        unlisted: audit.unlisted.as_ref().map(UnlistedDocument::of),
    };
    // Strings, numbers, lists and structures: nothing in the document can fail to be written.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn text(digest: Option<&Digest>) -> Option<String> {
    digest.map(ToString::to_string)
}

impl ImageDocument {
    fn of(check: &Check) -> Self {
        Self {
            file: check.location.file.to_string(),
            line: check.location.line,
            column: check.location.column,
            source: check.source.to_string(),
            target: check.target.to_string(),
            state: State::word(check.state()),
            expected: text(check.expected.as_ref()),
            digest: text(check.found.as_ref()),
            findings: check.findings.iter().map(FindingDocument::of).collect(),
            more_findings: check.more_findings,
            remarks: check.remarks.iter().map(RemarkDocument::of).collect(),
            failures: check.failures.iter().map(FailureDocument::of).collect(),
        }
    }
}

impl FindingDocument {
    fn of(finding: &Finding) -> Self {
        Self {
            kind: finding.kind.word(),
            part: finding.part.clone(),
            expected: text(finding.expected.as_ref()),
            found: text(finding.found.as_ref()),
            message: finding.message.clone(),
            advice: finding.advice.clone(),
        }
    }
}

impl RemarkDocument {
    fn of(remark: &Remark) -> Self {
        Self { kind: remark.kind.word(), message: remark.message.clone() }
    }
}

impl FailureDocument {
    fn of(cause: &Cause) -> Self {
        Self {
            side: cause.side.word(),
            operation: cause.operation.to_string(),
            reference: cause.reference.clone(),
            message: cause.message.clone(),
        }
    }
}

impl UnlistedDocument {
    fn of(unlisted: &Unlisted) -> Self {
        Self {
            catalog: unlisted.catalog.word(),
            message: match &unlisted.catalog {
                Known::Refused(why) => Some(why.clone()),
                _ => None,
            },
            repositories: unlisted.repositories,
            tags: unlisted.tags,
            complete: unlisted.is_whole,
            findings: unlisted.strays.iter().map(StrayDocument::of).collect(),
            more_findings: unlisted.more_strays,
            failures: unlisted.failures.iter().map(FailureDocument::of).collect(),
        }
    }
}

impl StrayDocument {
    fn of(stray: &Stray) -> Self {
        Self {
            kind: Kind::Unlisted.word(),
            target: stray.target.to_string(),
            digest: text(stray.digest.as_ref()),
            in_listed_repository: stray.in_listed_repository,
        }
    }
}
