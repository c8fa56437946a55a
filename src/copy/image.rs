//! One image on its way.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use futures::future::{join_all, try_join, try_join_all};

use super::blob::Passage;
use super::{Run, Stop, conflict};
use crate::fault::cause;
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest};
use crate::plan::{Cause, Decision, Graph, Item, Node, Proof, Side, Transfer};
use crate::store::{Placed, Push, Source, StoreError, StoreErrorKind};

/// An item of the plan, being executed.
pub(super) struct Image<'a> {
    pub(super) run: &'a Run,
    pub(super) item: &'a Item,
    pub(super) source_name: String,
    transfer: Mutex<Transfer>,
    proof: Mutex<Option<Proof>>,
}

impl<'a> Image<'a> {
    pub(super) fn new(run: &'a Run, item: &'a Item) -> Self {
        let source_name = format!("{}/{}", item.source.registry, item.source.repository);
        Self { run, item, source_name, transfer: Mutex::default(), proof: Mutex::default() }
    }

    /// What was moved so far.
    pub(super) fn transfer(&self) -> Transfer {
        *self.transfer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read back of the companions, if it came to that.
    pub(super) fn proof(&self) -> Option<Proof> {
        *self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_proof(&self, proof: Proof) {
        *self.proof.lock().unwrap_or_else(PoisonError::into_inner) = Some(proof);
    }

    /// Copies what the item's decision asks for.
    pub(super) async fn copy(&self) -> Result<(), Stop> {
        let Some(graph) = self.item.graph.as_ref().filter(|_| self.item.decision != Decision::Companions)
        else {
            return self.copy_companions().await;
        };
        // Blobs need no manifest: those of companions go together with the image's own.
        let (root, ()) = try_join(self.push_below_root(graph), self.send_companions_ahead()).await?;
        let has_companions = self.companions_to_copy().next().is_some();
        if has_companions {
            let reference = graph.root().digest.clone().into();
            self.push(graph, graph.root(), &root, &reference).await?;
        }
        self.copy_companions().await?;
        self.push_tag(graph, &root).await
    }

    /// Puts everything of a graph to the target except its root, and gives the root's document.
    pub(super) async fn push_below_root<'g>(&self, graph: &'g Graph) -> Result<RawManifest, Stop> {
        let (root, below) = graph.nodes.split_last().ok_or_else(|| self.missing(&graph.root().digest))?;
        // Each image as soon as its own blobs are there, all together; then the indexes that name them, in their order.
        let mut seen = HashSet::new();
        let mut placing = |node: &'g Node| {
            let blobs = node.blobs.iter().map(|blob| (blob, seen.insert(&blob.digest)));
            self.place_blobs(blobs.collect())
        };
        let (images, indexes): (Vec<&Node>, Vec<&Node>) =
            below.iter().partition(|node| node.children.is_empty());
        let others: Vec<_> = indexes.iter().copied().chain([root]).map(&mut placing).collect();
        let images = images.into_iter().map(|node| {
            let placed = placing(node);
            async move {
                placed.await?;
                self.push_child(graph, node).await
            }
        });
        try_join(try_join_all(images), try_join_all(others)).await?;
        for index in indexes {
            self.push_child(graph, index).await?;
        }
        self.document(&root.digest).await
    }

    /// Sees to it that the target has some blobs, and counts those that are marked.
    async fn place_blobs(&self, blobs: Vec<(&Descriptor, bool)>) -> Result<(), Stop> {
        let placed = blobs.into_iter().map(|(blob, counts)| async move {
            let (ledger, passage) = (&self.run.ledger, self.passage()?);
            if counts {
                self.count(ledger.place(passage, blob).await?, blob.size);
                return Ok(());
            }
            ledger.wait_for(passage, blob).await
        });
        try_join_all(placed).await.map(drop::<Vec<()>>).map_err(Stop::Failed)
    }

    /// What goes wrong is said when the turn of the companion comes.
    async fn send_companions_ahead(&self) -> Result<(), Stop> {
        let graphs = self.companions_to_copy().filter_map(|companion| companion.graph.as_ref());
        let blobs = graphs.flat_map(|graph| graph.distinct_blobs());
        join_all(blobs.map(|blob| self.send_ahead(blob))).await;
        Ok(())
    }

    /// Sends one of its blobs before its turn. What goes wrong is said when its turn comes.
    pub(super) async fn send_ahead(&self, blob: &Descriptor) {
        if let Ok(passage) = self.passage() {
            let sent = self.run.ledger.wait_for(passage, blob).await;
            tracing::debug!(blob = %blob.digest, sent = sent.is_ok(), "sent ahead");
        }
    }

    async fn push_child(&self, graph: &Graph, node: &Node) -> Result<(), Stop> {
        if self.run.ledger.has_pushed(&self.item.target.repository, &node.digest) {
            return Ok(());
        }
        let manifest = self.document(&node.digest).await?;
        self.push(graph, node, &manifest, &node.digest.clone().into()).await
    }

    /// Pushes a manifest. Where the target does not know what the manifest names although it said that it
    /// had it, everything below is sent again, and then the manifest.
    pub(super) async fn push(
        &self,
        graph: &Graph,
        node: &Node,
        manifest: &RawManifest,
        reference: &ManifestRef,
    ) -> Result<(), Stop> {
        let repository = &self.item.target.repository;
        let mut pushed = self.run.target.push_manifest(repository, reference, manifest).await;
        if pushed.as_ref().is_err_and(|error| error.kind == StoreErrorKind::ContentUnknown) {
            self.send_again(graph, node).await?;
            pushed = self.run.target.push_manifest(repository, reference, manifest).await;
        }
        pushed.map_err(at_target)?;
        self.run.ledger.note_pushed(repository, &node.digest);
        self.transfer.lock().unwrap_or_else(PoisonError::into_inner).manifests_pushed += 1;
        Ok(())
    }

