//! An upstream that does what its script says, in threads of its own, so that a test can hold
//! the runtime still while bytes arrive in the kernel.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::forward::{Delivery, Failure, Outgoing, Report};
use crate::layers::record::Cleared;
use crate::metrics::Metrics;
use crate::outbound::Settings;
use crate::outbound::client::Client;
use crate::outbound::counted_stream::CountedStream;
use crate::request::{Body, BoxError, Origin, Peer, RequestContext};

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A listener whose connections run a script.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

/// One connection as the script sees it.
pub(super) struct Session {
    stream: TcpStream,
    pending: Vec<u8>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Runs `script` with the number of the connection (from 0) and the connection; it is
    /// closed when the script returns.
    pub(super) fn start(script: impl Fn(usize, &mut Session) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
            stopped: Arc::default(),
        };
        let (seen, connections) = (
            Arc::clone(&upstream.seen),
            Arc::clone(&upstream.connections),
        );
        let (stopped, script) = (Arc::clone(&upstream.stopped), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                let mut session = Session::new(stream);
                session.seen = Arc::clone(&seen);
                let script = Arc::clone(&script);
                let number = connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || script(number, &mut session));
            }
        });
        upstream
    }

    /// Answers every request with `answer`.
    pub(super) fn answering(answer: &'static str) -> Self {
        Self::start(move |_, session| session.serve(answer))
    }

    pub(super) fn origin(&self) -> Arc<Origin> {
        let origin = Origin::parse(&format!("http://{}", self.address)).unwrap();
        Arc::new(origin)
    }

    /// Every request read in full, on whichever connection; bytes as characters.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests by this method were read in full.
    pub(super) fn count(&self, method: &str) -> usize {
        let seen = self.seen();
        seen.iter().filter(|text| text.starts_with(method)).count()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Session {
    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            pending: Vec::new(),
            seen: Arc::default(),
        }
    }

    /// The next request, head and body as they came; `None` at the end of the connection.
    pub(super) fn request(&mut self) -> Option<String> {
        let head_end = self.until("\r\n\r\n", 0)?;
        let head = latin1(&self.pending[..head_end]).to_ascii_lowercase();
        let end = if head.contains("transfer-encoding: chunked") {
            self.until("0\r\n\r\n", head_end)?
        } else {
            let length = head.split("content-length: ").nth(1);
            let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            self.until("", head_end + length)?
        };
        let text = latin1(&self.pending[..end]);
        self.pending.drain(..end);
        self.seen.lock().unwrap().push(text.clone());
        Some(text)
    }

    /// Reads until `mark` follows `from`; returns the place after it.
    pub(super) fn until(&mut self, mark: &str, from: usize) -> Option<usize> {
        loop {
            let found = match self.pending.get(from..) {
                Some(_) if mark.is_empty() => Some(0),
                Some(rest) => rest
                    .windows(mark.len())
                    .position(|at| at == mark.as_bytes()),
                None => None,
            };
            if let Some(at) = found {
                return Some(from + at + mark.len());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.pending.extend_from_slice(&buffer[..read]),
            }
        }
    }

    /// The bytes that [`Self::request`] has not taken.
    pub(super) fn pending(&self) -> String {
        latin1(&self.pending)
    }

    pub(super) fn say(&mut self, text: &str) {
        // A peer that is gone is a part of some scripts.
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Answers each request with the same, to the end of the connection.
    pub(super) fn serve(&mut self, answer: &str) {
        while self.request().is_some() {
            self.say(answer);
        }
    }

    /// Ends the sending half: a FIN without the reset that unread bytes would bring.
    pub(super) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Waits for the peer's end; whether it came in time.
    pub(super) fn is_ended(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}

/// A request's body that a test feeds; it ends when the sender is dropped.
pub(super) struct Fed(mpsc::Receiver<Result<Bytes, BoxError>>);

pub(super) type Feed = mpsc::Sender<Result<Bytes, BoxError>>;

pub(super) fn fed() -> (Feed, Body) {
    let (feed, receiver) = mpsc::channel(16);
    (feed, Body::stream(Fed(receiver)))
}

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = self.0.poll_recv(cx);
        next.map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        connect_timeout: PATIENCE,
        head_timeout: PATIENCE,
        total_timeout: 2 * PATIENCE,
        idle_timeout: PATIENCE,
        max_connections: 4,
        roots_file: None,
    }
}

pub(super) fn client() -> Client {
    Client::new(settings(), Metrics::new(), Clock::system()).unwrap()
}

pub(super) fn outgoing(upstream: &Upstream, method: Method, delivery: Delivery) -> Outgoing {
    outgoing_to(upstream.origin(), method, delivery)
}

pub(super) fn outgoing_to(origin: Arc<Origin>, method: Method, delivery: Delivery) -> Outgoing {
    let request = http::Request::builder()
        .method(method)
        .uri("/users/1?v=4.0");
    let request = request.body(()).unwrap();
    let peer = Peer::new("192.0.2.1:5".parse().unwrap());
    let context = RequestContext::new(HeaderValue::from_static("id-1"), peer, &request);
    context.origin.learn(origin);
    Outgoing {
        head: request.into_parts().0.into(),
        body: Body::Empty,
        delivery,
        context: context.into(),
    }
}

pub(super) async fn send(client: &Client, outgoing: Outgoing) -> Report {
    client
        .send(Cleared::for_test(outgoing))
        .await
        .unwrap()
        .open_for_test()
}

pub(super) async fn get(client: &Client, upstream: &Upstream) -> Report {
    send(
        client,
        outgoing(upstream, Method::GET, Delivery::Repeatable),
    )
    .await
}

pub(super) async fn put(client: &Client, upstream: &Upstream) -> Report {
    send(client, outgoing(upstream, Method::PUT, Delivery::Once)).await
}

pub(super) async fn delete(client: &Client, upstream: &Upstream) -> Report {
    send(
        client,
        outgoing(upstream, Method::DELETE, Delivery::Deletion),
    )
    .await
}

/// The body, read to its end.
pub(super) async fn text(response: Response<Body>) -> Result<String, BoxError> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(latin1(&bytes))
}

/// A GET answered in full, so that its connection is idle.
pub(super) async fn warm(client: &Client, upstream: &Upstream) {
    let report = get(client, upstream).await;
    assert_eq!(text(report.reply.unwrap()).await.unwrap(), "ok");
    assert_eq!(idle_count(client, upstream), 1);
}

pub(super) fn failure(report: Report) -> Failure {
    report.reply.unwrap_err()
}

pub(super) fn idle_count(client: &Client, upstream: &Upstream) -> usize {
    each_idle(client, upstream, |_| ()).len()
}

/// Looks at every idle connection.
pub(super) fn each_idle<T>(
    client: &Client,
    upstream: &Upstream,
    look: impl Fn(&Arc<CountedStream>) -> T,
) -> Vec<T> {
    client.origin_pool(&upstream.origin()).each_idle(look)
}

/// Holds the runtime still until it is so: bytes arrive in the kernel, no task is polled.
pub(super) fn hold_until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets the tasks run until it is so.
pub(super) async fn run_until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits for a sign of an upstream's thread while the tasks run.
pub(super) async fn signed<T: Send + 'static>(sign: Receiver<T>) -> T {
    let waiting = tokio::task::spawn_blocking(move || sign.recv_timeout(PATIENCE));
    waiting.await.unwrap().unwrap()
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
