//! A layer that makes one check: it takes a stage and returns the next stage or a refusal.
//!
//! `tower::filter` is similar, but its error type is `BoxError`, so an outer layer could not recognize a
//! refusal.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::refusal::{Checked, Refusal};
use crate::request::Body;

/// A layer whose check does not wait. The check is a function from one stage to the next.
#[derive(Clone, Debug)]
pub struct CheckLayer<C>(pub C);

/// The service that [`CheckLayer`] makes.
#[derive(Clone, Debug)]
pub struct CheckService<C, S> {
    check: C,
    inner: S,
}

impl<C: Clone, S> Layer<S> for CheckLayer<C> {
    type Service = CheckService<C, S>;

    fn layer(&self, inner: S) -> Self::Service {
        CheckService {
            check: self.0.clone(),
            inner,
        }
    }
}

impl<C, In, Out, S> Service<In> for CheckService<C, S>
where
    C: Fn(In) -> Checked<Out>,
    S: Service<Out, Response = Response<Body>, Error = Box<Refusal>>,
{
    type Response = Response<Body>;
    type Error = Box<Refusal>;
    type Future = CheckFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Refusal>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, stage: In) -> Self::Future {
        match (self.check)(stage) {
            Ok(next) => CheckFuture::passed(self.inner.call(next)),
            Err(refusal) => CheckFuture::refused(refusal),
        }
    }
}

pin_project! {
    /// Resolves to the refusal if the check failed, or to the answer of the inner service.
    #[derive(Debug)]
    pub struct CheckFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Refused { refusal: Option<Box<Refusal>> },
        Passed { #[pin] future: F },
        Waits { future: Waiting },
    }
}

/// A boxed future of an answer. Only requests that wait for a body or the trail need the box.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Checked<Response<Body>>> + Send>>;

impl<F> CheckFuture<F> {
    /// The future of a request that the check refused.
    #[must_use]
    pub fn refused(refusal: Box<Refusal>) -> Self {
        let refusal = Some(refusal);
        Self {
            state: State::Refused { refusal },
        }
    }

    /// The future of a request that passed the check. `future` is the answer of the inner service.
    pub fn passed(future: F) -> Self {
        Self {
            state: State::Passed { future },
        }
    }

    /// The future of a request whose check waits. `future` makes the check and calls the inner service.
    pub fn waits(future: impl Future<Output = Checked<Response<Body>>> + Send + 'static) -> Self {
        let future: Waiting = Box::pin(future);
        Self {
            state: State::Waits { future },
        }
    }
}

impl<F> std::fmt::Debug for State<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Refused { .. } => "Refused",
            Self::Passed { .. } => "Passed",
            Self::Waits { .. } => "Waits",
        })
    }
}

impl<F> Future for CheckFuture<F>
where
    F: Future<Output = Checked<Response<Body>>>,
{
    type Output = Checked<Response<Body>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Refused { refusal } => match refusal.take() {
                Some(refusal) => Poll::Ready(Err(refusal)),
                // Reached only if a finished future is polled again, which the contract of `Future` forbids.
                None => Poll::Pending,
            },
            StateProjection::Passed { future } => future.poll(cx),
            StateProjection::Waits { future } => future.as_mut().poll(cx),
        }
    }
}
