//! Adapts a [`CountedStream`] to the I/O traits that TLS and hyper use.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::counted_stream::CountedStream;

/// The socket under TLS. Counts no bytes, because the bytes of a handshake belong to no request.
#[derive(Debug)]
pub(super) struct Socket(pub(super) Arc<CountedStream>);

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_by(cx, |socket| socket.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0
            .poll_write_by(cx, |socket| socket.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown())
    }
}

/// The stream that hyper reads and writes. Counts every byte that hyper writes.
#[derive(Debug)]
pub(super) struct HyperIo {
    pub(super) stream: Arc<CountedStream>,
    /// The TLS session over `stream`, if the origin uses TLS.
    pub(super) tls: Option<Box<TlsStream<Socket>>>,
}

impl AsyncRead for HyperIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut self.tls {
            None => self.stream.poll_read(cx, buf),
            Some(tls) => Pin::new(tls).poll_read(cx, buf),
        })?;
        if buf.filled().len() > before {
            self.stream.note_read();
        }
        Poll::Ready(Ok(()))
    }
}

/// Without vectored writes, hyper copies the body behind the head into one buffer. For a small body, this
/// costs less than a vectored write.
impl AsyncWrite for HyperIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, tls } = &mut *self;
        stream.count(buf.len(), || match tls {
            None => stream.poll_write_by(cx, |socket| socket.try_write(buf)),
            Some(tls) => Pin::new(tls).poll_write(cx, buf),
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            ready!(Pin::new(tls).poll_flush(cx))?;
        }
        self.stream.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            None => Poll::Ready(self.stream.shutdown()),
            Some(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
