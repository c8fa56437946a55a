//! The signature of a request (AWS, "Signature Version 4"), made by AWS's own crate.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{self, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4::SigningParams;

use super::Keys;

/// What is signed: a POST, with its host, these headers and its body.
pub(super) struct Signed<'a> {
    pub(super) url: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a str,
    pub(super) time: SystemTime,
}

/// The headers that the request needs besides; `None` if it cannot be signed.
pub(super) fn sign(request: &Signed<'_>, keys: &Keys) -> Option<Vec<(String, String)>> {
    let session = keys.session.as_ref().map(|token| token.expose().trim().to_owned());
    let secret = keys.secret.expose().trim();
    let identity = Credentials::new(keys.id.as_str(), secret, session, None, "image-syncer").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(request.region)
        .name(request.service)
        .time(request.time)
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    let body = SignableBody::Bytes(request.body.as_bytes());
    let signable = SignableRequest::new("POST", request.url, request.headers.iter().copied(), body).ok()?;
    let (instructions, _) = http_request::sign(signable, &params).ok()?.into_parts();
    let headers = instructions.headers();
    Some(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::secret::Secret;

    /// The case `post-vanilla` of AWS's own test suite for Signature Version 4.
    #[test]
    fn a_signature_is_the_one_that_aws_publishes() {
        let keys = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session: None,
            expires: None,
        };
        let request = Signed {
            url: "https://example.amazonaws.com/",
            region: "us-east-1",
            service: "service",
            headers: &[],
            body: "",
            // 20150830T123600Z
            time: UNIX_EPOCH + Duration::from_secs(1_440_938_160),
        };
        let headers = sign(&request, &keys).expect("a signature");
        let value = |name: &str| {
            let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert_eq!(value("x-amz-date"), "20150830T123600Z");
        assert_eq!(
            value("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
    }
}
