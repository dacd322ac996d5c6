//! Turns a refusal into its answer, contains a panic, and hands a refused deletion to the trail.
//!
//! A known caller's refusal is recorded; an unknown one's is counted, so that a flood cannot fill
//! the disk. Neither waits. It also puts `x-request-id` on every answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::Response;
use tower::{Layer, Service};

use super::contain::contained;
use super::exchange::{Arrival, Exchange};
use super::problem;
use crate::audit::Trail;
use crate::audit::entry::{Caller, Refused};
use crate::refusal::{Code, Refusal, Sent};
use crate::request::Body;

/// The layer.
#[must_use]
pub fn layer(trail: Trail, config: Arc<str>) -> RefuseLayer {
    RefuseLayer {
        recorder: Arc::new(Recorder { trail, config }),
    }
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct RefuseLayer {
    recorder: Arc<Recorder>,
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct Refuse<S> {
    recorder: Arc<Recorder>,
    inner: S,
}

impl<S> Layer<S> for RefuseLayer {
    type Service = Refuse<S>;

    fn layer(&self, inner: S) -> Refuse<S> {
        Refuse {
            recorder: Arc::clone(&self.recorder),
            inner,
        }
    }
}

/// An answer to come.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Arrival> for Refuse<S>
where
    S: Service<Arrival, Response = Response<Body>, Error = Box<Refusal>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, arrival: Arrival) -> Self::Future {
        self.answer(arrival)
    }
}

impl<S> Refuse<S>
where
    S: Service<Arrival, Response = Response<Body>, Error = Box<Refusal>> + Clone + Send + 'static,
    S::Future: Send,
{
    /// As `call`, but shared by all requests: each gets a clone of what stands behind.
    pub fn answer(&self, arrival: Arrival) -> Answering {
        let exchange = Arc::clone(&arrival.exchange);
        let recorder = Arc::clone(&self.recorder);
        let mut inner = self.inner.clone();
        Box::pin(async move {
            // The checks run inside `call`, so that is contained as well.
            let result = contained(async move { inner.call(arrival).await }).await;
            let mut response = match result {
                Ok(Ok(response)) => response,
                Ok(Err(refusal)) => recorder.refuse(&refusal, &exchange),
                Err(_) => recorder.refuse(&defect(&exchange), &exchange),
            };
            response
                .headers_mut()
                .insert(problem::REQUEST_ID, exchange.request_id.clone());
            Ok(response)
        })
    }
}

fn defect(exchange: &Exchange) -> Refusal {
    let sent = if exchange.recorded.load(Ordering::Relaxed) {
        Sent::Unknown
    } else {
        Sent::No
    };
    Refusal::new(
        Code::Internal,
        "The gateway has a defect that this request met. Its log holds the place.",
    )
    .with_sent(sent)
}

#[derive(Debug)]
struct Recorder {
    trail: Trail,
    config: Arc<str>,
}

/// Hands a refused deletion to the trail, once: a deletion's own task does so as well, since its
/// caller, and this layer with it, may be gone by then.
pub(super) fn put_on_record(trail: &Trail, config: &str, refusal: &Refusal, exchange: &Exchange) {
    let is_first = exchange.code.set(refusal.code.as_str()).is_ok();
    if !is_first || !exchange.is_deletion() || exchange.recorded.load(Ordering::Relaxed) {
        return;
    }
    match entry(config, refusal, exchange) {
        Some(entry) => trail.refused(entry),
        None => trail.turned_away(refusal.code.as_str()),
    }
}

impl Recorder {
    fn refuse(&self, refusal: &Refusal, exchange: &Exchange) -> Response<Body> {
        put_on_record(&self.trail, &self.config, refusal, exchange);
        problem::response(refusal, exchange.request_id())
    }
}

/// A refused text is on record as it came, but a token that was put in the wrong place is not (P8):
/// every JWT begins with `eyJ`, the base64 of `{"`.
fn without_token(text: &str) -> String {
    if text.contains("eyJ") {
        "(withheld: it looks like a token)".to_owned()
    } else {
        text.to_owned()
    }
}

/// The entry, where the caller and the operation are known.
fn entry(config: &str, refusal: &Refusal, exchange: &Exchange) -> Option<Refused> {
    let identity = exchange.identity.get()?;
    let operation = exchange.operation.get()?;
    let named = exchange.named.get().cloned().unwrap_or_default();
    Some(Refused {
        request_id: exchange.request_id().to_owned(),
        operation: operation.name.to_string(),
        account: exchange
            .account
            .get()
            .map(|account| without_token(account))
            .unwrap_or_default(),
        user_count: named.user_count as u64,
        users: named.users.iter().map(|user| without_token(user)).collect(),
        body_sha256: named.body_sha256,
        caller: Caller {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            client: identity.client.clone(),
        },
        token_id: identity.token_id.clone(),
        if_match: exchange.if_match.get().map(|value| without_token(value)),
        domain: exchange.origin.get().map(ToString::to_string),
        client_ip: exchange.peer.ip().to_owned(),
        config: config.to_owned(),
        code: refusal.code.as_str().to_owned(),
        rule: None,
        cut: crate::audit::entry::Cuts::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_a_token_in_the_wrong_place_is_not_recorded() {
        assert!(!without_token("eyJhbGciOiJFUzI1NiJ9.e30.c2ln").contains("eyJ"));
        assert_eq!(without_token("700100001"), "700100001");
    }
}
