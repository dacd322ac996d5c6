//! The upstream of the scenarios: a users endpoint that records every request and answers as
//! configured.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::wire::find;

/// How it treats a complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers 200 with a revision and a small body, after this time.
    Answer(Duration),
    /// Waits for another manner, then follows that.
    Hang,
    /// Like `Hang` for reads of this user; answers all other requests at once.
    HangReadsOf(u64),
    /// Writes these bytes, then ends the connection.
    Raw(&'static [u8]),
    /// Resets the connection.
    Reset,
}

/// One recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its head and body as text; the head may be incomplete.
    pub(crate) head: String,
}

impl Seen {
    /// The user in its target; `None` without a user or if the request line is incomplete.
    pub(crate) fn user(&self) -> Option<u64> {
        let target = self.head.split(' ').nth(1)?;
        let (path, _) = target.split_once('?')?;
        path.rsplit('/').next()?.parse().ok()
    }
}

/// A listener on loopback with its own runtime.
#[derive(Debug)]
pub(crate) struct Users {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Dropped last: this ends all of its tasks.
    _runtime: tokio::runtime::Runtime,
}

#[derive(Debug)]
struct Shared {
    manner: watch::Sender<Manner>,
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
}

impl Users {
    /// Starts the listener; at first it answers at once.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manner: watch::Sender::new(Manner::Answer(Duration::ZERO)),
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&accepting);
                shared.open.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(async move {
                    shared.serve(stream).await;
                    shared.open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        });
        Self {
            address,
            shared,
            _runtime: runtime,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.shared.manner.send_replace(manner);
    }

    /// All requests so far, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    pub(crate) fn seen_count(&self) -> usize {
        self.shared.seen().len()
    }

    /// Like [`Self::seen`], and forgets the requests.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen())
    }

    /// The number of open connections. At 0, every byte that was sent has been read.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        loop {
            let whole = read_request(&mut stream, &mut buffer).await;
            if buffer.is_empty() {
                return;
            }
            let head = String::from_utf8_lossy(&buffer).into_owned();
            let seen = Seen { head };
            self.seen().push(seen.clone());
            buffer.clear();
            if !whole || !self.answer(&seen, &mut stream).await {
                return;
            }
        }
    }

    /// Answers a request. Returns whether the connection stays open.
    async fn answer(&self, request: &Seen, stream: &mut TcpStream) -> bool {
        let mut manners = self.manner.subscribe();
        let is_read = request.head.starts_with("GET ");
        let manner = {
            let told = manners.wait_for(|manner| match manner {
                Manner::Hang => false,
                Manner::HangReadsOf(user) => !is_read || request.user() != Some(*user),
                _ => true,
            });
            let mut byte = [0; 1];
            tokio::select! {
                told = told => told.unwrap().clone(),
                // The caller hung up.
                _ = stream.read(&mut byte) => return false,
            }
        };
        match manner {
            Manner::Answer(_) | Manner::HangReadsOf(_) => {
                if let Manner::Answer(after) = manner {
                    tokio::time::sleep(after).await;
                }
                let answer = b"HTTP/1.1 200 OK\r\nac-revision: 8\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer).await.is_ok()
            }
            Manner::Raw(bytes) => {
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
                false
            }
            Manner::Reset => {
                let socket = socket2::SockRef::from(&*stream);
                let _ = socket.set_linger(Some(Duration::ZERO));
                false
            }
            Manner::Hang => false,
        }
    }
}

/// Whether the buffer holds a complete request, including a body of the length that its head gives.
fn is_whole(buffer: &[u8]) -> bool {
    let Some(end) = find(buffer, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == "content-length").then(|| value.trim().parse().ok())?
    });
    buffer.len() >= end + 4 + length.unwrap_or(0)
}

/// Reads one request. Returns false if the connection ended first.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    while !is_whole(buffer) {
        match stream.read_buf(buffer).await {
            Ok(count) if count > 0 => {}
            _ => return false,
        }
    }
    true
}
