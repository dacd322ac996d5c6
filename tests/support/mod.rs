//! What end-to-end tests stand on: a gateway on loopback, an upstream that follows a script and
//! keeps the exact bytes it saw, raw requests, tokens signed here and not by the gateway's own code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper fails by panicking"
)]

pub(crate) mod folder;
pub(crate) mod gateway;
pub(crate) mod tokens;
pub(crate) mod trail;
pub(crate) mod upstream;
pub(crate) mod wire;
