//! The listening socket: bound early, so that callers wait in the kernel's backlog while the rest starts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;

use super::Settings;

/// Connections that the kernel holds ready before they are accepted.
const BACKLOG: i32 = 1024;
/// A peer that takes none of the bytes sent for so long is gone (`TCP_USER_TIMEOUT`).
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// A quiet peer is asked after this whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// A bound socket that accepts nothing yet.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) settings: Settings,
    address: SocketAddr,
}

impl Listener {
    /// Binds and listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        Self::bind_with(settings, STALLED_AFTER)
    }

    /// As [`Self::bind`], with another bound on a peer that does not read.
    pub(super) fn bind_with(settings: Settings, stalled_after: Duration) -> io::Result<Self> {
        let domain = Domain::for_address(settings.address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for connections of the process before it.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        inherit(&socket, stalled_after)?;
        socket.bind(&settings.address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            settings,
            address,
        })
    }

    /// Where it listens: the real port where the settings said 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Options that Linux hands down to every accepted connection, so that none costs a call of its own.
fn inherit(socket: &Socket, stalled_after: Duration) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // A caller who reads nothing would hold its connection for ever: no timer of hyper's covers writes.
    socket.set_tcp_user_timeout(Some(stalled_after))?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)
}
