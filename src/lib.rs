//! image-syncer.

pub mod cli;
pub mod command;
pub mod config;
pub mod event;
pub mod oci;
pub mod plan;
pub mod store;
