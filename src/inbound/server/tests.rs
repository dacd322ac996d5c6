//! The listener over real sockets, with a handler of the test's own.

use std::future::ready;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;
use crate::inbound::{Counters, Settings, serve};
use crate::request::{Body, HeadFault, Peer, Received};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
/// Longer than any step here takes on a slow machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(120);

fn settings() -> Settings {
    Settings {
        address: "127.0.0.1:0".parse().unwrap(),
        max_connections: 100,
        head_timeout: 10 * PATIENCE,
        idle_timeout: 10 * PATIENCE,
        half_close_grace: 10 * PATIENCE,
        drain_timeout: Duration::from_secs(5),
    }
}

fn start<H, F>(settings: Settings, handler: H) -> (Server, Counters)
where
    H: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let counters = Counters::default();
    let listener = Listener::bind(settings).unwrap();
    let handler = move |received: Received, _: &Peer| {
        Box::pin(match received {
            Ok(request) => handler(request).left_future(),
            Err(fault) => ready(refused(&fault)).right_future(),
        })
        .map(Ok)
    };
    (serve(listener, counters.clone(), handler), counters)
}

/// The answer to a head that is no request.
fn refused(fault: &HeadFault) -> Response<Body> {
    let mut response = Response::new(Body::whole(format!("refused: {fault}")));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

async fn ok(_: Request<Body>) -> Response<Body> {
    Response::new(Body::whole("fine"))
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

async fn send(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(server).await;
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads until the other side closes.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("the connection was not closed").unwrap();
    String::from_utf8(bytes).unwrap()
}

/// One answer whose body is `fine`; the connection stays open.
async fn read_fine(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\nfine") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        assert!(read.unwrap().unwrap() > 0, "closed too early");
    }
    String::from_utf8(bytes).unwrap()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_handler_knows_the_peer() {
    let counters = Counters::default();
    let listener = Listener::bind(settings()).unwrap();
    let server = serve(listener, counters.clone(), |_, peer| {
        let ip = peer.ip().to_owned();
        Box::pin(async move { Ok(Response::new(Body::whole(ip))) })
    });
    let mut stream = send(
        &server,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    let own = stream.local_addr().unwrap().ip().to_string();
    let answer = read_all(&mut stream).await;
    assert!(answer.ends_with(&own), "{answer}");
    until("the gauge goes back", || counters.connections.get() == 0).await;
}

#[tokio::test]
async fn a_head_that_is_late_is_refused_and_counted() {
    let mut settings = settings();
    settings.head_timeout = Duration::from_millis(500);
    let (server, counters) = start(settings, ok);
    let begun = Instant::now();
    let mut silent = connect(&server).await;
    let mut idle = send(&server, GET).await;
    read_fine(&mut idle).await;
    let mut slow = send(&server, b"GET / HTTP/1.1\r\nHo").await;
    let answer = read_all(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("refused: the head took too long to arrive"));
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert_eq!(counters.parser_refusals.get(), 1);
    // The time of a head begins with its first byte.
    for waiting in [&mut silent, &mut idle] {
        waiting.write_all(GET).await.unwrap();
        read_fine(waiting).await;
    }
}

#[tokio::test]
async fn an_idle_connection_closes_after_the_idle_timeout() {
    let mut settings = settings();
    settings.idle_timeout = Duration::from_millis(500);
    let (server, counters) = start(settings, ok);
    let begun = Instant::now();
    let mut silent = connect(&server).await;
    let mut idle = send(&server, GET).await;
    // Some clients end a body with an empty line that does not belong to it.
    let mut untidy = send(&server, &[GET, b"\r\n"].concat()).await;
    assert_eq!(read_all(&mut silent).await, "");
    for answered in [&mut idle, &mut untidy] {
        let answer = read_all(answered).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert_eq!(counters.parser_refusals.get(), 0);
}

#[tokio::test]
async fn no_timeout_runs_while_a_request_is_in_flight() {
    let mut settings = settings();
    settings.idle_timeout = Duration::from_millis(100);
    settings.head_timeout = Duration::from_millis(100);
    let (server, _) = start(settings, |request: Request<Body>| async {
        request.into_body().collect().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        Response::new(Body::whole("fine"))
    });
    let mut stream = connect(&server).await;
    let head = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stream.write_all(b"{}").await.unwrap();
    read_fine(&mut stream).await;
}

#[tokio::test]
async fn past_the_bound_connections_wait_in_the_backlog() {
    let mut settings = settings();
    settings.max_connections = 1;
    let (server, counters) = start(settings, ok);
    let mut first = send(&server, GET).await;
    read_fine(&mut first).await;
    let mut second = send(&server, GET).await;
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(200), second.read(&mut byte)).await;
    assert!(early.is_err(), "the second was served beside the first");
    assert_eq!(counters.connections.get(), 1);
    drop(first);
    read_fine(&mut second).await;
}

#[tokio::test]
async fn p14_stopping_closes_idle_connections_and_lets_requests_end() {
    let begun = Arc::new(Notify::new());
    let go_on = Arc::new(Notify::new());
    let (entered, released) = (Arc::clone(&begun), Arc::clone(&go_on));
    let (server, _) = start(settings(), move |request| {
        let (entered, released) = (Arc::clone(&entered), Arc::clone(&released));
        async move {
            if request.uri().path() == "/slow" {
                entered.notify_one();
                released.notified().await;
            }
            Response::new(Body::whole("fine"))
        }
    });
    let address = server.address();
    let mut fresh = connect(&server).await;
    let mut idle = send(&server, GET).await;
    read_fine(&mut idle).await;
    let mut busy = send(&server, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    begun.notified().await;
    let stopped = tokio::spawn(server.stop(PATIENCE));
    assert_eq!(read_all(&mut fresh).await, "");
    assert_eq!(read_all(&mut idle).await, "");
    assert!(!stopped.is_finished());
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "the listener is still open");
    }
    go_on.notify_one();
    let answer = read_all(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    tokio::time::timeout(PATIENCE, stopped)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn p14_no_request_crosses_the_close_of_an_idle_connection() {
    let (server, counters) = start(settings(), ok);
    let fresh = connect(&server).await;
    until("accepted", || counters.connections.get() == 1).await;
    let mut idle = send(&server, GET).await;
    read_fine(&mut idle).await;
    // No task of the server runs between the drain and these requests.
    server.drain.stop();
    for stream in [fresh, idle] {
        let mut stream = stream.into_std().unwrap();
        stream.write_all(GET).unwrap();
        let answer = read_all(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(answer.ends_with("fine"), "{answer}");
    }
}

#[tokio::test]
async fn p14_an_idle_connection_outlives_the_drain_for_two_seconds() {
    let (server, counters) = start(settings(), ok);
    let mut fresh = connect(&server).await;
    until("accepted", || counters.connections.get() == 1).await;
    let mut idle = send(&server, GET).await;
    read_fine(&mut idle).await;
    let begun = Instant::now();
    let stopped = tokio::spawn(server.stop(PATIENCE));
    for stream in [&mut fresh, &mut idle] {
        assert_eq!(read_all(stream).await, "");
        assert!(begun.elapsed() >= Duration::from_secs(2));
    }
    tokio::time::timeout(PATIENCE, stopped)
        .await
        .unwrap()
        .unwrap();
}

/// On one thread the server cannot accept before the test waits, so these are in the backlog.
#[tokio::test]
async fn p14_requests_in_the_backlog_are_answered_when_stopping() {
    let (server, _) = start(settings(), ok);
    let mut streams: Vec<_> = (0..10)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
            stream.write_all(GET).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    server.stop(PATIENCE).await;
    for stream in streams.drain(..) {
        let answer = read_all(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(answer.ends_with("fine"), "{answer:?}");
    }
}

#[tokio::test]
async fn p14_stopping_does_not_wait_beyond_its_grace() {
    let (server, counters) = start(settings(), |_| std::future::pending());
    let mut stream = send(&server, GET).await;
    until("accepted", || counters.connections.get() == 1).await;
    let begun = Instant::now();
    server.stop(Duration::from_millis(100)).await;
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(read_all(&mut stream).await, "");
    assert_eq!(counters.connections.get(), 0);
}

#[tokio::test]
async fn p14_half_a_head_does_not_hold_up_stopping() {
    let (server, counters) = start(settings(), ok);
    let mut half = send(&server, b"GET / HTTP/1.1\r\nHo").await;
    until("accepted", || counters.connections.get() == 1).await;
    // Both the head timeout and the grace are longer than this.
    let stopped = tokio::time::timeout(PATIENCE, server.stop(10 * PATIENCE));
    assert!(stopped.await.is_ok());
    assert!(read_all(&mut half).await.contains("refused: the head took"));
}

#[tokio::test]
async fn p14_winding_down_still_serves_and_says_close() {
    let (server, _) = start(settings(), ok);
    server.wind_down();
    let answer = read_all(&mut send(&server, GET).await).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("fine"), "{answer}");
}

#[tokio::test]
async fn a_panic_ends_its_connection_alone() {
    let (server, counters) = start(settings(), |request: Request<Body>| async move {
        assert_eq!(request.uri().path(), "/a", "panics as told");
        Response::new(Body::whole("fine"))
    });
    let mut broken = send(&server, b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut byte = [0];
    let read = tokio::time::timeout(PATIENCE, broken.read(&mut byte)).await;
    assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
    read_fine(&mut send(&server, GET).await).await;
    until("the gauge goes back", || counters.connections.get() <= 1).await;
}

#[tokio::test]
async fn an_early_answer_reaches_a_caller_who_still_sends() {
    let (server, _) = start(settings(), |_| async {
        let mut response = Response::new(Body::whole("too large"));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        response
    });
    let mut stream = connect(&server).await;
    let body = vec![b'x'; 6 << 20];
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.ends_with("too large"), "{answer}");
}

#[tokio::test]
async fn trailers_never_reach_the_handler() {
    let (server, _) = start(settings(), |request: Request<Body>| async move {
        let body = request.into_body().collect().await.unwrap();
        let trailers = body.trailers().is_some();
        let bytes = body.to_bytes();
        Response::new(Body::whole(format!("{bytes:?} {trailers}")))
    });
    let request =
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
        3\r\nabc\r\n0\r\nIf-Match: 1\r\n\r\n";
    let answer = read_all(&mut send(&server, request).await).await;
    assert!(answer.ends_with("b\"abc\" false"), "{answer}");
}

#[tokio::test]
async fn no_body_is_an_empty_body() {
    let (server, _) = start(settings(), |request: Request<Body>| async move {
        let empty = matches!(request.body(), Body::Empty);
        Response::new(Body::whole(empty.to_string()))
    });
    for (length, wanted) in [
        ("", "true"),
        ("Content-Length: 0\r\n", "true"),
        ("Content-Length: 1\r\n", "false"),
    ] {
        let request = format!(
            "DELETE / HTTP/1.1\r\nHost: a\r\n{length}Connection: close\r\n\r\n{}",
            if wanted == "true" { "" } else { "x" }
        );
        let answer = read_all(&mut send(&server, request.as_bytes()).await).await;
        assert!(answer.ends_with(wanted), "{length}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_is_no_request_is_refused_and_counted() {
    let (server, counters) = start(settings(), ok);
    let lines = "X: 1\r\n".repeat(100);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(65_535));
    // Nobody has been asked for a token yet, so little is held for them.
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(160 << 10));
    let malformed = "the head is not valid HTTP/1.1: ";
    for (count, (bytes, fault)) in (1..).zip([
        ("GET / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", malformed),
        ("GET / HTTP/3.1\r\n\r\n", malformed),
        ("nonsense\r\n\r\n", malformed),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", malformed),
        (&*many, "the head is too long or has too many lines"),
        (&*long, "the request target is too long"),
        (&*endless, "the head is too long or has too many lines"),
    ]) {
        let answer = read_all(&mut send(&server, bytes.as_bytes()).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{fault}: {answer}");
        assert!(answer.contains(&format!("\r\n\r\nrefused: {fault}")));
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1 + fault.matches("HTTP/1.1").count()
        );
        assert_eq!(counters.parser_refusals.get(), count, "{fault}");
    }
}

#[tokio::test]
async fn a_head_that_ends_too_early_is_refused() {
    let (server, counters) = start(settings(), ok);
    let mut stream = send(&server, b"GET / HTTP/1.1\r\nHo").await;
    stream.shutdown().await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.contains("\r\n\r\nrefused: "), "{answer}");
    assert_eq!(counters.parser_refusals.get(), 1);
    // A caller that leaves without a head has done nothing wrong.
    let mut stream = send(&server, GET).await;
    read_fine(&mut stream).await;
    stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut stream).await, "");
    assert_eq!(counters.parser_refusals.get(), 1);
}

#[tokio::test]
async fn a_later_head_on_a_connection_is_refused_as_well() {
    let (server, counters) = start(settings(), |request| async move {
        let body = request.into_body().collect().await.unwrap();
        Response::new(Body::stream(Full::new(body.to_bytes())))
    });
    let good = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfine";
    let bad = b"GET / HTTP/3.1\r\n\r\n";
    let mut at_once = send(&server, &[&good[..], bad].concat()).await;
    let mut later = send(&server, good).await;
    let first = read_fine(&mut later).await;
    later.write_all(bad).await.unwrap();
    let later = first + &read_all(&mut later).await;
    for answers in [read_all(&mut at_once).await, later] {
        let (first, second) = answers.split_once("fine").unwrap();
        assert!(first.starts_with("HTTP/1.1 200"), "{answers}");
        assert!(second.starts_with("HTTP/1.1 400"), "{answers}");
        assert!(second.contains("\r\n\r\nrefused: "), "{answers}");
    }
    assert_eq!(counters.parser_refusals.get(), 2);
}

#[tokio::test]
async fn p6_a_caller_that_shut_its_sending_half_gets_its_answer() {
    let (server, _) = start(settings(), |_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Response::new(Body::whole("fine"))
    });
    let mut stream = send(&server, GET).await;
    stream.shutdown().await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("fine"));
}

