//! What a connection is doing. hyper does not say, so its service, its reads and writes, and the bodies do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

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
/// The stack has handed over the head of the answer.
const BEGUN: u8 = 32;

/// What the connection waits for while no request is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The first byte of a head.
    FirstByte,
    /// The rest of a head.
    Head,
}

/// What the caller of a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// No request is in flight.
    IsIdle,
    /// It waits for the head of the answer. It may still send the body of its request.
    Waits,
    /// It reads the answer.
    Reads,
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

    /// The stack hands over the head of the answer.
    pub(super) fn answer_begins(&self) {
        self.0.fetch_or(BEGUN, Relaxed);
    }

    pub(super) fn caller(&self) -> Caller {
        match self.0.load(Relaxed) {
            now if now & (ANSWER | UNWRITTEN) == 0 => Caller::IsIdle,
            now if now & BEGUN == 0 => Caller::Waits,
            _ => Caller::Reads,
        }
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
    pub(super) fn bytes_came(&self, bytes: &[u8]) {
        if self.waits_for() == Some(Wait::FirstByte) && has_begun(bytes) {
            self.0.fetch_and(!TIMED, Relaxed);
            self.0.fetch_or(HEAD, Relaxed);
        }
    }

    /// hyper has written all that it had. Returns whether an answer ends with it.
    pub(super) fn all_written(&self) -> bool {
        let ends = self.0.load(Relaxed) & (ANSWER | UNWRITTEN) == UNWRITTEN;
        if ends {
            self.0.fetch_and(!UNWRITTEN, Relaxed);
        }
        ends
    }
}

/// Whether these bytes hold a part of a head, not only empty lines.
pub(super) fn has_begun(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
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
