//! A URL that the gateway itself may call.

use std::fmt;

use crate::request::Origin;

/// The maximum length of a URL in bytes.
const MAX_URL_BYTES: usize = 2048;

/// A URL that the gateway may call: `https` or `http`, a host, an optional port, path and query. The config decides
/// whether `http` is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The origin of the URL.
    pub origin: Origin,
    /// The path and the query.
    pub target: String,
}

impl Address {
    /// Parses a URL. The error completes the sentence "URL ...".
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        if url.len() > MAX_URL_BYTES {
            return Err("is longer than 2,048 bytes");
        }
        // RFC 3986 §2 allows none of these characters in a URL.
        let stray = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
        if url.bytes().any(stray) {
            return Err("holds a character that a URL may not hold");
        }
        if url.contains('#') {
            return Err("must not hold a fragment (`#`)");
        }
        let start = url
            .find("://")
            .ok_or("must begin with https:// or http://")?
            + "://".len();
        let end = url[start..]
            .find(['/', '?'])
            .map_or(url.len(), |length| start + length);
        let (origin, target) = url.split_at(end);
        let target = match target.chars().next() {
            Some('/') => target.to_owned(),
            _ => format!("/{target}"),
        };
        Ok(Self {
            origin: Origin::parse(origin)?,
            target,
        })
    }
}

/// Shows the URL without its query, which may hold a secret.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}{path}", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_origin_and_target() {
        for (url, origin, target) in [
            ("https://a.example", "https://a.example", "/"),
            ("https://a.example/", "https://a.example", "/"),
            (
                "https://A.example/Keys?b=%2F/c",
                "https://a.example",
                "/Keys?b=%2F/c",
            ),
            ("http://127.0.0.1:8080?x", "http://127.0.0.1:8080", "/?x"),
            ("https://[::1]:8443/k", "https://[::1]:8443", "/k"),
            ("https://a.example//k", "https://a.example", "//k"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.origin.to_string(), origin, "{url}");
            assert_eq!(address.target, target, "{url}");
        }
    }

    #[test]
    fn a_url_with_other_parts_is_refused() {
        for url in [
            "",
            "a.example/keys",
            "//a.example/keys",
            "ftp://a.example/keys",
            "HTTPS://a.example/keys",
            "file:///etc/passwd",
            "https://",
            "https:///keys",
            "https://?x",
            "https://user@a.example/keys",
            "https://user:secret@a.example/keys",
            "https://a.example/keys#fragment",
            "https://a.example#",
            "https://a.example:0/keys",
            "https://a.example:99999/keys",
            "https://a.example:/keys",
            "https://a.example/a b",
            " https://a.example/",
            "https://a.example/\n",
            "https://a.example\\@b.example/",
            "https://a.example/ä",
            "https://a.example/{x}",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        let long = format!("https://a.example/{}", "a".repeat(MAX_URL_BYTES));
        assert!(Address::parse(&long).is_err());
    }

    #[test]
    fn p8_a_shown_url_has_no_query() {
        let address = Address::parse("https://a.example/keys?token=secret").unwrap();
        assert_eq!(address.to_string(), "https://a.example/keys");
    }
}
