//! What hyper's server does before any gateway code sees a request, on a bare connection with the
//! gateway's settings. These tests show when a new version of hyper behaves differently.

mod answers;
mod bodies;
mod framing;
mod hang_ups;
mod heads;
mod targets;

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far longer than any exchange on loopback takes.
const BOUND: Duration = Duration::from_secs(120);
/// The gateway's `MAX_HEAD_BUFFER_BYTES`.
const HEAD_BUFFER: usize = 128 * 1024;

/// A request as the service received it.
#[derive(Debug)]
struct Seen {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    /// Whether the body reported its end before the first poll.
    ended_at_once: bool,
    /// `None` if the stream ended in an error.
    body: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Seen {
    /// All values of a name, in order.
    fn all(&self, name: &str) -> Vec<&[u8]> {
        let values = self.headers.get_all(name);
        values.iter().map(http::HeaderValue::as_bytes).collect()
    }
}

type Record = Arc<Mutex<Vec<Seen>>>;

/// The result of one connection.
struct Outcome {
    seen: Vec<Seen>,
    answer: String,
    ended: hyper::Result<()>,
}

impl Outcome {
    /// The only request, which arrived and was answered.
    fn one(mut self) -> Seen {
        assert!(self.answer.contains(" 200 OK\r\n"), "{}", self.answer);
        assert_eq!(self.seen.len(), 1);
        self.seen.remove(0)
    }

    /// Asserts that hyper itself answered with this status and an empty body and called no service.
    fn refused(&self, status: &str) {
        let start = format!("HTTP/1.1 {status} ");
        assert!(self.answer.starts_with(&start), "{:?}", self.answer);
        assert!(self.answer.ends_with("\r\n\r\n"), "{:?}", self.answer);
        assert!(self.seen.is_empty());
        assert!(self.ended.as_ref().is_err_and(hyper::Error::is_parse));
    }
}

/// The gateway's settings. The gateway itself hides from hyper that a caller has closed its sending half; here
/// `half_close` does.
fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None::<Duration>)
        .max_buf_size(HEAD_BUFFER)
        .half_close(true);
    builder
}

/// Runs the work on a new runtime, with a time limit.
fn bounded<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(BOUND, work).await.unwrap() })
}

/// Both ends of a connection: the caller's and the server's.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (caller, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (caller.unwrap(), server.unwrap().0)
}

/// Reads a request to its end and adds it to the record.
async fn note(request: Request<Incoming>, record: Record) {
    let (parts, body) = request.into_parts();
    let ended_at_once = body.is_end_stream();
    let whole = body.collect().await.ok();
    let trailers = whole.as_ref().and_then(|whole| whole.trailers().cloned());
    record.lock().unwrap().push(Seen {
        method: parts.method,
        uri: parts.uri,
        version: parts.version,
        headers: parts.headers,
        ended_at_once,
        body: whole.map(http_body_util::Collected::to_bytes),
        trailers,
    });
}

/// Sends the bytes, shuts down the sending half and reads to the end; `answer` answers every
/// request.
fn exchange_with(raw: &[u8], answer: fn() -> Response<Full<Bytes>>) -> Outcome {
    let record = Record::default();
    let service = service_fn(|request| {
        let record = Arc::clone(&record);
        async move {
            note(request, record).await;
            Ok::<_, Infallible>(answer())
        }
    });
    let (ended, answer) = bounded(async {
        let (caller, server) = pair().await;
        let connection = builder().serve_connection(TokioIo::new(server), service);
        tokio::join!(connection, converse(caller, raw))
    });
    let seen = std::mem::take(&mut *record.lock().unwrap());
    Outcome {
        seen,
        answer,
        ended,
    }
}

fn exchange(raw: impl AsRef<[u8]>) -> Outcome {
    exchange_with(raw.as_ref(), || Response::new(Full::from("ok")))
}

/// Sends the request line, one Host, these header lines, and the bytes after the head.
fn request(lines: &str, body: &str) -> Outcome {
    exchange(format!(
        "POST /users HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}"
    ))
}

/// A GET of this target.
fn target(target: &str) -> Outcome {
    exchange(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

/// Exchanges the bytes with a service that never reads a body. The caller keeps its sending half
/// open until the end.
fn unread(raw: &str) -> String {
    bounded(async {
        let (mut caller, server) = pair().await;
        let service = service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
        });
        // hyper's own timer ends a connection that stays open for another request.
        let mut builder = builder();
        builder.timer(TokioTimer::new());
        builder.header_read_timeout(Duration::from_secs(1));
        let connection = builder.serve_connection(TokioIo::new(server), service);
        let calling = async {
            caller.write_all(raw.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = caller.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        tokio::join!(connection, calling).1
    })
}

/// A server that closes early may reset bytes in transit; bytes received before that count.
async fn converse(caller: TcpStream, raw: &[u8]) -> String {
    let (mut read, mut write) = caller.into_split();
    let sending = async {
        let _ = write.write_all(raw).await;
        let _ = write.shutdown().await;
    };
    let mut answer = Vec::new();
    let reading = async { read.read_to_end(&mut answer).await };
    let _ = tokio::join!(sending, reading);
    String::from_utf8_lossy(&answer).into_owned()
}
