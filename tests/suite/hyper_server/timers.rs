//! The head timer, hang-ups and graceful shutdown.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{bounded, builder, pair};

const SHORT: Duration = Duration::from_millis(200);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn ok(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    Ok(Response::new(Full::from("ok")))
}

/// Sends the bytes, keeps the sending half open, and reads until the server closes.
fn held(raw: &[u8]) -> (hyper::Result<()>, String) {
    bounded(async {
        let (mut caller, server) = pair().await;
        let connection = builder(SHORT).serve_connection(TokioIo::new(server), service_fn(ok));
        let calling = async {
            caller.write_all(raw).await.unwrap();
            let mut answer = String::new();
            caller.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::join!(connection, calling)
    })
}

#[test]
fn timer_closes_a_late_head_without_an_answer() {
    let (ended, answer) = held(b"GET / HTTP/1.1\r\nHo");
    assert!(ended.unwrap_err().is_timeout());
    assert_eq!(answer, "");
}

#[test]
fn timer_closes_an_idle_connection_after_its_answer() {
    let (_, answer) = held(GET);
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[test]
fn timer_does_not_cover_a_body_that_stops() {
    bounded(async {
        let (mut caller, server) = pair().await;
        let connection = builder(SHORT).serve_connection(TokioIo::new(server), service_fn(ok));
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na";
        caller.write_all(head).await.unwrap();
        let held = tokio::time::timeout(SHORT * 5, connection).await;
        assert!(held.is_err(), "the connection ended");
    });
}

#[test]
#[should_panic(expected = "timer")]
fn timer_left_out_panics_at_the_first_connection() {
    bounded(async {
        let (mut caller, server) = pair().await;
        caller.write_all(GET).await.unwrap();
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(SHORT);
        let connection = builder.serve_connection(TokioIo::new(server), service_fn(ok));
        let _ = connection.await;
    });
}

#[test]
fn hang_up_of_the_sending_half_still_gets_its_answer() {
    let answer = super::exchange(GET).answer;
    assert!(answer.ends_with("ok"), "{answer}");
}

/// hyper does not drop the service on FIN and waits for its answer, so the gateway's total timeouts
/// must bound it.
#[test]
fn hang_up_of_the_sending_half_does_not_drop_the_service() {
    let gate = tokio::sync::Semaphore::new(0);
    let service = service_fn(|request| {
        let gate = &gate;
        async move {
            let _permit = gate.acquire().await;
            ok(request).await
        }
    });
    let answer = bounded(async {
        let (mut caller, server) = pair().await;
        caller.write_all(GET).await.unwrap();
        caller.shutdown().await.unwrap();
        let connection = builder(super::BOUND).serve_connection(TokioIo::new(server), service);
        let mut connection = Box::pin(connection);
        let early = tokio::time::timeout(SHORT, connection.as_mut()).await;
        assert!(early.is_err(), "the connection ended");
        gate.add_permits(1);
        let mut answer = String::new();
        let (_, read) = tokio::join!(connection, caller.read_to_string(&mut answer));
        read.unwrap();
        answer
    });
    assert!(answer.ends_with("ok"), "{answer}");
}

/// Sends two requests at once; the first waits.
#[test]
fn a_pipelined_request_waits_for_the_first_answer() {
    let two = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let heard = AtomicUsize::new(0);
    let service = service_fn(|_: Request<Incoming>| {
        heard.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    bounded(async {
        let (mut caller, server) = pair().await;
        caller.write_all(two).await.unwrap();
        let connection = builder(super::BOUND).serve_connection(TokioIo::new(server), service);
        let ended = tokio::time::timeout(SHORT, connection).await;
        assert!(ended.is_err(), "the connection ended");
    });
    assert_eq!(heard.into_inner(), 1);
}

#[test]
fn drain_closes_an_idle_connection_without_notice() {
    bounded(async {
        let (mut caller, server) = pair().await;
        let connection =
            builder(super::BOUND).serve_connection(TokioIo::new(server), service_fn(ok));
        let mut connection = Box::pin(connection);
        caller.write_all(GET).await.unwrap();
        let idle = tokio::time::timeout(SHORT * 5, connection.as_mut()).await;
        assert!(idle.is_err(), "the connection ended");
        connection.as_mut().graceful_shutdown();
        let mut answer = String::new();
        let (ended, read) = tokio::join!(connection, caller.read_to_string(&mut answer));
        ended.unwrap();
        read.unwrap();
        assert!(answer.ends_with("ok"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    });
}

/// Requests a graceful shutdown after the connection has polled these bytes once.
fn drained(raw: &'static [u8]) -> (hyper::Result<()>, String, usize) {
    let heard = AtomicUsize::new(0);
    let gate = tokio::sync::Semaphore::new(0);
    let service = service_fn(|request| {
        heard.fetch_add(1, Ordering::Relaxed);
        let gate = &gate;
        async move {
            let _permit = gate.acquire().await;
            ok(request).await
        }
    });
    let (ended, answer) = bounded(async {
        let (mut caller, server) = pair().await;
        caller.write_all(raw).await.unwrap();
        server.readable().await.unwrap();
        let connection = builder(SHORT * 5).serve_connection(TokioIo::new(server), service);
        let mut connection = Box::pin(connection);
        let early = tokio::time::timeout(SHORT, connection.as_mut()).await;
        assert!(early.is_err(), "the connection ended");
        connection.as_mut().graceful_shutdown();
        gate.add_permits(1);
        let mut answer = String::new();
        let (ended, read) = tokio::join!(connection, caller.read_to_string(&mut answer));
        // If the next request was dropped, the close is a reset.
        let _ = read;
        (ended, answer)
    });
    (ended, answer, heard.into_inner())
}

#[test]
fn drain_closes_a_fresh_connection_unanswered() {
    let (ended, answer) = bounded(async {
        let (mut caller, server) = pair().await;
        let connection =
            builder(super::BOUND).serve_connection(TokioIo::new(server), service_fn(ok));
        let mut connection = Box::pin(connection);
        connection.as_mut().graceful_shutdown();
        let mut answer = String::new();
        let (ended, _) = tokio::join!(connection, caller.read_to_string(&mut answer));
        (ended, answer)
    });
    assert!(ended.is_ok());
    assert_eq!(answer, "");
}

#[test]
fn drain_answers_what_is_in_flight_and_closes() {
    let (ended, answer, heard) = drained(GET);
    assert!(ended.is_ok());
    assert_eq!(heard, 1);
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("ok"), "{answer}");
}

#[test]
fn drain_drops_the_next_pipelined_request() {
    let two = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(drained(two).2, 1);
}

#[test]
fn drain_is_held_by_half_a_head_until_the_head_timeout() {
    let (ended, answer, heard) = drained(b"GET / HTTP/1.1\r\nHo");
    assert!(ended.unwrap_err().is_timeout());
    assert_eq!(answer, "");
    assert_eq!(heard, 0);
}
