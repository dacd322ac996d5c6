//! Callers that leave while their request runs, and callers that only close their sending half.

use futures_util::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

/// Says so when the request that owns it is dropped.
struct Dropped(UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A server whose requests run until `go_on`.
struct Scene {
    server: Server,
    counters: Counters,
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    dropped: UnboundedReceiver<()>,
}

impl Scene {
    fn new(grace: Duration) -> Self {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (sender, dropped) = unbounded_channel();
        let (entered, released) = (Arc::clone(&begun), Arc::clone(&go_on));
        let settings = Settings {
            half_close_grace: grace,
            ..settings()
        };
        let (server, counters) = start(settings, move |request: Request<Body>| {
            let (entered, released) = (Arc::clone(&entered), Arc::clone(&released));
            let dropped = Dropped(sender.clone());
            async move {
                let body = request.into_body().collect().await;
                let read = body.map(http_body_util::Collected::to_bytes);
                entered.notify_one();
                released.notified().await;
                std::mem::forget(dropped);
                Response::new(Body::whole(format!("{read:?}, fine")))
            }
        });
        Self {
            server,
            counters,
            begun,
            go_on,
            dropped,
        }
    }

    /// A caller whose request runs.
    async fn caller(&self, request: &[u8]) -> TcpStream {
        let stream = send(&self.server, request).await;
        self.begun.notified().await;
        stream
    }

    /// Waits until the request was dropped.
    async fn is_dropped(&mut self) {
        let dropped = tokio::time::timeout(PATIENCE, self.dropped.recv()).await;
        dropped.expect("the request goes on").unwrap();
    }

    fn left(&self) -> (u64, u64) {
        let left = &self.counters.left;
        (left.closed.get(), left.reset.get())
    }
}

#[tokio::test]
async fn a_reset_ends_the_request_at_once() {
    let mut scene = Scene::new(10 * PATIENCE);
    let stream = scene.caller(GET).await;
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    scene.is_dropped().await;
    assert_eq!(scene.left(), (0, 1));
}

#[tokio::test]
async fn a_caller_that_closed_is_gone_after_the_grace() {
    for request in [
        GET,
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ] {
        let mut scene = Scene::new(Duration::from_millis(50));
        drop(scene.caller(request).await);
        scene.is_dropped().await;
        assert_eq!(scene.left(), (1, 0));
    }
}

#[tokio::test]
async fn p6_a_half_closed_caller_is_answered_within_the_grace() {
    let scene = Scene::new(10 * PATIENCE);
    let mut stream = scene.caller(GET).await;
    stream.shutdown().await.unwrap();
    // The gateway sees the end of the stream before the answer: another request came and went meanwhile.
    let mut other = scene.caller(GET).await;
    scene.go_on.notify_waiters();
    for stream in [&mut stream, &mut other] {
        let answer = read_some(stream).await;
        assert!(answer.ends_with("fine"), "{answer}");
    }
    // The connection does not wait for a next request, which cannot come.
    assert_eq!(read_all(&mut stream).await, "");
    assert_eq!(scene.left(), (0, 0));
}

/// Reads until the answer's `fine`.
async fn read_some(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"fine") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        assert!(read.unwrap().unwrap() > 0, "closed too early");
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn p6_a_whole_body_and_the_end_in_one_write_are_answered() {
    let length = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    let chunked =
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            .to_vec();
    for request in [length, chunked].iter().cycle().take(40) {
        let scene = Scene::new(10 * PATIENCE);
        scene.go_on.notify_one();
        let address = scene.server.address();
        // The server's thread is this one, so it finds the request and its end together.
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.set_nonblocking(true).unwrap();
        let answer = read_all(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(answer.ends_with("Ok(b\"{}\"), fine"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_told_after_the_grace() {
    let scene = Scene::new(Duration::from_millis(50));
    let request = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{}";
    let mut stream = send(&scene.server, request).await;
    stream.shutdown().await.unwrap();
    scene.begun.notified().await;
    scene.go_on.notify_one();
    let answer = read_all(&mut stream).await;
    assert!(answer.contains("Err("), "{answer}");
}

#[tokio::test]
async fn p6_a_half_closed_caller_gets_the_whole_streamed_answer() {
    let (sender, receiver) = unbounded_channel::<&'static str>();
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let settings = Settings {
        half_close_grace: Duration::ZERO,
        ..settings()
    };
    let (server, counters) = start(settings, move |_| {
        let mut receiver = receiver.lock().unwrap().take().unwrap();
        async move {
            let chunks = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
            let frames = chunks.map(|text| {
                let bytes = bytes::Bytes::from_static(text.as_bytes());
                Ok::<_, io::Error>(Frame::data(bytes))
            });
            Response::new(Body::stream(StreamBody::new(frames)))
        }
    });
    let mut stream = send(&server, GET).await;
    sender.send("first ").unwrap();
    let mut bytes = Vec::new();
    while !bytes.windows(5).any(|part| part == b"first") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        assert!(read.unwrap().unwrap() > 0, "closed too early");
    }
    stream.shutdown().await.unwrap();
    // Another connection's request, whose handler fails for want of a receiver, comes and goes meanwhile.
    let mut other = send(&server, GET).await;
    let _ = other.read_to_end(&mut Vec::new()).await;
    sender.send("second").unwrap();
    drop(sender);
    let rest = read_all(&mut stream).await;
    assert!(rest.contains("second"), "{rest}");
    until("it closes", || counters.connections.get() == 0).await;
}
