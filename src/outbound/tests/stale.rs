//! Connections that died while idle, and requests that may be sent again.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Uri};

use super::support::*;
use crate::clock::Clock;
use crate::forward::{Delivery, FailureKind};
use crate::metrics::Metrics;
use crate::outbound::client::Client;
use crate::outbound::counted_stream::{CountedStream, Waiting};
use crate::request::{Body, Origin};

/// Answers one request on the first connection, then waits for a sign and calls `then`; later connections answer
/// everything.
fn after_one(sign: Receiver<()>, then: impl Fn(&mut Session) + Send + Sync + 'static) -> Upstream {
    let sign = Mutex::new(sign);
    Upstream::start(move |number, session| {
        if number > 0 {
            return session.serve(OK);
        }
        session.request();
        session.say(OK);
        let _ = sign.lock().unwrap().recv();
        then(session);
    })
}

/// Reads another request in full and closes without an answer.
fn reads_and_closes(_: usize, session: &mut Session) {
    session.request();
    session.say(OK);
    session.request();
}

#[tokio::test]
async fn p7_a_close_that_hyper_saw_costs_a_deletion_nothing() {
    let (sign, signed) = channel();
    let upstream = after_one(signed, |_| {});
    let client = client();
    warm(&client, &upstream).await;
    sign.send(()).unwrap();
    let is_gone = |stream: &Arc<CountedStream>| Arc::strong_count(stream) == 1;
    run_until(|| {
        each_idle(&client, &upstream, is_gone)
            .into_iter()
            .all(|gone| gone)
    })
    .await;
    let report = delete(&client, &upstream).await;
    assert_eq!(report.attempts, 1);
    assert_eq!(report.reply.unwrap().status(), 200);
    assert_eq!(upstream.count("DELETE"), 1);
}

#[tokio::test]
async fn p7_a_fin_in_the_kernel_costs_a_deletion_nothing() {
    let (sign, signed) = channel();
    let upstream = after_one(signed, |_| {});
    let client = client();
    warm(&client, &upstream).await;
    sign.send(()).unwrap();
    hold_until(|| each_idle(&client, &upstream, |stream| stream.peek()) == [Waiting::End]);
    assert_eq!(idle_count(&client, &upstream), 1, "still idle");
    let report = delete(&client, &upstream).await;
    assert_eq!(report.attempts, 1);
    assert_eq!(report.reply.unwrap().status(), 200);
    assert_eq!(upstream.connections(), 2);
    assert_eq!(upstream.count("DELETE"), 1);
}

