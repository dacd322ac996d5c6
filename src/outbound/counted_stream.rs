//! A connection's socket, and the evidence of what left on it.
//!
//! hyper does not say whether a byte of a failed request left, so every write is counted here,
//! and a used socket is peeked at before it is used again: a FIN, or an answer that nobody asked
//! for, may wait in the kernel while hyper still calls the connection ready.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What waits in the kernel on an idle socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing: it can be used.
    Nothing,
    /// Bytes: an answer nobody asked for, or (under TLS) records that are no answer.
    Bytes,
    /// Its end, or an error.
    End,
}

/// Bytes of a read: at first, and after reads that filled all they could.
const MIN_ROOM: usize = 2 * 1024;
const MAX_ROOM: usize = 128 * 1024;

/// How far the body of the request has come.
const BODY_COMING: u8 = 0;
const BODY_ENDED: u8 = 1;
const BODY_FAILED: u8 = 2;
const BODY_NONE: u8 = 3;

/// A socket and what is known of the request on it; shared by hyper's task, the lease, the
/// request's body and the TLS stream.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    /// Whether bytes pass through TLS, where an error does not say what left.
    tls: bool,
    born: Instant,
    /// Bytes of this request taken by the kernel (by TLS, where there is TLS).
    written: AtomicU64,
    /// A write is under way; together with `sealed` it makes [`Self::seal`] exact.
    writing: AtomicBool,
    /// Nothing more may be written.
    sealed: AtomicBool,
    /// One of `BODY_…`; set by the request's body.
    body: AtomicU8,
    /// Microseconds from `born` to the begin of the request, plus 1.
    begun: AtomicU64,
    /// Microseconds from `born` to the last byte of the request, plus 1; 0 until then.
    sent: AtomicU64,
    /// A byte of an answer came.
    heard: AtomicBool,
    /// A byte of an answer came before the last byte of the request had left.
    early: AtomicBool,
    /// Bytes of the next read: what it may fill has to be zeroed first, and most answers are short.
    room: AtomicUsize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, tls: bool) -> Arc<Self> {
        Arc::new(Self {
            stream,
            tls,
            born: Instant::now(),
            written: AtomicU64::new(0),
            writing: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
            body: AtomicU8::new(BODY_COMING),
            begun: AtomicU64::new(1),
            sent: AtomicU64::new(0),
            heard: AtomicBool::new(false),
            early: AtomicBool::new(false),
            room: AtomicUsize::new(MIN_ROOM),
        })
    }

    /// Begins the account of a new request; `bodiless` where nothing follows its head. hyper is given
    /// the request after this, so nobody else looks at the account yet.
    pub(super) fn begin(&self, bodiless: bool, now: Instant) {
        self.written.store(0, Relaxed);
        self.begun.store(self.micros(now), Relaxed);
        self.sent.store(0, Relaxed);
        self.heard.store(false, Relaxed);
        self.early.store(false, Relaxed);
        let body = if bodiless { BODY_NONE } else { BODY_COMING };
        self.body.store(body, Release);
    }

    /// The body has given its last byte to hyper.
    pub(super) fn body_ended(&self) {
        self.body.store(BODY_ENDED, Release);
    }

    /// The body ended in an error.
    pub(super) fn body_failed(&self) {
        self.body.store(BODY_FAILED, Release);
    }

    /// Whether the body ended in an error.
    pub(super) fn has_body_failed(&self) -> bool {
        self.body.load(Acquire) == BODY_FAILED
    }

    /// When the last byte of the request was handed over; `None` before that.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        match self.sent.load(Acquire) {
            0 => None,
            micros => Some(self.born + std::time::Duration::from_micros(micros - 1)),
        }
    }

    /// Whether any byte of an answer came since [`Self::begin`].
    pub(super) fn heard(&self) -> bool {
        self.heard.load(Acquire)
    }

    /// Whether an answer began before the request had left in full.
    pub(super) fn was_early(&self) -> bool {
        self.early.load(Acquire)
    }

    /// Forbids further writes, then says whether any byte of the request left. Exact for plain
    /// TCP, on the safe side (`true`) while a write is under way and under TLS.
    pub(super) fn seal(&self) -> bool {
        self.sealed.store(true, SeqCst);
        self.has_left()
    }

    /// Whether a byte of the request left, or may be leaving.
    pub(super) fn has_left(&self) -> bool {
        // In this order: a write that ended before the first look shows in the second.
        self.writing.load(SeqCst) || self.written.load(SeqCst) > 0
    }

    /// Looks at what waits in the kernel, taking nothing.
    pub(super) fn peek(&self) -> Waiting {
        let mut byte = [0_u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(&self.stream, &mut byte[..], flags) {
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
        // Whoever sees this sees the count before it.
        self.writing.store(false, Release);
        result
    }

    /// hyper flushes only once its own buffer is empty, so a flush behind the body's end is the
    /// last byte of the request. A head alone leaves at once, so its begin is told for it.
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
        self.heard.store(true, Release);
    }

    /// Microseconds from `born`, plus 1.
    fn micros(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born);
        u64::try_from(age.as_micros()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let space = buf.remaining();
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let mut got = 0;
            let room = space.min(self.room.load(Relaxed));
            let outcome = self.stream.try_io(Interest::READABLE, || {
                let target = buf.initialize_unfilled_to(room);
                got = recv(&self.stream, target, RecvFlags::empty())?.1;
                // A short read has emptied the socket: say so, and save the next call.
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
            ready!(self.stream.poll_write_ready(cx))?;
            match write(&self.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Ends the sending half.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        shutdown(&self.stream, Shutdown::Write).map_err(Into::into)
    }
}
