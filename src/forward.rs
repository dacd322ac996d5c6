//! The types that the record layer and the client of `outbound` share, so that neither
//! needs to know the other.

use std::borrow::Cow;
use std::sync::Arc;

use http::Response;
use http::request::Parts;

use crate::request::{Body, RequestContext};

/// A request that passed every check, as it is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// The method on the wire (not the effective one) and the target, byte for byte as they came;
    /// the caller's headers, still with all that `outbound::headers` takes away, but the
    /// `authorization` in them is already the one that goes upstream, if any.
    pub head: Box<Parts>,
    /// The body as it is to be sent.
    pub body: Body,
    /// How it may be sent.
    pub delivery: Delivery,
    /// Its facts; the origin is where to.
    pub context: Arc<RequestContext>,
}

/// How a request may be sent, by its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// A read: may be sent once more if a used connection died before any byte of the answer.
    Repeatable,
    /// A write: sent again only if no byte has left.
    Once,
    /// A deletion: as a write, and only on a connection that is new or was used within the last second;
    /// an answer that does not count (408, early, two framings, 101, a strange status) is a failure.
    Deletion,
}

/// How it went.
#[derive(Debug)]
pub struct Report {
    /// The answer, or why there is none.
    pub reply: Result<Response<Body>, Failure>,
    /// How many connections the request was tried on, one that could not be made included;
    /// 0 if none came free.
    pub attempts: u32,
}

/// No answer that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of trouble.
    pub kind: FailureKind,
    /// Whether any byte of the request left (not: TLS or other requests on that connection).
    pub bytes_left: bool,
    /// For the caller and the log; no secret.
    pub detail: Cow<'static, str>,
}

/// Kinds of trouble on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: refused, unresolved, TLS failed, or none in time.
    Unreachable,
    /// No free connection to this origin in time.
    Saturated,
    /// No answer's head in time.
    Timeout,
    /// The connection ended before an answer's head.
    ConnectionLost,
    /// The answer does not count.
    Protocol,
    /// The caller's body ended in an error before it was sent in full.
    RequestBody,
}
