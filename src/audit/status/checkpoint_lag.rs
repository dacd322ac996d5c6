//! How far the checkpoints are behind the entries, for everybody to see without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::audit::status::closed;
use crate::audit::status::{Cause, Unavailable};

/// An entry that has waited so long for a checkpoint closes the trail for deletions.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Set by the writer and the publisher.
#[derive(Debug)]
pub(crate) struct CheckpointLag {
    born: Instant,
    longest: Duration,
    /// Microseconds from `born` to when the oldest entry without a checkpoint came, plus one; 0 where
    /// there is none.
    since: AtomicU64,
    /// Whether more waits than is kept for long.
    too_much: AtomicBool,
    met: ArcSwapOption<Met>,
    /// Why roll-back is not watched.
    unwatched: ArcSwapOption<String>,
}

/// What the publisher met, and since when.
#[derive(Debug)]
struct Met {
    found: Unavailable,
    since: Instant,
}

impl CheckpointLag {
    /// `longest` is how long an entry may wait: [`LONGEST_WAIT`], but in tests.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            born: Instant::now(),
            longest,
            since: AtomicU64::new(0),
            too_much: AtomicBool::new(false),
            met: ArcSwapOption::empty(),
            unwatched: ArcSwapOption::empty(),
        }
    }

    /// Why deletions are refused for it, where they are, and for how long by now: what was found in the
    /// files counts at once, what cannot be written once an entry has waited for too long.
    pub(crate) fn closed(&self) -> Option<(Unavailable, Duration)> {
        let met = self.met.load();
        if let Some(met) = met.as_ref().filter(|met| met.found.cause.is_custody()) {
            return Some((met.found.clone(), met.since.elapsed()));
        }
        let since = self.since.load(Ordering::Acquire);
        let waited = self
            .born
            .elapsed()
            .saturating_sub(Duration::from_micros(since));
        let too_long = waited.checked_sub(self.longest).filter(|_| since != 0);
        let too_much = || {
            self.too_much
                .load(Ordering::Acquire)
                .then_some(Duration::ZERO)
        };
        let closed_for = too_long.or_else(too_much)?;
        let hangs = || closed(Cause::SyncLate, "no checkpoint covers the newest entries");
        let found = met.as_ref().map_or_else(hangs, |met| met.found.clone());
        Some((found, closed_for))
    }

    /// Tells since when an entry waits, where none older does, and whether too much waits.
    pub(crate) fn waits(&self, since: Instant, too_much: bool) {
        let micros = self.micros(since);
        let (set, seen) = (Ordering::AcqRel, Ordering::Acquire);
        // An error says that an older one waits.
        let _ = self.since.compare_exchange(0, micros, set, seen);
        self.too_much.store(too_much, Ordering::Release);
    }

    /// Tells since when the oldest entry waits that is not published, if there is one.
    pub(crate) fn published(&self, since: Option<Instant>, too_much: bool) {
        let micros = since.map_or(0, |since| self.micros(since));
        self.since.store(micros, Ordering::Release);
        self.too_much.store(too_much, Ordering::Release);
    }

    /// Tells what the publisher met; `None` where it works.
    pub(crate) fn met(&self, met: Option<Unavailable>) {
        let before = self.met.load();
        let met = met.map(|found| {
            let same = before.as_ref().filter(|b| b.found.cause == found.cause);
            let since = same.map_or_else(Instant::now, |before| before.since);
            Arc::new(Met { found, since })
        });
        self.met.store(met);
    }

    /// Tells why roll-back is not watched; `None` where it is.
    pub(crate) fn unwatched(&self, why: Option<String>) {
        self.unwatched.store(why.map(Arc::new));
    }

    /// Why roll-back is not watched, where it is not.
    pub(crate) fn why_unwatched(&self) -> Option<String> {
        self.unwatched.load().as_ref().map(|why| String::clone(why))
    }

    fn micros(&self, since: Instant) -> u64 {
        let after = since.saturating_duration_since(self.born);
        u64::try_from(after.as_micros()).unwrap_or(0) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn cause(lag: &CheckpointLag) -> Option<Cause> {
        lag.closed().map(|(found, _)| found.cause)
    }

    #[test]
    fn p3_an_entry_that_waits_for_too_long_closes_for_what_the_publisher_met() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        assert_eq!(cause(&lag), None);
        lag.waits(Instant::now(), false);
        assert_eq!(cause(&lag), None);
        lag.met(Some(closed(Cause::DiskFull, "full")));
        assert_eq!(cause(&lag), None, "not before it has waited");
        let lag = CheckpointLag::new(SHORT);
        lag.waits(Instant::now(), false);
        lag.met(Some(closed(Cause::DiskFull, "full")));
        std::thread::sleep(2 * SHORT);
        // A newer entry does not make the oldest any younger.
        lag.waits(Instant::now(), false);
        assert_eq!(cause(&lag), Some(Cause::DiskFull));
        lag.met(None);
        assert_eq!(cause(&lag), Some(Cause::SyncLate), "it hangs");
        lag.published(None, false);
        assert_eq!(cause(&lag), None);
    }

    #[test]
    fn p3_what_was_found_in_the_files_closes_at_once() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        lag.met(Some(closed(Cause::SecondWriter, "another")));
        assert_eq!(cause(&lag), Some(Cause::SecondWriter));
        std::thread::sleep(SHORT);
        lag.met(Some(closed(Cause::SecondWriter, "still")));
        assert!(lag.closed().unwrap().1 >= SHORT);
        lag.met(None);
        assert_eq!(cause(&lag), None);
    }

    #[test]
    fn p3_too_much_that_waits_closes_at_once() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        lag.waits(Instant::now(), true);
        assert_eq!(cause(&lag), Some(Cause::SyncLate));
    }
}
