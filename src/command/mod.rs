//! The subcommands: one file each, which wires the parts together.

pub mod serve;
