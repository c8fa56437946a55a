//! Azure Container Registry: a refresh token of the registry's, which its token service takes for tokens with a scope
//! (the OAuth flow of `az acr login`; "AAD OAuth" in the registry's documentation).
//!
//! A federated credential, GitHub's identity token or that of the file that Azure's workload identity names, is
//! exchanged for a token of Entra's ("client credentials grant with a federated credential"), and that one at the
//! registry. Entra's token is for container registries only: it is no use against the rest of Azure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::Issued;
use super::context::Context;
use super::oidc::workflow_identity;
use super::service::{Content, Errand};
use crate::login::Azure;
use crate::oci::Registry;
use crate::registry::credentials::Credential;
use crate::secret::Secret;
use crate::store::StoreError;

/// The variables of Azure's own libraries.
pub(super) const CLIENT: &str = "AZURE_CLIENT_ID";
pub(super) const TENANT: &str = "AZURE_TENANT_ID";
pub(super) const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// Whom the federated token is for.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// What Entra's token is for.
const SCOPE: &str = "https://containerregistry.azure.net/.default";

/// How long a refresh token lives if it does not say.
const LIFETIME: Duration = Duration::from_secs(3 * 3600);

/// The clouds: what their registries' names end with, and where their Entra is.
const CLOUDS: [(&str, &str); 3] = [
    (".azurecr.io", "login.microsoftonline.com"),
    (".azurecr.us", "login.microsoftonline.us"),
    (".azurecr.cn", "login.chinacloudapi.cn"),
];

/// Where Entra is for a registry of Azure's, by its name.
fn entra(registry: &Registry) -> Option<&'static str> {
    let is_label = |name: &str| !name.is_empty() && !name.contains(['.', ':']);
    let cloud = CLOUDS.iter().find(|(end, _)| registry.as_str().strip_suffix(end).is_some_and(is_label));
    cloud.map(|(_, host)| *host)
}

/// Whether a registry is one of Azure's, by its name.
pub(super) fn is_own(registry: &Registry) -> bool {
    entra(registry).is_some()
}

pub(super) async fn credential(azure: &Azure, context: &Context<'_>) -> Result<Issued, StoreError> {
    let known = entra(context.registry);
    context.check_host(known.is_some(), "Azure's")?;
    let entra = known.unwrap_or(CLOUDS[0].1);
    let value = |stated: &Option<String>, variable: &str| match stated {
        Some(text) => Ok(text.clone()),
        None => context.variable(variable).map(|value| value.expose().trim().to_owned()),
    };
    let (client, tenant) = (value(&azure.client, CLIENT)?, value(&azure.tenant, TENANT)?);
    if !tenant.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
        return Err(context.error(format!("the variable {TENANT} holds no tenant")));
    }
    let assertion = if let Some(path) = context.login.environment.get(TOKEN_FILE) {
        context.token_file(path.expose().trim()).await?
    } else {
        let elsewhere = format!("name a token's file with {TOKEN_FILE}");
        workflow_identity(AUDIENCE, &elsewhere, context).await?
    };
    let access = access_token(entra, &client, &tenant, &assertion, context).await?;
    let refresh = refresh_token(&tenant, &access, context).await?;
    let left = expiry(refresh.expose()).and_then(|expires| expires.duration_since(SystemTime::now()).ok());
    Ok(Issued {
        credential: Credential::IdentityToken(refresh),
        lifetime: left.unwrap_or(LIFETIME).min(LIFETIME),
    })
}

/// A token of Entra's for container registries.
async fn access_token(
    host: &str,
    client: &str,
    tenant: &str,
    assertion: &Secret,
    context: &Context<'_>,
) -> Result<Secret, StoreError> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
    }
    let path = format!("/{tenant}/oauth2/v2.0/token");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", SCOPE),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.expose()),
    ];
    let errand =
        Errand { host, path: &path, content: Content::Form(&form), bearer: None, secrets: &[assertion] };
    let answer: Answer = context.services.ask(errand, "an access token", context).await?;
    Ok(context.hidden(Secret::new(answer.access_token)))
}

/// The registry's own refresh token.
async fn refresh_token(tenant: &str, access: &Secret, context: &Context<'_>) -> Result<Secret, StoreError> {
    #[derive(Deserialize)]
    struct Answer {
        refresh_token: String,
    }
    let registry = context.registry.as_str();
    let form = [
        ("grant_type", "access_token"),
        ("service", registry),
        ("tenant", tenant),
        ("access_token", access.expose()),
    ];
    let errand = Errand {
        host: registry,
        path: "/oauth2/exchange",
        content: Content::Form(&form),
        bearer: None,
        secrets: &[access],
    };
    let answer: Answer = context.services.ask(errand, "a refresh token", context).await?;
    Ok(context.hidden(Secret::new(answer.refresh_token)))
}

/// Until when a JSON Web Token is valid, as it says itself (RFC 7519, section 4.1.4). Nothing of it is believed but
/// that: who gave it is the one who checks it.
fn expiry(token: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp))
}
