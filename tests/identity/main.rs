//! Who we are at the registries of three clouds, GitHub and Docker Hub: what each service is asked, in the words of its
//! documentation, what is chosen where, and that no secret is seen by anybody but the one it is for.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod aws;
mod azure;
mod choice;
mod creation;
mod gcp;
mod leaks;
mod passwords;
mod world;

use std::sync::Arc;

use support::auth::{Auth, Bearer};
use support::content::put_image;
use support::registry::TestRegistry;
use world::{Told, World};

/// Where the tests mirror to, by user and password.
const TARGET: &str = "registry.example.com";
const TARGET_AUTH: &str =
    "registry.example.com: {provider: basic, username: robot, passwordVariable: TARGET_PASSWORD}\n";
const TARGET_PASSWORD: &str = "the-targets-own-password";

/// A registry that takes a user and a password, with `team/app:1`.
fn basic(user: &str, password: &str) -> TestRegistry {
    with_image(Auth::basic(user, password))
}

/// A registry whose token service takes a user and a password, or the password as a refresh token; it is under its own
/// name.
fn bearer(name: &str, user: &str, password: &str) -> TestRegistry {
    with_image(Auth::Bearer(Bearer {
        user: user.to_owned(),
        password: password.to_owned(),
        anonymous_pull: false,
        uses: None,
        realm: Some(format!("http://{name}/token")),
    }))
}

fn with_image(auth: Auth) -> TestRegistry {
    let registry = TestRegistry::builder().auth(auth).start();
    put_image(&registry.memory, "team/app", Some("1"), &[b"one"]);
    registry
}

/// The target of most stories.
fn target(world: World) -> (World, Arc<TestRegistry>) {
    let registry = Arc::new(TestRegistry::builder().auth(Auth::basic("robot", TARGET_PASSWORD)).start());
    let world = world.registry(TARGET, Arc::clone(&registry));
    (world.variable("TARGET_PASSWORD", TARGET_PASSWORD), registry)
}

/// Mirrors the image of one registry, with this setting for it.
fn mirror(world: World, source: &str, auth: &str) -> (World, Told) {
    let (world, registry) = target(world);
    let told = world.sync(&[source], TARGET, &format!("{TARGET_AUTH}{auth}"));
    if told.code == 0 {
        assert_eq!(registry.tags().len(), 1, "{}", told.text);
    }
    (world, told)
}

/// Pairs as a form has them.
fn pairs(form: &[(&str, &str)]) -> Vec<(String, String)> {
    form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
