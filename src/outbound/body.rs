//! The answer's body on its way to the caller.
//!
//! The gateway waits for the first bytes of a body before it passes on the head. So it can still refuse an
//! answer that breaks off before them, and it copies most bodies with their head in one write.
//!
//! The body drops trailers. If upstream cuts the body short or the request's time is over, the body ends in
//! an error. At its end, the body returns the connection to the pool. A drop before the end closes the
//! connection. If the caller stops reading, nothing polls the body, so a task enforces the time limit.

use std::future::{self, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::StreamBody;
use hyper::body::Incoming;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::origin_pool::Lease;
use crate::alarm::Alarm;
use crate::request::Body;

/// Why an answer's body failed before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("upstream's answer was cut short: {0}")]
    CutShort(String),
    #[error("upstream's answer was not read to its end in time")]
    TimedOut,
}

impl BodyError {
    fn cut_short(error: &hyper::Error) -> Self {
        Self::CutShort(with_cause(error))
    }
}

/// Waits until `deadline` for the first bytes of the body. Returns `None` if the body has none.
pub(super) async fn first_bytes(
    incoming: &mut Incoming,
    alarm: &mut Alarm,
    deadline: Instant,
) -> Result<Option<Bytes>, BodyError> {
    poll_fn(|cx| {
        if incoming.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        loop {
            match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Drops trailers.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Poll::Ready(Ok(Some(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(BodyError::cut_short(&error)));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => {
                    let timed_out = alarm.poll_at(deadline, cx);
                    return timed_out.map(|()| Err(BodyError::TimedOut));
                }
            }
        }
    })
    .await
}

/// Makes the body from its first bytes and the rest. A body that has ended returns its connection at once.
pub(super) fn answer_body(
    first: Option<Bytes>,
    incoming: Incoming,
    lease: Lease,
    deadline: Instant,
) -> Body {
    match first {
        Some(first) if !incoming.is_end_stream() => Body::stream(AnswerBody {
            first,
            incoming,
            watch: Some(Watch::start(lease, deadline)),
        }),
        whole => {
            lease.give_back();
            whole.map_or(Body::Empty, Body::whole)
        }
    }
}

struct AnswerBody {
    /// The bytes that came first; empty once the caller has them.
    first: Bytes,
    incoming: Incoming,
    /// `None` when the body has ended.
    watch: Option<Watch>,
}

/// The lease of the connection. The body shares it with a task, which takes it when the time is over.
struct Watch {
    lease: Arc<Mutex<Option<Lease>>>,
    task: AbortHandle,
}

impl Watch {
    fn start(lease: Lease, deadline: Instant) -> Self {
        let lease = Arc::new(Mutex::new(Some(lease)));
        let watched = Arc::clone(&lease);
        let task = tokio::spawn(async move {
            sleep_until(deadline).await;
            drop(take(&watched));
        });
        Self {
            lease,
            task: task.abort_handle(),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
        drop(take(&self.lease));
    }
}

fn take(lease: &Mutex<Option<Lease>>) -> Option<Lease> {
    lease.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl AnswerBody {
    /// Takes the lease. Returns an error if the task took the lease because the time was over.
    fn end(&mut self) -> Result<Lease, BodyError> {
        let watch = self.watch.take();
        let lease = watch.and_then(|watch| take(&watch.lease));
        lease.ok_or(BodyError::TimedOut)
    }

    /// Returns the connection for reuse. If the task has closed the connection, returns an error, even if
    /// hyper reports a normal end.
    fn finish(&mut self) -> Result<(), BodyError> {
        self.end().map(Lease::give_back)
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.watch.is_none() {
            return Poll::Ready(None);
        }
        loop {
            // At the deadline, the task closes the connection, which ends this wait.
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => {
                    // A reader that knows the body's length need not poll again after the last frame, so the
                    // body must not wait for another poll before it returns the connection.
                    let ended = self.incoming.is_end_stream();
                    let finished = if ended { self.finish() } else { Ok(()) };
                    return Poll::Ready(Some(finished.map(|()| frame)));
                }
                // Drops trailers.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let ended = self.end();
                    let error = ended.map_or_else(|late| late, |_| BodyError::cut_short(&error));
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(self.finish().err().map(Err)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.watch.is_none() && self.first.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.size_hint().exact();
        let first = self.first.len() as u64;
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest))
    }
}

/// The body of an answer that broke off before its first bytes: its reader gets the error.
pub(super) fn broken_body(error: BodyError) -> Body {
    let error: Result<Frame<Bytes>, _> = Err(error);
    Body::stream(StreamBody::new(stream::once(future::ready(error))))
}

/// An error of hyper and its cause, for people.
pub(super) fn with_cause(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
