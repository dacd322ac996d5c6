//! How far the checkpoints lag behind the entries. Any task can read it without waiting for the disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::{Cause, Unavailable, closed};

/// Deletions are refused once an entry has waited this long for a checkpoint.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The writer and the publisher update it.
#[derive(Debug)]
pub(crate) struct CheckpointLag {
    longest: Duration,
    waiting: Mutex<Waiting>,
    publisher_error: ArcSwapOption<PublisherError>,
    /// Why roll-back detection does not work; `None` if it does.
    unwatched: ArcSwapOption<String>,
}

/// The entries without a checkpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    /// When the oldest arrived; `None` if every entry has a checkpoint.
    since: Option<Instant>,
    /// Whether the publisher's queue holds more bytes than its limit.
    too_much: bool,
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
            longest,
            waiting: Mutex::default(),
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
        let Waiting { since, too_much } = *self.waiting();
        let too_long = since.and_then(|since| since.elapsed().checked_sub(self.longest));
        let closed_for = too_long.or(too_much.then_some(Duration::ZERO))?;
        let hangs = || closed(Cause::SyncLate, "no checkpoint covers the newest entries");
        let found = error.map_or_else(hangs, |error| error.found.clone());
        Some((found, closed_for))
    }

    /// Notes the arrival of the oldest waiting entry, and whether the queue exceeds its limit.
    pub(crate) fn waits(&self, since: Instant, too_much: bool) {
        let mut waiting = self.waiting();
        // An older entry may wait already.
        waiting.since.get_or_insert(since);
        waiting.too_much = too_much;
    }

    /// Notes when the oldest unpublished entry arrived; `None` if every entry is published.
    pub(crate) fn published(&self, since: Option<Instant>, too_much: bool) {
        *self.waiting() = Waiting { since, too_much };
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

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
