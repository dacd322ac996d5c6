//! What a connection is doing. hyper does not say, so its service, its reads and writes, and the bodies do.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stack has not handed over the whole answer yet.
const ANSWER: u8 = 1;
/// hyper has not written the whole answer yet.
const UNWRITTEN: u8 = 2;
/// Bytes of the next head have come.
const HEAD: u8 = 4;
/// The clock of the present wait runs.
const TIMED: u8 = 8;
/// The stack dropped the body of the last request before its end.
const UNREAD: u8 = 16;

/// What the connection waits for while no request is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The first byte of a head.
    FirstByte,
    /// The rest of a head.
    Head,
}

/// The progress of one connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    /// A connection whose first byte has come.
    pub(super) fn begun() -> Self {
        Self(Arc::new(AtomicU8::new(HEAD)))
    }

    /// hyper has read a head.
    pub(super) fn request_begins(&self) {
        self.0.store(ANSWER | UNWRITTEN, Relaxed);
    }

    /// Nobody reads the rest of the caller's body.
    pub(super) fn body_is_dropped(&self) {
        self.0.fetch_or(UNREAD, Relaxed);
    }

    /// Whether bytes of an unread body may still arrive.
    pub(super) fn is_unread(&self) -> bool {
        self.0.load(Relaxed) & UNREAD != 0
    }

    /// hyper has taken the whole answer, or has given it up.
    pub(super) fn answer_ends(&self) {
        self.0.fetch_and(!ANSWER, Relaxed);
    }

    /// What the connection waits for; `None` while a request is in flight.
    pub(super) fn waits_for(&self) -> Option<Wait> {
        match self.0.load(Relaxed) {
            now if now & (ANSWER | UNWRITTEN) != 0 => None,
            now if now & HEAD != 0 => Some(Wait::Head),
            _ => Some(Wait::FirstByte),
        }
    }

    /// Starts the clock of the present wait. Returns false if it runs already.
    pub(super) fn starts_clock(&self) -> bool {
        self.0.fetch_or(TIMED, Relaxed) & TIMED == 0
    }

    /// Empty lines before a head do not count: some clients end a body with one.
    fn bytes_came(&self, bytes: &[u8]) {
        if self.waits_for() == Some(Wait::FirstByte) && has_begun(bytes) {
            self.0.fetch_and(!TIMED, Relaxed);
            self.0.fetch_or(HEAD, Relaxed);
        }
    }

    /// hyper has written all that it had.
    fn all_written(&self) {
        if self.0.load(Relaxed) & (ANSWER | UNWRITTEN) == UNWRITTEN {
            self.0.fetch_and(!UNWRITTEN, Relaxed);
        }
    }
}

/// Whether these bytes hold a part of a head, not only empty lines.
pub(super) fn has_begun(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
}

/// A stream that notes in the [`Progress`] what hyper does with it. It keeps back hyper's own answer to a head
/// that is no request: all that hyper writes while no request is in flight.
#[derive(Debug)]
pub(super) struct Watched<Io> {
    io: Io,
    progress: Progress,
    kept_back: Vec<u8>,
}

impl<Io> Watched<Io> {
    pub(super) fn new(io: Io, progress: Progress) -> Self {
        Self {
            io,
            progress,
            kept_back: Vec::new(),
        }
    }

    /// The stream, and the bytes that were kept back.
    pub(super) fn into_parts(self) -> (Io, Vec<u8>) {
        (self.io, self.kept_back)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Watched<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.progress.bytes_came(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Watched<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.progress.waits_for().is_some() {
            self.kept_back.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    /// hyper calls this only when its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.progress.all_written();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that has answered a request and waits for the next.
    fn answered() -> Progress {
        let progress = Progress::begun();
        progress.request_begins();
        progress.answer_ends();
        progress.all_written();
        progress
    }

    #[test]
    fn a_head_begins_with_its_first_byte() {
        let progress = answered();
        assert_eq!(progress.waits_for(), Some(Wait::FirstByte));
        progress.bytes_came(b"\r\n");
        assert_eq!(progress.waits_for(), Some(Wait::FirstByte));
        progress.bytes_came(b"\r\nG");
        assert_eq!(progress.waits_for(), Some(Wait::Head));
    }

    #[test]
    fn an_answer_ends_when_hyper_has_written_it() {
        let progress = Progress::begun();
        progress.request_begins();
        progress.all_written();
        assert_eq!(progress.waits_for(), None, "the answer has not come");
        progress.answer_ends();
        assert_eq!(progress.waits_for(), None, "it is not written");
        progress.all_written();
        assert_eq!(progress.waits_for(), Some(Wait::FirstByte));
    }

    #[test]
    fn each_wait_has_a_clock_of_its_own() {
        let progress = answered();
        assert!(progress.starts_clock() && !progress.starts_clock());
        progress.bytes_came(b"G");
        assert!(progress.starts_clock(), "a head began");
        progress.bytes_came(b"E");
        assert!(!progress.starts_clock(), "the same head");
        progress.request_begins();
        progress.answer_ends();
        progress.all_written();
        assert!(progress.starts_clock(), "the next wait");
    }

    #[test]
    fn only_the_last_body_counts_as_unread() {
        let progress = answered();
        progress.request_begins();
        progress.body_is_dropped();
        assert!(progress.is_unread());
        progress.request_begins();
        assert!(!progress.is_unread());
    }
}
