//! `doctor`: a registry, examined.

use std::sync::Arc;

use super::login::login;
use super::options::{self, UsageError};
use super::registries;
use super::surroundings::{Surroundings, stop};
use crate::cli::{ConnectionOptions, CredentialOptions, DoctorOptions, PlainFormat};
use crate::config::TargetPrefix;
use crate::doctor::{self, Told};
use crate::oci::{Registry, Repository};
use crate::policy::{self, Policy};
use crate::registry::examination::Subject;
use crate::registry::{Credential, Credentials, Origin, Patience, Registries, RetryPolicy, Settings};
use crate::report::Look;

/// Examines the registry that the options name.
pub(super) async fn run(options: &DoctorOptions, surroundings: &Surroundings) -> Result<Told, UsageError> {
    let policy = match &options.policy_file {
        Some(path) => policy::read(path).map_err(UsageError::Policy)?,
        None => Policy::default(),
    };
    let (registry, repository) = named(options)?;
    let target = target(options, &policy)?;
    check_given(options, target.as_ref())?;
    let has_given =
        options.credentials.target_repo_auth_key.is_some() || options.credentials.access_token.is_some();
    let given_elsewhere = match &target {
        Some(TargetPrefix::Registry { registry: other, .. }) if has_given && *other != registry => {
            Some(other.clone())
        }
        _ => None,
    };
    let target = target.filter(
        |prefix| matches!(prefix, TargetPrefix::Registry { registry: target, .. } if *target == registry),
    );
    let given = target.as_ref().map(|prefix| given(options, prefix)).transpose()?.flatten();
    let credentials = match &surroundings.docker_config {
        Some(path) => Credentials::from_docker_config(path).map_err(|error| option(error.to_string()))?,
        None => Credentials::anonymous(),
    };
    let settings = Settings {
        stated: registries::stated(&policy, [&registry]).collect(),
        login: login(options.credentials.auth.as_ref(), &policy, surroundings)?,
        // What is wrong at the moment is what is to be seen.
        retry: RetryPolicy { retries: 0, ..RetryPolicy::default() },
        patience: Patience { idle: std::time::Duration::from_secs(20), ..Patience::default() },
        ..options::settings(&options.connections)?
    };
    let all = Registries::new(settings, Arc::new(credentials)).map_err(|error| option(error.to_string()))?;
    let subject = Subject {
        registry,
        repository,
        given,
        given_elsewhere,
        is_target: target.is_some(),
        write: options.write,
        proxied: surroundings.has_proxy(),
    };
    let (examination, interruption) = Box::pin(all.examine(&subject, stop(Some(options.timeout)))).await;
    Ok(Told { examination, interruption })
}

/// The findings in the form that was asked for.
pub(super) fn rendered(told: &Told, format: PlainFormat, look: Look) -> String {
    match format {
        PlainFormat::Text => doctor::text(told, look),
        PlainFormat::Json => doctor::json(told),
    }
}

/// The registry and the repository: as two words, or as one with `/` between.
fn named(options: &DoctorOptions) -> Result<(Registry, Option<Repository>), UsageError> {
    let text = options.registry.trim_end_matches('/');
    let (scheme, text) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
    let (host, within) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    if let Some((_, host)) = host.rsplit_once('@') {
        // What stands before may be a password.
        return Err(option(format!(
            "name the registry as {host}, without a user name and a password: see --auth for those"
        )));
    }
    let repository = match (within, options.repository.as_deref()) {
        (Some(_), Some(_)) => {
            return Err(option(format!("{text} names a repository already; leave out one of the two")));
        }
        (within, second) => within.or(second),
    };
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => crate::oci::DEFAULT_REGISTRY,
        host => host,
    };
    let registry: Registry = host.parse().map_err(|error| option(format!("{error}")))?;
    check_scheme(scheme, &registry, options)?;
    // Docker Hub's own images are below `library/`, as everywhere else.
    let short = |path: &&str| registry.as_str() == crate::oci::DEFAULT_REGISTRY && !path.contains('/');
    let repository = repository.map(|path| match Some(path).filter(short) {
        Some(path) => format!("library/{path}").parse(),
        None => path.parse(),
    });
    let repository = repository.transpose().map_err(|error| {
        let has_more = within.or(options.repository.as_deref()).is_some_and(|path| path.contains([':', '@']));
        let advice = if has_more { "; name it without tag and digest" } else { "" };
        option(format!("{error}{advice}"))
    })?;
    if options.write && repository.is_none() {
        return Err(option("--write needs a repository to begin uploads in; name one that is yours".into()));
    }
    Ok((registry, repository))
}

/// Fails if the registry is named as an address that would not be spoken to in that way.
fn check_scheme(
    scheme: Option<&str>,
    registry: &Registry,
    options: &DoctorOptions,
) -> Result<(), UsageError> {
    let ConnectionOptions { endpoints, plain_http, .. } = &options.connections;
    let is_stated = endpoints.iter().any(|endpoint| endpoint.host == registry.as_str());
    let is_plain = registry.is_loopback() || plain_http.iter().any(|host| host == registry.as_str());
    match scheme {
        None => Ok(()),
        Some(_) if is_stated => Ok(()),
        Some("https") if !is_plain => Ok(()),
        Some("http") if is_plain => Ok(()),
        Some("https") => Err(option(format!(
            "{registry} is spoken to without TLS; name it as {registry} and add --endpoint {registry}=https://{registry}"
        ))),
        Some("http") => Err(option(format!(
            "{registry} is spoken to with TLS; name it as {registry} and add --plain-http {registry}"
        ))),
        Some(_) => Err(option(format!("name the registry as {registry}"))),
    }
}

/// Where images go, if that is stated.
fn target(options: &DoctorOptions, policy: &Policy) -> Result<Option<TargetPrefix>, UsageError> {
    let stated = policy.prefix().map(|stated| stated.prefix.clone());
    let typed = options.target_repo_prefix.as_deref().map(str::parse::<TargetPrefix>).transpose();
    let typed = typed.map_err(|error| option(error.to_string()))?;
    Ok(stated.or(typed))
}

/// Fails if there is a credential for the target, and nothing says which registry that is.
fn check_given(options: &DoctorOptions, target: Option<&TargetPrefix>) -> Result<(), UsageError> {
    let CredentialOptions { target_repo_auth_key, access_token, .. } = &options.credentials;
    let name = match (target_repo_auth_key, access_token) {
        _ if target.is_some() => return Ok(()),
        (None, None) => return Ok(()),
        (Some(_), _) => "--target-repo-auth-key (SYNCER_TARGET_REPO_AUTH_KEY)",
        (None, Some(_)) => "--access-token (SYNCER_ACCESS_TOKEN)",
    };
    Err(option(format!(
        "{name} is for the registry of the target prefix, and there is none; add --target-repo-prefix {}/, or leave it out",
        options.registry.split('/').next().unwrap_or_default()
    )))
}

/// The credential that is given for the target: it goes to no other registry.
fn given(options: &DoctorOptions, prefix: &TargetPrefix) -> Result<Option<(Credential, Origin)>, UsageError> {
    let credential = options::target_credential(&options.credentials, prefix)?;
    let how = match &options.credentials.access_token {
        Some(_) => "--access-token or SYNCER_ACCESS_TOKEN",
        None => "--target-repo-auth-key or SYNCER_TARGET_REPO_AUTH_KEY",
    };
    Ok(credential.map(|credential| (credential, Origin::Given(how))))
}

fn option(message: String) -> UsageError {
    UsageError::Option(message)
}
