//! The registry that `serve` is, over real HTTP.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use support::registry::TestRegistry;

#[tokio::test]
async fn a_registry_says_that_it_is_one() {
    let registry = TestRegistry::start();
    let answer = reqwest::get(format!("{}/v2/", registry.url())).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(registry.requests().len(), 1);
}
