//! What belongs to an image without being part of it: whether the target has what the source has, and has it whole.
//!
//! The target is asked for what it has by itself, so that the companions of an image whose source is gone are looked
//! at, too. A look-up that fails is a failure; it never means "there are none".

use super::finding::{Check, Finding, Kind, RemarkKind};
use super::image::{Auditor, named};
use super::whole::{Walk, taken};
use crate::config::{Entry, Signatures};
use crate::oci::{Digest, ManifestRef};
use crate::plan::{Cause, Companion, CompanionKind, CompanionPlace, Side, Standing};
use crate::store::Source;
use crate::trust::{Sides, companions};

/// The companions of one entry's image.
pub(super) struct Companionship<'a> {
    pub(super) auditor: Auditor<'a>,
    pub(super) entry: &'a Entry,
    /// Where the image comes from, if that may be asked.
    pub(super) source: Option<&'a dyn Source>,
    /// The image at the target.
    pub(super) image: &'a Digest,
    /// The image and its children.
    pub(super) subjects: Vec<Digest>,
}

impl Companionship<'_> {
    pub(super) async fn check(&self, check: &mut Check) {
        let signatures = self.auditor.config.signatures;
        if signatures == Signatures::Skip {
            return;
        }
        let target = self.auditor.target;
        let sides = Sides {
            source: target,
            source_repository: &self.entry.target.repository,
            believes_lists: signatures != Signatures::Require,
            source_tag: Some(&self.entry.target.tag),
            image: self.image,
            target: Some(target),
            target_repository: &self.entry.target.repository,
            at_target: true,
        };
        match companions(sides, self.subjects.clone()).await {
            Ok(there) => self.check_what_is_there(&there, check).await,
            Err(cause) => check.fail(Cause { side: Side::Target, ..cause }),
        }
        let Some(source) = self.source else { return };
        let sides = Sides {
            source,
            source_repository: &self.entry.source.repository,
            source_tag: self.entry.source.tag.as_ref().filter(|_| self.entry.source.digest.is_none()),
            ..sides
        };
        match companions(sides, self.subjects.clone()).await {
            Ok(wanted) => wanted.iter().for_each(|companion| compare(companion, check)),
            Err(cause) => check.fail(named(self.entry, cause)),
        }
    }

    async fn check_what_is_there(&self, there: &[Companion], check: &mut Check) {
        for companion in there {
            let name = name_of(companion);
            let repository = &self.entry.target.repository;
            let walk = Walk {
                target: self.auditor.target,
                shelf: self.auditor.shelf,
                repository,
                reference: format!("{repository}@{}", companion.digest),
                root_name: Some(name.clone()),
            };
            let reference = match &companion.place {
                CompanionPlace::Tag(tag) => ManifestRef::Tag(tag.clone()),
                CompanionPlace::Referrer => companion.digest.clone().into(),
            };
            let read = self.auditor.target.manifest(repository, &reference).await;
            if let Some(root) = taken(read, &companion.digest, Some(&name), check) {
                walk.go(&root, check).await;
            }
        }
        let signs = |companion: &Companion| {
            companion.kind == CompanionKind::Signature
                && (companion.subject == *self.image || check.expected.as_ref() == Some(&companion.subject))
        };
        if self.auditor.config.signatures == Signatures::Require && !there.iter().any(signs) {
            check.find(Finding {
                kind: Kind::Unsigned,
                part: None,
                expected: None,
                found: Some(self.image.clone()),
                message: "the target has no signature of the image, and `--signatures require` wants one".to_owned(),
                advice: "sync, which copies the source's; if the source has none, ask its publisher to sign the image"
                    .to_owned(),
            });
        }
    }
}

fn name_of(companion: &Companion) -> String {
    format!("the {} {}", kind_of(companion), companion.digest.short())
}

fn kind_of(companion: &Companion) -> &'static str {
    match companion.kind {
        CompanionKind::Other => "referrer",
        kind => kind.word(),
    }
}

/// Holds a companion of the source against the target.
fn compare(companion: &Companion, check: &mut Check) {
    let kind = kind_of(companion);
    let (digest, subject) = (&companion.digest, &companion.subject);
    match &companion.standing {
        Standing::Missing | Standing::Unknown => check.find(Finding {
            kind: Kind::CompanionMissing,
            part: Some(name_of(companion)),
            expected: Some(digest.clone()),
            found: None,
            message: format!("the source has the {kind} {digest} of {subject}, and the target does not"),
            advice: "sync, which copies it".to_owned(),
        }),
        Standing::Grows { from } => check.find(Finding {
            kind: Kind::CompanionMissing,
            part: Some(name_of(companion)),
            expected: Some(digest.clone()),
            found: Some(from.clone()),
            message: format!("the source has more in the {kind} of {subject} than the target"),
            advice: "sync, which adds it".to_owned(),
        }),
        Standing::Differs { found } => {
            let tag = match &companion.place {
                CompanionPlace::Tag(tag) => tag.to_string(),
                CompanionPlace::Referrer => digest.to_string(),
            };
            check.find(Finding {
                kind: Kind::CompanionDiffers,
                part: Some(name_of(companion)),
                expected: Some(digest.clone()),
                found: Some(found.clone()),
                message: format!("the tag {tag} at the target holds another {kind} than the source"),
                advice: format!(
                    "compare the two, and delete {tag} at the target if it is not wanted; then sync again"
                ),
            });
        }
        Standing::Gone => check.remark(
            RemarkKind::CompanionGone,
            format!("the source lists the {kind} {digest} and does not have it"),
        ),
        Standing::Present => {}
    }
}
