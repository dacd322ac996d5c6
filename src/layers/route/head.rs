//! Checks the head of a request: `Host`, the framing, and headers that may appear only once or never.

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method};

use crate::refusal::{Checked, Code, Refusal};
use crate::request::is_judged;

const ALL_METHODS: &str = "GET, POST, PUT, DELETE";

/// Headers that the gateway checks or sets. The layer refuses each of these names if it is spelled with `_`
/// in place of `-`. That spelling would escape the checks, but a server behind the gateway might read it as
/// the real header.
const JUDGED: [&str; 23] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-request-id",
];

/// Checks the head in one pass over the headers. Returns the method override, if there is one.
pub(super) fn check(head: &Parts) -> Checked<Option<&str>> {
    // These two have no path for which the contract could list the methods.
    if head.method == Method::CONNECT || head.method == Method::OPTIONS && head.uri.path() == "*" {
        let mut refusal = Refusal::new(
            Code::MethodNotAllowed,
            format!(
                "{} is not allowed here; allowed: {ALL_METHODS}.",
                head.method
            ),
        );
        refusal.allow = Some(ALL_METHODS.to_owned());
        return refusal.refuse();
    }
    let (mut host, mut authorizations, mut codings) = (None, 0, 0);
    let (mut overriding, mut overridings) = (None, 0);
    for (name, value) in &head.headers {
        match name.as_str() {
            "authorization" => authorizations += 1,
            "connection" => check_connection(value)?,
            "expect" => check_expect(value)?,
            "host" if host.is_some() => return malformed("Host appears more than once").refuse(),
            "host" => host = Some(value),
            "transfer-encoding"
                if codings == 0 && value.as_bytes().eq_ignore_ascii_case(b"chunked") =>
            {
                codings += 1;
            }
            "transfer-encoding" => {
                return malformed("Transfer-Encoding is not exactly `chunked`, once").refuse();
            }
            // Upstream obeys this header, so the gateway judges the method that the header names.
            "x-http-method-override" => {
                overriding = Some(value);
                overridings += 1;
            }
            look_alike @ ("x-http-method" | "x-method-override") => {
                return malformed(format!(
                    "the header {look_alike} is not accepted; use X-HTTP-Method-Override"
                ))
                .refuse();
            }
            other => check_spelling(other)?,
        }
    }
    if authorizations > 1 {
        return malformed("Authorization appears more than once").refuse();
    }
    check_host(head, host)?;
    if overridings > 1 {
        return malformed("X-HTTP-Method-Override appears more than once").refuse();
    }
    match overriding.map(HeaderValue::to_str).transpose() {
        Ok(overriding) => Ok(overriding),
        Err(_) => malformed("X-HTTP-Method-Override holds bytes beyond visible ASCII").refuse(),
    }
}

/// Makes the refusal `request-malformed`.
pub(super) fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Code::RequestMalformed,
        format!("The request is malformed: {why}."),
    )
}

fn check_spelling(name: &str) -> Checked<()> {
    if !name.contains('_') {
        return Ok(());
    }
    let plain = name.replace('_', "-");
    // The refusal never quotes the caller's spelling, because even a header name can hold a token.
    let judged = JUDGED.iter().find(|judged| **judged == plain).copied();
    let prefix = ["x-forwarded-", "lychgate-"];
    let prefix = prefix.into_iter().find(|prefix| plain.starts_with(prefix));
    match judged.or(prefix) {
        Some(plain) => malformed(format!(
            "a header is spelled with `_` in place of `-`: {plain}"
        ))
        .refuse(),
        None => Ok(()),
    }
}

fn check_expect(value: &HeaderValue) -> Checked<()> {
    if value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
        return Ok(());
    }
    malformed("Expect asks for something other than 100-continue").refuse()
}

fn check_host(head: &Parts, host: Option<&HeaderValue>) -> Checked<()> {
    let Some(host) = host else {
        return malformed("Host is missing").refuse();
    };
    let Some(host) = host.to_str().ok().filter(|host| is_host(host)) else {
        return malformed("Host is not a host and an optional port").refuse();
    };
    let Some(authority) = head.uri.authority() else {
        return Ok(());
    };
    if authority.as_str().contains('@') {
        return malformed("the target holds user information").refuse();
    }
    if !without_empty_port(authority.as_str()).eq_ignore_ascii_case(without_empty_port(host)) {
        return Refusal::new(
            Code::PathMalformed,
            "The target names another host than the Host header. Send one and the same.",
        )
        .refuse();
    }
    Ok(())
}

/// `a:` names the same server as `a` (RFC 3986 §6.2.3).
fn without_empty_port(authority: &str) -> &str {
    authority.strip_suffix(':').unwrap_or(authority)
}

/// Whether the text is `uri-host [":" port]` (RFC 9110 §7.2) and nothing else. The port may be empty (RFC 3986
/// §3.2.3).
fn is_host(text: &str) -> bool {
    if is_name_and_port(text) {
        return true;
    }
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let port_is_fine = match text.strip_prefix(host) {
        Some("" | ":") => true,
        Some(rest) => {
            // `port_u16` accepts a sign.
            rest.starts_with(':') && !rest.contains('+') && authority.port_u16().is_some()
        }
        None => false,
    };
    !host.is_empty() && !text.contains('@') && port_is_fine
}

