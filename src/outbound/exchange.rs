//! One request on one connection: sent, awaited, and its answer's head judged.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Version};
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};

use super::answer;
use super::body::answer_body;
use super::line::Lease;
use super::upload::Upload;
use super::wire::Wire;
use crate::forward::{Delivery, Failure, FailureKind};
use crate::request::Body;

/// How long a request and its answer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From the last byte sent to the answer's head.
    pub(super) head_timeout: Duration,
    /// When all of it must be over.
    pub(super) deadline: Instant,
}

/// No answer that counts; the connection is closed.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) failure: Failure,
    /// The request, where hyper gave it back untouched.
    pub(super) request: Option<Request<Body>>,
    /// Whether any byte of an answer came.
    pub(super) heard: bool,
}

type Sent =
    Result<Response<hyper::body::Incoming>, hyper::client::conn::TrySendError<Request<Upload>>>;

/// Sends the request and gives back the answer, its body still coming. Dropping the future
/// closes the connection.
///
/// # Errors
/// Where no answer came, or one that does not count.
pub(super) async fn exchange(
    mut lease: Lease,
    request: Request<Body>,
    delivery: Delivery,
    times: Times,
) -> Result<Response<Body>, Box<Lost>> {
    let Some(connection) = lease.connection() else {
        let failure = super::line::failure(FailureKind::Unreachable, "no connection");
        return Err(lost(failure, Some(request), false));
    };
    let wire = Arc::clone(&connection.wire);
    wire.begin(request.body().is_end_stream());
    let request = request.map(|body| Upload::new(body, Arc::clone(&wire)));
    let sending = connection.sender.try_send_request(request);
    match answered(sending, &wire, times).await {
        Some(Ok(response)) => {
            let (mut head, incoming) = response.into_parts();
            let early = wire.was_early();
            if let Err(detail) = answer::judge(head.status, &head.headers, delivery, early) {
                return Err(lost(protocol(&lease, detail), None, true));
            }
            answer::rewrite(&mut head.headers);
            head.version = Version::HTTP_11;
            let body = answer_body(incoming, lease, times.deadline);
            Ok(Response::from_parts(head, body))
        }
        Some(Err(mut error)) => {
            let request = error.take_message().map(|sent| sent.map(Upload::into_body));
            Err(broken(&lease, &wire, &error.into_error(), request))
        }
        None => {
            let failure = Failure {
                kind: FailureKind::Timeout,
                bytes_left: wire.seal(),
                detail: format!("{} did not answer in time", lease.line().origin()).into(),
            };
            Err(lost(failure, None, wire.heard()))
        }
    }
}

/// Waits for the answer's head; `None` once its time is over. While the request is still being
/// sent only the deadline counts.
async fn answered(sending: impl Future<Output = Sent>, wire: &Wire, times: Times) -> Option<Sent> {
    let mut sending = pin!(sending);
    let Times {
        head_timeout,
        deadline,
    } = times;
    let mut wake = deadline.min(Instant::now() + head_timeout);
    loop {
        if let Ok(sent) = timeout_at(wake, sending.as_mut()).await {
            return Some(sent);
        }
        let now = Instant::now();
        if now >= deadline {
            return None;
        }
        let next = match wire.sent_at() {
            Some(sent) if sent + head_timeout <= now => return None,
            Some(sent) => sent + head_timeout,
            // Looked at again soon: an upload's head timeout is late by an eighth at most.
            None => now + (head_timeout / 8).max(Duration::from_millis(5)),
        };
        wake = deadline.min(next);
    }
}

fn broken(
    lease: &Lease,
    wire: &Wire,
    error: &hyper::Error,
    request: Option<Request<Body>>,
) -> Box<Lost> {
    let kind = if wire.has_body_failed() || error.is_body_write_aborted() || error.is_user() {
        FailureKind::RequestBody
    } else if error.is_parse() {
        FailureKind::Protocol
    } else {
        FailureKind::ConnectionLost
    };
    let origin = lease.line().origin();
    let detail = match std::error::Error::source(error) {
        // The caller's own error is for the layer that made it.
        Some(cause) if kind != FailureKind::RequestBody => format!("{origin}: {error}: {cause}"),
        _ => format!("{origin}: {error}"),
    };
    let failure = Failure {
        kind,
        bytes_left: wire.seal(),
        detail: detail.into(),
    };
    lost(failure, request, wire.heard())
}

fn protocol(lease: &Lease, detail: &'static str) -> Failure {
    Failure {
        kind: FailureKind::Protocol,
        bytes_left: true,
        detail: format!("{}: {detail}", lease.line().origin()).into(),
    }
}

#[cold]
fn lost(failure: Failure, request: Option<Request<Body>>, heard: bool) -> Box<Lost> {
    Box::new(Lost {
        failure,
        request,
        heard,
    })
}
