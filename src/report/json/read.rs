//! A report, read back from the document that it was written to.
//!
//! All that views say survives the way; content that is there to be copied does not. The document may come from
//! anywhere: its texts are parsed as if they came from a registry, and views escape them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::VERSION;
use super::document::{
    CauseDocument, CompanionDocument, ComparisonDocument, Document, ItemDocument, LocationDocument,
    ProofDocument, PullsDocument, RemarkDocument, ReviewDocument, ShardDocument, TransferDocument,
    UnreportedDocument,
};
use super::verification::VerificationDocument;
use crate::config::{Diagnostic, Location, Signatures, Target, TargetPrefix};
use crate::oci::{Digest, MediaType, Platform};
use crate::plan::{
    Aspect, Cause, CauseKind, Checked, Companion, CompanionKind, CompanionPlace, Comparison, Decision,
    Difference, Graph, Item, Made, Node, Outcome, Plan, Proof, Remark, RemarkKind, Result as Ended, Side,
    Signer, Signing, Standing, Transfer,
};
use crate::report::{Interruption, Link, Mode, OnTagConflict, Part, Pulls, Report, Review, Run, Unreported};
use crate::shard::Shard;

/// Why a text is no report that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(String);

/// Reads what [`Report::json`] wrote.
///
/// # Errors
/// It is no report, one of another version of the document, or one that compares two versions of the lists.
pub fn read(text: &[u8]) -> Result<Report, ReadError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let found: Versioned = serde_json::from_slice(text).map_err(|error| unreadable(&error))?;
    if found.version != VERSION {
        return Err(ReadError(format!(
            "it is of version {} of the report, and this program reads version {VERSION}; use the program that wrote it",
            found.version
        )));
    }
    report(serde_json::from_slice(text).map_err(|error| unreadable(&error))?)
}

fn unreadable(error: &serde_json::Error) -> ReadError {
    ReadError(format!("it is no report as `--report` of this version writes it: {error}"))
}

fn report(document: Document) -> Result<Report, ReadError> {
    if document.removed.is_some() {
        let message =
            "it compares two versions of the lists, as plans of pull requests do; such a report is whole";
        return Err(ReadError(message.to_owned()));
    }
    let mode = word("mode", &document.mode, &[("plan", Mode::Plan), ("sync", Mode::Sync)])?;
    let prefix: TargetPrefix = parsed("target_repo_prefix", &document.target_repo_prefix)?;
    let mut items = Vec::with_capacity(document.items.len());
    let mut results = Vec::new();
    let mut unseen = Vec::new();
    for (index, item) in document.items.into_iter().enumerate() {
        if item.decision.is_none() {
            unseen.push(index);
        }
        if mode == Mode::Sync {
            results.push(ended(&item)?);
        }
        items.push(self::item(item, &prefix)?);
    }
    let warnings = document.warnings.into_iter();
    Ok(Report {
        run: Run {
            mode,
            version: document.image_syncer,
            duration: Duration::from_millis(document.duration_ms),
            retries: document.retries,
            bytes_moved: document.totals.bytes_moved,
            bytes_downloaded_again: document.totals.bytes_downloaded_again,
            bytes_sent_twice: document.totals.bytes_sent_twice,
            on_tag_conflict: word(
                "on_tag_conflict",
                &document.on_tag_conflict,
                &[("fail", OnTagConflict::Fail), ("warn", OnTagConflict::Warn)],
            )?,
            pulls: document.pulls.iter().map(pulls).collect::<Result<_, _>>()?,
            trust_root: document.trust_root.map(Into::into),
            part: document.shard.as_ref().map(part).transpose()?,
            lists: optional("list_digest", document.list_digest.as_deref())?,
            review: document.review.map(review).transpose()?,
            by_plan: optional("applied_plan", document.applied_plan.as_deref())?,
            unreported: document.unreported.map(unreported),
            interruption: document.interrupted_by.as_deref().map(interruption).transpose()?,
            remarks: document.remarks,
            commit: None,
            log: None,
        },
        plan: Plan {
            digest: parsed("plan_digest", &document.plan_digest)?,
            items,
            signatures: word(
                "signatures",
                &document.signatures,
                &[("copy", Signatures::Copy), ("require", Signatures::Require), ("skip", Signatures::Skip)],
            )?,
            policy: optional("policy_digest", document.policy_digest.as_deref())?,
            seen_blobs: HashMap::new(),
        },
        prefix,
        unseen: unseen.into_iter().collect(),
        results: (mode == Mode::Sync).then_some(results),
        changes: None,
        warnings: warnings.map(|it| Diagnostic::new(location(it.location), &it.message)).collect(),
    })
}

