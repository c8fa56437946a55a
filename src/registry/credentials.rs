//! Who we are at which registry: the docker configuration and its credential helpers.
//!
//! The longest key that matches registry and repository wins; no match is anonymous. A helper that is
//! missing, hangs or prints nonsense is an error, never anonymous.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;

use crate::oci::{DEFAULT_REGISTRY, Registry, Repository};
use crate::secret::Secret;

/// How long a credential helper may take.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// No answer of a credential helper is as long as this, in bytes.
const HELPER_OUTPUT: u64 = 64 * 1024;

/// The name under which docker and its helpers keep Docker Hub's credentials.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What proves who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token for the registry's token service (`OAuth2`).
    IdentityToken(Secret),
    /// A token that the registry itself takes.
    Bearer(Secret),
}

impl Credential {
    /// A token that the registry itself takes, as `gcloud auth print-access-token` gives one.
    pub fn bearer(token: &str) -> Result<Self, CredentialError> {
        let token = token.trim();
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(CredentialError::Token);
        }
        Ok(Self::Bearer(Secret::new(token)))
    }

    /// A Google Cloud service account key, which registries take as the password of `_json_key`.
    pub fn from_json_key(text: &str) -> Result<Self, CredentialError> {
        #[derive(Deserialize)]
        struct ServiceAccount {
            r#type: String,
            #[serde(default)]
            client_email: String,
            #[serde(default)]
            private_key: String,
        }
        let key: ServiceAccount = serde_json::from_str(text).map_err(|_| {
            CredentialError::JsonKey("it is not the JSON document that Google Cloud issues".into())
        })?;
        if key.r#type != "service_account" {
            return Err(CredentialError::JsonKey(
                "its `type` is not `service_account`; create a key of a service account".into(),
            ));
        }
        if key.client_email.is_empty() || key.private_key.is_empty() {
            return Err(CredentialError::JsonKey("it lacks `client_email` or `private_key`".into()));
        }
        Ok(Self::Basic { username: "_json_key".into(), password: Secret::new(text.trim()) })
    }
}

/// Where a credential was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// What this credential helper printed.
    Helper(String),
    /// The entry of `auths` with this key, without scheme and API version.
    Entry(String),
    /// What a provider gave.
    Provider {
        /// What an operator calls it.
        provider: &'static str,
        /// Where it was chosen.
        stated: String,
    },
    /// What the operator gave, and how.
    Given(&'static str),
}

/// Why credentials could not be had. Never holds one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The docker configuration cannot be read.
    #[error("the docker configuration {0} cannot be used: {1}")]
    Config(String, String),
    /// A credential helper did not do its work.
    #[error("the credential helper {helper} {problem}; try `echo {key} | {helper} get`")]
    Helper {
        /// The helper's program name.
        helper: String,
        /// The registry that it was asked for.
        key: String,
        /// What it did.
        problem: String,
    },
    /// Not a token.
    #[error("the access token has a blank, a line break or another character that no token has")]
    Token,
    /// Not a JSON key of Google Cloud.
    #[error("this is not a Google Cloud JSON key: {0}")]
    JsonKey(String),
}

/// How credential helpers are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helpers {
    /// How long one may take.
    pub patience: Duration,
    /// The folders that they are looked for in, as in `PATH`; `None` is the `PATH` of the environment.
    pub path: Option<OsString>,
}

impl Default for Helpers {
    fn default() -> Self {
        Self { patience: HELPER_TIMEOUT, path: None }
    }
}

/// The credentials of a run.
#[derive(Debug, Default)]
pub struct Credentials {
    entries: Vec<(String, Credential)>,
    helpers: HashMap<String, String>,
    store: Option<String>,
    how: Helpers,
    asked: Mutex<HashMap<String, Answer>>,
}

