//! The gateway's end: one request a connection, bounded in length and number. A line has a bound in time
//! each way; the work in between bounds itself.

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

/// Connections at once; past it, new ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8;
/// For a request's line to arrive, and for the answer's to be taken.
const LINE_TIMEOUT: Duration = Duration::from_secs(5);
/// After an accept that failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// The socket, served as long as this lives; dropped, it is removed, and whatever is being answered ends.
#[derive(Debug)]
pub struct Server {
    place: Place,
    identity: Identity,
    _accepting: AbortOnDropHandle<()>,
    conversations: Conversations,
}

/// Those under way, and how they are ended.
#[derive(Clone, Debug, Default)]
struct Conversations {
    under_way: TaskTracker,
    ended: CancellationToken,
}

impl Server {
    /// Binds the socket in the audit folder, whose lock the caller holds; must be called within a
    /// tokio runtime. `handle` answers what is asked.
    ///
    /// # Errors
    /// Where the socket cannot be made.
    pub fn start<H, F>(directory: &Path, handle: H) -> io::Result<Self>
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

    /// Removes the socket; what is being answered has so long to end.
    pub async fn finish(self, at_most: Duration) {
        self.place.remove(self.identity);
        let under_way = &self.conversations.under_way;
        under_way.close();
        // Whoever takes longer is cut off when this is dropped.
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
                // A command that went away needs no answer.
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

/// Root and the gateway's own user may ask.
fn judge(peer: u32, own: u32) -> Result<Actor, Answer> {
    if peer == own || peer == 0 {
        return Ok(Actor { uid: peer });
    }
    Err(refused(format!(
        "user {peer} may not ask this gateway: run the command as user {own} or as root"
    )))
}

/// What stands before the first line feed, or before the other end closed.
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
