//! Writes one access line per request and counts the request, even if the caller hangs up before the answer.
//!
//! The line comes when the answer's body has ended, so it says if the body broke off. Its time and its status
//! are those of the answer's head.
//!
//! The line holds no query and no header, because these may hold a token. From the path, the line holds only
//! the account id, and only if the id is valid. For a refused request, the line holds the full detail of the
//! refusal, which the caller does not see.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::Service;
use tower::layer::{Layer, layer_fn};

use crate::contract::path;
use crate::metrics::Metrics;
use crate::request::{Body, BoxError, RequestContext};

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
    type Response = Response<LoggedBody>;
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
            answered: None,
            broken: None,
        };
        Logged {
            future: self.inner.call(request),
            record: Some(record),
        }
    }
}

pin_project! {
    /// The future of an answer.
    #[derive(Debug)]
    pub(crate) struct Logged<F> {
        #[pin]
        future: F,
        record: Option<AccessRecord>,
    }
}

impl<F, E> Future for Logged<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<LoggedBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        let record = this.record.take();
        Poll::Ready(result.map(|response| {
            let status = response.status().as_u16();
            response.map(|body| LoggedBody::new(body, record, status))
        }))
    }
}

/// The body of an answer. Writes the access line at its end.
#[derive(Debug)]
pub(crate) struct LoggedBody {
    body: Body,
    /// `None` once the line is written.
    record: Option<AccessRecord>,
}

impl LoggedBody {
    fn new(body: Body, mut record: Option<AccessRecord>, status: u16) -> Self {
        if let Some(record) = &mut record {
            record.answered = Some((status, record.context.started.elapsed()));
            record.broken = Some("the caller left before the end of the answer".into());
        }
        let mut logged = Self { body, record };
        // A body that has come already cannot break off.
        if !matches!(logged.body, Body::Stream(_)) {
            logged.end(None);
        }
        logged
    }

    /// Writes the line, with the error that ended the body.
    fn end(&mut self, error: Option<&BoxError>) {
        if let Some(mut record) = self.record.take() {
            record.broken = error.map(|error| error.to_string().into());
        }
    }
}

impl http_body::Body for LoggedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(error)) => self.end(Some(error)),
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            _ => self.end(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The facts of an access line. A drop writes the line.
#[derive(Debug)]
struct AccessRecord {
    context: Arc<RequestContext>,
    method: http::Method,
    metrics: Metrics,
    /// The status of the answer, and the time from the request's head to it.
    answered: Option<(u16, Duration)>,
    /// Why the answer broke off, if it did.
    broken: Option<Cow<'static, str>>,
}

/// The status in the log and the metrics if the caller hung up before the answer was ready.
const CALLER_GONE: u16 = 499;

impl Drop for AccessRecord {
    fn drop(&mut self) {
        let context = &*self.context;
        let (status, elapsed) = self
            .answered
            .unwrap_or_else(|| (CALLER_GONE, context.started.elapsed()));
        let matched = context.matched.get();
        let operation = matched.map(|matched| &matched.operation.name);
        let refused = context.refused.get();
        let code = refused.map(|refused| refused.code).unwrap_or_default();
        let detail = refused.map(|refused| &refused.detail);
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
            detail = detail.or(self.broken.as_ref()).map(|detail| &**detail),
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
