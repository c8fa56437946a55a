//! The types of the JSON document.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::VERSION;
use super::verification::{TrustRootDocument, VerificationDocument};

/// What became of a list of images, as image-syncer reports it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "image-syncer report")]
pub struct Document {
    /// The version of this format. Fields may be added within a version; none goes or changes its meaning.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// The version of image-syncer that wrote it.
    pub image_syncer: String,
    /// `plan`: it says what would be done. `sync`: it was done.
    #[schemars(extend("enum" = ["plan", "sync"]))]
    pub mode: Cow<'static, str>,
    /// The exit code: 0 done, 1 blocked or failed, 3 conflict or policy violation, 4 something is left to
    /// a later run and all else is done, 130 and 143 interrupted.
    #[schemars(extend("enum" = [0, 1, 3, 4, 130, 143]))]
    pub exit_code: u8,
    /// What ended the run before its time.
    #[schemars(extend("enum" = ["SIGINT", "SIGTERM", "time-limit", null]))]
    pub interrupted_by: Option<Cow<'static, str>>,
    /// Whether a conflict decides the exit code (`fail`) or not (`warn`).
    #[schemars(extend("enum" = ["fail", "warn"]))]
    pub on_tag_conflict: Cow<'static, str>,
    /// What is done about companions.
    #[schemars(extend("enum" = ["copy", "require", "skip"]))]
    pub signatures: Cow<'static, str>,
    /// What all targets begin with.
    pub target_repo_prefix: String,
    /// The digest of what was decided to be at the target.
    pub plan_digest: String,
    /// The digest of the operator's policy, if there is one.
    pub policy_digest: Option<String>,
    /// The digest of what the lists ask for, all parts of them together.
    pub list_digest: Option<String>,
    /// What was reviewed before, that the images are compared with; `null` if nobody looked for a review.
    pub review: Option<ReviewDocument>,
    /// The digest of the plan that was carried out (`sync --plan`); `null` if none had been made before.
    pub applied_plan: Option<String>,
    /// Whom keyless signatures were checked by; `null` if no rule of the policy needs to know.
    pub trust_root: Option<TrustRootDocument>,
    /// Which part of the lists this is, if several runs share them (`--shard`).
    pub shard: Option<ShardDocument>,
    /// The shards of which there is no report, in one that `report merge` made of several; `null` if there are none.
    pub unreported: Option<UnreportedDocument>,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// What registries that count what is read of them still allow, as far as they have said so.
    pub pulls: Vec<PullsDocument>,
    /// The sums over all items.
    pub totals: TotalsDocument,
    /// What there is to say of the run as a whole.
    pub remarks: Vec<String>,
    /// What the lists' reader had to say.
    pub warnings: Vec<WarningDocument>,
    /// The images, in the order of the lists.
    pub items: Vec<ItemDocument>,
    /// What an earlier version of the lists had for targets that these lists have nothing for. It stays at the
    /// target. `null` if no versions were compared.
    pub removed: Option<Vec<RemovedDocument>>,
}

/// What was reviewed before, in pull requests that were merged.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Review")]
pub struct ReviewDocument {
    /// The plans that were reviewed, the newest first.
    pub plans: Vec<ReviewedDocument>,
    /// Why there is no more to compare with, if that is so.
    pub note: Option<String>,
}

/// A plan that was reviewed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Reviewed")]
pub struct ReviewedDocument {
    /// Where: `#7` is a pull request.
    pub name: String,
    /// Its page.
    pub url: String,
    /// The digest of the plan.
    pub plan_digest: String,
}

/// One of several runs of the same lists.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Shard")]
pub struct ShardDocument {
    /// Its number, counted from 1.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    /// How many images the lists have altogether.
    pub list_images: usize,
    /// The digest of what the lists ask for altogether.
    pub list_digest: String,
}

/// Shards that nobody has a report of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Unreported")]
pub struct UnreportedDocument {
    /// Their numbers, counted from 1.
    pub shards: Vec<usize>,
    /// How many shards there are.
    pub count: usize,
    /// How many images of the lists are in no report.
    pub images: usize,
}

/// What a registry still allows. A pull is a manifest that is read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Pulls")]
pub struct PullsDocument {
    /// The registry.
    pub registry: String,
    /// How many a sync of this plan takes.
    pub needed: u64,
    /// Whether it can take more than `needed`: of an image that could not be looked at, one pull is counted.
    pub needed_is_minimum: bool,
    /// How many are left.
    pub remaining: u64,
    /// How many there are in the whole window; `null` if the registry does not say.
    pub limit: Option<u64>,
    /// The window, in seconds; `null` if the registry does not say.
    pub window_seconds: Option<u64>,
}

/// An entry that is not on the lists any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Removed")]
pub struct RemovedDocument {
    /// The source.
    pub source: String,
    /// The target.
    pub target: String,
}

