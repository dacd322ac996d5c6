//! Writes one access line per request and counts the request, even if the caller hangs up before the answer.
//!
//! The line holds no query and no header, because these may hold a token. From the path, the line holds only
//! the account id, and only if the id is valid. For a refused request, the line holds the full detail of the
//! refusal, which the caller does not see.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;
use tower::layer::{Layer, layer_fn};

use crate::contract::path;
use crate::metrics::Metrics;
use crate::request::{Body, RequestContext};

/// Makes the layer. The stack builds this layer for each request, so the layer borrows the metrics.
pub(crate) fn layer<S>(metrics: &Metrics) -> impl Layer<S, Service = AccessLog<'_, S>> {
    layer_fn(move |inner| AccessLog { metrics, inner })
}

/// The service that [`layer`] makes.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog<'a, S> {
    metrics: &'a Metrics,
    inner: S,
}

impl<S> Service<Request<Body>> for AccessLog<'_, S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Logged<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let record = AccessRecord {
            context: Arc::clone(RequestContext::of(request.extensions())),
            method: request.method().clone(),
            metrics: self.metrics.clone(),
            written: false,
        };
        Logged {
            future: self.inner.call(request),
            record,
        }
    }
}

pin_project! {
    /// The future of an answer. Writes the access line when the answer is ready.
    #[derive(Debug)]
    pub struct Logged<F> {
        #[pin]
        future: F,
        record: AccessRecord,
    }
}

impl<F, E> Future for Logged<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        if let Ok(response) = &result {
            this.record.write(response.status().as_u16());
        }
        Poll::Ready(result)
    }
}

#[derive(Debug)]
struct AccessRecord {
    context: Arc<RequestContext>,
    method: http::Method,
    metrics: Metrics,
    written: bool,
}

/// The status in the log and the metrics if the caller hung up before the answer was ready.
const CALLER_GONE: u16 = 499;

impl AccessRecord {
    fn write(&mut self, status: u16) {
        self.written = true;
        let context = &*self.context;
        let elapsed = context.started.elapsed();
        let matched = context.matched.get();
        let operation = matched.map(|matched| &matched.operation.name);
        let refused = context.refused.get();
        let code = refused.map(|refused| refused.code).unwrap_or_default();
        self.metrics.request_seconds.observe(elapsed.as_secs_f64());
        self.metrics.count_request(operation, status, code);
        let identity = context.identity.get();
        tracing::info!(
            target: "lychgate::access",
            request_id = context.request_id(),
            client = context.peer.ip(),
            method = self.method.as_str(),
            operation = operation.map_or("none", |name| name),
            account = matched.and_then(|matched| plain_account(&matched.account)),
            subject = identity.map(|identity| identity.subject.as_str()),
            status,
            code,
            detail = refused.map(|refused| &*refused.detail),
            microseconds = elapsed.as_micros() as u64,
            message = "request",
        );
    }
}

/// Returns the account if it is a valid account id. Any other text in its place may be a token, so the log
/// must not show it.
fn plain_account(account: &str) -> Option<&str> {
    path::is_account(account).then_some(account)
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        if !self.written {
            self.write(CALLER_GONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_a_token_in_the_accounts_place_is_not_logged() {
        assert_eq!(plain_account("12345678"), Some("12345678"));
        assert_eq!(
            plain_account("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"),
            None
        );
        assert_eq!(plain_account(""), None);
    }
}
