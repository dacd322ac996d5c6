//! A small HTTP/1.1 server on a loopback port.
//!
//! Limits: [`MAX_CONNECTIONS`] at once, [`MAX_BODY_BYTES`] per body, [`IDLE`] for a head or an idle
//! connection.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// The maximum number of connections at once. Further connections wait in the kernel's backlog.
pub const MAX_CONNECTIONS: usize = 256;
/// The maximum size of a request body in bytes. A longer body gets 413.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The maximum time for a head to arrive, and the maximum time for a connection to be idle.
pub const IDLE: Duration = Duration::from_secs(30);

type Answer = dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync;

/// A running server. Dropping the value closes the port and all connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    count: Arc<AtomicU64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Server {
    /// Binds a free port on 127.0.0.1 and answers requests with `answer`.
    ///
    /// # Errors
    /// Returns an error if no port is available.
    pub async fn start<F>(answer: F) -> std::io::Result<Self>
    where
        F: Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let answer = Arc::new(move |request: &Request<Bytes>| {
            counted.fetch_add(1, Ordering::Relaxed);
            answer(request)
        });
        Ok(Self {
            address,
            count,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accept(listener, answer))),
        })
    }

    /// The address of the listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The total number of complete requests so far.
    pub(crate) fn seen_count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, answer: Arc<Answer>) {
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
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    serve(stream, &*answer).await;
                    drop(permit);
                });
            }
            // Too many files are open, or the caller closed the connection before the server
            // accepted it. Retry.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(stream: TcpStream, answer: &Answer) {
    let _ = stream.set_nodelay(true);
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(respond(request, answer).await) });
    // If there is an error, the caller is gone, so there is nobody to report the error to.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(request: Request<Incoming>, answer: &Answer) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let response = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => answer(&Request::from_parts(head, body.to_bytes())),
        Err(_) => error((StatusCode::PAYLOAD_TOO_LARGE, 3, "Body too large")),
    };
    response.map(Full::new)
}

/// A response with a JSON body.
pub(super) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// An error of the Account Config platform: status, internal code, message.
pub(super) type Fault = (StatusCode, u32, &'static str);

pub(super) const NO_RESOURCE: Fault = (StatusCode::NOT_FOUND, 10, "No such resource");
pub(super) const NO_METHOD: Fault = (
    StatusCode::METHOD_NOT_ALLOWED,
    14,
    "This method is not allowed",
);

/// A response with the platform's error body.
pub(super) fn error((status, internal_code, message): Fault) -> Response<Bytes> {
    let body =
        serde_json::json!({"type": "users", "internalCode": internal_code, "message": message});
    json(status, &body)
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
    async fn a_request_arrives_byte_for_byte() {
        let (sender, seen) = std::sync::mpsc::channel();
        let answer = move |request: &Request<Bytes>| {
            sender.send(request.clone()).unwrap();
            error((StatusCode::NOT_FOUND, 12, "No data found"))
        };
        let server = Server::start(answer).await.unwrap();
        let request = b"DELETE /a%20b?x=%2f&&y HTTP/1.1\r\nhost: h\r\nif-match: \"7\"\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
        let answer = exchange(server.address(), request).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(
            answer.contains(r#""internalCode":12,"message":"No data found","type":"users""#),
            "{answer}"
        );
        assert_eq!(server.seen_count(), 1);
        let seen = seen.recv().unwrap();
        assert_eq!(seen.method(), "DELETE");
        assert_eq!(seen.uri(), "/a%20b?x=%2f&&y");
        assert_eq!(
            (seen.uri().path(), &seen.body()[..]),
            ("/a%20b", &b"[]"[..])
        );
        assert_eq!(seen.headers()["if-match"], "\"7\"");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_and_not_counted() {
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
