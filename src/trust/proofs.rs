//! The proofs of an image: what a registry has of its signatures and attestations, as bytes.
//!
//! They are read here and not believed: what they are worth is for `verify` to say. A look-up that fails is an error and
//! never "there is none". Bounded in number and in bytes, for one image and for all that are held at a time.
//! (cosign's `SIGNATURE_SPEC.md`; sigstore bundles as OCI 1.1 referrers.)

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::kind::of_referrer;
use crate::oci::{Descriptor, Digest, Manifest, ManifestRef, RawManifest, Repository, Tag};
use crate::plan::CompanionKind;
use crate::store::{Source, StoreError, StoreErrorKind, verified};
use crate::verify::{Found, LARGEST_PROOF, MOST_PROOFS, Proof};

/// The most bytes of all proofs of an image, and of all that are held at a time.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Room is given in pieces of so many bytes.
const PIECE: u64 = 1024;

/// So many referrers and layers are read at a time.
const AT_A_TIME: usize = 16;

/// A place that may have proofs.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The store.
    pub store: &'a dyn Source,
    /// The image's repository there.
    pub repository: &'a Repository,
}

/// Which proofs matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds {
    pub(super) signatures: bool,
    pub(super) attestations: bool,
}

/// A proof that is listed, and not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Which manifest has it, for people.
    at: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Cosign(Descriptor),
    Envelope(Descriptor),
    Bundle(Descriptor),
    Unsupported(String),
}

impl Form {
    const fn layer(&self) -> Option<&Descriptor> {
        match self {
            Self::Cosign(layer) | Self::Envelope(layer) | Self::Bundle(layer) => Some(layer),
            Self::Unsupported(_) => None,
        }
    }
}

/// Proofs that were read, and the room that they take until they are dropped.
#[derive(Debug)]
pub(super) struct Proofs<'a> {
    /// The proofs.
    pub(super) found: Vec<Found>,
    _room: SemaphorePermit<'a>,
}

/// The room for the proofs of all images that are looked at together.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(pieces(MOST_BYTES)))
    }
}

fn pieces(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(PIECE)).unwrap_or(usize::MAX)
}

/// Lists the proofs that a place has of `subject`.
///
/// # Errors
/// A look-up failed, or there are more than any image has that is in order.
pub(super) async fn list(
    place: Place<'_>,
    subject: &Digest,
    kinds: Kinds,
) -> Result<Vec<Listed>, StoreError> {
    let (signed, attested, referring) = tokio::try_join!(
        place.tagged(subject, ".sig", kinds.signatures),
        place.tagged(subject, ".att", kinds.attestations),
        place.referring(subject, kinds),
    )?;
    let all: Vec<Listed> = signed.into_iter().chain(attested).chain(referring).collect();
    place.check(&all)?;
    Ok(all)
}

/// Reads proofs, each from the place with its number. Waits until there is room for all of them.
///
/// # Errors
/// One could not be read, or together they are too large: at which place.
pub(super) async fn read<'a>(
    places: &[Place<'_>],
    listed: &[(usize, Listed)],
    room: &'a Room,
) -> Result<Proofs<'a>, (usize, StoreError)> {
    let all = || listed.iter().map(|(_, listed)| listed);
    if let Some((number, _)) = listed.last() {
        places[*number].check(all()).map_err(|error| (*number, error))?;
    }
    let wanted = u32::try_from(pieces(size(all()))).unwrap_or(u32::MAX);
    let permit = room.0.acquire_many(wanted).await.map_err(|error| {
        (0, StoreError::new("read", "signatures", StoreErrorKind::Other, error.to_string()))
    })?;
    let reading = listed.iter().map(|(number, listed)| async move {
        places[*number].read(listed).await.map_err(|error| (*number, error))
    });
    let found = futures::stream::iter(reading).buffered(AT_A_TIME).try_collect().await?;
    Ok(Proofs { found, _room: permit })
}

fn size<'a>(listed: impl IntoIterator<Item = &'a Listed>) -> u64 {
    let layers = listed.into_iter().filter_map(|listed| listed.form.layer());
    // What a manifest says of a layer beside its digest is held as well.
    layers.map(|layer| layer.size.saturating_add(noted(layer))).fold(0, u64::saturating_add)
}

fn noted(layer: &Descriptor) -> u64 {
    layer.annotations.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
}

