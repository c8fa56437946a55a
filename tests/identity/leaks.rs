//! Every secret of a run with every provider, in everything that the program wrote and in every request that any host
//! saw: each is seen by those it is for and by nobody else, whether all goes well or everybody repeats what they were
//! sent.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::world::{Answer, Seen, Told, World};
use crate::{TARGET, TARGET_AUTH, TARGET_PASSWORD, aws, basic, bearer, target};

const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const ECR_API: &str = "api.ecr.eu-central-1.amazonaws.com";
const AWS_STS: &str = "sts.eu-central-1.amazonaws.com";
const PUBLIC: &str = "public.ecr.aws";
const PUBLIC_API: &str = "api.ecr-public.us-east-1.amazonaws.com";
const GAR: &str = "europe-docker.pkg.dev";
const GOOGLE_STS: &str = "sts.googleapis.com";
const IAM: &str = "iamcredentials.googleapis.com";
const ACR: &str = "mirror.azurecr.io";
const ENTRA: &str = "login.microsoftonline.com";
const HUB: &str = "registry-1.docker.io";

/// All but Docker Hub, whose name in a list is another.
const REGISTRIES: [&str; 5] = [ECR, PUBLIC, GAR, ACR, "ghcr.io"];

const AUTH: &str = "
docker.io: dockerhub
ghcr.io: github
public.ecr.aws: aws
'*.dkr.ecr.*.amazonaws.com': {provider: aws, role: 'arn:aws:iam::123456789012:role/mirror'}
'*-docker.pkg.dev':
  provider: gcp
  workloadIdentityProvider: projects/12/locations/global/workloadIdentityPools/github/providers/main
  serviceAccount: mirror@project-1.iam.gserviceaccount.com
mirror.azurecr.io: {provider: azure, clientId: 1-2, tenantId: 3-4}
";

/// Each secret, and who may see it.
fn secrets(here: &str) -> Vec<(String, Vec<String>)> {
    let secret = |value: &str, hosts: &[&str]| {
        (value.to_owned(), hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
    };
    vec![
        secret("oidc-request-token", &[here]),
        secret("oidc-for-sts.amazonaws.com", &[AWS_STS]),
        secret("oidc-for-https://iam.googleapis.com", &[GOOGLE_STS]),
        secret("oidc-for-api://AzureADTokenExchange", &[ENTRA]),
        secret("secret-key-of-the-role", &[]),
        secret("session-of-the-role", &[ECR_API]),
        secret("secret-key-of-the-environment", &[]),
        secret("session-of-the-environment", &[PUBLIC_API]),
        secret("password-of-ecr", &[ECR]),
        secret("password-of-public-ecr", &[PUBLIC]),
        secret("federated-token-of-google", &[IAM]),
        secret("token-of-the-service-account", &[GAR]),
        secret("access-token-of-entra", &[ACR]),
        secret("refresh-token-of-acr", &[ACR]),
        secret("ghs_token_of_the_workflow", &["ghcr.io"]),
        secret("dckr_pat_of_docker_hub", &["docker.io"]),
        secret(TARGET_PASSWORD, &[TARGET]),
    ]
}

/// All providers' services and registries.
fn everything() -> World {
    let authorization =
        |password: &str| json!({ "authorizationToken": BASE64.encode(format!("AWS:{password}")) });
    let hub = Arc::new(bearer("docker.io", "someone", "dckr_pat_of_docker_hub"));
    World::new()
        .workflow_identity()
        .says(AWS_STS, &aws::assumed("ASIA", "secret-key-of-the-role", "session-of-the-role"))
        .says(ECR_API, &json!({ "authorizationData": [authorization("password-of-ecr")] }))
        .says(PUBLIC_API, &json!({ "authorizationData": authorization("password-of-public-ecr") }))
        .says(GOOGLE_STS, &json!({ "access_token": "federated-token-of-google", "expires_in": 3599 }))
        .says(
            IAM,
            &json!({ "accessToken": "token-of-the-service-account", "expireTime": "2096-01-01T00:00:00Z" }),
        )
        .says(ENTRA, &json!({ "access_token": "access-token-of-entra", "expires_in": 3599 }))
        .says(ACR, &json!({ "refresh_token": "refresh-token-of-acr" }))
        .registry(ECR, basic("AWS", "password-of-ecr"))
        .registry(PUBLIC, basic("AWS", "password-of-public-ecr"))
        .registry(GAR, bearer(GAR, "oauth2accesstoken", "token-of-the-service-account"))
        .registry(ACR, bearer(ACR, "x", "refresh-token-of-acr"))
        .registry("ghcr.io", bearer("ghcr.io", "octocat", "ghs_token_of_the_workflow"))
        .registry(HUB, Arc::clone(&hub))
        .registry("docker.io", hub)
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "secret-key-of-the-environment")
        .variable("AWS_SESSION_TOKEN", "session-of-the-environment")
        .variable("GITHUB_ACTOR", "octocat")
        .variable("GITHUB_TOKEN", "ghs_token_of_the_workflow")
        .variable("DOCKERHUB_USERNAME", "someone")
        .variable("DOCKERHUB_TOKEN", "dckr_pat_of_docker_hub")
}

fn run(world: World) -> (World, Told) {
    let (world, _registry) = target(world);
    let sources: Vec<&str> = REGISTRIES.into_iter().chain(["docker.io"]).collect();
    let told = world.sync(&sources, TARGET, &format!("{TARGET_AUTH}{AUTH}"));
    (world, told)
}

