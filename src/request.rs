//! The types that travel with a request: its body, the caller's end of the connection, and the context.

mod body;
mod origin;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::uri::Scheme;
use http::{Extensions, HeaderName, HeaderValue, Method, Request};

pub use body::{Body, BoxError};
pub use origin::Origin;

use crate::contract::{Effect, Operation};
use crate::token::Identity;

/// The only header that may override the method.
pub const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// Headers that the gateway checks, beside those that begin with `content-`. `Transfer-Encoding` is missing here,
/// because the gateway frames each body anew.
const CHECKED: [&str; 6] = [
    "authorization",
    "host",
    "if-match",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Whether the gateway checks this header, or upstream needs it to read the content. `Connection` may not
/// name such a header, because an intermediary drops what `Connection` names. The case of `name` is ignored.
#[must_use]
pub fn is_judged(name: &str) -> bool {
    const CONTENT: &str = "content-";
    let start = name.get(..CONTENT.len()).unwrap_or_default();
    start.eq_ignore_ascii_case(CONTENT) || CHECKED.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// The facts of one request. Up to the layer `route`, the request's extensions carry the context. From there
/// on, the stage types of the layers carry the context.
///
/// Each fact is learned by one layer, and read by the layers after that layer, the access log and the record
/// of a refusal.
#[derive(Debug)]
pub struct RequestContext {
    /// The gateway's id of the request.
    pub request_id: HeaderValue,
    /// The caller's end of the connection.
    pub peer: Peer,
    /// When the layer `request_id` got the head.
    pub started: Instant,
    /// Why the head is no request, if it is none. The layer `refuse` refuses it.
    pub head_fault: Option<HeadFault>,
    /// Whether the method or its override is `DELETE`.
    tries_deletion: bool,
    /// The operation and the target of the request, learned by the layer `route`.
    pub matched: Fact<Matched>,
    /// The caller, learned by the layer `authenticate`.
    pub identity: Fact<Arc<Identity>>,
    /// The users that the body of a batch deletion names, learned by the layer `conform`.
    pub batch: Fact<Batch>,
    /// The destination of the request, learned by the layer `domain`.
    pub origin: Fact<Arc<Origin>>,
    /// The first fault of the caller's body, learned by the layer `limits`.
    pub body_fault: Fact<BodyFault>,
    /// Whether an intent is on record. The layer `record` sets this flag.
    pub recorded: AtomicBool,
    /// The refusal, learned by the layer `refuse`, or by `record` for a deletion.
    pub refused: Fact<RefusedAs>,
}

/// A fact that one layer learns. Only the first value counts.
#[derive(Debug)]
pub struct Fact<T>(OnceLock<T>);

/// The operation and the target of a request. The layer `conform` checks the form of the account and the
/// user.
#[derive(Debug)]
pub struct Matched {
    /// The operation.
    pub operation: Arc<Operation>,
    /// The account in the path.
    pub account: String,
    /// The user in the path.
    pub user: Option<String>,
    /// The value of `If-Match`, if the request is a deletion.
    pub if_match: Option<String>,
}

/// The users that the body of a batch deletion names.
#[derive(Debug)]
pub struct Batch {
    /// The users. Empty if the body is not a valid list of user ids.
    pub users: Vec<String>,
    /// SHA-256 of the body in hexadecimal.
    pub body_sha256: String,
}

/// A refusal as the access line shows it.
#[derive(Debug)]
pub struct RefusedAs {
    /// The code of the refusal.
    pub code: &'static str,
    /// The full detail, for the operator.
    pub detail: Cow<'static, str>,
}

/// A fault of the caller's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// The body is longer than allowed.
    #[error("the body is longer than allowed")]
    TooLarge,
    /// The body took too long to arrive.
    #[error("the body took too long to arrive")]
    Late,
    /// The connection or its framing broke.
    #[error("the body was cut short or its framing is broken")]
    Broken,
}

/// Why a head is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// The head is not valid HTTP/1.1. Holds the parser's reason, which quotes nothing from the head.
    #[error("the head is not valid HTTP/1.1: {0}")]
    Malformed(String),
    /// The target is longer than the parser takes.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The head is longer than the parser takes, or has more lines.
    #[error("the head is too long or has too many lines")]
    TooLarge,
    /// The head took too long to arrive.
    #[error("the head took too long to arrive")]
    Late,
}

/// A request, or why its head is none.
pub type Received = Result<Request<Body>, HeadFault>;

impl RequestContext {
    /// The context of a new request.
    #[must_use]
    pub fn new<B>(request_id: HeaderValue, peer: Peer, request: &Request<B>) -> Self {
        Self {
            request_id,
            peer,
            started: Instant::now(),
            head_fault: None,
            tries_deletion: tries_deletion(request),
            matched: Fact::unknown(),
            identity: Fact::unknown(),
            batch: Fact::unknown(),
            origin: Fact::unknown(),
            body_fault: Fact::unknown(),
            recorded: AtomicBool::new(false),
            refused: Fact::unknown(),
        }
    }

    /// The context of a head that is no request.
    #[must_use]
    pub fn without_request(request_id: HeaderValue, peer: Peer, fault: HeadFault) -> Self {
        Self {
            head_fault: Some(fault),
            ..Self::new(request_id, peer, &Request::new(()))
        }
    }

    /// The context that the layer `request_id` has put into the extensions of a request.
    #[must_use]
    pub fn of(extensions: &Extensions) -> &Arc<Self> {
        match extensions.get() {
            Some(context) => context,
            None => unreachable!("the layer `request_id` is the outermost one"),
        }
    }