    async fn send_again(&self, graph: &Graph, node: &Node) -> Result<(), Stop> {
        for blob in &node.blobs {
            let placed =
                self.passage().map_err(Stop::Failed)?.push(blob, Push::Again).await.map_err(Stop::Failed)?;
            self.count(placed, blob.size);
        }
        for digest in &node.children {
            let Some(child) = graph.nodes.iter().find(|node| node.digest == *digest) else { continue };
            Box::pin(self.send_again(graph, child)).await?;
            let manifest = self.document(digest).await?;
            let reference = ManifestRef::Digest(digest.clone());
            let pushed = self.run.target.push_manifest(&self.item.target.repository, &reference, &manifest);
            pushed.await.map_err(at_target)?;
        }
        Ok(())
    }

    /// Creates the image's tag: looks once more, pushes, reads back.
    async fn push_tag(&self, graph: &Graph, root: &RawManifest) -> Result<(), Stop> {
        let reference = ManifestRef::Tag(self.item.target.tag.clone());
        if self.tag_has(&reference, root, self.item.target_digest.as_ref()).await? {
            return Ok(());
        }
        let pushed = self.push(graph, graph.root(), root, &reference).await;
        // Two who looked at the same moment both saw nothing; the one whose push was overtaken sees it here. A
        // refusal may be that of an immutable tag, which others created or whose success was not heard of.
        let before = self.item.target_digest.as_ref().filter(|_| pushed.is_err());
        match (self.tag_has(&reference, root, before).await, pushed) {
            (Ok(true), _) => Ok(()),
            (Err(Stop::Conflict(cause)), _) => Err(Stop::Conflict(cause)),
            (_, Err(refused)) => Err(refused),
            (Err(Stop::Failed(unknown)), Ok(())) => {
                Err(Stop::Failed(Cause { operation: Cause::READ_BACK.into(), ..unknown }))
            }
            (Ok(false), Ok(())) => Err(self.tag_not_there()),
        }
    }

    fn tag_not_there(&self) -> Stop {
        let message = "the registry said that it took the tag, and does not have it".to_owned();
        Stop::Failed(Cause::failure(Side::Target, "create tag", self.item.target.to_string(), message))
    }

    /// Whether a tag has the manifest already. `before` is what the plan saw there; anything else is a conflict.
    async fn tag_has(
        &self,
        reference: &ManifestRef,
        manifest: &RawManifest,
        before: Option<&Digest>,
    ) -> Result<bool, Stop> {
        let found = self.run.target.resolve(&self.item.target.repository, reference).await;
        match found.map_err(at_target)?.map(|found| found.digest) {
            Some(found) if manifest.has_digest(&found) => Ok(true),
            Some(found) if Some(&found) != before => Err(self.tag_conflict(&found)),
            _ => Ok(false),
        }
    }

    fn tag_conflict(&self, found: &Digest) -> Stop {
        let mut cause = conflict(self.item, Some(found));
        cause.message.push_str("; somebody else wrote it while this run was under way");
        Stop::Conflict(cause)
    }

    /// The document of a manifest of this image, from wherever it comes.
    pub(super) async fn document(&self, digest: &Digest) -> Result<RawManifest, Stop> {
        if let Some(derived) = self.item.derived.as_ref().filter(|derived| derived.digest == *digest) {
            return Ok(derived.clone());
        }
        let source = self.source().map_err(Stop::Failed)?;
        let found = source.manifest(&self.item.source.repository, &digest.clone().into()).await;
        let found = found.map_err(|error| Stop::Failed(cause(Side::Source, error)))?;
        found.ok_or_else(|| self.missing(digest))
    }

    fn missing(&self, digest: &Digest) -> Stop {
        let reference = format!("{}@{digest}", self.source_name);
        let message = "it was there a moment ago and the source does not have it any more".to_owned();
        Stop::Failed(Cause::failure(Side::Source, "read manifest", reference, message))
    }

    fn source(&self) -> Result<&'a dyn Source, Cause> {
        let registry = &self.item.source.registry;
        self.run.sources.get(registry).map(AsRef::as_ref).ok_or_else(|| {
            let message = "no way to it was set up".to_owned();
            Cause::failure(Side::Source, "reach", registry.to_string(), message)
        })
    }

    fn passage(&self) -> Result<Passage<'_>, Cause> {
        Ok(Passage {
            source: self.source()?,
            source_name: &self.source_name,
            from: &self.item.source.repository,
            target: self.run.target.as_ref(),
            to: &self.item.target.repository,
            same_registry: self.item.target.root.strip_suffix('/')
                == Some(self.item.source.registry.as_str()),
            events: &self.run.events,
        })
    }

    fn count(&self, placed: Placed, bytes: u64) {
        let mut transfer = self.transfer.lock().unwrap_or_else(PoisonError::into_inner);
        let transfer = &mut *transfer;
        let (blobs, sum) = match placed {
            Placed::Present => (&mut transfer.blobs_present, &mut transfer.bytes_present),
            Placed::Mounted => (&mut transfer.blobs_mounted, &mut transfer.bytes_mounted),
            Placed::Uploaded => (&mut transfer.blobs_copied, &mut transfer.bytes_copied),
        };
        *blobs += 1;
        *sum = sum.saturating_add(bytes);
        if placed != Placed::Uploaded {
            self.run.events.spared(bytes);
        }
    }
}

pub(super) fn at_target(mut error: StoreError) -> Stop {
    if error.kind == StoreErrorKind::ContentUnknown {
        error.message.push_str("; the registry says so although everything was sent again");
    }
    Stop::Failed(cause(Side::Target, error))
}
