//! The report as a versioned JSON document, for programs.
//!
//! The types of [`document`] are from the core's, so that the core can change and the document
//! does not. A change that takes a field away, or gives it another meaning, needs a new [`VERSION`].
//! `schemas/report.schema.json` and `schemas/plan.schema.json` are made from them.

pub mod document;
mod read;
mod schema;
pub mod verification;

use document::{
    CauseDocument, CompanionDocument, ComparisonDocument, DecisionCounts, DifferenceDocument, Document,
    ItemDocument, LocationDocument, OutcomeCounts, ProofDocument, PullsDocument, RemarkDocument,
    RemovedDocument, ReviewDocument, ReviewedDocument, ShardDocument, TotalsDocument, TransferDocument,
    UnreportedDocument, WarningDocument,
};
use verification::{TrustRootDocument, VerificationDocument};

pub use read::{ReadError, read};
pub use schema::{PLAN_SCHEMA, REPORT_SCHEMA, plan_schema, report_schema};

use super::companions::{self, Signed};
use super::{Entry, Part, Pulls, Report, Review, Status, Totals, Unreported};
use crate::config::{Diagnostic, Location};
use crate::plan::{self, Companion, CompanionPlace, Decision, Standing};

/// The version of the document.
pub const VERSION: u32 = 1;

