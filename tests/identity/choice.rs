//! Which credential is chosen: what was typed, then the policy, then the docker configuration, then what is found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::world::World;
use crate::{TARGET, TARGET_AUTH, put_image, target};

const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// Who was sent to the registry, with these of the four ways to say it.
fn chosen(ways: &[&str]) -> String {
    let [typed, policy, docker, found] =
        ["typed", "policy", "docker", "found"].map(|way| ways.contains(&way));
    let registry = crate::TestRegistry::start();
    put_image(&registry.memory, "team/app", Some("1"), &[b"one"]);
    registry.on_request(|parts| {
        let challenge = [("www-authenticate", "Basic realm=\"x\"")];
        let is_known = parts.headers.contains_key("authorization");
        (!is_known).then(|| crate::support::fault::Fault::status_with(401, "UNAUTHORIZED", &challenge))
    });
    let token = BASE64.encode("AWS:found");
    let mut world = World::new()
        .registry(REGISTRY, registry)
        .says(
            "api.ecr.eu-central-1.amazonaws.com",
            &json!({ "authorizationData": [{ "authorizationToken": token }] }),
        )
        .variable("TYPED", "x")
        .variable("POLICY", "x");
    if found {
        world = world.variable("AWS_ACCESS_KEY_ID", "AKID").variable("AWS_SECRET_ACCESS_KEY", "s");
    }
    let (world, _registry) = target(world);
    if docker {
        std::fs::create_dir(world.home.path().join(".docker")).expect("a folder");
        let config = json!({ "auths": { REGISTRY: { "username": "docker", "password": "x" } } });
        world.file(".docker/config.json", &config.to_string());
    }
    let rule =
        |who: &str| format!("{REGISTRY}: {{provider: basic, username: {who}, passwordVariable: TYPED}}\n");
    let mut command = world.program();
    if policy {
        // The policy names more of it, and what was typed counts all the same.
        let rule = rule("policy").replacen(REGISTRY, &format!("{REGISTRY}/team/app"), 1);
        world.file("policy.yaml", &format!("auth:\n  {rule}"));
        command.args(["--policy-file", "policy.yaml"]);
    }
    let typed = if typed { rule("typed") } else { String::new() };
    world.file("external-images.yaml", &format!("images:\n  - source: {REGISTRY}/team/app:1\n"));
    command.args(["-r", &format!("{TARGET}/mirror/"), "--auth", &format!("{TARGET_AUTH}{typed}")]);
    let told = world.told(&mut command);
    let seen = world.seen(REGISTRY);
    let sent = seen.iter().find_map(|seen| seen.header("authorization").strip_prefix("Basic "));
    let Some(sent) = sent else { return format!("nobody, {}", told.code) };
    let decoded = String::from_utf8(BASE64.decode(sent).expect("Base64")).expect("text");
    decoded.split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn the_strongest_word_decides() {
    assert_eq!(chosen(&["typed", "policy", "docker", "found"]), "typed");
    assert_eq!(chosen(&["policy", "docker", "found"]), "policy");
    assert_eq!(chosen(&["docker", "found"]), "docker");
    assert_eq!(chosen(&["found"]), "AWS");
    assert_eq!(chosen(&[]), "nobody, 1");
}

#[test]
fn two_repositories_of_a_registry_have_their_own_credentials() {
    let registry = || {
        let registry = crate::TestRegistry::builder().auth(crate::Auth::basic("pull", "one")).start();
        put_image(&registry.memory, "team/app", Some("1"), &[b"one"]);
        registry
    };
    let world = World::new()
        .registry("r.example.com", registry())
        .variable("ONE", "one")
        .variable("TWO", "two")
        .variable("TARGET_PASSWORD", "one");
    world.file("external-images.yaml", "images:\n  - source: r.example.com/team/app:1\n");
    let mut command = world.program();
    // The same registry on both sides, with a user to read and another to write.
    command.args(["-r", "r.example.com/mirror/"]).env(
        "SYNCER_AUTH",
        "r.example.com/team/*: {provider: basic, username: pull, passwordVariable: ONE}\n\
         r.example.com/mirror/**: {provider: basic, username: push, passwordVariable: TWO}\n",
    );
    world.told(&mut command);
    let users = |part: &str| -> Vec<String> {
        let mut users: Vec<String> = world
            .seen("r.example.com")
            .iter()
            .filter(|seen| seen.path.starts_with(part))
            .filter_map(|seen| seen.header("authorization").strip_prefix("Basic ").map(str::to_owned))
            .map(|text| String::from_utf8(BASE64.decode(text).expect("Base64")).expect("text"))
            .collect();
        users.dedup();
        users
    };
    assert_eq!(users("/v2/team/app"), ["pull:one"]);
    assert_eq!(users("/v2/mirror"), ["push:two"]);
}

#[test]
fn what_is_wrong_with_it_is_said_before_anything_is_asked() {
    let world = World::new();
    world.file("external-images.yaml", "images:\n  - source: quay.io/team/app:1\n");
    let mut command = world.program();
    command.args(["-r", "r.example.com/mirror/", "--auth", "quay.io: {provider: basic, password: hunter2}"]);
    let told = world.told(&mut command);
    told.expect(2);
    let expected = "error: --auth cannot be used";
    assert!(told.text.contains(expected), "{}", told.text);
    assert!(told.text.contains("auth:1:28: the provider `basic` has no key `password`"), "{}", told.text);
    assert!(!told.text.contains("hunter2"), "{}", told.text);
    assert_eq!(world.everything().len(), 0);
}
