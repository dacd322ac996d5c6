//! One connection for the gateway's own requests, and a reader for the body of an answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::request::{MAX_ANSWER_LINES, Origin};
use crate::tls::ClientTls;

/// The `User-Agent` of the gateway's own requests.
const USER_AGENT: &str = concat!("lychgate/", env!("CARGO_PKG_VERSION"));

/// The maximum length of an answer's head in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// An open connection. Dropping the value closes the connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Empty<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// Sends a request without a body. Adds `Host` and `User-Agent`.
    pub(super) async fn send(
        &mut self,
        origin: &Origin,
        request: http::request::Builder,
    ) -> Result<Response<Incoming>, String> {
        let request = request
            .header(header::HOST, origin.authority())
            .header(header::USER_AGENT, USER_AGENT)
            .body(Empty::new())
            .map_err(|error| format!("cannot be asked for: {error}"))?;
        self.sender.ready().await.map_err(broken)?;
        self.sender.send_request(request).await.map_err(broken)
    }

    pub(super) async fn open(tls: &ClientTls, origin: &Origin) -> Result<Self, String> {
        let tcp = TcpStream::connect((origin.host.as_str(), origin.port))
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        if origin.tls {
            Self::begin(tls.connect(&origin.host, tcp).await?).await
        } else {
            Self::begin(tcp).await
        }
    }

    async fn begin<Io>(io: Io) -> Result<Self, String>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_ANSWER_LINES)
            .handshake(TokioIo::new(io))
            .await
            .map_err(broken)?;
        let driver = tokio::spawn(async move {
            // Ignore the error: the caller that waits for the answer gets an error too.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            _driver: AbortOnDropHandle::new(driver),
        })
    }
}

/// Runs a call. Returns an error if the call takes longer than `timeout`.
pub(super) async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    tokio::time::timeout(timeout, call)
        .await
        .unwrap_or_else(|_| Err(format!("no whole answer within {timeout:?}")))
}

/// Formats an error and its causes for people.
fn broken(error: hyper::Error) -> String {
    let mut text = format!("the exchange broke: {error}");
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// Whether the body has no content encoding and is not framed in two ways.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    let has = |name| headers.contains_key(name);
    let two_framings = has(header::CONTENT_LENGTH) && has(header::TRANSFER_ENCODING);
    !two_framings && !has(header::CONTENT_ENCODING)
}

pub(super) async fn read_body(mut body: Incoming, max_bytes: usize) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue; // trailers
        };
        if whole.len() + data.len() > max_bytes {
            return Err(too_long(max_bytes));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

pub(super) fn too_long(max_bytes: usize) -> String {
    format!("the answer is longer than {max_bytes} bytes")
}
