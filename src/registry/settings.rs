//! How registries are reached.

use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

use url::Url;

use super::guard::Reach;
use super::identity::Login;
use super::quirks::Overrides;
use super::retry::{Patience, RetryPolicy};
use crate::oci::Registry;

/// How registries are reached.
#[derive(Clone)]
pub struct Settings {
    /// Other addresses for registries: a pull-through cache, a test registry.
    pub endpoints: HashMap<Registry, Url>,
    /// Registries spoken to without TLS; loopback hosts are anyway.
    pub plain_http: Vec<Registry>,
    /// Further certificate authorities, PEM.
    pub extra_roots: Vec<Vec<u8>>,
    /// A client certificate with its key, PEM.
    pub identity: Option<Vec<u8>>,
    /// Requests at a time, for each registry and side. If it is not said, 16 at first, and up to 128 while answers stay
    /// quick.
    pub concurrency: Option<usize>,
    /// How stubborn the client is.
    pub retry: RetryPolicy,
    /// How long a registry may be silent.
    pub patience: Patience,
    /// When the run must end.
    pub deadline: Option<Instant>,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// Whether sources are asked without the credentials that there may be for them.
    pub anonymous_sources: bool,
    /// Whether repositories are created at a target that has none of that name, where that is known how: at ECR.
    pub create_repositories: bool,
    /// What the operator states of registries, by their names in lists and prefixes.
    pub stated: HashMap<Registry, Overrides>,
    /// How to log in where; what it does not say is left to the docker configuration.
    pub login: Login,
}

impl fmt::Debug for Settings {
    /// Without the client certificate: its key is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoints", &self.endpoints)
            .field("plain_http", &self.plain_http)
            .field("extra_roots", &self.extra_roots.len())
            .field("identity", &self.identity.as_ref().map(|_| "***"))
            .field("concurrency", &self.concurrency)
            .field("retry", &self.retry)
            .field("patience", &self.patience)
            .field("deadline", &self.deadline)
            .field("reach", &self.reach)
            .field("anonymous_sources", &self.anonymous_sources)
            .field("create_repositories", &self.create_repositories)
            .field("stated", &self.stated)
            .field("login", &self.login)
            .finish()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: HashMap::new(),
            plain_http: Vec::new(),
            extra_roots: Vec::new(),
            identity: None,
            concurrency: None,
            retry: RetryPolicy::default(),
            patience: Patience::default(),
            deadline: None,
            reach: Reach::Anywhere,
            anonymous_sources: false,
            create_repositories: false,
            stated: HashMap::new(),
            login: Login::default(),
        }
    }
}
