//! What the target has of the blobs that a plan would have to move.

use std::collections::HashMap;

use futures::stream::{self, Stream, StreamExt as _};

use super::AT_A_TIME;
use crate::config::Config;
use crate::oci::{Descriptor, Digest, Repository};
use crate::plan::{Companions, Inventory, SourceState, TargetState, may_move};
use crate::policy::Policy;
use crate::store::Source;

/// Which of the blobs that may have to move the target's repositories have.
pub(super) fn present_blobs<'a>(
    config: &'a Config,
    policy: &'a Policy,
    inventory: &'a Inventory,
    target: &'a dyn Source,
) -> impl Stream<Item = (Repository, Digest)> + 'a {
    let mut wanted: HashMap<(&Repository, &Digest), &Descriptor> = HashMap::new();
    for (entry, observation) in config.entries.iter().zip(&inventory.observations) {
        let image = match (&observation.source, &observation.target) {
            (_, TargetState::Absent) => observation.graph.as_ref(),
            (SourceState::Found(found), TargetState::Present(present)) if found.digest != *present => {
                observation.graph.as_ref().filter(|_| may_move(config, policy, entry))
            }
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