/// What a helper said, asked once however many want to know.
type Answer = Arc<OnceCell<Result<Option<Credential>, CredentialError>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, DockerAuth>,
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
struct DockerAuth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Credentials {
    /// No credentials at all.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The credentials of a docker configuration file; a file that does not exist has none.
    pub fn from_docker_config(path: &Path) -> Result<Self, CredentialError> {
        let error = |problem: String| CredentialError::Config(path.display().to_string(), problem);
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes).map_err(error),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(fault) => Err(error(fault.to_string())),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: DockerConfig = serde_json::from_slice(bytes)
            // serde's own message can quote the text, and the text holds passwords.
            .map_err(|error| format!("line {}, column {}: not valid", error.line(), error.column()))?;
        let mut entries = Vec::new();
        for (key, auth) in config.auths {
            let key = normalized(&key);
            if let Some(credential) = auth.credential().map_err(|problem| format!("`{key}`: {problem}"))? {
                entries.push((key, credential));
            }
        }
        entries.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        let helpers = config.cred_helpers.into_iter().map(|(key, name)| (normalized(&key), name)).collect();
        Ok(Self {
            entries,
            helpers,
            store: config.creds_store.filter(|name| !name.is_empty()),
            how: Helpers::default(),
            asked: Mutex::default(),
        })
    }

    /// The same credentials, with helpers that are run in this way.
    #[must_use]
    pub fn with_helpers(self, how: Helpers) -> Self {
        Self { how, ..self }
    }

    /// Who we are at `registry` for `repository`; `None` is anonymous.
    pub async fn find(
        &self,
        registry: &Registry,
        repository: &Repository,
    ) -> Result<Option<Credential>, CredentialError> {
        Ok(self.locate(registry, Some(repository)).await?.map(|(credential, _)| credential))
    }

    /// Who we are at `registry` for `repository`, or for all of it, and where that was found; `None` is anonymous.
    pub async fn locate(
        &self,
        registry: &Registry,
        repository: Option<&Repository>,
    ) -> Result<Option<(Credential, Origin)>, CredentialError> {
        let helper = self.helpers.get(registry.as_str()).or(self.store.as_ref());
        if let Some(helper) = helper {
            let answer = {
                let mut asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                asked.entry(registry.to_string()).or_default().clone()
            };
            let found = answer.get_or_init(|| ask_helper(helper, registry, &self.how)).await.clone()?;
            if let Some(credential) = found {
                return Ok(Some((credential, Origin::Helper(format!("docker-credential-{helper}")))));
            }
        }
        let name = repository.map_or_else(|| registry.to_string(), |path| format!("{registry}/{path}"));
        let matches =
            |key: &str| name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let entry = self.entries.iter().find(|(key, _)| matches(key));
        Ok(entry.map(|(key, credential)| (credential.clone(), Origin::Entry(key.clone()))))
    }
}

impl DockerAuth {
    fn credential(self) -> Result<Option<Credential>, String> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = some(self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        if let Some(token) = some(self.registrytoken) {
            return Ok(Some(Credential::Bearer(Secret::new(token))));
        }
        if let Some(auth) = some(self.auth) {
            let decoded = BASE64.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or("its `auth` is not base64")?;
            let (username, password) =
                decoded.split_once(':').ok_or("its `auth` does not hold user and password")?;
            // docker pads with zero bytes.
            return Ok(Some(basic(username, password.trim_matches('\0'))));
        }
        match (some(self.username), some(self.password)) {
            (Some(username), Some(password)) => Ok(Some(basic(&username, &password))),
            _ => Ok(None),
        }
    }
}

/// docker marks a refresh token by a user name that nobody has.
fn basic(username: &str, password: &str) -> Credential {
    if username == "<token>" {
        return Credential::IdentityToken(Secret::new(password));
    }
    Credential::Basic { username: username.into(), password: Secret::new(password) }
}

