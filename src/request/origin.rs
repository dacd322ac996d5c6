//! The upstream server of an account.

use std::fmt;
use std::net::IpAddr;

/// The destination of an account's requests: scheme, host and port only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Whether the scheme is `https`; otherwise it is `http`.
    pub tls: bool,
    /// Host name or address literal, without brackets, in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// Parses `https://host[:port]` or `http://host[:port]`, with at most one `/` at the end.
    ///
    /// # Errors
    /// Returns the reason as a predicate, for example `must not hold user information`.
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

    /// The value of `Host`, without the port if it is the default of the scheme.
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

    /// Whether the host is `localhost` or a loopback address.
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
    fn anything_beyond_an_origin_is_refused() {
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
