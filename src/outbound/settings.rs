//! The settings for connections and requests to upstream.

use std::path::PathBuf;
use std::time::Duration;

/// Time limits, the connection limit and the trusted roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The time limit for making a connection, from the name look-up to the end of the TLS handshake. Also
    /// limits the wait for a free connection.
    pub connect_timeout: Duration,
    /// The time limit from the last byte of the request to the answer's head.
    pub head_timeout: Duration,
    /// The time limit for one request and its whole answer.
    pub total_timeout: Duration,
    /// The gateway closes a connection that was idle for this long.
    pub idle_timeout: Duration,
    /// The most connections to one origin.
    pub max_connections: usize,
    /// PEM file of the root certificates to trust instead of the system's.
    pub roots_file: Option<PathBuf>,
}
