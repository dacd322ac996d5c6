//! Contains a panic: the request gets 500 `internal`, the process and its trail go on.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// The future panicked; the panic hook has told the log where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs a future to its end or to its panic.
pub fn contained<F: Future>(future: F) -> Contained<F> {
    Contained { future }
}

pin_project! {
    /// See [`contained`].
    #[derive(Debug)]
    pub struct Contained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // The future is never polled again after a panic, so no broken state is seen.
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(_payload) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_value() {
        let outcome = contained(async {
            if std::hint::black_box(true) {
                panic!("a defect");
            }
            1
        })
        .await;
        assert_eq!(outcome, Err(Panicked));
        assert_eq!(contained(async { 1 }).await, Ok(1));
    }
}
