//! Rewrites a request's headers for upstream. The gateway removes the headers that a caller may not set, and
//! adds its own. All other headers stay byte for byte, and the values of each name keep their order.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, VIA};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::trace_context;
use crate::request::{Peer, is_judged};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Rewrites the caller's headers in place. `host` is the host of the origin.
pub(super) fn rewrite(
    head: &mut Parts,
    host: HeaderValue,
    request_id: HeaderValue,
    peer: &Peer,
    is_bodiless: bool,
) {
    let headers = &mut head.headers;
    let forwarded = forwarded(peer, headers.get(HOST));
    remove_headers(headers, is_forbidden);
    headers.insert(HOST, host);
    headers.insert(FORWARDED, forwarded);
    headers.insert(VIA, HeaderValue::from_static("1.1 lychgate"));
    headers.insert(X_REQUEST_ID, request_id);
    trace_context::continue_or_begin(headers);
    // RFC 9110, section 8.6: without content, `Content-Length: 0` is needed if the method expects content.
    if is_bodiless && [Method::POST, Method::PUT, Method::PATCH].contains(&head.method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Removes the hop-by-hop headers, those that `Connection` names (RFC 9110, section 7.6.1), and those that
/// `is_removed` selects.
pub(super) fn remove_headers(headers: &mut HeaderMap, is_removed: fn(&str) -> bool) {
    let connection_names = headers.contains_key(CONNECTION);
    let removed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            is_removed(name.as_str())
                || is_hop_by_hop(name.as_str())
                || connection_names && is_named(headers, name)
        })
        .cloned()
        .collect();
    for name in removed {
        headers.remove(name);
    }
}

/// Whether the header applies to one connection only (RFC 9110, sections 7.6.1 and 11.7) or sets the framing,
/// which hyper takes from the body.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether `Connection` names the header. A judged header stays nevertheless: an answer needs its `Content-*`
/// headers, and `route` has refused a request that names a judged one.
fn is_named(headers: &HeaderMap, name: &HeaderName) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_ref()))
        && !is_judged(name.as_str())
}

/// Whether a caller is forbidden to set this header. `name` is in lower case. Many servers read `_` as `-`,
/// so a name counts in both spellings.
fn is_forbidden(name: &str) -> bool {
    if name.contains('_') {
        return is_forbidden(&name.replace('_', "-"));
    }
    matches!(
        name,
        "cookie" | "cookie2" | "expect" | "forwarded" | "via" | "x-real-ip" | "x-request-id"
        // Some frameworks read the target from these headers instead of the request line.
        | "x-original-url" | "x-rewrite-url"
    ) || name.starts_with("x-forwarded-")
}

/// Makes the value of `Forwarded` (RFC 7239). `host` is the caller's `Host` header.
fn forwarded(peer: &Peer, host: Option<&HeaderValue>) -> HeaderValue {
    let mut text = String::with_capacity(96);
    text.push_str(peer.forwarded());
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        if host.bytes().all(is_token) {
            text.extend([";host=", host]);
        } else if !host.contains(['"', '\\']) {
            text.extend([";host=\"", host, "\""]);
        }
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("for=unknown"))
}

/// Whether the byte may appear in an unquoted host. Accepts the characters of `token` (RFC 9110, section
/// 5.6.2) that a host needs.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(method: Method, bodiless: bool, pairs: &[(&str, &str)]) -> HeaderMap {
        let mut request = http::Request::builder().method(method);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        let [host, id] = ["va.ac.example", "ours"].map(HeaderValue::from_static);
        let peer = Peer::new("192.0.2.60:4711".parse().unwrap());
        rewrite(&mut head, host, id, &peer, bodiless);
        head.headers
    }

    fn get(pairs: &[(&str, &str)]) -> HeaderMap {
        rewritten(Method::GET, true, pairs)
    }

    #[test]
    fn the_gateways_own_headers_are_set() {
        let headers = get(&[("host", "gate.example")]);
        assert_eq!(headers["host"], "va.ac.example");
        assert_eq!(
            headers["forwarded"],
            "for=192.0.2.60;proto=http;host=gate.example"
        );
        assert_eq!(headers["via"], "1.1 lychgate");
        assert_eq!(headers["x-request-id"], "ours");
        assert!(headers.contains_key("traceparent"));
        assert_eq!(headers.len(), 5, "{headers:?}");
    }

    #[test]
    fn p9_no_header_names_another_target_than_the_one_judged() {
        for name in ["x-original-url", "x-rewrite-url", "x_original_url"] {
            let headers = get(&[(name, "/api/account/2/users")]);
            assert!(!headers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn forbidden_headers_are_removed() {
        let headers = get(&[
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-anything", "x"),
            ("x_forwarded_for", "1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("expect", "100-continue"),
            ("te", "trailers"),
            ("trailer", "if-match"),
            ("upgrade", "websocket"),
            ("http2-settings", "x"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("connection", "close, X-Mine"),
            ("x-mine", "y"),
        ]);
        assert_eq!(headers.len(), 5, "{headers:?}");
    }

    #[test]
    fn the_callers_own_facts_are_replaced() {
        let headers = get(&[
            ("forwarded", "for=1.2.3.4"),
            ("forwarded", "for=5.6.7.8"),
            ("via", "1.0 other"),
            ("x-request-id", "theirs"),
            ("host", "a"),
        ]);
        assert_eq!(headers.get_all("forwarded").iter().count(), 1);
        assert_eq!(headers["via"], "1.1 lychgate");
        assert_eq!(headers["x-request-id"], "ours");
    }

    #[test]
    fn other_headers_stay_byte_for_byte_and_in_order() {
        let headers = get(&[
            ("if-match", "\"7\""),
            ("x-http-method-override", "DELETE"),
            ("x-custom", "b"),
            ("authorization", "Bearer t"),
            ("x-custom", "a  c"),
        ]);
        assert_eq!(headers["if-match"], "\"7\"");
        assert_eq!(headers["x-http-method-override"], "DELETE");
        assert_eq!(headers["authorization"], "Bearer t");
        let custom: Vec<_> = headers.get_all("x-custom").iter().collect();
        assert_eq!(custom, ["b", "a  c"]);
    }

    #[test]
    fn connection_never_removes_a_judged_header() {
        let pairs = [("connection", "if-match"), ("if-match", "1")];
        assert_eq!(get(&pairs)["if-match"], "1");
    }

    #[test]
    fn an_empty_put_says_so_and_an_empty_delete_says_nothing() {
        assert_eq!(rewritten(Method::PUT, true, &[])["content-length"], "0");
        assert_eq!(rewritten(Method::POST, true, &[])["content-length"], "0");
        assert!(!rewritten(Method::PUT, false, &[]).contains_key("content-length"));
        assert!(!rewritten(Method::DELETE, true, &[]).contains_key("content-length"));
        assert!(!get(&[]).contains_key("content-length"));
    }

    #[test]
    fn forwarded_is_written_as_rfc_7239_says() {
        let host = HeaderValue::from_static("gate.example:8443");
        let peer = |ip: &str| Peer::new((ip.parse::<std::net::IpAddr>().unwrap(), 1).into());
        assert_eq!(
            forwarded(&peer("2001:db8::1"), Some(&host)),
            "for=\"[2001:db8::1]\";proto=http;host=\"gate.example:8443\""
        );
        let mapped = peer("::ffff:192.0.2.60");
        assert_eq!(forwarded(&mapped, None), "for=192.0.2.60;proto=http");
    }
}
