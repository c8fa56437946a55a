//! A store over the distribution API: OCI distribution-spec 1.1, as registries really speak it.
//!
//! [`Remote`] is one registry seen by one side of the copy. Its type says what can be done with it:
//! `Remote<ReadOnly>` sends GET and HEAD to `/v2/` and nothing else; only `Remote<ReadWrite>` is a
//! [`Target`](crate::store::Target). Nothing here knows of plans, images or companions.

mod answer;
mod auth;
mod blob;
mod call;
mod client;
mod creation;
mod credentials;
mod download;
mod error;
pub mod examination;
mod feed;
mod gate;
mod guard;
mod identity;
mod knowledge;
mod link;
mod manifest;
mod origin;
mod plain;
pub mod quirks;
mod quota;
mod redact;
mod referrers;
mod retry;
mod settings;
mod silence;
mod slots;
mod strangers;
mod upload;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock};

use url::Url;

pub use client::Traffic;
pub use credentials::{Credential, CredentialError, Credentials, Helpers, Origin};
pub use guard::Reach;
pub use identity::{Environment, Hide, Login, LoginRule, Matches};
pub use quirks::{Chunks, Profile};
pub use retry::{Patience, RetryPolicy};
pub use settings::Settings;

use crate::oci::{DEFAULT_REGISTRY, Digest, Registry, Repository};
use auth::{Auth, Scope};
use client::{Client, Way};
use creation::Creations;
use gate::{Gate, Gates};
use identity::{Identities, Services, Side};
use knowledge::Knowledge;
use quirks::Overrides;
use quota::Quotas;
use silence::Silence;
use slots::Slots;
use strangers::FrontPage;
use upload::Lessons;

/// Who we are to a registry's operator.
const USER_AGENT: &str = concat!("image-syncer/", env!("CARGO_PKG_VERSION"));

/// Where Docker Hub answers.
const DOCKER_HUB: &str = "https://registry-1.docker.io";

/// Why registries cannot be spoken to at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A certificate is none.
    #[error("the CA file cannot be used: {0}")]
    Roots(String),
    /// The client certificate or its key is none.
    #[error("the client certificate cannot be used: {0}")]
    Identity(String),
    /// The rest.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// All registries of a run.
#[derive(Debug)]
pub struct Registries {
    settings: Settings,
    identities: Arc<Identities>,
    /// Through the proxy of the environment, if there is one.
    proxied: reqwest::Client,
    /// For this machine's own addresses, which no proxy can reach.
    direct: reqwest::Client,
    /// For hosts that nobody vouches for, where not all addresses may be connected to.
    guarded: Option<reqwest::Client>,
    traffic: Arc<Traffic>,
    gates: Gates,
}

impl Registries {
    /// Prepares to speak to registries; sends nothing.
    pub fn new(settings: Settings, credentials: Arc<Credentials>) -> Result<Self, SetupError> {
        let proxied = http_client(&settings, |builder| builder)?;
        let direct = http_client(&settings, reqwest::ClientBuilder::no_proxy)?;
        let pinned = |builder: reqwest::ClientBuilder| {
            let is_discreet = settings.reach == Reach::PublicForStrangers;
            builder.no_proxy().dns_resolver(Arc::new(guard::Resolver::new(is_discreet)))
        };
        let guarded = match settings.reach {
            Reach::Anywhere => None,
            Reach::Public | Reach::PublicForStrangers => Some(http_client(&settings, pinned)?),
            Reach::PublicByProxy => Some(proxied.clone()),
        };
        let traffic = Arc::default();
        let services = Services::new(&settings, (proxied.clone(), direct.clone()), Arc::clone(&traffic))?;
        let identities = Arc::new(Identities::new(settings.login.clone(), credentials, services));
        Ok(Self { settings, identities, proxied, direct, guarded, traffic, gates: Gates::default() })
    }

    /// A registry that images come from.
    #[must_use]
    pub fn source(&self, registry: &Registry) -> Remote<ReadOnly> {
        let identities = (!self.settings.anonymous_sources).then(|| Arc::clone(&self.identities));
        // Another address for a registry is the operator's choice, too.
        let trusted = self.settings.endpoints.contains_key(registry);
        self.remote(registry, "pull", (Side::Source, identities, None), trusted)
    }

    /// The registry that images go to, for a plan. Asks for the right to push, with which an absent
    /// repository is a plain 404, and makes no use of it. `credential` comes before all else that
    /// says who we are.
    #[must_use]
    pub fn target_to_read(&self, registry: &Registry, credential: Option<Credential>) -> Remote<ReadOnly> {
        let identities = Some(Arc::clone(&self.identities));
        self.remote(registry, "pull,push", (Side::Target, identities, credential), true)
    }

