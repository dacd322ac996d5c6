//! Answers: how they come back, and which are not usable.

use bytes::Bytes;
use http::{Method, Response};
use http_body::Body as _;
use hyper::ext::ReasonPhrase;

use super::support::*;
use crate::forward::{Delivery, FailureKind};
use crate::request::Body;

async fn answer(text: &'static str) -> Response<Body> {
    let upstream = Upstream::start(move |_, session| {
        session.request();
        session.say(text);
    });
    get(&client(), &upstream).await.reply.unwrap()
}

/// Whether every delivery takes it for a protocol failure after bytes left.
async fn is_protocol(text: &'static str) {
    let upstream = Upstream::start(move |_, session| {
        session.request();
        session.say(text);
    });
    let client = client();
    for report in [
        get(&client, &upstream).await,
        put(&client, &upstream).await,
        delete(&client, &upstream).await,
    ] {
        assert_eq!(report.attempts, 1);
        let failure = failure(report);
        assert_eq!(failure.kind, FailureKind::Protocol, "{text}: {failure:?}");
        assert!(failure.bytes_left);
    }
}

#[tokio::test]
async fn status_reason_headers_and_body_come_back_unchanged() {
    let response = answer(
        "HTTP/1.1 409 Stale Revision\r\nac-revision: 17\r\netag: \"x\"\r\n\
         lychgate-refusal: fake\r\nx-request-id: theirs\r\nkeep-alive: timeout=3\r\n\
         content-type: application/json\r\ncontent-length: 7\r\n\r\n{\"a\":1}",
    )
    .await;
    assert_eq!(response.status(), 409);
    let reason = response.extensions().get::<ReasonPhrase>().unwrap();
    assert_eq!(reason.as_bytes(), b"Stale Revision");
    assert_eq!(response.headers()["ac-revision"], "17");
    assert_eq!(response.headers()["etag"], "\"x\"");
    assert_eq!(response.headers().len(), 3, "{:?}", response.headers());
    assert_eq!(response.body().size_hint().exact(), Some(7));
    assert_eq!(text(response).await.unwrap(), "{\"a\":1}");
}

#[tokio::test]
async fn a_100_and_a_103_are_swallowed() {
    let response = answer(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n\
         HTTP/1.1 204 No Content\r\n\r\n",
    )
    .await;
    assert_eq!(response.status(), 204);
    assert!(!response.headers().contains_key("link"));
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn a_chunked_answer_loses_its_trailers() {
    let response = answer(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: if-match\r\n\r\n\
         2\r\nok\r\n0\r\nif-match: 1\r\n\r\n",
    )
    .await;
    assert!(response.headers().is_empty(), "{:?}", response.headers());
    let collected = http_body_util::BodyExt::collect(response.into_body()).await;
    let collected = collected.unwrap();
    assert!(collected.trailers().is_none());
    assert_eq!(collected.to_bytes(), "ok");
}

#[tokio::test]
async fn a_101_is_a_protocol_failure() {
    is_protocol("HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n").await;
}

#[tokio::test]
async fn a_status_beyond_599_is_a_protocol_failure() {
    is_protocol("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n").await;
}

#[tokio::test]
async fn length_beside_chunked_is_a_protocol_failure() {
    is_protocol(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn two_lengths_are_a_protocol_failure() {
    is_protocol("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok").await;
    is_protocol("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok").await;
}

#[tokio::test]
async fn a_coding_other_than_chunked_is_a_protocol_failure() {
    is_protocol("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok").await;
    is_protocol("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    is_protocol("SSH-2.0-OpenSSH_9.6 hello there, this is no answer\r\n\r\n").await;
}

#[tokio::test]
async fn p7_a_408_counts_for_a_read_and_for_no_deletion() {
    let upstream = Upstream::answering("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    let client = client();
    assert_eq!(get(&client, &upstream).await.reply.unwrap().status(), 408);
    let failure = failure(delete(&client, &upstream).await);
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert!(failure.bytes_left);
    assert_eq!(upstream.count("DELETE"), 1);
}

fn answers_early() -> Upstream {
    Upstream::start(|_, session| {
        session.until("first", 0).unwrap();
        session.say(OK);
        session.serve(OK);
    })
}

#[tokio::test]
async fn p7_an_answer_before_the_last_byte_counts_for_no_deletion() {
    let upstream = answers_early();
    let (feed, body) = fed();
    feed.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let mut outgoing = outgoing(&upstream, Method::DELETE, Delivery::Deletion);
    outgoing.body = body;
    let failure = failure(send(&client(), outgoing).await);
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert!(failure.bytes_left);
}

#[tokio::test]
async fn an_early_answer_to_a_write_counts_and_closes() {
    let upstream = answers_early();
    let (feed, body) = fed();
    feed.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let mut outgoing = outgoing(&upstream, Method::PUT, Delivery::Once);
    outgoing.body = body;
    let client = client();
    let response = send(&client, outgoing).await.reply.unwrap();
    assert_eq!(text(response).await.unwrap(), "ok");
    assert_eq!(idle_count(&client, &upstream), 0);
}

#[tokio::test]
async fn a_body_cut_short_ends_in_an_error() {
    for cut in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nxx\r\n",
    ] {
        let response = answer(cut).await;
        assert!(text(response).await.is_err(), "{cut}");
    }
}

/// Heads whose body breaks off before its first byte.
const BODILESS: [&str; 3] = [
    "HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n",
    "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n",
    "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\nxx\r\nok",
];

#[tokio::test]
async fn a_read_or_write_fails_if_no_byte_of_the_body_comes() {
    for head in BODILESS {
        let upstream = Upstream::start(move |_, session| {
            session.request();
            session.say(head);
        });
        let client = client();
        for report in [get(&client, &upstream).await, put(&client, &upstream).await] {
            assert_eq!(report.attempts, 1, "{head}");
            let failure = failure(report);
            assert_eq!(failure.kind, FailureKind::Protocol, "{head}");
            assert_eq!((failure.bytes_left, failure.status), (true, Some(201)));
            assert!(failure.detail.contains("cut short"), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn p2_a_deletion_keeps_the_head_if_no_byte_of_the_body_comes() {
    for head in BODILESS {
        let upstream = Upstream::start(move |_, session| {
            session.request();
            session.say(head);
        });
        let response = delete(&client(), &upstream).await.reply.unwrap();
        assert_eq!(response.status(), 201);
        assert!(text(response).await.is_err(), "{head}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_connection() {
    let response = answer("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    assert_eq!(text(response).await.unwrap(), "all of it");
}

#[tokio::test]
async fn a_redirect_is_handed_down_not_followed() {
    let response =
        answer("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/x\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "http://127.0.0.1:1/x");
}
