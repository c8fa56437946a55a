//! From what was typed to a [`Job`].

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::login::login;
use super::planned;
use super::registries;
use super::shard::{Share, share};
use super::surroundings::Surroundings;
use super::sync::Job;
use crate::cli::{self, ConnectionOptions, CredentialOptions, ReportOptions, RunOptions};
use crate::config::{self, Config, Faults, PrefixSources, Signatures, TargetPrefix, Trusted};
use crate::console;
use crate::oci::Registry;
use crate::policy::{self, Policy};
use crate::registry::{Credential, Credentials, Settings};
use crate::report::{Format, Look, Mode, OnTagConflict, diagnostics};
use crate::verify::{LARGEST_ROOT, Root};

/// The most bytes that GitHub takes as a step's summary; a larger one is dropped whole.
pub(super) const SUMMARY_LIMIT: usize = 1_000_000;

/// Why there is nothing to run.
#[derive(Debug)]
pub enum UsageError {
    /// The lists are not in order.
    Lists(Faults),
    /// The policy is not.
    Policy(Faults),
    /// What was said of logging in is not; the text says where.
    Auth(&'static str, Faults),
    /// An option is not.
    Option(String),
}

impl UsageError {
    /// The error for people at a terminal.
    #[must_use]
    pub fn text(&self, look: Look) -> String {
        match self {
            Self::Lists(faults) => diagnostics("error: the list cannot be used", faults.as_slice(), look),
            Self::Policy(faults) => diagnostics("error: the policy cannot be used", faults.as_slice(), look),
            Self::Auth(title, faults) => diagnostics(&format!("error: {title}"), faults.as_slice(), look),
            Self::Option(message) => format!("error: {message}\n"),
        }
    }
}

impl From<Faults> for UsageError {
    fn from(faults: Faults) -> Self {
        Self::Lists(faults)
    }
}

/// Reads what the options name and puts a job together; `plan` is the one that is carried out.
pub(super) fn job(
    options: &RunOptions,
    mode: Mode,
    plan: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<Job, UsageError> {
    let policy = match &options.policy_file {
        Some(path) => policy::read(path).map_err(UsageError::Policy)?,
        None => Policy::default(),
    };
    let mut config =
        config::read(&options.images_files, prefix_sources(options, &policy, None), signatures(options))?;
    let planned = plan.map(|path| planned::load(path, &config, &policy)).transpose()?;
    let lists = config.digest();
    let Share { part, remarks } = share(&options.share, &mut config, surroundings)?;
    if let Some(planned) = &planned {
        planned.check_covers(&config.entries)?;
    }
    Ok(Job { part, remarks, lists, planned, ..assemble(options, mode, config, policy, surroundings)? })
}

/// Where a target prefix can come from. `trusted` is it where the lists' author is not to decide.
pub(super) fn prefix_sources<'a>(
    options: &'a RunOptions,
    policy: &'a Policy,
    trusted: Option<Trusted<'a>>,
) -> PrefixSources<'a> {
    PrefixSources { policy: policy.prefix(), command_line: options.target_repo_prefix.as_deref(), trusted }
}

pub(super) const fn signatures(options: &RunOptions) -> Signatures {
    match options.signatures {
        cli::SignaturesMode::Copy => Signatures::Copy,
        cli::SignaturesMode::Require => Signatures::Require,
        cli::SignaturesMode::Skip => Signatures::Skip,
    }
}

/// Puts a job together from lists and a policy that are read.
pub(super) fn assemble(
    options: &RunOptions,
    mode: Mode,
    config: Config,
    policy: Policy,
    surroundings: &Surroundings,
) -> Result<Job, UsageError> {
    let target_credential = target_credential(&options.credentials, &config.prefix)?;
    let credentials = match &surroundings.docker_config {
        Some(path) => Credentials::from_docker_config(path).map_err(|error| option(error.to_string()))?,
        None => Credentials::anonymous(),
    };
    let sources = config.entries.iter().map(|entry| &entry.source.registry);
    let target = match &config.prefix {
        TargetPrefix::Registry { registry, .. } => Some(registry),
        TargetPrefix::Layout { .. } => None,
    };
    let stated = registries::stated(&policy, sources.chain(target)).collect();
    Ok(Job {
        lists: config.digest(),
        settings: Settings {
            stated,
            create_repositories: options.create_repositories,
            login: login(options.credentials.auth.as_ref(), &policy, surroundings)?,
            concurrency: options.concurrency,
            deadline: Instant::now().checked_add(options.timeout),
            ..settings(&options.connections)?
        },
        trust_root: Arc::new(trust_root(options.trust_root.as_deref())?),
        config,
        part: None,
        remarks: Vec::new(),
        planned: None,
        reviewing: None,
        policy,
        mode,
        on_tag_conflict: match options.on_tag_conflict {
            cli::OnTagConflict::Fail => OnTagConflict::Fail,
            cli::OnTagConflict::Warn => OnTagConflict::Warn,
        },
        credentials: Arc::new(credentials),
        target_credential,
    })
}

