//! image-syncer.

pub mod config;
pub mod copy;
pub mod event;
mod fault;
pub mod inspect;
pub mod oci;
pub mod plan;
pub mod registry;
pub mod store;
pub mod trust;
mod walk;
