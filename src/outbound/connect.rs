//! Makes a connection: resolves the name, connects TCP and TLS, and starts the task in which hyper drives it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::counted_stream::{CountedStream, Waiting};
use super::io::{HyperIo, Socket};
use super::upload::Upload;
use crate::alarm::Alarm;
use crate::request::{MAX_ANSWER_LINES, Origin};
use crate::tls::ClientTls;

/// The most name look-ups at once. A look-up occupies a thread until it ends, because nothing can cancel it.
const MAX_LOOKUPS: usize = 8;
/// The most addresses to try per name.
const MAX_ADDRESSES: usize = 8;
/// If a peer is silent for this long, the kernel probes it, and then again every [`KEEPALIVE_INTERVAL`].
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The size of hyper's read buffer, which also limits the head of an answer.
const MAX_BUFFER_BYTES: usize = 128 * 1024;

/// Makes connections. All origins share one connector.
#[derive(Debug)]
pub(super) struct Connector {
    tls: ClientTls,
    lookups: Arc<Semaphore>,
}

/// A connection that hyper drives in its own task. Dropping an idle connection closes it gracefully.
/// [`Self::abort`] closes any connection at once.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Upload>,
    pub(super) stream: Arc<CountedStream>,
    pub(super) alarm: Alarm,
    task: AbortHandle,
}

impl Connector {
    pub(super) fn new(tls: ClientTls) -> Self {
        Self {
            tls,
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }

    /// Connects to the origin. The caller enforces `deadline`. This function only divides the time until
    /// `deadline` among the addresses.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Connection, String> {
        let addresses = self.resolve(origin).await?;
        let socket = reach(&addresses, deadline)
            .await
            .map_err(|error| format!("{origin} cannot be reached: {error}"))?;
        let stream = CountedStream::new(socket, origin.tls);
        let tls = if origin.tls {
            let tls = self
                .tls
                .connect(&origin.host, Socket(Arc::clone(&stream)))
                .await
                .map_err(|error| format!("{origin}: {error}"))?;
            Some(Box::new(tls))
        } else {
            None
        };
        let io = HyperIo {
            stream: Arc::clone(&stream),
            tls,
        };
        drive(io, stream)
            .await
            .map_err(|error| format!("{origin}: {error}"))
    }

    async fn resolve(&self, origin: &Origin) -> Result<Vec<SocketAddr>, String> {
        if let Ok(literal) = origin.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, origin.port)]);
        }
        let permit = Arc::clone(&self.lookups).acquire_owned().await;
        let (host, port) = (origin.host.clone(), origin.port);
        // The thread holds the permit, because the look-up continues even if its caller stops waiting.
        let found = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            (host.as_str(), port)
                .to_socket_addrs()
                .map(|found| found.take(MAX_ADDRESSES).collect::<Vec<_>>())
        })
        .await
        .map_err(io::Error::other)
        .and_then(|found| found);
        match found {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(format!("{} has no address", origin.host)),
            Err(error) => Err(format!("{} cannot be resolved: {error}", origin.host)),
        }
    }
}

impl Connection {
    /// Whether the connection can carry another request: hyper has finished the last request, and no byte
    /// waits in the kernel. Under TLS, waiting bytes may be session tickets, so hyper gets a chance to read
    /// them first.
    pub(super) async fn is_fit(&mut self, tls: bool, settle: Duration) -> bool {
        if !self.sender.is_ready() {
            let ready = Box::pin(tokio::time::timeout(settle, self.sender.ready())).await;
            if !matches!(ready, Ok(Ok(()))) {
                return false;
            }
        }
        match self.stream.peek() {
            Waiting::Nothing => true,
            Waiting::Bytes if tls => {
                tokio::task::yield_now().await;
                self.stream.peek() == Waiting::Nothing && self.sender.is_ready()
            }
            Waiting::Bytes | Waiting::End => false,
        }
    }

    /// Closes the connection at once, even during a request.
    pub(super) fn abort(&self) {
        self.stream.seal();
        self.task.abort();
    }
}

/// Tries the addresses in order. Each address gets an equal share of the remaining time.
async fn reach(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + left / untried, open(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

async fn drive(io: HyperIo, stream: Arc<CountedStream>) -> hyper::Result<Connection> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_BUFFER_BYTES)
        // Costs two allocations an answer. With hyper's default of 100, a longer answer to a deletion would
        // make its outcome unknown.
        .max_headers(MAX_ANSWER_LINES)
        .handshake(TokioIo::new(io))
        .await?;
    // The error can be ignored here, because the request that waits for the answer gets it too.
    let task = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Connection {
        sender,
        stream,
        alarm: Alarm::default(),
        task: task.abort_handle(),
    })
}
