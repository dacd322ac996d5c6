//! Accepts connections up to a limit, and ends them gracefully when the server stops.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, Drain, Handler, Protocol};
use super::listener::Listener;
use crate::clock::Clock;
use crate::trouble::Trouble;

/// The first pause after a failed accept, for example because no file descriptor is free. Each further pause
/// is twice as long as the pause before it.
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause after a failed accept.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// When the server stops, how long it waits for each further connection from the backlog.
const BACKLOG_WAIT: Duration = Duration::from_millis(5);

/// A listener that serves its connections. A drop without [`Server::stop`] closes all connections at once.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    drain: Drain,
    accepting: AbortOnDropHandle<()>,
}

impl Server {
    /// Starts to accept connections. The gauge `connections` counts the open connections.
    pub(super) fn start<P, H>(
        listener: Listener,
        connections: Gauge,
        protocol: P,
        handler: H,
    ) -> Self
    where
        P: Protocol,
        H: Handler,
    {
        let address = listener.address();
        let drain = Drain::default();
        let serve = {
            let drain = drain.clone();
            move |connection: Connection<TcpStream>| {
                let open = Open::new(&connections);
                let serving = protocol
                    .clone()
                    .serve(connection, handler.clone(), drain.clone());
                async move {
                    serving.await;
                    drop(open);
                }
            }
        };
        let accepting = tokio::spawn(accept_all(listener, drain.clone(), serve));
        Self {
            address,
            drain,
            accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// The address of the listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, answers ask callers to close their connections. The server still serves every request.
    pub(crate) fn wind_down(&self) {
        self.drain.wind_down();
    }

    /// Stops accepting, closes idle connections, and waits for the requests in flight. After `grace`, closes
    /// the remaining connections.
    pub(crate) async fn stop(self, grace: Duration) {
        self.drain.stop();
        if tokio::time::timeout(grace, self.accepting).await.is_err() {
            tracing::warn!(
                address = %self.address,
                "cut connections whose requests had not ended when the time to stop was up"
            );
        }
    }
}

/// Dropping this future aborts every connection.
async fn accept_all<S, F>(listener: Listener, drain: Drain, serve: S)
where
    S: Fn(Connection<TcpStream>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut pause = MIN_PAUSE;
    let trouble = Trouble::new(Clock::system());
    loop {
        // At the limit, new connections wait in the kernel's backlog.
        let may_accept = tasks.len() < listener.max_connections();
        tokio::select! {
            biased;
            () = drain.stopping() => break,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept(), if may_accept => match accepted {
                Ok(connection) => {
                    pause = MIN_PAUSE;
                    if trouble.ends().is_some() {
                        tracing::info!("connections are accepted again");
                    }
                    tasks.spawn(serve(connection));
                }
                Err(error) => back_off(&error, &trouble, &mut pause, &drain).await,
            }
        }
    }
    // Accepts and serves the connections that still wait in the backlog. Otherwise the kernel would reset
    // them.
    while tasks.len() < listener.max_connections()
        && let Ok(Ok(connection)) = tokio::time::timeout(BACKLOG_WAIT, listener.accept()).await
    {
        tasks.spawn(serve(connection));
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// Handles a failed accept, after which the listener always tries again. If the error concerns only one
/// connection, returns at once. Otherwise logs the error if a line is due, then pauses.
async fn back_off(error: &io::Error, trouble: &Trouble, pause: &mut Duration, drain: &Drain) {
    if is_of_one_connection(error) {
        return;
    }
    if let Some(due) = trouble.occurs("accept", &error.to_string(), 1) {
        let remedy =
            "if the process has no file descriptors left, raise its limit (LimitNOFILE, ulimit -n)";
        let (failed, since) = (due.count, due.since);
        tracing::error!(%error, failed, %since, remedy, "connections are not accepted");
    }
    tokio::select! {
        () = tokio::time::sleep(*pause) => {}
        () = drain.stopping() => {}
    }
    *pause = (*pause * 2).min(MAX_PAUSE);
}

/// Whether the error concerns only this one connection, for example because the caller has already left.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Counts a connection as open until its task ends or is aborted.
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
