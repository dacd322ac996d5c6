//! The scrub: a thread that slowly reads the log's files again, round after round. A round reads the
//! journal segments that the writer no longer uses, then every tile and bundle that the checkpoint covers,
//! and compares the tiles with the entries.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::published_log::{PublishedLogCheck, ROOT};
use super::{Integrity, Segments};
use crate::audit::disk::Folder;
use crate::audit::log::key::Key;
use crate::audit::status::Unavailable;

/// The maximum rate of the scrub. docs/trail.md says how long a round takes at this rate.
const BYTES_A_SECOND: u64 = 4 << 20;
/// The pause before the first round and between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// The minimum pause before the scrub reads a faulty file again.
const AGAIN: Duration = Duration::from_millis(300);
/// Each time the scrub has found a published file wrong this many times in a row, it also reads again the
/// entries that the file depends on.
const LOOKS: u32 = 10;

/// The fault that the scrub reports at present, if any.
type Found = Arc<ArcSwapOption<Unavailable>>;

/// The thread of the scrub, and the fault that the thread has found.
#[derive(Debug)]
pub(crate) struct Scrub {
    found: Found,
    /// The thread ends when this sender is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scrub {
    /// Starts the scrub of the files that `integrity` watches.
    pub(crate) fn begin(integrity: &Integrity) -> io::Result<Self> {
        let found = Found::default();
        let (stop, stopped) = channel();
        let reader = Reader::new(integrity, &found);
        let thread = std::thread::Builder::new().name("audit-scrub".into());
        Ok(Self {
            found,
            stop: Some(stop),
            thread: Some(thread.spawn(move || reader.serve(&stopped))?),
        })
    }

    pub(crate) fn found(&self) -> Option<Unavailable> {
        self.found.load().as_deref().cloned()
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread leaves nothing inconsistent, so its result does not matter.
            let _ = thread.join();
        }
    }
}

/// The work of the scrub's thread, in steps: each step reads one part of the log.
#[derive(Debug)]
struct Reader {
    published_log: PublishedLogCheck,
    journal: Arc<dyn Folder>,
    segments: Arc<Segments>,
    key: Arc<Key>,
    found: Found,
    /// The segments that this round has not read yet, with their lengths; `None` between rounds.
    left: Option<Vec<(u64, u64)>>,
    /// How many checks in a row have found a fault.
    wrong: u32,
    /// The reported fault in the published files, and the level of the tile that shows the fault.
    published: Option<(u8, Unavailable)>,
    /// The last read error that the scrub logged.
    unread: String,
}

impl Reader {
    fn new(integrity: &Integrity, found: &Found) -> Self {
        Self {
            published_log: PublishedLogCheck::new(&integrity.root, &integrity.key),
            journal: Arc::clone(&integrity.journal),
            segments: Arc::clone(&integrity.segments),
            key: Arc::clone(&integrity.key),
            found: Arc::clone(found),
            left: None,
            wrong: 0,
            published: None,
            unread: String::new(),
        }
    }

    fn serve(mut self, stopped: &Receiver<()>) {
        let mut left = PAUSE;
        while stopped.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            let began = Instant::now();
            left = self.step().saturating_sub(began.elapsed());
        }
    }

    /// Reads the next part of the log. Returns the time until the next step is due.
    fn step(&mut self) -> Duration {
        let held = || self.segments.held().into_iter().rev().collect();
        match self.left.get_or_insert_with(held).last().copied() {
            Some((number, bytes)) => self.read_segment(number, bytes),
            None => self.read_published(),
        }
    }

    fn read_segment(&mut self, number: u64, bytes: u64) -> Duration {
        let checked = self.segments.read_again(&*self.journal, number, &self.key);
        match checked {
            Err(found) if found.cause.is_integrity() => {
                self.is_wrong(found);
                return takes(bytes).max(AGAIN);
            }
            // The scrub skips a segment that it cannot read. But if the scrub has reported a fault in
            // this segment, the next step reads the segment again.
            Err(found) => {
                self.log_unread(found);
                if self.wrong > 1 {
                    return takes(bytes).max(AGAIN);
                }
            }
            Ok(()) if self.wrong > 1 => self.report_published(),
            Ok(()) => {}
        }
        self.wrong = 0;
        self.left.as_mut().and_then(Vec::pop);
        takes(bytes)
    }

    /// Checks the next published files. If a file is wrong, the next step repeats the check.
    fn read_published(&mut self) -> Duration {
        let checked = self.published_log.next();
        let takes = takes(std::mem::take(&mut self.published_log.read));
        match checked {
            Ok(level) => {
                self.wrong = 0;
                let repaired = self.published.take_if(|(shown_at, _)| *shown_at <= level);
                if repaired.is_some() {
                    self.report_published();
                }
                if level < ROOT {
                    return takes;
                }
            }
            Err(wrong) if wrong.found.cause.is_integrity() => {
                self.is_wrong(wrong.found.clone());
                if self.wrong > 1 {
                    let level = self.published.take().map_or(0, |(level, _)| level);
                    self.published = Some((level.max(wrong.level), wrong.found.clone()));
                }
                if self.wrong.is_multiple_of(LOOKS) {
                    self.published_log.go_back(&wrong);
                }
                return takes.max(AGAIN);
            }
            // A file could not be read. This round ends, and the next one continues with the same file.
            Err(wrong) => {
                self.wrong = 0;
                self.log_unread(wrong.found);
            }
        }
        self.left = None;
        takes + PAUSE
    }

    /// Counts a fault. If two checks in a row have found a fault, reports the newer fault.
    fn is_wrong(&mut self, found: Unavailable) {
        self.wrong = self.wrong.saturating_add(1);
        if self.wrong > 1 {
            self.found.store(Some(Arc::new(found)));
        }
    }

    fn report_published(&self) {
        let found = self.published.as_ref();
        self.found
            .store(found.map(|(_, found)| Arc::new(found.clone())));
    }

    /// Logs a read error, unless the last read error that the scrub logged is the same.
    fn log_unread(&mut self, found: Unavailable) {
        if self.unread != found.detail {
            tracing::warn!(
                "the scrub cannot read a file of the log, so it cannot check this file and those that depend on it: {}; check the file's mode and its disk",
                found.detail
            );
            self.unread = found.detail;
        }
    }
}

/// The time that reading this many bytes takes at the scrub's rate.
fn takes(bytes: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / BYTES_A_SECOND)
}

#[cfg(test)]
mod tests;
