//! The seam between the carrier of a connection and the protocol on it.
//!
//! TCP carries connections today; TLS and the PROXY protocol can yield a [`Connection`] too. A [`Protocol`] serves
//! one, and knows neither the carrier nor the listener.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::request::{Body, Peer};

/// A stream of bytes both ways, and the facts about its peer.
#[derive(Debug)]
pub(super) struct Connection<Io> {
    pub(super) io: Io,
    pub(super) peer: Peer,
}

/// A protocol that callers speak.
pub(super) trait Protocol: Clone + Send + Sync + 'static {
    /// Serves the connection until it ends, or until `drain` ends it: calls `handler` once per request.
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

/// The request stack as a protocol sees it; any function of this form is one.
pub(super) trait Handler: Clone + Send + Sync + 'static {
    /// The future answer.
    type Answering: Future<Output = Result<Response<Body>, Infallible>> + Send + Unpin + 'static;

    /// Answers one request of this peer. Requests of one connection may overlap.
    fn answer(&self, request: Request<Body>, peer: &Peer) -> Self::Answering;
}

impl<H, F> Handler for H
where
    H: Fn(Request<Body>, &Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + Unpin + 'static,
{
    type Answering = F;

    fn answer(&self, request: Request<Body>, peer: &Peer) -> F {
        self(request, peer)
    }
}

/// The two signals by which a server ends its connections; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Drain {
    winding_down: Arc<AtomicBool>,
    stopping: CancellationToken,
}

impl Drain {
    /// From now on answers ask the caller to go elsewhere; the server still serves every request.
    pub(super) fn wind_down(&self) {
        self.winding_down.store(true, Ordering::Relaxed);
    }

    /// Idle connections close now, busy ones after their answers.
    pub(super) fn stop(&self) {
        self.wind_down();
        self.stopping.cancel();
    }

    pub(super) fn is_winding_down(&self) -> bool {
        self.winding_down.load(Ordering::Relaxed)
    }

    /// Waits for [`Self::stop`].
    pub(super) async fn stopping(&self) {
        let mut stopping = pin!(self.stopping.cancelled());
        let mut registered = false;
        poll_fn(|cx| {
            // All connections share the signal's lock. After its first poll it has the task's waker, and winding
            // down always comes before it.
            if registered && !self.is_winding_down() {
                return Poll::Pending;
            }
            registered = true;
            stopping.as_mut().poll(cx)
        })
        .await;
    }
}
