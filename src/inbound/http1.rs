//! Serves HTTP/1.1 on one connection, with hyper.

mod body;
mod leaving;
mod lingering_close;
mod progress;
mod watched;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, join};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connection::{Connection, Drain, Handler, Protocol};
use crate::alarm::Alarm;
use crate::request::{BoxError, HeadFault, Peer};
use body::{Outward, inward};
use leaving::Leaving;
pub(crate) use leaving::Left;
use lingering_close::lingering_close;
use progress::{Caller, Progress, Wait, has_begun};
use watched::Watched;

/// hyper's own limit for one head. The gateway's limits for the target (at most 60 KiB) and the headers (at
/// most 64 KiB) are lower, so the layer `limits` refuses most longer heads and names their length. hyper
/// refuses a head beyond this limit or with more than 100 header lines.
const MAX_HEAD_BUFFER_BYTES: usize = 128 * 1024;
/// While the server is stopping, how long a connection may wait for a head since the drain began. A caller
/// whose request crosses the close of an idle connection cannot know if the gateway has read it.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Serves HTTP/1.1.
#[derive(Clone, Debug)]
pub(super) struct Http1 {
    /// The time limit for a head from its first byte.
    pub(super) head_timeout: Duration,
    /// The time limit for the wait for a head's first byte.
    pub(super) idle_timeout: Duration,
    /// How long a caller that has closed its sending half may wait for an answer.
    pub(super) half_close_grace: Duration,
    /// Counts the heads that are no request, including late heads.
    pub(super) parser_refusals: Counter,
    /// Counts the callers that left while they waited for an answer.
    pub(super) left: Left,
}

/// Why a connection ends.
enum Ended {
    /// hyper ended it.
    ByHyper(hyper::Result<()>),
    /// The time for a head is over.
    TimeOver,
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
        let progress = Progress::begun();
        let leaving = Leaving::new(self.half_close_grace, self.left.clone());
        let io = Watched::new(io, progress.clone(), leaving);
        let service = service_fn(|request: Request<Incoming>| {
            progress.request_begins();
            let request = request.map(|body| inward(body, &progress));
            Answer {
                answering: handler.answer(Ok(request), &peer),
                drain: &drain,
                progress: &progress,
            }
        });
        let mut connection = http1::Builder::new()
            // hyper's timer cannot tell the idle time from the time of a head, and costs a timer per request.
            .header_read_timeout(None::<Duration>)
            // Keeps hyper's default of 100 header lines, because an explicit value costs an allocation per
            // request.
            .max_buf_size(MAX_HEAD_BUFFER_BYTES)
            // Writes from one buffer: copying a small body costs less than a vectored write.
            .writev(false)
            .serve_connection(TokioIo::new(io), service);
        let ended = self.drive(&mut connection, &progress, &drain).await;
        // The end of a request is no fault of a head.
        let is_idle = progress.caller() == Caller::IsIdle;
        let parts = connection.into_parts();
        let (mut io, kept_back) = parts.io.into_inner().into_parts();
        let fault = head_fault(&ended, &kept_back, &parts.read_buf).filter(|_| is_idle);
        let is_refused = fault.is_some();
        if let Some(fault) = fault {
            self.parser_refusals.inc();
            // Boxed, so that the connection of a refusal takes no place in every other connection's task.
            Box::pin(refuse(&mut io, fault, &handler, &peer)).await;
        }
        if is_refused || progress.is_unread() {
            Box::pin(lingering_close(io)).await;
        }
    }
}

impl Http1 {
    /// Waits for the first byte. Returns false if none comes in time.
    async fn has_begun<Io>(&self, io: &mut BufReader<Io>, drain: &Drain) -> bool
    where
        Io: AsyncRead + Unpin,
    {
        let since = Instant::now();
        let time_is_over = async {
            let limit = self.until(Wait::FirstByte, since, None);
            if timeout_at(limit, drain.stopping()).await.is_ok() {
                sleep_until(self.until(Wait::FirstByte, since, drain.begun())).await;
            }
        };
        tokio::select! {
            biased;
            begun = io.fill_buf() => begun.is_ok_and(|bytes| !bytes.is_empty()),
            () = time_is_over => false,
        }
    }

