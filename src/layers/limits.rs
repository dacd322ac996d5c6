//! The bounds of one request: its target, its head, its body's length and time.
//!
//! The parser's own bounds lie higher, so what is merely too long gets its code here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::check::{Check, CheckLayer};
use super::exchange::{Arrival, BodyFault, Exchange};
use crate::refusal::{Checked, Code, Refusal};
use crate::request::{Body, BoxError, Limits};

/// The layer.
#[must_use]
pub fn layer(limits: Limits) -> CheckLayer<Bounds> {
    CheckLayer(Bounds { limits })
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct Bounds {
    limits: Limits,
}

impl Check for Bounds {
    type In = Arrival;
    type Out = Arrival;

    fn check(&self, arrival: Arrival) -> Checked<Arrival> {
        let Arrival {
            head,
            body,
            exchange,
        } = arrival;
        super::route::note_attempt(&head, &exchange);
        self.check_target(&head)?;
        self.check_head(&head)?;
        self.check_length(&head)?;
        Ok(Arrival {
            body: self.bounded(body, &exchange),
            head,
            exchange,
        })
    }
}

impl Bounds {
    fn check_target(&self, head: &Parts) -> Checked<()> {
        let uri = &head.uri;
        let bytes = uri.path_and_query().map_or(0, |pq| pq.as_str().len())
            + uri.authority().map_or(0, |a| a.as_str().len());
        if bytes > self.limits.max_uri_bytes {
            let most = self.limits.max_uri_bytes;
            return Refusal::new(
                Code::UriTooLong,
                format!("The request target has {bytes} bytes; {most} are allowed."),
            )
            .refuse();
        }
        Ok(())
    }

    fn check_head(&self, head: &Parts) -> Checked<()> {
        let bytes: usize = head
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        if bytes > self.limits.max_head_bytes {
            let most = self.limits.max_head_bytes;
            return Refusal::new(
                Code::HeadersTooLarge,
                format!("The header section has {bytes} bytes; {most} are allowed."),
            )
            .refuse();
        }
        Ok(())
    }

    fn check_length(&self, head: &Parts) -> Checked<()> {
        let declared = head
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse::<u64>().ok());
        if declared.is_some_and(|bytes| bytes > self.limits.max_body_bytes) {
            return too_large(self.limits.max_body_bytes).refuse();
        }
        Ok(())
    }

    fn bounded(&self, body: Body, exchange: &Arc<Exchange>) -> Body {
        let Body::Stream(_) = body else { return body };
        Body::stream(Bounded {
            body,
            left: self.limits.max_body_bytes,
            deadline: Instant::now() + self.limits.body_timeout,
            timer: None,
            exchange: Arc::clone(exchange),
        })
    }
}

/// The refusal of a body that is too long.
#[must_use]
pub fn too_large(most: u64) -> Refusal {
    Refusal::new(
        Code::BodyTooLarge,
        format!("The body is longer than the {most} bytes that are allowed."),
    )
}

/// The refusal that a faulty body leads to.
#[must_use]
pub fn refusal_of(fault: BodyFault) -> Refusal {
    match fault {
        BodyFault::TooLarge => Refusal::new(
            Code::BodyTooLarge,
            "The body is longer than this gateway allows ([limits] max_body_bytes).",
        ),
        BodyFault::Late => Refusal::new(
            Code::RequestTimeout,
            "The body did not arrive in time ([limits] body_timeout).",
        ),
        BodyFault::Broken => Refusal::new(
            Code::RequestMalformed,
            "The body was cut short, or its chunked framing is broken.",
        ),
    }
}

/// A body that ends in an error where it is too long or too slow.
struct Bounded {
    body: Body,
    left: u64,
    deadline: Instant,
    /// Made at the first wait: most bodies are there already.
    timer: Option<Pin<Box<Sleep>>>,
    exchange: Arc<Exchange>,
}

impl Bounded {
    fn fail(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.exchange.set_body_fault(fault);
        Poll::Ready(Some(Err(fault.into())))
    }
}

impl http_body::Body for Bounded {
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

    use http::{HeaderValue, Request};
    use http_body_util::{BodyExt, Full};

    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            limits: Limits {
                max_uri_bytes: 20,
                max_head_bytes: 40,
                max_body_bytes: 4,
                body_timeout: Duration::from_millis(20),
                max_deletions: 1,
            },
        }
    }

    fn arrival(request: Request<Body>) -> Arrival {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let exchange = Exchange::new(
            HeaderValue::from_static("id"),
            crate::request::Peer::new(peer),
        )
        .into();
        let (head, body) = request.into_parts();
        Arrival {
            head: head.into(),
            body,
            exchange,
        }
    }

    fn code(request: http::request::Builder) -> Option<Code> {
        let request = request.body(Body::Empty).unwrap();
        bounds().check(arrival(request)).err().map(|r| r.code)
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
        let arrival = bounds().check(arrival(Request::new(body))).unwrap();
        let exchange = Arc::clone(&arrival.exchange);
        assert!(arrival.body.collect().await.is_err());
        assert_eq!(exchange.body_fault(), Some(BodyFault::TooLarge));
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
        let arrival = bounds()
            .check(arrival(Request::new(Body::stream(Never))))
            .unwrap();
        let exchange = Arc::clone(&arrival.exchange);
        assert!(arrival.body.collect().await.is_err());
        assert_eq!(exchange.body_fault(), Some(BodyFault::Late));
    }

    #[tokio::test]
    async fn a_broken_body_is_told_apart() {
        let arrival = bounds()
            .check(arrival(Request::new(Body::stream(Fails))))
            .unwrap();
        let exchange = Arc::clone(&arrival.exchange);
        assert!(arrival.body.collect().await.is_err());
        assert_eq!(exchange.body_fault(), Some(BodyFault::Broken));
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
