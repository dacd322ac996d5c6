//! The settings of the way to upstream.

use std::path::PathBuf;
use std::time::Duration;

/// Times, bounds and roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the first packet to a usable connection, TLS included.
    pub connect_timeout: Duration,
    /// From the last byte sent to the answer's head.
    pub head_timeout: Duration,
    /// One request with all of its answer.
    pub total_timeout: Duration,
    /// An idle connection closes after this.
    pub idle_timeout: Duration,
    /// Connections to one origin at once.
    pub max_connections: usize,
    /// PEM file of the roots to trust instead of the system's.
    pub roots_file: Option<PathBuf>,
}
