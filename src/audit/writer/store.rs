//! The open log: writes batches, changes to new segments, and checks the files after each sync.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::audit::integrity::Integrity;
use crate::audit::integrity::scrub::Scrub;
use crate::audit::journal::append::{Appender, PendingEntries};
use crate::audit::journal::batch::padded;
use crate::audit::journal::spare::{Reserve, Spares};
use crate::audit::log::key::Key;
use crate::audit::publish::Publishing;
use crate::audit::status::availability::Availability;
use crate::audit::status::{Cause, Unavailable, closed, trouble};
use crate::metrics::Metrics;

/// The minimum length, in bytes, of a segment that the writer makes while callers wait.
pub(crate) const SMALL_SEGMENT: u64 = 512 << 10;

#[derive(Debug)]
pub(crate) struct Store {
    /// The publisher. `None` while the log is being opened, and after [`Self::let_go`]. This field comes
    /// first, so that it is dropped first: the publisher's thread must end before the lock is released.
    pub(crate) publishing: Option<Publishing>,
    pub(crate) appender: Appender,
    pub(crate) spares: Spares,
    /// The scrub. Its thread must end before the lock is released.
    pub(crate) scrub: Option<Scrub>,
    /// Its drop waits for its thread, so it comes before the lock, too.
    pub(crate) reserve: Reserve,
    /// Holds the lock.
    pub(crate) integrity: Integrity,
    pub(crate) key: Arc<Key>,
    pub(crate) availability: Arc<Availability>,
    pub(crate) metrics: Metrics,
}

/// The error of a batch that was not written or not synced, or whose files failed the check after the sync.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) found: Unavailable,
    /// Whether a sync was late, in this batch or in an earlier batch of the same flush.
    pub(crate) late: bool,
}

impl From<Failed> for Unavailable {
    fn from(failed: Failed) -> Self {
        failed.found
    }
}

fn is_full(error: &io::Error) -> bool {
    trouble(error, "").cause == Cause::DiskFull
}

/// The error for a sync that finished after `sync_timeout`.
pub(crate) fn was_late() -> Unavailable {
    closed(
        Cause::SyncLate,
        "the disk answered later than `sync_timeout`",
    )
}

impl Store {
    /// Writes and syncs the entries in batches, and removes the durable entries from the list. Returns
    /// whether a sync was late; if so, deletions are refused.
    pub(crate) fn flush(&mut self, entries: &mut PendingEntries) -> Result<bool, Failed> {
        let mut late = false;
        while !entries.is_empty() {
            let count = entries.fitting();
            self.availability.sync_begins();
            let result = self.write(&entries[..count]);
            if self.availability.is_late() {
                late = true;
                self.availability.close(was_late());
            }
            self.availability.sync_ended();
            result.map_err(|found| Failed { found, late })?;
            self.metrics.audit_entries.inc_by(count as u64);
            let written = entries.synced(count, self.appender.last);
            if let Some(publishing) = &self.publishing {
                publishing.hand_over(written);
            }
        }
        Ok(late)
    }

    /// Checks the files and the spare. Also fails if the scrub has found a fault.
    pub(crate) fn look_after(&mut self) -> Result<(), Unavailable> {
        self.untouched()?;
        let current = self.appender.current.as_mut();
        self.integrity.check(current, &self.spares)?;
        self.integrity.check_spare(&mut self.spares)?;
        self.scrubbed()
    }

    /// Starts the publisher and the scrub. If `is_start`, the publisher first publishes all queued
    /// entries.
    pub(crate) fn begin(&mut self, is_start: bool) -> Result<(), Unavailable> {
        if let Some(publishing) = &mut self.publishing {
            publishing.begin(is_start)?;
        }
        let scrub = Scrub::begin(&self.integrity);
        self.scrub = Some(scrub.map_err(|e| trouble(&e, "cannot begin to scrub"))?);
        Ok(())
    }