/// The secret itself, in Base64, and as in a URL.
fn forms(secret: &str) -> [String; 4] {
    let in_url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let bare = URL_SAFE_NO_PAD.encode(secret);
    [secret.to_owned(), BASE64.encode(secret).trim_end_matches('=').to_owned(), bare, in_url]
}

/// A request with its Basic credentials and its form decoded, too.
fn decoded(seen: &Seen) -> String {
    let basic = seen.header("authorization").strip_prefix("Basic ").unwrap_or_default();
    let basic = BASE64.decode(basic).expect("Base64");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&seen.body).into_owned().collect();
    format!("{}\n{}\n{form:?}", seen.text(), String::from_utf8_lossy(&basic))
}

#[track_caller]
fn assert_no_leak(world: &World, told: &Told, all_are_used: bool) {
    let requests: Vec<(Seen, String)> =
        world.everything().into_iter().map(|seen| (seen.clone(), decoded(&seen))).collect();
    for (secret, hosts) in secrets(&world.here()) {
        for form in forms(&secret) {
            for (what, text) in [("output", &told.text), ("report", &told.report), ("summary", &told.summary)]
            {
                assert!(!text.contains(&form), "the {what} has {secret}: {text}");
            }
            for (seen, text) in &requests {
                let is_allowed = hosts.contains(&seen.host);
                assert!(is_allowed || !text.contains(&form), "{} saw {secret}: {}", seen.host, seen.line());
            }
        }
        let saw =
            |host: &String| requests.iter().any(|(seen, text)| seen.host == *host && text.contains(&secret));
        assert!(!all_are_used || hosts.iter().all(saw), "{secret} was not used at all");
    }
}

#[test]
fn each_secret_is_seen_by_those_it_is_for() {
    let (world, told) = run(everything());
    told.expect(0);
    assert!(told.text.contains("6 copied") && told.summary.contains(TARGET), "{}", told.text);
    assert_no_leak(&world, &told, true);
}

/// In turn each host refuses, and says in its refusal all that it was sent.
#[test]
fn a_service_that_repeats_what_it_was_sent_tells_nobody() {
    for host in [AWS_STS, ECR_API, PUBLIC_API, GOOGLE_STS, IAM, ENTRA, ACR] {
        // Each in the form of its errors.
        let in_xml = host == AWS_STS;
        let echo = move |seen: &Seen| {
            let message = decoded(seen).replace(['<', '>', '&'], " ");
            let body = if in_xml {
                format!("<E><Error><Code>No</Code><Message>{message}</Message></Error></E>")
            } else {
                json!({ "error": "no", "error_description": message }).to_string()
            };
            Answer { status: 403, body }
        };
        let (world, told) = run(everything().host(host, echo));
        told.expect(1);
        assert!(told.report.contains(&format!("{host} answered 403 Forbidden: ")), "{}", told.report);
        assert_no_leak(&world, &told, false);
    }
}

/// What a service answers instead of a credential is not repeated either.
#[test]
fn an_answer_that_is_no_credential_tells_nothing() {
    for (host, answer) in [
        (
            AWS_STS,
            "<Credentials><SecretAccessKey>secret-key-of-the-role</SecretAccessKey></Credentials>".to_owned(),
        ),
        (ECR_API, json!({ "token": "password-of-ecr" }).to_string()),
        (GOOGLE_STS, json!({ "access_token": ["federated-token-of-google"] }).to_string()),
        (IAM, "token-of-the-service-account".to_owned()),
        (ENTRA, json!({ "token": "access-token-of-entra" }).to_string()),
        (ACR, json!({ "access_token": "refresh-token-of-acr" }).to_string()),
    ] {
        let (world, told) = run(everything().says(host, &answer));
        told.expect(1);
        assert!(told.report.contains(&format!("{host} answered without ")), "{host}: {}", told.report);
        assert_no_leak(&world, &told, false);
    }
}

/// A redirect of a service is an answer that is none: what it was sent goes nowhere else.
#[test]
fn no_redirect_is_followed_with_a_secret() {
    for host in [AWS_STS, ECR_API, GOOGLE_STS, IAM, ENTRA, ACR] {
        let world = everything().redirects(host, "http://elsewhere.example/");
        let (world, told) = run(world.says("elsewhere.example", &"{}"));
        told.expect(1);
        assert!(told.report.contains(&format!("{host} answered 307 Temporary Redirect")), "{}", told.report);
        assert_eq!(world.seen("elsewhere.example").len(), 0);
        assert_no_leak(&world, &told, false);
    }
}

/// Those that say to come back, or break down for a moment, are asked once more.
#[test]
fn a_service_that_stumbles_is_asked_again() {
    for status in [429, 503] {
        let stumbled = std::sync::atomic::AtomicBool::new(false);
        let world = everything().host(ENTRA, move |_| {
            let again = stumbled.swap(true, std::sync::atomic::Ordering::Relaxed);
            let body = json!({ "access_token": "access-token-of-entra", "expires_in": 3599 }).to_string();
            if again { Answer { status: 200, body } } else { Answer { status, body: String::new() } }
        });
        let (world, told) = run(world);
        told.expect(0);
        assert_eq!(world.seen(ENTRA).len(), 2);
        assert_no_leak(&world, &told, true);
    }
}
