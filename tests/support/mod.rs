//! Helpers of the end-to-end tests: a gateway on loopback, a scripted upstream that records the
//! exact bytes of requests, raw requests, and tokens signed without the gateway's code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper fails by panicking"
)]

pub(crate) mod folder;
pub(crate) mod gateway;
pub(crate) mod refusals;
pub(crate) mod tokens;
pub(crate) mod trail;
pub(crate) mod upstream;
pub(crate) mod wire;
