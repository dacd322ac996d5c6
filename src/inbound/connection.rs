//! The interface between the transport of a connection and the protocol on it.
//!
//! Only TCP makes a [`Connection`] today; TLS and the PROXY protocol can make one too. A [`Protocol`] serves
//! a connection, and knows neither its transport nor the listener.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use bytes::Bytes;
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::request::{BoxError, Peer, Received};

/// A bidirectional stream of bytes, and the facts about its peer.
#[derive(Debug)]
pub(super) struct Connection<Io> {
    pub(super) io: Io,
    pub(super) peer: Peer,
}

/// A protocol that callers speak.
pub(super) trait Protocol: Clone + Send + Sync + 'static {
    /// Calls `handler` once per request until the connection ends. `drain` can end the connection earlier.
    fn serve<Io, H>(
        self,
        connection: Connection<Io>,
        handler: H,
        drain: Drain,
    ) -> impl Future<Output = ()> + Send
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handler;
}

/// The request stack as a protocol sees it. Every function with the signature of `answer` is a handler.
pub(super) trait Handler: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: http_body::Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static;
    /// The type of the future that resolves to the answer.
    type Answering: Future<Output = Result<Response<Self::Body>, Infallible>>
        + Send
        + Unpin
        + 'static;

    /// Answers one request of this peer, or one head that is no request. Requests of one connection may overlap.
    fn answer(&self, received: Received, peer: &Peer) -> Self::Answering;
}

impl<H, F, B> Handler for H
where
    H: Fn(Received, &Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + Unpin + 'static,
    B: http_body::Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    type Body = B;
    type Answering = F;

    fn answer(&self, received: Received, peer: &Peer) -> F {
        self(received, peer)
    }
}

/// The two signals with which a server ends its connections: wind down, then stop. Clones share the signals.
#[derive(Clone, Debug, Default)]
pub(super) struct Drain {
    begun: Arc<OnceLock<Instant>>,
    stopping: CancellationToken,
}

impl Drain {
    /// From now on, answers ask the caller to close the connection. The server still serves every request.
    pub(super) fn wind_down(&self) {
        self.begun.get_or_init(Instant::now);
    }

    /// From now on, idle connections close soon, and busy connections after their answers.
    pub(super) fn stop(&self) {
        self.wind_down();
        self.stopping.cancel();
    }

    /// When the server began to wind down, if it has.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.begun.get().copied()
    }

    /// Waits for [`Self::stop`].
    pub(super) async fn stopping(&self) {
        let mut stopping = pin!(self.stopping.cancelled());
        let mut registered = false;
        poll_fn(|cx| {
            // A poll of `stopping` takes a lock that all connections share. The first poll registers the
            // waker of the task. Further polls can skip the lock until the server winds down, which always
            // precedes the stop.
            if registered && self.begun().is_none() {
                return Poll::Pending;
            }
            registered = true;
            stopping.as_mut().poll(cx)
        })
        .await;
    }
}
