//! Large blobs and those of many images, sent ahead of the images that need them.
//!
//! Images are copied in the order of the list. What takes long would come late there, and hold up the end of the run;
//! what many images have would be waited for by all of them at once. So a few at a time start early, the largest and
//! most shared first. An image that comes to such a blob waits for it as for any that is under way; most of the
//! registry's places are left to the images, so that small ones do not wait for a giant.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::Run;
use super::image::Image;
use crate::oci::{Descriptor, Digest};
use crate::plan::{Decision, Item};

/// So many are sent ahead together.
const AT_A_TIME: usize = 4;

/// Blobs of this size are sent ahead, however few images have them.
const LARGE: u64 = 16 * 1024 * 1024;

/// A blob with the first item that needs it.
struct Ahead {
    item: usize,
    blob: Descriptor,
    images: u64,
}

/// Sends blobs ahead, until all are there. What fails is left to the images that need it, which say so.
pub(super) async fn run(run: Arc<Run>) {
    stream::iter(ahead(&run.plan.items))
        .for_each_concurrent(AT_A_TIME, |ahead| {
            let run = &run;
            async move {
                let image = Image::new(run, &run.plan.items[ahead.item]);
                image.send_ahead(&ahead.blob).await;
            }
        })
        .await;
}

/// The blobs that are worth it, the largest and most shared first.
fn ahead(items: &[Item]) -> Vec<Ahead> {
    let mut blobs: HashMap<Digest, Ahead> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        if !matches!(item.decision, Decision::Copy | Decision::Move) {
            continue;
        }
        for blob in item.graph.iter().flat_map(|graph| graph.distinct_blobs()) {
            let known = blobs.entry(blob.digest.clone());
            known.or_insert_with(|| Ahead { item: index, blob: blob.clone(), images: 0 }).images += 1;
        }
    }
    let mut blobs: Vec<Ahead> =
        blobs.into_values().filter(|ahead| ahead.blob.size >= LARGE || ahead.images > 1).collect();
    let weight = |ahead: &Ahead| ahead.blob.size.max(1).saturating_mul(ahead.images);
    blobs.sort_by(|one, other| {
        weight(other).cmp(&weight(one)).then_with(|| one.blob.digest.cmp(&other.blob.digest))
    });
    blobs
}
