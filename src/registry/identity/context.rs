//! What a provider works with: the registry that it is about, what it may read, and errors that say whose they are.

use std::path::Path;

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::Login;
use super::service::Services;
use crate::oci::Registry;
use crate::registry::call::{Body, Call};
use crate::registry::credentials::Credential;
use crate::secret::Secret;
use crate::store::{StoreError, StoreErrorKind};

/// No file with a token or a key is as large as this.
const LARGEST_FILE: u64 = 64 * 1024;

/// The errand of one provider.
pub(super) struct Context<'a> {
    pub(super) services: &'a Services,
    pub(super) login: &'a Login,
    /// Where the credential is for.
    pub(super) registry: &'a Registry,
    /// Whether the operator named that registry in full.
    pub(super) is_named: bool,
    /// Who asked for this provider.
    pub(super) stated: &'a str,
}

impl<'a> Context<'a> {
    /// A variable that has to be there.
    pub(super) fn variable(&self, name: &str) -> Result<&'a Secret, StoreError> {
        let missing = || self.lacking(format!("the variable {name} is not set, or empty"));
        self.login.environment.get(name).ok_or_else(missing)
    }

    /// The password of standard input.
    pub(super) fn input(&self) -> Result<&'a Secret, StoreError> {
        let missing = || self.lacking("there was no password on standard input");
        self.login.input.as_ref().ok_or_else(missing)
    }

    /// A file's text.
    pub(super) async fn file(&self, path: &Path) -> Result<Secret, StoreError> {
        let read = async {
            let mut text = String::new();
            let file = tokio::fs::File::open(path).await?;
            file.take(LARGEST_FILE).read_to_string(&mut text).await?;
            Ok::<_, std::io::Error>(text)
        };
        let text = read.await;
        text.map(Secret::new)
            .map_err(|error| self.lacking(format!("the file {} cannot be read: {error}", path.display())))
    }

    /// The token in a file, hidden before it is used.
    pub(super) async fn token_file(&self, path: &str) -> Result<Secret, StoreError> {
        let text = self.file(path.as_ref()).await?;
        Ok(self.hidden(Secret::new(text.expose().trim())))
    }

    /// A request on the way to a credential.
    pub(super) fn call(&self, method: Method, url: Url, body: Body) -> Call {
        let mut call = Call::new(method, url, "log in to", self.registry.to_string());
        call.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        call.body = body;
        call
    }

    /// Hides what a provider gave.
    pub(super) fn hide(&self, credential: &Credential) {
        let (Credential::Basic { password: secret, .. }
        | Credential::IdentityToken(secret)
        | Credential::Bearer(secret)) = credential;
        if let Some(hide) = &self.login.hide {
            hide(secret);
        }
    }

    /// A secret that was given to us, hidden before it is used.
    pub(super) fn hidden(&self, secret: Secret) -> Secret {
        if let Some(hide) = &self.login.hide {
            hide(&secret);
        }
        secret
    }

    /// Fails if the registry is none of the provider's and was not named in full either.
    pub(super) fn check_host(&self, is_own: bool, whose: &str) -> Result<(), StoreError> {
        if is_own || self.is_named {
            return Ok(());
        }
        Err(self.error(format!(
            "{} is no registry of {whose}; name it in full in `auth` if it is",
            self.registry
        )))
    }

    /// What would prove who we are is not at hand in this run, as in a fork's pull request.
    pub(super) fn lacking(&self, message: impl AsRef<str>) -> StoreError {
        self.failure(StoreErrorKind::Denied, message.as_ref())
    }

    /// Something is wrong.
    pub(super) fn error(&self, message: impl AsRef<str>) -> StoreError {
        self.failure(StoreErrorKind::Other, message.as_ref())
    }

    fn failure(&self, kind: StoreErrorKind, message: &str) -> StoreError {
        StoreError::new("log in to", self.registry, kind, format!("{message} (as {} asks for)", self.stated))
    }
}