/// The sums over all items.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Totals")]
pub struct TotalsDocument {
    /// All items.
    pub items: usize,
    /// How many items have each decision.
    pub decisions: DecisionCounts,
    /// How many items have each outcome.
    pub outcomes: OutcomeCounts,
    /// How many items are blocked or failed because the operator does not allow them: by the policy, or by
    /// `--signatures require`.
    pub policy_violations: usize,
    /// How many targets could not be looked at, in a plan.
    pub targets_not_readable: usize,
    /// Bytes of blobs that came from sources, those of failed copies included.
    pub bytes_moved: u64,
    /// Those of `bytes_moved` that had come before, and came again because something broke.
    pub bytes_downloaded_again: u64,
    /// Bytes of blobs that were sent to the target once more because something broke.
    pub bytes_sent_twice: u64,
    /// Bytes that have to be moved; `null` if that is not known of all items that have to be copied.
    pub bytes_to_move: Option<u64>,
    /// What was moved for items that came to an end.
    pub transfer: TransferDocument,
    /// The companions that were read back at the target.
    pub companions_proof: ProofDocument,
}

/// How many items have each decision. Items that nobody looked at have none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DecisionCounts {
    /// The target lacks the image.
    pub copy: usize,
    /// The target has the image and lacks companions.
    pub companions: usize,
    /// The target has everything.
    pub up_to_date: usize,
    /// The tag may move, by the operator's policy, and has to.
    #[serde(rename = "move")]
    pub moves: usize,
    /// The target's tag has other content.
    pub conflict: usize,
    /// It cannot be done.
    pub blocked: usize,
    /// A later run does it: what its source allows in a time is used up.
    pub deferred: usize,
}

/// How many items have each outcome.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OutcomeCounts {
    /// The image and its companions are at the target now.
    pub copied: usize,
    /// The image's missing companions are at the target now.
    pub companions_copied: usize,
    /// Everything was there.
    pub up_to_date: usize,
    /// The tag was moved, as the policy allows.
    pub moved: usize,
    /// The target has other content, which was left alone.
    pub conflict: usize,
    /// It could not be done.
    pub blocked: usize,
    /// It was tried and failed.
    pub failed: usize,
    /// A later run does it: what its source allows in a time is used up.
    pub deferred: usize,
    /// The run ended before its turn, or only planned.
    pub not_run: usize,
}

/// Something to say of a place in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Warning")]
pub struct WarningDocument {
    /// The place.
    pub location: LocationDocument,
    /// What there is to say.
    pub message: String,
}

/// A place in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Location")]
pub struct LocationDocument {
    /// The file, as it was named.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

/// An image of the list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Item")]
pub struct ItemDocument {
    /// Its place among all images of the lists, counted from 1.
    pub position: usize,
    /// Where the list names it.
    pub location: LocationDocument,
    /// The image, as a full reference.
    pub source: String,
    /// Where it belongs, as a full reference.
    pub target: String,
    /// The platforms that the list chooses; empty means all of them.
    pub chosen_platforms: Vec<String>,
    /// How it stands to an earlier version of the lists; `null` if no versions were compared.
    #[schemars(extend("enum" = ["added", "changed", "unchanged", null]))]
    pub change: Option<Cow<'static, str>>,
    /// What was decided; `null` if the run ended before anybody looked at the image.
    #[schemars(extend("enum" = ["copy", "companions", "up-to-date", "move", "conflict", "blocked",
        "deferred", null]))]
    pub decision: Option<Cow<'static, str>>,
    /// How it ended. In a plan, `not-run` stands where something has to be done, or where the run
    /// ended before anybody looked. `deferred` is left to a later run: what its source allows in a time is used up.
    #[schemars(extend("enum" = ["copied", "companions-copied", "up-to-date", "moved", "conflict", "blocked",
        "failed", "deferred", "not-run"]))]
    pub outcome: Cow<'static, str>,
    /// Why it is a conflict, blocked, failed or deferred, where there is more to say than that.
    pub cause: Option<CauseDocument>,
    /// The digest that the source's reference stands for.
    pub source_digest: Option<String>,
    /// The digest that belongs at the target; another one than the source's if only some platforms are
    /// copied.
    pub digest: Option<String>,
    /// The digest that the target's tag had before the run.
    pub target_digest: Option<String>,
    /// What the image is.
    pub media_type: Option<String>,
    /// What the image runs on, as `os/architecture[/variant][:os.version]`; empty for artifacts and where
    /// nobody had to look.
    pub platforms: Vec<String>,
    /// Bytes of the whole image without companions; `null` where nobody had to look.
    pub bytes: Option<u64>,
    /// Bytes that have to cross the wire for this item, companions included; `null` where nobody asked.
    pub bytes_to_move: Option<u64>,
    /// What was moved; `null` if nothing was tried.
    pub transfer: Option<TransferDocument>,
    /// Whether the image's own manifest has a signature, of whatever worth: `yes`, `no`, `children-only`, or
    /// `not-looked-at`.
    #[schemars(extend("enum" = ["yes", "no", "children-only", "not-looked-at"]))]
    pub signed: Cow<'static, str>,
    /// What belongs to the image; `null` if nobody looked, empty if there is nothing.
    pub companions: Option<Vec<CompanionDocument>>,
    /// What came of checking it by the policy's rule for its source; `null` if there is none, or nobody looked.
    pub verification: Option<VerificationDocument>,
    /// The companions that were read back at the target; `null` if none were copied, or if copying them failed
    /// before.
    pub companions_proof: Option<ProofDocument>,
    /// What else there is to say.
    pub remarks: Vec<RemarkDocument>,
    /// How it stands to what was reviewed before the change was merged; `null` where nobody knows.
    pub review: Option<ComparisonDocument>,
    /// How long it took, in milliseconds; `null` if nothing was tried.
    pub duration_ms: Option<u64>,
}

