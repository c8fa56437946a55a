//! The options of `policy`: what is done with the operator's policy alone.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::{LogOptions, PlainFormat};

const AFTER_HELP: &str = "\
Nobody is asked: what is said is what the policy states, and a plan says what registries have.

Exit codes: 2 bad usage or policy; 3 the policy does not allow the source; 0 it does.";

/// The subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say what holds for a source, and which rules say so
    #[command(after_help = AFTER_HELP)]
    Explain(ExplainOptions),
}

/// The options of `policy explain`.
#[derive(Debug, Args)]
pub struct ExplainOptions {
    /// The source, as a list writes it, such as alpine:3.22 or quay.io/org/app:1
    #[arg(value_name = "SOURCE", value_parser = NonEmptyStringValueParser::new())]
    pub source: String,
    /// The operator's policy
    #[arg(long, value_name = "FILE", default_value = "image-syncer-policy.yaml")]
    pub policy_file: PathBuf,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, help_heading = "Output")]
    pub format: PlainFormat,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
}
