//! HTTP/1.1 on one connection, by hyper.

mod lingering_close;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};

use super::body::{Unread, inward};
use super::connection::{Connection, Drain, Handler, Protocol};
use crate::request::{Body, Peer};
use lingering_close::lingering_close;

/// hyper's own bound on one head. The gateway's limits (60 and 64 KiB at most) are lower, so a longer head gets a
/// refusal code, unless hyper refuses it first: past this bound, or past 100 header lines.
const MAX_HEAD_BUFFER_BYTES: usize = 128 * 1024;
/// How long a connection may take to send its first byte after the stop.
const LAST_CHANCE: Duration = Duration::from_millis(50);
/// How long an incomplete first head may take after the stop, whatever the head timeout is.
const LAST_HEAD: Duration = Duration::from_secs(1);

/// Serves HTTP/1.1.
#[derive(Clone, Debug)]
pub(super) struct Http1 {
    /// From a head's first byte to its end, and how long a connection may idle.
    pub(super) head_timeout: Duration,
    /// Counts heads that the parser refused, late ones included.
    pub(super) parser_refusals: Counter,
}

impl Protocol for Http1 {
    async fn serve<Io, H>(self, connection: Connection<Io>, handler: H, drain: Drain)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handler,
    {
        let Connection { io, peer } = connection;
        // hyper's buffers take 16 KiB, so they wait for the first byte.
        let mut io = BufReader::with_capacity(1, io);
        if !self.has_begun(&mut io, &drain).await {
            return;
        }
        let unread = Unread::default();
        let heard = AtomicBool::new(false);
        let service = service_fn(|request: Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            unread.clear();
            Answer {
                answering: handler.answer(request.map(|body| inward(body, &unread)), &peer),
                drain: &drain,
                unread: &unread,
            }
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            // hyper's default of 100 header lines stays: a set value costs a heap table per request.
            .max_buf_size(MAX_HEAD_BUFFER_BYTES)
            // A FIN is not a hang-up: a caller that only shut its sending half gets its answer.
            .half_close(true)
            // One buffer: to copy a small body costs less than to hand the kernel a list.
            .writev(false)
            .serve_connection(TokioIo::new(io), service);
        let ended = drive(&mut connection, &drain, &heard).await;
        let parts = connection.into_parts();
        let refused = ended.is_err_and(|error| {
            // The head timer is the idle timer too: only a head that has begun is late.
            let late = error.is_timeout() && !parts.read_buf.is_empty();
            self.is_refusal(&error, late, &peer)
        });
        if refused || unread.is_set() {
            lingering_close(parts.io.into_inner()).await;
        }
    }
}

impl Http1 {
    /// Waits for the first byte; false if none comes in time.
    async fn has_begun<Io>(&self, io: &mut BufReader<Io>, drain: &Drain) -> bool
    where
        Io: AsyncRead + Unpin,
    {
        let mut begins = async || io.fill_buf().await.is_ok_and(|bytes| !bytes.is_empty());
        let begun = tokio::select! {
            biased;
            begun = tokio::time::timeout(self.head_timeout, begins()) => begun,
            () = drain.stopping() => tokio::time::timeout(LAST_CHANCE, begins()).await,
        };
        begun.unwrap_or(false)
    }

    /// Counts and logs a head that hyper refused before any layer saw it. True if hyper has answered it.
    fn is_refusal(&self, error: &hyper::Error, late: bool, peer: &Peer) -> bool {
        let peer = peer.address();
        if late {
            self.parser_refusals.inc();
            tracing::debug!(%peer, "closed a connection: the request's head was late");
        } else if error.is_parse() {
            self.parser_refusals.inc();
            tracing::debug!(%peer, %error, "closed a connection: the request's head is not HTTP/1.1");
        }
        error.is_parse()
    }
}

/// Drives the connection to its end. After the stop, it ends with the request in flight, or if none begins in time.
async fn drive<Io, S>(
    connection: &mut http1::Connection<Io, S>,
    drain: &Drain,
    heard: &AtomicBool,
) -> hyper::Result<()>
where
    Io: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Unpin> + Unpin,
{
    // hyper is polled before it is asked to stop, so a request that has arrived still gets its answer.
    tokio::select! {
        biased;
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => return ended,
        () = drain.stopping() => {}
    }
    Pin::new(&mut *connection).graceful_shutdown();
    let silence = async {
        tokio::time::sleep(LAST_HEAD).await;
        if heard.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = silence => Ok(()),
    }
}

/// A future answer; it sets the headers that concern the connection.
struct Answer<'a, F> {
    answering: F,
    drain: &'a Drain,
    unread: &'a Unread,
}

impl<F> Future for Answer<'_, F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready!(Pin::new(&mut self.answering).poll(cx));
        let headers = response.headers_mut();
        // hyper drops the connection, answer and all, if both framings are set.
        headers.remove(TRANSFER_ENCODING);
        // No request can follow a body that nobody reads.
        if self.drain.is_winding_down() || self.unread.is_set() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use http::uri::Scheme;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_connection_needs_no_socket() {
        let (mut caller, io) = duplex(4096);
        let address = "192.0.2.60:4711".parse().unwrap();
        let peer = Peer::over(&Scheme::HTTPS, address);
        let http1 = Http1 {
            head_timeout: Duration::from_secs(120),
            parser_refusals: Counter::default(),
        };
        let echo = |request: Request<Body>, peer: &Peer| {
            let seen = format!("{} {}", request.uri(), peer.forwarded());
            Box::pin(async { Ok(Response::new(Body::whole(seen))) })
        };
        let drain = Drain::default();
        let serving = http1.serve(Connection { io, peer }, echo, drain.clone());
        let calling = async {
            let mut answer = Vec::new();
            caller
                .write_all(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
                .await?;
            while !answer.ends_with(b"/a for=192.0.2.60;proto=https") {
                caller.read_buf(&mut answer).await?;
            }
            drain.stop();
            // Reads to the end: the idle connection closes when the server drains.
            caller.read_to_end(&mut answer).await
        };
        let both = async { tokio::join!(serving, calling) };
        let ended = tokio::time::timeout(Duration::from_secs(120), both).await;
        assert_eq!(ended.unwrap().1.unwrap(), 0);
    }
}
