//! Notices a caller that leaves while its request runs.
//!
//! hyper reads from the stream while a request runs, so it sees a reset at once. But hyper also ends the
//! request when the caller closes its sending half, although such a caller may still wait for the answer. So
//! the stream hides this end from hyper: until the grace is over while the caller waits for an answer, and
//! until the answer is written once it has begun. hyper may have read the whole body although the stack has
//! not. So the stack learns of a body that was cut short only after the grace, too. If the caller has sent a
//! next request already, hyper does not read on, and only upstream's time limits end the present one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::time::Sleep;

use super::progress::{Caller, Progress};

/// Counts the callers that left while they waited for an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Left {
    /// Callers that closed their sending half and got no answer within the grace.
    pub(crate) closed: Counter,
    /// Callers that reset the connection.
    pub(crate) reset: Counter,
}

/// What a connection knows about the end of its caller's stream.
#[derive(Debug)]
pub(super) struct Leaving {
    /// How long a caller that has closed its sending half may wait for an answer.
    grace: Duration,
    left: Left,
    is_closed: bool,
    /// The end of the grace, once it has begun.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Leaving {
    pub(super) fn new(grace: Duration, left: Left) -> Self {
        Self {
            grace,
            left,
            is_closed: false,
            patience: None,
        }
    }

    /// Whether the caller has closed its sending half, so that no more bytes can come.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Notes that the caller has closed its sending half. Ready when hyper may see it.
    pub(super) fn poll_end(&mut self, progress: &Progress, cx: &mut Context<'_>) -> Poll<()> {
        self.is_closed = true;
        match progress.caller() {
            Caller::IsIdle => Poll::Ready(()),
            Caller::Waits => {
                let grace = self.grace;
                let begin = || Box::pin(tokio::time::sleep(grace));
                ready!(self.patience.get_or_insert_with(begin).as_mut().poll(cx));
                self.left.closed.inc();
                Poll::Ready(())
            }
            // `Watched` lets hyper read again as soon as the answer is written.
            Caller::Reads => Poll::Pending,
        }
    }

    /// Notes that a read failed.
    pub(super) fn failed(&self, progress: &Progress) {
        if progress.caller() == Caller::Waits {
            self.left.reset.inc();
        }
    }
}