#[tokio::test]
async fn p7_an_unasked_408_in_the_kernel_answers_no_deletion() {
    let (sign, signed) = channel();
    let upstream = after_one(signed, |session| {
        session.say("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
        session.is_ended();
    });
    let client = client();
    warm(&client, &upstream).await;
    sign.send(()).unwrap();
    hold_until(|| each_idle(&client, &upstream, |stream| stream.peek()) == [Waiting::Bytes]);
    let report = delete(&client, &upstream).await;
    assert_eq!(report.reply.unwrap().status(), 200);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn p7_a_surplus_answer_in_the_buffer_answers_no_deletion() {
    let surplus = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::start(move |number, session| {
        if number > 0 {
            return session.serve(OK);
        }
        session.request();
        session.say(&format!("{OK}{surplus}"));
        session.serve(OK);
    });
    let client = client();
    let report = get(&client, &upstream).await;
    text(report.reply.unwrap()).await.unwrap();
    let report = delete(&client, &upstream).await;
    assert_eq!(report.reply.unwrap().status(), 200);
    assert_eq!(upstream.count("DELETE"), 1);
}

#[tokio::test]
async fn p7_a_deletion_read_but_not_answered_is_not_sent_again() {
    let upstream = Upstream::start(reads_and_closes);
    let client = client();
    warm(&client, &upstream).await;
    let report = delete(&client, &upstream).await;
    assert_eq!(report.attempts, 1);
    let failure = failure(report);
    assert_eq!(failure.kind, FailureKind::ConnectionLost);
    assert!(failure.bytes_left);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((upstream.count("DELETE"), upstream.connections()), (1, 1));
}

#[tokio::test]
async fn a_write_read_but_not_answered_is_not_sent_again() {
    let upstream = Upstream::start(reads_and_closes);
    let client = client();
    warm(&client, &upstream).await;
    let failure = failure(put(&client, &upstream).await);
    assert!(failure.bytes_left && failure.kind == FailureKind::ConnectionLost);
    assert_eq!((upstream.count("PUT"), upstream.connections()), (1, 1));
}

#[tokio::test]
async fn a_read_on_a_used_connection_is_sent_once_more_on_a_new_one() {
    let metrics = Metrics::new();
    let upstream = Upstream::start(reads_and_closes);
    let client = Client::new(settings(), metrics.clone(), Clock::system()).unwrap();
    warm(&client, &upstream).await;
    let report = get(&client, &upstream).await;
    assert_eq!(report.attempts, 2);
    assert_eq!(report.reply.unwrap().status(), 200);
    assert_eq!((upstream.count("GET"), upstream.connections()), (3, 2));
    assert_eq!(metrics.upstream_retries.get(), 1);
}

#[tokio::test]
async fn p7_a_read_is_sent_again_byte_for_byte() {
    let upstream = Upstream::start(reads_and_closes);
    let client = client();
    warm(&client, &upstream).await;
    let mut read = outgoing(&upstream, Method::GET, Delivery::Repeatable);
    read.head.uri = Uri::from_static("/users/1?v=4.0&x='{}|");
    for value in [&b"\"a\xe9\tb\""[..], b"", b"1"] {
        let value = HeaderValue::from_bytes(value).unwrap();
        read.head.headers.append("x", value);
    }
    assert_eq!(send(&client, read).await.attempts, 2);
    let seen = upstream.seen();
    assert_eq!((seen.len(), &seen[1]), (3, &seen[2]));
    assert!(seen[1].starts_with("GET /users/1?v=4.0&x='{}| HTTP/1.1\r\n"));
    assert!(seen[1].contains("\r\nx: \"a\u{e9}\tb\"\r\nx: \r\nx: 1\r\n"));
}

#[tokio::test]
async fn a_read_on_a_new_connection_is_not_sent_again() {
    let upstream = Upstream::start(|_, session| {
        session.request();
    });
    let report = get(&client(), &upstream).await;
    assert_eq!(report.attempts, 1);
    assert_eq!(failure(report).kind, FailureKind::ConnectionLost);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_read_whose_answer_had_begun_is_not_sent_again() {
    let upstream = Upstream::start(|_, session| {
        session.request();
        session.say(OK);
        session.request();
        session.say("HTTP/1.1 2");
    });
    let client = client();
    warm(&client, &upstream).await;
    let report = get(&client, &upstream).await;
    assert_eq!(report.attempts, 1);
    assert!(report.reply.is_err());
}

#[tokio::test]
async fn a_streamed_body_cut_off_midway_is_not_sent_again() {
    let upstream = Upstream::start(|_, session| {
        session.until("first", 0).unwrap();
    });
    let (feed, body) = fed();
    feed.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let mut outgoing = outgoing(&upstream, Method::PUT, Delivery::Once);
    outgoing.body = body;
    let report = send(&client(), outgoing).await;
    assert_eq!(report.attempts, 1);
    let failure = failure(report);
    assert!(failure.bytes_left && failure.kind == FailureKind::ConnectionLost);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn p7_a_deletion_uses_no_connection_idle_for_a_second() {
    let upstream = Upstream::answering(OK);
    let client = client();
    let first = Instant::now();
    let reused = loop {
        assert!(
            first.elapsed() < PATIENCE,
            "no deletion followed its read within half a second"
        );
        warm(&client, &upstream).await;
        let (before, begun) = (upstream.connections(), Instant::now());
        delete(&client, &upstream).await.reply.unwrap();
        // A stalled machine proves nothing: it tries again.
        if begun.elapsed() < Duration::from_millis(500) {
            break upstream.connections() == before;
        }
    };
    assert!(reused, "used a moment ago: will do");
    let report = get(&client, &upstream).await;
    text(report.reply.unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let before = upstream.connections();
    put(&client, &upstream).await.reply.unwrap();
    assert_eq!(upstream.connections(), before, "a write may take it");
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    delete(&client, &upstream).await.reply.unwrap();
    assert_eq!(upstream.connections(), before + 1);
}

/// Makes every idle connection fail at its next write, before a byte leaves.
fn break_idle(client: &Client, upstream: &Upstream) {
    each_idle(client, upstream, |stream| stream.seal());
}

#[tokio::test]
async fn p7_an_unsent_deletion_goes_out_once_on_a_new_connection() {
    let upstream = Upstream::answering(OK);
    let client = client();
    warm(&client, &upstream).await;
    break_idle(&client, &upstream);
    let mut batch = outgoing(&upstream, Method::DELETE, Delivery::Deletion);
    batch.body = Body::whole("[1,2]");
    let report = send(&client, batch).await;
    assert_eq!(report.attempts, 2);
    assert_eq!(report.reply.unwrap().status(), 200);
    assert_eq!((upstream.count("DELETE"), upstream.connections()), (1, 2));
    assert!(upstream.seen().pop().unwrap().ends_with("\r\n\r\n[1,2]"));
}

#[tokio::test]
async fn an_unsent_write_goes_out_once_on_a_new_connection() {
    let upstream = Upstream::answering(OK);
    let client = client();
    warm(&client, &upstream).await;
    break_idle(&client, &upstream);
    let report = put(&client, &upstream).await;
    assert_eq!((report.attempts, report.reply.is_ok()), (2, true));
    assert_eq!(upstream.count("PUT"), 1);
}

#[tokio::test]
async fn a_stream_that_may_be_consumed_is_not_sent_again() {
    let upstream = Upstream::answering(OK);
    let client = client();
    warm(&client, &upstream).await;
    break_idle(&client, &upstream);
    let (feed, body) = fed();
    feed.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let mut outgoing = outgoing(&upstream, Method::PUT, Delivery::Once);
    outgoing.body = body;
    let report = send(&client, outgoing).await;
    assert_eq!(report.attempts, 1);
    let failure = failure(report);
    assert!(!failure.bytes_left, "{failure:?}");
    assert_eq!(upstream.count("PUT"), 0);
}

#[tokio::test]
async fn bytes_of_a_first_try_count_if_the_second_fails() {
    // One connection alone is taken: the listener is gone before the second request is read.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut session = Session::new(stream);
        session.request();
        session.say(OK);
        session.request();
    });
    let client = client();
    let origin: Arc<Origin> = Origin::parse(&format!("http://{address}")).unwrap().into();
    let read = || outgoing_to(Arc::clone(&origin), Method::GET, Delivery::Repeatable);
    let response = send(&client, read()).await.reply.unwrap();
    text(response).await.unwrap();
    let report = send(&client, read()).await;
    assert_eq!(report.attempts, 2);
    let failure = failure(report);
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.bytes_left);
    serving.join().unwrap();
}
