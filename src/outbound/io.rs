//! A [`Wire`] as tokio and hyper see it, plain or under TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::counted_stream::Wire;

/// The socket as TLS sees it: not counted, because handshakes are no request.
#[derive(Debug)]
pub(super) struct Socket(pub(super) Arc<Wire>);

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
        self.0.poll_write_by(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_by(cx, |stream| write(stream, bufs))
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

/// A single buffer, which most requests are, is written without the cost of a list.
fn write(stream: &TcpStream, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    match bufs {
        [only] => stream.try_write(only),
        _ => stream.try_write_vectored(bufs),
    }
}

/// What hyper reads and writes: plain or TLS, every byte counted.
#[derive(Debug)]
pub(super) enum Counted {
    Plain(Socket),
    Tls(Arc<Wire>, Box<TlsStream<Socket>>),
}

impl Counted {
    fn wire(&self) -> &Wire {
        match self {
            Self::Plain(socket) => &socket.0,
            Self::Tls(wire, _) => wire,
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut *self {
            Self::Plain(socket) => socket.0.poll_read(cx, buf),
            Self::Tls(_, stream) => Pin::new(stream).poll_read(cx, buf),
        })?;
        if buf.filled().len() > before {
            self.wire().note_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(Socket(wire)) => wire.count(buf.len(), || {
                wire.poll_write_by(cx, |stream| stream.try_write(buf))
            }),
            Self::Tls(wire, stream) => {
                wire.count(buf.len(), || Pin::new(stream).poll_write(cx, buf))
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        match &mut *self {
            Self::Plain(Socket(wire)) => wire.count(offered, || {
                wire.poll_write_by(cx, |stream| write(stream, bufs))
            }),
            Self::Tls(wire, stream) => {
                wire.count(offered, || Pin::new(stream).poll_write_vectored(cx, bufs))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Tls(_, stream) = &mut *self {
            ready!(Pin::new(stream).poll_flush(cx))?;
        }
        self.wire().flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(_, stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
