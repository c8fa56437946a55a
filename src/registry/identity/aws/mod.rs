//! Amazon ECR: an authorization token, which is the password of the user `AWS` (ECR API, `GetAuthorizationToken`).
//!
//! It is asked for with the keys of the environment, or with those of a role that a web identity may assume
//! (STS API, `AssumeRoleWithWebIdentity`).

mod signature;
mod sts;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;

use super::Issued;
use super::context::Context;
use super::oidc::{self, workflow_identity};
use crate::login::Aws;
use crate::oci::{Registry, Repository};
use crate::registry::call::Body;
use crate::registry::credentials::Credential;
use crate::secret::Secret;
use crate::store::StoreError;
use signature::{Signed, sign};

/// The variables of AWS's own tools ("Environment variables" of the AWS SDKs' reference).
pub(super) const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
pub(super) const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
pub(super) const ROLE: &str = "AWS_ROLE_ARN";
pub(super) const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";

/// Whom GitHub's identity token is for, as aws-actions/configure-aws-credentials has it.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The public registry, which has one region.
const PUBLIC: (&str, &str) = ("public.ecr.aws", "us-east-1");

/// How long an authorization token lives.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// Keys of AWS's, and until when they are good, if that is known.
struct Keys {
    id: String,
    secret: Secret,
    session: Option<Secret>,
    expires: Option<SystemTime>,
}

/// Where a registry's tokens are to be had.
struct Place {
    /// The host of the API.
    api: String,
    region: String,
    /// What host names of this part of AWS end with.
    domain: &'static str,
    is_public: bool,
}

/// Whether a registry is a private one of ECR's, by its name.
pub(super) fn is_private(registry: &Registry) -> bool {
    private(registry.as_str()).is_some()
}

