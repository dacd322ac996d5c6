//! Bytes out: connections to upstream, what is sent on them, what comes back.

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
