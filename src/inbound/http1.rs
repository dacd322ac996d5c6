//! Serves HTTP/1.1 on one connection, with hyper.

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

use super::body::{Outward, Unread, inward};
use super::connection::{Connection, Drain, Handler, Protocol};
use crate::request::{BoxError, Peer};
use lingering_close::lingering_close;

/// hyper's own limit for one head. The gateway's limits for the target (at most 60 KiB) and the headers (at
/// most 64 KiB) are lower, so the layer `limits` can refuse a longer head with a refusal code. hyper itself
/// refuses a head beyond this limit or with more than 100 header lines.
const MAX_HEAD_BUFFER_BYTES: usize = 128 * 1024;
/// While the server is stopping, how long a new connection may take to send its first byte.
const LAST_CHANCE: Duration = Duration::from_millis(50);
/// While the server is stopping, how long a connection may take to send its whole first head, even if the
/// head timeout is longer.
const LAST_HEAD: Duration = Duration::from_secs(1);

/// Serves HTTP/1.1.
#[derive(Clone, Debug)]
pub(super) struct Http1 {
    /// The time limit for a head from its first byte, and for the idle time of a connection.
    pub(super) head_timeout: Duration,
    /// Counts the heads that hyper refused, including late heads.
    pub(super) parser_refusals: Counter,
}

impl Protocol for Http1 {
    async fn serve<Io, H>(self, connection: Connection<Io>, handler: H, drain: Drain)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handler,
    {
        let Connection { io, peer } = connection;
        // hyper allocates buffers of 16 KiB, so the gateway starts hyper only after the first byte.
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
            // Keeps hyper's default of 100 header lines, because an explicit value costs an allocation per
            // request.
            .max_buf_size(MAX_HEAD_BUFFER_BYTES)
            // A caller that has closed only its sending half still gets its answer.
            .half_close(true)
            // Writes from one buffer: copying a small body costs less than a vectored write.
            .writev(false)
            .serve_connection(TokioIo::new(io), service);
        let ended = drive(&mut connection, &drain, &heard).await;
        let parts = connection.into_parts();
        let refused = ended.is_err_and(|error| {
            // The timer of the head also limits the idle time. So a timeout means a late head only if bytes
            // have arrived.
            let late = error.is_timeout() && !parts.read_buf.is_empty();
            self.is_refusal(&error, late, &peer)
        });
        if refused || unread.is_set() {
            lingering_close(parts.io.into_inner()).await;
        }
    }
}

impl Http1 {
    /// Waits for the first byte. Returns false if none comes in time.
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

    /// Counts and logs a head that hyper refused before any layer saw it. Returns true if hyper has answered
    /// the head.
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

/// Drives the connection to its end. While the server is stopping, the connection ends after the request in
/// flight, or soon if no request is in flight.
async fn drive<Io, S>(
    connection: &mut http1::Connection<Io, S>,
    drain: &Drain,
    heard: &AtomicBool,
) -> hyper::Result<()>
where
    Io: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: HttpService<Incoming, Error = Infallible, Future: Unpin> + Unpin,
    S::ResBody: http_body::Body<Error = BoxError> + 'static,
{
    // Polls hyper before asking it to stop, so that a request that has arrived still gets its answer.
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

/// The future of an answer. Sets the headers of the answer that concern the connection.
struct Answer<'a, F> {
    answering: F,
    drain: &'a Drain,
    unread: &'a Unread,
}

impl<F, B> Future for Answer<'_, F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Outward<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready!(Pin::new(&mut self.answering).poll(cx));
        let headers = response.headers_mut();
        // hyper drops the connection without an answer if both `Content-Length` and `Transfer-Encoding` are
        // set.
        headers.remove(TRANSFER_ENCODING);
        // After an unread body, no further request can follow on the connection.
        if self.drain.is_winding_down() || self.unread.is_set() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(Outward::new)))
    }
}

#[cfg(test)]
mod tests {
    use http::uri::Scheme;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::request::Body;

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