    /// Whether every file at the path is still the file that this process wrote. If not, the opening
    /// judges the log by its content.
    pub(crate) fn is_same(&mut self) -> Result<bool, Unavailable> {
        self.retire();
        if self.integrity.moved().is_some() {
            return Ok(false);
        }
        // An opening may not see a fault that the scrub found, so this fails until the scrub reports a
        // repair.
        self.scrubbed()?;
        if self.look_after().is_err() {
            self.integrity.claim_lock(&self.spares)?;
        }
        if self.has_all_files()? {
            return Ok(true);
        }
        // A spare holds no entries, so the log is the same without it.
        self.spares.ready = None;
        self.has_all_files()
    }

    /// Returns `false` if a file is missing or replaced, and an error for any other fault.
    fn has_all_files(&mut self) -> Result<bool, Unavailable> {
        match self.look_after() {
            Ok(()) => Ok(true),
            Err(found) => match found.cause {
                Cause::FolderMoved | Cause::Replaced | Cause::Unlinked => Ok(false),
                _ => Err(found),
            },
        }
    }

    /// Ends the threads of the publisher and the scrub. The lock stays held until another log is open.
    pub(crate) fn let_go(&mut self) {
        self.publishing = None;
        self.scrub = None;
    }

    /// Fails if the scrub has found a fault that is not repaired.
    pub(crate) fn scrubbed(&self) -> Result<(), Unavailable> {
        let found = self.scrub.as_ref().and_then(Scrub::found);
        found.map_or(Ok(()), Err)
    }

    /// Reports the free space. If `may_reserve`, starts to make a missing reserve.
    pub(crate) fn tend_space(&mut self, may_reserve: bool) {
        let Ok(free) = self.integrity.journal.free_bytes() else {
            return;
        };
        self.availability.show_space(free);
        self.reserve.look();
        if may_reserve {
            self.reserve.tend(free, self.spares.bytes);
        }
        let bytes = i64::try_from(self.reserve.bytes()).unwrap_or(i64::MAX);
        self.metrics.audit_reserve_bytes.set(bytes);
    }

    /// Checks that no other process wrote to the current segment. If another process did and the folder
    /// or the lock has a fault, returns that fault, because it says more.
    fn untouched(&mut self) -> Result<(), Unavailable> {
        let (current, last) = (self.appender.current.as_mut(), &self.appender.last);
        let judged = current.map_or(Ok(()), |current| self.integrity.untouched(current, last));
        judged.or_else(|found| {
            self.integrity.check(None, &self.spares)?;
            Err(found)
        })
    }

    fn retire(&mut self) {
        if let Some(current) = self.appender.current.take() {
            self.integrity.keep(&current, &self.appender.last);
        }
    }

    /// Changes to a new segment of at least `at_least` bytes.
    fn next_segment(&mut self, at_least: u64) -> Result<(), Unavailable> {
        let prepared = match self.spares.take(at_least, SMALL_SEGMENT) {
            Err(error) if is_full(&error) && self.reserve.give_back() => {
                self.spares.take(at_least, SMALL_SEGMENT)
            }
            taken => taken,
        };
        let prepared = prepared.map_err(|e| trouble(&e, "cannot make a segment"))?;
        self.retire();
        self.appender.take(prepared);
        Ok(())
    }

    fn write(&mut self, entries: &[Vec<u8>]) -> Result<(), Unavailable> {
        let length = padded(entries);
        if !self.appender.has_room(length) {
            self.next_segment(length as u64)
                // If the folder was removed or replaced, this is the fault to report.
                .map_err(|found| self.integrity.moved().unwrap_or(found))?;
        }
        self.untouched()?;
        let began = Instant::now();
        let written = self.appender.write(entries);
        let took = began.elapsed().as_secs_f64();
        self.metrics.audit_sync_seconds.observe(took);
        let link = written.map_err(|e| trouble(&e, "cannot write to the journal"))?;
        let current = self.appender.current.as_mut();
        self.integrity.check(current, &self.spares)?;
        self.scrubbed()?;
        self.appender.last = link;
        Ok(())
    }
}
