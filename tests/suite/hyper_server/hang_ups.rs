//! Hang-ups and pipelined requests.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::{bounded, builder, pair};

const SHORT: Duration = Duration::from_millis(200);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn hang_up_of_the_sending_half_still_gets_its_answer() {
    let answer = super::exchange(GET).answer;
    assert!(answer.ends_with("ok"), "{answer}");
}

/// Without `half_close`, hyper drops the service on FIN, although the caller may still wait. So the gateway
/// hides the FIN for a while.
#[test]
fn hang_up_of_the_sending_half_ends_the_service() {
    let service = service_fn(|_: Request<Incoming>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    bounded(async {
        let (mut caller, server) = pair().await;
        caller.write_all(GET).await.unwrap();
        caller.shutdown().await.unwrap();
        let mut builder = builder();
        let connection = builder.half_close(false);
        let ended = connection.serve_connection(TokioIo::new(server), service);
        assert!(
            ended
                .await
                .is_err_and(|error| error.is_incomplete_message())
        );
    });
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
