//! What can be found out of a registry by asking it: whether it can be reached, who we are there, what we may do and
//! what it can do.
//!
//! The examination asks with GET and HEAD, and with what the registry's token service needs. Only where that is
//! allowed does it write: uploads are begun and cancelled (`trial`), and no content, tag or repository is left. What
//! it does not ask for it does not claim: [`State::Unknown`] is an answer.

mod api;
mod limits;
mod reach;
mod rights;
mod trial;

use url::Url;

use super::call::Call;
use super::identity::Side;
use super::quirks::Profile;
use super::{Credential, Origin, ReadOnly, ReadWrite, Registries, Remote, base_registry};
use crate::oci::{Registry, Repository};
use crate::store::StoreError;

pub use limits::Limit;

/// What is to be examined, and how.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The registry, as references name it.
    pub registry: Registry,
    /// The repository that rights are wanted for.
    pub repository: Option<Repository>,
    /// Who we are there, and how that was given, before what the docker configuration says.
    pub given: Option<(Credential, Origin)>,
    /// The registry that a credential was given for, where that is another one: it is not used.
    pub given_elsewhere: Option<Registry>,
    /// Whether it is the target's registry: some credentials are offered to that alone.
    pub is_target: bool,
    /// Whether uploads may be begun.
    pub write: bool,
    /// Whether requests to other machines go through a proxy, which looks up their names itself.
    pub proxied: bool,
}

/// What was found out.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The registry, as references name it.
    pub registry: Registry,
    /// The repository that rights were wanted for.
    pub repository: Option<Repository>,
    /// Where the registry is reached: scheme, host and port.
    pub address: String,
    /// What was looked at, in its order. What could not be looked at, since something before it failed, is left out.
    pub checks: Vec<Check>,
    /// What is left of the registry's quotas, as far as it says so.
    pub limits: Vec<Limit>,
    /// What is known of the registry.
    pub profile: Profile,
}

impl Examination {
    /// Whether all that was asked for works.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.checks.iter().all(|check| check.state != State::Failed)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it belongs to.
    pub area: Area,
    /// What was looked at, in a word: `name`, `connection`, `push`, ….
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was seen, as a fragment of a sentence. Foreign text in it is not escaped.
    pub message: String,
    /// What to do about it, where that is known.
    pub advice: Option<String>,
}

/// What checks are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The way to the registry.
    Connection,
    /// Who we are.
    Login,
    /// What we may do in the repository.
    Rights,
    /// What the registry can do.
    Api,
}

impl Area {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::Connection, Self::Login, Self::Rights, Self::Api];

    /// `connection`, `login`, `rights` or `api`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Login => "login",
            Self::Rights => "rights",
            Self::Api => "api",
        }
    }
}

/// The order in which things are told, whatever the order in which they were looked at.
const ORDER: [(Area, &str); 14] = [
    (Area::Connection, "name"),
    (Area::Connection, "connection"),
    (Area::Connection, "tls"),
    (Area::Connection, "api"),
    (Area::Login, "credentials"),
    (Area::Login, "login"),
    (Area::Rights, "pull"),
    (Area::Rights, "push"),
    (Area::Api, "tags"),
    (Area::Api, "referrers"),
    (Area::Api, "oci-subject"),
    (Area::Api, "mount"),
    (Area::Api, "chunks"),
    (Area::Api, "delete"),
];

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It works, or it is there.
    Ok,
    /// It has to work, and does not.
    Failed,
    /// It is not there, or not allowed, and nobody asked for it.
    No,
    /// It could not be found out, or was not to be.
    Unknown,
}

impl State {
    /// `ok`, `failed`, `no` or `unknown`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

impl Registries {
    /// Examines a registry, until it is done or `stop` ends it. It never fails: what does is a finding, and so is what was
    /// not finished.
    pub async fn examine<S>(
        &self,
        subject: &Subject,
        stop: impl Future<Output = S>,
    ) -> (Examination, Option<S>) {
        let base = self.base(&subject.registry);
        let host = base_registry(&base).unwrap_or_else(|| subject.registry.clone());
        let mut findings = Findings::default();
        let mut profile = Profile::of(&host).with(&self.stated_of(&subject.registry));
        let stopped = tokio::select! {
            () = self.look(subject, &host, &mut findings, &mut profile) => None,
            why = stop => Some(why),
        };
        if stopped.is_some() {
            findings.note_unfinished(subject);
        }
        let mut checks = findings.checks;
        checks.sort_by_key(|check| ORDER.iter().position(|known| *known == (check.area, check.name)));
        let examination = Examination {
            registry: subject.registry.clone(),
            repository: subject.repository.clone(),
            address: address(&base),
            checks,
            limits: findings.limits,
            profile,
        };
        (examination, stopped)
    }

    /// Looks at everything, as far as one thing leads to the next.
    async fn look(&self, subject: &Subject, host: &Registry, findings: &mut Findings, profile: &mut Profile) {
        let credential = find_credential(findings, self, subject, host).await;
        let known = credential.clone().flatten();
        let remote: Remote<ReadOnly> =
            self.remote(&subject.registry, "pull", (Side::Source, None, known.clone()), true);
        let examiner = Examiner { subject, host, remote: &remote, credential: known.clone() };
        let front = examiner.reach(findings).await;
        *profile = remote.client.knowledge.profile();
        // Nothing is tried anonymously that was to be done with credentials.
        let Some(front) = front.filter(|_| credential.is_some()) else { return };
        if !examiner.log_in(findings, &front).await {
            return;
        }
        let seen = examiner.rights(findings, &front).await;
        examiner.api(findings, &seen).await;
        *profile = remote.client.knowledge.profile();
        if subject.write
            && let Some(repository) = &subject.repository
        {
            let target: Remote<ReadWrite> =
                self.remote(&subject.registry, "pull,push", (Side::Target, None, known), true);
            trial::Trial { remote: &target, repository, manifest: seen.manifest.as_ref() }
                .run(findings)
                .await;
        }
        examiner.ask_for_limits(findings).await;
        *profile = remote.client.knowledge.profile();
    }
}

/// Collects what is found.
#[derive(Debug, Default)]
struct Findings {
    checks: Vec<Check>,
    limits: Vec<Limit>,
    /// Whether there is no login to be looked at.
    needs_no_login: bool,
}

impl Findings {
    fn add(&mut self, area: Area, name: &'static str, state: State, message: impl Into<String>) {
        self.checks.push(Check { area, name, state, message: message.into(), advice: None });
    }

