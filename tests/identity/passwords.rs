//! Users and passwords: of variables, of standard input, of GitHub's workflow and of Docker Hub.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::world::{Seen, World};
use crate::{TARGET, basic, bearer, mirror, target};

/// The user and the password of the first request that has them.
fn sent(world: &World, host: &str) -> String {
    let seen = world.seen(host);
    let found = seen.iter().find_map(|seen: &Seen| seen.header("authorization").strip_prefix("Basic "));
    let bytes = BASE64.decode(found.expect("a request with a password")).expect("Base64");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_user_and_a_password_come_from_variables() {
    let world = World::new()
        .registry("quay.io", bearer("quay.io", "org+robot", "pass:word"))
        .variable("QUAY_USER", "org+robot")
        .variable("QUAY_PASSWORD", "pass:word\n");
    let auth = "quay.io: {provider: basic, usernameVariable: QUAY_USER, passwordVariable: QUAY_PASSWORD}";
    let (world, told) = mirror(world, "quay.io", auth);
    told.expect(0);
    assert_eq!(sent(&world, "quay.io"), "org+robot:pass:word");
}

#[test]
fn a_password_comes_from_standard_input() {
    let world = World::new().registry("quay.io", basic("robot", "from-input"));
    let (world, registry) = target(world);
    world.file("external-images.yaml", "images:\n  - source: quay.io/team/app:1\n");
    let auth =
        format!("{}quay.io: {{provider: basic, username: robot, passwordStdin: true}}", crate::TARGET_AUTH);
    let mut command = world.program();
    command.env("SYNCER_AUTH", auth).args(["-r", &format!("{TARGET}/mirror/")]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program");
    child.stdin.take().expect("an input").write_all(b"from-input\nnot this\n").expect("a write");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    assert_eq!(registry.tags().len(), 1);
    assert_eq!(sent(&world, "quay.io"), "robot:from-input");
}

#[test]
fn a_variable_that_is_not_there_is_named() {
    let world = World::new().registry("quay.io", basic("robot", "x"));
    let auth = "quay.io: {provider: basic, username: robot, passwordVariable: QUAY_PASSWORD}";
    let (world, told) = mirror(world, "quay.io", auth);
    let text = &told.expect(2).text;
    let says =
        "the variable QUAY_PASSWORD is not set, or empty, and `auth` (auth:2:1) logs in at quay.io with it";
    assert!(text.contains(says), "{text}");
    assert_eq!((world.seen("quay.io").len(), world.seen(TARGET).len()), (0, 0), "before anything is done");
}

/// A target that cannot be looked at for want of a password is no remark of a plan.
#[test]
fn a_plan_wants_the_targets_password_too() {
    let world = World::new().registry(TARGET, basic("robot", "x")).registry("quay.io", basic("robot", "x"));
    world.file("external-images.yaml", "images:\n  - source: quay.io/team/app:1\n");
    let mut command = world.program();
    command.env("SYNCER_AUTH", crate::TARGET_AUTH);
    let output = command.args(["--dry-run", "-r", &format!("{TARGET}/mirror/")]).output().expect("an output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the variable TARGET_PASSWORD is not set") && said.contains(TARGET), "{said}");
    assert_eq!((world.seen("quay.io").len(), world.seen(TARGET).len()), (0, 0));
    // What is named for a registry of no image is not missed.
    let auth = "elsewhere.example.com: {provider: basic, username: robot, passwordVariable: NOBODYS}";
    let (world, registry) = target(World::new().registry("quay.io", basic("robot", "x")));
    let told = world.variable("QUAY_PASSWORD", "x").sync(
        &["quay.io"],
        TARGET,
        &format!(
            "{}quay.io: {{provider: basic, username: robot, passwordVariable: QUAY_PASSWORD}}\n{auth}",
            crate::TARGET_AUTH
        ),
    );
    told.expect(0);
    assert_eq!(registry.tags().len(), 1);
}

/// What is overridden still has to be something that could be read, as with every other option.
#[test]
fn a_variable_that_is_overridden_is_read_all_the_same() {
    let world = World::new();
    world.file("external-images.yaml", "images:\n  - source: quay.io/team/app:1\n");
    let run = |arguments: &[&str]| {
        let mut command = world.program();
        command
            .env("SYNCER_AUTH", "quay.io: [nothing]")
            .args(["-r", "r.example.com/mirror/"])
            .args(arguments);
        let output = command.output().expect("an output");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for arguments in [&["--auth", "quay.io: anonymous"][..], &[]] {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("error: SYNCER_AUTH cannot be used"), "{said}");
    }
}

#[test]
fn docker_hub_takes_an_access_token() {
    // Its token service is in its domain, and here the same registry.
    let hub = Arc::new(bearer("docker.io", "someone", "dckr_pat_x"));
    let world = World::new()
        .registry("registry-1.docker.io", Arc::clone(&hub))
        .registry("docker.io", hub)
        .variable("DOCKERHUB_USERNAME", "someone")
        .variable("DOCKERHUB_TOKEN", "dckr_pat_x");
    let (world, told) = mirror(world, "docker.io", "docker.io: dockerhub");
    told.expect(0);
    assert_eq!(sent(&world, "docker.io"), "someone:dckr_pat_x");
}

#[test]
fn ghcr_takes_the_workflows_token() {
    let world = World::new()
        .registry("ghcr.io", bearer("ghcr.io", "octocat", "ghs_workflow"))
        .variable("GITHUB_ACTOR", "octocat")
        .variable("GITHUB_TOKEN", "ghs_workflow");
    let (world, told) = mirror(world, "ghcr.io", "ghcr.io: github");
    told.expect(0);
    assert_eq!(sent(&world, "ghcr.io"), "octocat:ghs_workflow");
    let world = World::new()
        .registry("ghcr.io", bearer("ghcr.io", "image-syncer", "ghp_other"))
        .variable("GITHUB_TOKEN", "ghs_workflow")
        .variable("PACKAGES_TOKEN", "ghp_other");
    let (_, told) = mirror(world, "ghcr.io", "ghcr.io: {provider: github, tokenVariable: PACKAGES_TOKEN}");
    told.expect(0);
}

/// Public images can be pulled without, and a token that may not read them would be in the way.
#[test]
fn the_workflows_token_is_not_sent_to_sources_by_itself() {
    let registry = crate::TestRegistry::start();
    crate::put_image(&registry.memory, "team/app", Some("1"), &[b"one"]);
    let world = World::new()
        .registry("ghcr.io", registry)
        .variable("GITHUB_TOKEN", "ghs_workflow")
        .variable("GITHUB_SERVER_URL", "https://github.com");
    let (world, told) = mirror(world, "ghcr.io", "");
    told.expect(0);
    assert!(world.seen("ghcr.io").iter().all(|seen| !seen.headers.contains_key("authorization")));
}
