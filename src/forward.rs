//! The types that the record layer and `outbound` share, so that neither depends on the other.

use std::borrow::Cow;
use std::sync::Arc;

use http::Response;
use http::request::Parts;

use crate::request::{Body, RequestContext};

/// A request that passed every check, ready for upstream.
#[derive(Debug)]
pub struct Outgoing {
    /// The wire method (not the effective one), the target byte for byte, and the caller's headers.
    /// `authorization`, if present, is already the one for upstream; `outbound::headers` removes
    /// the headers that must not go there.
    pub head: Box<Parts>,
    /// The body for upstream.
    pub body: Body,
    /// How the client may send it.
    pub delivery: Delivery,
    /// The facts of the request; its origin is the destination.
    pub context: Arc<RequestContext>,
}

/// How the client may send a request, by its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// A read: the client may send it again if a reused connection ends before any byte of the
    /// answer.
    Repeatable,
    /// A write: the client may send it again only if no byte was sent.
    Once,
    /// A deletion: as for a write, and only on a connection that is new or was used within the last
    /// second. An answer that is not final and well-formed (408, early, ambiguous framing, 101, an
    /// unknown status) is a failure.
    Deletion,
}

/// The result of sending a request.
#[derive(Debug)]
pub struct Report {
    /// The answer, or the reason for its absence.
    pub reply: Result<Response<Body>, Failure>,
    /// The number of connections that the client tried, including failed ones; 0 if none became
    /// free.
    pub attempts: u32,
}

/// The client received no valid answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// Whether any byte of this request was sent. TLS handshakes and other requests on the
    /// connection do not count.
    pub bytes_left: bool,
    /// The explanation for the log, without secrets. It may name the origin and its addresses, so the
    /// caller does not see it.
    pub detail: Cow<'static, str>,
}

/// Kinds of failure between the gateway and upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: refused, unresolved, TLS failed, or timed out.
    Unreachable,
    /// No connection to this origin became free in time.
    Saturated,
    /// The head of the answer did not arrive in time.
    Timeout,
    /// The connection ended before the head of the answer.
    ConnectionLost,
    /// The answer was invalid.
    Protocol,
    /// The caller's body ended in an error before the client had sent all of it.
    RequestBody,
}

impl FailureKind {
    /// The name in logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Saturated => "saturated",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "connection-lost",
            Self::Protocol => "protocol",
            Self::RequestBody => "request-body",
        }
    }
}
