//! Whether a registry can be reached, and whether it is one.

use http::Method;
use image_syncer::serve::Memory;

use crate::Patient;
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::support::tls::{Certificate, TlsFront};

#[test]
fn nobody_is_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let found = Patient::new().examined(&[&address]);
    found.expect("connection", "failed", "refused").ends_with(1).lacks("api").lacks("tls");
    assert!(found.text.contains("1 problem: connection. Exit code 1."), "{}", found.text);
}

#[test]
fn a_name_that_nobody_has() {
    let found = Patient::new().examined(&["registry.invalid"]);
    found.expect("name", "failed", "registry.invalid is not found").ends_with(1).lacks("connection");
}

/// Who ends TLS with a certificate that is not trusted, for another name or too old.
#[test]
fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let registry = TestRegistry::start();
    let stranger = TlsFront::of(registry.address, Certificate::Good);
    let patient = Patient::new();
    let endpoint = |front: &TlsFront| format!("r.example.com=https://{}", front.address);
    let examined = |front: &TlsFront, trusts: bool| {
        let file = patient.home().join("authority.pem");
        std::fs::write(&file, &front.authority).expect("a file");
        let trust: &[&str] = if trusts { &["--ca-file", "authority.pem"] } else { &[] };
        let endpoint = endpoint(front);
        patient.examined(&[&["r.example.com", "--endpoint", &endpoint], trust].concat())
    };
    examined(&stranger, false)
        .expect("tls", "failed", "signed by an authority that is not trusted here")
        .expect("tls", "failed", "--ca-file")
        .ends_with(1)
        .lacks("api");
    examined(&stranger, true)
        .expect("tls", "ok", "the certificate is trusted")
        .expect("api", "ok", "200 OK")
        .ends_with(0);
    let other = TlsFront::of(registry.address, Certificate::OfAnotherName);
    examined(&other, true).expect("tls", "failed", "for another name").ends_with(1);
    let old = TlsFront::of(registry.address, Certificate::Expired);
    examined(&old, true).expect("tls", "failed", "has expired").ends_with(1);
    let authoritys = TlsFront::of(registry.address, Certificate::Authoritys);
    examined(&authoritys, true).expect("tls", "failed", "CA:FALSE").ends_with(1);
    // A registry without TLS behind an address that says that it has.
    let plain = format!("r.example.com=https://{}", registry.address);
    patient
        .examined(&["r.example.com", "--endpoint", &plain])
        .expect("tls", "failed", "does not speak TLS at this port")
        .ends_with(1);
}

#[test]
fn a_web_server_is_no_registry() {
    for (status, body) in [(200, "<html>hello"), (404, "<html>not here")] {
        let server = TestRegistry::start();
        server.on_request(move |_| Some(Fault::body(status, "text/html; charset=utf-8", body)));
        let found = Patient::new().examined(&[&server.host(), "team/app"]);
        found.expect("api", "failed", "this is no registry").ends_with(1).lacks("pull").lacks("push");
        assert!(server.requests().iter().all(|request| request.path == "/v2/"));
    }
}

#[test]
fn a_page_to_log_in_at_is_not_followed() {
    let (page, server) = (TestRegistry::start(), TestRegistry::start());
    let location = format!("{}/login?state=a-secret", page.url());
    server.on_request(move |_| Some(Fault::redirect(&location)));
    let found = Patient::new().examined(&[&server.host()]);
    found.expect("api", "failed", &format!("{}/login", page.host())).ends_with(1);
    assert!(!found.text.contains("a-secret"), "{}", found.text);
    assert_eq!(page.requests().len(), 0);
}

#[test]
fn a_registry_that_is_down_or_shut_is_said() {
    for (status, says, advice) in [
        (503, "503 Service Unavailable", "try again in a minute"),
        (500, "500 Internal Server Error", "look at its log"),
        (403, "403 Forbidden", "refuses whoever asks"),
        (429, "429 Too Many", "wait a while"),
    ] {
        let server = TestRegistry::start();
        server.on_request(move |_| Some(Fault::status(status, "")));
        let began = std::time::Instant::now();
        let found = Patient::new().examined(&[&server.host()]);
        found.expect("api", "failed", says).expect("api", "failed", advice).ends_with(1);
        assert!(began.elapsed().as_secs() < 30, "nothing is tried again");
    }
}

/// A registry for everybody with an image: what can be said of it with questions alone.
#[test]
fn a_registry_that_is_well_is_said_to_be() {
    let memory = Memory::default();
    let image = put_image(&memory, "team/app", Some("1"), &[b"layer"]);
    let registry = TestRegistry::builder().memory(memory).start();
    registry.on_request(|parts| {
        (parts.method == Method::HEAD).then(|| Fault::With("ratelimit-remaining", "42;w=21600".to_owned()))
    });
    let found = Patient::new().examined(&[&format!("{}/team/app", registry.host())]);
    found
        .expect("connection", "ok", "answers in")
        .expect("tls", "no", "plain HTTP")
        .expect("api", "ok", "it asks nobody for a login")
        .expect("credentials", "no", "anonymous")
        .expect("pull", "ok", "the tag `1` can be read")
        .expect("push", "unknown", "--write")
        .expect("tags", "ok", "tags are listed")
        .expect("referrers", "ok", "the API answers")
        .expect("mount", "unknown", "--write")
        .expect("chunks", "unknown", "--write")
        .expect("delete", "unknown", "--write")
        .expect("oci-subject", "unknown", "a subject")
        .ends_with(0);
    assert_eq!(found.document["limits"][0]["number"], 42);
    assert_eq!(found.document["limits"][0]["window_seconds"], 21_600);
    assert!(found.text.contains("ratelimit-remaining: 42 in 6 h"), "{}", found.text);
    crate::assert_only_asked(&registry);
    let asked = registry.requests();
    let referrers = format!("/v2/team/app/referrers/{}", image.digest);
    assert!(asked.iter().any(|request| request.path == referrers));
    assert!(
        !asked.iter().any(|request| request.method == Method::GET && request.path.contains("/manifests/"))
    );
}

