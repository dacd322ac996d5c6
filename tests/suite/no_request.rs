//! Heads that are no request. The caller gets a refusal, the log an access line, the metrics a count.

use std::io::Write;
use std::net::TcpStream;

use super::callers::{read, refusal, request};
use super::program::{Home, Program};
use super::users::Users;
use crate::support::tokens::good_token;
use crate::support::wire::{self, Answer};

/// The status and the code of a refusal, and a part of its detail.
type Expected = (u16, &'static str, &'static str);

const MALFORMED: Expected = (400, "request-malformed", "not valid HTTP/1.1");
const TOO_LARGE: Expected = (431, "headers-too-large", "100 header lines");
const TOO_LONG: Expected = (414, "uri-too-long", "max_uri_bytes");
const LATE: Expected = (408, "request-timeout", "head_timeout");

/// Reads the answer that `send` causes, and checks it, its access line and its counts.
fn check(program: &Program, expected: Expected, send: impl FnOnce() -> Option<Answer>) {
    let (status, code, detail) = expected;
    let requests = format!(
        "lychgate_requests_total{{operation=\"none\",status=\"{status}\",code=\"{code}\"}}"
    );
    let counts = || [&*requests, "lychgate_parser_refusals_total"].map(|name| program.metric(name));
    let before = counts();
    let answer = send().unwrap_or_else(|| panic!("no answer: {code}"));
    let (found, sent, _) = refusal(&answer);
    let found = (answer.status, &*found, &*sent);
    assert_eq!(found, (status, code, "no"), "{}", answer.shown());
    assert_eq!(answer.header("connection"), Some("close"), "{code}");
    let logged = program.logged_detail(&answer);
    assert!(logged.contains(detail), "{logged}");
    assert_eq!(counts(), before.map(|count| count + 1), "{code}");
}

fn exchange(program: &Program, expected: Expected, bytes: &[u8]) {
    check(program, expected, || wire::exchange(program.address, bytes));
}

fn with_program(listen: &str, test: impl FnOnce(&Program)) {
    let users = Users::start();
    let home = Home::new(users.address(), &[("listen", listen)]);
    let program = home.start_ready();
    test(&program);
    assert_eq!(users.seen_count(), 0, "nothing goes upstream");
    assert!(!program.log().contains("eyJ"), "p8: a token is in the log");
    drop(program);
    assert_eq!(home.record().summary.open, 0);
}

/// A head of a read, a write and a deletion with these lines, and this text behind the user.
fn heads(behind: &str, lines: &str) -> [Vec<u8>; 3] {
    let token = good_token();
    [
        ("GET", ""),
        ("PUT", "If-Match: 7\r\n"),
        ("DELETE", "If-Match: 7\r\n"),
    ]
    .map(|(method, own)| {
        request(
            method,
            &format!("/1{behind}"),
            &token,
            &format!("{own}{lines}"),
        )
    })
}

#[test]
fn p11_input_that_is_not_http_is_request_malformed() {
    with_program("", |program| {
        let tls: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";
        let http2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0";
        for bytes in [tls, http2, b"GET\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n"] {
            exchange(program, MALFORMED, bytes);
        }
        for line in ["X-A : 1\r\n", "X-A\r\n", "Content-Length: +1\r\n"] {
            for head in heads("", line) {
                exchange(program, MALFORMED, &head);
            }
        }
    });
}

#[test]
fn p11_a_101st_header_line_is_headers_too_large() {
    with_program("", |program| {
        for head in heads("", &"X-A: 1\r\n".repeat(99)) {
            exchange(program, TOO_LARGE, &head);
        }
    });
}

#[test]
fn p11_a_target_beyond_the_parser_is_uri_too_long() {
    with_program("", |program| {
        for head in heads(&"1".repeat(65_535), "") {
            exchange(program, TOO_LONG, &head);
        }
    });
}

#[test]
fn p11_a_late_head_is_a_request_timeout() {
    with_program("head_timeout = \"200ms\"", |program| {
        for head in heads("", "") {
            exchange(program, LATE, &head[..head.len() / 2]);
        }
    });
}

#[test]
fn p11_a_head_cut_short_is_request_malformed() {
    with_program("", |program| {
        for head in heads("", "") {
            check(program, MALFORMED, || {
                let mut caller = TcpStream::connect(program.address).unwrap();
                caller.set_read_timeout(Some(wire::PATIENCE)).unwrap();
                caller.write_all(&head[..head.len() / 2]).unwrap();
                caller.shutdown(std::net::Shutdown::Write).unwrap();
                wire::read_answer(&mut caller)
            });
        }
    });
}

#[test]
fn p11_the_next_head_on_a_connection_is_refused_as_well() {
    with_program("", |program| {
        let mut caller = TcpStream::connect(program.address).unwrap();
        caller.set_read_timeout(Some(wire::PATIENCE)).unwrap();
        caller.write_all(&read(1, "none")).unwrap();
        let first = wire::read_answer(&mut caller).unwrap();
        assert_eq!(first.status, 401, "{}", first.shown());
        check(program, MALFORMED, || {
            caller.write_all(b"GET / HTTP/3.0\r\n\r\n").unwrap();
            wire::read_answer(&mut caller)
        });
    });
}
