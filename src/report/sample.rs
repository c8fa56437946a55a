//! Reports for tests: a rich one with an entry of every kind, and small ones made to measure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Link, Mode, OnTagConflict, Report, Review, Run};
use crate::config::{Change, Changes, Diagnostic, Location, Signatures, Target};
use crate::oci::{Descriptor, Digest, MediaType, Platform, Reference, Registry, Tag};
use crate::plan::{
    Aspect, Cause, CauseKind, Companion, CompanionKind, CompanionPlace, Comparison, Decision, Difference,
    Graph, Item, Node, Outcome, Plan, Proof, Remark, RemarkKind, Result, Side, Standing, Transfer,
};

pub(super) fn digest(of: &str) -> Digest {
    Digest::sha256(of.as_bytes())
}

pub(super) fn location(line: u32) -> Location {
    Location { file: "external-images.yaml".into(), line, column: 13 }
}

pub(super) fn cause(kind: CauseKind, message: &str) -> Cause {
    Cause {
        side: Side::Source,
        operation: "read the manifest of".into(),
        reference: "docker.io/library/app:1".to_owned(),
        kind,
        message: message.to_owned(),
    }
}

/// An item to copy, from Docker Hub, its digest made from its name.
pub(super) fn item(repository: &str, tag: &str) -> Item {
    item_from("docker.io", repository, repository, tag)
}

fn item_from(registry: &str, repository: &str, target: &str, tag: &str) -> Item {
    let tag: Tag = tag.parse().expect("a tag");
    let image = digest(&format!("{repository}:{tag}"));
    Item {
        position: 0,
        chosen: vec![],
        location: location(1),
        source: Reference {
            registry: registry.parse::<Registry>().expect("a registry"),
            repository: repository.parse().expect("a repository"),
            tag: Some(tag.clone()),
            digest: None,
        },
        target: Target {
            root: "registry.example.com/".into(),
            repository: format!("mirror/{target}").parse().expect("a repository"),
            tag,
        },
        decision: Decision::Copy,
        source_digest: Some(image.clone()),
        digest: Some(image),
        target_digest: None,
        media_type: Some(MediaType::OCI_INDEX),
        platforms: platforms(&["linux/amd64", "linux/arm64/v8"]),
        bytes: Some(12_900_000),
        bytes_to_move: None,
        graph: None,
        derived: None,
        companions: Some(vec![]),
        reviewed: None,
        verification: None,
        remarks: vec![],
    }
}

fn platforms(list: &[&str]) -> Vec<Platform> {
    list.iter().map(|text| text.parse().expect("a platform")).collect()
}

/// A companion that the target lacks, by tag if cosign made it.
pub(super) fn companion(kind: CompanionKind, format: &str, count: usize, subject: Digest) -> Companion {
    let own = digest(&format!("{kind:?} {format} of {subject}"));
    let suffix = match kind {
        CompanionKind::Signature => ".sig",
        CompanionKind::Attestation => ".att",
        CompanionKind::Sbom | CompanionKind::Other => ".sbom",
    };
    let place = match format {
        "cosign" => CompanionPlace::Tag(Tag::cosign(&subject, suffix).expect("a tag")),
        _ => CompanionPlace::Referrer,
    };
    let node = Node {
        digest: own.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size: 700,
        platform: None,
        children: vec![],
        blobs: vec![Descriptor::new(MediaType::new("application/json"), digest(format), 4000)],
        foreign: vec![],
    };
    Companion {
        kind,
        format: format.to_owned(),
        count,
        subject,
        place,
        digest: own,
        graph: Some(Arc::new(Graph { nodes: vec![node] })),
        standing: Standing::Missing,
    }
}

fn result(outcome: Outcome) -> Result {
    Result { outcome, transfer: Transfer::default(), proof: None, duration: Duration::from_millis(40) }
}

fn run(mode: Mode) -> Run {
    Run {
        mode,
        version: "0.1.0".to_owned(),
        duration: Duration::from_millis(3240),
        retries: 0,
        bytes_moved: 0,
        bytes_downloaded_again: 0,
        bytes_sent_twice: 0,
        on_tag_conflict: OnTagConflict::Fail,
        pulls: Vec::new(),
        trust_root: None,
        part: None,
        lists: Some(digest("the lists")),
        review: None,
        by_plan: None,
        unreported: None,
        interruption: None,
        remarks: Vec::new(),
        commit: None,
        log: None,
    }
}

