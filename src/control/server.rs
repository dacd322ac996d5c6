//! The gateway's end of the control socket. Each connection carries one request. The length of a request
//! and the number of connections are limited. Reading a request and writing an answer each have a
//! timeout; the handler limits its own time.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::protocol::MAX_REQUEST_BYTES;
use super::socket::{Identity, Place};
use super::{Answer, Request};
use crate::audit::entry::Actor;

/// The maximum number of open connections. Further connections wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8;
/// The timeout for reading a request line, and for writing an answer line.
pub(crate) const LINE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a failed accept.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Answers one request of an actor.
type Handler = dyn Fn(Actor, Request) -> BoxFuture<'static, Answer> + Send + Sync;

/// Serves the socket until this value is dropped. The drop removes the socket and cancels open requests.
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
    /// Binds the socket in the audit folder. The caller must hold the trail's lock and run within a tokio
    /// runtime. `timeout` limits the reading of a request line, and the writing of an answer line.
    pub(crate) fn start<F>(
        directory: &Path,
        timeout: Duration,
        handle: impl Fn(Actor, Request) -> F + Send + Sync + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let place = Place::open(directory)?;
        let (listener, identity) = place.bind()?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let conversations = Conversations::default();
        let handle = Arc::new(move |actor, request| handle(actor, request).boxed());
        let accepting = accept(listener, timeout, handle, conversations.clone());
        Ok(Self {
            place,
            identity,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
            conversations,
        })
    }

    /// Removes the socket, then waits up to `at_most` for the open requests to finish.
    pub(crate) async fn finish(self, at_most: Duration) {
        self.place.remove(self.identity);
        let under_way = &self.conversations.under_way;
        under_way.close();
        // If requests are still open after the wait, the drop of `self` cancels them.
        let _ = tokio::time::timeout(at_most, under_way.wait()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.conversations.ended.cancel();
        self.place.remove(self.identity);
    }
}

async fn accept(
    listener: UnixListener,
    timeout: Duration,
    handle: Arc<Handler>,
    conversations: Conversations,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // This never fails, because nothing closes the semaphore.
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
                // An error means that the command is gone and needs no answer.
                _ = converse(stream, timeout, &*handle) => {}
            }
        });
    }
}

async fn converse(mut stream: UnixStream, timeout: Duration, handle: &Handler) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let answer = match judge(uid, rustix::process::geteuid().as_raw()) {
        Err(answer) => answer,
        Ok(actor) => match tokio::time::timeout(timeout, line(&mut stream)).await {
            Err(_) => Answer::refused(74, "no whole line came in time"),
            Ok(line) => match Request::parse(&line?) {
                Err(error) => Answer::refused(74, error),
                Ok(request) => handle(actor, request).await,
            },
        },
    };
    let line = answer.line()?;
    tokio::time::timeout(timeout, stream.write_all(&line)).await?
}

/// Accepts only requests from root or from the gateway's own user.
fn judge(peer: u32, own: u32) -> Result<Actor, Answer> {
    if peer == own || peer == 0 {
        return Ok(Actor { uid: peer });
    }
    Err(Answer::refused(
        74,
        format!("user {peer} may not ask this gateway: run the command as user {own} or as root"),
    ))
}

/// Reads up to the first line feed, or until the peer closes.
async fn line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let bounded = stream.take(MAX_REQUEST_BYTES as u64 + 1);
    BufReader::new(bounded).read_until(b'\n', &mut line).await?;
    match line.len() > MAX_REQUEST_BYTES {
        true => Err(io::ErrorKind::InvalidData.into()),
        false => Ok(line),
    }
}

#[cfg(test)]
mod tests;
