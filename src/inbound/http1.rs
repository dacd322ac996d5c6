//! One connection: HTTP/1.1 by hyper, its bounds, and its end when the gateway stops.

mod coalesced_writes;
mod head_timer;
mod lingering_close;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::counter::Counter;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::body::{Unread, inward};
use crate::alarm::Alarm;
use crate::request::{Body, Peer};
use coalesced_writes::Gather;
use head_timer::HeadTimer;
use lingering_close::linger;

/// hyper's own bound on one head, held before the caller is known; the gateway's limits (60 and 64 KiB
/// at most) lie below, so that a head too long is refused by code.
const MAX_HEAD_BUFFER_BYTES: usize = 128 * 1024;
/// A connection taken from the backlog while stopping may show within this that it has a request.
const LAST_CHANCE: Duration = Duration::from_millis(50);
/// A first head that is still incomplete when stopping has so long, whatever the head timeout is.
const LAST_HEAD: Duration = Duration::from_secs(1);

/// What every connection of a listener shares.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// From a head's first byte to its end, and how long a connection may idle.
    pub(super) head_timeout: Duration,
    /// Set: answers ask the caller to go elsewhere.
    pub(super) winding_down: Arc<AtomicBool>,
    /// Set: idle connections close, busy ones after their answer.
    pub(super) stopping: CancellationToken,
    /// Heads that the parser refused, late ones included.
    pub(super) parser_refusals: Counter,
}

/// Serves it to its end.
pub(super) async fn serve<H, F>(stream: TcpStream, peer: SocketAddr, rules: Rules, handler: H)
where
    H: Fn(Request<Body>, &Peer) -> F,
    F: Future<Output = Response<Body>> + Send + Unpin + 'static,
{
    // hyper's buffers cost 16 KiB: a connection that has sent nothing does without them.
    if !has_bytes(&stream, &rules).await {
        return;
    }
    let caller = Peer::new(peer);
    let unread = Unread::default();
    let heard = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        heard.store(true, Ordering::Relaxed);
        unread.clear();
        let answer = handler(request.map(|body| inward(body, &unread)), &caller);
        Leaving {
            answer,
            winding_down: &rules.winding_down,
            unread: &unread,
        }
    });
    let (timer, mut alarm) = (HeadTimer::new(), Alarm::default());
    let mut connection = http1::Builder::new()
        .timer(timer.clone())
        .header_read_timeout(rules.head_timeout)
        // At most 100 header lines, hyper's own bound: told anew, it costs a heap table a request.
        .max_buf_size(MAX_HEAD_BUFFER_BYTES)
        // A FIN is not a hang-up: a caller who only shut its sending half gets its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(Gather(stream)), service);

    let mut stopping = pin!(rules.stopping.cancelled());
    let mut last_head = pin!(async { tokio::time::sleep(LAST_HEAD).await });
    let (mut asked, mut registered) = (false, false);
    // Polled before it is asked to stop: a request that has already arrived is still answered.
    let ended = poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(ended);
            }
            if !timer.has_come(&mut alarm, cx) {
                break;
            }
        }
        // Once it has this task's waker, there is nothing to ask until winding down, which comes first.
        let may_stop = !asked && (!registered || rules.winding_down.load(Ordering::Relaxed));
        registered = true;
        if may_stop && stopping.as_mut().poll(cx).is_ready() {
            asked = true;
            Pin::new(&mut connection).graceful_shutdown();
            if let Poll::Ready(ended) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(ended);
            }
        }
        let waits_for_head = asked && !heard.load(Ordering::Relaxed);
        if waits_for_head && last_head.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    })
    .await;

    let parts = connection.into_parts();
    let refused = ended.is_err_and(|error| {
        // The head timer is the idle timer too: only begun heads are late.
        let late = error.is_timeout() && !parts.read_buf.is_empty();
        refused_by_parser(&error, late, peer, &rules)
    });
    if refused || unread.is_set() {
        linger(parts.io.into_inner().0).await;
    }
}

/// Waits for the first byte; false where the connection is to be closed unheard.
async fn has_bytes(stream: &TcpStream, rules: &Rules) -> bool {
    // Not `readable`, which says yes at first whatever has come.
    let peek = async || stream.peek(&mut [0]).await.is_ok_and(|bytes| bytes > 0);
    let came = tokio::select! {
        biased;
        came = tokio::time::timeout(rules.head_timeout, peek()) => came,
        () = rules.stopping.cancelled() => tokio::time::timeout(LAST_CHANCE, peek()).await,
    };
    came.unwrap_or(false)
}

/// An answer to come, and what its head says of the connection.
struct Leaving<'a, F> {
    answer: F,
    winding_down: &'a AtomicBool,
    unread: &'a Unread,
}

impl<F> Future for Leaving<'_, F>
where
    F: Future<Output = Response<Body>> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(Pin::new(&mut self.answer).poll(cx));
        let headers = response.headers_mut();
        // hyper drops the whole connection, answer and all, where both framings are set.
        headers.remove(TRANSFER_ENCODING);
        // Behind a body that nobody reads no other request can come: the caller is told so.
        if self.winding_down.load(Ordering::Relaxed) || self.unread.is_set() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}

/// Counts and tells of what hyper turned away itself; no layer has seen it. True where hyper has answered.
fn refused_by_parser(error: &hyper::Error, late: bool, peer: SocketAddr, rules: &Rules) -> bool {
    if late {
        rules.parser_refusals.inc();
        tracing::debug!(%peer, "closed a connection: the request's head was late");
    } else if error.is_parse() {
        rules.parser_refusals.inc();
        tracing::debug!(%peer, %error, "closed a connection: the request's head is not HTTP/1.1");
    }
    error.is_parse()
}
