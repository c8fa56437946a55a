//! image-syncer.
pub mod oci;
