//! Sends one call of the story and takes down what came of it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::scene::Scene;
use super::story::Step;
use crate::audit::read::query::Deletion;

/// A call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(15);
/// A longer answer is not read.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// A refusal does not wait for its record, so the record may come a little later.
const RECORD_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at the trail.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// An answer in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What came of a step.
#[derive(Debug)]
pub(super) struct Happened {
    /// The answer, or why there is none.
    pub(super) answer: Result<Answer, String>,
    /// Its joined trail entry.
    pub(super) entry: Option<Deletion>,
    /// How many requests upstream saw meanwhile.
    pub(super) upstream_saw: u64,
}

impl Answer {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A member of the JSON body, where it is a text.
    pub(super) fn member(&self, name: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get(name)?.as_str().map(str::to_owned)
    }
}

/// Sends a step's call to the gateway, then looks its entry up in the trail.
pub(super) async fn play(scene: &Scene, step: &Step) -> Happened {
    let before = scene.upstream_count();
    let answer = match request(scene, step) {
        Ok(request) => send(scene.address(), request).await,
        Err(error) => Err(error.to_string()),
    };
    let id = answer
        .as_ref()
        .ok()
        .and_then(|answer| answer.header("x-request-id"));
    let entry = match id {
        Some(id) if step.expected.entry.is_some() => look_up(scene, id).await,
        _ => None,
    };
    Happened {
        entry,
        upstream_saw: scene.upstream_count() - before,
        answer,
    }
}

async fn look_up(scene: &Scene, id: &str) -> Option<Deletion> {
    let begin = std::time::Instant::now();
    loop {
        let found = scene.deletion(id);
        if found.is_some() || begin.elapsed() > RECORD_WITHIN {
            return found;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn request(scene: &Scene, step: &Step) -> http::Result<Request<Empty<Bytes>>> {
    let mut request = Request::delete(&step.target).header("host", scene.address().to_string());
    if step.with_token {
        request = request.header("authorization", format!("Bearer {}", scene.token()));
    }
    if let Some(revision) = step.if_match {
        request = request.header("if-match", revision);
    }
    request.body(Empty::new())
}

/// The status of a GET; `None` where there is no answer.
pub(super) async fn status(address: SocketAddr, target: &str) -> Option<u16> {
    let request = Request::get(target).header("host", address.to_string());
    let answer = send(address, request.body(Empty::new()).ok()?).await;
    answer.ok().map(|answer| answer.status.as_u16())
}

/// One request on a connection of its own.
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
