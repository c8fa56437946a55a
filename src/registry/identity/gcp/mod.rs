//! Google Cloud: an access token, which Artifact Registry and Container Registry take as the password of the user
//! `oauth2accesstoken` (Google Cloud, "Configure authentication to Artifact Registry for Docker").
//!
//! It is made from a service account's key (RFC 7523), or from the token of somebody else by the Security Token
//! Service (RFC 8693); a service account that is named is then impersonated (IAM Credentials API).

mod external;
mod key;
mod user;

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Issued;
use super::context::Context;
use super::oidc::workflow_identity;
use super::service::{Content, Errand};
use crate::login::{GOOGLE_CREDENTIALS, Gcp, GcpCredentials};
use crate::oci::Registry;
use crate::registry::credentials::Credential;
use crate::secret::Secret;
use crate::store::StoreError;

const OAUTH: &str = "oauth2.googleapis.com";
const OAUTH_PATH: &str = "/token";
const STS: &str = "sts.googleapis.com";
const STS_PATH: &str = "/v1/token";
const IAM: &str = "iamcredentials.googleapis.com";

/// What the token is for; who it is of decides what it may do.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long an impersonated service account's token is to live; more needs an organisation's permission.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Whether a registry is Google's, by its name.
pub(super) fn is_own(registry: &Registry) -> bool {
    let host = registry.as_str();
    let is_label = |text: &str| !text.is_empty() && !text.contains(['.', ':']);
    host == "gcr.io"
        || host.strip_suffix(".gcr.io").is_some_and(is_label)
        || host.strip_suffix("-docker.pkg.dev").is_some_and(is_label)
}

/// A token and how long it lives.
struct AccessToken {
    value: Secret,
    lifetime: Duration,
}

/// What Google's token endpoints answer (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

impl Answer {
    fn token(self, context: &Context<'_>) -> AccessToken {
        let value = context.hidden(Secret::new(self.access_token));
        AccessToken { value, lifetime: Duration::from_secs(self.expires_in) }
    }
}

pub(super) async fn credential(gcp: &Gcp, context: &Context<'_>) -> Result<Issued, StoreError> {
    context.check_host(is_own(context.registry), "Google Cloud's")?;
    let (token, own_account) = match &gcp.credentials {
        GcpCredentials::WorkloadIdentity(provider) => {
            let subject = workflow_identity(
                &format!("https://iam.googleapis.com/{provider}"),
                "name a file with `credentialsFile`",
                context,
            )
            .await?;
            let audience = format!("//iam.googleapis.com/{provider}");
            (exchange(&subject, "urn:ietf:params:oauth:token-type:jwt", &audience, context).await?, None)
        }
        GcpCredentials::File(path) => documented(&context.file(path).await?, context).await?,
        GcpCredentials::Variable(name) => documented(context.variable(name)?, context).await?,
        GcpCredentials::Environment => {
            let path = context.variable(GOOGLE_CREDENTIALS)?;
            documented(&context.file(path.expose().trim().as_ref()).await?, context).await?
        }
    };
    let token = match gcp.service_account.as_ref().or(own_account.as_ref()) {
        Some(account) => impersonated(&token, account, context).await?,
        None => token,
    };
    let credential = Credential::Basic { username: "oauth2accesstoken".to_owned(), password: token.value };
    Ok(Issued { credential, lifetime: token.lifetime })
}

/// A token for what a credentials document says, and the service account that it wants to be impersonated.
async fn documented(
    text: &Secret,
    context: &Context<'_>,
) -> Result<(AccessToken, Option<String>), StoreError> {
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
        universe_domain: Option<String>,
    }
    let kind: Kind = parsed(text, context)?;
    if kind.universe_domain.is_some_and(|domain| domain != "googleapis.com") {
        return Err(context.error("its Google Cloud credentials are of another universe than googleapis.com"));
    }
    match kind.r#type.as_str() {
        "service_account" => {
            let key: key::Key = parsed(text, context)?;
            Ok((key.token(context).await?, None))
        }
        "external_account" => {
            let account: external::Account = parsed(text, context)?;
            let own = account.service_account(context)?;
            Ok((account.token(context).await?, own))
        }
        "authorized_user" => {
            let user: user::User = parsed(text, context)?;
            Ok((user.token(context).await?, None))
        }
        _ => Err(context.error(
            "the `type` of its Google Cloud credentials is none of `service_account`, `external_account` and \
             `authorized_user`",
        )),
    }
}

/// What a credentials document says; serde's own message could quote the key in it.
fn parsed<'a, T: Deserialize<'a>>(text: &'a Secret, context: &Context<'_>) -> Result<T, StoreError> {
    serde_json::from_str(text.expose()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        context.error(format!(
            "its Google Cloud credentials are not the JSON document that Google issues (line {line}, column {column})"
        ))
    })
}

/// Exchanges somebody else's token for Google's ("Method: token" of the Security Token Service API).
async fn exchange(
    subject: &Secret,
    subject_type: &str,
    audience: &str,
    context: &Context<'_>,
) -> Result<AccessToken, StoreError> {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", audience),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", subject_type),
        ("subject_token", subject.expose()),
    ];
    let errand = Errand {
        host: STS,
        path: STS_PATH,
        content: Content::Form(&form),
        bearer: None,
        secrets: &[subject],
    };
    let answer: Answer = context.services.ask(errand, "an access token", context).await?;
    Ok(answer.token(context))
}

/// The token of a service account ("Method: projects.serviceAccounts.generateAccessToken").
async fn impersonated(
    token: &AccessToken,
    account: &str,
    context: &Context<'_>,
) -> Result<AccessToken, StoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Generated {
        access_token: String,
        expire_time: String,
    }
    let path = format!("/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
    let body = serde_json::json!({ "scope": [SCOPE], "lifetime": format!("{}s", LIFETIME.as_secs()) });
    let errand = Errand {
        host: IAM,
        path: &path,
        content: Content::Json(body.to_string()),
        bearer: Some(&token.value),
        secrets: &[],
    };
    let answer: Generated = context.services.ask(errand, "an access token", context).await?;
    let expires = OffsetDateTime::parse(&answer.expire_time, &Rfc3339).ok().map(SystemTime::from);
    let left = expires.and_then(|expires| expires.duration_since(SystemTime::now()).ok());
    let value = context.hidden(Secret::new(answer.access_token));
    // A clock that is wrong must not make a new token of each request.
    Ok(AccessToken { value, lifetime: left.unwrap_or(LIFETIME).min(LIFETIME) })
}