    /// The registry that images go to. `credential` comes before all else that says who we are.
    #[must_use]
    pub fn target(&self, registry: &Registry, credential: Option<Credential>) -> Remote<ReadWrite> {
        let identities = Some(Arc::clone(&self.identities));
        self.remote(registry, "pull,push", (Side::Target, identities, credential), true)
    }

    /// What was sent so far, to all registries.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// A registry that is trusted may be anywhere; what it leads to may not, but for what the operator named as an
    /// endpoint. Only the target's word counts for where its token service is.
    fn remote<A>(
        &self,
        registry: &Registry,
        actions: &'static str,
        (side, identities, fixed): (Side, Option<Arc<Identities>>, Option<Credential>),
        trusted: bool,
    ) -> Remote<A> {
        let base = self.base(registry);
        let host = base_registry(&base).unwrap_or_else(|| registry.clone());
        let unguarded = if host.is_loopback() { &self.direct } else { &self.proxied };
        let way = |trusted: bool| match self.guarded.as_ref().filter(|_| !trusted) {
            Some(guarded) => Way { http: guarded.clone(), is_guarded: true },
            None => Way { http: unguarded.clone(), is_guarded: false },
        };
        let stated = self.stated_of(registry);
        let gate = self.gates.of(base.authority());
        let allies = self.settings.endpoints.values().filter(|_| trusted).cloned().collect();
        let client = Arc::new(Client {
            host: host.to_string(),
            base,
            // Behind another address somebody else answers.
            knowledge: Knowledge::new(&host, stated),
            front_page: FrontPage::default(),
            token_turn: tokio::sync::Mutex::default(),
            home: way(trusted),
            abroad: way(false),
            tokens: way(side == Side::Target),
            allies,
            auth: Auth::new(host, identities, side, fixed),
            slots: Slots::new(self.settings.concurrency),
            gate,
            token_gate: Gate::default(),
            quotas: Quotas::default(),
            retry: self.settings.retry,
            patience: self.settings.patience,
            deadline: self.settings.deadline,
            traffic: Arc::clone(&self.traffic),
            silence: Silence::default(),
        });
        Remote {
            client,
            registry: registry.clone(),
            is_direct: !self.settings.endpoints.contains_key(registry),
            actions,
            referrers_api: Mutex::default(),
            mounts_own: OnceLock::new(),
            probing: tokio::sync::Mutex::default(),
            lessons: Lessons::default(),
            probes: Mutex::default(),
            turns: Mutex::default(),
            creations: Creations::new(self.settings.create_repositories),
            access: PhantomData,
        }
    }

    /// What the operator states of a registry.
    fn stated_of(&self, registry: &Registry) -> Overrides {
        self.settings.stated.get(registry).copied().unwrap_or_default()
    }

    fn base(&self, registry: &Registry) -> Url {
        self.settings.base(registry)
    }
}

impl Settings {
    /// Who answers for a registry, and whose credentials are used: itself, or the host of another address.
    #[must_use]
    pub fn answering(&self, registry: &Registry) -> Registry {
        base_registry(&self.base(registry)).unwrap_or_else(|| registry.clone())
    }

    fn base(&self, registry: &Registry) -> Url {
        if let Some(endpoint) = self.endpoints.get(registry) {
            return endpoint.clone();
        }
        let plain = registry.is_loopback() || self.plain_http.contains(registry);
        let text = match (registry.as_str(), plain) {
            (DEFAULT_REGISTRY, _) => DOCKER_HUB.to_owned(),
            (host, true) => format!("http://{host}"),
            (host, false) => format!("https://{host}"),
        };
        // A registry's grammar is narrower than that of a URL's host, so that this always parses.
        Url::parse(&text).unwrap_or_else(|_| blank())
    }
}

/// The host of a URL as a registry: whose credentials are used.
fn base_registry(base: &Url) -> Option<Registry> {
    let host = base.host_str()?;
    if host == "registry-1.docker.io" {
        return DEFAULT_REGISTRY.parse().ok();
    }
    base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")).parse().ok()
}

#[expect(clippy::expect_used, reason = "a constant")]
fn blank() -> Url {
    Url::parse("https://invalid.invalid").expect("a constant URL parses")
}

