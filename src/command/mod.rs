//! The subcommands: one file each, which wires the parts together.

pub mod completions;
pub mod schema;
pub mod serve;
pub mod sync;
