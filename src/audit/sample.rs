//! An audit with something of each kind, and one of a target that is sound.

use std::sync::Arc;
use std::time::Duration;

use super::finding::{Check, Finding, Kind, RemarkKind};
use super::{Asked, Audit, Known, Stray, Unlisted};
use crate::config::{Location, Signatures, Target};
use crate::oci::Digest;
use crate::plan::{Cause, Side};

fn target(repository: &str, tag: &str) -> Target {
    Target {
        root: "registry.example.com/".into(),
        repository: format!("mirror/{repository}").parse().expect("a repository"),
        tag: tag.parse().expect("a tag"),
    }
}

fn check(line: u32, tag: &str) -> Check {
    let digest = Digest::sha256(tag.as_bytes());
    Check {
        location: Location { file: Arc::from("::error::list.yaml"), line, column: 13 },
        source: crate::oci::Reference {
            registry: "quay.io".parse().expect("a registry"),
            repository: "team/app".parse().expect("a repository"),
            tag: Some(tag.parse().expect("a tag")),
            digest: None,
        },
        target: target("team/app", tag),
        expected: Some(digest.clone()),
        found: Some(digest),
        is_seen: true,
        manifests: 3,
        blobs: 7,
        findings: Vec::new(),
        more_findings: 0,
        remarks: Vec::new(),
        failures: Vec::new(),
    }
}

fn finding(kind: Kind, part: Option<&str>, message: &str) -> Finding {
    Finding {
        kind,
        part: part.map(str::to_owned),
        expected: Some(Digest::sha256(b"expected")),
        found: None,
        message: message.to_owned(),
        advice: "sync, and ask @team".to_owned(),
    }
}

fn failure() -> Cause {
    let message = "the registry said \u{1b}[31m\n::error::no".to_owned();
    Cause::failure(
        Side::Target,
        "read manifest",
        "registry.example.com/mirror/team/app:5".to_owned(),
        message,
    )
}

pub(super) fn audit() -> Audit {
    let mut broken = check(2, "1");
    let digest = Digest::sha256(b"layer");
    let message = format!("the blob {digest}, of 12 bytes, is not there");
    broken.find(finding(Kind::BlobMissing, Some("layer 2 of linux/arm64"), &message));
    broken.find(finding(Kind::Corrupt, Some("config of <script>::error::"), "the blob has other bytes"));
    broken.more_findings = 4;
    let mut moved = check(3, "2");
    moved.find(finding(Kind::Moved, None, "the tag has another digest"));
    moved.fail(failure());
    let mut remarked = check(4, "3");
    remarked.remark(RemarkKind::SourceMoved, "the source's tag has another digest today".to_owned());
    let mut failed = check(5, "5");
    failed.fail(failure());
    let unlisted = Unlisted {
        catalog: Known::All(2),
        repositories: 2,
        tags: 9,
        strays: vec![
            Stray { target: target("old/app", "9"), digest: None, in_listed_repository: false },
            Stray {
                target: target("team/app", "0"),
                digest: Some(Digest::sha256(b"0")),
                in_listed_repository: true,
            },
        ],
        more_strays: 3,
        failures: vec![failure()],
        is_whole: true,
    };
    Audit {
        checks: vec![check(1, "0"), broken, moved, remarked, failed],
        unlisted: Some(unlisted),
        asked: Asked { deep: true, unlisted: true },
        bytes_read: 1234,
        ..sound()
    }
}

pub(super) fn sound() -> Audit {
    Audit {
        prefix: "registry.example.com/mirror/".parse().expect("a prefix"),
        signatures: Signatures::Skip,
        asked: Asked::default(),
        checks: vec![check(1, "0")],
        unlisted: None,
        bytes_read: 0,
        duration: Duration::from_millis(1234),
        interruption: None,
        warnings: Vec::new(),
    }
}
