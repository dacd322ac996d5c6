//! Bytes out: connections to upstream, what is sent on them, what comes back.
//!
//! Its promise: an origin gets each request once, rebuilt from what was judged, and a failure
//! says truly whether a byte of it left. Read it in this order: [`client`] (the door),
//! `attempts` (when to try again), `exchange` (one request on one connection), `pool` and
//! `origin_pool` (which connection), `connect` (a new one), `counted_stream` (the byte counter and the peek),
//! `io` (how hyper sees it), `headers`, `trace_context`, `answer` (header rules both ways), `upload` and `body` (the bodies both ways).

mod answer;
mod attempts;
mod body;
pub mod client;
mod connect;
mod counted_stream;
mod exchange;
mod headers;
mod io;
mod origin_pool;
mod pool;
#[cfg(test)]
mod tests;
mod trace_context;
mod upload;

use std::path::PathBuf;
use std::time::Duration;

/// What the way out is told by the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the first packet to a connection that can be used, TLS included.
    pub connect_timeout: Duration,
    /// From the last byte sent to the answer's head.
    pub head_timeout: Duration,
    /// All of one request, its answer's body included.
    pub total_timeout: Duration,
    /// An idle connection is closed after this.
    pub idle_timeout: Duration,
    /// Connections to one origin at once.
    pub max_connections: usize,
    /// PEM file of the roots to trust instead of the system's.
    pub roots_file: Option<PathBuf>,
}
