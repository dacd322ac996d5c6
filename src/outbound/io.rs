//! A [`CountedStream`] as TLS and hyper use it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::counted_stream::CountedStream;

/// The socket under TLS. It counts nothing: a handshake is not a request.
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
        self.0.poll_write_by(cx, |socket| write(socket, bufs))
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

/// Most requests are a single buffer, which needs no list.
fn write(socket: &TcpStream, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    match bufs {
        [only] => socket.try_write(only),
        _ => socket.try_write_vectored(bufs),
    }
}

/// The stream that hyper reads and writes, plain or TLS. Every byte counts.
#[derive(Debug)]
pub(super) enum HyperIo {
    Plain(Socket),
    Tls(Arc<CountedStream>, Box<TlsStream<Socket>>),
}

impl HyperIo {
    fn counted(&self) -> &CountedStream {
        match self {
            Self::Plain(socket) => &socket.0,
            Self::Tls(counted, _) => counted,
        }
    }
}

impl AsyncRead for HyperIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut *self {
            Self::Plain(socket) => socket.0.poll_read(cx, buf),
            Self::Tls(_, tls) => Pin::new(tls).poll_read(cx, buf),
        })?;
        if buf.filled().len() > before {
            self.counted().note_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HyperIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(Socket(counted)) => counted.count(buf.len(), || {
                counted.poll_write_by(cx, |socket| socket.try_write(buf))
            }),
            Self::Tls(counted, tls) => {
                counted.count(buf.len(), || Pin::new(tls).poll_write(cx, buf))
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
            Self::Plain(Socket(counted)) => counted.count(offered, || {
                counted.poll_write_by(cx, |socket| write(socket, bufs))
            }),
            Self::Tls(counted, tls) => {
                counted.count(offered, || Pin::new(tls).poll_write_vectored(cx, bufs))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Tls(_, tls) = &mut *self {
            ready!(Pin::new(tls).poll_flush(cx))?;
        }
        self.counted().flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(_, tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
