//! What is known of the registries: stores in, [`Inventory`] out.
//!
//! Nothing is written here and nothing decided. A sync asks for as little as its decisions need; a plan
//! also asks for what a reader wants to know.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};
use serde::Deserialize;

use crate::config::{Config, Entry, Signatures};
use crate::event::{Event, Events};
use crate::fault::cause;
use crate::oci::{
    DeriveError, Descriptor, Digest, ManifestRef, Platform, RawManifest, Repository, derive_index,
};
use crate::plan::{
    Cause, Companions, Derived, Found, Graph, Inventory, Observation, Side, SourceState, TargetState,
};
use crate::store::{BlobStream, Source, Sources, StoreError, StoreErrorKind, verified};
use crate::trust::{Sides, companions};
use crate::walk::{digests, walk};

/// So many entries are looked at together. Each registry has its own limit of requests besides.
const AT_A_TIME: usize = 64;

/// An image configuration is read to learn its platform, and is never larger.
const CONFIG_LIMIT: u64 = 4 * 1024 * 1024;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What a sync has to know.
    Needed,
    /// What the reader of a plan wants to know as well: sizes and platforms of everything, and which
    /// bytes would have to move. A target that may not be read is no failure then.
    Full,
}

/// What was found out.
#[derive(Debug)]
pub struct Inspection {
    /// An observation for each entry.
    pub inventory: Inventory,
    /// The entries whose turn did not come before the run had to end.
    pub unseen: Vec<usize>,
}

/// Looks at all entries' images, on both sides, until `stop` completes.
pub async fn inspect(
    config: &Config,
    sources: &Sources,
    target: &Arc<dyn Source>,
    depth: Depth,
    events: &Events,
    stop: impl Future<Output = ()> + Clone,
) -> Inspection {
    events.tell(Event::InspectionStarted { entries: config.entries.len() });
    let observations: HashMap<usize, Observation> = stream::iter(config.entries.iter().enumerate())
        .map(|(index, entry)| async move {
            let look = Look { entry, signatures: config.signatures, target: target.as_ref(), depth };
            let observation = match sources.get(&entry.source.registry) {
                Some(source) => look.observe(source.as_ref()).await,
                None => look.unknown_registry(),
            };
            events.tell(Event::Inspected { entry: index });
            (index, observation)
        })
        .buffer_unordered(AT_A_TIME)
        .take_until(stop.clone())
        .collect()
        .await;
    let mut inspection = in_order(config, observations);
    if depth == Depth::Full {
        let present = present_blobs(config, &inspection.inventory, target.as_ref());
        let present = present.take_until(stop).collect().await;
        inspection.inventory.present_blobs = Some(present);
    }
    inspection
}

fn in_order(config: &Config, mut observations: HashMap<usize, Observation>) -> Inspection {
    let mut unseen = Vec::new();
    let ordered = config.entries.iter().enumerate().map(|(index, entry)| {
        observations.remove(&index).unwrap_or_else(|| {
            unseen.push(index);
            let message = "the run ended before its turn".to_owned();
            let cause = Cause::failure(Side::Source, "look at", entry.source.to_string(), message);
            observation(SourceState::Blocked(cause), TargetState::Absent)
        })
    });
    let observations = ordered.collect();
    Inspection { inventory: Inventory { observations, present_blobs: None }, unseen }
}

/// Which of the blobs that may have to move the target's repositories have.
fn present_blobs<'a>(
    config: &'a Config,
    inventory: &'a Inventory,
    target: &'a dyn Source,
) -> impl Stream<Item = (Repository, Digest)> + 'a {
    let mut wanted: HashMap<(&Repository, &Digest), &Descriptor> = HashMap::new();
    for (entry, observation) in config.entries.iter().zip(&inventory.observations) {
        let image = match observation.target {
            TargetState::Absent => observation.graph.as_ref(),
            _ => None,
        };
        let companions = match (&observation.companions, &observation.target) {
            (Companions::Found(companions), TargetState::Absent | TargetState::Present(_)) => {
                companions.as_slice()
            }
            _ => &[],
        };
        let graphs =
            image.into_iter().chain(companions.iter().filter_map(|companion| companion.graph.as_ref()));
        for blob in graphs.flat_map(|graph| graph.distinct_blobs()) {
            wanted.insert((&entry.target.repository, &blob.digest), blob);
        }
    }
    stream::iter(wanted)
        .map(move |((repository, _), blob)| async move {
            // What could not be asked counts as missing: the estimate errs on the larger side.
            let present = target.has_blob(repository, blob).await.unwrap_or(false);
            present.then(|| (repository.clone(), blob.digest.clone()))
        })
        .buffer_unordered(AT_A_TIME)
        .filter_map(std::future::ready)
}

