//! Intent before, outcome after: a deletion is on stable storage before its first byte leaves,
//! and its outcome is before its caller sees the answer. Reads and writes pass straight through.
//!
//! The last layer: only it makes [`Cleared`], which is all that `outbound` sends, and only it
//! opens [`Unrecorded`], which is all that `outbound` gives back.

mod deletion;
mod verdict;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http::header::AUTHORIZATION;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::check::CheckFuture;
use super::credentials::Equipped;
use super::deletions::Deletions;
use super::exchange::Exchange;
use crate::audit::Trail;
use crate::audit::entry::{Caller, Cuts, Intent};
use crate::contract::Effect;
use crate::forward::{Delivery, Outgoing, Report};
use crate::refusal::{Checked, Refusal};
use crate::request::Body;

/// A request that may be sent: it deletes nothing, or its intent is on stable storage.
#[derive(Debug)]
pub struct Cleared {
    outgoing: Outgoing,
}

impl Cleared {
    /// What is to be sent.
    #[must_use]
    pub fn into_outgoing(self) -> Outgoing {
        self.outgoing
    }

    /// For tests of what stands behind this layer.
    #[cfg(test)]
    #[must_use]
    pub fn for_test(outgoing: Outgoing) -> Self {
        Self { outgoing }
    }
}

/// Upstream's answer before its outcome is on record; only this layer can open it.
#[derive(Debug)]
pub struct Unrecorded {
    report: Report,
}

impl Unrecorded {
    /// What `outbound` gives back.
    #[must_use]
    pub fn new(report: Report) -> Self {
        Self { report }
    }

    /// For tests of `outbound` alone.
    #[cfg(test)]
    #[must_use]
    pub fn open_for_test(self) -> Report {
        self.report
    }
}

/// The layer. `origins` is how many origins are configured: with more than one, none may hold more
/// than a quarter of the deletion slots.
#[must_use]
pub fn layer(trail: Trail, deletions: Deletions, config: Arc<str>, origins: usize) -> RecordLayer {
    RecordLayer(Arc::new(Recorder {
        trail,
        deletions,
        config,
        shared: origins > 1,
    }))
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct RecordLayer(Arc<Recorder>);

/// What a record needs.
#[derive(Clone, Debug)]
pub struct Recorder {
    trail: Trail,
    deletions: Deletions,
    config: Arc<str>,
    shared: bool,
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct Record<S> {
    recorder: Arc<Recorder>,
    inner: S,
}

impl<S> Layer<S> for RecordLayer {
    type Service = Record<S>;

    fn layer(&self, inner: S) -> Record<S> {
        Record {
            recorder: Arc::clone(&self.0),
            inner,
        }
    }
}

impl<S> Service<Equipped> for Record<S>
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

    fn call(&mut self, equipped: Equipped) -> Self::Future {
        let prepared = Prepared::new(equipped, &self.recorder.config);
        match prepared.intent {
            Some(intent) => CheckFuture::waits(deletion::run(
                Recorder::clone(&self.recorder),
                intent,
                prepared.outgoing,
                prepared.exchange,
                self.inner.clone(),
            )),
            None => CheckFuture::passed(Passing {
                sending: self.inner.call(Cleared {
                    outgoing: prepared.outgoing,
                }),
                exchange: prepared.exchange,
            }),
        }
    }
}

pin_project! {
    /// A read or a write on its way: it needs no record.
    #[derive(Debug)]
    pub struct Passing<F> {
        #[pin]
        sending: F,
        exchange: Arc<Exchange>,
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
        Poll::Ready(verdict::pass(unrecorded.report, this.exchange))
    }
}

/// What is sent, and what is written of it where it deletes.
struct Prepared {
    outgoing: Outgoing,
    intent: Option<Intent>,
    exchange: Arc<Exchange>,
}

impl Prepared {
    fn new(equipped: Equipped, config: &str) -> Self {
        let (conforming, origin, authorization) = equipped.into_parts();
        let (routed, identity, users, body) = conforming.into_parts();
        let account = Arc::clone(routed.account());
        let (mut head, operation, exchange) = routed.into_parts();
        let intent = (operation.effect == Effect::Delete).then(|| Intent {
            request_id: exchange.request_id().to_owned(),
            operation: operation.name.to_string(),
            account: account.to_string(),
            users,
            caller: Caller {
                issuer: identity.issuer.clone(),
                subject: identity.subject.clone(),
                client: identity.client.clone(),
            },
            token_id: identity.token_id.clone(),
            if_match: exchange.if_match.get().cloned(),
            domain: origin.to_string(),
            client_ip: exchange.peer.ip().to_owned(),
            config: config.to_owned(),
            rule: None,
            group: None,
            part: None,
            parts: None,
            cut: Cuts::new(),
        });
        match authorization {
            Some(value) => {
                head.headers.insert(AUTHORIZATION, value);
            }
            None => {
                head.headers.remove(AUTHORIZATION);
            }
        }
        let outgoing = Outgoing {
            origin,
            head,
            body,
            delivery: match operation.effect {
                Effect::Read => Delivery::Repeatable,
                Effect::Write => Delivery::Once,
                Effect::Delete => Delivery::Deletion,
            },
            request_id: exchange.request_id.clone(),
            peer: exchange.peer.clone(),
        };
        Self {
            outgoing,
            intent,
            exchange,
        }
    }
}
