//! The command line and its variables: what was typed, checked one by one, and nothing else.
//!
//! Nothing here decides or reads a file. The environment comes in as a parameter. Without a subcommand the
//! options are those of `sync`, so that the command lines of kyma's image-syncer run unchanged.

mod action;
mod connection;
mod pin;
mod policy;
mod report;
mod shard;
mod value;
mod variables;
mod verify;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, RangedU64ValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use action::{ActionMode, ActionOptions, CommentWhen, SECRETS, in_inputs};
pub use connection::ConnectionOptions;
pub use pin::PinOptions;
pub use policy::{ExplainOptions, PolicyCommand};
pub use report::{MergeOptions, OutputOptions, Progress, ReportCommand, ReportOptions};
pub use shard::{ShardCount, ShardOptions, WhichShard};
pub use value::Endpoint;
pub use verify::VerifyOptions;

use crate::secret::Secret;
use variables::Variables;

/// What was asked for.
#[derive(Debug)]
pub struct Cli {
    /// The subcommand; `sync` where none was typed.
    pub command: Command,
    /// Words about variables that have no effect.
    pub warnings: Vec<String>,
}

const AFTER_HELP: &str = "\
Without a subcommand the options are those of `sync`. Each option can be given by its variable; the command \
line wins, and options that may repeat are written one a line.

Exit codes, the strongest first: 2 bad usage, list or policy; 130 or 143 interrupted; 1 blocked or failed; \
3 conflict or policy violation; 4 something is left to a later run; 0 done, or nothing to do.";

const DOCTOR_HELP: &str = "\
Without --write nothing but GET and HEAD is sent to the registry, and what its token service needs. With it, uploads \
are begun in the repository and cancelled, so that nothing is left there.

Exit codes: 2 bad usage or policy; 130 or 143 interrupted; 1 something does not work; 0 all that was asked for works.";

/// Keeps third-party container images in your own registry: immutable, complete with their signatures, and
/// said before it is done.
#[derive(Debug, Parser)]
#[command(name = "image-syncer", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
struct Typed {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sync: SyncOptions,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mirror the images of the list; the default
    #[command(after_help = AFTER_HELP)]
    Sync(SyncOptions),
    /// Say what a sync would do, and do nothing: `sync --dry-run`
    #[command(after_help = AFTER_HELP)]
    Plan(PlanOptions),
    /// Run as a GitHub Action: inputs from the environment, results to where people look
    #[command(after_help = AFTER_HELP)]
    Action(Box<ActionOptions>),
    /// Serve an OCI image layout folder, or memory, as a registry
    Serve(ServeOptions),
    /// Show the main job on two registries in memory; needs nothing else
    Demo(DemoOptions),
    /// Examine a registry: can it be reached, who are we there, what may we do, what can it do
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Box<DoctorOptions>),
    /// Write the digests of today's tags into the list
    #[command(after_help = pin::AFTER_HELP)]
    Pin(Box<PinOptions>),
    /// Work with the operator's policy
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Audit the target: is it what list and policy say, is it whole, is there more
    #[command(after_help = verify::AFTER_HELP)]
    Verify(Box<VerifyOptions>),
    /// Work with reports that are written already
    #[command(subcommand)]
    Report(ReportCommand),
    /// Print a JSON Schema
    Schema(SchemaOptions),
    /// Print the completions for a shell
    Completions(CompletionsOptions),
}

