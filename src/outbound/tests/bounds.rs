//! Bounds on time and on connections.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use tokio_util::task::AbortOnDropHandle;

use super::support::*;
use crate::clock::Clock;
use crate::forward::{Delivery, FailureKind, Report};
use crate::metrics::Metrics;
use crate::outbound::Settings;
use crate::outbound::client::Client;
use crate::request::{Body, Origin};

const SHORT: Duration = Duration::from_millis(300);
/// For an event that should come before another one times out.
const LONGER: Duration = Duration::from_secs(1);

fn client_with(change: impl FnOnce(&mut Settings)) -> Client {
    let mut settings = settings();
    change(&mut settings);
    Client::new(settings, Metrics::new(), Clock::system()).unwrap()
}

/// An answer with its body's first bytes in time; tries again if the machine stalls.
async fn begun_in_time(client: &Client, upstream: &Upstream) -> Body {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no answer begins in time");
        match get(client, upstream).await.reply {
            Ok(response) => {
                let mut body = response.into_body();
                if let Some(Ok(_)) = body.frame().await {
                    return body;
                }
            }
            Err(failure) => assert_eq!(failure.kind, FailureKind::Timeout),
        }
    }
}

/// Reads requests, answers none, holds the connection.
fn silent() -> Upstream {
    Upstream::start(|_, session| session.serve(""))
}

#[tokio::test]
async fn a_slow_head_is_a_timeout_after_bytes_left() {
    let upstream = silent();
    let client = client_with(|settings| settings.head_timeout = SHORT);
    let begun = Instant::now();
    let report = delete(&client, &upstream).await;
    assert_eq!(report.attempts, 1);
    let failure = failure(report);
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(failure.bytes_left);
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn the_head_timeout_begins_with_the_last_byte_sent() {
    let upstream = silent();
    let client = client_with(|settings| settings.head_timeout = SHORT);
    let (feed, body) = fed();
    let mut request = outgoing(&upstream, Method::PUT, Delivery::Once);
    request.body = body;
    let sending = tokio::spawn(async move { send(&client, request).await });
    for _ in 0..3 {
        tokio::time::sleep(SHORT).await;
        feed.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
    }
    let last = Instant::now();
    drop(feed);
    assert_eq!(failure(sending.await.unwrap()).kind, FailureKind::Timeout);
    assert!(last.elapsed() >= SHORT);
}

#[tokio::test]
async fn an_upload_that_stops_is_ended_by_the_total_timeout() {
    let upstream = silent();
    let client = client_with(|settings| settings.total_timeout = SHORT);
    let (_feed, body) = fed();
    let mut request = outgoing(&upstream, Method::PUT, Delivery::Once);
    request.body = body;
    let failure = failure(send(&client, request).await);
    assert_eq!(failure.kind, FailureKind::Timeout);
}

#[tokio::test]
async fn an_answers_body_is_ended_by_the_total_timeout() {
    let upstream = Upstream::start(|_, session| {
        session.request();
        session.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
        session.serve("");
    });
    let client = client_with(|settings| settings.total_timeout = LONGER);
    let body = begun_in_time(&client, &upstream).await;
    let error = body.collect().await.unwrap_err();
    assert!(error.to_string().contains("in time"), "{error}");
}

#[tokio::test]
async fn a_body_that_never_begins_is_a_timeout() {
    let upstream = Upstream::start(|_, session| {
        session.request();
        session.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
        session.serve("");
    });
    let client = client_with(|settings| settings.total_timeout = LONGER);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no head comes in time");
        let failure = failure(get(&client, &upstream).await);
        assert_eq!(failure.kind, FailureKind::Timeout);
        // On a machine that stalls, not even the head came in time.
        if failure.status == Some(200) {
            return;
        }
    }
}

#[tokio::test]
async fn a_refused_connection_is_unreachable_and_nothing_left() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let origin = Origin {
        tls: false,
        host: "127.0.0.1".into(),
        port,
    };
    let request = outgoing_to(origin.into(), Method::DELETE, Delivery::Deletion);
    let report = send(&client(), request).await;
    assert_eq!(report.attempts, 1);
    let failure = failure(report);
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(!failure.bytes_left);
    assert!(
        failure.detail.contains(&format!("127.0.0.1:{port}")),
        "{}",
        failure.detail
    );
}

