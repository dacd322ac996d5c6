//! One request on one connection: sent, awaited, and its answer's head judged.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::answer;
use super::body::answer_body;
use super::counted_stream::Wire;
use super::origin_pool::Lease;
use super::upload::Upload;
use crate::alarm::Alarm;
use crate::forward::{Delivery, Failure, FailureKind};
use crate::request::Body;

/// A request as it is sent; its head in a box, since it is handed on several times.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) head: Box<Parts>,
    pub(super) body: Body,
}

impl Message {
    fn unsent(request: Request<Upload>) -> Self {
        let (head, upload) = request.into_parts();
        Self {
            head: Box::new(head),
            body: upload.into_body(),
        }
    }

    /// The same request once more; `None` if its body is a stream.
    fn try_clone(&self) -> Option<Self> {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Whole(bytes) => Body::Whole(bytes.clone()),
            Body::Stream(_) => return None,
        };
        let head = self.head.clone();
        Some(Self { head, body })
    }
}

/// How long a request and its answer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When it is sent.
    pub(super) begun: Instant,
    /// From the last byte sent to the answer's head.
    pub(super) head_timeout: Duration,
    /// When all of it must be over.
    pub(super) deadline: Instant,
}

/// No answer that counts; the connection is closed.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) failure: Failure,
    /// The request once more: hyper gave it back untouched, or the connection was used and the body is no stream.
    pub(super) message: Option<Message>,
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
    message: Message,
    delivery: Delivery,
    times: Times,
) -> Result<Response<Body>, Box<Lost>> {
    let used = lease.is_used();
    let Some(connection) = lease.connection() else {
        let failure = super::origin_pool::failure(FailureKind::Unreachable, "no connection");
        return Err(lost(failure, Some(message), false));
    };
    let wire = Arc::clone(&connection.wire);
    // hyper consumes what it sends, and only a used connection may turn out dead.
    let copy = if used { message.try_clone() } else { None };
    let Message { head, body } = message;
    wire.begin(body.is_end_stream(), times.begun);
    let request = Request::from_parts(*head, Upload::new(body, Arc::clone(&wire)));
    // Pinned here: it is large, and every hand-over would copy it.
    let sending = pin!(connection.sender.try_send_request(request));
    match answered(sending, &wire, &mut connection.alarm, times).await {
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
            let unsent = error.take_message().map(Message::unsent);
            let mut lost = broken(&lease, &wire, &error.into_error());
            lost.message = unsent.or(copy);
            Err(lost)
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
async fn answered(
    mut sending: Pin<&mut impl Future<Output = Sent>>,
    wire: &Wire,
    alarm: &mut Alarm,
    times: Times,
) -> Option<Sent> {
    let Times {
        begun,
        head_timeout,
        deadline,
    } = times;
    let mut wake = deadline.min(begun + head_timeout);
    loop {
        let sent = poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(sent) => Poll::Ready(Some(sent)),
            Poll::Pending => alarm.poll_at(wake, cx).map(|()| None),
        });
        if let Some(sent) = sent.await {
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

fn broken(lease: &Lease, wire: &Wire, error: &hyper::Error) -> Box<Lost> {
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
    lost(failure, None, wire.heard())
}

fn protocol(lease: &Lease, detail: &'static str) -> Failure {
    Failure {
        kind: FailureKind::Protocol,
        bytes_left: true,
        detail: format!("{}: {detail}", lease.line().origin()).into(),
    }
}

#[cold]
fn lost(failure: Failure, message: Option<Message>, heard: bool) -> Box<Lost> {
    Box::new(Lost {
        failure,
        message,
        heard,
    })
}
