//! Who we are at registries, and that nobody else learns it.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod docker_config;
mod helpers;
mod refused;
mod secrets;
mod strangers;
mod tokens;

use image_syncer::registry::{Credentials, Helpers};
use serde_json::{Value, json};
use support::auth::Auth;
use support::registry::TestRegistry;
use support::scenario::Scenario;

const USER: &str = "robot";
const PASSWORD: &str = "hunter2-is-secret";

/// `robot:hunter2-is-secret`, as Basic credentials have it.
const BASIC: &str = "cm9ib3Q6aHVudGVyMi1pcy1zZWNyZXQ=";

/// The credentials of a docker configuration.
fn configured(config: &Value) -> Credentials {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), config.to_string()).expect("a file");
    Credentials::from_docker_config(file.path()).expect("credentials")
}

/// A story between two registries that want to know who asks.
fn guarded(auth: impl Fn() -> Auth) -> Scenario {
    let registry = || TestRegistry::builder().auth(auth()).start();
    Scenario::between(registry(), registry())
}

fn basic() -> Auth {
    Auth::basic(USER, PASSWORD)
}

fn bearer() -> Auth {
    Auth::bearer(USER, PASSWORD)
}

/// Known at both registries by user and password.
fn known(story: Scenario) -> Scenario {
    let auth = json!({ "auth": BASIC });
    let config = json!({ "auths": { story.source.host(): auth, story.target.host(): auth } });
    story.credentials(configured(&config))
}

/// With a helper for the source, and with user and password at the target.
fn helped(story: Scenario, helper: &str, how: Helpers) -> Scenario {
    let config = json!({
        "auths": { story.target.host(): { "auth": BASIC } },
        "credHelpers": { story.source.host(): helper },
    });
    story.credentials(configured(&config).with_helpers(how))
}

/// The header that user and password make.
fn basic_header() -> String {
    format!("Basic {BASIC}")
}
