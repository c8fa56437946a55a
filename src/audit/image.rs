//! One entry of the list: its tag at the target, the image behind it, and what the policy says of both.

use super::companions::Companionship;
use super::finding::{Check, Finding, Kind, RemarkKind};
use super::shelf::Shelf;
use super::whole::{Seen, Walk, taken};
use crate::config::{Config, Entry};
use crate::fault::cause;
use crate::inspect::of_single;
use crate::oci::{Digest, ManifestRef, RawManifest, derive_index};
use crate::plan::{Cause, Side, may_move};
use crate::policy::Policy;
use crate::store::{Source, Sources, StoreError, StoreErrorKind};

/// What an audit goes by, and whom it asks.
#[derive(Clone, Copy)]
pub(super) struct Auditor<'a> {
    pub(super) config: &'a Config,
    pub(super) policy: &'a Policy,
    pub(super) sources: &'a Sources,
    pub(super) target: &'a dyn Source,
    pub(super) shelf: &'a Shelf<'a>,
}

/// What a source says of the digest that belongs at the target.
enum Wanted {
    /// This one, and no other, since the list says so.
    Listed(Digest),
    /// This one today.
    Today(Digest),
    /// It does not have the image.
    Gone,
    /// It was not asked, or did not answer.
    Unknown,
}