    /// The id of the request as text.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// Whether the request is a deletion. Until the operation is known, the method and its override decide.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        match self.matched.get() {
            Some(matched) => matched.operation.effect == Effect::Delete,
            None => self.tries_deletion,
        }
    }

    /// The users that the body or the path names.
    #[must_use]
    pub fn users(&self) -> &[String] {
        match (self.batch.get(), self.matched.get()) {
            (Some(batch), _) => &batch.users,
            (None, Some(matched)) => matched.user.as_slice(),
            (None, None) => &[],
        }
    }
}

fn tries_deletion<B>(request: &Request<B>) -> bool {
    let overrides = |(name, value): (&HeaderName, &HeaderValue)| {
        name == METHOD_OVERRIDE && value.as_bytes().eq_ignore_ascii_case(b"DELETE")
    };
    request.method() == Method::DELETE || request.headers().iter().any(overrides)
}

impl<T> Fact<T> {
    const fn unknown() -> Self {
        Self(OnceLock::new())
    }

    /// Keeps the value unless there is one already. Returns true if this value was the first.
    pub fn learn(&self, value: T) -> bool {
        self.0.set(value).is_ok()
    }

    /// The value, if it is known by now.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// The value. Only a layer whose stage proves that the fact is known calls this.
    #[must_use]
    pub fn known(&self) -> &T {
        match self.0.get() {
            Some(value) => value,
            None => unreachable!("the layer that learns this fact has not run"),
        }
    }
}

/// The most header lines of an answer from upstream.
pub(crate) const MAX_ANSWER_LINES: usize = 256;

/// The limits on requests, from the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the request target.
    pub max_uri_bytes: usize,
    /// The most bytes of the header section, names and values included.
    pub max_head_bytes: usize,
    /// The most bytes of a body.
    pub max_body_bytes: u64,
    /// The time limit from the head's end to the body's last byte.
    pub body_timeout: std::time::Duration,
    /// The most deletions in flight at once.
    pub max_deletions: usize,
}

/// The caller's end of a connection. `inbound` creates one peer per connection, so that its texts are
/// formatted only once.
#[derive(Clone, Debug)]
pub struct Peer(Arc<PeerFacts>);

#[derive(Debug)]
struct PeerFacts {
    address: SocketAddr,
    ip: String,
    forwarded: String,
}

impl Peer {
    /// The peer of a connection without TLS.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self::over(&Scheme::HTTP, address)
    }

    /// The peer of a connection with this scheme.
    #[must_use]
    pub fn over(scheme: &Scheme, address: SocketAddr) -> Self {
        // The text of an IPv4 address in the trail is the same whether the listener is IPv4 or IPv6.
        let ip = address.ip().to_canonical();
        let forwarded = match ip {
            IpAddr::V4(ip) => format!("for={ip};proto={scheme}"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\";proto={scheme}"),
        };
        let ip = ip.to_string();
        Self(Arc::new(PeerFacts {
            address,
            ip,
            forwarded,
        }))
    }

    /// The address of the connection.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The IP address for the log and the trail.
    #[must_use]
    pub fn ip(&self) -> &str {
        &self.0.ip
    }

    /// The peer as an element of `Forwarded` (RFC 7239, sections 5.2, 5.4 and 6).
    #[must_use]
    pub fn forwarded(&self) -> &str {
        &self.0.forwarded
    }
}

/// A header's value as text for the trail. If the value is not valid UTF-8, its bytes are escaped.
#[must_use]
pub fn header_text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_and_a_value_have_one_spelling() {
        let peer = Peer::new("[::ffff:10.0.0.1]:80".parse().unwrap());
        assert_eq!(
            (peer.ip(), peer.forwarded()),
            ("10.0.0.1", "for=10.0.0.1;proto=http")
        );
        let peer = Peer::over(&Scheme::HTTPS, "[2001:db8::1]:80".parse().unwrap());
        assert_eq!(peer.forwarded(), "for=\"[2001:db8::1]\";proto=https");
        let value = |bytes| header_text(&HeaderValue::from_bytes(bytes).unwrap());
        assert_eq!(value(b"12"), "12");
        assert_ne!(value(b"1\xfe"), value(b"1\xff"));
    }

    #[test]
    fn headers_of_the_checks_and_of_the_content_are_judged() {
        for name in ["If-Match", "x-http-method-override", "content-md5"] {
            assert!(is_judged(name), "{name}");
        }
        for name in [
            "transfer-encoding",
            "x-private",
            "content",
            "x-content-type",
            "",
        ] {
            assert!(!is_judged(name), "{name}");
        }
    }

    fn context(request: &Request<()>) -> RequestContext {
        let peer = Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        RequestContext::new(HeaderValue::from_static("id"), peer, request)
    }

    #[test]
    fn the_first_body_fault_counts() {
        let context = context(&Request::new(()));
        assert_eq!(context.body_fault.get(), None);
        assert!(context.body_fault.learn(BodyFault::Late));
        assert!(!context.body_fault.learn(BodyFault::Broken));
        assert_eq!(context.body_fault.get(), Some(&BodyFault::Late));
    }

    #[test]
    fn an_attempt_counts_as_deletion_until_the_operation_is_known() {
        let overriding = |value| Request::post("/").header(METHOD_OVERRIDE, value);
        let is_deletion =
            |request: http::request::Builder| context(&request.body(()).unwrap()).is_deletion();
        assert!(!is_deletion(Request::get("/")));
        assert!(!is_deletion(overriding("PUT")));
        assert!(is_deletion(overriding("delete")));
        assert!(is_deletion(Request::delete("/")));
    }
}
