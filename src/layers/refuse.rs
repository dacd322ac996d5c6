//! Turns a refusal into an answer, catches a panic, and hands a refused deletion to the trail.
//!
//! The trail records the refused deletions of known callers. The trail only counts the refused deletions of
//! unknown callers, so that a flood cannot fill the disk. The answer does not wait for the trail. The layer
//! also puts `x-request-id` on every answer.
//!
//! A head that is no request ends here: the layers behind see only requests.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http::{HeaderName, Request, Response};
use tower::Service;
use tower::layer::{Layer, layer_fn};

use crate::audit::Trail;
use crate::audit::entry::Sent;
use crate::refusal::record::record;
use crate::refusal::{Refusal, problem};
use crate::request::{Body, RequestContext};

/// The header with the gateway's id of the request. Every answer has this header.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes the layer that turns refusals and panics into answers.
pub(crate) fn layer<S>(trail: Trail, config: Arc<str>) -> impl Layer<S, Service = Refuse<S>> {
    let recorder = Arc::new(Recorder { trail, config });
    layer_fn(move |inner| Refuse {
        recorder: Arc::clone(&recorder),
        inner,
    })
}

/// The service that [`layer`] makes.
#[derive(Clone, Debug)]
pub(crate) struct Refuse<S> {
    recorder: Arc<Recorder>,
    inner: S,
}

/// The future of an answer. It is boxed so that a reload can swap the service that makes it.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Refuse<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Box<Refusal>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let context = Arc::clone(RequestContext::of(request.extensions()));
        if let Some(fault) = &context.head_fault {
            let response = self.recorder.refuse(&Refusal::of_head(fault), &context);
            return Box::pin(ready(Ok(response)));
        }
        let recorder = Arc::clone(&self.recorder);
        // The checks run inside `call`, so they can panic here. Each request has its own clone of the
        // service, so no other request uses a service that panicked.
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        Box::pin(async move {
            let result = match called {
                Ok(answering) => AssertUnwindSafe(answering).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            Ok(match result {
                Ok(Ok(response)) => identified(response, &context),
                Ok(Err(refusal)) => recorder.refuse(&refusal, &context),
                // The panic hook has already logged the panic and its place.
                Err(_panic) => recorder.refuse(&defect(&context), &context),
            })
        })
    }
}

/// Puts the request's id on the answer.
fn identified(mut response: Response<Body>, context: &RequestContext) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, context.request_id.clone());
    response
}

fn defect(context: &RequestContext) -> Refusal {
    let sent = if context.recorded.load(Ordering::Relaxed) {
        Sent::Unknown
    } else {
        Sent::No
    };
    Refusal::defect().with_sent(sent)
}

#[derive(Debug)]
struct Recorder {
    trail: Trail,
    config: Arc<str>,
}

impl Recorder {
    fn refuse(&self, refusal: &Refusal, context: &RequestContext) -> Response<Body> {
        record(&self.trail, &self.config, refusal, context);
        identified(problem::response(refusal, context), context)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::SocketAddr;
    use std::path::Path;
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::audit::Settings;
    use crate::audit::status::space::Levels;
    use crate::clock::Clock;
    use crate::metrics::Metrics;
    use crate::request::Peer;

    /// A trail that takes nothing: its folder and key are not there.
    pub(in crate::layers) fn closed_trail() -> Trail {
        trail_in(&std::env::temp_dir().join("lychgate-no-such-folder"))
    }

    /// The trail of the origin `test` in this folder, with the key `audit.key`.
    pub(in crate::layers) fn trail_in(folder: &Path) -> Trail {
        let settings = Settings {
            key_file: folder.join("audit.key"),
            directory: folder.join("audit"),
            origin: "test".into(),
            sync_timeout: Duration::from_secs(600),
            segment_bytes: 2 << 20,
            space: Levels::default(),
            seen_file: folder.join("audit.seen"),
            heartbeat: Duration::from_secs(3_600),
        };
        Trail::open(settings, Clock::system(), Metrics::new())
    }

    fn request() -> Request<Body> {
        let mut request = Request::new(Body::Empty);
        let peer = Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let context = RequestContext::new(HeaderValue::from_static("id"), peer, &request);
        request.extensions_mut().insert(Arc::new(context));
        request
    }

    async fn is_refused_as_internal<S>(inner: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Box<Refusal>>,
        S::Future: Send + 'static,
    {
        let request = request();
        let context = Arc::clone(RequestContext::of(request.extensions()));
        let mut refuse = layer(closed_trail(), "hash".into()).layer(inner);
        let Ok(response) = refuse.call(request).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["lychgate-refusal"], "internal");
        assert_eq!(response.headers()["x-request-id"], "id");
        assert_eq!(context.refused.get().unwrap().code, "internal");
    }

    #[tokio::test]
    async fn p11_a_panic_is_answered_as_internal() {
        is_refused_as_internal(tower::service_fn(|_| {
            if std::hint::black_box(true) {
                panic!("a defect of a check");
            }
            ready(Ok(Response::new(Body::Empty)))
        }))
        .await;
        is_refused_as_internal(tower::service_fn(async |_| {
            if std::hint::black_box(true) {
                panic!("a defect behind the checks");
            }
            Ok(Response::new(Body::Empty))
        }))
        .await;
    }
}
