//! How often providers are asked, and until when what they gave is used.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use axum::Router;
use axum::routing::post;
use serde_json::json;
use url::Url;

use super::*;
use crate::login::Aws;
use crate::registry::{Registries, Settings};

/// ECR's API, which gives passwords by their number, each for so long, after some time to think.
struct Ecr {
    asked: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
    url: Url,
}

impl Ecr {
    async fn start(lifetime: Duration) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let is_down = Arc::new(AtomicBool::new(false));
        let (count, down) = (Arc::clone(&asked), Arc::clone(&is_down));
        let answer = move || {
            let (count, down) = (Arc::clone(&count), Arc::clone(&down));
            async move {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
                if down.load(Ordering::Relaxed) {
                    return Err(http::StatusCode::FORBIDDEN);
                }
                let expires = SystemTime::now() + lifetime;
                let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs_f64();
                let token = {
                    use base64::Engine as _;
                    base64::engine::general_purpose::STANDARD.encode(format!("AWS:password-{number}"))
                };
                let data = json!({ "authorizationToken": token, "expiresAt": seconds });
                Ok(json!({ "authorizationData": [data] }).to_string())
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().route("/", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { asked, is_down, url: Url::parse(&url).expect("a URL") }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// Who we are with the keys of the environment, hidden secrets being counted.
fn identities(ecr: &Ecr, hidden: &Arc<Mutex<Vec<String>>>) -> Arc<Identities> {
    let variables = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let hidden = Arc::clone(hidden);
    let rule = LoginRule {
        stated: "`auth` (policy.yaml:1:1)".to_owned(),
        matches: Arc::new(|_| true),
        registry: None,
        provider: Provider::Aws(Aws::default()),
    };
    let login = Login {
        rules: vec![rule],
        environment: variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        hide: Some(Arc::new(move |secret| {
            hidden.lock().expect("the secrets").push(secret.expose().to_owned());
        })),
        ..Login::default()
    };
    let mut settings = Settings { login, ..Settings::default() };
    let api = "api.ecr.eu-central-1.amazonaws.com".parse().expect("a host");
    settings.endpoints.insert(api, ecr.url.clone());
    Registries::new(settings, Arc::default()).expect("registries").identities
}

async fn password(identities: &Identities, registry: &str) -> String {
    let (registry, repository) = (registry.parse().expect("a registry"), "a".parse().expect("a repository"));
    match identities.find(Side::Source, &registry, &repository).await {
        Ok(Some(Credential::Basic { username, password })) => format!("{username}:{}", password.expose()),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn many_who_wait_get_one_credential_and_a_new_one_before_it_expires() {
    let ecr = Ecr::start(Duration::from_secs(4)).await;
    let hidden = Arc::default();
    let identities = identities(&ecr, &hidden);
    let all = || futures::future::join_all((0..50).map(|_| password(&identities, REGISTRY)));
    assert!(all().await.iter().all(|found| found == "AWS:password-1"));
    assert!(all().await.iter().all(|found| found == "AWS:password-1"));
    assert_eq!(ecr.asked(), 1);
    // A quarter of its life is left.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert!(all().await.iter().all(|found| found == "AWS:password-2"));
    assert_eq!(ecr.asked(), 2);
    assert_eq!(*hidden.lock().expect("the secrets"), ["password-1", "password-2"]);
}

#[tokio::test]
async fn many_who_wait_get_one_refusal() {
    let ecr = Ecr::start(Duration::from_secs(600)).await;
    let identities = identities(&ecr, &Arc::default());
    ecr.is_down.store(true, Ordering::Relaxed);
    let all = futures::future::join_all((0..50).map(|_| password(&identities, REGISTRY))).await;
    assert!(all.iter().all(|found| found.contains("answered 403 Forbidden")));
    assert_eq!(ecr.asked(), 1);
}

/// Puts a credential in the place of the one that there is.
async fn replace(identities: &Identities, held: Held) {
    let purpose = (Some(0), REGISTRY.parse().expect("a registry"));
    let slot = Arc::clone(&identities.held.lock().expect("credentials")[&purpose]);
    slot.forget(|_| true).await;
    slot.get(|_| true, async { Ok(held) }).await.expect("a credential");
}

fn first() -> Credential {
    Credential::Basic { username: "AWS".into(), password: Secret::new("password-1") }
}

#[tokio::test]
async fn what_is_still_good_is_used_while_nobody_gives_another() {
    let ecr = Ecr::start(Duration::from_secs(600)).await;
    let identities = identities(&ecr, &Arc::default());
    assert_eq!(password(&identities, REGISTRY).await, "AWS:password-1");
    ecr.is_down.store(true, Ordering::Relaxed);
    let now = Instant::now();
    let held = |expires| Held { credential: first(), since: now, renew: now, expires };
    replace(&identities, held(now + YOUNG)).await;
    assert_eq!(password(&identities, REGISTRY).await, "AWS:password-1");
    replace(&identities, held(now)).await;
    let refused = password(&identities, REGISTRY).await;
    assert!(refused.contains("answered 403 Forbidden"), "{refused}");
}

#[tokio::test]
async fn a_credential_is_for_one_registry() {
    let ecr = Ecr::start(Duration::from_secs(600)).await;
    let identities = identities(&ecr, &Arc::default());
    assert_eq!(password(&identities, REGISTRY).await, "AWS:password-1");
    assert_eq!(password(&identities, &REGISTRY.replacen('1', "2", 1)).await, "AWS:password-2");
    // A host that the pattern names and that is none of AWS's gets nothing.
    let refused = password(&identities, "evil.example.com").await;
    assert!(refused.contains("evil.example.com is no registry of Amazon ECR's"), "{refused}");
    assert!(refused.contains("as `auth` (policy.yaml:1:1) asks for"), "{refused}");
    assert_eq!(ecr.asked(), 2);
}

#[tokio::test]
async fn one_that_wore_out_is_replaced_and_a_young_one_is_not() {
    let ecr = Ecr::start(Duration::from_secs(600)).await;
    let identities = identities(&ecr, &Arc::default());
    let registry: Registry = REGISTRY.parse().expect("a registry");
    assert_eq!(password(&identities, REGISTRY).await, "AWS:password-1");
    assert!(!identities.refused(&registry, &first()).await);
    let old = Instant::now().checked_sub(YOUNG * 2).expect("a machine that runs for some minutes");
    let soon = Instant::now() + YOUNG;
    replace(&identities, Held { credential: first(), since: old, renew: soon, expires: soon }).await;
    assert!(identities.refused(&registry, &first()).await);
    assert_eq!(password(&identities, REGISTRY).await, "AWS:password-2");
}

#[test]
fn a_credential_is_used_until_shortly_before_its_end() {
    let now = Instant::now();
    let used = |seconds| {
        let credential = Credential::Bearer(Secret::new("t"));
        let held = Issued { credential, lifetime: Duration::from_secs(seconds) }.hold(now);
        held.renew.duration_since(now).as_secs()
    };
    assert_eq!([used(3600), used(1200), used(60), used(0)], [3300, 900, 45, 0]);
    assert_eq!(used(u64::MAX), 12 * 3600 - 300);
}
