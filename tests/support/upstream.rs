//! An upstream that follows a script and records the exact bytes of each request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::wire::{find, unchunk};

/// How upstream treats a complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Answers these bytes and keeps the connection.
    Answer(Vec<u8>),
    /// Answers these bytes and closes.
    AnswerAndClose(Vec<u8>),
    /// Answers these bytes after the head, before it has read the body, and closes.
    Early(Vec<u8>),
    /// Reads and never answers.
    Hang,
    /// Closes without an answer.
    Close,
    /// Resets the connection without an answer.
    Reset,
}

/// A listener on loopback with its own threads.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Script>,
    seen: Mutex<Vec<Vec<u8>>>,
    stopped: AtomicBool,
}

/// The interval between two checks for the end of the test.
const TICK: Duration = Duration::from_millis(50);

impl Upstream {
    /// Starts the listener with an empty 200 as the answer.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
        let shared = Arc::new(Shared {
            script: Mutex::new(Script::Answer(empty)),
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    let shared = Arc::clone(&accepting);
                    std::thread::spawn(move || shared.serve(stream));
                }
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the script from the next request on.
    pub(crate) fn follow(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// Returns all requests so far, oldest first, and forgets them. They include an incomplete
    /// request.
    pub(crate) fn take_seen(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut lock(&self.shared.seen))
    }

    /// The number of recorded requests.
    pub(crate) fn seen_count(&self) -> usize {
        lock(&self.shared.seen).len()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(TICK)).unwrap();
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        loop {
            let mut early = None;
            let length = loop {
                if let Some(length) = request_length(&buffer) {
                    break length;
                }
                if let (Script::Early(answer), Some(_)) =
                    (&*lock(&self.script), find(&buffer, b"\r\n\r\n"))
                {
                    early = Some(answer.clone());
                    break buffer.len();
                }
                if !self.fill(&mut stream, &mut buffer) {
                    if !buffer.is_empty() {
                        lock(&self.seen).push(buffer);
                    }
                    return;
                }
            };
            let request = buffer.drain(..length).collect();
            let script = lock(&self.script).clone();
            lock(&self.seen).push(request);
            let script = early.map_or(script, Script::AnswerAndClose);
            match script {
                Script::Answer(answer) => {
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
                Script::AnswerAndClose(answer) | Script::Early(answer) => {
                    let _ = stream.write_all(&answer);
                    return;
                }
                Script::Hang => {
                    while self.fill(&mut stream, &mut buffer) {}
                    return;
                }
                Script::Close => return,
                Script::Reset => {
                    let socket = socket2::SockRef::from(&stream);
                    let _ = socket.set_linger(Some(Duration::ZERO));
                    return;
                }
            }
        }
    }

    /// Reads once more. Returns false at the end of the connection or of the test.
    fn fill(&self, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
        let mut piece = [0; 16 * 1024];
        while !self.stopped.load(Ordering::Relaxed) {
            match stream.read(&mut piece) {
                Ok(count) => {
                    buffer.extend_from_slice(&piece[..count]);
                    return count > 0;
                }
                Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        false
    }
}

/// The length of the first request in `bytes`, once it is complete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let body = find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..body]).to_ascii_lowercase();
    if head.contains("\r\ntransfer-encoding:") {
        unchunk(&bytes[body..])?;
        return Some(bytes.len());
    }
    let length = head.split_once("\r\ncontent-length:");
    let length = length.and_then(|(_, rest)| rest.split("\r\n").next());
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap_or(0));
    (bytes.len() >= body + length).then_some(body + length)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn upstream_keeps_each_request_and_answers_by_its_script() {
    let upstream = Upstream::start();
    upstream.follow(Script::Answer(
        b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
    ));
    let request = b"DELETE /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n[1]";
    let answer = super::wire::exchange(upstream.address(), request).unwrap();
    assert_eq!((answer.status, &answer.body[..]), (404, &b"{}"[..]));
    assert_eq!(upstream.take_seen(), [request.to_vec()]);
    upstream.follow(Script::Close);
    assert_eq!(super::wire::exchange(upstream.address(), request), None);
    assert_eq!(upstream.seen_count(), 1);
}
