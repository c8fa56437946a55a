//! image-syncer.

pub mod command;
pub mod config;
pub mod event;
pub mod layout;
pub mod oci;
pub mod plan;
pub mod serve;
pub mod store;
