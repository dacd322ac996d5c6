//! Accepts callers' connections, serves the requests on them, and ends them.
//!
//! 1. [`listener`] binds the socket and accepts each caller's connection;
//! 2. [`server`] limits the number of connections, and ends them gracefully when the gateway stops;
//! 3. [`connection`] is the interface between a transport and the protocol that serves the connection;
//! 4. [`http1`] serves HTTP/1.1 with its time limits and its lingering close (`layers::route` judges `Host`).
//!
//! HTTP/2 is not supported yet. A server for HTTP/2 belongs in `http2.rs`, as a second
//! `connection::Protocol`. [`serve`] then picks the protocol of a connection. `layers::route` reads
//! `Host`; for HTTP/2 it must read `:authority` instead.

mod connection;
mod http1;
mod listener;
mod server;

pub(crate) use http1::Left;
pub(crate) use listener::{Listener, Settings, can_bind};
pub(crate) use server::Server;

use std::convert::Infallible;

use bytes::Bytes;
use http::Response;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::request::{BoxError, Peer, Received};
use http1::Http1;

/// The counters of a listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Heads that are no request, including late heads.
    pub(crate) parser_refusals: Counter,
    /// Callers that left while their request ran.
    pub(crate) left: Left,
}

/// Starts to accept connections. Passes every request, and every head that is no request, to `handler`. Must be
/// called within a tokio runtime.
pub(crate) fn serve<H, F, B>(listener: Listener, counters: Counters, handler: H) -> Server
where
    H: Fn(Received, &Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + Unpin + 'static,
    B: http_body::Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let http1 = Http1 {
        head_timeout: listener.head_timeout(),
        idle_timeout: listener.idle_timeout(),
        half_close_grace: listener.half_close_grace(),
        parser_refusals: counters.parser_refusals,
        left: counters.left,
    };
    Server::start(listener, counters.connections, http1, handler)
}