impl Place<'_> {
    /// Fails if there is more than any image has that is in order.
    fn check<'a>(self, listed: impl IntoIterator<Item = &'a Listed> + Clone) -> Result<(), StoreError> {
        let too_large = |message: String| {
            StoreError::new("read the signatures in", self.repository, StoreErrorKind::TooLarge, message)
        };
        if listed.clone().into_iter().count() > MOST_PROOFS {
            return Err(too_large(format!(
                "there are more than {MOST_PROOFS} of one image, which no image has that is in order"
            )));
        }
        let size = size(listed);
        if size > MOST_BYTES {
            return Err(too_large(format!(
                "those of one image have {size} bytes; {MOST_BYTES} are the most that is read of them"
            )));
        }
        Ok(())
    }

    /// What is under one of cosign's tags: each layer is one.
    async fn tagged(self, subject: &Digest, suffix: &str, matters: bool) -> Result<Vec<Listed>, StoreError> {
        let Some(tag) = Tag::cosign(subject, suffix).filter(|_| matters) else { return Ok(Vec::new()) };
        let Some(manifest) = self.store.manifest(self.repository, &ManifestRef::Tag(tag.clone())).await?
        else {
            return Ok(Vec::new());
        };
        let parsed = self.parsed(&manifest)?;
        let form: fn(Descriptor) -> Form = if suffix == ".sig" { Form::Cosign } else { Form::Envelope };
        let at = format!("tag {tag}");
        Ok(listed(&parsed, &at, form))
    }

    async fn referring(self, subject: &Digest, kinds: Kinds) -> Result<Vec<Listed>, StoreError> {
        let listed = self.store.referrers(self.repository, subject, None).await?;
        let matters = |referrer: &&Descriptor| {
            let known = of_referrer(referrer.artifact_type.as_deref(), &referrer.annotations);
            // Some registries list the type of the configuration, which says nothing.
            let may_be = matches!(known, Some((CompanionKind::Other, _))) || is_proof(known.as_ref(), kinds);
            referrer.media_type.is_manifest() && may_be
        };
        let listed: Vec<&Descriptor> = listed.iter().filter(matters).collect();
        if listed.len() > MOST_PROOFS {
            let message =
                format!("more than {MOST_PROOFS} refer to one image, which none has that is in order");
            let kind = StoreErrorKind::TooLarge;
            return Err(StoreError::new("read the signatures in", self.repository, kind, message));
        }
        let mut found = Vec::new();
        for some in listed.chunks(AT_A_TIME) {
            let some = some.iter().map(|referrer| self.referrer(subject, referrer, kinds));
            found.extend(try_join_all(some).await?.into_iter().flatten());
        }
        Ok(found)
    }

    async fn referrer(
        self,
        subject: &Digest,
        listed: &Descriptor,
        kinds: Kinds,
    ) -> Result<Vec<Listed>, StoreError> {
        let at = format!("referrer {}", listed.digest.short());
        let unsupported =
            |what: &str| vec![Listed { at: at.clone(), form: Form::Unsupported(what.to_owned()) }];
        let reference = ManifestRef::Digest(listed.digest.clone());
        let Some(manifest) = self.store.manifest(self.repository, &reference).await? else {
            return Ok(unsupported("the registry lists it and does not have it"));
        };
        let parsed = self.parsed(&manifest)?;
        if parsed.subject.as_ref().is_none_or(|named| named.digest != *subject) {
            return Ok(Vec::new());
        }
        let known = of_referrer(parsed.artifact_type.as_deref(), &parsed.annotations);
        if !is_proof(known.as_ref(), kinds) {
            return Ok(Vec::new());
        }
        let form: fn(Descriptor) -> Form = match known.as_ref().map(|(kind, format)| (*kind, format.as_str()))
        {
            Some((CompanionKind::Signature, "cosign")) => Form::Cosign,
            Some((CompanionKind::Attestation, "cosign")) => Form::Envelope,
            Some((_, "notation")) => {
                return Ok(unsupported("a notation signature, which is not checked here"));
            }
            _ if is_bundle(parsed.artifact_type.as_deref()) => Form::Bundle,
            _ => return Ok(Vec::new()),
        };
        Ok(self::listed(&parsed, &at, form))
    }

    async fn read(self, listed: &Listed) -> Result<Found, StoreError> {
        let annotations = |layer: &Descriptor| layer.annotations.clone();
        let proof = match &listed.form {
            Form::Unsupported(what) => Proof::Unsupported(what.clone()),
            Form::Bundle(layer) => Proof::Bundle(self.bytes(layer).await?),
            Form::Cosign(layer) => {
                Proof::Cosign { payload: self.bytes(layer).await?, annotations: annotations(layer) }
            }
            Form::Envelope(layer) => {
                Proof::Envelope { envelope: self.bytes(layer).await?, annotations: annotations(layer) }
            }
        };
        Ok(Found { place: listed.at.clone(), proof })
    }

    async fn bytes(self, layer: &Descriptor) -> Result<Vec<u8>, StoreError> {
        let reference = format!("{}@{}", self.repository, layer.digest);
        let mut stream = verified(self.store.blob(self.repository, layer).await?, layer, reference);
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }

    fn parsed(self, manifest: &RawManifest) -> Result<Manifest, StoreError> {
        manifest.parse().map_err(|error| {
            let reference = format!("{}@{}", self.repository, manifest.digest);
            StoreError::new("read manifest", reference, StoreErrorKind::Unsupported, error.to_string())
        })
    }
}

/// Whether it can be a proof that matters; what only its manifest or its content can tell, can.
fn is_proof(known: Option<&(CompanionKind, String)>, kinds: Kinds) -> bool {
    match known {
        None => true,
        Some((CompanionKind::Signature, _)) => kinds.signatures,
        Some((CompanionKind::Attestation, format)) => {
            kinds.attestations && matches!(format.as_str(), "cosign" | "sigstore bundle")
        }
        Some((CompanionKind::Sbom | CompanionKind::Other, _)) => false,
    }
}

fn is_bundle(artifact_type: Option<&str>) -> bool {
    artifact_type.is_some_and(|text| text.starts_with("application/vnd.dev.sigstore.bundle"))
}

/// The layers of a manifest, each as a proof, with nothing of their descriptors but what says something of a signature.
fn listed(manifest: &Manifest, at: &str, form: fn(Descriptor) -> Form) -> Vec<Listed> {
    let listed = |layer: &Descriptor| {
        let form = if layer.size > LARGEST_PROOF as u64 {
            Form::Unsupported(format!(
                "it has {} bytes; {LARGEST_PROOF} are the most that is read",
                layer.size
            ))
        } else {
            form(Descriptor {
                annotations: layer.annotations.clone(),
                ..Descriptor::new(layer.media_type.clone(), layer.digest.clone(), layer.size)
            })
        };
        Listed { at: at.to_owned(), form }
    };
    manifest.layers().iter().map(listed).collect()
}