/// The value that stands behind a word.
fn word<T: Copy>(field: &str, found: &str, known: &[(&str, T)]) -> Result<T, ReadError> {
    let value = known.iter().find(|(word, _)| *word == found).map(|(_, value)| *value);
    value.ok_or_else(|| strange(field, found))
}

fn strange(field: &str, found: &str) -> ReadError {
    let shown: String = found.chars().take(80).collect();
    ReadError(format!("its `{field}` is {shown:?}, which this program does not write"))
}

fn parsed<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, ReadError> {
    text.parse().map_err(|_| strange(field, text))
}

fn optional<T: std::str::FromStr>(field: &str, text: Option<&str>) -> Result<Option<T>, ReadError> {
    text.map(|text| parsed(field, text)).transpose()
}

fn interruption(found: &str) -> Result<Interruption, ReadError> {
    let all = [Interruption::Interrupt, Interruption::Terminate, Interruption::TimeLimit];
    word("interrupted_by", found, &all.map(|how| (how.word(), how)))
}

fn part(document: &ShardDocument) -> Result<Part, ReadError> {
    let shard = Shard::new(document.index, document.count);
    Ok(Part {
        shard: shard.map_err(|_| strange("shard", &format!("{}/{}", document.index, document.count)))?,
        images: document.list_images,
        lists: parsed("list_digest", &document.list_digest)?,
    })
}

fn unreported(document: UnreportedDocument) -> Unreported {
    Unreported { shards: document.shards, count: document.count, images: document.images }
}

fn review(document: ReviewDocument) -> Result<Review, ReadError> {
    let plans = document.plans.into_iter().map(|plan| {
        let digest = parsed("plan_digest", &plan.plan_digest)?;
        Ok((Link { name: plan.name, url: plan.url }, digest))
    });
    Ok(Review { plans: plans.collect::<Result<_, _>>()?, note: document.note })
}

fn comparison(document: ComparisonDocument) -> Result<Comparison, ReadError> {
    let known = Aspect::ALL.map(|aspect| (aspect.word(), aspect));
    let differences = document.differences.into_iter().map(|difference| {
        let what = word("what", &difference.what, &known)?;
        Ok(Difference { what, reviewed: difference.reviewed, now: difference.now })
    });
    Ok(Comparison { review: document.review, differences: differences.collect::<Result<_, _>>()? })
}

fn pulls(document: &PullsDocument) -> Result<Pulls, ReadError> {
    Ok(Pulls {
        registry: parsed("registry", &document.registry)?,
        needed: document.needed,
        is_minimum: document.needed_is_minimum,
        remaining: document.remaining,
        limit: document.limit,
        window: document.window_seconds.map(Duration::from_secs),
    })
}

fn location(document: LocationDocument) -> Location {
    Location { file: document.file.into(), line: document.line, column: document.column }
}

fn item(document: ItemDocument, prefix: &TargetPrefix) -> Result<Item, ReadError> {
    let position = document.position.checked_sub(1).ok_or_else(|| strange("position", "0"))?;
    let companions = document.companions.map(|all| all.iter().map(companion).collect::<Result<_, _>>());
    Ok(Item {
        position,
        chosen: document.chosen_platforms.iter().map(|text| platform(text)).collect(),
        source: parsed("source", &document.source)?,
        target: target(&document.target, prefix)?,
        decision: decision(document.decision.as_deref(), document.cause.as_ref())?,
        source_digest: optional("source_digest", document.source_digest.as_deref())?,
        digest: optional("digest", document.digest.as_deref())?,
        target_digest: optional("target_digest", document.target_digest.as_deref())?,
        media_type: document.media_type.as_deref().map(MediaType::new),
        platforms: document.platforms.iter().map(|text| platform(text)).collect(),
        bytes: document.bytes,
        bytes_to_move: document.bytes_to_move,
        graph: None,
        derived: None,
        companions: companions.transpose()?,
        reviewed: document.review.map(comparison).transpose()?,
        verification: document.verification.map(checked).transpose()?,
        remarks: document.remarks.into_iter().map(remark).collect::<Result<_, _>>()?,
        location: location(document.location),
    })
}