/// Fails if there is no folder for what is to be written after the run: that would be late to say so.
pub(super) fn check_places(output: &ReportOptions, plan: Option<&Path>) -> Result<(), UsageError> {
    let (report, summary) = (output.report.as_deref(), output.summary.as_deref());
    for (name, path) in [("--report", report), ("--summary", summary), ("--out", plan)] {
        let folder = path.map(folder_of).filter(|folder| !folder.is_dir());
        if let Some(folder) = folder {
            return Err(option(format!("{name}: there is no folder {}; make it first", folder.display())));
        }
    }
    Ok(())
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn settings(options: &ConnectionOptions) -> Result<Settings, UsageError> {
    let registry = |name: &str| name.parse::<Registry>().map_err(|error| option(error.to_string()));
    let mut endpoints = HashMap::new();
    for endpoint in &options.endpoints {
        endpoints.insert(registry(&endpoint.host)?, endpoint.url.clone());
    }
    let mut identity = None;
    if let (Some(certificate), Some(key)) = (&options.client_cert, &options.client_key) {
        let mut pem = file("--client-cert", certificate)?;
        pem.push(b'\n');
        pem.extend(file("--client-key", key)?);
        identity = Some(pem);
    }
    Ok(Settings {
        endpoints,
        plain_http: options.plain_http.iter().map(|name| registry(name)).collect::<Result<_, _>>()?,
        extra_roots: options.ca_file.iter().map(|path| file("--ca-file", path)).collect::<Result<_, _>>()?,
        identity,
        ..Settings::default()
    })
}

/// Whom keyless signatures are checked by: what is built in, or a file.
fn trust_root(path: Option<&Path>) -> Result<Root, UsageError> {
    let Some(path) = path else { return Root::embedded().map_err(|error| option(error.to_string())) };
    let name = path.display().to_string();
    let read = || {
        let file = std::fs::File::open(path)?;
        let written = file.metadata().and_then(|it| it.modified()).ok();
        let mut text = String::new();
        file.take(LARGEST_ROOT as u64 + 1).read_to_string(&mut text)?;
        Ok::<_, io::Error>((text, written))
    };
    let (text, written) =
        read().map_err(|error| option(format!("--trust-root: failed to read {name}: {error}")))?;
    let root = Root::from_json(&name, &text, written);
    root.map_err(|error| option(format!("--trust-root: {name} is not usable: {error}")))
}

/// The credential that was given for the target's registry itself.
pub(super) fn target_credential(
    options: &CredentialOptions,
    prefix: &TargetPrefix,
) -> Result<Option<Credential>, UsageError> {
    let credential = match (&options.target_repo_auth_key, &options.access_token) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(option("--target-repo-auth-key and --access-token are both given; keep one".into()));
        }
        (None, Some(token)) => Credential::bearer(token.expose()),
        (Some(key), None) => {
            let key = key.expose();
            let text = if key.trim_start().starts_with('{') {
                key.to_owned()
            } else {
                // What is no file's name may be a key in a form that nobody thought of: it is not repeated.
                let bytes = std::fs::read(key).map_err(|error| {
                    option(format!(
                        "--target-repo-auth-key: this is neither a JSON key, which begins with `{{`, nor the name of a \
                         file that can be read: {error}"
                    ))
                })?;
                String::from_utf8(bytes)
                    .map_err(|_| option("--target-repo-auth-key: the file is no text".into()))?
            };
            Credential::from_json_key(&text)
        }
    };
    if matches!(prefix, TargetPrefix::Layout { .. }) {
        return Err(option(
            "credentials for the target are given, and the target is a folder; leave them out".into(),
        ));
    }
    credential.map(Some).map_err(|error| option(error.to_string()))
}

fn file(name: &str, path: &Path) -> Result<Vec<u8>, UsageError> {
    std::fs::read(path).map_err(|error| option(format!("{name}: failed to read {}: {error}", path.display())))
}

const fn option(message: String) -> UsageError {
    UsageError::Option(message)
}

pub(super) const fn format(format: cli::Format) -> Format {
    match format {
        cli::Format::Text => Format::Text,
        cli::Format::Json => Format::Json,
        cli::Format::Markdown => Format::Markdown,
    }
}

pub(super) const fn progress(progress: cli::Progress) -> console::Progress {
    match progress {
        cli::Progress::Auto => console::Progress::Auto,
        cli::Progress::Always => console::Progress::Always,
        cli::Progress::Never => console::Progress::Never,
    }
}

/// Writes a file anew; who reads it sees the old text or the new one, never a part.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    // A device or a pipe cannot be replaced, only written.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text);
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(readable())?;
    file.persist(path)?;
    Ok(())
}

fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o644)
}

/// Appends to a file that may not be there yet, as a GitHub step's summary.
pub(super) fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}