    fn advise(
        &mut self,
        area: Area,
        name: &'static str,
        state: State,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let advice = Some(advice.into());
        self.checks.push(Check { area, name, state, message: message.into(), advice });
    }

    /// Names what there was no time for. Not all is looked at everywhere: an address needs no name, and a registry for
    /// everybody no login; of these none is missed where something later was looked at.
    fn note_unfinished(&mut self, subject: &Subject) {
        let looked_at = |checks: &[Check], known: &(Area, &str)| {
            checks.iter().any(|check| (check.area, check.name) == *known)
        };
        let last = ORDER.iter().rposition(|known| known.1 != "credentials" && looked_at(&self.checks, known));
        for (place, known) in ORDER.iter().enumerate() {
            let (area, name) = *known;
            let is_due = subject.repository.is_some() || matches!(area, Area::Connection | Area::Login);
            let is_optional = matches!(name, "name" | "connection" | "tls" | "login");
            let is_past = (is_optional && last.is_some_and(|last| place < last))
                || (name == "login" && self.needs_no_login);
            if is_due && !is_past && !looked_at(&self.checks, known) {
                self.add(area, name, State::Unknown, "not finished when the examination ended");
            }
        }
    }

    /// Drops what was said before of something that is looked at better now.
    fn forget(&mut self, area: Area, name: &str) {
        self.checks.retain(|known| (known.area, known.name) != (area, name));
    }

    /// Says something better of what was looked at before.
    fn replace(&mut self, check: Check) {
        self.forget(check.area, check.name);
        self.checks.push(check);
    }
}

/// Asks one registry, without writing.
struct Examiner<'a> {
    subject: &'a Subject,
    /// Who answers at the registry's address.
    host: &'a Registry,
    remote: &'a Remote<ReadOnly>,
    credential: Option<Credential>,
}

/// What the registry said to a request for its root, without a login.
struct Front {
    /// Whether it wants to know who asks.
    wants_login: bool,
    /// Whether it lets strangers in, and says how others log in.
    takes_login: bool,
    /// Whether it gives tokens for that.
    has_tokens: bool,
}

impl Examiner<'_> {
    /// A GET or HEAD below `/v2/`.
    fn call(&self, method: http::Method, path: &str, operation: &'static str) -> Call {
        let reference = match &self.subject.repository {
            Some(repository) => format!("{}/{repository}", self.subject.registry),
            None => self.subject.registry.to_string(),
        };
        let mut call = Call::new(method, self.remote.client.url(path), operation, reference);
        call.leave_host = false;
        call
    }
}

/// Looks for a credential. `None` if it could not be found out, `Some(None)` if there is none.
async fn find_credential(
    findings: &mut Findings,
    registries: &Registries,
    subject: &Subject,
    host: &Registry,
) -> Option<Option<Credential>> {
    const NAME: &str = "credentials";
    let found = if let Some(given) = &subject.given {
        Ok(Some(given.clone()))
    } else {
        let side = if subject.is_target { Side::Target } else { Side::Source };
        registries.identities.locate(side, host, subject.repository.as_ref()).await
    };
    match found {
        Ok(Some((credential, origin))) => {
            let message = format!("{}, {}", described(&credential), place(&origin));
            findings.add(Area::Login, NAME, State::Ok, message);
            Some(Some(credential))
        }
        Ok(None) => {
            let message = format!("none for {host}: requests are anonymous");
            match &subject.given_elsewhere {
                None => findings.add(Area::Login, NAME, State::No, message),
                Some(other) => {
                    let advice =
                        format!("the one that is given is for the target, {other}, and goes nowhere else");
                    findings.advise(Area::Login, NAME, State::No, message, advice);
                }
            }
            Some(None)
        }
        Err(error) => {
            findings.add(Area::Login, NAME, State::Failed, said(&error));
            None
        }
    }
}

/// What a credential is, without its secret.
fn described(credential: &Credential) -> String {
    match credential {
        // Whoever needs no password is known by the name alone, which is a secret then.
        Credential::Basic { password, .. } if matches!(password.expose(), "" | "x-oauth-basic") => {
            "a token in the place of the user name".to_owned()
        }
        Credential::Basic { username, .. } => format!("the user `{username}` with a password"),
        Credential::IdentityToken(_) => "an identity token".to_owned(),
        Credential::Bearer(_) => "a bearer token".to_owned(),
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Helper(helper) => format!("from the credential helper `{helper}`"),
        Origin::Entry(key) => format!("from the entry `{key}` of the docker configuration"),
        Origin::Provider { provider, stated } => format!("from the provider `{provider}` ({stated})"),
        Origin::Given(how) => format!("from {how}"),
    }
}

/// What an error says, without what was tried.
fn said(error: &StoreError) -> String {
    error.message.clone()
}

/// Scheme, host and port of a URL.
fn address(base: &Url) -> String {
    let path = base.path().trim_end_matches('/');
    format!("{}{path}", base.origin().ascii_serialization())
}