/// Docker Hub tells what is left without a repository to ask for.
#[test]
fn docker_hub_is_asked_what_is_left() {
    let hub = TestRegistry::start();
    hub.on_request(|parts| {
        let preview = parts.uri.path() == "/v2/ratelimitpreview/test/manifests/latest";
        let headers = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")];
        preview.then(|| Fault::status_with(200, "", &headers))
    });
    let patient = Patient::new();
    let host = hub.host();
    let policy = format!("registries:\n  \"{host}\": {{kind: docker-hub}}\n");
    std::fs::write(patient.home().join("policy.yaml"), policy).expect("a policy");
    let found = patient.examined(&[&host, "--policy-file", "policy.yaml"]);
    found.ends_with(0);
    assert!(found.text.contains("ratelimit-remaining: 76 in 6 h"), "{}", found.text);
    assert!(found.text.contains("Docker Hub: the policy says so"), "{}", found.text);
    assert_eq!(found.document["profile"]["kind"], "docker-hub");
    assert_eq!(hub.count(&Method::GET, "/manifests/"), 0);
}

/// A registry shows by its answers what it is.
#[test]
fn the_profile_is_told_with_its_reason() {
    let registry = TestRegistry::start();
    registry.on_request(|parts| {
        (parts.uri.path() == "/v2/").then(|| Fault::With("server", "Nexus/3.70.1-02 (OSS)".to_owned()))
    });
    let found = Patient::new().examined(&[&registry.host()]);
    assert!(found.text.contains("Sonatype Nexus Repository: its `server` header says so"), "{}", found.text);
    assert_eq!(found.document["profile"]["kind"], "nexus");
}

/// A sync that cannot get through says once where to look, whatever the number of images.
#[test]
fn a_sync_that_cannot_get_through_points_here() {
    let registry = TestRegistry::start();
    registry.on_request(|_| Some(Fault::status(403, "DENIED")));
    let patient = Patient::new();
    let host = registry.host();
    let list = format!("images:\n  - source: {host}/team/app:1\n  - source: {host}/team/other:1\n");
    std::fs::write(patient.home().join("external-images.yaml"), list).expect("a list");
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_image-syncer"));
    let program = program.env_clear().env("HOME", patient.home()).current_dir(patient.home());
    let output = program.args(["sync", "-r", "oci:images/"]).output().expect("an output");
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let hint = format!("`image-syncer doctor {host} team/app` tells more");
    assert_eq!(told.matches("image-syncer doctor").count(), 1, "{told}");
    assert!(told.contains(&hint), "{told}");
}

/// A loopback address is spoken to in plain HTTP, which who speaks TLS there does not understand.
#[test]
fn tls_at_a_loopback_address_is_told_how_to_be_reached() {
    let registry = TestRegistry::start();
    let front = TlsFront::of(registry.address, Certificate::Good);
    let host = front.address.to_string();
    let advice = format!("--endpoint {host}=https://{host}");
    let patient = Patient::new();
    patient.examined(&[&host]).expect("api", "failed", &advice).ends_with(1);
    let list = format!("images:\n  - source: {host}/team/app:1\n");
    std::fs::write(patient.home().join("external-images.yaml"), list).expect("a list");
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_image-syncer"));
    let program = program.env_clear().env("HOME", patient.home()).current_dir(patient.home());
    let output = program.args(["plan", "-r", "oci:images/", "--format", "json"]).output().expect("an output");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(&advice), "{told}");
    // A server that says so itself.
    let polite = TestRegistry::start();
    let words = "Client sent an HTTP request to an HTTPS server.\n";
    polite.on_request(move |_| Some(Fault::body(400, "text/plain", words)));
    let advice = format!("--endpoint {0}=https://{0}", polite.host());
    patient.examined(&[&polite.host()]).expect("api", "failed", &advice).ends_with(1);
}

/// When the time is over, what was found until then is told, and what was not finished.
#[test]
fn what_was_found_is_told_when_the_time_is_over() {
    let registry = TestRegistry::start();
    put_image(&registry.memory, "team/app", Some("1"), &[b"layer"]);
    registry.on_request(|parts| parts.uri.path().contains("/manifests/").then_some(Fault::Stall));
    let found = Patient::new().examined(&[&registry.host(), "team/app", "--timeout", "2s"]);
    found
        .expect("api", "ok", "200 OK")
        .expect("tags", "ok", "tags are listed")
        .expect("pull", "unknown", "not finished")
        .expect("push", "unknown", "not finished")
        .expect("referrers", "unknown", "not finished")
        .ends_with(1)
        .lacks("login");
    assert_eq!(found.document["interrupted"], "time-limit");
    assert!(found.text.contains("--timeout gives it more time. Exit code 1."), "{}", found.text);
    let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/doctor.schema.json"));
    let schema = serde_json::from_str(&schema.expect("a schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&found.document), "{:#}", found.document);
}
