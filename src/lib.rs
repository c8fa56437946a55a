//! image-syncer.

pub mod cli;
pub mod command;
pub mod config;
pub mod console;
pub mod copy;
pub mod event;
mod fault;
pub mod inspect;
pub mod layout;
pub mod oci;
pub mod plan;
pub mod registry;
pub mod report;
pub mod serve;
pub mod store;
pub mod trust;
mod walk;