/// Recognizes the common form without copying the text: a name of letters, digits, `-` and `.`, then
/// optionally a port of at most 4 digits.
fn is_name_and_port(text: &str) -> bool {
    let name = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        .count();
    let port = text.as_bytes().get(name..).unwrap_or_default();
    let port_is_fine = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 4 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    name > 0 && port_is_fine
}

fn check_connection(value: &HeaderValue) -> Checked<()> {
    let Ok(text) = value.to_str() else {
        return malformed("Connection holds bytes beyond visible ASCII").refuse();
    };
    if text.split(',').any(|option| is_judged(option.trim())) {
        return malformed("Connection names a header that must reach upstream").refuse();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn judge(uri: &str, lines: &[(&str, &str)]) -> Option<Code> {
        let mut request = Request::get(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_plain_head_passes() {
        assert_eq!(judge("/", &[("host", "a:80")]), None);
        for host in ["[::1]:80", "a:", "[::1]:", "a_b:", "a:65535"] {
            assert_eq!(judge("/", &[("host", host)]), None, "{host}");
        }
    }

    #[test]
    fn host_stands_once_and_is_a_host() {
        let malformed = Some(Code::RequestMalformed);
        assert_eq!(judge("/", &[]), malformed);
        assert_eq!(judge("/", &[("host", "a"), ("host", "a")]), malformed);
        for host in [
            "", ":", "a b", "u@a", "a/b", "a:b", "a::", "a:+1", "a:65536",
        ] {
            assert_eq!(judge("/", &[("host", host)]), malformed, "{host}");
        }
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        let host = [("host", "a")];
        for target in ["http://a/", "HTTP://A/", "http://a:/"] {
            assert_eq!(judge(target, &host), None, "{target}");
        }
        assert_eq!(judge("http://a/", &[("host", "A:")]), None);
        assert_eq!(judge("http://b/", &host), Some(Code::PathMalformed));
        assert_eq!(judge("http://a:1/", &host), Some(Code::PathMalformed));
        assert_eq!(judge("http://u@a/", &host), Some(Code::RequestMalformed));
    }

    #[test]
    fn connection_cannot_take_a_judged_header_away() {
        let with = |value| judge("/", &[("host", "a"), ("connection", value)]);
        for value in ["keep-alive, TE", "Upgrade,HTTP2-Settings", "x-private", ","] {
            assert_eq!(with(value), None, "{value}");
        }
        for value in ["close, If-Match", "close,\tHOST\t,", "Content-Type"] {
            assert_eq!(with(value), Some(Code::RequestMalformed), "{value}");
        }
    }

    #[test]
    fn a_request_without_a_path_is_told_all_methods() {
        for (method, target) in [("CONNECT", "a:80"), ("OPTIONS", "*")] {
            let request = Request::builder().method(method).uri(target);
            let (head, ()) = request.body(()).unwrap().into_parts();
            let refusal = check(&head).unwrap_err();
            assert_eq!(refusal.code, Code::MethodNotAllowed, "{method}");
            assert_eq!(refusal.allow.as_deref(), Some(ALL_METHODS), "{method}");
        }
    }

    #[test]
    fn transfer_encoding_is_one_chunked() {
        let with = |value| judge("/", &[("host", "a"), ("transfer-encoding", value)]);
        assert_eq!(with("chunked"), None);
        assert_eq!(with("Chunked"), None);
        assert_eq!(with("gzip, chunked"), Some(Code::RequestMalformed));
        assert_eq!(with("chunked, chunked"), Some(Code::RequestMalformed));
    }

    #[test]
    fn a_judged_header_is_not_spelled_with_underscores() {
        let with = |name| judge("/", &[("host", "a"), (name, "1")]);
        for name in ["if_match", "x_http_method_override", "x_forwarded_for"] {
            assert_eq!(with(name), Some(Code::RequestMalformed), "{name}");
        }
        assert_eq!(with("x_own"), None);
    }

    #[test]
    fn one_override_is_read_and_two_are_refused() {
        let name = "x-http-method-override";
        let request = Request::get("/").header("host", "a").header(name, "PUT");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(check(&head).unwrap(), Some("PUT"));
        let two = [("host", "a"), (name, "PUT"), (name, "PUT")];
        assert_eq!(judge("/", &two), Some(Code::RequestMalformed));
    }

    #[test]
    fn look_alikes_of_the_override_are_refused() {
        for name in ["x-http-method", "x-method-override"] {
            let lines = [("host", "a"), (name, "DELETE")];
            assert_eq!(judge("/", &lines), Some(Code::RequestMalformed), "{name}");
        }
    }

    #[test]
    fn one_authorization_and_no_strange_expect() {
        let two = [
            ("host", "a"),
            ("authorization", "1"),
            ("authorization", "2"),
        ];
        assert_eq!(judge("/", &two), Some(Code::RequestMalformed));
        let expect = |value| judge("/", &[("host", "a"), ("expect", value)]);
        assert_eq!(expect("100-continue"), None);
        assert_eq!(expect("200-ok"), Some(Code::RequestMalformed));
    }
}