/// One entry, being looked at.
#[derive(Clone, Copy)]
struct Look<'a> {
    entry: &'a Entry,
    signatures: Signatures,
    target: &'a dyn Source,
    depth: Depth,
}

/// What the source has, as it was read.
enum AtSource {
    State(SourceState),
    /// The image's digest, and its manifest if that was read.
    Image {
        found: Found,
        root: Option<RawManifest>,
    },
}

impl Look<'_> {
    fn unknown_registry(self) -> Observation {
        let registry = self.entry.source.registry.to_string();
        let cause = Cause::failure(Side::Source, "reach", registry, "no way to it was set up".to_owned());
        observation(SourceState::Blocked(cause), TargetState::Absent)
    }

    async fn observe(self, source: &dyn Source) -> Observation {
        let pinned = self.entry.source.digest.as_ref();
        if let Some(pinned) = pinned.filter(|_| self.entry.platforms.is_empty()) {
            let target = self.target_state().await;
            return self.observe_pinned(source, pinned, target).await;
        }
        // The target comes first: where it lacks the tag, the source's manifest is needed anyway, and one
        // request for it also says what the source's tag stands for.
        let target = self.target_state().await;
        match self.at_source(source, &target).await {
            AtSource::State(state) => observation(state, target),
            AtSource::Image { found, root } => self.observe_image(source, found, root, target).await,
        }
    }

    /// The list has the digest: the source need not say what the tag stands for, and is not asked at all
    /// where the target has it.
    async fn observe_pinned(self, source: &dyn Source, pinned: &Digest, target: TargetState) -> Observation {
        let found = Found { source_digest: pinned.clone(), digest: pinned.clone(), derived: None };
        match &target {
            TargetState::Blocked(_) => observation(SourceState::NotAsked, target),
            TargetState::Present(present) if present == pinned => {
                let mut observation = observation(SourceState::NotAsked, target);
                self.describe_what_is_there(source, pinned, &mut observation).await;
                observation
            }
            TargetState::Present(_) => observation(SourceState::Found(found), target),
            TargetState::Absent | TargetState::NotReadable(_) => {
                self.observe_image(source, found, None, target).await
            }
        }
    }

    async fn observe_image(
        self,
        source: &dyn Source,
        found: Found,
        root: Option<RawManifest>,
        target: TargetState,
    ) -> Observation {
        let digest = found.digest.clone();
        let derived = found.derived.as_ref().map(|derived| derived.manifest.clone());
        match &target {
            TargetState::Present(present) if *present == digest => {
                let mut observation = observation(SourceState::Found(found), target);
                self.describe_what_is_there(source, &digest, &mut observation).await;
                return observation;
            }
            TargetState::Present(_) if self.depth == Depth::Needed => {
                return observation(SourceState::Found(found), target);
            }
            TargetState::Blocked(_) => return observation(SourceState::Found(found), target),
            _ => {}
        }
        let repository = &self.entry.source.repository;
        let root = match derived.or(root) {
            Some(root) => Ok(Some(root)),
            None => source.manifest(repository, &digest.clone().into()).await,
        };
        let graph = match root {
            Ok(Some(root)) => walk(source, repository, &root).await,
            Ok(None) => return observation(SourceState::Gone(self.gone()), target),
            Err(error) => Err(error),
        };
        let graph = match graph {
            Ok(graph) => Arc::new(graph),
            Err(error) => return observation(SourceState::Blocked(self.blocked(error)), target),
        };
        let subjects = graph.nodes.iter().map(|node| node.digest.clone()).collect();
        let readable = !matches!(target, TargetState::NotReadable(_));
        let conflict = matches!(target, TargetState::Present(_));
        let mut observation = observation(SourceState::Found(found), target);
        observation.describe(graph);
        if !conflict {
            observation.companions = self.companions(source, subjects, readable, false).await;
        }
        observation
    }

    /// The image is at the target already: its shape is read there, where it costs no quota.
    async fn describe_what_is_there(
        self,
        source: &dyn Source,
        digest: &Digest,
        observation: &mut Observation,
    ) {
        if self.depth == Depth::Needed && self.signatures == Signatures::Skip {
            return;
        }
        let repository = &self.entry.target.repository;
        let read = async {
            let root = self.target.manifest(repository, &digest.clone().into()).await?;
            let root = root.ok_or_else(|| {
                let reference = format!("{}@{digest}", self.entry.target);
                let message = "the tag is there and its manifest is not";
                StoreError::new("read manifest", reference, StoreErrorKind::NotFound, message)
            })?;
            observation.media_type = Some(root.media_type.clone());
            if let Ok(parsed) = root.parse() {
                observation.platforms = parsed.platforms();
            }
            if self.depth == Depth::Full
                && let Ok(graph) = walk(self.target, repository, &root).await
            {
                observation.describe(Arc::new(graph));
            }
            digests(self.target, repository, &root).await
        };
        observation.companions = match read.await {
            Ok(subjects) => self.companions(source, subjects, true, true).await,
            Err(error) if self.signatures != Signatures::Skip => {
                Companions::Blocked(cause(Side::Target, error))
            }
            Err(_) => Companions::NotAsked,
        };
    }

    async fn companions(
        self,
        source: &dyn Source,
        subjects: Vec<Digest>,
        readable: bool,
        at_target: bool,
    ) -> Companions {
        if self.signatures == Signatures::Skip {
            return Companions::NotAsked;
        }
        let sides = Sides {
            source,
            source_repository: &self.entry.source.repository,
            source_tag: self.entry.source.tag.as_ref().filter(|_| self.entry.source.digest.is_none()),
            target: readable.then_some(self.target),
            target_repository: &self.entry.target.repository,
            at_target,
        };
        match companions(sides, subjects).await {
            Ok(found) => Companions::Found(found),
            Err(cause) => Companions::Blocked(self.named(cause)),
        }
    }

    async fn target_state(self) -> TargetState {
        let reference = ManifestRef::Tag(self.entry.target.tag.clone());
        match self.target.resolve(&self.entry.target.repository, &reference).await {
            Ok(None) => TargetState::Absent,
            Ok(Some(descriptor)) => TargetState::Present(descriptor.digest),
            Err(error) if self.depth == Depth::Full && error.kind == StoreErrorKind::Denied => {
                TargetState::NotReadable(cause(Side::Target, error))
            }
            Err(error) => TargetState::Blocked(cause(Side::Target, error)),
        }
    }

    async fn at_source(self, source: &dyn Source, target: &TargetState) -> AtSource {
        let read = async {
            if !self.entry.platforms.is_empty() {
                return self.some_platforms(source).await;
            }
            let (repository, reference) = (&self.entry.source.repository, self.entry.source.manifest_ref());
            let wants_manifest = matches!(target, TargetState::Absent | TargetState::NotReadable(_));
            let (found, root) = if wants_manifest {
                let root = source.manifest(repository, &reference).await?;
                (root.as_ref().map(RawManifest::descriptor), root)
            } else {
                (source.resolve(repository, &reference).await?, None)
            };
            let Some(found) = found else { return Ok(AtSource::State(SourceState::Gone(self.gone()))) };
            if found.media_type.is_schema1() {
                return Err(self.unsupported(crate::oci::ManifestError::Schema1.to_string()));
            }
            let digest = found.digest;
            Ok(AtSource::Image {
                found: Found { source_digest: digest.clone(), digest, derived: None },
                root,
            })
        };
        read.await.unwrap_or_else(|error| AtSource::State(SourceState::Blocked(self.blocked(error))))
    }

    /// Only some platforms are wanted: the index says which there are, and becomes a smaller one.
    async fn some_platforms(self, source: &dyn Source) -> Result<AtSource, StoreError> {
        let repository = &self.entry.source.repository;
        let reference = match &self.entry.source.digest {
            Some(digest) => ManifestRef::Digest(digest.clone()),
            // The tag's digest is remembered, so that whoever asks next gets the same.
            None => match source.resolve(repository, &self.entry.source.manifest_ref()).await? {
                Some(descriptor) => ManifestRef::Digest(descriptor.digest),
                None => return Ok(AtSource::State(SourceState::Gone(self.gone()))),
            },
        };
        let Some(root) = source.manifest(repository, &reference).await? else {
            return Ok(AtSource::State(SourceState::Gone(self.gone())));
        };
        let wanted = &self.entry.platforms;
        let source_digest = root.digest.clone();
        let unchanged = |root: RawManifest| AtSource::Image {
            found: Found {
                source_digest: source_digest.clone(),
                digest: source_digest.clone(),
                derived: None,
            },
            root: Some(root),
        };
        let parsed = root.parse().map_err(|error| self.unsupported(error.to_string()))?;
        if !parsed.media_type.is_index() {
            self.check_single(source, &parsed).await?;
            return Ok(unchanged(root));
        }
        let smaller = derive_index(&root, wanted).map_err(|error| self.unsupported(error.to_string()))?;
        if smaller.digest == source_digest {
            return Ok(unchanged(root));
        }
        let mut left_out = parsed.platforms();
        left_out.retain(|platform| !wanted.iter().any(|wanted| platform.satisfies(wanted)));
        let digest = smaller.digest.clone();
        let derived = Some(Derived { manifest: smaller, left_out });
        Ok(AtSource::Image { found: Found { source_digest, digest, derived }, root: None })
    }

    /// A single image passes if its configuration says that it runs on what is wanted.
    async fn check_single(self, source: &dyn Source, image: &crate::oci::Manifest) -> Result<(), StoreError> {
        let wanted = &self.entry.platforms;
        let config = image.blobs().next().filter(|config| config.media_type.is_image_config());
        let platform = match config {
            Some(config) => read_platform(source, &self.entry.source.repository, config).await?,
            None => None,
        };
        let available: Vec<Platform> = platform.into_iter().collect();
        let missing: Vec<Platform> = wanted
            .iter()
            .filter(|wanted| !available.iter().any(|platform| platform.satisfies(wanted)))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(self.unsupported(DeriveError::Missing { missing, available }.to_string()))
    }

    fn gone(self) -> Cause {
        let message = "the registry does not have it".to_owned();
        Cause::failure(Side::Source, "read manifest", self.entry.source.to_string(), message)
    }

    fn unsupported(self, message: String) -> StoreError {
        StoreError::new("mirror", &self.entry.source, StoreErrorKind::Unsupported, message)
    }

    fn blocked(self, error: StoreError) -> Cause {
        self.named(cause(Side::Source, error))
    }

    /// A part of an image is named without its registry; here it is known.
    fn named(self, mut cause: Cause) -> Cause {
        let source = &self.entry.source;
        if cause.side == Side::Source && cause.reference.starts_with(source.repository.as_str()) {
            cause.reference = format!("{}/{}", source.registry, cause.reference);
        }
        cause
    }
}

