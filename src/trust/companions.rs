//! Finding the companions of an image, and how the target stands with them.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::try_join_all;

use super::kind::{COSIGN_TAGS, of_referrer};
use crate::fault::cause;
use crate::oci::{Descriptor, Digest, Manifest, ManifestRef, RawManifest, Repository, Tag};
use crate::plan::{Cause, Companion, CompanionKind, CompanionPlace, Side, Standing};
use crate::store::{Source, StoreError, StoreErrorKind, Tags};
use crate::walk::walk;

/// More companions of one image than this are taken for an attack, or for a mistake.
const MOST: usize = 1000;

/// Companions of companions of companions: at most so far from the image.
const FARTHEST: usize = 8;

/// So many subjects are asked about at a time.
const AT_A_TIME: usize = 16;

/// Where an image comes from and where it goes.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// The source.
    pub source: &'a dyn Source,
    /// The image's repository at the source.
    pub source_repository: &'a Repository,
    /// Whether a list of all the source's tags may stand in for asking for each companion tag.
    pub believes_lists: bool,
    /// A tag that the source's repository is known to have: a tag list without it is not believed.
    pub source_tag: Option<&'a Tag>,
    /// The image itself.
    pub image: &'a Digest,
    /// The target, unless it cannot be read.
    pub target: Option<&'a dyn Source>,
    /// The image's repository at the target.
    pub target_repository: &'a Repository,
    /// Whether the target has the image, so that it may have companions, too.
    pub at_target: bool,
}

/// All companions of `subjects`, an image and its children: nearest first.
pub async fn companions(sides: Sides<'_>, subjects: Vec<Digest>) -> Result<Vec<Companion>, Cause> {
    let search = Search { sides, tags: sides.tags().await.map_err(at_source)? };
    let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
    let mut found: Vec<Companion> = Vec::new();
    let mut waiting = subjects;
    for _ in 0..FARTHEST {
        let mut next = Vec::new();
        for some in waiting.chunks(AT_A_TIME) {
            for companions in try_join_all(some.iter().map(|subject| search.of(subject))).await? {
                for companion in companions {
                    if companion.standing != Standing::Gone && seen.insert(companion.digest.clone()) {
                        next.push(companion.digest.clone());
                    }
                    found.push(companion);
                }
            }
            if found.len() > MOST {
                let message = format!("there are more than {MOST}, which no image has that is in order");
                return Err(at_source(sides.error(StoreErrorKind::TooLarge, message)));
            }
        }
        waiting = next;
        if waiting.is_empty() {
            return Ok(found);
        }
    }
    let message = format!("they refer to one another more than {FARTHEST} deep");
    Err(at_source(sides.error(StoreErrorKind::TooLarge, message)))
}

fn at_source(error: StoreError) -> Cause {
    cause(Side::Source, error)
}

fn at_target(error: StoreError) -> Cause {
    cause(Side::Target, error)
}

impl Sides<'_> {
    /// The source's tags, if they are all known: they stand in for asking for each companion tag.
    ///
    /// A cache lists what was asked of it before, which is the image and not what belongs to it. So where a list
    /// has no companion of any image, those of this one are asked for all the same; one that is there shows that
    /// the list is not whole.
    async fn tags(&self) -> Result<Option<Tags>, StoreError> {
        if !self.believes_lists {
            return Ok(None);
        }
        let Some(tags) = self.source.all_tags(self.source_repository).await? else { return Ok(None) };
        if self.source_tag.is_some_and(|tag| !tags.contains(tag)) {
            return Ok(None);
        }
        if tags.iter().any(|tag| tag.as_str().starts_with("sha256-")) {
            return Ok(Some(tags));
        }
        let cosign = COSIGN_TAGS.iter().filter_map(|(suffix, _)| Tag::cosign(self.image, suffix));
        let unlisted: Vec<ManifestRef> =
            cosign.chain([Tag::referrers_fallback(self.image)]).map(ManifestRef::Tag).collect();
        let asked = unlisted.iter().map(|tag| self.source.resolve(self.source_repository, tag));
        let found = try_join_all(asked).await?;
        Ok(found.iter().all(Option::is_none).then_some(tags))
    }

    fn error(&self, kind: StoreErrorKind, message: String) -> StoreError {
        StoreError::new("look up the companions in", self.source_repository, kind, message)
    }
}

struct Search<'a> {
    sides: Sides<'a>,
    tags: Option<Tags>,
}

