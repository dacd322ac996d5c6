//! Bytes out: connections to upstream, requests on them, and the answers.
//!
//! Its promise: an origin gets each request once, with the bytes that the layers judged, and a failure says truly
//! whether a byte of it left. In reading order:
//!
//! 1. [`client`] is the door;
//! 2. `attempts` decides when to try again, `exchange` sends one request on one connection;
//! 3. `pool` and `origin_pool` choose the connection, `connect` makes a new one;
//! 4. `counted_stream` counts the bytes that left and peeks, `io` shows it to TLS and hyper;
//! 5. `headers`, `trace_context` and `answer` rewrite the heads, `upload` and `body` pass the bodies on;
//! 6. `alarm` is the timer of an answer, `settings` holds the times and bounds.

mod alarm;
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
