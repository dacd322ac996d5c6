//! The listening socket. The gateway binds it early, so that callers wait in the kernel's backlog while the
//! other parts start.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use crate::request::Peer;

/// The most connections that wait in the kernel for an accept.
const BACKLOG: i32 = 1024;
/// The kernel closes a connection if bytes that the gateway sent stay unacknowledged for this long
/// (`TCP_USER_TIMEOUT`).
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// If a peer is silent for this long, the kernel starts to probe it.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// A listener's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The most connections at once; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// The time limit for a head, from its first byte.
    pub head_timeout: Duration,
    /// The time limit for the wait for a head's first byte: of a new connection, and between two requests.
    pub idle_timeout: Duration,
    /// How long a caller that has closed its sending half may wait for an answer.
    pub half_close_grace: Duration,
    /// When the server stops, how long it waits for requests in flight.
    pub drain_timeout: Duration,
}

/// A bound and listening socket, with its settings.
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

    /// Like [`Self::bind`], but with its own time limit for a peer that does not read.
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

    /// The address of the socket, with the real port if the settings say 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn max_connections(&self) -> usize {
        self.settings.max_connections
    }

    pub(super) fn head_timeout(&self) -> Duration {
        self.settings.head_timeout
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.settings.idle_timeout
    }

    pub(super) fn half_close_grace(&self) -> Duration {
        self.settings.half_close_grace
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<Connection<TcpStream>> {
        let (io, address) = self.socket.accept().await?;
        let peer = Peer::new(address);
        Ok(Connection { io, peer })
    }
}

/// Checks whether this process can bind the address. The check does not listen on its socket, so no caller
/// can connect, and a gateway that starts at the same moment can still bind the address.
pub(crate) fn can_bind(address: SocketAddr) -> io::Result<()> {
    bound(address).map(drop)
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restarted gateway bind while connections of the previous process are still closing.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Sets options on the listening socket. On Linux, every accepted connection inherits these options, which
/// saves a system call per connection.
fn inherit(socket: &Socket, stalled_after: Duration) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // hyper has no time limit for writes. Without this option, a caller that reads nothing could hold its
    // connection forever.
    socket.set_tcp_user_timeout(Some(stalled_after))?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)
}
