//! The gateway's own calls (keys, users read back): bounded GET, no redirects, no proxy.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::request::Origin;
use crate::tls::ClientTls;
use keep_alive::Open;

mod address;
mod keep_alive;

pub use address::Address;
pub use keep_alive::{Answer, Line};

/// How the gateway's own calls name it.
const USER_AGENT: &str = concat!("lychgate/", env!("CARGO_PKG_VERSION"));

/// Bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// For people: what happened, at which address, never a secret.
    #[error("{0}")]
    Failed(String),
}

/// Makes calls, each on a connection of its own; cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetch {
    tls: ClientTls,
}

impl Fetch {
    /// With these roots for TLS.
    #[must_use]
    pub fn new(tls: ClientTls) -> Self {
        Self { tls }
    }

    /// GET, answered 200 with at most `max_bytes` within `timeout`, which counts from the look-up of
    /// the name to the body's last byte.
    ///
    /// # Errors
    /// Anything else: another status (a redirect is not followed), a longer body, an encoded one, a
    /// broken answer, no connection, no trust.
    pub async fn get(
        &self,
        address: &Address,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Bytes, FetchError> {
        let result = match tokio::time::timeout(timeout, self.call(address, max_bytes)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no whole answer within {timeout:?}")),
        };
        result.map_err(|why| FetchError::Failed(format!("{address}: {why}")))
    }

    async fn call(&self, address: &Address, max_bytes: usize) -> Result<Bytes, String> {
        let mut open = self.open(&address.origin).await?;
        let request = Request::get(address.target.as_str())
            .header(header::HOST, address.origin.authority())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONNECTION, "close")
            .body(Empty::new())
            .map_err(|error| format!("cannot be asked for: {error}"))?;
        let answer = open.sender.send_request(request).await.map_err(broken)?;
        judge_head(&answer, max_bytes)?;
        read_body(answer.into_body(), max_bytes).await
    }

    /// A new connection.
    async fn open(&self, origin: &Origin) -> Result<Open, String> {
        let tcp = TcpStream::connect((origin.host.as_str(), origin.port))
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        if origin.tls {
            begin(self.tls.connect(&origin.host, tcp).await?).await
        } else {
            begin(tcp).await
        }
    }
}

async fn begin<Io>(io: Io) -> Result<Open, String>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(io))
        .await
        .map_err(broken)?;
    let driver = tokio::spawn(async move {
        // What goes wrong here is told to whoever waits for the answer.
        let _ = connection.await;
    });
    Ok(Open {
        sender,
        _driver: AbortOnDropHandle::new(driver),
    })
}

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

fn judge_head(answer: &Response<Incoming>, max_bytes: usize) -> Result<(), String> {
    if answer.status() != StatusCode::OK {
        let note = if answer.status().is_redirection() {
            " (redirects are not followed)"
        } else {
            ""
        };
        return Err(format!(
            "answered {}, not 200{note}",
            answer.status().as_u16()
        ));
    }
    if answer.headers().contains_key(header::CONTENT_ENCODING) {
        return Err("answered with an encoded body, which was not asked for".into());
    }
    if !is_plain(answer.headers()) {
        return Err("answered with two framings".into());
    }
    let announced = http_body::Body::size_hint(answer.body()).lower();
    if announced > max_bytes as u64 {
        return Err(too_long(max_bytes));
    }
    Ok(())
}

/// Whether a body is what it seems: in no coding, and framed in one way.
fn is_plain(headers: &HeaderMap) -> bool {
    let has = |name| headers.contains_key(name);
    let two_framings = has(header::CONTENT_LENGTH) && has(header::TRANSFER_ENCODING);
    !two_framings && !has(header::CONTENT_ENCODING)
}

async fn read_body(mut body: Incoming, max_bytes: usize) -> Result<Bytes, String> {
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

fn too_long(max_bytes: usize) -> String {
    format!("the answer is longer than {max_bytes} bytes")
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
