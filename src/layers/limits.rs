//! Limits the target, the head and the body of each request, and the time that the body may take.
//!
//! The parser's own limits are higher, so this layer refuses a long target or head first, with a specific
//! refusal code.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, Uri};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::check::CheckLayer;
use crate::refusal::{Checked, Code, Refusal};
use crate::request::{Body, BodyFault, BoxError, Limits, RequestContext};

/// A body with a length limit and a time limit. `route` accepts only such a body.
#[derive(Debug)]
pub struct Bounded(Body);

impl Bounded {
    /// Whether the request has no body. An empty chunked body counts as a body.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.0, Body::Empty)
    }

    /// Returns the inner body, so that a layer can read or send it.
    #[must_use]
    pub fn into_inner(self) -> Body {
        self.0
    }
}

/// Makes the layer that refuses a request beyond the limits.
pub fn layer(
    limits: Limits,
) -> CheckLayer<impl Fn(Request<Body>) -> Checked<Request<Bounded>> + Clone> {
    CheckLayer(move |request: Request<Body>| check(&limits, request))
}

fn check(limits: &Limits, request: Request<Body>) -> Checked<Request<Bounded>> {
    check_target(limits, request.uri())?;
    check_head(limits, request.headers())?;
    check_length(limits, request.headers())?;
    let (head, body) = request.into_parts();
    let bounded = match body {
        Body::Stream(_) => Body::stream(BoundedStream {
            body,
            left: limits.max_body_bytes,
            deadline: Instant::now() + limits.body_timeout,
            timer: None,
            context: Arc::clone(RequestContext::of(&head.extensions)),
        }),
        Body::Empty | Body::Whole(_) => body,
    };
    Ok(Request::from_parts(head, Bounded(bounded)))
}

fn check_target(limits: &Limits, uri: &Uri) -> Checked<()> {
    let bytes = uri.path_and_query().map_or(0, |pq| pq.as_str().len())
        + uri.authority().map_or(0, |a| a.as_str().len());
    let most = limits.max_uri_bytes;
    if bytes > most {
        return Refusal::new(
            Code::UriTooLong,
            format!("The request target has {bytes} bytes; {most} are allowed. Shorten the query."),
        )
        .refuse();
    }
    Ok(())
}

fn check_head(limits: &Limits, headers: &HeaderMap) -> Checked<()> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let most = limits.max_head_bytes;
    if bytes > most {
        return Refusal::new(
            Code::HeadersTooLarge,
            format!(
                "The header section has {bytes} bytes; {most} are allowed. Send fewer or shorter headers."
            ),
        )
        .refuse();
    }
    Ok(())
}

fn check_length(limits: &Limits, headers: &HeaderMap) -> Checked<()> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > limits.max_body_bytes) {
        return Refusal::body_too_large(limits.max_body_bytes).refuse();
    }
    Ok(())
}

/// A body that ends in an error if it is too long or too slow.
struct BoundedStream {
    body: Body,
    left: u64,
    deadline: Instant,
    /// Created at the first wait, because most bodies have already arrived and need no timer.
    timer: Option<Pin<Box<Sleep>>>,
    context: Arc<RequestContext>,
}

impl BoundedStream {
    fn fail(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.context.body_fault.learn(fault);
        Poll::Ready(Some(Err(fault.into())))
    }
}

impl http_body::Body for BoundedStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return match frame {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                    match this.left.checked_sub(bytes) {
                        Some(left) => {
                            this.left = left;
                            Poll::Ready(Some(Ok(frame)))
                        }
                        None => this.fail(BodyFault::TooLarge),
                    }
                }
                Some(Err(_)) => this.fail(BodyFault::Broken),
                None => Poll::Ready(None),
            };
        }
        let deadline = this.deadline;
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        this.fail(BodyFault::Late)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use http::HeaderValue;
    use http_body_util::{BodyExt, Full};

    use super::*;

    const LIMITS: Limits = Limits {
        max_uri_bytes: 20,
        max_head_bytes: 40,
        max_body_bytes: 4,
        body_timeout: Duration::from_millis(20),
        max_deletions: 1,
    };

    fn with_context(mut request: Request<Body>) -> Request<Body> {
        let peer = crate::request::Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let context = RequestContext::new(HeaderValue::from_static("id"), peer, &request);
        request.extensions_mut().insert(Arc::new(context));
        request
    }

    fn code(request: http::request::Builder) -> Option<Code> {
        let request = request.body(Body::Empty).unwrap();
        check(&LIMITS, request).err().map(|r| r.code)
    }

    /// Reads a body of this kind to its end, which must be an error.
    async fn fault(body: Body) -> Option<BodyFault> {
        let request = with_context(Request::new(body));
        let request = check(&LIMITS, request).unwrap();
        let context = Arc::clone(RequestContext::of(request.extensions()));
        assert!(request.into_body().into_inner().collect().await.is_err());
        context.body_fault.get().copied()
    }

    #[test]
    fn a_target_has_a_bound() {
        assert_eq!(code(Request::get("/aaaaaaaaaaaaaaaaaaa")), None);
        assert_eq!(
            code(Request::get("/aaaaaaaaaaaaaaaaaaaa")),
            Some(Code::UriTooLong)
        );
    }

    #[test]
    fn a_head_has_a_bound() {
        let large = Request::get("/").header("x", "a".repeat(40));
        assert_eq!(code(large), Some(Code::HeadersTooLarge));
    }

    #[test]
    fn a_declared_length_is_refused_before_the_body_is_read() {
        let large = Request::post("/").header("content-length", "5");
        assert_eq!(code(large), Some(Code::BodyTooLarge));
    }

    #[tokio::test]
    async fn a_streamed_body_ends_in_an_error_past_its_bound() {
        let body = Body::stream(Full::new(Bytes::from_static(b"12345")));
        assert_eq!(fault(body).await, Some(BodyFault::TooLarge));
    }

    struct Never;

    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_that_stops_is_late() {
        assert_eq!(fault(Body::stream(Never)).await, Some(BodyFault::Late));
    }

    #[tokio::test]
    async fn a_broken_body_is_told_apart() {
        assert_eq!(fault(Body::stream(Fails)).await, Some(BodyFault::Broken));
    }

    struct Fails;

    impl http_body::Body for Fails {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(Some(Err("cut".into())))
        }
    }
}
