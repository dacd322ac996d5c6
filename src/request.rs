//! What travels with a request: its body, its connection's facts, its origin.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::Scheme;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

/// Any error of a body's stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body, either way: nothing, all of it, or a stream whose frames are data alone.
#[derive(Debug, Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// A body that is all here.
    Whole(Bytes),
    /// A body still coming; whoever made it bounds its length and its time.
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// A body of these bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Whole(bytes)
        }
    }

    /// Streams another body.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Stream(UnsyncBoxBody::new(http_body_util::BodyExt::map_err(
            body,
            Into::into,
        )))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

/// The bounds of one request, told by the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request target.
    pub max_uri_bytes: usize,
    /// Bytes of the header section, names and values.
    pub max_head_bytes: usize,
    /// Bytes of a streamed body.
    pub max_body_bytes: u64,
    /// From the head's end to the body's last byte.
    pub body_timeout: std::time::Duration,
    /// Deletions in flight at once.
    pub max_deletions: usize,
}

/// The caller's end of a connection: `inbound` makes it once for all requests, texts included.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    address: SocketAddr,
    ip: String,
    forwarded: String,
}

impl Peer {
    /// The peer of a plain connection.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self::over(&Scheme::HTTP, address)
    }

    /// The peer of a connection with this scheme.
    #[must_use]
    pub fn over(scheme: &Scheme, address: SocketAddr) -> Self {
        // The record has one spelling of an address, whichever listener accepted it.
        let ip = address.ip().to_canonical();
        let forwarded = match ip {
            IpAddr::V4(ip) => format!("for={ip};proto={scheme}"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\";proto={scheme}"),
        };
        let ip = ip.to_string();
        Self(Arc::new(Facts {
            address,
            ip,
            forwarded,
        }))
    }

    /// Its address, as the connection has it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Its IP address, as log and trail tell it.
    #[must_use]
    pub fn ip(&self) -> &str {
        &self.0.ip
    }

    /// What `Forwarded` says of it (RFC 7239, sections 5.2, 5.4 and 6).
    #[must_use]
    pub fn forwarded(&self) -> &str {
        &self.0.forwarded
    }
}

/// A header's value as text for the record. Bytes that are no text are escaped, so that no two values
/// look alike.
#[must_use]
pub fn header_text(value: &http::HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().escape_ascii().to_string(),
    }
}

/// Where an account's requests go: scheme, host and port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// `https` where true, `http` otherwise.
    pub tls: bool,
    /// Host name or address literal, without brackets, in lower case.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Origin {
    /// Reads `https://host[:port]` or `http://host[:port]`, with nothing behind it but one `/`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("must begin with https:// or http://"),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest
            .parse()
            .map_err(|_| "is not a host and an optional port")?;
        if rest.contains('@') {
            return Err("must not hold user information");
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let port = match (authority.port_u16(), rest.ends_with(':')) {
            (Some(0), _) | (None, true) => return Err("has a port that cannot be used"),
            (Some(port), _) => port,
            (None, false) if authority.host().len() != rest.len() => {
                return Err("has a port that cannot be used");
            }
            (None, false) => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        if host.is_empty() || host.contains('%') {
            return Err("has no host that can be used");
        }
        Ok(Self {
            tls,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The value of `Host`: the port is left out where it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Whether the host is this machine's own loopback, by literal or as `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.tls { "https" } else { "http" },
            self.authority()
        )
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
        let value = |bytes| header_text(&http::HeaderValue::from_bytes(bytes).unwrap());
        assert_eq!(value(b"12"), "12");
        assert_ne!(value(b"1\xfe"), value(b"1\xff"));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = Origin::parse("https://VA.ac.example").unwrap();
        assert_eq!(origin.to_string(), "https://va.ac.example");
        assert_eq!(origin.port, 443);
        let origin = Origin::parse("http://127.0.0.1:8080/").unwrap();
        assert_eq!(
            (origin.authority().as_str(), origin.is_loopback()),
            ("127.0.0.1:8080", true)
        );
        assert_eq!(
            Origin::parse("http://[::1]:80").unwrap().authority(),
            "[::1]"
        );
    }

    #[test]
    fn what_is_more_than_an_origin_is_refused() {
        for text in [
            "ftp://a",
            "https://",
            "https://a/b",
            "https://u@a",
            "https://a:0",
            "https://a:",
            "https://a:99999",
            "a",
            "https://a b",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
