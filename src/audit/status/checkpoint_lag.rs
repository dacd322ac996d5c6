//! How far the checkpoints lag behind the entries. Any task can read it without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::{Cause, Unavailable, closed};

/// Deletions are refused once an entry has waited this long for a checkpoint.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The writer and the publisher update it.
#[derive(Debug)]
pub(crate) struct CheckpointLag {
    born: Instant,
    longest: Duration,
    /// Microseconds from `born` to the arrival of the oldest entry without a checkpoint, plus one;
    /// 0 if every entry has one.
    since: AtomicU64,
    /// Whether the publisher's queue holds more bytes than its limit.
    too_much: AtomicBool,
    publisher_error: ArcSwapOption<PublisherError>,
    /// Why roll-back detection does not work; `None` if it does.
    unwatched: ArcSwapOption<String>,
}

#[derive(Debug)]
struct PublisherError {
    found: Unavailable,
    since: Instant,
}

impl CheckpointLag {
    /// `longest` is how long an entry may wait: [`LONGEST_WAIT`] except in tests.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            born: Instant::now(),
            longest,
            since: AtomicU64::new(0),
            too_much: AtomicBool::new(false),
            publisher_error: ArcSwapOption::empty(),
            unwatched: ArcSwapOption::empty(),
        }
    }

    /// Why the lag closes the trail, and for how long it has been closed; `None` if it does not. A
    /// failed integrity check closes it at once, a failed write once an entry has waited too long.
    pub(crate) fn closed(&self) -> Option<(Unavailable, Duration)> {
        let error = self.publisher_error.load();
        let error = error.as_deref();
        if let Some(error) = error.filter(|error| error.found.cause.is_integrity()) {
            return Some((error.found.clone(), error.since.elapsed()));
        }
        let since = self.since.load(Ordering::Acquire);
        let arrived = Duration::from_micros(since);
        let waited = self.born.elapsed().saturating_sub(arrived);
        let too_long = waited.checked_sub(self.longest).filter(|_| since != 0);
        let too_much = self.too_much.load(Ordering::Acquire);
        let closed_for = too_long.or(too_much.then_some(Duration::ZERO))?;
        let hangs = || closed(Cause::SyncLate, "no checkpoint covers the newest entries");
        let found = error.map_or_else(hangs, |error| error.found.clone());
        Some((found, closed_for))
    }

    /// Notes the arrival of the oldest waiting entry, and whether the queue exceeds its limit.
    pub(crate) fn waits(&self, since: Instant, too_much: bool) {
        let micros = self.micros(since);
        let (set, seen) = (Ordering::AcqRel, Ordering::Acquire);
        // An error means that an older entry waits.
        let _ = self.since.compare_exchange(0, micros, set, seen);
        self.too_much.store(too_much, Ordering::Release);
    }

    /// Notes when the oldest unpublished entry arrived; `None` if every entry is published.
    pub(crate) fn published(&self, since: Option<Instant>, too_much: bool) {
        let micros = since.map_or(0, |since| self.micros(since));
        self.since.store(micros, Ordering::Release);
        self.too_much.store(too_much, Ordering::Release);
    }

    /// Notes the publisher's error; `None` if it works.
    pub(crate) fn publisher_error(&self, error: Option<Unavailable>) {
        let before = self.publisher_error.load();
        let error = error.map(|found| {
            let same = before.as_ref().filter(|b| b.found.cause == found.cause);
            let since = same.map_or_else(Instant::now, |before| before.since);
            Arc::new(PublisherError { found, since })
        });
        self.publisher_error.store(error);
    }

    pub(crate) fn unwatched(&self, why: Option<String>) {
        self.unwatched.store(why.map(Arc::new));
    }

    /// Why roll-back detection does not work; `None` if it does.
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
    fn p3_an_entry_that_waits_too_long_closes_the_trail() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        assert_eq!(cause(&lag), None);
        lag.waits(Instant::now(), false);
        assert_eq!(cause(&lag), None);
        lag.publisher_error(Some(closed(Cause::DiskFull, "full")));
        assert_eq!(cause(&lag), None, "not before it has waited");
        let lag = CheckpointLag::new(SHORT);
        lag.waits(Instant::now(), false);
        lag.publisher_error(Some(closed(Cause::DiskFull, "full")));
        std::thread::sleep(2 * SHORT);
        // A newer entry does not shorten the wait of the oldest.
        lag.waits(Instant::now(), false);
        assert_eq!(cause(&lag), Some(Cause::DiskFull));
        lag.publisher_error(None);
        assert_eq!(cause(&lag), Some(Cause::SyncLate), "it hangs");
        lag.published(None, false);
        assert_eq!(cause(&lag), None);
    }

    #[test]
    fn p3_a_failed_integrity_check_closes_at_once() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        lag.publisher_error(Some(closed(Cause::SecondWriter, "another")));
        assert_eq!(cause(&lag), Some(Cause::SecondWriter));
        std::thread::sleep(SHORT);
        lag.publisher_error(Some(closed(Cause::SecondWriter, "still")));
        assert!(lag.closed().unwrap().1 >= SHORT);
        lag.publisher_error(None);
        assert_eq!(cause(&lag), None);
    }

    #[test]
    fn p3_a_queue_over_its_limit_closes_at_once() {
        let lag = CheckpointLag::new(Duration::from_secs(600));
        lag.waits(Instant::now(), true);
        assert_eq!(cause(&lag), Some(Cause::SyncLate));
    }
}
