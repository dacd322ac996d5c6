//! Header lines.

use super::{exchange, request};

#[test]
fn two_hosts_reach_the_service() {
    let seen = request("Host: b\r\n", "").one();
    assert_eq!(seen.all("host"), [b"a", b"b"]);
}

#[test]
fn no_host_on_1_1_reaches_the_service() {
    assert!(exchange("GET / HTTP/1.1\r\n\r\n").one().headers.is_empty());
}

#[test]
fn a_host_that_is_no_authority_reaches_the_service() {
    let seen = exchange("GET / HTTP/1.1\r\nHost: a b/c@d\r\n\r\n").one();
    assert_eq!(seen.all("host"), [b"a b/c@d"]);
}

#[test]
fn bare_line_feeds_end_lines() {
    let seen = exchange("GET /x HTTP/1.1\nHost: a\nX-One: 1\n\n").one();
    assert_eq!(seen.all("x-one"), [b"1"]);
}

#[test]
fn an_empty_line_before_the_request_line_is_skipped() {
    assert_eq!(
        exchange("\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n").one().uri,
        "/x"
    );
}

#[test]
fn bad_bytes_in_a_value_are_hypers_own_400() {
    for byte in ["\r", "\0", "\x01", "\x7f"] {
        request(&format!("X-One: a{byte}b\r\n"), "").refused("400");
    }
}

#[test]
fn malformed_lines_are_hypers_own_400() {
    for line in ["X-One: a\r\n b", "X-One : a", "X-One", ": a"] {
        request(&format!("{line}\r\n"), "").refused("400");
    }
}

/// With `ignore_invalid_headers`, hyper would drop this line and read the body as a request.
#[test]
fn a_bad_length_line_is_not_ignored() {
    request("Content-Length : 3\r\n", "abc").refused("400");
}

#[test]
fn tab_and_high_bytes_in_a_value_reach_the_service() {
    let seen = exchange(b"GET / HTTP/1.1\r\nX-One: a\tb\x80\xff\r\n\r\n").one();
    assert_eq!(seen.all("x-one"), [b"a\tb\x80\xff"]);
}

#[test]
fn names_with_underscores_reach_the_service() {
    let seen = request("x_http_method_override: DELETE\r\nif_match: x\r\n", "").one();
    assert_eq!(seen.all("x_http_method_override"), [b"DELETE"]);
    assert_eq!(seen.all("if_match"), [b"x"]);
}

#[test]
fn names_are_lower_cased_and_grouped_with_their_values_in_order() {
    let seen = request("X-B: 1\r\nX-A: 2\r\nx-b: 3\r\n", "").one();
    let names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host", "x-b", "x-b", "x-a"]);
    assert_eq!(seen.all("x-b"), [b"1", b"3"]);
}

#[test]
fn a_head_of_101_lines_gets_hypers_own_431() {
    let lines = "X-One: 1\r\n".repeat(99);
    assert_eq!(request(&lines, "").one().headers.len(), 100);
    request(&format!("{lines}X-One: 1\r\n"), "").refused("431");
}

/// hyper checks the bound before each read, and one read may exceed it; so only a multiple of the
/// bound is reliable.
#[test]
fn a_head_over_the_buffer_is_hypers_own_431() {
    let line = |length| format!("X-One: {}\r\n", "a".repeat(length));
    request(&line(super::HEAD_BUFFER - 1024), "").one();
    request(&line(super::HEAD_BUFFER * 4), "").refused("431");
}

#[test]
#[should_panic(expected = "max_buf_size")]
fn a_buffer_under_8192_panics() {
    super::builder().max_buf_size(8_191);
}

#[test]
fn a_connection_line_removes_no_other_header() {
    let seen = request("Connection: close, If-Match\r\nIf-Match: x\r\n", "").one();
    assert_eq!(seen.all("connection"), [b"close, If-Match"]);
    assert_eq!(seen.all("if-match"), [b"x"]);
}

#[test]
fn upgrades_are_ignored_and_their_lines_pass() {
    for value in ["h2c", "websocket"] {
        let lines = format!("Connection: upgrade\r\nUpgrade: {value}\r\n");
        let seen = request(&lines, "").one();
        assert_eq!(seen.all("upgrade"), [value.as_bytes()]);
    }
}
