//! The companions of one image on their way, and the proof that they arrived.

use std::collections::{HashMap, HashSet};

use futures::future::try_join_all;

use super::Stop;
use super::image::{Image, at_target};
use crate::oci::{Digest, ManifestRef, RawManifest, Tag};
use crate::plan::{Cause, Companion, CompanionPlace, Graph, Proof, Side, Standing};

impl Image<'_> {
    pub(super) fn companions_to_copy(&self) -> impl Iterator<Item = &Companion> {
        self.item.companions.iter().flatten().filter(|companion| companion.is_to_copy())
    }

    /// Copies what the target lacks, subjects before what refers to them, and reads all of it back.
    pub(super) async fn copy_companions(&self) -> Result<Option<Proof>, Stop> {
        let mut waiting: Vec<&Companion> = self.companions_to_copy().collect();
        let expected = waiting.len();
        if expected == 0 {
            return Ok(None);
        }
        while !waiting.is_empty() {
            let unborn: HashSet<&Digest> = waiting.iter().map(|companion| &companion.digest).collect();
            let (ready, later): (Vec<_>, Vec<_>) =
                waiting.iter().copied().partition(|companion| !unborn.contains(&companion.subject));
            // A digest cannot contain itself, so that a circle cannot be; if it could, it would end here.
            let ready = if ready.is_empty() { std::mem::take(&mut waiting) } else { ready };
            try_join_all(ready.into_iter().map(|companion| self.copy_companion(companion))).await?;
            waiting = if waiting.is_empty() { Vec::new() } else { later };
        }
        self.read_back().await?;
        Ok(Some(Proof { expected, verified: expected }))
    }

    async fn copy_companion(&self, companion: &Companion) -> Result<(), Stop> {
        let Some(graph) = &companion.graph else { return Ok(()) };
        let root = self.push_below_root(graph).await?;
        match &companion.place {
            CompanionPlace::Referrer => {
                self.push(graph, graph.root(), &root, &root.digest.clone().into()).await
            }
            CompanionPlace::Tag(tag) => self.push_companion_tag(graph, &root, tag, &companion.standing).await,
        }
    }

    /// A companion's tag is created, or grows from what the plan saw there; it never becomes anything else.
    async fn push_companion_tag(
        &self,
        graph: &Graph,
        root: &RawManifest,
        tag: &Tag,
        standing: &Standing,
    ) -> Result<(), Stop> {
        let reference = ManifestRef::Tag(tag.clone());
        let before = match standing {
            Standing::Grows { from } => Some(from),
            _ => None,
        };
        match self.tag_at_target(&reference).await? {
            Some(found) if root.has_digest(&found) => return Ok(()),
            Some(found) if Some(&found) != before => return Err(self.companion_conflict(tag, Some(&found))),
            _ => {}
        }
        self.push(graph, graph.root(), root, &reference).await?;
        match self.tag_at_target(&reference).await? {
            Some(found) if root.has_digest(&found) => Ok(()),
            found => Err(self.companion_conflict(tag, found.as_ref())),
        }
    }

    async fn tag_at_target(&self, reference: &ManifestRef) -> Result<Option<Digest>, Stop> {
        let found = self.run.target.resolve(&self.item.target.repository, reference).await;
        Ok(found.map_err(at_target)?.map(|found| found.digest))
    }

    fn companion_conflict(&self, tag: &Tag, found: Option<&Digest>) -> Stop {
        let has = found.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let reference = format!("{}{}:{tag}", self.item.target.root, self.item.target.repository);
        let message = format!("it has {has}; somebody else wrote it while this run was under way");
        Stop::Conflict(Cause::failure(Side::Target, "create tag", reference, message))
    }

    /// Reads the copied companions back: each manifest by its digest, its blobs, and that the target
    /// lists it for its subject.
    async fn read_back(&self) -> Result<(), Stop> {
        let mut by_subject: HashMap<&Digest, Vec<&Digest>> = HashMap::new();
        for companion in self.companions_to_copy() {
            if companion.place == CompanionPlace::Referrer {
                by_subject.entry(&companion.subject).or_default().push(&companion.digest);
            }
        }
        let graphs = self.companions_to_copy().filter_map(|companion| companion.graph.as_deref());
        let content = try_join_all(graphs.map(|graph| self.is_whole(graph)));
        let lists =
            try_join_all(by_subject.iter().map(|(subject, expected)| self.are_listed(subject, expected)));
        tokio::try_join!(content, lists)?;
        Ok(())
    }

    async fn is_whole(&self, graph: &Graph) -> Result<(), Stop> {
        let (target, repository) = (&self.run.target, &self.item.target.repository);
        for node in &graph.nodes {
            let found = target.manifest(repository, &node.digest.clone().into()).await;
            if found.map_err(at_target)?.is_none() {
                return Err(self.not_there(&node.digest, "the manifest is not there after it was pushed"));
            }
        }
        let blobs = graph.distinct_blobs().map(|blob| async move {
            let found = target.has_blob(repository, blob).await;
            if found.map_err(at_target)? {
                return Ok(());
            }
            Err(self.not_there(&blob.digest, "the blob is not there after it was pushed"))
        });
        try_join_all(blobs).await?;
        Ok(())
    }

    async fn are_listed(&self, subject: &Digest, expected: &[&Digest]) -> Result<(), Stop> {
        let listed = self.run.target.referrers(&self.item.target.repository, subject, None).await;
        let listed = listed.map_err(at_target)?;
        let missing = expected.iter().find(|digest| !listed.iter().any(|there| there.digest == ***digest));
        match missing {
            None => Ok(()),
            Some(digest) => {
                Err(self.not_there(digest, "the target does not list it as a referrer of its subject"))
            }
        }
    }

    fn not_there(&self, digest: &Digest, message: &str) -> Stop {
        let reference = format!("{}{}@{digest}", self.item.target.root, self.item.target.repository);
        Stop::Failed(Cause::failure(Side::Target, Cause::READ_BACK, reference, message.to_owned()))
    }
}
