//! The options of `report`: what is done with reports that are written already.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Format, LogOptions};

/// The subcommands of `report`.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Make one report of those that runs with --shard wrote, and end as one run would have
    Merge(MergeOptions),
}

/// The options of `report merge`.
#[derive(Debug, Args)]
pub struct MergeOptions {
    /// The reports of the shards, as --report wrote them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Where the report goes.
    #[command(flatten)]
    pub output: ReportOptions,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
}

/// Where a report goes.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,
    /// Append the report as Markdown to this file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub summary: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, help_heading = "Output")]
    pub format: Format,
}

/// Where the report of `sync` and `plan` goes.
#[derive(Debug, Args)]
pub struct OutputOptions {
    /// What `report merge` has too.
    #[command(flatten)]
    pub report: ReportOptions,
    /// When to show progress: `auto` has bars on a terminal, else a line now and then
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Output")]
    pub progress: Progress,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Progress {
    /// Bars on a terminal, else a line now and then.
    #[default]
    Auto,
    /// Bars.
    Always,
    /// Nothing.
    Never,
}
