//! A small HTTP/1.1 server on a loopback port that keeps the requests it gets.
//!
//! Limits: [`MAX_CONNECTIONS`] at once, [`MAX_BODY_BYTES`] per body, [`IDLE`] for a head or an idle
//! connection. It keeps the newest [`MAX_SEEN`] requests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// Connections at once; more wait in the kernel's backlog.
pub const MAX_CONNECTIONS: usize = 256;
/// A longer body gets 413.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How many of the newest requests the server keeps.
pub const MAX_SEEN: usize = 4_096;
/// How long a head may take to arrive, and how long a connection may be idle.
pub const IDLE: Duration = Duration::from_secs(30);

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The request target, byte for byte.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Seen {
    /// The target up to its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// A header's first value, if it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Answers a complete request.
type Answer = dyn Fn(&Seen) -> Response<Bytes> + Send + Sync;

/// A running server; dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Log {
    newest: VecDeque<Seen>,
    count: u64,
}

impl Server {
    /// Binds a free port on 127.0.0.1 and answers requests with `answer`.
    ///
    /// # Errors
    /// If no port is available.
    pub async fn start<F>(answer: F) -> std::io::Result<Self>
    where
        F: Fn(&Seen) -> Response<Bytes> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let log = Arc::new(Mutex::new(Log::default()));
        let accepting = tokio::spawn(accept(listener, Arc::new(answer), Arc::clone(&log)));
        Ok(Self {
            address,
            log,
            accepting,
        })
    }

    /// The address of the listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The kept requests, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.log).newest.iter().cloned().collect()
    }

    /// How many complete requests arrived in total.
    #[must_use]
    pub fn seen_count(&self) -> u64 {
        lock(&self.log).count
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, answer: Arc<Answer>, log: Arc<Mutex<Log>>) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropping the set ends all connections.
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                connections.spawn(async move {
                    serve(stream, answer, log).await;
                    drop(permit);
                });
            }
            // Too many open files, or the caller left before it was accepted: retry.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>, log: Arc<Mutex<Log>>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
        async move { Ok::<_, Infallible>(respond(request, &*answer, &log).await) }
    });
    // The caller is gone, so the error has no use.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    answer: &Answer,
    log: &Mutex<Log>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return error(StatusCode::PAYLOAD_TOO_LARGE, 3, "Body too large").map(Full::new),
    };
    let seen = Seen {
        method: head.method.as_str().to_owned(),
        target: head.uri.to_string(),
        headers: head.headers,
        body,
    };
    let response = answer(&seen);
    let mut log = lock(log);
    log.count += 1;
    if log.newest.len() == MAX_SEEN {
        log.newest.pop_front();
    }
    log.newest.push_back(seen);
    response.map(Full::new)
}

/// A response with a JSON body.
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

/// A response with the error body of the Account Config platform.
pub(super) fn error(status: StatusCode, internal_code: u32, message: &str) -> Response<Bytes> {
    json(
        status,
        &serde_json::json!({"type": "users", "internalCode": internal_code, "message": message}),
    )
}

/// Ignores poisoning: a panic cannot leave the counters and lists half-changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn exchange(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_kept_byte_for_byte() {
        let server = Server::start(|_| error(StatusCode::NOT_FOUND, 12, "No data found"))
            .await
            .unwrap();
        let request = b"DELETE /a%20b?x=%2f&&y HTTP/1.1\r\nhost: h\r\nif-match: \"7\"\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
        let answer = exchange(server.address(), request).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(
            answer.contains(r#""internalCode":12,"message":"No data found","type":"users""#),
            "{answer}"
        );
        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(
            (seen[0].method.as_str(), seen[0].target.as_str()),
            ("DELETE", "/a%20b?x=%2f&&y")
        );
        assert_eq!((seen[0].path(), &seen[0].body[..]), ("/a%20b", &b"[]"[..]));
        assert_eq!(seen[0].header("if-match"), Some("\"7\""));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_and_not_kept() {
        let server = Server::start(|_| json(StatusCode::OK, &serde_json::json!({})))
            .await
            .unwrap();
        let mut request = format!(
            "POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            MAX_BODY_BYTES + 1
        )
        .into_bytes();
        request.resize(request.len() + MAX_BODY_BYTES + 1, b'a');
        let answer = exchange(server.address(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert_eq!(server.seen_count(), 0);
    }

    #[tokio::test]
    async fn a_dropped_server_closes_its_port() {
        let server = Server::start(|_| json(StatusCode::OK, &serde_json::json!({})))
            .await
            .unwrap();
        let address = server.address();
        let mut open = TcpStream::connect(address).await.unwrap();
        drop(server);
        let mut rest = Vec::new();
        let _ = open.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        assert!(TcpStream::connect(address).await.is_err());
    }
}
