//! The options of `verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, RangedU64ValueParser};

use super::{ConnectionOptions, CredentialOptions, LogOptions, OutputOptions, SignaturesMode, value};

pub(super) const AFTER_HELP: &str = "\
Nothing but GET and HEAD is sent to any registry. A source is asked for what only it can tell: which digest a tag has \
that the list does not pin, and which signatures there are.

Exit codes, the strongest first: 2 bad usage, list or policy; 130 or 143 interrupted; 1 something could not be looked \
up, or the time was over; 3 findings; 0 the target is as it should be.";

/// The options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyOptions {
    /// The list of images; may repeat
    #[arg(short, long = "images-file", value_name = "FILE", default_value = "external-images.yaml")]
    pub images_files: Vec<PathBuf>,
    /// Where the images are: `registry/path/`, or `oci:DIR/` for an OCI image layout folder; overrides the list's
    #[arg(short = 'r', long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    pub target_repo_prefix: Option<String>,
    /// Who we are.
    #[command(flatten)]
    pub credentials: CredentialOptions,
    /// The operator's policy
    #[arg(long, value_name = "FILE")]
    pub policy_file: Option<PathBuf>,
    /// What is expected of signatures, SBOMs and attestations: `copy` wants those that the source has, `require` a
    /// signature of each image, `skip` nothing
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub signatures: SignaturesMode,
    /// Read and hash every blob, and do not only ask whether it is there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub deep: bool,
    /// Find tags below the prefix that no list names: in the repositories of the list, and in all others where the
    /// target tells which it has
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub unlisted: bool,
    /// Requests at a time to each registry, on each side, 1 to 256 [default: 16, and up to 128 while answers stay
    /// quick]
    #[arg(long, value_name = "NUMBER",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub concurrency: Option<usize>,
    /// The time for all of it, such as 90s or 1h30m
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = value::duration)]
    pub timeout: Duration,
    /// Where the findings go.
    #[command(flatten)]
    pub output: OutputOptions,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
    /// How registries are reached.
    #[command(flatten)]
    pub connections: ConnectionOptions,
}
