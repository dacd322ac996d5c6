//! Finds a place in a log without reading the log before it.

use std::ops::ControlFlow;
use std::time::Duration;

use super::MissingRange;
use super::log::{BUNDLE, Log, Reader};
use crate::audit::entry::EntryHead;
use crate::clock::Time;

/// How far the clock may be set back before a search by time can miss entries. docs/trail.md states
/// this bound.
const MAX_STEP_BACK: Duration = Duration::from_secs(3_600);

impl Reader {
    /// The entry with this index.
    ///
    /// # Errors
    /// If its bundle is missing, altered or unreadable, or the checkpoint does not cover the entry.
    pub fn entry(&mut self, index: u64) -> Result<Vec<u8>, MissingRange> {
        let at = usize::try_from(index % BUNDLE).unwrap_or(usize::MAX);
        let entry = |entries: &[&[u8]], _: &[_]| entries.get(at).map(|entry| entry.to_vec());
        self.bundle(index / BUNDLE, entry)?
            .ok_or_else(|| MissingRange::damaged("the checkpoint does not cover it").at(index))
    }

    /// The time of a bundle's first entry; `None` if the bundle is unreadable.
    fn begins_at(&mut self, bundle: u64) -> Option<Time> {
        let time = |entries: &[&[u8]], _: &[_]| {
            let head = EntryHead::decode(entries.first()?).ok()?;
            Time::parse(&head.time)
        };
        self.bundle(bundle, time).ok()?
    }
}

impl Log {
    /// The entry with this index, verified under the checkpoint or from the journal; `None` if the
    /// log ends before it.
    ///
    /// # Errors
    /// If the bundle or the journal is missing, altered or unreadable.
    pub fn entry(&mut self, index: u64) -> Result<Option<Vec<u8>>, MissingRange> {
        if index < self.size() {
            return self.reader().entry(index).map(Some);
        }
        let mut found = None;
        self.tail(|at, bytes| {
            if at < index {
                return ControlFlow::Continue(());
            }
            found = Some(bytes);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The index to start from to read all entries of a time or later. The times in a log ascend,
    /// except after the clock was set back, so this starts [`MAX_STEP_BACK`] earlier.
    #[must_use]
    pub fn place_of(&self, time: Time) -> u64 {
        let step = i64::try_from(MAX_STEP_BACK.as_micros()).unwrap_or(i64::MAX);
        let time = Time(time.micros().saturating_sub(step));
        let mut reader = self.reader();
        // Invariant: bundles before `low` begin before the time, and bundles from `high` on do not.
        let (mut low, mut high) = (0, self.bundles());
        while low < high {
            let middle = low.midpoint(high);
            match reader.begins_at(middle) {
                Some(begins) if begins < time => low = middle + 1,
                Some(_) => high = middle,
                // Reads the whole log, so that the answer reports the damage.
                None => return 0,
            }
        }
        low.saturating_sub(1) * BUNDLE
    }
}
