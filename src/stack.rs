//! The request stack, outermost layer first. Begin here to read how the gateway checks a request.
//!
//! The types enforce the order. Each layer takes one stage type and returns the next. Only the file of a
//! layer can make the stage that the layer returns. In the layers before `route`, a request is an
//! [`http::Request`]. The layer `limits` turns the body into a [`Bounded`](layers::limits::Bounded). The
//! right order compiles:
//!
//! ```
//! # use lychgate::layers;
//! # fn assemble<S: Clone>(trail: lychgate::audit::Trail, deletions: layers::record::Deletions,
//! #     credentials: std::sync::Arc<layers::credentials::Credentials>, outbound: S)
//! # where S: tower::Service<layers::record::Cleared, Response = layers::record::Unrecorded,
//! #     Error = std::convert::Infallible> + Send + 'static, S::Future: Send {
//! # fn takes<T, S: tower::Service<T>>(_: S) {}
//! let stack = tower::ServiceBuilder::new()
//!     .layer(layers::credentials::layer(credentials))
//!     .layer(layers::record::layer(trail, deletions, "hash".into(), 1))
//!     .service(outbound);
//! takes::<layers::domain::Addressed, _>(stack);
//! # }
//! ```
//!
//! Without the record layer, the stack does not compile, because `outbound` accepts only `Cleared`:
//!
//! ```compile_fail
//! # use lychgate::layers;
//! # fn assemble<S: Clone>(trail: lychgate::audit::Trail, deletions: layers::record::Deletions,
//! #     credentials: std::sync::Arc<layers::credentials::Credentials>, outbound: S)
//! # where S: tower::Service<layers::record::Cleared, Response = layers::record::Unrecorded,
//! #     Error = std::convert::Infallible> + Send + 'static, S::Future: Send {
//! # fn takes<T, S: tower::Service<T>>(_: S) {}
//! let stack = tower::ServiceBuilder::new()
//!     .layer(layers::credentials::layer(credentials))
//!     .service(outbound);
//! takes::<layers::domain::Addressed, _>(stack);
//! # }
//! ```
//!
//! With two layers swapped, the stack does not compile either:
//!
//! ```compile_fail
//! # use lychgate::layers;
//! # fn assemble<S: Clone>(trail: lychgate::audit::Trail, deletions: layers::record::Deletions,
//! #     credentials: std::sync::Arc<layers::credentials::Credentials>, outbound: S)
//! # where S: tower::Service<layers::record::Cleared, Response = layers::record::Unrecorded,
//! #     Error = std::convert::Infallible> + Send + 'static, S::Future: Send {
//! # fn takes<T, S: tower::Service<T>>(_: S) {}
//! let stack = tower::ServiceBuilder::new()
//!     .layer(layers::record::layer(trail, deletions, "hash".into(), 1))
//!     .layer(layers::credentials::layer(credentials))
//!     .service(outbound);
//! takes::<layers::domain::Addressed, _>(stack);
//! # }
//! ```
//!
//! `route` accepts only a body that `limits` has bounded, so the first of these two stacks compiles and the
//! second does not:
//!
//! ```
//! # use lychgate::{layers, refusal::Refusal, request::{Body, Limits}};
//! # fn assemble<S: Clone>(limits: Limits, contracts: std::sync::Arc<lychgate::contract::Contracts>,
//! #     behind: S) where S: tower::Service<layers::route::Routed, Response = http::Response<Body>,
//! #     Error = Box<Refusal>> {
//! # fn takes<T, S: tower::Service<T>>(_: S) {}
//! let stack = tower::ServiceBuilder::new()
//!     .layer(layers::limits::layer(limits))
//!     .layer(layers::route::layer(contracts))
//!     .service(behind);
//! takes::<http::Request<Body>, _>(stack);
//! # }
//! ```
//!
//! ```compile_fail
//! # use lychgate::{layers, refusal::Refusal, request::{Body, Limits}};
//! # fn assemble<S: Clone>(limits: Limits, contracts: std::sync::Arc<lychgate::contract::Contracts>,
//! #     behind: S) where S: tower::Service<layers::route::Routed, Response = http::Response<Body>,
//! #     Error = Box<Refusal>> {
//! # fn takes<T, S: tower::Service<T>>(_: S) {}
//! let stack = tower::ServiceBuilder::new()
//!     .layer(layers::route::layer(contracts))
//!     .service(behind);
//! takes::<http::Request<Body>, _>(stack);
//! # }
//! ```
//!
//! The types fix the order of the outer three layers as well: only `request_id` takes a request with its
//! peer, `Logged` is the answer of `access_log`, and only `refuse` turns every refusal into an answer.
//!
//! The stack uses one layer of tower-http: `sensitive_headers` hides tokens from debug output. Other layers
//! of tower-http would fit before `route` too, but are not suitable:
//!
//! - `catch_panic` boxes the body of every answer once more, and its handler does not see the request that it
//!   refuses. `refuse` catches panics with the same `catch_unwind` combinator, and also records the refusal.
//! - `request_id` keeps an id that the caller sends. The trail may already hold that id.
//! - `limit` answers a long body without a problem document. `timeout::RequestBodyDeadline` starts a timer
//!   for every body, while `limits` starts a timer only if it must wait for the body.
//! - `timeout` drops the inner future when the time is over, so a deletion would lose its answer.
//! - `set_header` sees only the answer, but the value of `x-request-id` comes from the request.
//! - `trace` logs the whole target, which may hold a token.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Request;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use tower::{Service, ServiceBuilder};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;