impl Report {
    /// The report as a JSON document, indented, with a line feed at its end.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings, numbers, lists and structures: nothing in the document can fail to be written.
        let mut text = serde_json::to_string_pretty(&self.document()).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The document that [`Report::json`] writes.
    #[must_use]
    pub fn document(&self) -> Document {
        Document {
            version: VERSION,
            image_syncer: self.run.version.clone(),
            mode: self.run.mode.word().into(),
            exit_code: self.verdict().exit_code(),
            interrupted_by: self.run.interruption.map(|how| how.word().into()),
            on_tag_conflict: self.run.on_tag_conflict.word().into(),
            signatures: self.plan.signatures.word().into(),
            target_repo_prefix: self.prefix.to_string(),
            plan_digest: self.plan.digest.to_string(),
            policy_digest: self.plan.policy.as_ref().map(ToString::to_string),
            list_digest: self.run.lists.as_ref().map(ToString::to_string),
            review: self.run.review.as_ref().map(ReviewDocument::from),
            applied_plan: self.run.by_plan.as_ref().map(ToString::to_string),
            trust_root: self.run.trust_root.as_ref().map(TrustRootDocument::from),
            shard: self.run.part.as_ref().map(ShardDocument::from),
            unreported: self.run.unreported.as_ref().map(UnreportedDocument::from),
            duration_ms: millis(self.run.duration),
            retries: self.run.retries,
            pulls: self.run.pulls.iter().map(PullsDocument::from).collect(),
            totals: totals(self, &self.totals()),
            remarks: self.run.remarks.clone(),
            warnings: self.warnings.iter().map(WarningDocument::from).collect(),
            items: self.entries().map(ItemDocument::from).collect(),
            removed: self.changes.as_ref().map(|changes| {
                let removed = changes.removed.iter();
                removed
                    .map(|entry| RemovedDocument {
                        source: entry.source.to_string(),
                        target: entry.target.to_string(),
                    })
                    .collect()
            }),
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn totals(report: &Report, totals: &Totals) -> TotalsDocument {
    let mut decisions = DecisionCounts::default();
    for decision in report.entries().filter_map(|entry| entry.decision()) {
        *match decision {
            Decision::Copy => &mut decisions.copy,
            Decision::Companions => &mut decisions.companions,
            Decision::UpToDate => &mut decisions.up_to_date,
            Decision::Move => &mut decisions.moves,
            Decision::Conflict => &mut decisions.conflict,
            Decision::Blocked(_) => &mut decisions.blocked,
            Decision::Deferred(_) => &mut decisions.deferred,
        } += 1;
    }
    let count = |status| totals.count(status);
    let outcomes = OutcomeCounts {
        copied: count(Status::Copied),
        companions_copied: count(Status::CompanionsCopied),
        up_to_date: count(Status::UpToDate),
        moved: count(Status::Moved),
        conflict: count(Status::Conflict),
        blocked: count(Status::Blocked),
        failed: count(Status::Failed),
        deferred: count(Status::Deferred),
        not_run: count(Status::NotRun)
            + count(Status::Copy)
            + count(Status::Companions)
            + count(Status::Move),
    };
    TotalsDocument {
        items: totals.items,
        decisions,
        outcomes,
        policy_violations: totals.policy_violations,
        targets_not_readable: totals.targets_not_readable,
        bytes_moved: report.run.bytes_moved,
        bytes_downloaded_again: report.run.bytes_downloaded_again,
        bytes_sent_twice: report.run.bytes_sent_twice,
        bytes_to_move: (!totals.bytes_to_move_incomplete).then_some(totals.bytes_to_move),
        transfer: (&totals.transfer).into(),
        companions_proof: (&totals.proof).into(),
    }
}

impl From<&Part> for ShardDocument {
    fn from(part: &Part) -> Self {
        Self {
            index: part.shard.index(),
            count: part.shard.count(),
            list_images: part.images,
            list_digest: part.lists.to_string(),
        }
    }
}

impl From<&Review> for ReviewDocument {
    fn from(review: &Review) -> Self {
        let plans = review.plans.iter().map(|(page, digest)| ReviewedDocument {
            name: page.name.clone(),
            url: page.url.clone(),
            plan_digest: digest.to_string(),
        });
        Self { plans: plans.collect(), note: review.note.clone() }
    }
}

impl From<&plan::Comparison> for ComparisonDocument {
    fn from(comparison: &plan::Comparison) -> Self {
        let differences = comparison.differences.iter().map(|difference| DifferenceDocument {
            what: difference.what.word().into(),
            reviewed: difference.reviewed.clone(),
            now: difference.now.clone(),
        });
        Self {
            review: comparison.review.clone(),
            as_reviewed: comparison.differences.is_empty(),
            differences: differences.collect(),
        }
    }
}

impl From<&Unreported> for UnreportedDocument {
    fn from(unreported: &Unreported) -> Self {
        Self { shards: unreported.shards.clone(), count: unreported.count, images: unreported.images }
    }
}

impl From<&Pulls> for PullsDocument {
    fn from(pulls: &Pulls) -> Self {
        Self {
            registry: pulls.registry.to_string(),
            needed: pulls.needed,
            needed_is_minimum: pulls.is_minimum,
            remaining: pulls.remaining,
            limit: pulls.limit,
            window_seconds: pulls.window.map(|window| window.as_secs()),
        }
    }
}

impl From<&Location> for LocationDocument {
    fn from(location: &Location) -> Self {
        Self { file: location.file.to_string(), line: location.line, column: location.column }
    }
}

impl From<&Diagnostic> for WarningDocument {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self { location: (&diagnostic.location).into(), message: diagnostic.message.clone() }
    }
}

impl From<Entry<'_>> for ItemDocument {
    fn from(entry: Entry<'_>) -> Self {
        let item = entry.item;
        let text = |digest: &Option<crate::oci::Digest>| digest.as_ref().map(ToString::to_string);
        Self {
            position: item.position + 1,
            location: (&item.location).into(),
            source: item.source.to_string(),
            target: item.target.to_string(),
            chosen_platforms: item.chosen.iter().map(ToString::to_string).collect(),
            change: entry.change.map(|change| change.word().into()),
            decision: entry.decision().map(|decision| decision.word().into()),
            outcome: entry.outcome_word().into(),
            cause: entry.cause().map(CauseDocument::from),
            source_digest: text(&item.source_digest),
            digest: text(&item.digest),
            target_digest: text(&item.target_digest),
            media_type: item.media_type.as_ref().map(ToString::to_string),
            platforms: item.platforms.iter().map(ToString::to_string).collect(),
            bytes: item.bytes,
            bytes_to_move: item.bytes_to_move.filter(|_| entry.decision().is_some()),
            transfer: entry.result.map(|result| (&result.transfer).into()),
            signed: match companions::summary(item).signed {
                Signed::NotLookedAt => "not-looked-at",
                Signed::No => "no",
                Signed::ChildrenOnly => "children-only",
                Signed::Yes => "yes",
            }
            .into(),
            companions: item
                .companions
                .as_ref()
                .map(|companions| companions.iter().map(CompanionDocument::from).collect()),
            verification: item.verification.as_ref().map(VerificationDocument::from),
            companions_proof: entry.result.and_then(|result| result.proof.as_ref()).map(ProofDocument::from),
            remarks: entry.remarks().map(RemarkDocument::from).collect(),
            review: item.reviewed.as_ref().map(ComparisonDocument::from),
            duration_ms: entry.result.map(|result| millis(result.duration)),
        }
    }
}

impl From<&plan::Cause> for CauseDocument {
    fn from(cause: &plan::Cause) -> Self {
        Self {
            kind: match cause.kind {
                plan::CauseKind::Failure | plan::CauseKind::Access | plan::CauseKind::Denied => "failure",
                plan::CauseKind::Policy => "policy",
                plan::CauseKind::Quota => "quota",
            }
            .into(),
            access: matches!(cause.kind, plan::CauseKind::Access | plan::CauseKind::Denied),
            side: cause.side.word().into(),
            operation: cause.operation.clone(),
            reference: cause.reference.clone(),
            message: cause.message.clone(),
        }
    }
}

impl From<&plan::Transfer> for TransferDocument {
    fn from(transfer: &plan::Transfer) -> Self {
        Self {
            blobs_copied: transfer.blobs_copied,
            bytes_copied: transfer.bytes_copied,
            blobs_mounted: transfer.blobs_mounted,
            bytes_mounted: transfer.bytes_mounted,
            blobs_present: transfer.blobs_present,
            bytes_present: transfer.bytes_present,
            manifests_pushed: transfer.manifests_pushed,
        }
    }
}

impl From<&plan::Proof> for ProofDocument {
    fn from(proof: &plan::Proof) -> Self {
        Self { expected: proof.expected, verified: proof.verified }
    }
}

impl From<&plan::Remark> for RemarkDocument {
    fn from(remark: &plan::Remark) -> Self {
        Self { code: remark.kind.word().into(), message: remark.message.clone() }
    }
}

impl From<&Companion> for CompanionDocument {
    fn from(companion: &Companion) -> Self {
        let (form, tag) = match &companion.place {
            CompanionPlace::Tag(tag) => ("tag", Some(tag.to_string())),
            CompanionPlace::Referrer => ("referrer", None),
        };
        let (standing, found) = match &companion.standing {
            Standing::Missing => ("missing", None),
            Standing::Present => ("present", None),
            Standing::Grows { from } => ("grows", Some(from)),
            Standing::Differs { found } => ("differs", Some(found)),
            Standing::Unknown => ("unknown", None),
            Standing::Gone => ("gone", None),
        };
        Self {
            kind: companion.kind.word().into(),
            format: companion.format.clone(),
            count: companion.count,
            subject: companion.subject.to_string(),
            form: form.into(),
            tag,
            digest: companion.digest.to_string(),
            bytes: companion.graph.as_ref().map(|graph| graph.bytes()),
            standing: standing.into(),
            target_digest: found.map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::report::sample::{rich_plan, rich_sync};

    #[test]
    fn a_rich_sync() {
        insta::assert_snapshot!("sync", rich_sync().json());
    }

    #[test]
    fn a_rich_plan() {
        insta::assert_snapshot!("plan", rich_plan().json());
    }
}
