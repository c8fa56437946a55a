//! The keys of a role for a web identity (STS API, `AssumeRoleWithWebIdentity`). The request is not signed: the
//! identity's token is what proves it.

use std::time::SystemTime;

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Keys, Place};
use crate::registry::identity::context::Context;
use crate::registry::identity::service::form_body;
use crate::secret::Secret;
use crate::store::StoreError;

pub(super) async fn assume(
    role: &str,
    session: &str,
    token: &Secret,
    place: &Place,
    context: &Context<'_>,
) -> Result<Keys, StoreError> {
    let host = format!("sts.{}.{}", place.region, place.domain);
    let mut url = context.services.address(&host, context)?;
    if url.path().is_empty() {
        url.set_path("/");
    }
    let form = form_body(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("WebIdentityToken", token.expose()),
    ]);
    let mut call = context.call(Method::POST, url, form);
    // The form of an answer that is documented.
    call.headers.insert(ACCEPT, HeaderValue::from_static("text/xml"));
    call.secrets.add(token);
    let body = context.services.send(&call, &host, context).await?;
    let keys = std::str::from_utf8(&body).ok().and_then(read_keys);
    let keys = keys.ok_or_else(|| context.error(format!("{host} answered without credentials")))?;
    Ok(Keys {
        secret: context.hidden(keys.secret),
        session: keys.session.map(|session| context.hidden(session)),
        ..keys
    })
}

fn read_keys(text: &str) -> Option<Keys> {
    let document = roxmltree::Document::parse(text).ok()?;
    let credentials = document.descendants().find(|node| node.tag_name().name() == "Credentials")?;
    let field = |name: &str| {
        let node = credentials.children().find(|node| node.tag_name().name() == name)?;
        node.text().map(str::trim).filter(|text| !text.is_empty())
    };
    let expires = field("Expiration").and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    Some(Keys {
        id: field("AccessKeyId")?.to_owned(),
        secret: Secret::new(field("SecretAccessKey")?),
        session: Some(Secret::new(field("SessionToken")?)),
        expires: expires.map(SystemTime::from),
    })
}