fn observation(source: SourceState, target: TargetState) -> Observation {
    Observation {
        source,
        target,
        media_type: None,
        platforms: Vec::new(),
        graph: None,
        companions: Companions::NotAsked,
    }
}

impl Observation {
    fn describe(&mut self, graph: Arc<Graph>) {
        self.media_type = Some(graph.root().media_type.clone());
        self.platforms = graph.platforms();
        self.graph = Some(graph);
    }
}

/// What an image's configuration says that it runs on (OCI image-spec, config.md).
async fn read_platform(
    source: &dyn Source,
    repository: &Repository,
    config: &Descriptor,
) -> Result<Option<Platform>, StoreError> {
    #[derive(Deserialize)]
    struct Configuration {
        os: Option<String>,
        architecture: Option<String>,
        variant: Option<String>,
    }
    let reference = format!("{repository}@{}", config.digest);
    if config.size > CONFIG_LIMIT {
        let message = format!("an image configuration of {} bytes is not read", config.size);
        return Err(StoreError::new("read blob", reference, StoreErrorKind::TooLarge, message));
    }
    let mut stream: BlobStream = verified(source.blob(repository, config).await?, config, reference);
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    let parsed = serde_json::from_slice::<Configuration>(&bytes).ok();
    Ok(parsed.and_then(|parsed| {
        Some(Platform {
            os: parsed.os?,
            architecture: parsed.architecture?,
            variant: parsed.variant.filter(|variant| !variant.is_empty()),
            os_version: None,
        })
    }))
}
