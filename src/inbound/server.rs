//! Accepts connections within a bound, and ends them in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::http1::{Rules, serve};
use super::listener::Listener;
use crate::request::{Body, Peer};

/// After a failed accept (no file descriptors left) the next one waits, at first so long.
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// And at last so long.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// What stands ready in the backlog when stopping shows within this.
const BACKLOG_WAIT: Duration = Duration::from_millis(5);

/// What a server counts.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Connections open.
    pub connections: Gauge,
    /// Heads that the parser refused, late ones included.
    pub parser_refusals: Counter,
}

/// A listener that serves; dropped without [`Server::stop`] it ends everything at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    winding_down: Arc<AtomicBool>,
    stopping: CancellationToken,
    accepting: AbortOnDropHandle<()>,
}

impl Server {
    /// Begins to accept; every request goes to `handler`. Must be called within a tokio runtime.
    pub fn start<H, F>(listener: Listener, counters: Counters, handler: H) -> Self
    where
        H: Fn(Request<Body>, &Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + Unpin + 'static,
    {
        let rules = Rules {
            head_timeout: listener.settings.head_timeout,
            winding_down: Arc::default(),
            stopping: CancellationToken::new(),
            parser_refusals: counters.parser_refusals.clone(),
        };
        Self {
            address: listener.address(),
            winding_down: Arc::clone(&rules.winding_down),
            stopping: rules.stopping.clone(),
            accepting: AbortOnDropHandle::new(tokio::spawn(accept_all(
                listener, counters, rules, handler,
            ))),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers carry `connection: close`; everything is still served.
    pub fn wind_down(&self) {
        self.winding_down.store(true, Ordering::Relaxed);
    }

    /// Accepts no more, closes idle connections, lets requests in flight end; after `grace` all are cut.
    pub async fn stop(self, grace: Duration) {
        self.winding_down.store(true, Ordering::Relaxed);
        self.stopping.cancel();
        if tokio::time::timeout(grace, self.accepting).await.is_err() {
            tracing::warn!(
                address = %self.address,
                "cut connections whose requests had not ended when the time to stop was up"
            );
        }
    }
}

/// Dropping this future aborts every connection.
async fn accept_all<H, F>(listener: Listener, counters: Counters, rules: Rules, handler: H)
where
    H: Fn(Request<Body>, &Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + Unpin + 'static,
{
    let Listener {
        socket, settings, ..
    } = listener;
    let mut tasks = JoinSet::new();
    let spawn = |tasks: &mut JoinSet<()>, (stream, peer): (TcpStream, SocketAddr)| {
        let open = Open::new(&counters.connections);
        let served = serve(stream, peer, rules.clone(), handler.clone());
        tasks.spawn(async move {
            served.await;
            drop(open);
        });
    };
    let mut pause = MIN_PAUSE;
    loop {
        // At the bound nothing is accepted: new connections wait in the kernel's backlog.
        let may_accept = tasks.len() < settings.max_connections;
        tokio::select! {
            biased;
            () = rules.stopping.cancelled() => break,
            Some(_) = tasks.join_next() => {}
            accepted = socket.accept(), if may_accept => match accepted {
                Ok(accepted) => {
                    pause = MIN_PAUSE;
                    spawn(&mut tasks, accepted);
                }
                Err(error) => back_off(&error, &mut pause, &rules.stopping).await,
            }
        }
    }
    while tasks.len() < settings.max_connections
        && let Some(accepted) = waiting(&socket).await
    {
        spawn(&mut tasks, accepted);
    }
    drop(socket);
    while tasks.join_next().await.is_some() {}
}

/// A connection that was established before the gateway stopped is not reset unheard.
async fn waiting(socket: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    let accepted = tokio::time::timeout(BACKLOG_WAIT, socket.accept()).await;
    accepted.ok()?.ok()
}

/// A listener never ends for an error: it says so and tries again.
async fn back_off(error: &io::Error, pause: &mut Duration, stopping: &CancellationToken) {
    if is_of_one_connection(error) {
        return;
    }
    tracing::error!(
        %error,
        "cannot accept connections; trying again (where files have run out, raise the limit on open files)"
    );
    tokio::select! {
        () = tokio::time::sleep(*pause) => {}
        () = stopping.cancelled() => {}
    }
    *pause = (*pause * 2).min(MAX_PAUSE);
}

/// The caller was gone before it was accepted; the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Counts a connection for as long as it is open, however its task ends.
struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
