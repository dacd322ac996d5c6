//! What hyper does to the gateway's answers.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::exchange_with;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn with(status: u16, name: &str, value: &str, body: &'static str) -> Response<Full<Bytes>> {
    let builder = Response::builder().status(status).header(name, value);
    builder.body(Full::from(body)).unwrap()
}

#[test]
fn answers_get_a_date_only_if_they_have_none() {
    let plain = exchange_with(GET, || Response::new(Full::default())).answer;
    assert_eq!(plain.matches("\r\ndate: ").count(), 1, "{plain}");
    let dated = exchange_with(GET, || with(200, "date", "then", "")).answer;
    assert_eq!(dated.matches("\r\ndate: ").count(), 1, "{dated}");
    assert!(dated.contains("\r\ndate: then\r\n"), "{dated}");
}

#[test]
fn answers_of_204_lose_their_body() {
    let answer = exchange_with(GET, || with(204, "x-one", "1", "gone")).answer;
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn answers_of_304_lose_their_length() {
    let answer = exchange_with(GET, || with(304, "content-length", "5", "")).answer;
    assert!(answer.starts_with("HTTP/1.1 304 "), "{answer}");
    assert!(!answer.contains("content-length"), "{answer}");
}

#[test]
fn answers_to_head_keep_their_length() {
    let head = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = exchange_with(head, || with(200, "content-length", "5", "")).answer;
    assert!(answer.contains("content-length: 5\r\n"), "{answer}");
}

/// The reason why the gateway removes Transfer-Encoding from every answer.
#[test]
fn answers_with_both_framings_kill_the_connection_unanswered() {
    let outcome = exchange_with(GET, || {
        let mut answer = with(200, "content-length", "2", "ab");
        let chunked = http::HeaderValue::from_static("chunked");
        answer.headers_mut().insert("transfer-encoding", chunked);
        answer
    });
    assert_eq!(outcome.seen.len(), 1);
    assert_eq!(outcome.answer, "");
    assert!(outcome.ended.is_err());
}

#[test]
fn answers_of_1xx_become_500() {
    let answer = exchange_with(GET, || with(103, "x-one", "1", "")).answer;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
}

#[test]
fn answers_keep_a_reason_phrase_only_as_an_extension() {
    let answer = exchange_with(GET, || {
        let mut answer = with(200, "x-one", "1", "");
        let reason = hyper::ext::ReasonPhrase::from_static(b"Fine");
        answer.extensions_mut().insert(reason);
        answer
    });
    assert!(answer.answer.starts_with("HTTP/1.1 200 Fine\r\n"));
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "payload claims content-length")]
fn answers_whose_length_disagrees_panic_in_a_debug_build() {
    exchange_with(GET, || with(200, "content-length", "5", "ab"));
}
