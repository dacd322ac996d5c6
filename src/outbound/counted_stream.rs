//! A connection's socket, with a count of the bytes that were sent on it.
//!
//! hyper does not say whether a byte of a failed request was sent, so this stream counts the bytes of every
//! write. Before the next request, the stream can also peek at its input: a FIN or an unrequested answer may
//! wait in the kernel although hyper still calls the connection ready.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The input that waits in the kernel on an idle socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// No input: the connection can be used.
    Nothing,
    /// Bytes: an unrequested answer. Under TLS, also records that hold no answer, such as session tickets.
    Bytes,
    /// The end of the stream, or an error.
    End,
}

/// The least and the greatest number of bytes that one read asks for. The number starts at the least value
/// and doubles after each read that filled its buffer.
const MIN_ROOM: usize = 2 * 1024;
const MAX_ROOM: usize = 128 * 1024;

/// States of the request's body.
const BODY_COMING: u8 = 0;
const BODY_ENDED: u8 = 1;
const BODY_FAILED: u8 = 2;
const BODY_NONE: u8 = 3;

/// A socket and the progress of the request on it. hyper's task, the lease, the request's body and the TLS
/// stream share this value.
#[derive(Debug)]
pub(super) struct CountedStream {
    socket: TcpStream,
    /// Whether the socket carries TLS. Under TLS, a failed write may have sent some of its bytes, so all its
    /// bytes count as sent.
    tls: bool,
    created: Instant,
    /// Bytes of this request that the kernel (or TLS) has accepted.
    written: AtomicU64,
    /// Whether a write is in progress. [`Self::seal`] needs this flag to notice a write that began before the
    /// seal.
    writing: AtomicBool,
    /// Whether further writes are forbidden.
    sealed: AtomicBool,
    /// The state of the request's body: one of the `BODY_…` constants.
    body: AtomicU8,
    /// Microseconds from `created` to the start of the request, plus 1.
    begun: AtomicU64,
    /// Microseconds from `created` to the last byte of the request, plus 1; 0 until then.
    sent: AtomicU64,
    /// Whether a byte of an answer came.
    answer_begun: AtomicBool,
    /// Whether a byte of an answer came before the last byte of the request was sent.
    early: AtomicBool,
    /// The buffer size of the next read. The size is small at first, because a read zeroes its buffer and
    /// most answers are short.
    room: AtomicUsize,
}

impl CountedStream {
    pub(super) fn new(socket: TcpStream, tls: bool) -> Arc<Self> {
        Arc::new(Self {
            socket,
            tls,
            created: Instant::now(),
            written: AtomicU64::new(0),
            writing: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
            body: AtomicU8::new(BODY_COMING),
            begun: AtomicU64::new(1),
            sent: AtomicU64::new(0),
            answer_begun: AtomicBool::new(false),
            early: AtomicBool::new(false),
            room: AtomicUsize::new(MIN_ROOM),
        })
    }

    /// Resets the progress for a new request. `bodiless` says that nothing follows the head. hyper gets the
    /// request only after this call, so no other task reads these fields yet.
    pub(super) fn begin(&self, bodiless: bool, now: Instant) {
        self.written.store(0, Relaxed);
        self.begun.store(self.micros(now), Relaxed);
        self.sent.store(0, Relaxed);
        self.answer_begun.store(false, Relaxed);
        self.early.store(false, Relaxed);
        let body = if bodiless { BODY_NONE } else { BODY_COMING };
        self.body.store(body, Release);
    }

    /// Notes that hyper has taken the body's last byte.
    pub(super) fn body_ended(&self) {
        self.body.store(BODY_ENDED, Release);
    }

    /// Notes that the body ended in an error.
    pub(super) fn body_failed(&self) {
        self.body.store(BODY_FAILED, Release);
    }

    /// Whether the body ended in an error.
    pub(super) fn has_body_failed(&self) -> bool {
        self.body.load(Acquire) == BODY_FAILED
    }

