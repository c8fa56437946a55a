//! The identity token of a GitHub workflow (GitHub Docs, "OIDC reference").

use http::Method;
use serde::Deserialize;
use url::Url;

use super::context::Context;
use super::service::bear;
use crate::oci::Registry;
use crate::registry::call::Body;
use crate::secret::Secret;
use crate::store::StoreError;

/// Where a workflow asks for its identity token.
pub(super) const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";

/// What it asks with.
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The workflow's identity token for whoever is `audience`. It lives for some minutes and is used at once. `elsewhere` is
/// what to do outside of a workflow.
pub(super) async fn workflow_identity(
    audience: &str,
    elsewhere: &str,
    context: &Context<'_>,
) -> Result<Secret, StoreError> {
    #[derive(Deserialize)]
    struct Answer {
        value: String,
    }
    let environment = &context.login.environment;
    let (Some(url), Some(token)) = (environment.get(REQUEST_URL), environment.get(REQUEST_TOKEN)) else {
        return Err(context.lacking(format!(
            "this run has no identity token of GitHub's; a workflow's job needs `permissions: id-token: write`, which \
             pull requests of forks cannot have; elsewhere {elsewhere}"
        )));
    };
    let mut url = Url::parse(url.expose().trim())
        .ok()
        .filter(is_safe)
        .ok_or_else(|| context.error(format!("the variable {REQUEST_URL} holds no `https` address")))?;
    url.query_pairs_mut().append_pair("audience", audience);
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut call = context.call(Method::GET, url, Body::Empty);
    bear(&mut call, token, context)?;
    let body = context.services.send(&call, &host, context).await?;
    let answer: Result<Answer, _> = serde_json::from_slice(&body);
    match answer {
        Ok(Answer { value }) if !value.is_empty() => Ok(context.hidden(Secret::new(value))),
        _ => Err(context.error(format!("{host} answered without an identity token"))),
    }
}

/// Whether nobody on the way can read along.
fn is_safe(url: &Url) -> bool {
    let is_loopback = || {
        url.host_str().and_then(|host| host.parse::<Registry>().ok()).is_some_and(|host| host.is_loopback())
    };
    url.has_host() && (url.scheme() == "https" || url.scheme() == "http" && is_loopback())
}
