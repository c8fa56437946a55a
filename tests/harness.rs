//! The registry that other tests use: that it logs, guards and goes wrong as told.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::time::Duration;

use http::Method;
use image_syncer::oci::{Digest, MediaType};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use support::auth::{Auth, Bearer, TokenRequest};
use support::content::{put_image, put_image_for, put_index, put_referrer, repository};
use support::fault::Fault;
use support::registry::TestRegistry;

#[tokio::test]
async fn content_put_into_memory_is_served_and_requests_are_logged() {
    let registry = TestRegistry::start();
    let amd64 = put_image(&registry.memory, "a/b", None, &[b"one", b"two"]);
    let arm64 = put_image_for(&registry.memory, "a/b", None, "linux/arm64", &[b"one"]);
    let index =
        put_index(&registry.memory, "a/b", Some("v1"), &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let sbom = put_referrer(&registry.memory, "a/b", &index, "application/spdx+json", b"sbom");
    let url = format!("{}/v2/a/b/manifests/v1", registry.url());
    let answer = reqwest::get(url).await.expect("an answer");
    assert_eq!(answer.bytes().await.expect("a body"), index.bytes);
    assert_eq!(registry.tag("a/b", "v1"), Some(index.digest.clone()));
    assert_eq!(
        registry.tags().into_iter().collect::<Vec<_>>(),
        [("a/b:v1".to_owned(), index.digest.clone())]
    );
    assert_eq!(registry.blob("a/b", &Digest::sha256(b"two")), Some(b"two".to_vec()));
    assert_eq!(registry.referrers("a/b", &index.digest)[0].digest, sbom.digest);
    assert_eq!(amd64.parse().expect("a manifest").layers().len(), 2);

    assert_eq!(registry.count(&Method::GET, "/manifests/"), 1);
    assert_eq!(registry.requests()[0].line(), "GET /v2/a/b/manifests/v1 200");
    assert!(registry.writes().is_empty());
    assert_eq!(registry.most_in_flight(), 1);
    registry.clear_log();
    assert!(registry.requests().is_empty());
}

#[test]
fn a_test_without_a_runtime_can_have_a_registry() {
    let registry = TestRegistry::start();
    assert!(std::net::TcpStream::connect(registry.address).is_ok());
}

#[tokio::test]
async fn faults_come_on_order() {
    let registry = TestRegistry::start();
    let bytes = vec![7; 300_000];
    let layer = registry.memory.put_blob(&repository("a"), MediaType::OCI_LAYER, bytes.clone());
    let url = format!("{}/v2/a/blobs/{}", registry.url(), layer.digest);
    let client = Client::new();
    let get = async || client.get(&url).timeout(Duration::from_secs(1)).send().await;

    registry.on_request(|_| Some(Fault::status_with(429, "TOOMANYREQUESTS", &[("retry-after", "1")])));
    let answer = get().await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"1".parse().expect("one"))
    );

    registry.on_request(|_| Some(Fault::Drop));
    assert!(get().await.expect_err("no answer").is_request());

    registry.on_request(|_| Some(Fault::CutAfter(1000)));
    assert!(get().await.expect("an answer").bytes().await.is_err());

    registry.on_request(|_| Some(Fault::StallAfter(1000)));
    let stalled = get().await.expect("an answer").bytes().await.expect_err("half a body");
    assert!(stalled.is_timeout());

    registry.on_request(|_| Some(Fault::Stall));
    assert!(get().await.expect_err("no answer").is_timeout());

    registry.on_request(|_| Some(Fault::Corrupt));
    let corrupt = get().await.expect("an answer").bytes().await.expect("a body");
    assert!(corrupt.len() == bytes.len() && corrupt != bytes);

    registry.on_request(|_| Some(Fault::Endless));
    let mut endless = get().await.expect("an answer");
    let mut seen = 0;
    while seen < 3 * bytes.len() {
        seen += endless.chunk().await.expect("a piece").expect("no end").len();
    }
    drop(endless);

    registry.on_request(|parts| (parts.method == Method::POST).then_some(Fault::DropUploadAfter(1000)));
    let post = format!("{}/v2/b/blobs/uploads/?digest={}", registry.url(), layer.digest);
    assert!(client.post(post).body(bytes.clone()).send().await.is_err());
    assert_eq!(registry.blob("b", &layer.digest), None);

    registry.heal();
    assert_eq!(get().await.expect("an answer").bytes().await.expect("a body"), bytes);
}

