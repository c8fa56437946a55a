//! Google Cloud ("Configure workload identity federation with deployment pipelines", "Using OAuth 2.0 for Server to
//! Server Applications", the references of the Security Token Service and of the IAM Credentials API).

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::world::{Answer, World};
use crate::{bearer, mirror, pairs};

const REGISTRY: &str = "europe-docker.pkg.dev";
const STS: &str = "sts.googleapis.com";
const IAM: &str = "iamcredentials.googleapis.com";
const OAUTH: &str = "oauth2.googleapis.com";
const POOL: &str = "projects/12/locations/global/workloadIdentityPools/github/providers/main";
const ACCOUNT: &str = "mirror@project-1.iam.gserviceaccount.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A registry that takes `token` as the password of the user that Google names.
fn takes(token: &str) -> World {
    World::new().registry(REGISTRY, bearer(REGISTRY, "oauth2accesstoken", token))
}

fn token(value: &str) -> Value {
    json!({ "access_token": value, "token_type": "Bearer", "expires_in": 3599 })
}

/// The form of a token exchange.
fn exchange(audience: &str, subject: &str) -> Vec<(String, String)> {
    pairs(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", audience),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", subject),
    ])
}

#[test]
fn the_identity_of_a_workflow_is_exchanged() {
    let world = takes("federated-token").workflow_identity().says(STS, &token("federated-token"));
    let auth = format!("\"*-docker.pkg.dev\": {{provider: gcp, workloadIdentityProvider: {POOL}}}");
    let (world, told) = mirror(world, REGISTRY, &auth);
    told.expect(0);
    let oidc = world.only(&world.here());
    let audience = format!("https%3A%2F%2Fiam.googleapis.com%2F{}", POOL.replace('/', "%2F"));
    assert_eq!(oidc.line(), format!("GET /oidc?api-version=2.0&audience={audience}"));
    assert_eq!(oidc.header("authorization"), "Bearer oidc-request-token");
    let sts = world.only(STS);
    assert_eq!(sts.line(), "POST /v1/token");
    assert!(!sts.headers.contains_key("authorization"));
    let subject = format!("oidc-for-https://iam.googleapis.com/{POOL}");
    assert_eq!(sts.form(), exchange(&format!("//iam.googleapis.com/{POOL}"), &subject));
    // The registry's token service is asked with the user that Google names.
    let asked =
        world.seen(REGISTRY).into_iter().find(|seen| seen.path == "/token").expect("a request for a token");
    let expected = format!("Basic {}", BASE64.encode("oauth2accesstoken:federated-token"));
    assert_eq!(asked.header("authorization"), expected);
    assert_eq!(world.seen(IAM).len(), 0);
}

#[test]
fn a_service_account_is_impersonated() {
    let generated = json!({ "accessToken": "the-accounts-token", "expireTime": "2096-10-02T15:01:23Z" });
    let world = takes("the-accounts-token")
        .workflow_identity()
        .says(STS, &token("federated-token"))
        .says(IAM, &generated);
    let auth = format!(
        "{REGISTRY}:\n  provider: gcp\n  workloadIdentityProvider: {POOL}\n  serviceAccount: {ACCOUNT}\n"
    );
    let (world, told) = mirror(world, REGISTRY, &auth);
    told.expect(0);
    let iam = world.only(IAM);
    assert_eq!(iam.line(), format!("POST /v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"));
    assert_eq!(iam.header("authorization"), "Bearer federated-token");
    assert_eq!(iam.header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&iam.body).expect("JSON");
    assert_eq!(body, json!({ "scope": [SCOPE], "lifetime": "3600s" }));
}

/// A service account's key, as Google issues it, and the pair.
pub(crate) fn key() -> (Value, KeyPair) {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der = BASE64.encode(pair.as_der().expect("a key").as_ref());
    let lines: Vec<&str> =
        der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("text")).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let key = json!({
        "type": "service_account",
        "project_id": "project-1",
        "private_key_id": "key-1",
        "private_key": pem,
        "client_email": ACCOUNT,
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    });
    (key, pair)
}

