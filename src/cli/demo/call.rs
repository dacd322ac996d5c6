//! One HTTP call: sends a request on its own connection and reads the whole answer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The time limit for a call.
const PATIENCE: Duration = Duration::from_secs(15);
/// The maximum size of an answer's body in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// A header's value, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A member of the JSON body, if it is a string.
    pub(super) fn member(&self, name: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get(name)?.as_str().map(str::to_owned)
    }
}

/// The status of a GET; `None` if there is no answer.
pub(super) async fn status(address: SocketAddr, target: &str) -> Option<u16> {
    let request = Request::get(target).header("host", address.to_string());
    let answer = send(address, request.body(Empty::new()).ok()?).await;
    answer.ok().map(|answer| answer.status.as_u16())
}

/// Sends one request on its own connection.
pub(super) async fn send(
    address: SocketAddr,
    request: Request<Empty<Bytes>>,
) -> Result<Answer, String> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?;
        driving.abort();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
