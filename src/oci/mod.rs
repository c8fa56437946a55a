//! The vocabulary of the OCI image and distribution specifications, as types.
//!
//! Everything here is a value: parsed once at the edge, valid ever after. No I/O, no async. Parsing is
//! lenient where registries are known to be sloppy (`"layers": null`) and strict where a mistake could
//! hurt (digests, names, ambiguous manifests). Nothing here is ever written back: manifests travel as
//! the bytes that their source sent.

mod descriptor;
mod digest;
mod index;
mod manifest;
mod media_type;
mod platform;
mod reference;

pub use descriptor::Descriptor;
pub use digest::{Digest, DigestError, Digester};
pub use index::{DeriveError, derive_index};
pub use manifest::{Content, Manifest, ManifestError, RawManifest};
pub use media_type::MediaType;
pub use platform::{Platform, PlatformError};
pub use reference::{
    DEFAULT_REGISTRY, ManifestRef, Reference, ReferenceError, Registry, Repository, Tag, split_registry,
};
