//! The types that the record layer and `outbound` share, so that neither depends on the other.

use std::borrow::Cow;
use std::sync::Arc;

use http::Response;
use http::request::Parts;

use crate::request::{Body, RequestContext};

/// A request that passed every check, ready for upstream.
#[derive(Debug)]
pub struct Outgoing {
    /// The method on the wire (not the effective method), the target byte for byte, and the caller's headers.
    /// `authorization`, if present, already holds the credentials for upstream. `outbound::headers` removes
    /// the headers that must not go upstream.
    pub head: Box<Parts>,
    /// The body for upstream.
    pub body: Body,
    /// How the client may send the request.
    pub delivery: Delivery,
    /// The context of the request. The origin in this context is the destination.
    pub context: Arc<RequestContext>,
}

/// How the client may send a request, by its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// A read. If a reused connection ends before any byte of the answer, the client may send the read again.
    Repeatable,
    /// A write. The client may send the write again only if no byte was sent.
    Once,
    /// A deletion. The rule of a write applies, and the connection must be new or used within the last
    /// second. The client treats these answers as failures: 408, an early answer, ambiguous framing, 101, and
    /// a status outside 200 to 599.
    Deletion,
}

/// The result of sending a request.
#[derive(Debug)]
pub struct Report {
    /// The answer, or the reason for its absence.
    pub reply: Result<Response<Body>, Failure>,
    /// The number of connections that the client tried, including failed connections. 0 if no connection
    /// became free.
    pub attempts: u32,
}

/// Why the client received no valid answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// Whether any byte of this request was sent. TLS handshakes and other requests on the
    /// connection do not count.
    pub bytes_left: bool,
    /// The status of a usable head that came, if the answer then failed before its body began.
    pub status: Option<u16>,
    /// The explanation for the log, without secrets. The caller does not see this text, because it may name
    /// the origin and its addresses.
    pub detail: Cow<'static, str>,
}

/// Kinds of failure between the gateway and upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The client could make no connection: refused, unresolved, failed TLS, or timed out.
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
    /// The name of the kind in logs.
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
