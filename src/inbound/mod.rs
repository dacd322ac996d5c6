//! Bytes in: the listener, its connections, and how they end.
//!
//! 1. [`listener`] binds the socket and sets what the kernel is to watch;
//! 2. [`server`] accepts within a bound and stops in order;
//! 3. [`connection`] speaks HTTP/1.1 on one connection;
//! 4. [`head_timer`] bounds the time a head may take;
//! 5. [`body`] takes a caller's body in, data alone;
//! 6. [`gather`] sends a small answer as one piece;
//! 7. [`linger`] closes so that an early answer still arrives.

mod body;
mod connection;
mod gather;
mod head_timer;
mod linger;
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
