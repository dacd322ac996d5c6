//! Records the intent on stable storage before `outbound` sends the first byte of a deletion, and the outcome
//! before the caller sees the answer. Reads and writes pass straight through.
//!
//! This is the last layer. `outbound` sends only [`Cleared`], which only this layer can make, and returns
//! only [`Unrecorded`], which only this layer can open.

mod deletion;
mod in_flight;
mod verdict;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tower::Service;
use tower::layer::{Layer, layer_fn};

pub use in_flight::Deletions;

use super::credentials::WithCredentials;
use crate::audit::Trail;
use crate::check::CheckFuture;
use crate::contract::Effect;
use crate::forward::{Delivery, Outgoing, Report};
use crate::refusal::{Checked, Refusal};
use crate::request::{Body, RequestContext};

/// A request that `outbound` is allowed to send: a read, a write, or a deletion whose intent is on stable
/// storage.
#[derive(Debug)]
pub struct Cleared {
    outgoing: Outgoing,
}

impl Cleared {
    /// Returns the request to send.
    #[must_use]
    pub fn into_outgoing(self) -> Outgoing {
        self.outgoing
    }

    /// Makes a cleared request for the tests of `outbound`.
    #[cfg(test)]
    #[must_use]
    pub fn for_test(outgoing: Outgoing) -> Self {
        Self { outgoing }
    }
}

/// Upstream's answer before the outcome is on record. Only this layer can open the answer.
#[derive(Debug)]
pub struct Unrecorded {
    report: Report,
}

impl Unrecorded {
    /// Wraps the report that `outbound` returns.
    #[must_use]
    pub fn new(report: Report) -> Self {
        Self { report }
    }

    /// Opens the answer for the tests of `outbound`.
    #[cfg(test)]
    #[must_use]
    pub fn open_for_test(self) -> Report {
        self.report
    }
}

/// Makes the layer that records deletions. `origins` is the number of configured origins. If there is more
/// than one, each origin gets at most a quarter of the deletion slots.
pub fn layer<S>(
    trail: Trail,
    deletions: Deletions,
    config: Arc<str>,
    origins: usize,
) -> impl Layer<S, Service = Record<S>> {
    let recorder = Arc::new(Recorder {
        trail,
        deletions,
        config,
        shared: origins > 1,
    });
    layer_fn(move |inner| Record {
        recorder: Arc::clone(&recorder),
        inner,
    })
}

/// The parts that the layer uses to record a deletion.
#[derive(Debug)]
struct Recorder {
    trail: Trail,
    deletions: Deletions,
    config: Arc<str>,
    shared: bool,
}

/// The service that [`layer`] makes.
#[derive(Clone, Debug)]
pub struct Record<S> {
    recorder: Arc<Recorder>,
    inner: S,
}

impl<S> Service<WithCredentials> for Record<S>
where
    S: Service<Cleared, Response = Unrecorded, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Box<Refusal>;
    type Future = CheckFuture<Passing<S::Future>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Box<Refusal>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: WithCredentials) -> Self::Future {
        let (head, body, context) = request.into_parts();
        let delivery = match context.matched.known().operation.effect {
            Effect::Read => Delivery::Repeatable,
            Effect::Write => Delivery::Once,
            Effect::Delete => Delivery::Deletion,
        };
        let outgoing = Outgoing {
            head,
            body,
            delivery,
            context: Arc::clone(&context),
        };
        if delivery == Delivery::Deletion {
            let recorder = Arc::clone(&self.recorder);
            return CheckFuture::waits(deletion::run(recorder, outgoing, self.inner.clone()));
        }
        CheckFuture::passed(Passing {
            sending: self.inner.call(Cleared { outgoing }),
            context,
        })
    }
}

pin_project! {
    /// The future answer to a read or a write, which needs no record.
    #[derive(Debug)]
    pub struct Passing<F> {
        #[pin]
        sending: F,
        context: Arc<RequestContext>,
    }
}

impl<F> Future for Passing<F>
where
    F: Future<Output = Result<Unrecorded, Infallible>>,
{
    type Output = Checked<Response<Body>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(unrecorded) = ready!(this.sending.poll(cx));
        Poll::Ready(verdict::pass(unrecorded.report, this.context))
    }
}
