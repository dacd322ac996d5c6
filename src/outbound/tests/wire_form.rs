//! The bytes that upstream gets.

use std::sync::mpsc::channel;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use super::support::*;
use crate::forward::{Delivery, FailureKind, Outgoing};
use crate::request::Body;

fn with(mut outgoing: Outgoing, name: &'static str, value: &[u8]) -> Outgoing {
    let value = HeaderValue::from_bytes(value).unwrap();
    outgoing
        .head
        .headers
        .append(HeaderName::from_static(name), value);
    outgoing
}

async fn seen(outgoing: Outgoing, upstream: &Upstream) -> String {
    send(&client(), outgoing).await.reply.unwrap();
    upstream.seen().pop().unwrap()
}

#[tokio::test]
async fn p1_path_query_and_if_match_arrive_byte_for_byte() {
    let upstream = Upstream::answering(OK);
    let target = "/api/account/1_A/users/9?v=4.0&%76x=a%2fB;c&x='{}|";
    let mut outgoing = outgoing(&upstream, Method::POST, Delivery::Deletion);
    outgoing.head.uri = target.parse().unwrap();
    let outgoing = with(outgoing, "if-match", b"\"a\xe9\tb\"");
    let outgoing = with(outgoing, "x-http-method-override", b"DELETE");
    let text = seen(outgoing, &upstream).await;
    assert!(
        text.starts_with(&format!("POST {target} HTTP/1.1\r\n")),
        "{text}"
    );
    assert!(text.contains("\r\nif-match: \"a\u{e9}\tb\"\r\n"), "{text}");
    assert!(text.contains("\r\nx-http-method-override: DELETE\r\n"));
    assert!(text.contains("\r\ncontent-length: 0\r\n"));
}

#[tokio::test]
async fn a_read_goes_up_with_the_gateways_headers_and_no_others() {
    let upstream = Upstream::answering(OK);
    let mut request = outgoing(&upstream, Method::GET, Delivery::Repeatable);
    for (name, value) in [
        ("host", &b"gate.example"[..]),
        ("cookie", b"a=b"),
        ("connection", b"keep-alive, te"),
        ("te", b"trailers"),
        ("expect", b"100-continue"),
        ("x-forwarded-for", b"1.2.3.4"),
        ("content-length", b"0"),
        ("accept", b"*/*"),
    ] {
        request = with(request, name, value);
    }
    let text = seen(request, &upstream).await;
    let mut lines: Vec<_> = text.trim_end().split("\r\n").skip(1).collect();
    lines.sort_unstable();
    let host = format!("host: {}", upstream.address);
    let (trace, others): (Vec<_>, Vec<_>) = lines
        .into_iter()
        .partition(|line| line.starts_with("traceparent: 00-"));
    assert_eq!(trace.len(), 1);
    assert_eq!(
        others,
        [
            "accept: */*",
            "forwarded: for=192.0.2.1;proto=http;host=gate.example",
            &host,
            "via: 1.1 lychgate",
            "x-request-id: id-1",
        ]
    );
}

#[tokio::test]
async fn a_single_deletion_has_no_framing_and_a_batch_has_its_length() {
    let upstream = Upstream::answering(OK);
    let single = outgoing(&upstream, Method::DELETE, Delivery::Deletion);
    let text = seen(single, &upstream).await;
    assert!(!text.contains("content-length") && !text.contains("transfer-encoding"));
    let mut batch = outgoing(&upstream, Method::DELETE, Delivery::Deletion);
    batch.body = Body::whole("[1, 2]");
    let text = seen(batch, &upstream).await;
    assert!(text.contains("\r\ncontent-length: 6\r\n") && text.ends_with("\r\n\r\n[1, 2]"));
}

#[tokio::test]
async fn a_streamed_body_leaves_as_it_comes() {
    let (arrived, waits) = channel();
    let upstream = Upstream::start(move |_, session| {
        session.until("one", 0).unwrap();
        arrived.send(()).unwrap();
        session.serve(OK);
    });
    let (feed, body) = fed();
    let mut request = outgoing(&upstream, Method::PUT, Delivery::Once);
    request.body = body;
    let client = client();
    let sending = tokio::spawn(async move { send(&client, request).await });
    feed.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
    // The first chunk is there before the second exists.
    signed(waits).await;
    feed.send(Ok(Bytes::from_static(b"two!"))).await.unwrap();
    drop(feed);
    assert_eq!(sending.await.unwrap().reply.unwrap().status(), 200);
    let text = upstream.seen().pop().unwrap();
    assert!(text.contains("\r\ntransfer-encoding: chunked\r\n"));
    assert!(
        text.ends_with("3\r\none\r\n4\r\ntwo!\r\n0\r\n\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_stream_of_known_length_says_it() {
    let upstream = Upstream::answering(OK);
    let mut request = outgoing(&upstream, Method::PUT, Delivery::Once);
    let whole = http_body_util::Full::new(Bytes::from_static(b"{\"a\":1}"));
    request.body = Body::stream(whole);
    let text = seen(request, &upstream).await;
    assert!(text.contains("\r\ncontent-length: 7\r\n") && text.ends_with("{\"a\":1}"));
}

#[tokio::test]
async fn a_callers_body_that_fails_never_ends_cleanly_upstream() {
    let (arrived, arrives) = channel();
    let (ended, ends) = channel();
    let upstream = Upstream::start(move |_, session| {
        session.until("part\r\n", 0).unwrap();
        arrived.send(()).unwrap();
        assert!(session.until("0\r\n\r\n", 0).is_none(), "no last chunk");
        ended.send(session.pending()).unwrap();
    });
    let (feed, body) = fed();
    let mut request = outgoing(&upstream, Method::PUT, Delivery::Once);
    request.body = body;
    feed.send(Ok(Bytes::from_static(b"part"))).await.unwrap();
    let client = client();
    let sending = tokio::spawn(async move { send(&client, request).await });
    signed(arrives).await;
    feed.send(Err("secret of the caller".into())).await.unwrap();
    let failure = failure(sending.await.unwrap());
    assert_eq!(failure.kind, FailureKind::RequestBody);
    assert!(failure.bytes_left && !failure.detail.contains("secret"));
    let text = signed(ends).await;
    assert!(text.ends_with("4\r\npart\r\n"), "{text}");
}
