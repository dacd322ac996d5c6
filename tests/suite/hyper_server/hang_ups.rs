//! Hang-ups and pipelined requests.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
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
        let connection = builder().serve_connection(TokioIo::new(server), service);
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
        let connection = builder().serve_connection(TokioIo::new(server), service);
        let ended = tokio::time::timeout(SHORT, connection).await;
        assert!(ended.is_err(), "the connection ended");
    });
    assert_eq!(heard.into_inner(), 1);
}
