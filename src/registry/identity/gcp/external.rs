//! A configuration of workload identity federation (`external_account`), as `gcloud iam workload-identity-pools
//! create-cred-config` and google-github-actions/auth write it. The token of the other side comes from a file or an
//! address; sources that run a program or ask a cloud's metadata service by its own protocol are refused.

use std::collections::HashMap;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use url::Url;

use super::{AccessToken, IAM, STS, STS_PATH, exchange};
use crate::registry::call::Body;
use crate::registry::identity::context::Context;
use crate::secret::Secret;
use crate::store::StoreError;

#[derive(Deserialize)]
pub(super) struct Account {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: Source,
}

#[derive(Deserialize)]
struct Source {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    format: Format,
    /// Of AWS's own protocol, which `url` belongs to then.
    environment_id: Option<String>,
}

#[derive(Deserialize, Default)]
struct Format {
    #[serde(default)]
    r#type: String,
    subject_token_field_name: Option<String>,
}

impl Account {
    /// The service account that the configuration wants to be impersonated.
    ///
    /// Both addresses in it are compared with Google's and not used: a configuration must not send the other side's
    /// token anywhere else.
    pub(super) fn service_account(&self, context: &Context<'_>) -> Result<Option<String>, StoreError> {
        let foreign = |key: &str| {
            context.error(format!("`{key}` of its Google Cloud credentials is not Google's own address"))
        };
        if self.token_url != format!("https://{STS}{STS_PATH}") {
            return Err(foreign("token_url"));
        }
        let Some(url) = &self.service_account_impersonation_url else { return Ok(None) };
        let account = url
            .strip_prefix(&format!("https://{IAM}/v1/projects/-/serviceAccounts/"))
            .and_then(|rest| rest.strip_suffix(":generateAccessToken"))
            .filter(|account| !account.contains(['/', '?', '#', '%', ':']));
        account
            .map(|account| Some(account.to_owned()))
            .ok_or_else(|| foreign("service_account_impersonation_url"))
    }

    pub(super) async fn token(&self, context: &Context<'_>) -> Result<AccessToken, StoreError> {
        let text = match &self.credential_source {
            Source { environment_id: None, file: Some(path), .. } => context.file(path).await?,
            Source { environment_id: None, url: Some(url), headers, .. } => {
                fetched(url, headers, context).await?
            }
            _ => {
                return Err(context.error(
                    "its Google Cloud credentials take a token from neither a `file` nor a `url`, which is all that \
                     image-syncer can do; let the cloud's login action write a docker configuration instead",
                ));
            }
        };
        let subject = context.hidden(self.subject(&text, context)?);
        exchange(&subject, &self.subject_token_type, &self.audience, context).await
    }

    /// The token in what the source gave: all of it, or a field of a JSON document.
    fn subject(&self, text: &Secret, context: &Context<'_>) -> Result<Secret, StoreError> {
        let format = &self.credential_source.format;
        if format.r#type != "json" {
            return Ok(Secret::new(text.expose().trim()));
        }
        let document: Option<serde_json::Value> = serde_json::from_str(text.expose()).ok();
        let field = format.subject_token_field_name.as_deref().unwrap_or_default();
        let token = document.as_ref().and_then(|document| document.get(field)?.as_str());
        token.map(Secret::new).ok_or_else(|| {
            context.error("`credential_source` of its Google Cloud credentials led to no token")
        })
    }
}

async fn fetched(
    url: &str,
    headers: &HashMap<String, String>,
    context: &Context<'_>,
) -> Result<Secret, StoreError> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some((url, host)) = url.and_then(|url| Some((url.clone(), url.host_str()?.to_owned()))) else {
        return Err(context.error("`credential_source` of its Google Cloud credentials has no address"));
    };
    let mut call = context.call(Method::GET, url, Body::Empty);
    for (name, value) in headers {
        let (Ok(name), Ok(mut header)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(context.error("`credential_source` of its Google Cloud credentials has a bad header"));
        };
        header.set_sensitive(true);
        call.secrets.add_header(&header);
        call.headers.insert(name, header);
    }
    let body = context.services.send(&call, &host, context).await?;
    Ok(Secret::new(String::from_utf8_lossy(&body)))
}
