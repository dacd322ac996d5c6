//! The stream of a caller's connection, between hyper and the socket.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::leaving::Leaving;
use super::progress::Progress;

/// A stream that notes in the [`Progress`] what hyper does with it. It keeps back hyper's own answer to a head
/// that is no request: all that hyper writes while no request is in flight.
#[derive(Debug)]
pub(super) struct Watched<Io> {
    io: Io,
    progress: Progress,
    leaving: Leaving,
    kept_back: Vec<u8>,
}

impl<Io> Watched<Io> {
    pub(super) fn new(io: Io, progress: Progress, leaving: Leaving) -> Self {
        Self {
            io,
            progress,
            leaving,
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
        let this = &mut *self;
        if !this.leaving.is_closed() {
            let before = buf.filled().len();
            let read = ready!(Pin::new(&mut this.io).poll_read(cx, buf));
            read.inspect_err(|_| this.leaving.failed(&this.progress))?;
            this.progress.bytes_came(&buf.filled()[before..]);
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        this.leaving.poll_end(&this.progress, cx).map(Ok)
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
        if self.progress.all_written() && self.leaving.is_closed() {
            // hyper must read again, to see the end that was hidden from it.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
