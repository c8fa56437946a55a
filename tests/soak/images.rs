//! The images of a soak.

use image_syncer::oci::RawManifest;

use crate::support::companions::sign;
use crate::support::content::{put_image, put_image_for, put_index};
use crate::support::registry::TestRegistry;
use crate::weather::Dice;

/// An image at the source.
pub(crate) struct Image {
    /// Its repository. The target has it below `mirror/`.
    pub(crate) name: String,
    /// What its tag `1` stands for.
    pub(crate) manifest: RawManifest,
}

/// Images of all sorts: single ones and indexes, with layers of their own and shared ones, some signed.
pub(crate) fn put_images(source: &TestRegistry, count: usize, seed: u64) -> Vec<Image> {
    let memory = &source.memory;
    let mut dice = Dice::of(seed);
    let bases: Vec<Vec<u8>> = (0..8).map(|_| dice.bytes(120_000)).collect();
    let put = |number: usize| {
        let name = format!("team/app{number:04}");
        let base = bases[number % bases.len()].as_slice();
        let size = if number % 20 == 7 { 700_000 } else { 500 + dice.below(60_000) };
        let own = dice.bytes(size);
        let manifest = if number.is_multiple_of(5) {
            let other = dice.bytes(3000);
            let amd64 = put_image_for(memory, &name, None, "linux/amd64", &[base, &own]);
            let arm64 = put_image_for(memory, &name, None, "linux/arm64", &[base, &other]);
            put_index(memory, &name, Some("1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")])
        } else {
            put_image(memory, &name, Some("1"), &[base, &own])
        };
        if number.is_multiple_of(3) {
            sign(memory, &name, &manifest);
        }
        Image { name, manifest }
    };
    (0..count).map(put).collect()
}