use crate::clock::Clock;
use crate::contract::Contracts;
use crate::layers::access_log::Logged;
use crate::layers::credentials::Credentials;
use crate::layers::record::Deletions;
use crate::layers::refuse::Answering;
use crate::metrics::Metrics;
use crate::outbound::client::Client;
use crate::request::{Body, Limits, Peer, Received};
use crate::token::Verifier;
use crate::{audit, domain, layers};

/// The parts from which the gateway builds the stack.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// The contracts in force.
    pub(crate) contracts: Arc<Contracts>,
    /// The verifier of tokens.
    pub(crate) verifier: Arc<Verifier>,
    /// The origin of each account.
    pub(crate) domains: Arc<domain::Directory>,
    /// The credentials for upstream.
    pub(crate) credentials: Arc<Credentials>,
    /// The limits on requests.
    pub(crate) limits: Limits,
    /// Hash of the config in force.
    pub(crate) config: Arc<str>,
    /// The client for upstream.
    pub(crate) client: Client,
    /// The trail; kept across reloads.
    pub(crate) trail: audit::Trail,
    /// Deletions in flight; kept across reloads.
    pub(crate) deletions: Deletions,
    /// Metrics; kept across reloads.
    pub(crate) metrics: Metrics,
    /// The clock.
    pub(crate) clock: Clock,
}

/// The half of the stack that a reload swaps: `refuse` and the layers after it.
type Inner = dyn Fn(Request<Body>) -> Answering + Send + Sync;

/// The complete stack. It is cheap to clone; a reload swaps its inner half.
#[derive(Clone)]
pub(crate) struct Stack {
    clock: Clock,
    metrics: Metrics,
    secrets: SetSensitiveRequestHeadersLayer,
    /// The inner half, which a reload swaps.
    inner: Arc<ArcSwap<Box<Inner>>>,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stack")
    }
}

impl Stack {
    /// Builds the stack.
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            clock: parts.clock.clone(),
            metrics: parts.metrics.clone(),
            secrets: secrets(),
            inner: Arc::new(ArcSwap::from_pointee(inner(parts))),
        }
    }

    /// Swaps the inner half. New requests use the new half, and requests in flight finish in the old half.
    pub(crate) fn replace(&self, parts: Parts) {
        self.inner.store(Arc::new(inner(parts)));
    }

    /// Answers one request of this caller, or one head that is no request.
    pub(crate) fn handle(&self, received: Received, peer: &Peer) -> Logged<Answering> {
        let mut stack = ServiceBuilder::new()
            .layer(layers::request_id::layer(&self.clock))
            .layer(&self.secrets)
            .layer(layers::access_log::layer(&self.metrics))
            .service_fn(|request| (self.inner.load())(request));
        stack.call((received, peer.clone()))
    }
}

/// Marks the headers that hold tokens, so that no debug output shows them.
fn secrets() -> SetSensitiveRequestHeadersLayer {
    SetSensitiveRequestHeadersLayer::new([AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE])
}

fn inner(parts: Parts) -> Box<Inner> {
    let (config, client) = (parts.config, parts.client);
    let origins = parts.domains.origin_count();
    let stack = ServiceBuilder::new()
        .layer(layers::refuse::layer(
            parts.trail.clone(),
            Arc::clone(&config),
        ))
        .layer(layers::limits::layer(parts.limits))
        .layer(layers::route::layer(parts.contracts))
        .layer(layers::authenticate::layer(parts.verifier))
        .layer(layers::authorize::layer())
        .layer(layers::conform::layer())
        .layer(layers::domain::layer(parts.domains))
        .layer(layers::credentials::layer(parts.credentials))
        // The planned layer for deletion budgets (P15 in README.md) belongs here.
        .layer(layers::record::layer(
            parts.trail,
            parts.deletions,
            config,
            origins,
        ))
        .service_fn(move |cleared| client.send(cleared));
    Box::new(move |request| stack.clone().call(request))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;

    use super::*;

    #[tokio::test]
    async fn p8_no_debug_output_of_a_request_shows_a_token() {
        let shown = tower::service_fn(async |request: Request<Body>| {
            Ok::<_, Infallible>(Response::new(format!("{request:?}")))
        });
        let mut stack = ServiceBuilder::new().layer(&secrets()).service(shown);
        let mut request = Request::builder();
        for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
            request = request.header(name, "s3cret");
        }
        let request = request.body(Body::Empty).unwrap();
        assert!(format!("{request:?}").contains("s3cret"));
        let Ok(shown) = stack.call(request).await;
        assert!(!shown.body().contains("s3cret"), "{}", shown.body());
    }
}
