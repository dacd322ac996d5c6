//! The gateway's end: one request per connection, with a limit on its length and on the number of
//! connections. Reading a request and writing an answer each have a timeout; the handler limits its
//! own time.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::protocol::MAX_REQUEST_BYTES;
use super::socket::{Identity, Place};
use super::{Answer, Request};
use crate::audit::entry::Actor;

/// Connections at once. More wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8;
/// For reading a request line, and for writing an answer line.
const LINE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a failed accept.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Serves the socket until it is dropped; the drop removes the socket and cancels open requests.
#[derive(Debug)]
pub(crate) struct Server {
    place: Place,
    identity: Identity,
    _accepting: AbortOnDropHandle<()>,
    conversations: Conversations,
}

/// The open connections, and the token that cancels them.
#[derive(Clone, Debug, Default)]
struct Conversations {
    under_way: TaskTracker,
    ended: CancellationToken,
}

impl Server {
    /// Binds the socket in the audit folder. The caller holds the folder's lock and runs within a
    /// tokio runtime. `handle` answers the requests.
    pub(crate) fn start<H, F>(directory: &Path, handle: H) -> io::Result<Self>
    where
        H: Fn(Actor, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::start_with(directory, LINE_TIMEOUT, handle)
    }

    fn start_with<H, F>(directory: &Path, timeout: Duration, handle: H) -> io::Result<Self>
    where
        H: Fn(Actor, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let place = Place::open(directory)?;
        let (listener, identity) = place.bind()?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let conversations = Conversations::default();
        let ours = conversations.clone();
        let accepting = tokio::spawn(accept(listener, timeout, Arc::new(handle), ours));
        Ok(Self {
            place,
            identity,
            _accepting: AbortOnDropHandle::new(accepting),
            conversations,
        })
    }

    /// Removes the socket and gives open requests `at_most` to finish.
    pub(crate) async fn finish(self, at_most: Duration) {
        self.place.remove(self.identity);
        let under_way = &self.conversations.under_way;
        under_way.close();
        // The drop of `self` cancels the rest.
        let _ = tokio::time::timeout(at_most, under_way.wait()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.conversations.ended.cancel();
        self.place.remove(self.identity);
    }
}

async fn accept<H, F>(
    listener: UnixListener,
    timeout: Duration,
    handle: Arc<H>,
    conversations: Conversations,
) where
    H: Fn(Actor, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let handle = Arc::clone(&handle);
        let ended = conversations.ended.clone();
        conversations.under_way.spawn(async move {
            let _place = place;
            tokio::select! {
                () = ended.cancelled() => {}
                // An error means that the command is gone; it needs no answer.
                _ = converse(stream, timeout, &*handle) => {}
            }
        });
    }
}

async fn converse<H, F>(mut stream: UnixStream, timeout: Duration, handle: &H) -> io::Result<()>
where
    H: Fn(Actor, Request) -> F,
    F: Future<Output = Answer>,
{
    let uid = stream.peer_cred()?.uid();
    let answer = match judge(uid, rustix::process::geteuid().as_raw()) {
        Err(answer) => answer,
        Ok(actor) => match tokio::time::timeout(timeout, line(&mut stream)).await {
            Err(_) => refused("no whole line came in time"),
            Ok(line) => match Request::parse(&line?) {
                Err(error) => refused(error),
                Ok(request) => handle(actor, request).await,
            },
        },
    };
    let line = answer.line()?;
    let sent = tokio::time::timeout(timeout, stream.write_all(&line));
    sent.await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Root and the gateway's own user may send requests.
fn judge(peer: u32, own: u32) -> Result<Actor, Answer> {
    if peer == own || peer == 0 {
        return Ok(Actor { uid: peer });
    }
    Err(refused(format!(
        "user {peer} may not ask this gateway: run the command as user {own} or as root"
    )))
}

/// Reads up to the first line feed, or until the peer closes.
async fn line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).await?;
        let read = &buffer[..count];
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(&read[..end]);
            return Ok(line);
        }
        line.extend_from_slice(read);
        if line.len() > MAX_REQUEST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if count == 0 {
            return Ok(line);
        }
    }
}

fn refused(message: impl ToString) -> Answer {
    Answer::Refused {
        exit: 74,
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests;
