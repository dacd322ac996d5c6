//! Bytes in: the listener, its connections, and how they end.

use std::net::SocketAddr;
use std::time::Duration;

/// What the listener is told by the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Connections at once; past it, new ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// From the first byte of a head to its end, and how long a connection may idle.
    pub head_timeout: Duration,
    /// How long stopping waits for what is in flight.
    pub drain_timeout: Duration,
}
