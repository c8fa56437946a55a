//! What the tests share.
#![allow(dead_code, unused_imports, reason = "each test program uses some of it")]
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

pub(crate) mod auth;
pub(crate) mod companions;
pub(crate) mod content;
pub(crate) mod fault;
pub(crate) mod port;
pub(crate) mod registry;
pub(crate) mod relay;
pub(crate) mod scenario;
pub(crate) mod signing;
pub(crate) mod tls;
