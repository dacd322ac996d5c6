//! Does the request fit the contract: account, user id, `v`, `ids`, `If-Match`, body, in this order.
//!
//! Only a body that must be judged is read, and what was judged is what is sent.

mod body;
mod head;

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use tower::{Layer, Service};

use super::authorize::Permitted;
use super::check::CheckFuture;
use super::route::Routed;
use crate::refusal::Refusal;
use crate::request::Body;
use crate::token::Identity;
use body::Judged;

/// A request that fits the contract.
#[derive(Debug)]
pub struct Conforming {
    routed: Routed,
    identity: Arc<Identity>,
    users: Vec<String>,
    body: Body,
}

impl Conforming {
    /// What `route` found.
    #[must_use]
    pub fn routed(&self) -> &Routed {
        &self.routed
    }

    /// The parts, for what is sent and recorded: the request, its caller, whom a deletion names, its body.
    #[must_use]
    pub fn into_parts(self) -> (Routed, Arc<Identity>, Vec<String>, Body) {
        (self.routed, self.identity, self.users, self.body)
    }
}

/// The layer.
#[must_use]
pub fn layer() -> ConformLayer {
    ConformLayer
}

/// See [`layer`].
#[derive(Clone, Copy, Debug)]
pub struct ConformLayer;

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct Conform<S> {
    inner: S,
}

impl<S> Layer<S> for ConformLayer {
    type Service = Conform<S>;

    fn layer(&self, inner: S) -> Conform<S> {
        Conform { inner }
    }
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
        if let Err(refusal) = head::check(&permitted) {
            return CheckFuture::refused(refusal);
        }
        let (mut routed, identity) = permitted.into_parts();
        let content = routed.take_body();
        match body::judge(&routed, content) {
            Ok(Judged::Fits { users, body }) => CheckFuture::passed(self.inner.call(Conforming {
                routed,
                identity,
                users,
                body,
            })),
            Ok(Judged::MustBeRead(content)) => {
                let mut inner = self.inner.clone();
                CheckFuture::waits(async move {
                    let (routed, users, body) = body::read(routed, content).await?;
                    let conforming = Conforming {
                        routed,
                        identity,
                        users,
                        body,
                    };
                    inner.call(conforming).await
                })
            }
            Err(refusal) => CheckFuture::refused(refusal),
        }
    }
}
