//! How to log in where: from the operator's words to what registries act on.

use std::io::{self, BufRead as _};
use std::sync::Arc;

use super::options::UsageError;
use super::surroundings::Surroundings;
use super::sync::Job;
use crate::config::TargetPrefix;
use crate::login::GOOGLE_CREDENTIALS;
use crate::oci::Registry;
use crate::policy::{AuthRule, Policy, load_auth};
use crate::registry::{Environment, Login, LoginRule, Settings};
use crate::secret::Secret;

/// No password is as long as this, in bytes.
const LONGEST_PASSWORD: u64 = 64 * 1024;

/// The variables that name files with credentials.
pub(super) const CREDENTIAL_FILES: [&str; 3] =
    [GOOGLE_CREDENTIALS, "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE"];

/// Variables that hold secrets wherever they are set.
const SECRET_VARIABLES: [&str; 5] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DOCKERHUB_TOKEN",
    "GITHUB_TOKEN",
];

/// The variables that `auth` is stated in, and what is said of each that cannot be read.
const STATED: [(&str, &str); 2] =
    [("INPUT_AUTH", "The input auth cannot be used"), ("SYNCER_AUTH", "SYNCER_AUTH cannot be used")];

/// What was typed comes before what the policy says, and both before what is found.
pub(super) fn login(
    typed: Option<&Secret>,
    policy: &Policy,
    surroundings: &Surroundings,
) -> Result<Login, UsageError> {
    let environment = &surroundings.environment;
    let stated = STATED.map(|(variable, title)| (environment.get(variable), title));
    let is = |one: &Secret, other: &Secret| one.expose() == other.expose();
    let typed = typed.map(|text| {
        let stated = stated.iter().find(|(value, _)| value.is_some_and(|value| is(value, text)));
        let title = stated.map_or("--auth cannot be used", |(_, title)| title);
        load_auth("auth", text.expose()).map_err(|faults| UsageError::Auth(title, faults))
    });
    let typed = typed.transpose()?.unwrap_or_default();
    // What is overridden has no effect, and still has to be something that could be read, as everywhere.
    for (value, title) in stated {
        let Some(value) = value else { continue };
        load_auth("auth", value.expose()).map_err(|faults| UsageError::Auth(title, faults))?;
    }
    let rules: Vec<LoginRule> = typed.rules().iter().chain(policy.auth().rules()).map(rule).collect();
    let input = match rules.iter().filter(|rule| rule.provider.reads_input()).count() {
        0 => None,
        1 => password(io::stdin().lock()),
        _ => {
            let message = "both --auth and the policy take a password from standard input; keep one";
            return Err(UsageError::Option(message.to_owned()));
        }
    };
    let environment = surroundings.environment.clone();
    Ok(Login { rules, environment, input, detect: true, ..Login::default() })
}

/// Fails if a registry of the job is to be logged in at with something that is not there: what `auth` names was meant.
pub(super) fn check(job: &Job) -> Result<(), UsageError> {
    let sources = job.config.entries.iter().map(|entry| (&entry.source.registry, &entry.source.repository));
    check_names(&job.settings, sources.map(|(registry, repository)| (registry, repository.as_str())))?;
    let TargetPrefix::Registry { registry, .. } = &job.config.prefix else { return Ok(()) };
    if job.target_credential.is_some() {
        return Ok(());
    }
    let targets = job.config.entries.iter().map(|entry| &entry.target.repository);
    check_names(&job.settings, targets.map(|repository| (registry, repository.as_str())))
}

/// The same of repositories.
pub(super) fn check_names<'a>(
    settings: &Settings,
    names: impl Iterator<Item = (&'a Registry, &'a str)>,
) -> Result<(), UsageError> {
    let login = &settings.login;
    for (registry, repository) in names {
        let registry = settings.answering(registry);
        let name = format!("{registry}/{repository}");
        let Some(rule) = login.rules.iter().find(|rule| (rule.matches)(&name)) else { continue };
        if let Some((what, advice)) = missing(rule, login) {
            let stated = &rule.stated;
            let message = format!("{what}, and {stated} logs in at {registry} with it; {advice}");
            return Err(UsageError::Option(message));
        }
    }
    Ok(())
}

/// What a rule needs and is not there, and what to do.
fn missing(rule: &LoginRule, login: &Login) -> Option<(String, &'static str)> {
    let mut variables = rule.provider.variables();
    if let Some(name) = variables.find(|name| login.environment.get(name).is_none()) {
        return Some((
            format!("the variable {name} is not set, or empty"),
            "set it, or name another one there",
        ));
    }
    let lacks_input = rule.provider.reads_input() && login.input.is_none();
    lacks_input.then(|| ("there is no password on standard input".to_owned(), "write it there in one line"))
}

fn rule(rule: &AuthRule) -> LoginRule {
    let pattern = rule.clone();
    LoginRule {
        stated: format!("`auth` ({})", rule.location),
        matches: Arc::new(move |name| pattern.matches(name)),
        registry: rule.registry(),
        provider: rule.provider.clone(),
    }
}

/// The first line.
fn password(input: impl io::BufRead) -> Option<Secret> {
    let mut line = String::new();
    input.take(LONGEST_PASSWORD).read_line(&mut line).ok()?;
    let line = line.trim_end_matches(['\r', '\n']);
    (!line.is_empty()).then(|| Secret::new(line))
}

/// What is secret in the surroundings, as far as it is known before anything is asked for.
pub(super) fn secrets(login: &Login) -> Vec<Secret> {
    let named = login.rules.iter().filter_map(|rule| rule.provider.secret_variable());
    let value = |name| Environment::get(&login.environment, name).cloned();
    SECRET_VARIABLES.into_iter().chain(named).filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        let read = |text: &str| password(text.as_bytes()).map(|secret| secret.expose().to_owned());
        assert_eq!(read("hunter2\n"), Some("hunter2".to_owned()));
        assert_eq!(read(" hunter 2 \r\nmore"), Some(" hunter 2 ".to_owned()));
        assert_eq!(read("\n"), None);
        assert_eq!(read(""), None);
    }
}
