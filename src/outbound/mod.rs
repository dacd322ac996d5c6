//! Sends requests to upstream and receives the answers.
//!
//! This module keeps three promises. Upstream gets exactly the bytes that the layers judged. The client sends
//! a write or a deletion again only if it had not sent any byte of it. Every failure says whether any byte of
//! the request was sent. In reading order:
//!
//! 1. [`client`] is the entry point;
//! 2. `attempts` decides when to send a request again, `exchange` sends one request on one connection;
//! 3. `pool` and `origin_pool` choose the connection, `connect` makes a new one;
//! 4. `counted_stream` counts the bytes that were sent and detects a dead connection, `io` adapts it to TLS
//!    and hyper;
//! 5. `headers`, `trace_context` and `answer` rewrite the heads, `upload` and `body` stream the bodies;
//! 6. `settings` holds the time limits and other settings.

mod answer;
mod attempts;
mod body;
pub(crate) mod client;
mod connect;
mod counted_stream;
mod exchange;
mod headers;
mod io;
mod origin_pool;
mod pool;
mod settings;
#[cfg(test)]
mod tests;
mod trace_context;
mod upload;

pub(crate) use settings::Settings;
