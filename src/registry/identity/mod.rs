//! Who we are at a registry, by what the operator chose, the docker configuration, or what the surroundings offer.
//!
//! Credentials that providers make for a time are asked for once, however many need them, and anew before they
//! expire. None goes to a host that a list's author could choose: a provider's own go to hosts of that provider's
//! grammar, or to those that the operator named in full.

mod aws;
mod azure;
mod context;
mod detect;
mod gcp;
mod oidc;
mod service;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::login::{Name, Password, Provider};
use crate::oci::{Registry, Repository};
use crate::secret::Secret;
use crate::store::{SingleFlight, StoreError, StoreErrorKind};

use super::credentials::{Credential, Credentials, Origin};
use context::Context;
pub(super) use service::Services;

/// A credential with less time left than this is not used for anything new.
const LONGEST_MARGIN: Duration = Duration::from_secs(300);

/// None is believed to live longer, whatever it says.
const LONGEST_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// A credential that is younger than this and is not taken is wrong, not worn out.
const YOUNG: Duration = Duration::from_secs(60);

/// When a new credential is asked for once more where it could not be had.
const AGAIN: Duration = Duration::from_secs(15);

/// The variable of the workflow's token where the action's input does not give it.
const GITHUB_TOKEN: &str = "GITHUB_TOKEN";

/// How to log in where, and what with.
#[derive(Clone, Default)]
pub struct Login {
    /// What the operator chose, the strongest first.
    pub rules: Vec<LoginRule>,
    /// The variables of the process.
    pub environment: Environment,
    /// The token of the GitHub workflow, if it was given as such.
    pub workflow_token: Option<Secret>,
    /// The password that came on standard input.
    pub input: Option<Secret>,
    /// Whether what nobody chose is found by itself.
    pub detect: bool,
    /// Told each secret that a provider gives, before it is used.
    pub hide: Option<Hide>,
}

/// Hides a secret from whoever reads along.
pub type Hide = Arc<dyn Fn(&Secret) + Send + Sync>;

/// Says whether a rule is about a repository, given as `registry/repository`.
pub type Matches = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What the operator chose for some registries.
#[derive(Clone)]
pub struct LoginRule {
    /// Where it is stated, for messages.
    pub stated: String,
    /// What it is about.
    pub matches: Matches,
    /// The registry, where it is named in full.
    pub registry: Option<Registry>,
    /// Who gives the credential.
    pub provider: Provider,
}

/// Variables, none of which is ever shown.
#[derive(Clone, Default)]
pub struct Environment(Arc<HashMap<String, Secret>>);

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()))
    }
}

impl Environment {
    /// A variable's value; one that is empty is as good as none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|value| !value.expose().trim().is_empty())
    }

    /// The others.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let others = self.0.iter().filter(|(known, _)| *known != name);
        Self(Arc::new(others.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("rules", &self.rules)
            .field("detect", &self.detect)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LoginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRule")
            .field("stated", &self.stated)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// The side of the copy that wants to know who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Target,
}

/// A credential that a provider gave.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    credential: Credential,
    /// How long it is valid from now on.
    lifetime: Duration,
}

/// A credential with the moment from which on a new one is asked for.
#[derive(Debug, Clone)]
struct Held {
    credential: Credential,
    since: Instant,
    renew: Instant,
    expires: Instant,
}

/// What a credential was given for: the rule, or none where it was found by itself, and the registry.
type Purpose = (Option<usize>, Registry);

/// Who we are at all registries of a run.
pub(super) struct Identities {
    login: Login,
    docker: Arc<Credentials>,
    services: Services,
    held: Mutex<HashMap<Purpose, Arc<SingleFlight<Held>>>>,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").field("login", &self.login).finish_non_exhaustive()
    }
}

impl Identities {
    pub(super) fn new(login: Login, docker: Arc<Credentials>, services: Services) -> Self {
        Self { login, docker, services, held: Mutex::default() }
    }

    /// Who we are at `registry` for `repository`; `None` is anonymous.
    pub(super) async fn find(
        &self,
        side: Side,
        registry: &Registry,
        repository: &Repository,
    ) -> Result<Option<Credential>, StoreError> {
        Ok(self.locate(side, registry, Some(repository)).await?.map(|(credential, _)| credential))
    }

    /// Who we are at `registry` for `repository`, or for all of it, and by whom that is known.
    pub(super) async fn locate(
        &self,
        side: Side,
        registry: &Registry,
        repository: Option<&Repository>,
    ) -> Result<Option<(Credential, Origin)>, StoreError> {
        // No repository is called so: what is for all of them is for this one, too.
        let name = repository.map_or_else(|| format!("{registry}/-"), |path| format!("{registry}/{path}"));
        let rules = self.login.rules.iter().enumerate();
        if let Some((place, rule)) = rules.into_iter().find(|(_, rule)| (rule.matches)(&name)) {
            return match &rule.provider {
                Provider::Docker => self.configured(registry, repository).await,
                Provider::Anonymous => Ok(None),
                provider => {
                    let context = Context {
                        services: &self.services,
                        login: &self.login,
                        registry,
                        is_named: rule.registry.as_ref() == Some(registry),
                        stated: &rule.stated,
                    };
                    let given = self.given((Some(place), registry.clone()), provider, &context).await?;
                    let origin = Origin::Provider { provider: provider.word(), stated: rule.stated.clone() };
                    Ok(Some((given, origin)))
                }
            };
        }
        if let Some(found) = self.configured(registry, repository).await? {
            return Ok(Some(found));
        }
        let Some(provider) = detect::provider(side, registry, &self.login) else { return Ok(None) };
        let context = Context {
            services: &self.services,
            login: &self.login,
            registry,
            is_named: false,
            stated: "the environment",
        };
        let given = self.given((None, registry.clone()), &provider, &context).await?;
        let origin = Origin::Provider { provider: provider.word(), stated: context.stated.to_owned() };
        Ok(Some((given, origin)))
    }

