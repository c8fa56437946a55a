//! The companions of one image on their way, and the proof that they arrived.

use std::collections::{HashMap, HashSet};

use futures::future::{join, join_all, try_join, try_join_all};

use super::Stop;
use super::image::{Image, at_target};
use crate::fault::cause;
use crate::oci::{Digest, ManifestRef, RawManifest, Tag};
use crate::plan::{Cause, Companion, CompanionPlace, Graph, Proof, Side, Standing};

/// What the target lists as the referrers of a subject, if it can be asked.
type Listed = Result<HashSet<Digest>, Cause>;

impl Image<'_> {
    pub(super) fn companions_to_copy(&self) -> impl Iterator<Item = &Companion> {
        self.item.companions.iter().flatten().filter(|companion| companion.is_to_copy())
    }

    /// Copies what the target lacks, subjects before what refers to them, and reads all of it back.
    pub(super) async fn copy_companions(&self) -> Result<(), Stop> {
        let mut waiting: Vec<&Companion> = self.companions_to_copy().collect();
        if waiting.is_empty() {
            return Ok(());
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
        self.read_back().await
    }

    async fn copy_companion(&self, companion: &Companion) -> Result<(), Stop> {
        let graph = companion.graph.as_ref().ok_or_else(|| self.without_content(companion))?;
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
            Some(found) if Some(&found) != before => return Err(self.companion_conflict(tag, &found)),
            _ => {}
        }
        // Whether it stays what it is now is seen when everything is read back.
        self.push(graph, graph.root(), root, &reference).await
    }

    fn without_content(&self, companion: &Companion) -> Stop {
        let message =
            "nobody looked at its content; this is a mistake in image-syncer; please report it with the log";
        let reference = format!("{}@{}", self.source_name, companion.digest);
        Stop::Failed(Cause::failure(Side::Source, "copy companion", reference, message.to_owned()))
    }

    async fn tag_at_target(&self, reference: &ManifestRef) -> Result<Option<Digest>, Stop> {
        let found = self.run.target.resolve(&self.item.target.repository, reference).await;
        Ok(found.map_err(at_target)?.map(|found| found.digest))
    }

    fn companion_conflict(&self, tag: &Tag, found: &Digest) -> Stop {
        let reference = format!("{}{}:{tag}", self.item.target.root, self.item.target.repository);
        let message = format!("it has {found}; somebody else wrote it while this run was under way");
        Stop::Conflict(Cause::failure(Side::Target, Cause::COMPANION_TAG, reference, message))
    }

    /// Reads the copied companions back, and counts those that are there: each manifest by its digest, its
    /// blobs, and that the target lists it for its subject.
    async fn read_back(&self) -> Result<(), Stop> {
        let companions: Vec<&Companion> = self.companions_to_copy().collect();
        let subjects: HashSet<&Digest> = companions
            .iter()
            .filter(|companion| companion.place == CompanionPlace::Referrer)
            .map(|companion| &companion.subject)
            .collect();
        let lists = join_all(subjects.into_iter().map(|subject| self.listed_at_target(subject)));
        let content = join_all(companions.iter().map(|companion| self.is_whole(companion)));
        let (lists, content) = join(lists, content).await;
        let lists: HashMap<&Digest, Listed> = lists.into_iter().collect();
        let mut verified = 0;
        let mut first_failure = None;
        for (companion, whole) in companions.iter().zip(content) {
            match whole.and_then(|()| self.is_listed(companion, &lists)) {
                Ok(()) => verified += 1,
                Err(stop) => {
                    first_failure.get_or_insert(stop);
                }
            }
        }
        self.note_proof(Proof { expected: companions.len(), verified });
        first_failure.map_or(Ok(()), Err)
    }

    async fn is_whole(&self, companion: &Companion) -> Result<(), Stop> {
        let (target, repository) = (&self.run.target, &self.item.target.repository);
        let graph = companion.graph.as_ref().ok_or_else(|| self.without_content(companion))?;
        let manifests = graph.nodes.iter().map(|node| async move {
            let tag = match &companion.place {
                CompanionPlace::Tag(tag) if node.digest == companion.digest => Some(tag),
                _ => None,
            };
            let reference = tag.map_or_else(|| node.digest.clone().into(), |tag| tag.clone().into());
            let found = target.manifest(repository, &reference).await.map_err(at_target)?;
            match (found, tag) {
                (Some(found), _) if found.has_digest(&node.digest) => Ok(()),
                (Some(found), Some(tag)) => Err(self.companion_conflict(tag, &found.digest)),
                _ => Err(self.not_there(&node.digest, "the manifest is not there after it was pushed")),
            }
        });
        let blobs = graph.distinct_blobs().map(|blob| async move {
            let found = target.has_blob(repository, blob).await;
            if found.map_err(at_target)? {
                return Ok(());
            }
            Err(self.not_there(&blob.digest, "the blob is not there after it was pushed"))
        });
        try_join(try_join_all(manifests), try_join_all(blobs)).await?;
        Ok(())
    }

    async fn listed_at_target<'a>(&self, subject: &'a Digest) -> (&'a Digest, Listed) {
        let listed = self.run.target.referrers(&self.item.target.repository, subject, None).await;
        let digests = listed.map(|listed| listed.into_iter().map(|referrer| referrer.digest).collect());
        (subject, digests.map_err(|error| cause(Side::Target, error)))
    }

    fn is_listed(&self, companion: &Companion, lists: &HashMap<&Digest, Listed>) -> Result<(), Stop> {
        if companion.place != CompanionPlace::Referrer {
            return Ok(());
        }
        match lists.get(&companion.subject) {
            Some(Err(unknown)) => Err(Stop::Failed(unknown.clone())),
            Some(Ok(digests)) if digests.contains(&companion.digest) => Ok(()),
            _ => {
                let message = "the target does not list it as a referrer of its subject";
                Err(self.not_there(&companion.digest, message))
            }
        }
    }

    fn not_there(&self, digest: &Digest, message: &str) -> Stop {
        let reference = format!("{}{}@{digest}", self.item.target.root, self.item.target.repository);
        Stop::Failed(Cause::failure(Side::Target, Cause::READ_BACK, reference, message.to_owned()))
    }
}