/// How an image stands to what was reviewed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Comparison")]
pub struct ComparisonDocument {
    /// Where it was reviewed: `#7` is a pull request.
    pub review: String,
    /// Whether it is as it was reviewed.
    pub as_reviewed: bool,
    /// What is not.
    pub differences: Vec<DifferenceDocument>,
}

/// Something that is not as it was reviewed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Difference")]
pub struct DifferenceDocument {
    /// What.
    #[schemars(extend("enum" = ["digest", "source", "platforms", "signatures"]))]
    pub what: Cow<'static, str>,
    /// As it was reviewed.
    pub reviewed: String,
    /// As it is now.
    pub now: String,
}

/// Why something could not be done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Cause")]
pub struct CauseDocument {
    /// `failure`: it failed or cannot be mirrored. `policy`: the operator does not allow it. `quota`: what the
    /// registry allows in a time is used up.
    #[schemars(extend("enum" = ["failure", "policy", "quota"]))]
    pub kind: Cow<'static, str>,
    /// Whether the way to the registry or the login there may be why, so that `image-syncer doctor` tells more.
    pub access: bool,
    /// Whose side it is on.
    #[schemars(extend("enum" = ["source", "target"]))]
    pub side: Cow<'static, str>,
    /// What was tried, to fit "failed to …".
    pub operation: Cow<'static, str>,
    /// On what.
    pub reference: String,
    /// What went wrong, and what to do where that is known.
    pub message: String,
}

/// Blobs and their bytes; manifests are counted, not weighed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Transfer")]
pub struct TransferDocument {
    /// Blobs that crossed the wire.
    pub blobs_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Blobs that the target took over from another of its repositories.
    pub blobs_mounted: u64,
    /// Their bytes.
    pub bytes_mounted: u64,
    /// Blobs that the target's repository had.
    pub blobs_present: u64,
    /// Their bytes.
    pub bytes_present: u64,
    /// Manifests that were pushed, companions' included.
    pub manifests_pushed: u64,
}

/// Something that belongs to an image without being part of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Companion")]
pub struct CompanionDocument {
    /// What it is for.
    #[schemars(extend("enum" = ["signature", "attestation", "sbom", "other"]))]
    pub kind: Cow<'static, str>,
    /// Who made its format: `cosign`, `notation`, `sigstore bundle`, `SPDX`, or the artifact type.
    pub format: String,
    /// How many signatures, attestations or SBOMs it holds.
    pub count: usize,
    /// The digest of the manifest that it belongs to: the image, a child of it, or another companion.
    pub subject: String,
    /// How it hangs on its subject: by the name of a tag, or as an OCI 1.1 referrer.
    #[schemars(extend("enum" = ["tag", "referrer"]))]
    pub form: Cow<'static, str>,
    /// The tag, if it hangs by one.
    pub tag: Option<String>,
    /// Its own digest.
    pub digest: String,
    /// Bytes of its manifests and blobs, if it was to be copied.
    pub bytes: Option<u64>,
    /// How the target stood before the run: it lacked it, had it, had a part that may grow, had something else,
    /// or could not be read; `gone` if the source lists it and does not have it.
    #[schemars(extend("enum" = ["missing", "present", "grows", "differs", "unknown", "gone"]))]
    pub standing: Cow<'static, str>,
    /// What the target's tag had, where that is part of it or something else.
    pub target_digest: Option<String>,
}

/// Companions that were read back whole at the target: the manifest by its digest, its blobs there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Proof")]
pub struct ProofDocument {
    /// How many were copied.
    pub expected: usize,
    /// How many of them were read back.
    pub verified: usize,
}

/// Something worth a word that changes no decision.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Remark")]
pub struct RemarkDocument {
    /// What it is about.
    #[schemars(extend("enum" = ["source-gone", "target-not-readable", "platforms-left-out", "foreign-layer",
        "companions-skipped", "companion-conflict", "companion-gone", "source-moved",
        "not-as-reviewed", "unsigned"]))]
    pub code: Cow<'static, str>,
    /// The word.
    pub message: String,
}