fn report(mode: Mode, items: Vec<Item>, results: Option<Vec<Result>>) -> Report {
    let items = items.into_iter().enumerate().map(|(position, item)| Item { position, ..item }).collect();
    let plan = Plan {
        digest: digest("the plan"),
        items,
        signatures: Signatures::Copy,
        policy: None,
        seen_blobs: HashMap::new(),
    };
    let prefix = "registry.example.com/mirror/".parse().expect("a prefix");
    Report { run: run(mode), plan, prefix, unseen: BTreeSet::new(), results, changes: None, warnings: vec![] }
}

pub(super) fn sync_report(outcomes: Vec<Outcome>) -> Report {
    let items = (0..outcomes.len()).map(|index| item(&format!("library/app{index}"), "1")).collect();
    report(Mode::Sync, items, Some(outcomes.into_iter().map(result).collect()))
}

pub(super) fn plan_report(decisions: Vec<Decision>) -> Report {
    let items = decisions
        .into_iter()
        .enumerate()
        .map(|(index, decision)| Item { decision, ..item(&format!("library/app{index}"), "1") });
    report(Mode::Plan, items.collect(), None)
}

/// A plan with an entry of every kind.
pub(super) fn rich_plan() -> Report {
    let mut report = report(Mode::Plan, rich_items(), None);
    report.warnings = warnings();
    for item in &mut report.plan.items {
        if matches!(item.decision, Decision::Copy | Decision::Move | Decision::Companions) {
            item.bytes_to_move = item.bytes.map(|bytes| bytes / 3);
        }
    }
    let unreadable = &mut report.plan.items[2];
    unreadable.remarks.push(Remark {
        kind: RemarkKind::TargetNotReadable,
        message: "target not readable: the registry answers 401; whether the tag is there is not known"
            .to_owned(),
    });
    report
}

/// A plan of a pull request, whose list is half new.
pub(super) fn rich_change() -> Report {
    let mut report = rich_plan();
    let change = |index| match index % 4 {
        0 => Change::Added,
        1 => Change::Changed,
        _ => Change::Unchanged,
    };
    let removed = crate::config::Entry {
        position: 0,
        location: location(99),
        written: "org/old:1".to_owned(),
        source: "docker.io/org/old:1".parse().expect("a reference"),
        target: item("org/old", "1").target,
        platforms: vec![],
    };
    let entries = (0..report.plan.items.len()).map(change).collect();
    report.changes = Some(Changes { entries, removed: vec![removed] });
    report.run.commit = Some(Link {
        name: "0a1b2c3".to_owned(),
        url: "https://github.example.com/org/infra/commit/0a1b2c3".to_owned(),
    });
    report.run.log = Some(Link {
        name: "log of the run".to_owned(),
        url: "https://github.example.com/org/infra/actions/runs/42".to_owned(),
    });
    report
}

/// A sync with an entry of every kind, interrupted before its last.
pub(super) fn rich_sync() -> Report {
    let items = rich_items();
    let mut results: Vec<Result> = items.iter().map(|item| result(planned_outcome(item))).collect();
    let copied = Transfer {
        blobs_copied: 9,
        bytes_copied: 41_300_000,
        blobs_mounted: 2,
        bytes_mounted: 30_100_000,
        blobs_present: 1,
        bytes_present: 1_200_000,
        manifests_pushed: 7,
    };
    results[0] = Result {
        transfer: copied,
        proof: Some(Proof { expected: 4, verified: 4 }),
        duration: Duration::from_millis(2310),
        ..result(Outcome::Copied)
    };
    results[1].transfer =
        Transfer { blobs_copied: 4, bytes_copied: 210_000_000, manifests_pushed: 1, ..Transfer::default() };
    results[3].proof = Some(Proof { expected: 1, verified: 1 });
    results[9] = result(Outcome::Failed(Cause {
        side: Side::Target,
        operation: "push blob".into(),
        reference: "registry.example.com/mirror/quay.io/prometheus/node-exporter@sha256:9f86d081884c"
            .to_owned(),
        kind: CauseKind::Failure,
        message: "the registry answered 507 Insufficient Storage after 3 tries: \"disk full\"".to_owned(),
    }));
    results[11] = result(Outcome::NotRun);
    let mut report = report(Mode::Sync, items, Some(results));
    report.warnings = warnings();
    report.run.retries = 3;
    report.run.bytes_moved = 263_500_000;
    report.run.bytes_downloaded_again = 1_200_000;
    report.run.bytes_sent_twice = 64_000;
    report
}

