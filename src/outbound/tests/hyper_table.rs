//! hyper's client on its own: how to know that no byte left. A version of hyper that changes this fails here.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;

use super::support::*;
use crate::outbound::counted_stream::{CountedStream, Waiting};
use crate::outbound::io::HyperIo;
use crate::request::Body;

struct Bare {
    sender: SendRequest<Body>,
    stream: Arc<CountedStream>,
}

type Reply = Result<Response<Incoming>, TrySendError<Request<Body>>>;

impl Bare {
    async fn connect(upstream: &Upstream) -> Self {
        let socket = tokio::net::TcpStream::connect(upstream.address)
            .await
            .unwrap();
        let stream = CountedStream::new(socket, false);
        let io = HyperIo {
            stream: Arc::clone(&stream),
            tls: None,
        };
        let (sender, connection) = handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, stream }
    }

    /// Sends without looking, and says whether a byte left.
    async fn send(&mut self, body: Body) -> (Reply, bool) {
        self.stream
            .begin(matches!(body, Body::Empty), tokio::time::Instant::now());
        let request = Request::delete("/").header("host", "a").body(body).unwrap();
        let sent = self.sender.try_send_request(request).await;
        let left = self.stream.has_left();
        (sent, left)
    }

    async fn warm(upstream: &Upstream) -> Self {
        let mut bare = Self::connect(upstream).await;
        let (sent, left) = bare.send(Body::Empty).await;
        assert!(left);
        sent.unwrap().into_body().collect().await.unwrap();
        bare.sender.ready().await.unwrap();
        bare
    }
}

fn returned(sent: Reply) -> (bool, hyper::Error) {
    let mut error = sent.unwrap_err();
    (error.take_message().is_some(), error.into_error())
}

/// Answers once, waits for the sign, sends `more` and shuts its sending half.
fn once_then(more: &'static str) -> (std::sync::mpsc::Sender<()>, Upstream) {
    let (sign, signed) = channel::<()>();
    let signed = Mutex::new(signed);
    let upstream = Upstream::start(move |_, session| {
        session.request();
        session.say(OK);
        let _ = signed.lock().unwrap().recv();
        session.say(more);
        session.finish();
        session.serve("");
    });
    (sign, upstream)
}

#[tokio::test]
async fn a_close_the_task_has_seen_returns_the_request() {
    let (sign, upstream) = once_then("");
    let mut bare = Bare::warm(&upstream).await;
    sign.send(()).unwrap();
    run_until(|| bare.sender.is_closed()).await;
    let (sent, left) = bare.send(Body::Empty).await;
    let (returned, error) = returned(sent);
    assert!(returned && !left && error.is_canceled(), "{error:?}");
}

#[tokio::test]
async fn a_fin_in_the_kernel_shows_in_a_peek_and_nowhere_else() {
    let (sign, upstream) = once_then("");
    let mut bare = Bare::warm(&upstream).await;
    assert_eq!(bare.stream.peek(), Waiting::Nothing);
    sign.send(()).unwrap();
    hold_until(|| bare.stream.peek() == Waiting::End);
    assert!(bare.sender.is_ready() && !bare.sender.is_closed());
    let (sent, left) = bare.send(Body::Empty).await;
    let (returned, error) = returned(sent);
    assert!(!returned && left, "all of it, to nobody");
    assert!(error.is_incomplete_message(), "{error:?}");
}

#[tokio::test]
async fn an_unasked_answer_in_the_kernel_shows_in_a_peek() {
    let (sign, upstream) = once_then("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    let bare = Bare::warm(&upstream).await;
    sign.send(()).unwrap();
    hold_until(|| bare.stream.peek() == Waiting::Bytes);
    assert!(bare.sender.is_ready() && !bare.sender.is_closed());
}

#[tokio::test]
async fn a_surplus_answer_closes_before_a_byte_leaves() {
    let upstream = Upstream::start(|_, session| {
        session.request();
        session.say(&format!("{OK}{OK}"));
        session.serve("");
    });
    let mut bare = Bare::connect(&upstream).await;
    let (sent, _) = bare.send(Body::Empty).await;
    sent.unwrap().into_body().collect().await.unwrap();
    let (sent, left) = bare.send(Body::Empty).await;
    let (returned, _) = returned(sent);
    assert!(returned && !left);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_request_read_and_not_answered_is_not_returned_and_has_left() {
    let upstream = Upstream::start(|_, session| {
        session.request();
    });
    let mut bare = Bare::connect(&upstream).await;
    let (sent, left) = bare.send(Body::whole("[1]")).await;
    let (returned, error) = returned(sent);
    assert!(
        !returned && left && error.is_incomplete_message(),
        "{error:?}"
    );
    assert_eq!(
        upstream.seen().len(),
        1,
        "it was read: a retry would be the second"
    );
}

#[tokio::test]
async fn a_streamed_body_cut_off_has_left() {
    let upstream = Upstream::start(|_, session| {
        session.until("first", 0).unwrap();
    });
    let mut bare = Bare::connect(&upstream).await;
    let (feed, body) = fed();
    feed.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let (sent, left) = bare.send(body).await;
    let (returned, _) = returned(sent);
    assert!(!returned && left);
}

#[tokio::test]
async fn a_connection_is_not_ready_while_its_answer_comes() {
    let (sign, signed) = channel::<()>();
    let signed = Mutex::new(signed);
    let upstream = Upstream::start(move |_, session| {
        session.request();
        session.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no");
        let _ = signed.lock().unwrap().recv();
        session.say("k");
        session.serve(OK);
    });
    let mut bare = Bare::connect(&upstream).await;
    let (sent, _) = bare.send(Body::Empty).await;
    let response = sent.unwrap();
    assert!(!bare.sender.is_ready());
    sign.send(()).unwrap();
    response.into_body().collect().await.unwrap();
    bare.sender.ready().await.unwrap();
}

#[tokio::test]
async fn an_answer_dropped_unread_closes_the_connection() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
    let mut bare = Bare::connect(&upstream).await;
    let (sent, _) = bare.send(Body::Empty).await;
    drop(sent.unwrap());
    assert!(bare.sender.ready().await.is_err());
}

#[tokio::test]
async fn nothing_is_written_after_a_seal() {
    let upstream = Upstream::answering(OK);
    let mut bare = Bare::connect(&upstream).await;
    assert!(!bare.stream.seal());
    let (sent, left) = bare.send(Body::Empty).await;
    assert!(sent.is_err() && !left);
    assert_eq!(upstream.seen().len(), 0);
}