/// The options of `sync`.
#[derive(Debug, Args)]
pub struct SyncOptions {
    /// Say what would be done, and write nothing to any registry
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub dry_run: bool,
    /// Carry out this plan, as `plan --out` wrote it: no tag is resolved again
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// What `plan` has too.
    #[command(flatten)]
    pub run: RunOptions,
    /// Where the report goes.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// The options of `plan`.
#[derive(Debug, Args)]
pub struct PlanOptions {
    /// Write the plan to this file, for `sync --plan`; nothing is written where it is not whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What `sync` has too.
    #[command(flatten)]
    pub run: RunOptions,
    /// Where the report goes.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// What is to be mirrored, and how.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The list of images; may repeat
    #[arg(short, long = "images-file", value_name = "FILE", default_value = "external-images.yaml")]
    pub images_files: Vec<PathBuf>,
    /// Where the images go: `registry/path/`, or `oci:DIR/` for an OCI image layout folder; overrides the
    /// list's
    #[arg(short = 'r', long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    pub target_repo_prefix: Option<String>,
    /// Who we are.
    #[command(flatten)]
    pub credentials: CredentialOptions,
    /// The operator's policy
    #[arg(long, value_name = "FILE")]
    pub policy_file: Option<PathBuf>,
    /// What to do about signatures, SBOMs and attestations
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub signatures: SignaturesMode,
    /// Check keyless signatures by this trust root, as `cosign trusted-root create` or `gh attestation trusted-root`
    /// writes it, and not by the one that is built in
    #[arg(long, value_name = "FILE")]
    pub trust_root: Option<PathBuf>,
    /// What a tag that has other content at the target means; nothing is overwritten either way
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub on_tag_conflict: OnTagConflict,
    /// Create repositories that are not there at Amazon ECR, where a push does not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub create_repositories: bool,
    /// Requests at a time to each registry, on each side, 1 to 256 [default: 16, and up to 128 while answers stay quick]
    #[arg(long, value_name = "NUMBER",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub concurrency: Option<usize>,
    /// The time for the whole run, such as 90s or 1h30m
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = value::duration)]
    pub timeout: Duration,
    /// Which part of the lists is done.
    #[command(flatten)]
    pub share: ShardOptions,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
    /// How registries are reached.
    #[command(flatten)]
    pub connections: ConnectionOptions,
}

/// Who we are.
#[derive(Debug, Args)]
pub struct CredentialOptions {
    /// A GCP service account's JSON key for the target: a file, or the JSON itself where it begins with `{`
    #[arg(short, long, value_name = "KEY", value_parser = value::secret)]
    pub target_repo_auth_key: Option<Secret>,
    /// A bearer token for the target; better given by the variable, which other processes cannot see
    #[arg(short, long, value_name = "TOKEN", value_parser = value::secret)]
    pub access_token: Option<Secret>,
    /// How to log in where: YAML, such as `ghcr.io: github`; it names variables, and no secret is in it
    #[arg(long, value_name = "YAML", value_parser = value::secret)]
    pub auth: Option<Secret>,
}

/// How much is logged.
#[derive(Debug, Args)]
pub struct LogOptions {
    /// Log every request and decision
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set,
        help_heading = "Output")]
    pub debug: bool,
}

/// The options of `serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// Serve this OCI image layout folder; it is made where it is not there
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Serve memory, which is empty at the start and gone at the end; the default without --root
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub memory: bool,
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
}

/// The options of `demo`.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// Leave the list, the reports and both registries' content in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
}

/// The options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// The registry, such as docker.io or registry.example.com:5000
    #[arg(value_name = "REGISTRY", value_parser = NonEmptyStringValueParser::new())]
    pub registry: String,
    /// A repository of it, to find out what may be done there
    #[arg(value_name = "REPOSITORY", value_parser = NonEmptyStringValueParser::new())]
    pub repository: Option<String>,
    /// Try to write: begin uploads in the repository (POST, one with a mount) and cancel them (PATCH of a few bytes,
    /// DELETE), and ask to delete a manifest that is not there (DELETE of a digest that nothing has)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", value_parser = value::boolean, action = clap::ArgAction::Set)]
    pub write: bool,
    /// Where images go; the credentials for the target are those of this prefix's registry, and of no other
    #[arg(short = 'r', long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    pub target_repo_prefix: Option<String>,
    /// Who we are.
    #[command(flatten)]
    pub credentials: CredentialOptions,
    /// The operator's policy, for what it states of registries
    #[arg(long, value_name = "FILE")]
    pub policy_file: Option<PathBuf>,
    /// The time for all of it, such as 90s
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = value::duration)]
    pub timeout: Duration,
    /// How the findings are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, help_heading = "Output")]
    pub format: PlainFormat,
    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
    /// How the registry is reached.
    #[command(flatten)]
    pub connections: ConnectionOptions,
}

