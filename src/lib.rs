//! image-syncer.

pub mod config;
pub mod console;
pub mod event;
pub mod oci;
pub mod plan;
pub mod report;
pub mod store;