/// The region of a private registry, what its host ends with, and whether it is a FIPS endpoint:
/// `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, or `ACCOUNT.dkr-ecr.REGION.on.aws` ("Amazon ECR private registries").
fn private(host: &str) -> Option<(&str, &'static str, bool)> {
    const ENDS: [(&str, &str); 3] = [
        (".amazonaws.com", "amazonaws.com"),
        (".amazonaws.com.cn", "amazonaws.com.cn"),
        (".on.aws", "amazonaws.com"),
    ];
    let (rest, domain) = ENDS.iter().find_map(|(end, domain)| Some((host.strip_suffix(end)?, *domain)))?;
    let (account, rest) = rest.split_once('.')?;
    let (service, region) = rest.rsplit_once('.')?;
    let is_fips = match service {
        "dkr.ecr" | "dkr-ecr" => false,
        "dkr.ecr-fips" | "dkr-ecr-fips" => true,
        _ => return None,
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_region = !region.is_empty() && region.contains('-');
    (is_account && is_region).then_some((region, domain, is_fips))
}

pub(super) async fn credential(aws: &Aws, context: &Context<'_>) -> Result<Issued, StoreError> {
    let place = Place::of(aws, context)?;
    let keys = keys(aws, &place, context).await?;
    let answer = authorization_token(&place, &keys, context).await?;
    let (username, password) = BASE64
        .decode(&answer.authorization_token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| {
            text.split_once(':').map(|(user, password)| (user.to_owned(), Secret::new(password)))
        })
        .ok_or_else(|| context.error(format!("{} answered with a token that is none", place.api)))?;
    let now = SystemTime::now();
    let stated = answer.expires_at.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let stated = stated.map(|seconds| UNIX_EPOCH + seconds);
    // What a session gave may end with it.
    let expires = stated.into_iter().chain(keys.expires).min();
    let left = expires.and_then(|expires| expires.duration_since(now).ok());
    Ok(Issued {
        credential: Credential::Basic { username, password },
        lifetime: left.unwrap_or(LIFETIME).min(LIFETIME),
    })
}

impl Place {
    fn of(aws: &Aws, context: &Context<'_>) -> Result<Self, StoreError> {
        let host = context.registry.as_str();
        if host == PUBLIC.0 {
            let region = PUBLIC.1.to_owned();
            let api = format!("api.ecr-public.{region}.amazonaws.com");
            return Ok(Self { api, region, domain: "amazonaws.com", is_public: true });
        }
        let known = private(host);
        context.check_host(known.is_some(), "Amazon ECR's")?;
        let (region, domain, is_fips) = known
            .map_or((None, None, false), |(region, domain, is_fips)| (Some(region), Some(domain), is_fips));
        let region = aws.region.as_deref().or(region).ok_or_else(|| {
            context.error("the registry's name does not tell its region; name it with `region`")
        })?;
        let domain =
            domain.unwrap_or(if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" });
        let name = if is_fips { "ecr-fips" } else { "api.ecr" };
        Ok(Self {
            api: format!("{name}.{region}.{domain}"),
            region: region.to_owned(),
            domain,
            is_public: false,
        })
    }
}

/// The keys of the environment, or those of a role.
async fn keys(aws: &Aws, place: &Place, context: &Context<'_>) -> Result<Keys, StoreError> {
    let environment = &context.login.environment;
    if aws.role.is_none()
        && let (Some(id), Some(secret)) = (environment.get(ACCESS_KEY), environment.get(SECRET_KEY))
    {
        let session = environment.get(SESSION_TOKEN).cloned();
        return Ok(Keys {
            id: id.expose().trim().to_owned(),
            secret: secret.clone(),
            session,
            expires: None,
        });
    }
    let stated = |name| environment.get(name).map(|value| value.expose().trim().to_owned());
    let role = aws.role.clone().or_else(|| stated(ROLE)).ok_or_else(|| {
        context.lacking(format!(
            "AWS's credentials are not there: neither the variables {ACCESS_KEY} and {SECRET_KEY}, nor {ROLE}, nor the \
             key `role`"
        ))
    })?;
    // In a workflow, a role that is written down is for the workflow's identity.
    let is_workflow = environment.get(oidc::REQUEST_URL).is_some();
    let token = match stated(TOKEN_FILE) {
        Some(path) if aws.role.is_none() || !is_workflow => context.token_file(&path).await?,
        _ => {
            let elsewhere = format!("name a token's file with {TOKEN_FILE}");
            workflow_identity(AUDIENCE, &elsewhere, context).await?
        }
    };
    let session = aws.session.clone().or_else(|| stated(SESSION_NAME));
    let session = session.unwrap_or_else(|| "image-syncer".to_owned());
    sts::assume(&role, &session, &token, place, context).await
}

/// An authorization token of ECR's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    /// `AWS:PASSWORD` in Base64.
    authorization_token: String,
    /// Seconds since 1970.
    expires_at: Option<f64>,
}

async fn authorization_token(
    place: &Place,
    keys: &Keys,
    context: &Context<'_>,
) -> Result<Authorization, StoreError> {
    let body = ask(place, keys, "GetAuthorizationToken", "{}".to_owned(), context).await?;
    let answer: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    // The public registry gives one, a private one has a list with one for each registry asked for.
    let first = answer.as_ref().and_then(|answer| {
        let data = answer.get("authorizationData")?;
        Authorization::deserialize(data.get(0).unwrap_or(data)).ok()
    });
    first.ok_or_else(|| context.error(format!("{} answered without an authorization token", place.api)))
}

/// Creates a repository with the settings that the account has for new ones (ECR API, `CreateRepository`). One that
/// somebody else created meanwhile is as good.
pub(super) async fn create_repository(
    aws: &Aws,
    repository: &Repository,
    context: &Context<'_>,
) -> Result<(), StoreError> {
    let place = Place::of(aws, context)?;
    let keys = keys(aws, &place, context).await?;
    // A public name begins with the alias of its registry, which is no part of the repository's name.
    let name = match repository.as_str().split_once('/') {
        Some((_, below)) if place.is_public => below,
        _ => repository.as_str(),
    };
    let body = serde_json::json!({ "repositoryName": name }).to_string();
    match ask(&place, &keys, "CreateRepository", body, context).await {
        Err(error) if error.message.contains("RepositoryAlreadyExistsException") => Ok(()),
        answered => answered.map(drop::<Bytes>),
    }
}

/// A request to ECR's API, signed.
async fn ask(
    place: &Place,
    keys: &Keys,
    action: &str,
    body: String,
    context: &Context<'_>,
) -> Result<Bytes, StoreError> {
    const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
    let (service, prefix) = if place.is_public {
        ("ecr-public", "SpencerFrontendService")
    } else {
        ("ecr", "AmazonEC2ContainerRegistry_V20150921")
    };
    let target = format!("{prefix}.{action}");
    let mut url = context.services.address(&place.api, context)?;
    if url.path().is_empty() {
        url.set_path("/");
    }
    let signed = Signed {
        url: url.as_str(),
        region: &place.region,
        service,
        headers: &[("content-type", CONTENT_TYPE), ("x-amz-target", &target)],
        body: &body,
        time: SystemTime::now(),
    };
    let headers = sign(&signed, keys).ok_or_else(|| context.error("its request cannot be signed"))?;
    let mut call = context.call(Method::POST, url, Body::Bytes(CONTENT_TYPE.to_owned(), body.into()));
    for (name, value) in headers.into_iter().chain([("x-amz-target".to_owned(), target)]) {
        let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(context.error("AWS's credentials have characters that a request cannot carry"));
        };
        value.set_sensitive(true);
        call.headers.insert(name, value);
    }
    call.secrets.add(&keys.secret);
    keys.session.iter().for_each(|session| call.secrets.add(session));
    context.services.send(&call, &place.api, context).await
}