/// A configuration's key without scheme and API version: `https://index.docker.io/v1/` is `docker.io`.
fn normalized(key: &str) -> String {
    let key = key.trim_start_matches("https://").trim_start_matches("http://");
    let key = key.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2").trim_end_matches('/');
    match key.split_once('/').map_or((key, None), |(host, path)| (host, Some(path))) {
        ("index.docker.io" | "registry-1.docker.io", None) => DEFAULT_REGISTRY.to_owned(),
        ("index.docker.io" | "registry-1.docker.io", Some(path)) => format!("{DEFAULT_REGISTRY}/{path}"),
        (host, None) => host.to_ascii_lowercase(),
        (host, Some(path)) => format!("{}/{path}", host.to_ascii_lowercase()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Runs `docker-credential-NAME get` with the registry on its standard input.
async fn ask_helper(
    name: &str,
    registry: &Registry,
    how: &Helpers,
) -> Result<Option<Credential>, CredentialError> {
    let helper = format!("docker-credential-{name}");
    let key =
        if registry.as_str() == DEFAULT_REGISTRY { DOCKER_HUB_KEY.to_owned() } else { registry.to_string() };
    let error =
        |problem: String| CredentialError::Helper { helper: helper.clone(), key: key.clone(), problem };
    if name.contains(['/', '\\']) {
        return Err(error("has a name with a path in it".into()));
    }
    let (status, output) = match tokio::time::timeout(how.patience, run(&helper, &key, how)).await {
        Err(_) => {
            return Err(error(format!("did not answer within {} s", how.patience.as_secs_f32())));
        }
        Ok(Err(fault)) if fault.kind() == std::io::ErrorKind::NotFound => {
            return Err(error("is named in the docker configuration but not installed".into()));
        }
        Ok(Err(fault)) => return Err(error(format!("could not be run: {fault}"))),
        Ok(Ok(outcome)) => outcome,
    };
    if output.len() as u64 >= HELPER_OUTPUT {
        return Err(error(format!("printed more than {HELPER_OUTPUT} bytes")));
    }
    if !status.success() {
        let said = String::from_utf8_lossy(&output).to_lowercase();
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(error(format!("failed with {status}")));
    }
    let answer: HelperAnswer = serde_json::from_slice(&output)
        .map_err(|_| error("printed something that is no `{\"Username\":…,\"Secret\":…}`".into()))?;
    if answer.secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(basic(&answer.username, &answer.secret)))
}

/// Runs a helper and gives what it printed, up to a limit.
async fn run(helper: &str, key: &str, how: &Helpers) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let mut command = tokio::process::Command::new(helper);
    if let Some(path) = &how.path {
        command.env("PATH", path);
    }
    let mut child = command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    // It is dropped before the child, so that its number cannot be another's by then.
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input has said what it has to say.
        let _ = input.write_all(key.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(HELPER_OUTPUT).read_to_end(&mut output).await?;
    }
    let status = child.wait().await?;
    group.leave();
    Ok((status, output))
}

/// The processes of a helper: what it started goes with it when it is given up, or when the run ends.
struct Group(Option<Pid>);

impl Group {
    /// It ended by itself; what it left behind, such as an agent that keeps a key, is meant to stay.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // One that is gone already is what was wanted.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn user(config: &str, registry: &str, repository: &str) -> String {
        let credentials = Credentials::parse(config.as_bytes()).expect("a configuration");
        let registry = registry.parse().expect("a registry");
        let found = credentials.find(&registry, &repository.parse().expect("a repository")).await;
        match found {
            Ok(Some(Credential::Basic { username, password })) => format!("{username}:{}", password.expose()),
            Ok(Some(other)) => format!("{other:?}"),
            Ok(None) => "anonymous".into(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn the_longest_matching_key_wins() {
        let config = r#"{"auths":{
            "quay.io":{"auth":"YTpi"},
            "quay.io/team":{"username":"c","password":"d"},
            "quay.io/team/tool":{"username":"e","password":"f"},
            "https://index.docker.io/v1/":{"auth":"ZTpmOmc="},
            "empty.io":{}
        }}"#;
        assert_eq!(user(config, "quay.io", "other/app").await, "a:b");
        assert_eq!(user(config, "quay.io", "team/app").await, "c:d");
        assert_eq!(user(config, "quay.io", "teams/app").await, "a:b");
        assert_eq!(user(config, "quay.io", "team/tool").await, "e:f");
        assert_eq!(user(config, "quay.io", "team/tools").await, "c:d");
        assert_eq!(user(config, "docker.io", "library/busybox").await, "e:f:g");
        assert_eq!(user(config, "empty.io", "a").await, "anonymous");
        assert_eq!(user(config, "ghcr.io", "a").await, "anonymous");
    }

    #[tokio::test]
    async fn a_missing_helper_is_an_error_that_names_it() {
        let config = r#"{"credHelpers":{"ghcr.io":"does-not-exist"}}"#;
        let message = user(config, "ghcr.io", "a").await;
        assert!(message.contains("docker-credential-does-not-exist is named"), "{message}");
        assert_eq!(user(config, "quay.io", "a").await, "anonymous");
    }

    #[test]
    fn a_broken_configuration_does_not_leak() {
        let error = Credentials::parse(br#"{"auths":{"a":{"auth":12345}}}"#).expect_err("an error");
        assert!(error.starts_with("line 1, column ") && !error.contains("12345"), "{error}");
        let error = Credentials::parse(br#"{"auths":{"a":{"auth":"hunter2!"}}}"#).expect_err("an error");
        assert_eq!(error, "`a`: its `auth` is not base64");
    }

    #[test]
    fn a_json_key_is_checked_to_be_one() {
        let key = r#"{"type":"service_account","client_email":"a@b","private_key":"k"}"#;
        assert!(Credential::from_json_key(key).is_ok());
        for bad in ["", "{}", r#"{"type":"authorized_user"}"#, r#"{"type":"service_account"}"#] {
            assert!(Credential::from_json_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Credential::Bearer(Secret::new("hunter2"))), "Bearer(***)");
    }
}
