//! Checks that the request fits the contract, in this order: account, user id, `v`, `ids`, `If-Match`, body.
//!
//! The layer reads a body only to judge it, and passes on exactly the bytes that it judged. The only
//! exception is the body `{}` or `[]` of a read: the layer drops this body.

mod body;
mod head;

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http::request::Parts;
use tokio::sync::Semaphore;
use tower::Service;
use tower::layer::{Layer, layer_fn};

use super::authorize::Permitted;
use crate::check::CheckFuture;
use crate::refusal::{Code, Refusal};
use crate::request::{Body, RequestContext};
use body::Judged;

/// A request that fits the contract.
#[derive(Debug)]
pub(crate) struct Conforming {
    head: Box<Parts>,
    body: Body,
    context: Arc<RequestContext>,
}

impl Conforming {
    /// The context of the request, which holds the users that a deletion names.
    pub(crate) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Splits the request into head, body and context.
    pub(crate) fn into_parts(self) -> (Box<Parts>, Body, Arc<RequestContext>) {
        (self.head, self.body, self.context)
    }
}

/// Makes the layer that checks a request against the contract.
pub(crate) fn layer<S>() -> impl Layer<S, Service = Conform<S>> {
    let reading = Arc::new(Semaphore::new(MAX_BODIES_READ));
    layer_fn(move |inner| Conform {
        reading: Arc::clone(&reading),
        inner,
    })
}

/// The most bodies that the layer reads at once. Each can occupy 256 KiB of memory, and the limit on
/// deletions in flight does not apply yet.
const MAX_BODIES_READ: usize = 128;

/// The service that [`layer`] makes.
#[derive(Clone, Debug)]
pub(crate) struct Conform<S> {
    reading: Arc<Semaphore>,
    inner: S,
}

impl<S> Service<Permitted> for Conform<S>
where
    S: Service<Conforming, Response = Response<Body>, Error = Box<Refusal>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Box<Refusal>;
    type Future = CheckFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Refusal>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, permitted: Permitted) -> Self::Future {
        let routed = permitted.into_routed();
        if let Err(refusal) = head::check(&routed) {
            return CheckFuture::refused(refusal);
        }
        let (head, body, query, context) = routed.into_parts();
        match body::judge(&context, &head.headers, body) {
            Ok(Judged::Fits(body)) => CheckFuture::passed(self.inner.call(Conforming {
                head,
                body,
                context,
            })),
            Ok(Judged::MustBeRead(body)) => {
                let Ok(permit) = Arc::clone(&self.reading).try_acquire_owned() else {
                    return CheckFuture::refused(Box::new(too_many_bodies()));
                };
                let mut inner = self.inner.clone();
                CheckFuture::waits(async move {
                    let body = body::read(&context, &query, body).await?;
                    drop(permit);
                    let conforming = Conforming {
                        head,
                        body,
                        context,
                    };
                    inner.call(conforming).await
                })
            }
            Err(refusal) => CheckFuture::refused(refusal),
        }
    }
}

fn too_many_bodies() -> Refusal {
    Refusal::new(
        Code::Overloaded,
        "The gateway is reading too many batch bodies at once. Send fewer at once.",
    )
}
