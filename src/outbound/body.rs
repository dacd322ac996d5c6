//! The answer's body on its way to the caller.
//!
//! The body drops trailers. If upstream cuts the body short or the request's time is over, the body ends in
//! an error. At its end, the body returns the connection to the pool. A drop before the end closes the
//! connection. If the caller stops reading, nothing polls the body, so after the first frame a task enforces
//! the time limit.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::origin_pool::Lease;
use crate::request::{Body, BoxError};

/// Why an answer's body failed before its end.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("upstream's answer was cut short: {0}")]
    CutShort(hyper::Error),
    #[error("upstream's answer was not read to its end in time")]
    TimedOut,
}

/// Wraps hyper's body. An answer without a body returns its connection at once.
pub(super) fn answer_body(incoming: Incoming, lease: Lease, deadline: Instant) -> Body {
    if incoming.is_end_stream() {
        lease.give_back();
        return Body::Empty;
    }
    Body::Stream(UnsyncBoxBody::new(AnswerBody {
        incoming,
        held: Held::Own(lease),
        deadline,
        timer: None,
    }))
}

struct AnswerBody {
    incoming: Incoming,
    held: Held,
    deadline: Instant,
    /// Limits the waits before the first frame, when no task runs yet.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Who holds the lease of the connection.
enum Held {
    /// Only the body: most bodies end before they need a task.
    Own(Lease),
    /// The body and its task share the lease. The task takes the lease when the time is over.
    Watched(Watch),
    /// Nobody: the body has ended.
    Ended,
}

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
    /// Starts the task that enforces the time limit, unless the task already runs.
    fn watch(&mut self) {
        if let Held::Own(_) = self.held
            && let Held::Own(lease) = std::mem::replace(&mut self.held, Held::Ended)
        {
            self.held = Held::Watched(Watch::start(lease, self.deadline));
        }
    }

    /// Waits for the next frame until the deadline.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // At the deadline, the task closes the connection, which ends this wait.
        if let Held::Watched(_) = self.held {
            return Poll::Pending;
        }
        let deadline = self.deadline;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        // The drop of the lease closes the connection.
        drop(self.end());
        Poll::Ready(Some(Err(BodyError::TimedOut.into())))
    }

    /// Takes the lease. Returns `None` if the body has ended or if the task took the lease because the time
    /// was over.
    fn end(&mut self) -> Option<Lease> {
        match std::mem::replace(&mut self.held, Held::Ended) {
            Held::Own(lease) => Some(lease),
            Held::Watched(watch) => take(&watch.lease),
            Held::Ended => None,
        }
    }

    /// Returns the connection for reuse. If the task has closed the connection, returns an error, even if
    /// hyper reports a normal end.
    fn finish(&mut self) -> Result<(), BoxError> {
        let lease = self.end().ok_or(BodyError::TimedOut)?;
        lease.give_back();
        Ok(())
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Held::Ended = self.held {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    // A reader that knows the body's length need not poll again after the last frame, so the
                    // body must not wait for another poll before it returns the connection.
                    if !self.incoming.is_end_stream() {
                        self.watch();
                    } else if let Err(error) = self.finish() {
                        return Poll::Ready(Some(Err(error)));
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                // Drops trailers.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => {
                    let error = match self.end() {
                        Some(_) => BodyError::CutShort(error),
                        None => BodyError::TimedOut,
                    };
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => return Poll::Ready(self.finish().err().map(Err)),
                Poll::Pending => return self.wait(cx),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.held, Held::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