#[tokio::test]
async fn basic_credentials_are_asked_for() {
    let registry = TestRegistry::builder().auth(Auth::basic("user", "secret")).start();
    let url = format!("{}/v2/", registry.url());
    let refused = reqwest::get(&url).await.expect("an answer");
    assert_eq!(refused.status(), 401);
    assert!(refused.headers()["www-authenticate"].to_str().expect("text").starts_with("Basic "));
    let get = |password| Client::new().get(&url).basic_auth("user", Some(password)).send();
    assert_eq!(get("wrong").await.expect("an answer").status(), 401);
    assert_eq!(get("secret").await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn tokens_are_good_for_their_scopes_and_their_uses() {
    let Auth::Bearer(bearer) = Auth::bearer("user", "secret") else { unreachable!("a bearer") };
    let auth = Auth::Bearer(Bearer { uses: Some(2), ..bearer });
    let registry = TestRegistry::builder().auth(auth).start();
    put_image(&registry.memory, "a/b", Some("v1"), &[]);
    let client = Client::new();
    let head = async |token: &str| {
        let url = format!("{}/v2/a/b/manifests/v1", registry.url());
        client.head(url).bearer_auth(token).send().await.expect("an answer")
    };
    let token = async |scope: &str, password: Option<&str>| {
        let url = format!("{}/token?service=registry.test&scope={scope}", registry.url());
        let request = client.get(url);
        let request = match password {
            Some(password) => request.basic_auth("user", Some(password)),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        (status, body["token"].as_str().unwrap_or_default().to_owned())
    };

    let challenge = head("none").await.headers()["www-authenticate"].to_str().expect("text").to_owned();
    let expected = format!(
        "Bearer realm=\"{}/token\",service=\"registry.test\",scope=\"repository:a/b:pull\",error=\"invalid_token\"",
        registry.url()
    );
    assert_eq!(challenge, expected);
    let (_, wrong) = token("repository:a:pull", None).await;
    assert_eq!(head(&wrong).await.status(), 401);
    let (_, good) = token("repository:a/b:pull", None).await;
    let statuses =
        [head(&good).await, head(&good).await, head(&good).await].map(|answer| answer.status().as_u16());
    assert_eq!(statuses, [200, 200, 401]);

    let post = async |token: &str, query: &str| {
        let url = format!("{}/v2/a/b/blobs/uploads/{query}", registry.url());
        client.post(url).bearer_auth(token).send().await.expect("an answer")
    };
    let (_, anonymous) = token("repository:a/b:pull,push", None).await;
    let refused = post(&anonymous, "").await;
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().expect("text");
    assert!(
        challenge.contains("scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert_eq!(token("repository:a/b:pull,push", Some("wrong")).await.0, StatusCode::UNAUTHORIZED);
    let (_, known) = token("repository:a/b:pull,push", Some("secret")).await;
    assert_eq!(post(&known, "").await.status(), 202);
    let mount = format!("?mount={}&from=c", Digest::sha256(b""));
    assert_eq!(post(&known, &mount).await.status(), 401);

    let last = registry.token_requests().pop();
    let expected = TokenRequest {
        method: Method::GET,
        scopes: vec!["repository:a/b:pull,push".to_owned()],
        service: Some("registry.test".to_owned()),
        user: Some("user".to_owned()),
        status: 200,
    };
    assert_eq!(last, Some(expected));
}
