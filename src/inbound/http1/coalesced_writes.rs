//! A stream that sends a small answer as one piece: to copy a head and a body of a few hundred bytes together
//! costs less than to hand them to the kernel as a list.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A longer answer is not copied; this much is on the stack.
const MAX_BYTES: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct CoalescedWrites<Io>(pub(super) Io);

impl<Io: AsyncRead + Unpin> AsyncRead for CoalescedWrites<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for CoalescedWrites<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        let mut room = [0; MAX_BYTES];
        match coalesced(bufs, &mut room) {
            Some(all) => stream.poll_write(cx, all),
            None => stream.poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// All buffers as one, if they fit.
fn coalesced<'a>(bufs: &'a [IoSlice<'_>], room: &'a mut [u8]) -> Option<&'a [u8]> {
    if let [only] = bufs {
        return Some(only);
    }
    let mut filled = 0;
    for buf in bufs {
        room.get_mut(filled..filled + buf.len())?
            .copy_from_slice(buf);
        filled += buf.len();
    }
    room.get(..filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(parts: &[&[u8]], room: usize) -> Option<Vec<u8>> {
        let bufs: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        coalesced(&bufs, &mut vec![0; room]).map(<[u8]>::to_vec)
    }

    #[test]
    fn small_buffers_become_one_piece_in_order() {
        assert_eq!(joined(&[b"ab", b"", b"cd"], 4).unwrap(), b"abcd");
        assert_eq!(joined(&[b"ab", b"cd"], 3), None);
        assert_eq!(joined(&[], 3).unwrap(), b"");
    }

    #[test]
    fn a_single_buffer_is_not_copied() {
        assert_eq!(joined(&[b"abcdef"], 1).unwrap(), b"abcdef");
    }
}
