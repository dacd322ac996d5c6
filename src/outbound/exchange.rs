//! Sends one request on one connection, waits for the answer, and judges its head and the start of its body.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::answer;
use super::body::{BodyError, answer_body, broken_body, first_bytes, with_cause};
use super::counted_stream::CountedStream;
use super::origin_pool::{Lease, failure};
use super::upload::Upload;
use crate::alarm::Alarm;
use crate::forward::{Delivery, Failure, FailureKind};
use crate::request::Body;

/// A request ready to be sent. Its head is boxed because it moves several times.
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

    /// Splits the message into the head and the body to send. If `keeps`, also returns a copy of the message,
    /// unless the body is a stream.
    fn split(self, keeps: bool) -> (Parts, Body, Option<Self>) {
        let body = match &self.body {
            Body::Empty if keeps => Body::Empty,
            Body::Whole(bytes) if keeps => Body::Whole(bytes.clone()),
            _ => return (*self.head, self.body, None),
        };
        (Parts::clone(&self.head), body, Some(self))
    }
}

/// The time limits of a request and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When the gateway begins to send the request.
    pub(super) begun: Instant,
    /// The time limit from the last byte of the request to the answer's head.
    pub(super) head_timeout: Duration,
    /// When the request and its whole answer must have ended.
    pub(super) deadline: Instant,
}

/// A failed exchange: no usable answer came, and the connection is closed.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) failure: Failure,
    /// The request, if it can be sent again: hyper returned it unsent, or the exchange kept a copy.
    pub(super) message: Option<Message>,
    /// Whether any byte of an answer came.
    pub(super) answer_begun: bool,
}

type Reply =
    Result<Response<hyper::body::Incoming>, hyper::client::conn::TrySendError<Request<Upload>>>;

/// Sends the request and returns the answer once its body has begun. A drop of the future closes the
/// connection.
pub(super) async fn exchange(
    mut lease: Lease,
    message: Message,
    delivery: Delivery,
    times: Times,
) -> Result<Response<Body>, Box<Lost>> {
    let used = lease.used;
    let Some(connection) = lease.connection() else {
        let why = failure(FailureKind::Unreachable, "no connection");
        return Err(lost(why, Some(message), false));
    };
    let stream = Arc::clone(&connection.stream);
    // A reused connection may be dead, and hyper consumes the request, so the exchange keeps a copy.
    let (head, body, copy) = message.split(used);
    stream.begin(body.is_end_stream(), times.begun);
    let request = Request::from_parts(head, Upload::new(body, Arc::clone(&stream)));
    // Pinned in place: the future is large, and every move would copy it.
    let sending = pin!(connection.sender.try_send_request(request));
    match answered(sending, &stream, &mut connection.alarm, times).await {
        Some(Ok(response)) => {
            let (mut head, mut incoming) = response.into_parts();
            let early = stream.was_early();
            if let Err(detail) = answer::judge(head.status, &head.headers, delivery, early) {
                return Err(lost(protocol(&lease, detail), None, true));
            }
            answer::rewrite(&mut head.headers);
            head.version = Version::HTTP_11;
            let alarm = &mut connection.alarm;
            let body = match first_bytes(&mut incoming, alarm, times.deadline).await {
                Ok(first) => answer_body(first, incoming, lease, times.deadline),
                // The status alone decides the outcome of a deletion.
                Err(error) if delivery == Delivery::Deletion => broken_body(error),
                Err(error) => return Err(lost(bodiless(&lease, head.status, error), None, true)),
            };
            Ok(Response::from_parts(head, body))
        }
        Some(Err(mut error)) => {
            let unsent = error.take_message().map(Message::unsent);
            let mut lost = broken(&lease, &stream, &error.into_error());
            lost.message = unsent.or(copy);
            Err(lost)
        }
        None => {
            let failure = Failure {
                kind: FailureKind::Timeout,
                bytes_left: stream.seal(),
                status: None,
                detail: format!("{} did not answer in time", lease.origin()).into(),
            };
            Err(lost(failure, None, stream.answer_begun()))
        }
    }
}

/// Waits for the answer's head. Returns `None` when the head timeout or the deadline has passed. The head
/// timeout starts after the whole request was sent. Until then, only the deadline applies.
async fn answered(
    mut sending: Pin<&mut impl Future<Output = Reply>>,
    stream: &CountedStream,
    alarm: &mut Alarm,
    times: Times,
) -> Option<Reply> {
    let mut wake = times.deadline.min(times.begun + times.head_timeout);
    loop {
        let reply = poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(reply) => Poll::Ready(Some(reply)),
            Poll::Pending => alarm.poll_at(wake, cx).map(|()| None),
        });
        if let Some(reply) = reply.await {
            return Some(reply);
        }
        let now = Instant::now();
        if now >= times.deadline {
            return None;
        }
        let next = match stream.sent_at() {
            Some(sent) if sent + times.head_timeout <= now => return None,
            Some(sent) => sent + times.head_timeout,
            // The request is still being sent. The loop checks again after an eighth of the head timeout, so
            // the timeout fires late by at most that time.
            None => now + (times.head_timeout / 8).max(Duration::from_millis(5)),
        };
        wake = times.deadline.min(next);
    }
}

fn broken(lease: &Lease, stream: &CountedStream, error: &hyper::Error) -> Box<Lost> {
    let kind = if stream.has_body_failed() || error.is_body_write_aborted() || error.is_user() {
        FailureKind::RequestBody
    } else if error.is_parse() {
        FailureKind::Protocol
    } else {
        FailureKind::ConnectionLost
    };
    let origin = lease.origin();
    let detail = match kind {
        // The layer that made the body reports its error.
        FailureKind::RequestBody => format!("{origin}: {error}"),
        _ => format!("{origin}: {}", with_cause(error)),
    };
    let failure = Failure {
        kind,
        bytes_left: stream.seal(),
        status: None,
        detail: detail.into(),
    };
    lost(failure, None, stream.answer_begun())
}

/// The failure of an answer whose head came, but not one byte of its body.
fn bodiless(lease: &Lease, status: StatusCode, error: BodyError) -> Failure {
    Failure {
        kind: match error {
            BodyError::CutShort(_) => FailureKind::Protocol,
            BodyError::TimedOut => FailureKind::Timeout,
        },
        bytes_left: true,
        status: Some(status.as_u16()),
        detail: format!("{}: {error}", lease.origin()).into(),
    }
}

fn protocol(lease: &Lease, detail: &'static str) -> Failure {
    Failure {
        kind: FailureKind::Protocol,
        bytes_left: true,
        status: None,
        detail: format!("{}: {detail}", lease.origin()).into(),
    }
}

#[cold]
fn lost(failure: Failure, message: Option<Message>, answer_begun: bool) -> Box<Lost> {
    Box::new(Lost {
        failure,
        message,
        answer_begun,
    })
}