#[tokio::test]
async fn a_name_is_resolved_and_each_address_tried() {
    let upstream = Upstream::answering(OK);
    let origin = Origin {
        tls: false,
        host: "localhost".into(),
        port: upstream.address.port(),
    };
    let request = outgoing_to(origin.into(), Method::GET, Delivery::Repeatable);
    let report = send(&client(), request).await;
    assert_eq!(report.reply.unwrap().status(), 200);
}

#[tokio::test]
async fn past_the_bound_a_request_waits_and_is_then_saturated() {
    let upstream = silent();
    let client = client_with(|settings| {
        settings.max_connections = 1;
        settings.connect_timeout = SHORT;
    });
    let first = tokio::spawn({
        let request = outgoing(&upstream, Method::GET, Delivery::Repeatable);
        let client = client.clone();
        async move { send(&client, request).await }
    });
    run_until(|| upstream.connections() == 1).await;
    let report = delete(&client, &upstream).await;
    assert_eq!(report.attempts, 0);
    let failure = failure(report);
    assert_eq!(failure.kind, FailureKind::Saturated);
    assert!(!failure.bytes_left);
    assert_eq!(upstream.connections(), 1);
    first.abort();
}

#[tokio::test]
async fn a_waiter_gets_the_connection_that_comes_free() {
    let upstream = Upstream::start(|_, session| {
        while session.request().is_some() {
            std::thread::sleep(Duration::from_millis(30));
            session.say(OK);
        }
    });
    let client = client_with(|settings| settings.max_connections = 3);
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let request = outgoing(&upstream, Method::GET, Delivery::Repeatable);
        let client = client.clone();
        tasks.push(tokio::spawn(async move {
            let report = send(&client, request).await;
            text(report.reply.unwrap()).await.unwrap()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), "ok");
    }
    assert!(upstream.connections() <= 3);
}

/// Answers deletions; each read waits until its connection ends.
fn slow_to_read() -> Upstream {
    Upstream::start(|_, session| {
        while session
            .request()
            .is_some_and(|text| text.starts_with("DELETE"))
        {
            session.say(OK);
        }
        session.is_ended();
    })
}

fn spawn_read(client: &Client, upstream: &Upstream) -> AbortOnDropHandle<Report> {
    spawn(client, upstream, Delivery::Repeatable)
}

fn spawn(client: &Client, upstream: &Upstream, delivery: Delivery) -> AbortOnDropHandle<Report> {
    let method = match delivery {
        Delivery::Deletion => Method::DELETE,
        _ => Method::GET,
    };
    let request = outgoing(upstream, method, delivery);
    let client = client.clone();
    AbortOnDropHandle::new(tokio::spawn(async move { send(&client, request).await }))
}

#[tokio::test]
async fn the_last_quarter_of_the_connections_is_for_deletions() {
    let upstream = slow_to_read();
    let client = client();
    let reads = [(); 3].map(|()| spawn_read(&client, &upstream));
    run_until(|| upstream.count("GET") == 3).await;
    let waiter = spawn_read(&client, &upstream);
    let report = delete(&client, &upstream).await;
    assert_eq!(report.reply.unwrap().status(), 200);
    assert_eq!(upstream.count("GET"), 3);
    assert!(!waiter.is_finished());
    // An abandoned read frees its place for the one that waits.
    drop(reads);
    run_until(|| upstream.count("GET") == 4).await;
}

