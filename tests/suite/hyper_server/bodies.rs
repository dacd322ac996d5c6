//! Bodies, trailers, expectations and the bytes after them.

use super::{exchange, request, unread};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn chunk_extensions_are_dropped() {
    let seen = request(CHUNKED, "2;x=y\r\nab\r\n0;z\r\n\r\n").one();
    assert_eq!(seen.body.unwrap(), "ab");
}

#[test]
fn chunk_extensions_over_16_kib_are_a_body_error() {
    let body = format!("2;{}\r\nab\r\n0\r\n\r\n", "x".repeat(17 * 1024));
    assert!(request(CHUNKED, &body).seen[0].body.is_none());
}

#[test]
fn bad_chunk_framing_is_a_body_error() {
    for body in [
        "2\nab\n0\n\n",
        "0x2\r\nab\r\n0\r\n\r\n",
        "2\r\nabXX0\r\n\r\n",
    ] {
        assert!(request(CHUNKED, body).seen[0].body.is_none(), "{body:?}");
    }
}

#[test]
fn a_space_after_a_chunk_size_is_accepted() {
    let seen = request(CHUNKED, "2 \r\nab\r\n0\r\n\r\n").one();
    assert_eq!(seen.body.unwrap(), "ab");
}

#[test]
fn any_trailer_reaches_the_service() {
    let body = "0\r\nIf-Match: x\r\nContent-Length: 9\r\n\r\n";
    let trailers = request(CHUNKED, body).one().trailers.unwrap();
    assert_eq!(trailers["if-match"], "x");
    assert_eq!(trailers["content-length"], "9");
}

#[test]
fn a_100_is_sent_when_the_body_is_polled() {
    let lines = "Expect: 100-continue\r\nContent-Length: 2\r\n";
    // hyper sends the interim answer only if the body has not arrived yet.
    let outcome = request(lines, "");
    assert!(
        outcome.answer.starts_with("HTTP/1.1 100 Continue\r\n\r\n"),
        "{}",
        outcome.answer
    );
    assert_eq!(outcome.seen[0].all("expect"), [b"100-continue"]);
}

#[test]
fn other_expectations_pass_as_a_header() {
    let seen = request("Expect: 200-ok\r\n", "").one();
    assert_eq!(seen.all("expect"), [b"200-ok"]);
}

#[test]
fn a_body_on_get_is_present() {
    let seen = exchange("GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab").one();
    assert!(!seen.ended_at_once);
    assert_eq!(seen.body.unwrap(), "ab");
}

#[test]
fn end_of_stream_is_known_early_unless_the_body_is_chunked() {
    assert!(request("", "").one().ended_at_once);
    assert!(request("Content-Length: 0\r\n", "").one().ended_at_once);
    assert!(!request(CHUNKED, "0\r\n\r\n").one().ended_at_once);
}

#[test]
fn bytes_after_a_delete_without_a_length_are_a_request() {
    let outcome =
        exchange("DELETE /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let targets: Vec<String> = outcome.seen.iter().map(|s| s.uri.to_string()).collect();
    assert_eq!(targets, ["/1", "/2"]);
    assert_eq!(outcome.answer.matches(" 200 OK\r\n").count(), 2);
}

#[test]
fn a_body_cut_short_is_a_body_error() {
    assert!(
        request("Content-Length: 3\r\n", "ab").seen[0]
            .body
            .is_none()
    );
    assert!(request(CHUNKED, "2\r\nab\r\n").seen[0].body.is_none());
}

#[test]
fn a_small_unread_body_is_drained_and_the_next_request_served() {
    let next = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = unread(&format!(
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab{next}"
    ));
    assert_eq!(answer.matches(" 200 OK\r\n").count(), 2, "{answer}");
}

#[test]
fn an_unread_incomplete_body_closes_the_connection() {
    let answer = unread("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n");
    assert_eq!(answer.matches(" 200 OK\r\n").count(), 1, "{answer}");
}

#[test]
fn a_100_is_never_sent_for_an_unread_body() {
    let answer =
        unread("POST /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