/// A sync that carried out a plan and was compared with a review: one image is as it was, one is not.
pub(super) fn reviewed_sync() -> Report {
    let mut report = rich_sync();
    let page = Link { name: "#7".to_owned(), url: "https://github.example.com/org/infra/pull/7".to_owned() };
    report.run.review = Some(Review {
        plans: vec![(page, digest("the plan"))],
        note: Some("the policy is another one".to_owned()),
    });
    report.run.by_plan = Some(digest("the plan"));
    let compared = |differences| Some(Comparison { review: "#7".to_owned(), differences });
    report.plan.items[0].reviewed = compared(vec![]);
    let differences =
        Aspect::ALL.map(|what| Difference { what, reviewed: "before".to_owned(), now: "after".to_owned() });
    report.plan.items[1].reviewed = compared(differences.into());
    for kind in [RemarkKind::SourceMoved, RemarkKind::NotAsReviewed] {
        report.plan.items[1].remarks.push(Remark { kind, message: "it moved".to_owned() });
    }
    report
}

fn planned_outcome(item: &Item) -> Outcome {
    match &item.decision {
        Decision::Copy => Outcome::Copied,
        Decision::Companions => Outcome::CompanionsCopied,
        Decision::UpToDate => Outcome::UpToDate,
        Decision::Move => Outcome::Moved,
        Decision::Conflict => Outcome::Conflict(Cause {
            side: Side::Target,
            operation: "write the tag".into(),
            reference: item.target.to_string(),
            kind: CauseKind::Failure,
            message: "it has another digest".to_owned(),
        }),
        Decision::Blocked(cause) => Outcome::Blocked(cause.clone()),
        Decision::Deferred(cause) => Outcome::Deferred(cause.clone()),
    }
}

fn warnings() -> Vec<Diagnostic> {
    vec![
        Diagnostic {
            location: location(21),
            message: "`alpine` has neither tag nor digest: it is read as `alpine:latest`, which changes; name a tag"
                .to_owned(),
        },
        Diagnostic {
            location: location(30),
            message: "`amd64Only` is accepted and changes nothing: single images are copied as they are".to_owned(),
        },
    ]
}

fn rich_items() -> Vec<Item> {
    let mut items = to_copy();
    items.extend(there());
    items.extend(in_the_way());
    for (line, item) in (4..).step_by(2).zip(&mut items) {
        item.location.line = line;
    }
    items
}

fn to_copy() -> Vec<Item> {
    use CompanionKind::{Attestation, Sbom, Signature};
    let mut items = Vec::new();

    // 0: copied, with companions.
    let mut signed = item("bitnami/postgres-exporter", "0.8.0-debian-10-r28");
    let image = digest("bitnami/postgres-exporter:0.8.0-debian-10-r28");
    signed.companions = Some(vec![
        companion(Signature, "cosign", 1, image.clone()),
        companion(Attestation, "cosign", 2, image.clone()),
        companion(Sbom, "SPDX", 1, image),
    ]);
    signed.bytes = Some(72_600_000);
    items.push(signed);

    // 1: an unsigned single image of a deep repository.
    let mut deep = item_from(
        "europe-docker.pkg.dev",
        "kyma-project/prod/external/kubernetes-sigs/cluster-api/aws/controller",
        "europe-docker.pkg.dev/kyma-project/prod/external/kubernetes-sigs/cluster-api/aws/controller",
        "v2.9.1-20260101-0f3c9a7",
    );
    deep.media_type = Some(MediaType::DOCKER_MANIFEST);
    deep.platforms = platforms(&["linux/amd64"]);
    deep.bytes = Some(210_004_200);
    items.push(deep);

    // 2: only some platforms.
    let mut derived = item_from("quay.io", "org/tool", "tools/tool", "v2");
    derived.digest = Some(digest("a smaller index"));
    derived.platforms = platforms(&["linux/amd64"]);
    derived.remarks.push(Remark {
        kind: RemarkKind::PlatformsLeftOut,
        message:
            "a smaller index is made, without linux/arm64, linux/s390x; signatures of the original index \
                  do not cover it"
                .to_owned(),
    });
    items.push(derived);
    items
}