    /// Drops a credential that a registry does not take any more, if it was given for a time. True if there may be
    /// another.
    pub(super) async fn refused(&self, registry: &Registry, sent: &Credential) -> bool {
        let slots: Vec<_> = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let here = held.iter().filter(|((_, known), _)| known == registry);
            here.map(|(_, slot)| Arc::clone(slot)).collect()
        };
        let mut dropped = false;
        for slot in slots {
            dropped |= slot.forget(|held| held.credential == *sent && held.since.elapsed() > YOUNG).await;
        }
        dropped
    }

    /// Creates a repository at a registry where a push does not: Amazon ECR. Who may do that is who logs in there, by
    /// the operator's choice or by the environment.
    pub(super) async fn create_repository(
        &self,
        registry: &Registry,
        repository: &Repository,
    ) -> Result<(), StoreError> {
        let name = format!("{registry}/{repository}");
        let rule = self.login.rules.iter().find(|rule| (rule.matches)(&name));
        let chosen = rule.and_then(|rule| match &rule.provider {
            Provider::Aws(aws) => Some((aws.clone(), rule)),
            _ => None,
        });
        let context = Context {
            services: &self.services,
            login: &self.login,
            registry,
            is_named: chosen.as_ref().is_some_and(|(_, rule)| rule.registry.as_ref() == Some(registry)),
            stated: chosen.as_ref().map_or("--create-repositories", |(_, rule)| &rule.stated),
        };
        let aws = chosen.as_ref().map(|(aws, _)| aws.clone()).unwrap_or_default();
        let created = aws::create_repository(&aws, repository, &context).await;
        created.map_err(|error| StoreError { operation: "create the repository", reference: name, ..error })
    }

    async fn configured(
        &self,
        registry: &Registry,
        repository: Option<&Repository>,
    ) -> Result<Option<(Credential, Origin)>, StoreError> {
        let found = self.docker.locate(registry, repository).await;
        found.map_err(|error| {
            StoreError::new("log in to", registry, StoreErrorKind::Access, error.to_string())
        })
    }

    /// A provider's credential: what is written down as it is, what is made for a time once for all.
    async fn given(
        &self,
        purpose: Purpose,
        provider: &Provider,
        context: &Context<'_>,
    ) -> Result<Credential, StoreError> {
        match provider {
            Provider::Basic { username, password } => {
                let username = match username {
                    Name::Written(name) => name.clone(),
                    Name::Variable(name) => context.variable(name)?.expose().trim().to_owned(),
                };
                let password = match password {
                    Password::Variable(name) => context.variable(name)?.clone(),
                    Password::StandardInput => context.input()?.clone(),
                };
                let password = Secret::new(password.expose().trim_end_matches(['\r', '\n']));
                return Ok(Credential::Basic { username, password });
            }
            Provider::GitHub { token_variable } => return workflow_token(token_variable.as_deref(), context),
            _ => {}
        }
        let slot = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(held.entry(purpose).or_default())
        };
        let ask = async { Ok(self.issued(provider, context).await?.hold(Instant::now())) };
        let keep = |held: Held, error: StoreError| {
            if held.expires <= Instant::now() {
                return Err(error);
            }
            // What is still good is used for as long as nobody gives another.
            tracing::warn!(registry = %context.registry, %error, "no new credential yet; the old one is used");
            Ok(Held { renew: Instant::now() + AGAIN, ..held })
        };
        let held = slot.get_or_keep(|held| held.renew > Instant::now(), ask, keep).await;
        held.map(|held| held.credential).map_err(StoreError::exhausted)
    }

    /// What a provider gives for a time.
    async fn issued(&self, provider: &Provider, context: &Context<'_>) -> Result<Issued, StoreError> {
        let issued = match provider {
            Provider::Gcp(gcp) => gcp::credential(gcp, context).await?,
            Provider::Aws(aws) => aws::credential(aws, context).await?,
            Provider::Azure(azure) => azure::credential(azure, context).await?,
            _ => return Err(context.error("it gives no credential")),
        };
        context.hide(&issued.credential);
        tracing::debug!(registry = %context.registry, lifetime = ?issued.lifetime, "a new credential");
        Ok(issued)
    }
}

impl Issued {
    /// It is renewed five minutes before it expires, and one that lives not much longer after three quarters of its
    /// life.
    fn hold(self, now: Instant) -> Held {
        let lifetime = self.lifetime.min(LONGEST_LIFETIME);
        let used = lifetime.saturating_sub(LONGEST_MARGIN).max(lifetime / 4 * 3);
        Held { credential: self.credential, since: now, renew: now + used, expires: now + lifetime }
    }
}

/// GitHub's registry takes the workflow's token as the password of whoever asks.
fn workflow_token(variable: Option<&str>, context: &Context<'_>) -> Result<Credential, StoreError> {
    let token = match (variable, &context.login.workflow_token) {
        (Some(name), _) => context.variable(name)?,
        (None, Some(token)) => token,
        (None, None) => context.variable(GITHUB_TOKEN)?,
    };
    let actor = context.login.environment.get("GITHUB_ACTOR").map(Secret::expose);
    let username = actor.filter(|actor| !actor.contains(':')).unwrap_or("image-syncer").to_owned();
    Ok(Credential::Basic { username, password: Secret::new(token.expose().trim()) })
}

#[cfg(test)]
mod tests;