#[tokio::test]
async fn as_many_requests_wait_as_there_are_connections() {
    let upstream = silent();
    let metrics = Metrics::new();
    let client = Client::new(settings(), metrics.clone(), Clock::system()).unwrap();
    let _reads = [(); 3].map(|()| spawn_read(&client, &upstream));
    run_until(|| upstream.count("GET") == 3).await;
    let waiters = [(); 3].map(|()| spawn_read(&client, &upstream));
    run_until(|| metrics.upstream_waiting.get() == 3).await;
    let report = get(&client, &upstream).await;
    assert_eq!(report.attempts, 0);
    let failure = failure(report);
    assert_eq!(failure.kind, FailureKind::Saturated);
    assert!(
        failure.detail.contains("as many requests wait"),
        "{failure:?}"
    );
    assert_eq!(metrics.upstream_waiters_refused.get(), 1);
    // Deletions have places of their own in the queue.
    let _last = spawn(&client, &upstream, Delivery::Deletion);
    run_until(|| upstream.count("DELETE") == 1).await;
    let deletion = spawn(&client, &upstream, Delivery::Deletion);
    run_until(|| metrics.upstream_waiting.get() == 4).await;
    drop((waiters, deletion));
    run_until(|| metrics.upstream_waiting.get() == 0).await;
}

#[tokio::test]
async fn a_new_connection_pushes_the_oldest_idle_one_out() {
    let upstream = Upstream::answering(OK);
    let client = client_with(|settings| settings.max_connections = 1);
    warm(&client, &upstream).await;
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let report = delete(&client, &upstream).await;
    text(report.reply.unwrap()).await.unwrap();
    assert_eq!(upstream.connections(), 2);
    assert_eq!(idle_count(&client, &upstream), 1);
}

#[tokio::test]
async fn dropping_the_future_closes_its_connection() {
    let (ended, waits) = channel();
    let upstream = Upstream::start(move |_, session| {
        session.request();
        ended.send(session.is_ended()).unwrap();
    });
    let client = client();
    let sending = delete(&client, &upstream);
    assert!(tokio::time::timeout(SHORT, sending).await.is_err());
    assert!(signed(waits).await);
    assert_eq!(idle_count(&client, &upstream), 0);
}

#[tokio::test]
async fn dropping_an_answer_half_read_closes_its_connection() {
    let (ended, waits) = channel();
    let upstream = Upstream::start(move |_, session| {
        session.request();
        session.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
        ended.send(session.is_ended()).unwrap();
    });
    let client = client();
    drop(get(&client, &upstream).await.reply.unwrap());
    assert!(signed(waits).await);
    assert_eq!(idle_count(&client, &upstream), 0);
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_closed() {
    let (ended, waits) = channel();
    let upstream = Upstream::start(move |_, session| {
        session.request();
        session.say(OK);
        ended.send(session.is_ended()).unwrap();
    });
    let client = client_with(|settings| settings.idle_timeout = SHORT);
    warm(&client, &upstream).await;
    assert!(signed(waits).await);
    assert_eq!(idle_count(&client, &upstream), 0);
}

#[tokio::test]
async fn an_answered_connection_is_used_again() {
    let metrics = Metrics::new();
    let upstream = Upstream::answering(OK);
    let client = Client::new(settings(), metrics.clone(), Clock::system()).unwrap();
    for _ in 0..20 {
        warm(&client, &upstream).await;
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(metrics.upstream_connections.get(), 1);
    assert!(
        metrics
            .encode()
            .contains("lychgate_upstream_seconds_count 20")
    );
}

#[tokio::test]
async fn a_connection_that_upstream_ends_after_its_answer_is_not_kept() {
    let upstream = Upstream::start(|_, session| {
        session.request();
        session.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    });
    let client = client();
    for _ in 0..3 {
        let response = get(&client, &upstream).await.reply.unwrap();
        assert_eq!(text(response).await.unwrap(), "ok");
    }
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn an_unread_body_holds_no_connection_beyond_its_time() {
    let ended = Arc::new(AtomicUsize::new(0));
    let ends = Arc::clone(&ended);
    let upstream = Upstream::start(move |_, session| {
        session.request();
        session.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
        assert!(session.is_ended());
        ends.fetch_add(1, Ordering::SeqCst);
    });
    let client = client_with(|settings| settings.total_timeout = LONGER);
    let mut body = begun_in_time(&client, &upstream).await;
    run_until(|| ended.load(Ordering::SeqCst) == upstream.connections()).await;
    assert!(body.frame().await.unwrap().is_err(), "no clean end");
    assert!(body.frame().await.is_none());
}
