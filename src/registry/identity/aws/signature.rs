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

    /// The `Authorization` of a request of the keys that AWS's documentation uses, without its first part.
    fn authorization(session: Option<&str>, seconds: u64, request: &Signed<'_>) -> String {
        let keys = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session: session.map(Secret::new),
            expires: None,
        };
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        let headers = sign(&Signed { time, ..*request }, &keys).expect("a signature");
        let value = |name: &str| {
            let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("x-amz-security-token"), session);
        let text = value("authorization").expect("an authorization");
        text.strip_prefix("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/").expect("its keys").to_owned()
    }

    fn request<'a>(
        url: &'a str,
        region: &'a str,
        service: &'a str,
        headers: &'a [(&'a str, &'a str)],
    ) -> Signed<'a> {
        Signed { url, region, service, headers, body: "{}", time: UNIX_EPOCH }
    }

    /// The case `post-vanilla` of AWS's own test suite for Signature Version 4.
    #[test]
    fn a_signature_is_the_one_that_aws_publishes() {
        let vanilla =
            Signed { body: "", ..request("https://example.amazonaws.com/", "us-east-1", "service", &[]) };
        assert_eq!(
            authorization(None, 1_440_938_160, &vanilla),
            "20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
    }

    /// Our two requests as botocore 1.44.5 signs them at 2026-01-02T03:04:05Z.
    #[test]
    fn a_signature_is_the_one_that_botocore_makes() {
        let json = ("content-type", "application/x-amz-json-1.1");
        let headers = [json, ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")];
        let private = request("https://api.ecr.eu-central-1.amazonaws.com/", "eu-central-1", "ecr", &headers);
        assert_eq!(
            authorization(Some("IQoJb3JpZ2luX2VjEXAMPLE//+=="), 1_767_323_045, &private),
            "20260102/eu-central-1/ecr/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
             Signature=212c38133bf47627d9052f1ecee565fe72fb383975189abffcbd354802fb0f8c"
        );
        let headers = [json, ("x-amz-target", "SpencerFrontendService.GetAuthorizationToken")];
        let public =
            request("https://api.ecr-public.us-east-1.amazonaws.com/", "us-east-1", "ecr-public", &headers);
        assert_eq!(
            authorization(None, 1_767_323_045, &public),
            "20260102/us-east-1/ecr-public/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
             Signature=f9e95b28cf454a134189d09ec9db563d82e59f94ebc0ab03a7b0c7f45cbe6008"
        );
    }
}
