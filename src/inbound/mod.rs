//! Bytes in: the listener, its connections, and how they end.
//!
//! 1. [`listener`] binds the socket and makes a connection of each caller;
//! 2. [`server`] accepts up to a bound, and stops in order;
//! 3. [`connection`] is the seam: a stream with the facts about its peer, and the protocol that serves it;
//! 4. [`http1`] serves HTTP/1.1, with its timers and its close (`layers::route` judges `Host`);
//! 5. [`body`] passes a caller's body on, data only.
//!
//! HTTP/2 goes into `http2.rs`, beside `http1.rs`: a second implementation of `connection::Protocol`.

mod body;
mod connection;
mod http1;
mod listener;
mod server;

pub(crate) use listener::{Listener, Settings, can_bind};
pub(crate) use server::Server;

use std::convert::Infallible;

use http::{Request, Response};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::request::{Body, Peer};
use http1::Http1;

/// What a listener counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Heads that the parser refused, late ones included.
    pub(crate) parser_refusals: Counter,
}

/// Begins to accept; every request goes to `handler`. Must be called within a tokio runtime.
pub(crate) fn serve<H, F>(listener: Listener, counters: Counters, handler: H) -> Server
where
    H: Fn(Request<Body>, &Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + Unpin + 'static,
{
    let http1 = Http1 {
        head_timeout: listener.head_timeout(),
        parser_refusals: counters.parser_refusals,
    };
    Server::start(listener, counters.connections, http1, handler)
}
