//! The users endpoint of the stories: it writes down every request it saw and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::wire::find;

/// What it does with a request that came in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 200, a revision, a small body; after this time.
    Answer(Duration),
    /// Nothing until it is told another manner, then that.
    Hang,
    /// Writes these bytes, then ends the connection.
    Raw(&'static [u8]),
    /// Resets the connection.
    Reset,
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its head as text, as far as it came, and its body.
    pub(crate) head: String,
}

impl Seen {
    /// The user that its target names; `None` where it names none or the line was cut off.
    pub(crate) fn user(&self) -> Option<u64> {
        let target = self.head.split(' ').nth(1)?;
        let (path, _) = target.split_once('?')?;
        path.rsplit('/').next()?.parse().ok()
    }
}

/// A listener on loopback with a runtime of its own.
#[derive(Debug)]
pub(crate) struct Users {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Dropped last: ends all that runs in it.
    _runtime: tokio::runtime::Runtime,
}

#[derive(Debug)]
struct Shared {
    manner: watch::Sender<Manner>,
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
}

impl Users {
    /// Listens; begins by answering at once.
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

    /// All it saw so far, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    pub(crate) fn seen_count(&self) -> usize {
        self.shared.seen().len()
    }

    /// As [`Self::seen`], and forgets them.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen())
    }

    /// Connections that have not ended: at 0, whatever was sent has been seen.
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
            self.seen().push(Seen { head });
            buffer.clear();
            if !whole || !self.answer(&mut stream).await {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    async fn answer(&self, stream: &mut TcpStream) -> bool {
        let mut manners = self.manner.subscribe();
        let manner = {
            let told = manners.wait_for(|manner| *manner != Manner::Hang);
            let mut byte = [0; 1];
            tokio::select! {
                told = told => told.unwrap().clone(),
                // The other side gave up.
                _ = stream.read(&mut byte) => return false,
            }
        };
        match manner {
            Manner::Answer(after) => {
                tokio::time::sleep(after).await;
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

/// Whether a request came in full, with the body whose length its head says.
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

/// Reads one request; false where the connection ended first.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    while !is_whole(buffer) {
        match stream.read_buf(buffer).await {
            Ok(count) if count > 0 => {}
            _ => return false,
        }
    }
    true
}
