//! Gives its context and its id to every request, and to every head that is no request. The caller, upstream,
//! the log and the trail see the same id.
//!
//! The id is a UUID of version 7 (RFC 9562 §5.7), so ids sort by time. The layer ignores an id that the
//! caller sends, because the trail may already hold that id.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Method, Request};
use tower::Service;
use tower::layer::{Layer, layer_fn};
use uuid::Builder;

use crate::clock::Clock;
use crate::random;
use crate::request::{Body, Peer, Received, RequestContext};

/// Makes the layer, which borrows the clock: a clone would cost every request, because the stack builds this
/// layer for each request.
pub(crate) fn layer<S>(clock: &Clock) -> impl Layer<S, Service = RequestId<'_, S>> {
    layer_fn(move |inner| RequestId { clock, inner })
}

/// The service that [`layer`] makes.
#[derive(Clone, Debug)]
pub(crate) struct RequestId<'a, S> {
    clock: &'a Clock,
    inner: S,
}

impl<S: Service<Request<Body>>> Service<(Received, Peer)> for RequestId<'_, S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, (received, peer): (Received, Peer)) -> S::Future {
        let id = new_id(self.clock);
        let (mut request, context) = match received {
            Ok(request) => {
                let context = RequestContext::new(id, peer, &request);
                (request, context)
            }
            Err(fault) => (stand_in(), RequestContext::without_request(id, peer, fault)),
        };
        request.extensions_mut().insert(Arc::new(context));
        self.inner.call(request)
    }
}

/// Makes a request in place of a head that is no request. Only `request_id`, `access_log` and `refuse` see it.
/// The access line shows its method.
fn stand_in() -> Request<Body> {
    let mut request = Request::new(Body::Empty);
    *request.method_mut() = Method::from_bytes(b"-").unwrap_or_default();
    request
}

fn new_id(clock: &Clock) -> HeaderValue {
    // If the system gives no random bytes, ids differ only by their milliseconds.
    let random = random::bytes().unwrap_or_default();
    let millis = u64::try_from(clock.now().micros() / 1_000).unwrap_or(0);
    let id = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    #[test]
    fn ids_are_uuids_that_sort_by_time() {
        let clock = Clock::manual(Time(1_764_000_000_000_000));
        let first = new_id(&clock);
        clock.advance(std::time::Duration::from_millis(1));
        let second = new_id(&clock);
        assert!(first.as_bytes() < second.as_bytes());
        let parsed: uuid::Uuid = second.to_str().unwrap().parse().unwrap();
        assert_eq!(parsed.get_version_num(), 7);
    }
}