/// The options of `schema`.
#[derive(Debug, Args)]
pub struct SchemaOptions {
    /// What the schema is of
    #[arg(value_enum, default_value_t)]
    pub name: SchemaName,
}

/// The options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsOptions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `--signatures`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SignaturesMode {
    /// Copy all that belong to the image and to each child.
    #[default]
    Copy,
    /// Copy all, and block an image that has no signature.
    Require,
    /// Copy none, and say so.
    Skip,
}

/// `--on-tag-conflict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OnTagConflict {
    /// The run ends with exit code 3.
    #[default]
    Fail,
    /// It is reported and does not decide the exit code.
    Warn,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For a terminal.
    #[default]
    Text,
    /// The versioned JSON.
    Json,
    /// For GitHub.
    Markdown,
}

/// `--format` of `doctor`, `pin` and `policy explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PlainFormat {
    /// For a terminal.
    #[default]
    Text,
    /// The versioned JSON.
    Json,
}

/// What `schema` has schemas of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SchemaName {
    /// The list, external-images.yaml.
    #[default]
    List,
    /// The operator's policy, image-syncer-policy.yaml.
    Policy,
    /// The report that `--report` and `--format json` write.
    Report,
    /// What they write of a plan: a report of which nothing was done.
    Plan,
    /// What `doctor --format json` writes.
    Doctor,
    /// What `pin --format json` writes.
    Pin,
    /// What `policy explain --format json` writes.
    Explanation,
    /// What `verify --format json` writes.
    Verify,
}

/// Reads the arguments, the program's name being the first, and the variables.
///
/// # Errors
/// What was typed cannot be meant (exit code 2), or help or the version was asked for (0); the error knows
/// its exit code and how it is shown.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Cli, clap::Error> {
    let command = command();
    let variables = Variables::new(variables);
    let matches = variables.matches(&command, arguments.into_iter().collect())?;
    let typed = Typed::from_arg_matches(&matches)?;
    let mut asked = typed.command.unwrap_or(Command::Sync(typed.sync));
    if let Command::Action(options) = &mut asked {
        // The action's description always gives this input, as `false`: a variable that says otherwise counts, so
        // that whoever asks for a plan in either place gets no live run.
        options.dry_run |= variables.says_true("SYNCER_DRY_RUN");
        options.dry_run |= variables.says("SYNCER_MODE", "plan");
        options.run.log.debug |= variables.says_true("SYNCER_DEBUG");
        // This one as well: with it the variable would never count.
        options.run.create_repositories |= variables.says_true("SYNCER_CREATE_REPOSITORIES");
        options.require_reviewed |= variables.says_true("SYNCER_REQUIRE_REVIEWED");
    }
    let checked = match &asked {
        Command::Sync(SyncOptions { run, .. }) | Command::Plan(PlanOptions { run, .. }) => {
            run.connections.check()
        }
        Command::Action(options) => options.run.connections.check(),
        Command::Doctor(options) => options.connections.check(),
        Command::Pin(options) => options.check(),
        Command::Verify(options) => options.connections.check(),
        Command::Serve(ServeOptions { root: Some(_), memory: true, .. }) => {
            Err("--root (SYNCER_ROOT) and --memory (SYNCER_MEMORY) exclude each other; keep one".to_owned())
        }
        _ => Ok(()),
    };
    checked.map_err(|message| command.clone().error(ErrorKind::ArgumentConflict, message))?;
    Ok(Cli { command: asked, warnings: variables.warnings(&command) })
}

/// What an error says, without usage and help.
#[must_use]
pub fn in_one_line(error: &clap::Error) -> String {
    variables::first_paragraph(error)
}

/// The command line as clap knows it, for completions; each option's help names its variable.
#[must_use]
pub fn command() -> clap::Command {
    fn named(command: clap::Command) -> clap::Command {
        command.mut_args(|argument| match (variables::name_of(&argument), argument.get_help()) {
            (Some(variable), Some(help)) => {
                let help = format!("{help} [env: {variable}]");
                argument.help(help)
            }
            _ => argument,
        })
    }
    named(Typed::command()).mut_subcommands(|command| named(command).mut_subcommands(named))
}

#[cfg(test)]
mod tests;
