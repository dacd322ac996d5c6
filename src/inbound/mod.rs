//! Bytes in: the listener, its connections, and how they end.
//!
//! 1. [`listener`] binds the socket and sets what the kernel is to watch;
//! 2. [`server`] accepts within a bound and stops in order;
//! 3. [`http1`] speaks HTTP/1.1 on one connection;
//! 4. [`body`] takes a caller's body in, data alone.

mod body;
mod http1;
pub mod listener;
pub mod server;

pub use listener::Listener;
pub use server::{Counters, Server};

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
