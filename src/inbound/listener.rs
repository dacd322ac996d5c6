//! The listening socket. It is bound early: callers wait in the kernel's backlog while the rest starts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use crate::request::Peer;

/// Connections that wait in the kernel for an accept.
const BACKLOG: i32 = 1024;
/// A peer that acknowledges no byte for this long is gone (`TCP_USER_TIMEOUT`).
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// The kernel probes a quiet peer after this.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// A listener's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// The most connections at once; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// The time limit for a head from its first byte, and for the idle time before a connection's first byte. Between
    /// requests, one such limit covers both.
    pub head_timeout: Duration,
    /// How long the stop waits for requests in flight.
    pub drain_timeout: Duration,
}

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    settings: Settings,
    address: SocketAddr,
}

impl Listener {
    /// Binds and listens. Must be called within a tokio runtime.
    pub(crate) fn bind(settings: Settings) -> io::Result<Self> {
        Self::bind_with(settings, STALLED_AFTER)
    }

    /// Like [`Self::bind`], with another bound on a peer that does not read.
    pub(super) fn bind_with(settings: Settings, stalled_after: Duration) -> io::Result<Self> {
        let socket = bound(settings.address)?;
        socket.set_nonblocking(true)?;
        inherit(&socket, stalled_after)?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            settings,
            address,
        })
    }

    /// Where it listens: the real port if the settings say 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn max_connections(&self) -> usize {
        self.settings.max_connections
    }

    pub(super) fn head_timeout(&self) -> Duration {
        self.settings.head_timeout
    }

    /// Waits for the next caller.
    pub(super) async fn accept(&self) -> io::Result<Connection<TcpStream>> {
        let (io, address) = self.socket.accept().await?;
        let peer = Peer::new(address);
        Ok(Connection { io, peer })
    }
}

/// Whether this process may listen there. Nobody can connect meanwhile, and a gateway that starts in this
/// moment is not in the way.
pub(crate) fn can_bind(address: SocketAddr) -> io::Result<()> {
    bound(address).map(drop)
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the process before it.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Options that every accepted connection inherits on Linux, without a call of its own.
fn inherit(socket: &Socket, stalled_after: Duration) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // hyper bounds no write: without this, a caller that reads nothing would hold its connection forever.
    socket.set_tcp_user_timeout(Some(stalled_after))?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)
}
