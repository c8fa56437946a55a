//! The options of `pin`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::{ConnectionOptions, LogOptions, PlainFormat, value};
use crate::secret::Secret;

pub(super) const AFTER_HELP: &str = "\
Lists are written in place, and nothing of them changes but digests and the `:latest` of sources that have no tag. \
Nothing is written if one source cannot be looked up.

Exit codes: 2 bad usage, list or policy; 130 or 143 interrupted; 1 a source could not be looked up, or a list not be \
written; 3 the policy does not allow a source, or --check found one without a digest; 0 done, or nothing to do.";

/// The options of `pin`.
#[derive(Debug, Args)]
pub struct PinOptions {
    /// The list of images; may repeat
    #[arg(short, long = "images-file", value_name = "FILE", default_value = "external-images.yaml")]
    pub images_files: Vec<PathBuf>,
    /// Ask nobody and write nothing: fail with exit code 3 if a source has no digest
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub check: bool,
    /// Look up sources with a tag and a digest again, and take the digest that the tag has today
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub update: bool,
    /// How to log in where: YAML, such as `ghcr.io: github`; it names variables, and no secret is in it
    #[arg(long, value_name = "YAML", value_parser = value::secret)]
    pub auth: Option<Secret>,
    /// The operator's policy: nobody is asked for a source that it does not allow
    #[arg(long, value_name = "FILE")]
    pub policy_file: Option<PathBuf>,
    /// Requests at a time to each registry, 1 to 256 [default: 16, and up to 128 while answers stay quick]
    #[arg(long, value_name = "NUMBER",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub concurrency: Option<usize>,
    /// The time for all of it, such as 90s or 1h30m
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = value::duration)]
    pub timeout: Duration,
    /// How what was found is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, help_heading = "Output")]
    pub format: PlainFormat,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
    /// How registries are reached.
    #[command(flatten)]
    pub connections: ConnectionOptions,
}

impl PinOptions {
    /// What no option can say of itself.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.check && self.update {
            return Err(
                "--check (SYNCER_CHECK) and --update (SYNCER_UPDATE) exclude each other; keep one".to_owned()
            );
        }
        self.connections.check()
    }
}