impl Search<'_> {
    async fn of(&self, subject: &Digest) -> Result<Vec<Companion>, Cause> {
        let tagged = try_join_all(COSIGN_TAGS.map(|(suffix, kind)| self.tagged(subject, suffix, kind)));
        let (tagged, referrers) = tokio::try_join!(tagged, self.referrers(subject))?;
        Ok(tagged.into_iter().flatten().chain(referrers).collect())
    }

    /// What the source has under one of cosign's tags.
    async fn tagged(
        &self,
        subject: &Digest,
        suffix: &str,
        kind: CompanionKind,
    ) -> Result<Option<Companion>, Cause> {
        let Some(tag) = Tag::cosign(subject, suffix) else { return Ok(None) };
        if self.tags.as_ref().is_some_and(|tags| !tags.contains(&tag)) {
            return Ok(None);
        }
        let reference = ManifestRef::Tag(tag.clone());
        let Sides { source, source_repository, target, target_repository, .. } = self.sides;
        let there = match target {
            None => None,
            Some(target) => target.manifest(target_repository, &reference).await.map_err(at_target)?,
        };
        let found = match there {
            // It will be read in any case.
            None => {
                source.manifest(source_repository, &reference).await.map(|it| it.map(|it| it.descriptor()))
            }
            Some(_) => source.resolve(source_repository, &reference).await,
        };
        let Some(found) = found.map_err(at_source)? else { return Ok(None) };
        let mut companion = Companion {
            kind,
            format: "cosign".to_owned(),
            count: 1,
            subject: subject.clone(),
            place: CompanionPlace::Tag(tag),
            digest: found.digest.clone(),
            graph: None,
            standing: Standing::Missing,
        };
        if let Some(there) = there.as_ref().filter(|there| there.digest == found.digest) {
            companion.standing = Standing::Present;
            companion.count = holds(kind, there.parse().ok().as_ref());
            return Ok(Some(companion));
        }
        let Some(manifest) = self.fetch(&found.digest).await? else {
            companion.standing = Standing::Gone;
            return Ok(Some(companion));
        };
        let parsed = manifest.parse().map_err(|error| self.unreadable(&manifest, &error))?;
        companion.count = holds(kind, Some(&parsed));
        companion.standing = match there {
            _ if target.is_none() => Standing::Unknown,
            None => Standing::Missing,
            Some(there) => compare(kind, &parsed, &there),
        };
        if companion.is_to_copy() {
            companion.graph = Some(self.graph(&manifest).await?);
        }
        Ok(Some(companion))
    }

    /// The referrers that the source lists.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Companion>, Cause> {
        let Sides { source, source_repository, target, target_repository, at_target: there, .. } = self.sides;
        let listed =
            source.referrers(source_repository, subject, self.tags.as_deref()).await.map_err(at_source)?;
        let listed: Vec<Descriptor> =
            listed.into_iter().filter(|referrer| referrer.media_type.is_manifest()).collect();
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        let present: HashSet<Digest> = match target.filter(|_| there) {
            None => HashSet::new(),
            Some(target) => {
                let present = target.referrers(target_repository, subject, None).await.map_err(at_target)?;
                present.into_iter().map(|referrer| referrer.digest).collect()
            }
        };
        let mut found = Vec::new();
        for some in listed.chunks(AT_A_TIME) {
            let some = some.iter().map(|referrer| self.referrer(subject, referrer, &present));
            found.extend(try_join_all(some).await?.into_iter().flatten());
        }
        Ok(found)
    }

    /// A listed referrer; `None` if it turns out to refer to something else.
    async fn referrer(
        &self,
        subject: &Digest,
        listed: &Descriptor,
        present: &HashSet<Digest>,
    ) -> Result<Option<Companion>, Cause> {
        let known = of_referrer(listed.artifact_type.as_deref(), &listed.annotations);
        let is_present = present.contains(&listed.digest);
        let (kind, format) = known.clone().unwrap_or((CompanionKind::Other, "unknown".to_owned()));
        let mut companion = Companion {
            kind,
            format,
            count: 1,
            subject: subject.clone(),
            place: CompanionPlace::Referrer,
            digest: listed.digest.clone(),
            graph: None,
            standing: if is_present { Standing::Present } else { Standing::Missing },
        };
        if is_present && known.is_some() {
            return Ok(Some(companion));
        }
        let Some(manifest) = self.fetch(&listed.digest).await? else {
            if !is_present {
                companion.standing = Standing::Gone;
            }
            return Ok(Some(companion));
        };
        let parsed = manifest.parse().map_err(|error| self.unreadable(&manifest, &error))?;
        if parsed.subject.as_ref().is_none_or(|named| named.digest != *subject) {
            return Ok(None);
        }
        let artifact_type = parsed.artifact_type.as_deref();
        if let Some((kind, format)) = of_referrer(artifact_type, &parsed.annotations) {
            (companion.kind, companion.format) = (kind, format);
        }
        if self.sides.target.is_none() {
            companion.standing = Standing::Unknown;
        }
        if companion.is_to_copy() {
            companion.graph = Some(self.graph(&manifest).await?);
        }
        Ok(Some(companion))
    }

    async fn fetch(&self, digest: &Digest) -> Result<Option<RawManifest>, Cause> {
        let Sides { source, source_repository, .. } = self.sides;
        source.manifest(source_repository, &digest.clone().into()).await.map_err(at_source)
    }

    async fn graph(&self, manifest: &RawManifest) -> Result<Arc<crate::plan::Graph>, Cause> {
        let Sides { source, source_repository, .. } = self.sides;
        walk(source, source_repository, manifest).await.map(Arc::new).map_err(at_source)
    }

    fn unreadable(&self, manifest: &RawManifest, error: &dyn std::error::Error) -> Cause {
        let reference = format!("{}@{}", self.sides.source_repository, manifest.digest);
        Cause::failure(Side::Source, "read manifest", reference, error.to_string())
    }
}

/// How many signatures or attestations a cosign tag holds: one a layer.
fn holds(kind: CompanionKind, manifest: Option<&Manifest>) -> usize {
    match (kind, manifest) {
        (CompanionKind::Signature | CompanionKind::Attestation, Some(manifest)) => manifest.layers().len(),
        _ => 1,
    }
}

/// How a cosign tag of the target stands to the source's, where the two differ.
fn compare(kind: CompanionKind, source: &Manifest, target: &RawManifest) -> Standing {
    let differs = Standing::Differs { found: target.digest.clone() };
    if !matches!(kind, CompanionKind::Signature | CompanionKind::Attestation) {
        return differs;
    }
    let Ok(parsed) = target.parse() else { return differs };
    // The payload of all signatures of an image can be the same; what differs is in the annotations.
    let has_all =
        |one: &Manifest, other: &Manifest| other.layers().iter().all(|layer| one.layers().contains(layer));
    if has_all(&parsed, source) {
        Standing::Present
    } else if has_all(source, &parsed) {
        Standing::Grows { from: target.digest.clone() }
    } else {
        differs
    }
}