impl Auditor<'_> {
    /// Looks at an entry. What goes wrong is in what comes back.
    pub(super) async fn check(self, entry: &Entry) -> Check {
        let mut check = Check::of(entry);
        check.is_seen = true;
        let refusal = self.policy.allows(&entry.source).err();
        let reference = ManifestRef::Tag(entry.target.tag.clone());
        let there = match self.target.resolve(&entry.target.repository, &reference).await {
            Ok(there) => there.map(|descriptor| descriptor.digest),
            Err(error) => {
                check.fail(cause(Side::Target, error));
                return check;
            }
        };
        if let Some(refusal) = &refusal {
            let stands = if there.is_some() { "has it" } else { "does not have it" };
            check.find(Finding {
                kind: Kind::NotAllowed,
                part: None,
                expected: None,
                found: there.clone(),
                message: format!("the policy does not allow {}, and the target {stands}", entry.source),
                advice: refusal.to_string(),
            });
        }
        let Some(found) = there else {
            if refusal.is_none() {
                check.expected = entry.source.digest.clone().filter(|_| entry.platforms.is_empty());
                check.find(missing(check.expected.clone()));
            }
            return check;
        };
        check.found = Some(found.clone());
        let root = self.root(entry, &found, &mut check).await;
        let source = if refusal.is_none() { self.source(entry) } else { None };
        self.compare(entry, source, &found, root.as_ref(), &mut check).await;
        if let Some(root) = root {
            let walk = Walk {
                target: self.target,
                shelf: self.shelf,
                repository: &entry.target.repository,
                reference: entry.target.to_string(),
                root_name: None,
            };
            let seen = walk.go(&root, &mut check).await;
            self.check_platforms(entry, &root, &seen, &mut check).await;
            let mut subjects = seen.digests;
            // What belongs to the image may name it by the digest of another algorithm, as the list does.
            let listed =
                check.expected.clone().filter(|digest| *digest != root.digest && root.has_digest(digest));
            subjects.extend(listed);
            let companions = Companionship { auditor: self, entry, source, image: &root.digest, subjects };
            companions.check(&mut check).await;
        }
        check.findings.sort_by(|one, other| (one.kind, &one.part).cmp(&(other.kind, &other.part)));
        check.remarks.sort_by(|one, other| (one.kind, &one.message).cmp(&(other.kind, &other.message)));
        check
    }

    fn source(&self, entry: &Entry) -> Option<&dyn Source> {
        self.sources.get(&entry.source.registry).map(AsRef::as_ref)
    }

    /// The manifest that the tag stands for.
    async fn root(self, entry: &Entry, found: &Digest, check: &mut Check) -> Option<RawManifest> {
        let repository = &entry.target.repository;
        let read = self.target.manifest(repository, &found.clone().into()).await;
        taken(read, found, None, check)
    }

    /// Holds what the tag has against what the list says, or the source says today.
    async fn compare(
        self,
        entry: &Entry,
        source: Option<&dyn Source>,
        found: &Digest,
        root: Option<&RawManifest>,
        check: &mut Check,
    ) {
        let is = |wanted: &Digest| wanted == found || root.is_some_and(|root| root.has_digest(wanted));
        match self.wanted(entry, source, check).await {
            Wanted::Listed(wanted) => {
                check.expected = Some(wanted.clone());
                if !is(&wanted) {
                    check.find(self.moved(entry, &wanted, found));
                }
            }
            Wanted::Today(wanted) if is(&wanted) => check.expected = Some(wanted),
            Wanted::Today(wanted) => {
                let then = if may_move(self.config, self.policy, entry) {
                    "the policy lets a sync move it"
                } else {
                    "what was mirrored stays; `image-syncer pin` makes the list say which of the two is meant"
                };
                let message = format!(
                    "the source's tag has {wanted} today, the target's has {found}: the one or the other has changed \
                     since it was mirrored, and {then}"
                );
                check.remark(RemarkKind::SourceMoved, message);
            }
            Wanted::Gone => {
                let message =
                    "the source does not have it any more: nothing tells whether the target's is right";
                check.remark(RemarkKind::SourceGone, message.to_owned());
            }
            Wanted::Unknown => {}
        }
    }

    /// The digest that belongs at the target. The source is asked only where the list does not say it.
    async fn wanted(self, entry: &Entry, source: Option<&dyn Source>, check: &mut Check) -> Wanted {
        let pinned = entry.source.digest.as_ref();
        if let Some(pinned) = pinned.filter(|_| entry.platforms.is_empty()) {
            return Wanted::Listed(pinned.clone());
        }
        let Some(source) = source else { return Wanted::Unknown };
        let (repository, reference) = (&entry.source.repository, entry.source.manifest_ref());
        let digest = if entry.platforms.is_empty() {
            let found = source.resolve(repository, &reference).await;
            found.map(|found| found.map(|descriptor| descriptor.digest))
        } else {
            let root = source.manifest(repository, &reference).await;
            root.and_then(|root| root.map(|root| smaller(entry, &root)).transpose())
        };
        match (digest, pinned) {
            (Ok(Some(digest)), Some(_)) => Wanted::Listed(digest),
            (Ok(Some(digest)), None) => Wanted::Today(digest),
            (Ok(None), _) => Wanted::Gone,
            (Err(error), _) => {
                check.fail(named(entry, cause(Side::Source, error)));
                Wanted::Unknown
            }
        }
    }

    fn moved(self, entry: &Entry, wanted: &Digest, found: &Digest) -> Finding {
        let advice = if may_move(self.config, self.policy, entry) {
            "a sync moves the tag to it, as the policy lets it".to_owned()
        } else {
            format!(
                "find out who wrote it and what it is; no sync overwrites it: delete {} at the target and sync again, \
                 or give the entry a new `tag`",
                entry.target
            )
        };
        Finding {
            kind: Kind::Moved,
            part: None,
            expected: Some(wanted.clone()),
            found: Some(found.clone()),
            message: format!("the tag has {found}, and the list wants {wanted}"),
            advice,
        }
    }

    /// Whether the image is for all platforms that the policy requires today.
    async fn check_platforms(self, entry: &Entry, root: &RawManifest, seen: &Seen, check: &mut Check) {
        if !self.policy.requires_platforms() {
            return;
        }
        let Ok(parsed) = root.parse() else { return };
        let platforms = if parsed.media_type.is_index() {
            Ok(Some(seen.platforms.clone()))
        } else {
            of_single(self.target, &entry.target.repository, &parsed).await
        };
        let available = match platforms {
            Ok(Some(platforms)) => platforms,
            // An artifact runs on nothing.
            Ok(None) => return,
            // What is missing or wrong was found already.
            Err(error) if matches!(error.kind, StoreErrorKind::NotFound | StoreErrorKind::Corrupt) => return,
            Err(error) => return check.fail(cause(Side::Target, error)),
        };
        if let Err(refusal) = self.policy.accepts_platforms(&available, !entry.platforms.is_empty()) {
            check.find(Finding {
                kind: Kind::NotAllowed,
                part: None,
                expected: None,
                found: Some(root.digest.clone()),
                message: "the image lacks a platform that the policy requires".to_owned(),
                advice: refusal.to_string(),
            });
        }
    }
}

fn missing(expected: Option<Digest>) -> Finding {
    Finding {
        kind: Kind::Missing,
        part: None,
        expected,
        found: None,
        message: "the tag is not there".to_owned(),
        advice: "sync, which copies the image; if it was mirrored before, find out who deleted it".to_owned(),
    }
}

/// The digest of what `platforms` make of an image.
fn smaller(entry: &Entry, root: &RawManifest) -> Result<Digest, StoreError> {
    let unsupported =
        |message: String| StoreError::new("mirror", &entry.source, StoreErrorKind::Unsupported, message);
    let parsed = root.parse().map_err(|error| unsupported(error.to_string()))?;
    if !parsed.media_type.is_index() {
        return Ok(root.digest.clone());
    }
    let index = derive_index(root, &entry.platforms).map_err(|error| unsupported(error.to_string()))?;
    Ok(index.digest)
}

/// A part of an image is named without its registry; here it is known.
pub(super) fn named(entry: &Entry, mut cause: Cause) -> Cause {
    let source = &entry.source;
    if cause.side == Side::Source && cause.reference.starts_with(source.repository.as_str()) {
        cause.reference = format!("{}/{}", source.registry, cause.reference);
    }
    cause
}
