//! Reads many bundles, two at a time, in the requested order, and finds a place in the log without
//! reading the log before it.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::{Log, MissingRange, Reader, WIDTH};
use crate::clock::Time;

/// Threads that read, verify and filter.
const WORKERS: usize = 2;
/// How many results a worker may have ready.
const AHEAD: usize = 2;
/// How far the clock may be set back before a search by time can miss entries. docs/trail.md states
/// this bound.
const MAX_STEP_BACK: Duration = Duration::from_secs(3_600);

impl Log {
    /// Verifies each of these bundles, applies `sift` to its first index and its entries, and
    /// passes the results to `take` in the given order, until that breaks. Returns the first missing
    /// range as an error, after all results before it.
    pub(super) fn scan<T: Send>(
        &self,
        bundles: &[u64],
        sift: impl Fn(u64, &[&[u8]]) -> T + Sync,
        mut take: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), MissingRange> {
        let sift = &sift;
        std::thread::scope(|scope| {
            let lanes: Vec<Receiver<_>> = (0..WORKERS.min(bundles.len()))
                .map(|lane| {
                    let (ready, taken) = sync_channel(AHEAD);
                    let reader = self.reader();
                    let mine = bundles.iter().skip(lane).step_by(WORKERS);
                    scope.spawn(move || work(reader, mine.copied(), sift, &ready));
                    taken
                })
                .collect();
            for place in 0..bundles.len() {
                // A worker ends early only after it has sent an error.
                let Some(Ok(made)) = lanes.get(place % WORKERS).map(Receiver::recv) else {
                    return Ok(());
                };
                if take(made?).is_break() {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// Applies `sift` to the entries from an index on, also those beyond the checkpoint, and passes
    /// the results to `take` in order, until that breaks. Returns the index after the last entry
    /// that was read; errors like [`Self::scan`].
    pub(crate) fn scan_from<T: Send>(
        &mut self,
        from: u64,
        sift: impl Fn(u64, &[u8]) -> Option<T> + Sync,
        mut take: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<u64, MissingRange> {
        let bundles: Vec<u64> = (from / WIDTH..self.bundles()).collect();
        let sift_all = |first: u64, entries: &[&[u8]]| -> Vec<T> {
            let entries = (first..).zip(entries).filter(|(index, _)| *index >= from);
            entries
                .filter_map(|(index, bytes)| sift(index, bytes))
                .collect()
        };
        let mut flow = ControlFlow::Continue(());
        self.scan(&bundles, sift_all, |some| {
            flow = some.into_iter().try_for_each(&mut take);
            flow
        })?;
        if flow.is_break() {
            return Ok(self.size());
        }
        self.tail(|index, bytes| match sift(index, &bytes) {
            Some(made) if index >= from => take(made),
            _ => ControlFlow::Continue(()),
        })
    }

    /// The entry with this index, verified under the checkpoint or from the journal; `None` if the
    /// log ends before it.
    pub(crate) fn entry(&mut self, index: u64) -> Result<Option<Vec<u8>>, MissingRange> {
        if index < self.size() {
            return self.reader.entry(index).map(Some);
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
    pub(super) fn place_of(&self, time: Time) -> u64 {
        let step = i64::try_from(MAX_STEP_BACK.as_micros()).unwrap_or(i64::MAX);
        let time = Time(time.micros().saturating_sub(step));
        // Invariant: bundles before `low` begin before the time, and bundles from `high` on do not.
        let (mut low, mut high) = (0, self.bundles());
        while low < high {
            let middle = low.midpoint(high);
            match self.reader.begins_at(middle) {
                Some(begins) if begins < time => low = middle + 1,
                Some(_) => high = middle,
                // Reads the whole log, so that the answer reports the damage.
                None => return 0,
            }
        }
        low.saturating_sub(1) * WIDTH
    }
}

fn work<T>(
    reader: Reader,
    bundles: impl Iterator<Item = u64>,
    sift: impl Fn(u64, &[&[u8]]) -> T,
    ready: &SyncSender<Result<T, MissingRange>>,
) {
    for index in bundles {
        let made = reader.bundle(index, |entries, _| sift(index * WIDTH, entries));
        let is_missing = made.is_err();
        // The receiver is gone if the caller needs no more.
        if ready.send(made).is_err() || is_missing {
            return;
        }
    }
}