fn http_client(
    settings: &Settings,
    adapt: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, SetupError> {
    let mut roots = Vec::new();
    for pem in &settings.extra_roots {
        let parsed = reqwest::Certificate::from_pem_bundle(pem);
        let parsed = parsed.map_err(|error| SetupError::Roots(error.to_string()))?;
        if parsed.is_empty() {
            return Err(SetupError::Roots("it holds no PEM certificate".into()));
        }
        roots.extend(parsed);
    }
    let identity = match &settings.identity {
        None => None,
        Some(pem) => {
            Some(reqwest::Identity::from_pem(pem).map_err(|error| SetupError::Identity(error.to_string()))?)
        }
    };
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(settings.patience.connect)
            .pool_idle_timeout(std::time::Duration::from_secs(50));
        let builder = match &identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        };
        adapt(builder)
    };
    builder().tls_certs_merge(roots.clone()).build().or_else(|_| {
        // No certificate store on this machine, as in a scratch image: Mozilla's roots are built in.
        let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let bundled = bundled.filter_map(|der| reqwest::Certificate::from_der(der).ok());
        builder().tls_certs_only(bundled.chain(roots)).build().map_err(|error| setup_error(&error))
    })
}

/// Why there is no client, in the words of whoever knows: the innermost cause.
fn setup_error(error: &reqwest::Error) -> SetupError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if text.contains("KeyMismatch") {
        return SetupError::Identity("the key belongs to another certificate".into());
    }
    SetupError::Client(text)
}

/// A remote that can only be read. What writes does not take it:
///
/// ```compile_fail,E0277
/// use image_syncer::registry::{ReadOnly, Remote};
/// use image_syncer::store::Target;
///
/// fn write(_: &dyn Target) {}
/// fn plan(target: &Remote<ReadOnly>) {
///     write(target);
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ReadOnly;

/// A remote that can be written.
#[derive(Debug, Clone, Copy)]
pub struct ReadWrite;

/// Held by whoever has the turn.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// One registry, seen by one side of the copy.
#[derive(Debug)]
pub struct Remote<A> {
    client: Arc<Client>,
    registry: Registry,
    /// Whether the registry is asked itself, and not a cache that may know of a part only.
    is_direct: bool,
    actions: &'static str,
    /// Whether a repository answers the referrers API, as far as that is known.
    referrers_api: Mutex<HashMap<Repository, bool>>,
    /// Whether a blob can be "mounted" from the repository that it is to go to.
    mounts_own: OnceLock<bool>,
    /// Held by the blob that finds that out.
    probing: tokio::sync::Mutex<()>,
    lessons: Lessons,
    /// Held by whoever finds out whether a repository answers the referrers API.
    probes: Mutex<HashMap<Repository, Turn>>,
    /// One turn a subject: its referrers are pushed one after the other.
    turns: Mutex<HashMap<(Repository, Digest), Turn>>,
    /// Repositories that did not exist.
    creations: Creations,
    access: PhantomData<A>,
}

impl<A> Remote<A> {
    fn scope(&self, repository: &Repository) -> Scope {
        Scope { repository: repository.clone(), actions: self.actions }
    }

    fn name(&self, repository: &Repository, reference: &impl std::fmt::Display) -> String {
        let reference = reference.to_string();
        let mark = if reference.contains(':') { '@' } else { ':' };
        format!("{}/{repository}{mark}{reference}", self.registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registries(endpoints: &[(&str, &str)]) -> Registries {
        let mut settings = Settings::default();
        for (host, url) in endpoints {
            settings.endpoints.insert(host.parse().expect("a registry"), Url::parse(url).expect("a URL"));
        }
        settings.plain_http.push("plain.example.com".parse().expect("a registry"));
        Registries::new(settings, Arc::default()).expect("registries")
    }

    #[test]
    fn every_registry_has_its_address() {
        let registries = registries(&[("ghcr.io", "http://127.0.0.1:5000/cache")]);
        let base = |host: &str| {
            let remote = registries.source(&host.parse().expect("a registry"));
            (remote.client.url("a/b/tags/list").to_string(), remote.client.host.clone())
        };
        let expect = |url: &str, host: &str| (format!("{url}/v2/a/b/tags/list"), host.to_owned());
        assert_eq!(base("docker.io"), expect("https://registry-1.docker.io", "docker.io"));
        assert_eq!(base("quay.io"), expect("https://quay.io", "quay.io"));
        assert_eq!(base("plain.example.com"), expect("http://plain.example.com", "plain.example.com"));
        assert_eq!(base("localhost:5000"), expect("http://localhost:5000", "localhost:5000"));
        assert_eq!(base("[::1]:5000"), expect("http://[::1]:5000", "[::1]:5000"));
        assert_eq!(base("ghcr.io"), expect("http://127.0.0.1:5000/cache", "127.0.0.1:5000"));
    }
}
