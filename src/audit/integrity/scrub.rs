//! Reads again, slowly, what nobody else reads: older segments of the journal, and every tile and
//! bundle under the checkpoint, made again from the entries and compared with what stands there.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Integrity, Segments};
use crate::audit::disk::Folder;
use crate::audit::integrity::published_log::{PublishedLogCheck, ROOT};
use crate::audit::log::key::Key;
use crate::audit::status::Unavailable;

/// The scrub reads so much a second at most; docs/trail.md says how long a round takes at that.
const BYTES_A_SECOND: u64 = 4 << 20;
/// Between two rounds, and before the first.
const PAUSE: Duration = Duration::from_secs(5);
/// A file that is not as it should be is looked at again so soon.
const AGAIN: Duration = Duration::from_millis(300);
/// After so many looks the scrub also reads again what that file depends on.
const LOOKS: u32 = 10;

/// The thread, and what it found.
#[derive(Debug)]
pub(crate) struct Scrub {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    found: Mutex<Option<Unavailable>>,
    stop: Mutex<bool>,
    wake: Condvar,
}

impl Scrub {
    /// Begins to read what this custody holds.
    pub(crate) fn begin(integrity: &Integrity, key: &Arc<Key>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let reader = Reader::new(integrity, key, &shared);
        let thread = std::thread::Builder::new().name("audit-scrub".into());
        Ok(Self {
            shared,
            thread: Some(thread.spawn(move || reader.serve())?),
        })
    }

    /// What is wrong now, as far as it was read.
    pub(crate) fn found(&self) -> Option<Unavailable> {
        let found = self.shared.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        *self
            .shared
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have left in disorder.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits; false where it is time to end.
    fn pause(&self, time: Duration) -> bool {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(stop, time, |stop| !*stop);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn tell(&self, found: Option<Unavailable>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// Reads on step by step, round after round.
#[derive(Debug)]
struct Reader {
    standing: PublishedLogCheck,
    journal: Arc<dyn Folder>,
    segments: Arc<Segments>,
    key: Arc<Key>,
    shared: Arc<Shared>,
    /// The segments that are left to read in this round, with their lengths; none between rounds.
    left: Option<Vec<(u64, u64)>>,
    /// How often in a row something was wrong.
    wrong: u32,
    /// What is wrong with what is published, and the level of the tile that tells.
    published: Option<(u8, Unavailable)>,
    /// What was told last of what cannot be read.
    unread: String,
}

impl Reader {
    fn new(integrity: &Integrity, key: &Arc<Key>, shared: &Arc<Shared>) -> Self {
        Self {
            standing: PublishedLogCheck::new(&integrity.root, key),
            journal: Arc::clone(&integrity.journal),
            segments: Arc::clone(&integrity.segments),
            key: Arc::clone(key),
            shared: Arc::clone(shared),
            left: None,
            wrong: 0,
            published: None,
            unread: String::new(),
        }
    }

    fn serve(mut self) {
        let mut left = PAUSE;
        while self.shared.pause(left) {
            let began = Instant::now();
            left = self.step().saturating_sub(began.elapsed());
        }
    }

    /// Reads the next part; returns the time until the part behind it.
    fn step(&mut self) -> Duration {
        let held = || self.segments.held().into_iter().rev().collect();
        match self.left.get_or_insert_with(held).last().copied() {
            Some((number, bytes)) => self.read_segment(number, bytes),
            None => self.read_published(),
        }
    }

    fn read_segment(&mut self, number: u64, bytes: u64) -> Duration {
        let judged = self.segments.read_again(&*self.journal, number, &self.key);
        match judged {
            Err(found) if found.cause.is_custody() => {
                self.is_wrong(found);
                return takes(bytes).max(AGAIN);
            }
            // An unreadable segment does not hold up the others, unless it was wrong before.
            Err(found) => {
                self.tell_unread(found);
                if self.wrong > 1 {
                    return takes(bytes).max(AGAIN);
                }
            }
            Ok(()) if self.wrong > 1 => self.tell_published(),
            Ok(()) => {}
        }
        self.wrong = 0;
        self.left.as_mut().and_then(Vec::pop);
        takes(bytes)
    }

    /// Reads the next of what is published; goes on only when that is right.
    fn read_published(&mut self) -> Duration {
        let judged = self.standing.next();
        let takes = takes(self.standing.take_read());
        match judged {
            Ok(level) => {
                self.wrong = 0;
                if self.published.take_if(|(told, _)| *told <= level).is_some() {
                    self.tell_published();
                }
                if level < ROOT {
                    return takes;
                }
            }
            Err(wrong) if wrong.found.cause.is_custody() => {
                self.is_wrong(wrong.found.clone());
                if self.wrong > 1 {
                    let level = self.published.take().map_or(0, |(level, _)| level);
                    self.published = Some((level.max(wrong.level), wrong.found.clone()));
                }
                if self.wrong.is_multiple_of(LOOKS) {
                    self.standing.go_back(&wrong);
                }
                return takes.max(AGAIN);
            }
            // The next round goes on from here.
            Err(wrong) => {
                self.wrong = 0;
                self.tell_unread(wrong.found);
            }
        }
        self.left = None;
        takes + PAUSE
    }

    /// What is wrong twice in a row is told until it is right.
    fn is_wrong(&mut self, found: Unavailable) {
        self.wrong = self.wrong.saturating_add(1);
        if self.wrong > 1 {
            self.shared.tell(Some(found));
        }
    }

    fn tell_published(&self) {
        let found = self.published.as_ref().map(|(_, found)| found.clone());
        self.shared.tell(found);
    }

    /// Says that something cannot be read; once, until another thing cannot.
    fn tell_unread(&mut self, found: Unavailable) {
        if self.unread != found.detail {
            tracing::warn!(
                "a file of the log cannot be read, so nobody looks whether it, and what depends on it, is still right: {}; look at its mode and its disk",
                found.detail
            );
            self.unread = found.detail;
        }
    }
}

/// How long it may take to read this many bytes.
fn takes(bytes: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / BYTES_A_SECOND)
}

#[cfg(test)]
mod tests;