#[tokio::test]
async fn an_answer_with_two_framings_still_arrives() {
    let (server, _) = start(settings(), |_| async {
        let mut response = Response::new(Body::whole("fine"));
        let headers = response.headers_mut();
        headers.insert("content-length", "4".parse().unwrap());
        headers.insert("transfer-encoding", "chunked".parse().unwrap());
        response
    });
    let answer = read_fine(&mut send(&server, GET).await).await;
    assert!(answer.contains("content-length: 4"), "{answer}");
}

#[tokio::test]
async fn a_caller_that_does_not_read_loses_its_connection() {
    let counters = Counters::default();
    let listener = Listener::bind_with(settings(), Duration::from_millis(300)).unwrap();
    let server = serve(listener, counters.clone(), |_, _| {
        Box::pin(async { Ok(Response::new(Body::whole(vec![b'x'; 64 << 20]))) })
    });
    let stream = send(&server, GET).await;
    until("accepted", || counters.connections.get() == 1).await;
    until("still held", || counters.connections.get() == 0).await;
    drop(stream);
}

#[tokio::test]
async fn a_failed_accept_pauses_longer_each_time() {
    let drain = Drain::default();
    drain.stop();
    let (mut pause, trouble) = (MIN_PAUSE, Trouble::new(Clock::system()));
    let gone = io::Error::from(io::ErrorKind::ConnectionAborted);
    back_off(&gone, &trouble, &mut pause, &drain).await;
    assert_eq!(pause, MIN_PAUSE);
    let no_files = io::Error::from_raw_os_error(24);
    for _ in 0..20 {
        let before = pause;
        back_off(&no_files, &trouble, &mut pause, &drain).await;
        assert!(pause > before || pause == MAX_PAUSE);
    }
    assert_eq!(pause, MAX_PAUSE);
}

mod leaving;