#[test]
fn a_key_signs_a_statement_and_goes_nowhere() {
    let (key, pair) = key();
    let world = takes("the-keys-token").says(OAUTH, &token("the-keys-token"));
    let path = world.file("key.json", &key.to_string()).display().to_string();
    // Found by itself.
    let (world, told) = mirror(world.variable("GOOGLE_APPLICATION_CREDENTIALS", &path), REGISTRY, "");
    told.expect(0);
    let seen = world.only(OAUTH);
    assert_eq!(seen.line(), "POST /token");
    let form = seen.form();
    assert_eq!(form[0], pairs(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")])[0]);
    assert_eq!((form.len(), form[1].0.as_str()), (2, "assertion"));
    let parts: Vec<&str> = form[1].1.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts: {parts:?}") };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("Base64");
    let json = |part: &str| serde_json::from_slice::<Value>(&decoded(part)).expect("JSON");
    assert_eq!(json(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }));
    let claims_read = json(claims);
    let issued = claims_read["iat"].as_u64().expect("a time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    assert!(now.abs_diff(issued) < 60, "{issued}");
    let expected = json!({
        "iss": ACCOUNT,
        "scope": SCOPE,
        "aud": "https://oauth2.googleapis.com/token",
        "iat": issued,
        "exp": issued + 3600,
    });
    assert_eq!(claims_read, expected);
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    let signed = format!("{header}.{claims}");
    public.verify(signed.as_bytes(), &decoded(signature)).expect("the key's signature");
    let pem = key["private_key"].as_str().expect("a key").lines().nth(5).expect("a line");
    for seen in world.everything() {
        assert!(!seen.text().contains(pem), "{}", seen.line());
    }
}

#[test]
fn a_key_can_be_in_a_variable_and_impersonate() {
    let (key, _) = key();
    let generated = json!({ "accessToken": "another-token", "expireTime": "2096-10-02T15:01:23.5Z" });
    let world = takes("another-token")
        .says(OAUTH, &token("the-keys-token"))
        .says(IAM, &generated)
        .variable("GCP_KEY", &key.to_string());
    let auth = "europe-docker.pkg.dev:\n  provider: gcp\n  credentialsVariable: GCP_KEY\n  \
                serviceAccount: other@project-1.iam.gserviceaccount.com\n";
    let (world, told) = mirror(world, REGISTRY, auth);
    told.expect(0);
    assert_eq!(world.only(IAM).header("authorization"), "Bearer the-keys-token");
}

/// A configuration of workload identity federation.
fn external(source: &Value) -> Value {
    json!({
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{POOL}"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    })
}

/// As google-github-actions/auth writes it.
#[test]
fn an_external_account_asks_where_its_token_is() {
    let generated = json!({ "accessToken": "the-accounts-token", "expireTime": "2096-10-02T15:01:23Z" });
    let world =
        takes("the-accounts-token").workflow_identity().says(STS, &token("federated")).says(IAM, &generated);
    let mut document = external(&json!({
        "url": format!("http://{}/oidc?api-version=2.0&audience=pool", world.here()),
        "headers": { "Authorization": "Bearer oidc-request-token" },
        "format": { "type": "json", "subject_token_field_name": "value" },
    }));
    document["service_account_impersonation_url"] =
        json!(format!("https://{IAM}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"));
    let path = world.file("external.json", &document.to_string()).display().to_string();
    let auth = format!("\"*-docker.pkg.dev\": {{provider: gcp, credentialsFile: \"{path}\"}}");
    let (world, told) = mirror(world, REGISTRY, &auth);
    told.expect(0);
    let oidc = world.only(&world.here());
    assert_eq!(oidc.line(), "GET /oidc?api-version=2.0&audience=pool");
    assert_eq!(oidc.header("authorization"), "Bearer oidc-request-token");
    let expected = exchange(&format!("//iam.googleapis.com/{POOL}"), "oidc-for-pool");
    assert_eq!(world.only(STS).form(), expected);
    assert!(world.only(IAM).path.contains(ACCOUNT));
}

#[test]
fn an_external_account_reads_its_token_from_a_file() {
    let world = takes("federated").says(STS, &token("federated"));
    let token = world.file("token", "the-files-token\n").display().to_string();
    let document = external(&json!({ "file": token })).to_string();
    let path = world.file("external.json", &document).display().to_string();
    let (world, told) = mirror(world.variable("GOOGLE_APPLICATION_CREDENTIALS", &path), REGISTRY, "");
    told.expect(0);
    let form = world.only(STS).form();
    assert_eq!(form[5], ("subject_token".to_owned(), "the-files-token".to_owned()));
}

/// As `gcloud auth application-default login` leaves it on somebody's machine.
#[test]
fn a_person_has_a_refresh_token() {
    let world = takes("a-persons-token").says(OAUTH, &token("a-persons-token"));
    let document = json!({
        "type": "authorized_user",
        "client_id": "1-a.apps.googleusercontent.com",
        "client_secret": "the-clients-secret",
        "refresh_token": "1//the-refresh-token",
    });
    let path = world.file("user.json", &document.to_string()).display().to_string();
    let (world, told) = mirror(world.variable("GOOGLE_APPLICATION_CREDENTIALS", &path), REGISTRY, "");
    told.expect(0);
    let seen = world.only(OAUTH);
    assert_eq!(seen.line(), "POST /token");
    let expected = pairs(&[
        ("grant_type", "refresh_token"),
        ("client_id", "1-a.apps.googleusercontent.com"),
        ("client_secret", "the-clients-secret"),
        ("refresh_token", "1//the-refresh-token"),
    ]);
    assert_eq!(seen.form(), expected);
}

#[test]
fn an_external_account_sends_its_token_to_google_only() {
    for (change, says) in [
        (
            json!({ "token_url": "https://sts.evil.example/v1/token" }),
            "`token_url` of its Google Cloud credentials",
        ),
        (
            json!({ "service_account_impersonation_url": format!("https://evil.example/{ACCOUNT}:generateAccessToken") }),
            "`service_account_impersonation_url` of its Google Cloud credentials",
        ),
        (
            json!({ "credential_source": { "executable": { "command": "/bin/evil" } } }),
            "neither a `file` nor a `url`",
        ),
        (
            json!({ "credential_source": { "environment_id": "aws1", "url": "http://169.254.169.254" } }),
            "neither a `file`",
        ),
        (json!({ "universe_domain": "evil.example" }), "another universe"),
        (
            json!({ "type": "gdch_service_account" }),
            "is none of `service_account`, `external_account` and `authorized_user`",
        ),
    ] {
        let world = takes("federated").says(STS, &token("federated"));
        let token = world.file("token", "the-files-token").display().to_string();
        let mut document = external(&json!({ "file": token }));
        for (name, value) in change.as_object().expect("a change") {
            document[name] = value.clone();
        }
        let path = world.file("external.json", &document.to_string()).display().to_string();
        let (world, told) = mirror(world.variable("GOOGLE_APPLICATION_CREDENTIALS", &path), REGISTRY, "");
        told.expect(1).says(says);
        assert!(world.everything().iter().all(|seen| !seen.text().contains("the-files-token")), "{change}");
    }
}

#[test]
fn a_broken_key_is_not_repeated() {
    let (mut key, _) = key();
    key["private_key"] = json!("hunter2-is-secret");
    for (text, says) in [
        (key.to_string(), "is no RSA key in PEM"),
        (
            "{\"type\":\"service_account\",\"private_key\":\"hunter2-is-secret\"".to_owned(),
            "not the JSON document",
        ),
        ("hunter2-is-secret".to_owned(), "not the JSON document that Google issues (line 1, column 1)"),
    ] {
        let world = takes("x").says(OAUTH, &token("x")).variable("GCP_KEY", &text);
        let (_, told) =
            mirror(world, REGISTRY, &format!("{REGISTRY}: {{provider: gcp, credentialsVariable: GCP_KEY}}"));
        told.expect(1).says(says);
        assert!(!told.text.contains("hunter2") && !told.report.contains("hunter2"), "{}", told.text);
    }
}

#[test]
fn a_refusal_says_who_refused_and_what() {
    let world = takes("x").workflow_identity().host(STS, |seen| Answer {
        status: 400,
        // As a service that repeats what it was sent.
        body: json!({ "error": "invalid_grant", "error_description": format!("not {}", seen.form()[5].1) })
            .to_string(),
    });
    let auth = format!("{REGISTRY}: {{provider: gcp, workloadIdentityProvider: {POOL}}}");
    let (_, told) = mirror(world, REGISTRY, &auth);
    told.expect(1).says(&format!(
        "{STS} answered 400 Bad Request: invalid_grant: not *** (as `auth` (auth:2:1) asks for)"
    ));
}