fn there() -> Vec<Item> {
    let mut items = Vec::new();

    // 3: only companions are missing.
    let mut late = item("library/busybox", "1.36.1");
    late.decision = Decision::Companions;
    late.target_digest.clone_from(&late.digest);
    late.companions =
        Some(vec![companion(CompanionKind::Signature, "notation", 1, digest("library/busybox:1.36.1"))]);
    late.bytes = Some(2_100_000);
    items.push(late);

    // 4: up to date.
    let mut there = item_from("gcr.io", "distroless/static", "gcr.io/distroless/static", "nonroot");
    there.decision = Decision::UpToDate;
    there.target_digest.clone_from(&there.digest);
    there.bytes = None;
    items.push(there);

    // 5: up to date, and gone from its source.
    let mut gone = item("vanished/app", "0.9");
    gone.decision = Decision::UpToDate;
    gone.target_digest = Some(digest("what is left of it"));
    (gone.source_digest, gone.digest, gone.bytes, gone.companions) = (None, None, None, None);
    gone.platforms.clear();
    gone.remarks.push(Remark {
        kind: RemarkKind::SourceGone,
        message: "source is gone: docker.io answers 404; the target keeps what it has".to_owned(),
    });
    items.push(gone);

    // 6: a tag that the policy lets move.
    let mut moving = item("library/alpine", "latest");
    moving.decision = Decision::Move;
    moving.target_digest = Some(digest("alpine of last week"));
    moving.bytes = Some(3_600_000);
    items.push(moving);
    items
}

fn in_the_way() -> Vec<Item> {
    let mut items = Vec::new();

    // 7: a conflict.
    let mut conflict = item("library/nginx", "1.25.3");
    conflict.decision = Decision::Conflict;
    conflict.target_digest = Some(digest("nginx as it was"));
    conflict.companions = None;
    conflict.bytes = Some(68_000_000);
    items.push(conflict);

    // 8: blocked by the policy.
    let mut unsigned = item_from("ghcr.io", "someone/unsigned", "ghcr.io/someone/unsigned", "3");
    unsigned.decision = Decision::Blocked(Cause {
        side: Side::Source,
        operation: "mirror".into(),
        reference: "ghcr.io/someone/unsigned:3".to_owned(),
        kind: CauseKind::Policy,
        message: "no signature of it was found, and `--signatures require` wants one".to_owned(),
    });
    items.push(unsigned);

    // 9, 10, 11: failed, copied and not run in a sync.
    items.push(item_from(
        "quay.io",
        "prometheus/node-exporter",
        "quay.io/prometheus/node-exporter",
        "v1.8.2",
    ));
    items.push(item("grafana/grafana", "11.2.0"));
    items.push(item("library/redis", "7.4"));

    // 12: blocked, with hostile words from a registry.
    let mut hostile = item("evil/app", "1");
    hostile.decision = Decision::Blocked(Cause {
        side: Side::Source,
        operation: "read the manifest of".into(),
        reference: "docker.io/evil/app:1".to_owned(),
        kind: CauseKind::Failure,
        message: hostile_words().to_owned(),
    });
    (hostile.source_digest, hostile.digest, hostile.bytes, hostile.companions) = (None, None, None, None);
    hostile.media_type = None;
    hostile.platforms = vec![Platform {
        os: "li|nux".to_owned(),
        architecture: "<b>@team</b>".to_owned(),
        variant: None,
        os_version: None,
    }];
    items.push(hostile);
    items
}

/// What a registry might answer to hurt a reader.
pub(super) const fn hostile_words() -> &'static str {
    "a | b `c` <!-- d --> @team #12 \u{1b}[31m\r\n::error::x\n##[error]y ![i](http://x.example/i.png) \
     [l](http://x.example) https://x.example www.x.example a@b.example <img src=x onerror=alert(1)> \
     <script>alert(1)</script> </details> \u{202e}gnp"
}

/// The schema of a document in the repository is the one that the program has.
pub(crate) fn schema_is_current(name: &str, schema: &serde_json::Value) {
    let path = format!("{}/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let current = format!("{}\n", serde_json::to_string_pretty(schema).expect("a schema"));
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &current).expect("written");
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(checked_in, current, "run the tests with UPDATE_SCHEMAS=1 and commit the schema");
}