    /// Drives the connection to its end, with the time limits of a head.
    async fn drive<Io, S>(
        &self,
        connection: &mut http1::Connection<Io, S>,
        progress: &Progress,
        drain: &Drain,
    ) -> Ended
    where
        Io: hyper::rt::Read + hyper::rt::Write + Unpin,
        S: HttpService<Incoming, Error = Infallible, Future: Unpin> + Unpin,
        S::ResBody: http_body::Body<Error = BoxError> + 'static,
    {
        let mut alarm = Alarm::default();
        let mut since = Instant::now();
        let mut stopping = pin!(drain.stopping());
        let mut stops = None;
        poll_fn(|cx| {
            // Polls hyper before all else, so that a request that has arrived still gets its answer.
            if let Poll::Ready(ended) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(Ended::ByHyper(ended));
            }
            // The stop wakes this task, so that the wait below becomes shorter.
            if stops.is_none() && stopping.as_mut().poll(cx).is_ready() {
                stops = drain.begun();
            }
            let Some(wait) = progress.waits_for() else {
                return Poll::Pending;
            };
            if progress.starts_clock() {
                since = Instant::now();
            }
            let until = self.until(wait, since, stops);
            alarm.poll_at(until, cx).map(|()| Ended::TimeOver)
        })
        .await
    }

    /// When this wait is over. `stops` is the begin of the drain if the server is stopping.
    fn until(&self, wait: Wait, since: Instant, stops: Option<Instant>) -> Instant {
        let until = since
            + match wait {
                Wait::FirstByte => self.idle_timeout,
                Wait::Head => self.head_timeout,
            };
        stops.map_or(until, |begun| until.min(begun.max(since) + LAST_WAIT))
    }
}

/// The fault of a head, if one ended the connection. `own` is hyper's own answer; `unparsed` is what hyper has
/// read and not parsed.
fn head_fault(ended: &Ended, own: &[u8], unparsed: &[u8]) -> Option<HeadFault> {
    match ended {
        Ended::TimeOver => has_begun(unparsed).then_some(HeadFault::Late),
        Ended::ByHyper(Err(error)) if error.is_parse_too_large() => {
            let is_target = own.get(8..13) == Some(b" 414 ");
            Some(match is_target {
                true => HeadFault::TargetTooLong,
                false => HeadFault::TooLarge,
            })
        }
        Ended::ByHyper(Err(error)) if error.is_parse() || error.is_incomplete_message() => {
            Some(HeadFault::Malformed(error.to_string()))
        }
        Ended::ByHyper(_) => None,
    }
}

/// Lets the handler refuse a head that is no request. hyper only answers requests, so a second connection reads
/// a fixed request in place of the head and writes the answer.
async fn refuse<Io, H>(io: &mut Io, fault: HeadFault, handler: &H, peer: &Peer)
where
    Io: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
    let service = service_fn(|_: Request<Incoming>| handler.answer(Err(fault.clone()), peer));
    let connection = http1::Builder::new()
        .header_read_timeout(None::<Duration>)
        .half_close(true)
        .serve_connection(TokioIo::new(join(STAND_IN, io)), service);
    // An error means that the caller is gone. The handler has noted the refusal all the same.
    let _ = connection.without_shutdown().await;
}

/// The future of an answer. Sets the headers of the answer that concern the connection.
struct Answer<'a, F> {
    answering: F,
    drain: &'a Drain,
    progress: &'a Progress,
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
        if self.drain.begun().is_some() || self.progress.is_unread() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let progress = self.progress.clone();
        Poll::Ready(Ok(response.map(|body| Outward::new(body, progress))))
    }
}

#[cfg(test)]
mod tests {
    use http::uri::Scheme;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::request::{Body, Received};

    #[tokio::test]
    async fn a_connection_needs_no_socket() {
        let (mut caller, io) = duplex(4096);
        let address = "192.0.2.60:4711".parse().unwrap();
        let peer = Peer::over(&Scheme::HTTPS, address);
        let http1 = Http1 {
            head_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(120),
            half_close_grace: Duration::from_secs(120),
            parser_refusals: Counter::default(),
            left: Left::default(),
        };
        let echo = |received: Received, peer: &Peer| {
            let seen = format!("{} {}", received.unwrap().uri(), peer.forwarded());
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