fn checked(document: VerificationDocument) -> Result<Checked, ReadError> {
    Ok(Checked {
        rule: document.rule,
        subject: parsed("subject", &document.subject)?,
        signing: match &*document.result {
            "not-asked" => Signing::NotAsked,
            "verified" => Signing::Verified(document.signers.into_iter().map(Signer::from).collect()),
            "unsigned" => Signing::Unsigned(document.reasons),
            "refused" => Signing::Refused(document.reasons),
            other => return Err(strange("result", other)),
        },
        made: document.made.map(Made::from),
    })
}

fn target(text: &str, prefix: &TargetPrefix) -> Result<Target, ReadError> {
    let root = prefix.root();
    let name = text.strip_prefix(&*root).and_then(|name| name.rsplit_once(':'));
    let (repository, tag) = name.ok_or_else(|| strange("target", text))?;
    Ok(Target { repository: parsed("target", repository)?, tag: parsed("target", tag)?, root })
}

/// A platform as it was written. Registries name platforms that no list could.
fn platform(text: &str) -> Platform {
    let (names, version) = match text.split_once(':') {
        Some((names, version)) => (names, Some(version.to_owned())),
        None => (text, None),
    };
    let mut names = names.splitn(3, '/').map(ToOwned::to_owned);
    let mut next = || names.next();
    Platform {
        os: next().unwrap_or_default(),
        architecture: next().unwrap_or_default(),
        variant: next(),
        os_version: version,
    }
}

fn decision(found: Option<&str>, cause: Option<&CauseDocument>) -> Result<Decision, ReadError> {
    Ok(match found {
        Some("copy") => Decision::Copy,
        Some("companions") => Decision::Companions,
        Some("up-to-date") => Decision::UpToDate,
        Some("move") => Decision::Move,
        Some("conflict") => Decision::Conflict,
        Some("blocked") => Decision::Blocked(self::cause(cause)?),
        Some("deferred") => Decision::Deferred(self::cause(cause)?),
        // Nobody looked, and nobody is told what stands here.
        None => Decision::Blocked(self::cause(None)?),
        Some(other) => return Err(strange("decision", other)),
    })
}

fn cause(document: Option<&CauseDocument>) -> Result<Cause, ReadError> {
    let Some(document) = document else {
        let message = "the report does not say why".to_owned();
        return Ok(Cause::failure(Side::Source, "look at", "the image".to_owned(), message));
    };
    let failure = if document.access { CauseKind::Access } else { CauseKind::Failure };
    Ok(Cause {
        side: word("side", &document.side, &[("source", Side::Source), ("target", Side::Target)])?,
        operation: Cow::Owned(document.operation.clone().into_owned()),
        reference: document.reference.clone(),
        kind: word(
            "kind",
            &document.kind,
            &[("failure", failure), ("policy", CauseKind::Policy), ("quota", CauseKind::Quota)],
        )?,
        message: document.message.clone(),
    })
}

fn ended(document: &ItemDocument) -> Result<Ended, ReadError> {
    let cause = || self::cause(document.cause.as_ref());
    Ok(Ended {
        outcome: match &*document.outcome {
            "copied" => Outcome::Copied,
            "companions-copied" => Outcome::CompanionsCopied,
            "up-to-date" => Outcome::UpToDate,
            "moved" => Outcome::Moved,
            "conflict" => Outcome::Conflict(cause()?),
            "blocked" => Outcome::Blocked(cause()?),
            "failed" => Outcome::Failed(cause()?),
            "deferred" => Outcome::Deferred(cause()?),
            "not-run" => Outcome::NotRun,
            other => return Err(strange("outcome", other)),
        },
        transfer: document.transfer.as_ref().map(transfer).unwrap_or_default(),
        proof: document.companions_proof.as_ref().map(proof),
        duration: Duration::from_millis(document.duration_ms.unwrap_or_default()),
    })
}

