//! How to log in at a registry, in an operator's words: plain data, which `policy` reads and `registry` acts on.
//!
//! No secret is in it, only where to find one: a variable's name, a file, standard input.

use std::path::{Path, PathBuf};

/// The variable of Google's client libraries that names a file with credentials.
pub const GOOGLE_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Who gives the credential for a registry, and from what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// The docker configuration and its helpers.
    Docker,
    /// Nobody: requests carry no credential.
    Anonymous,
    /// A user and a password, as they are.
    Basic {
        /// The user.
        username: Name,
        /// The password.
        password: Password,
    },
    /// The token of a GitHub workflow, which GitHub's container registry takes as a password.
    GitHub {
        /// The variable that holds the token; `None` is the workflow's own.
        token_variable: Option<String>,
    },
    /// Google Cloud: Artifact Registry and Container Registry.
    Gcp(Gcp),
    /// Amazon ECR, private or public.
    Aws(Aws),
    /// Azure Container Registry.
    Azure(Azure),
}

/// A name that is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The name itself.
    Written(String),
    /// The variable that holds it.
    Variable(String),
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// In this variable.
    Variable(String),
    /// On standard input, one line.
    StandardInput,
}

/// How to get an access token of Google Cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gcp {
    /// What it is got from.
    pub credentials: GcpCredentials,
    /// The service account that the token is to be of, if not of whom the credentials are.
    pub service_account: Option<String>,
}

/// What Google Cloud's access tokens are got from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GcpCredentials {
    /// The file that `GOOGLE_APPLICATION_CREDENTIALS` names.
    Environment,
    /// A file with a service account's key, an `external_account` configuration, or a person's `authorized_user` file.
    File(PathBuf),
    /// A variable that holds such a document.
    Variable(String),
    /// The identity token of a GitHub workflow, for this provider of a workload identity pool:
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    WorkloadIdentity(String),
}

/// How to get an authorization token of Amazon ECR.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aws {
    /// The role to assume with a web identity; `None` is what the environment says.
    pub role: Option<String>,
    /// The region, where the registry's name does not tell it.
    pub region: Option<String>,
    /// The session's name in AWS's logs.
    pub session: Option<String>,
}

/// How to get a refresh token of Azure Container Registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Azure {
    /// The client id of the application or managed identity; `None` is `AZURE_CLIENT_ID`.
    pub client: Option<String>,
    /// The tenant; `None` is `AZURE_TENANT_ID`.
    pub tenant: Option<String>,
}

impl Provider {
    /// What an operator calls it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Anonymous => "anonymous",
            Self::Basic { .. } => "basic",
            Self::GitHub { .. } => "github",
            Self::Gcp(_) => "gcp",
            Self::Aws(_) => "aws",
            Self::Azure(_) => "azure",
        }
    }

    /// The variable that holds a secret, if the operator named one.
    #[must_use]
    pub fn secret_variable(&self) -> Option<&str> {
        match self {
            Self::Basic { password: Password::Variable(name), .. }
            | Self::GitHub { token_variable: Some(name) }
            | Self::Gcp(Gcp { credentials: GcpCredentials::Variable(name), .. }) => Some(name),
            _ => None,
        }
    }

    /// The variables that have to be there, since the operator named them.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let name = match self {
            Self::Basic { username: Name::Variable(name), .. } => Some(name.as_str()),
            _ => None,
        };
        name.into_iter().chain(self.secret_variable())
    }

    /// The file with credentials, if the operator named one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Gcp(Gcp { credentials: GcpCredentials::File(path), .. }) => Some(path),
            _ => None,
        }
    }

    /// Whether the password comes from standard input.
    #[must_use]
    pub const fn reads_input(&self) -> bool {
        matches!(self, Self::Basic { password: Password::StandardInput, .. })
    }
}
