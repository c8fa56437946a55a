//! How to log in where: from the operator's words to what registries act on.

use std::io::{self, BufRead as _};
use std::sync::Arc;

use super::options::UsageError;
use super::surroundings::Surroundings;
use crate::login::GOOGLE_CREDENTIALS;
use crate::policy::{AuthRule, Policy, load_auth};
use crate::registry::{Environment, Login, LoginRule};
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

/// What was typed comes before what the policy says, and both before what is found.
pub(super) fn login(
    typed: Option<&Secret>,
    policy: &Policy,
    surroundings: &Surroundings,
) -> Result<Login, UsageError> {
    let typed = typed.map(|text| load_auth("auth", text.expose()));
    let typed = typed.transpose().map_err(UsageError::Auth)?.unwrap_or_default();
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