const fn transfer(document: &TransferDocument) -> Transfer {
    Transfer {
        blobs_copied: document.blobs_copied,
        bytes_copied: document.bytes_copied,
        blobs_mounted: document.blobs_mounted,
        bytes_mounted: document.bytes_mounted,
        blobs_present: document.blobs_present,
        bytes_present: document.bytes_present,
        manifests_pushed: document.manifests_pushed,
    }
}

const fn proof(document: &ProofDocument) -> Proof {
    Proof { expected: document.expected, verified: document.verified }
}

fn remark(document: RemarkDocument) -> Result<Remark, ReadError> {
    let kind = RemarkKind::ALL.iter().copied().find(|kind| kind.word() == document.code);
    let kind = kind.ok_or_else(|| strange("code", &document.code))?;
    Ok(Remark { kind, message: document.message })
}

fn companion(document: &CompanionDocument) -> Result<Companion, ReadError> {
    let digest: Digest = parsed("digest", &document.digest)?;
    let found = || match &document.target_digest {
        Some(found) => parsed("target_digest", found),
        None => Err(strange("standing", &document.standing)),
    };
    Ok(Companion {
        kind: word(
            "kind",
            &document.kind,
            &[
                ("signature", CompanionKind::Signature),
                ("attestation", CompanionKind::Attestation),
                ("sbom", CompanionKind::Sbom),
                ("other", CompanionKind::Other),
            ],
        )?,
        format: document.format.clone(),
        count: document.count,
        subject: parsed("subject", &document.subject)?,
        place: match &document.tag {
            Some(tag) => CompanionPlace::Tag(parsed("tag", tag)?),
            None => CompanionPlace::Referrer,
        },
        graph: document.bytes.map(|size| Arc::new(weight(&digest, size))),
        standing: match &*document.standing {
            "missing" => Standing::Missing,
            "present" => Standing::Present,
            "grows" => Standing::Grows { from: found()? },
            "differs" => Standing::Differs { found: found()? },
            "unknown" => Standing::Unknown,
            "gone" => Standing::Gone,
            other => return Err(strange("standing", other)),
        },
        digest,
    })
}

/// Of a companion's content the document has the size alone.
fn weight(digest: &Digest, size: u64) -> Graph {
    let node = Node {
        digest: digest.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size,
        platform: None,
        children: Vec::new(),
        blobs: Vec::new(),
        foreign: Vec::new(),
    };
    Graph { nodes: vec![node] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Look;
    use crate::report::sample::{reviewed_sync, rich_change, rich_plan, rich_sync};

    #[test]
    fn what_was_written_is_read_and_says_the_same() {
        let mut part_of_it = rich_sync();
        part_of_it.run.part = Some(Part {
            shard: "2/8".parse().expect("a shard"),
            images: 200,
            lists: Digest::sha256(b"the lists"),
        });
        part_of_it.run.interruption = Some(Interruption::Terminate);
        part_of_it.unseen.insert(0);
        let mut incomplete = rich_plan();
        incomplete.run.unreported = Some(Unreported { shards: vec![3, 5], count: 8, images: 12 });
        for report in [rich_sync(), rich_plan(), reviewed_sync(), part_of_it, incomplete] {
            let again = read(report.json().as_bytes()).expect("a report");
            assert_eq!(again.json(), report.json());
            let look = Look { columns: 100, colour: false };
            assert_eq!(again.terminal(look), report.terminal(look));
            assert_eq!(again.markdown(usize::MAX), report.markdown(usize::MAX));
        }
    }

    #[test]
    fn what_is_no_report_is_said_to_be_none() {
        let good = rich_sync().json();
        for (text, expected) in [
            (
                "{}".to_owned(),
                "it is no report as `--report` of this version writes it: missing field `version`",
            ),
            (good.replace("\"version\": 1", "\"version\": 2"), "it is of version 2 of the report"),
            (good.replace("\"mode\": \"sync\"", "\"mode\": \"dance\""), "its `mode` is \"dance\""),
            (good.replace("registry.example.com/mirror/quay", "else/quay"), "its `target` is \"else/quay"),
            (rich_change().json(), "it compares two versions of the lists"),
            (good[..good.len() / 2].to_owned(), "it is no report"),
        ] {
            let said = read(text.as_bytes()).expect_err(expected).to_string();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
