//! Reads many bundles, two at a time, and returns the results in the requested order.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::MissingRange;
use super::log::{BUNDLE, Log, Reader};

/// Threads that read, verify and filter.
const WORKERS: usize = 2;
/// How many results a worker may have ready.
const AHEAD: usize = 2;

impl Log {
    /// Verifies each of these bundles, applies `sift` to its first index and its entries, and
    /// passes the results to `take` in the given order, until that breaks.
    ///
    /// # Errors
    /// The first missing range, after all results before it.
    pub fn scan<T: Send>(
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
}

impl Log {
    /// Applies `sift` to the entries from an index on, also those beyond the checkpoint, and passes
    /// the results to `take` in order, until that breaks. Returns the index after the last entry
    /// that was read.
    ///
    /// # Errors
    /// The first missing range, after all results before it.
    pub fn scan_from<T: Send>(
        &mut self,
        from: u64,
        sift: impl Fn(u64, &[u8]) -> Option<T> + Sync,
        mut take: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<u64, MissingRange> {
        let bundles: Vec<u64> = (from / BUNDLE..self.bundles()).collect();
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
}

fn work<T>(
    mut reader: Reader,
    bundles: impl Iterator<Item = u64>,
    sift: impl Fn(u64, &[&[u8]]) -> T,
    ready: &SyncSender<Result<T, MissingRange>>,
) {
    for index in bundles {
        let made = reader.bundle(index, |entries, _| sift(index * BUNDLE, entries));
        let is_missing = made.is_err();
        // The receiver is gone if the caller needs no more.
        if ready.send(made).is_err() || is_missing {
            return;
        }
    }
}
