//! Amazon ECR ("Private registry authentication in Amazon ECR", "Public registry authentication", the API references
//! of ECR and of STS).

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::world::{Answer, Seen, World};
use crate::{basic, mirror, pairs};

pub(crate) const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
pub(crate) const API: &str = "api.ecr.eu-central-1.amazonaws.com";
const STS: &str = "sts.eu-central-1.amazonaws.com";
const ROLE: &str = "arn:aws:iam::123456789012:role/mirror";
pub(crate) const PASSWORD: &str = "the-password-that-ecr-gives";

/// The answer of `GetAuthorizationToken` at a private registry.
pub(crate) fn authorization() -> serde_json::Value {
    let token = BASE64.encode(format!("AWS:{PASSWORD}"));
    json!({ "authorizationData": [{
        "authorizationToken": token,
        "expiresAt": 4_000_000_000.5,
        "proxyEndpoint": format!("https://{REGISTRY}"),
    }] })
}

/// The answer of `AssumeRoleWithWebIdentity`, with the names and the nesting of its reference.
pub(crate) fn assumed(id: &str, secret: &str, session: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>repo:o/n</SubjectFromWebIdentityToken>\
         <Credentials><SessionToken>{session}</SessionToken><SecretAccessKey>{secret}</SecretAccessKey>\
         <Expiration>2096-10-24T23:00:23Z</Expiration><AccessKeyId>{id}</AccessKeyId></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Asserts a request's signature, made once more from "Create a signed AWS API request": canonical request, string to
/// sign, derived key, signature.
#[track_caller]
pub(crate) fn assert_signed(seen: &Seen, id: &str, secret: &str, region: &str, service: &str) {
    let time = seen.header("x-amz-date");
    assert!(time.len() == 16 && time.as_bytes()[8] == b'T' && time.ends_with('Z'), "{time}");
    let date = &time[..8];
    let mut signed: BTreeMap<&str, &str> =
        BTreeMap::from([("content-type", ""), ("host", ""), ("x-amz-date", ""), ("x-amz-target", "")]);
    if !seen.header("x-amz-security-token").is_empty() {
        signed.insert("x-amz-security-token", "");
    }
    for (name, value) in &mut signed {
        *value = seen.header(name);
        assert!(!value.is_empty(), "{name} is missing");
    }
    assert_eq!(signed["host"], seen.host);
    let names = signed.keys().copied().collect::<Vec<_>>().join(";");
    let headers: Vec<String> = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("POST\n/\n\n{}\n{names}\n{}", headers.concat(), sha256(&seen.body));
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = [date, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
    let signature = hex::encode(hmac(&key, &to_sign));
    assert_eq!(
        seen.header("authorization"),
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
    );
}

/// The request for an authorization token, as ECR's API reference has it.
#[track_caller]
fn assert_token_request(seen: &Seen, target: &str) {
    assert_eq!(seen.line(), "POST /");
    assert_eq!(seen.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(seen.header("x-amz-target"), target);
    assert_eq!(seen.body, b"{}");
}

const PRIVATE: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";

fn ecr() -> World {
    World::new().registry(REGISTRY, basic("AWS", PASSWORD)).says(API, &authorization())
}

#[test]
fn the_keys_of_the_environment_sign_the_request_for_a_token() {
    let world = ecr()
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
        .variable("AWS_SESSION_TOKEN", "the-session//token==");
    // Found by itself.
    let (world, told) = mirror(world, REGISTRY, "");
    told.expect(0);
    let seen = world.only(API);
    assert_token_request(&seen, PRIVATE);
    assert_eq!(seen.header("x-amz-security-token"), "the-session//token==");
    assert_signed(&seen, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "eu-central-1", "ecr");
    // The registry itself wants Basic.
    let first = world.seen(REGISTRY).into_iter().find(|seen| !seen.header("authorization").is_empty());
    let expected = format!("Basic {}", BASE64.encode(format!("AWS:{PASSWORD}")));
    assert_eq!(first.expect("a request").header("authorization"), expected);
}

#[test]
fn keys_that_last_have_no_session() {
    let world = ecr()
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");
    let (world, told) = mirror(world, REGISTRY, "\"*.dkr.ecr.*.amazonaws.com\": aws");
    told.expect(0);
    let seen = world.only(API);
    assert!(!seen.headers.contains_key("x-amz-security-token"));
    assert_signed(&seen, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "eu-central-1", "ecr");
}

#[test]
fn the_identity_of_a_workflow_assumes_a_role() {
    let world =
        ecr().workflow_identity().says(STS, &assumed("ASIAEXAMPLE", "of/the+role", "session//of+the=="));
    let auth =
        format!("\"*.dkr.ecr.*.amazonaws.com\": {{provider: aws, role: \"{ROLE}\", sessionName: mirror-1}}");
    let (world, told) = mirror(world, REGISTRY, &auth);
    told.expect(0);
    let oidc = world.only(&world.here());
    assert_eq!(oidc.line(), "GET /oidc?api-version=2.0&audience=sts.amazonaws.com");
    assert_eq!(oidc.header("authorization"), "Bearer oidc-request-token");
    let sts = world.only(STS);
    assert_eq!(sts.line(), "POST /");
    // It is not signed: the token is what proves it.
    assert!(!sts.headers.contains_key("authorization"));
    assert_eq!(sts.header("accept"), "text/xml");
    let expected = pairs(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "mirror-1"),
        ("WebIdentityToken", "oidc-for-sts.amazonaws.com"),
    ]);
    assert_eq!(sts.form(), expected);
    let seen = world.only(API);
    assert_token_request(&seen, PRIVATE);
    assert_eq!(seen.header("x-amz-security-token"), "session//of+the==");
    assert_signed(&seen, "ASIAEXAMPLE", "of/the+role", "eu-central-1", "ecr");
}

/// As in a pod of EKS.
#[test]
fn the_identity_in_a_file_assumes_the_role_of_the_environment() {
    let world = ecr().says(STS, &assumed("ASIAEXAMPLE", "of/the+role", "session"));
    let token = world.file("token", "the-pods-token\n").display().to_string();
    let world = world
        .variable("AWS_ROLE_ARN", ROLE)
        .variable("AWS_ROLE_SESSION_NAME", "a-pod")
        .variable("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    // Found by itself.
    let (world, told) = mirror(world, REGISTRY, "");
    told.expect(0);
    let form = world.only(STS).form();
    assert_eq!(
        form[2..],
        pairs(&[("RoleArn", ROLE), ("RoleSessionName", "a-pod"), ("WebIdentityToken", "the-pods-token")])
    );
    assert_signed(&world.only(API), "ASIAEXAMPLE", "of/the+role", "eu-central-1", "ecr");
}

#[test]
fn the_public_registry_has_an_api_and_a_region_of_its_own() {
    let api = "api.ecr-public.us-east-1.amazonaws.com";
    let token = BASE64.encode(format!("AWS:{PASSWORD}"));
    let answer =
        json!({ "authorizationData": { "authorizationToken": token, "expiresAt": 4_000_000_000.5 } });
    let registry = basic("AWS", PASSWORD);
    let world = World::new()
        .registry("public.ecr.aws", registry)
        .says(api, &answer)
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");
    let (world, told) = mirror(world, "public.ecr.aws", "public.ecr.aws: aws");
    told.expect(0);
    let seen = world.only(api);
    assert_token_request(&seen, "SpencerFrontendService.GetAuthorizationToken");
    assert_signed(&seen, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "us-east-1", "ecr-public");
}

/// Everybody may pull there without a login, which not all keys have the right to.
#[test]
fn the_public_registry_is_asked_anonymously_unless_somebody_says_otherwise() {
    let registry = crate::TestRegistry::start();
    crate::put_image(&registry.memory, "team/app", Some("1"), &[b"one"]);
    let world = World::new()
        .registry("public.ecr.aws", registry)
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");
    let (world, told) = mirror(world, "public.ecr.aws", "");
    told.expect(0);
    assert!(world.seen("public.ecr.aws").iter().all(|seen| !seen.headers.contains_key("authorization")));
}

#[test]
fn china_has_a_domain_of_its_own() {
    let registry = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
    let world = World::new()
        .registry(registry, basic("AWS", PASSWORD))
        .says("api.ecr.cn-north-1.amazonaws.com.cn", &authorization())
        .says("sts.cn-north-1.amazonaws.com.cn", &assumed("ASIA", "secret", "session"))
        .workflow_identity();
    let auth =
        format!("\"*.amazonaws.com.cn\": {{provider: aws, role: \"{}\"}}", ROLE.replace("aws:", "aws-cn:"));
    let (world, told) = mirror(world, registry, &auth);
    told.expect(0);
    assert_signed(&world.only("api.ecr.cn-north-1.amazonaws.com.cn"), "ASIA", "secret", "cn-north-1", "ecr");
}

#[test]
fn a_refusal_says_who_refused_and_what() {
    let world = ecr().workflow_identity().host(STS, |_| Answer {
        status: 403,
        body: "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
               <Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>\
               </Error><RequestId>x</RequestId></ErrorResponse>"
            .to_owned(),
    });
    let auth = format!("\"*.dkr.ecr.*.amazonaws.com\": {{provider: aws, role: \"{ROLE}\"}}");
    let (world, told) = mirror(world, REGISTRY, &auth);
    told.expect(1).says(&format!(
        "{STS} answered 403 Forbidden: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (as `auth` \
         (auth:2:1) asks for)"
    ));
    // Nothing is tried anonymously that was to be done with credentials.
    assert!(world.seen(REGISTRY).iter().all(|seen| seen.headers.get("authorization").is_none()));
    assert_eq!(world.seen(API).len(), 0);
}

#[test]
fn without_any_credentials_it_is_said_what_is_missing() {
    let (_, told) = mirror(ecr(), REGISTRY, "\"*.dkr.ecr.*.amazonaws.com\": aws");
    told.expect(1).says("AWS's credentials are not there: neither the variables AWS_ACCESS_KEY_ID");
    let auth = format!("\"*.dkr.ecr.*.amazonaws.com\": {{provider: aws, role: \"{ROLE}\"}}");
    let (_, told) = mirror(ecr(), REGISTRY, &auth);
    told.expect(1).says("a workflow's job needs `permissions: id-token: write`");
}

/// A pattern may be too wide; what the list's author names decides nothing.
#[test]
fn a_host_that_only_a_pattern_names_gets_no_credential() {
    let evil = "evil.dkr.ecr.eu-central-1.amazonaws.com";
    let world = World::new()
        .registry(evil, basic("AWS", PASSWORD))
        .says(API, &authorization())
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");
    let (world, told) = mirror(world, evil, "\"*.amazonaws.com\": aws");
    told.expect(1).says("is no registry of Amazon ECR's; name it in full in `auth` if it is");
    assert_eq!(world.seen(API).len(), 0);
    assert!(world.seen(evil).iter().all(|seen| !seen.headers.contains_key("authorization")));
}

#[test]
fn a_registry_under_another_name_is_named_in_full_with_its_region() {
    let mirror_host = "ecr.corp.example";
    let world = World::new()
        .registry(mirror_host, basic("AWS", PASSWORD))
        .says(API, &authorization())
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");
    let (world, told) = mirror(world, mirror_host, "ecr.corp.example: {provider: aws, region: eu-central-1}");
    told.expect(0);
    assert_eq!(world.seen(API).len(), 1);
    let (_, told) = mirror(world, mirror_host, "ecr.corp.example: aws");
    told.expect(1).says("the registry's name does not tell its region; name it with `region`");
}