    /// When the last byte of the request was sent; `None` before that.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        match self.sent.load(Acquire) {
            0 => None,
            micros => Some(self.created + std::time::Duration::from_micros(micros - 1)),
        }
    }

    /// Whether a byte of an answer came since [`Self::begin`].
    pub(super) fn answer_begun(&self) -> bool {
        self.answer_begun.load(Acquire)
    }

    /// Whether an answer began before the whole request was sent.
    pub(super) fn was_early(&self) -> bool {
        self.early.load(Acquire)
    }

    /// Forbids further writes, then returns whether a byte of the request was sent. Returns `true` if in
    /// doubt: during a write, or if TLS has accepted a byte. Otherwise the result is exact.
    pub(super) fn seal(&self) -> bool {
        self.sealed.store(true, SeqCst);
        self.has_left()
    }

    /// Whether a byte of the request was sent or may be on its way now.
    pub(super) fn has_left(&self) -> bool {
        // The order matters: if a write ends before the first load, the second load sees its bytes.
        self.writing.load(SeqCst) || self.written.load(SeqCst) > 0
    }

    /// Looks for input in the kernel without reading it.
    pub(super) fn peek(&self) -> Waiting {
        let mut byte = [0_u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(&self.socket, &mut byte[..], flags) {
            Ok((_, 0)) => Waiting::End,
            Ok(_) => Waiting::Bytes,
            Err(rustix::io::Errno::AGAIN) => Waiting::Nothing,
            Err(_) => Waiting::End,
        }
    }

    pub(super) fn count(
        &self,
        offered: usize,
        write: impl FnOnce() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.writing.store(true, SeqCst);
        if self.sealed.load(SeqCst) {
            self.writing.store(false, Release);
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let result = write();
        let left = match &result {
            Poll::Ready(Ok(bytes)) => *bytes,
            // rustls may have sent a part of a record before the error.
            Poll::Ready(Err(_)) if self.tls => offered,
            _ => 0,
        };
        if left > 0 {
            self.written.fetch_add(left as u64, Relaxed);
        }
        // A thread that sees this store also sees the new count.
        self.writing.store(false, Release);
        result
    }

    /// Notes when the request's last byte was sent. hyper flushes only when its own buffer is empty, so at a
    /// flush after the body's end, the last byte has been sent. A request without a body is sent at once, so
    /// its start counts as its end.
    pub(super) fn flushed(&self) {
        if self.sent.load(Acquire) != 0 || self.written.load(Relaxed) == 0 {
            return;
        }
        match self.body.load(Acquire) {
            BODY_NONE => self.sent.store(self.begun.load(Relaxed), Release),
            BODY_ENDED => self.sent.store(self.micros(Instant::now()), Release),
            _ => {}
        }
    }

    pub(super) fn note_read(&self) {
        if self.sent.load(Acquire) == 0 {
            self.early.store(true, Release);
        }
        self.answer_begun.store(true, Release);
    }

    /// Microseconds from `created` to `now`, plus 1.
    fn micros(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.created);
        u64::try_from(age.as_micros()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let space = buf.remaining();
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            let mut got = 0;
            let room = space.min(self.room.load(Relaxed));
            let outcome = self.socket.try_io(Interest::READABLE, || {
                let target = buf.initialize_unfilled_to(room);
                got = recv(&self.socket, target, RecvFlags::empty())?.1;
                // A short read has emptied the socket. `WouldBlock` tells tokio so, which saves the next
                // system call.
                if 0 < got && got < room {
                    return Err(ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            match outcome {
                Err(error) if got == 0 && error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if got == 0 => return Poll::Ready(Err(error)),
                _ => {
                    let next = if got == room { room * 2 } else { MIN_ROOM };
                    self.room.store(next.clamp(MIN_ROOM, MAX_ROOM), Relaxed);
                    buf.advance(got);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    pub(super) fn poll_write_by(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_write_ready(cx))?;
            match write(&self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Closes the sending half of the socket.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        shutdown(&self.socket, Shutdown::Write).map_err(Into::into)
    }
}
