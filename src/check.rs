//! A layer that is one judgement: a stage goes in, the next stage or a refusal comes out.
//!
//! `tower::filter` does the same, but its error is any error: a layer outside could not tell a refusal.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::refusal::{Checked, Refusal};
use crate::request::Body;

/// The layer of a judgement that does not wait: a function from the stage before to the next stage.
#[derive(Clone, Debug)]
pub struct CheckLayer<C>(pub C);

/// Its service.
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
    /// Resolves to the refusal of a failed check, else to the answer of the inner service.
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

/// A boxed answer. Only requests that wait for a body or the trail need the box.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Checked<Response<Body>>> + Send>>;

impl<F> CheckFuture<F> {
    /// Refused at once.
    #[must_use]
    pub fn refused(refusal: Box<Refusal>) -> Self {
        let refusal = Some(refusal);
        Self {
            state: State::Refused { refusal },
        }
    }

    /// Passed on to the layer behind.
    pub fn passed(future: F) -> Self {
        Self {
            state: State::Passed { future },
        }
    }

    /// Judged and passed on by a future that waits.
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
                // Polled again after its end, which the contract of futures forbids.
                None => Poll::Pending,
            },
            StateProjection::Passed { future } => future.poll(cx),
            StateProjection::Waits { future } => future.as_mut().poll(cx),
        }
    }
}
