//! Checks the URLs of other servers. `https` is always allowed; `http` is allowed only on loopback
//! or with `plaintext = true`.

use crate::request::Origin;

/// A fault of a URL, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The fault. It completes the sentence "`key` ...".
    pub(super) what: &'static str,
    /// The remedy.
    pub(super) hint: &'static str,
}

/// Checks an origin, `https://host[:port]`.
pub(super) fn origin(text: &str, plaintext: bool) -> Result<Origin, Wrong> {
    let origin = Origin::parse(text).map_err(|what| Wrong {
        what,
        hint: "scheme, host and perhaps port, such as \"https://va.ac.liveperson.net\"",
    })?;
    if !origin.tls && !origin.is_loopback() && !plaintext {
        return Err(Wrong {
            what: "is http beyond loopback: others on the way could read and change what is sent",
            hint: "use https, or write plaintext = true in the same section if the way is safe",
        });
    }
    Ok(origin)
}

/// Checks a URL with a path and an optional query.
pub(super) fn check(text: &str, plaintext: bool) -> Result<(), Wrong> {
    let hint = "a whole URL, such as \"https://login.example.com/keys\"";
    if text.contains('#') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "must be visible ASCII without a fragment";
        return Err(Wrong { what, hint });
    }
    let authority = text.find("://").map_or(0, |at| at + 3);
    let end = text[authority..]
        .find(['/', '?'])
        .map_or(text.len(), |at| authority + at);
    origin(&text[..end], plaintext).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_beyond_loopback_needs_plaintext() {
        for text in [
            "http://127.0.0.1:8",
            "http://[::1]",
            "http://localhost",
            "https://host",
        ] {
            assert!(origin(text, false).is_ok(), "{text}");
        }
        let wrong = origin("http://10.0.0.1", false).unwrap_err();
        assert!(wrong.hint.contains("plaintext = true"));
        assert!(origin("http://10.0.0.1", true).is_ok());
    }

    #[test]
    fn a_key_url_is_checked_by_its_origin() {
        assert!(check("https://login.example/keys?x=1", false).is_ok());
        assert!(check("https://login.example?x=1", false).is_ok());
        for text in [
            "http://login.example/keys",
            "https://me@login.example/keys",
            "https:///keys",
            "/keys",
            "https://a/b#c",
            "https://a/ü",
            "",
        ] {
            assert!(check(text, false).is_err(), "{text}");
        }
    }
}
