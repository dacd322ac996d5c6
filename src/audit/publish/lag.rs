//! How far the checkpoints are behind the entries, for everybody to see without waiting.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::audit::custody::closed;
use crate::audit::{Cause, Closed};

/// An entry that has waited so long for a checkpoint closes the trail for deletions.
pub(in crate::audit) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Set by the writer and the publisher.
#[derive(Debug)]
pub(in crate::audit) struct Lag {
    born: Instant,
    /// Microseconds from `born` to when the oldest entry without a checkpoint came, plus one; 0 where
    /// there is none.
    since: AtomicU64,
    /// Whether more waits than is kept for long.
    too_much: AtomicBool,
    /// What the publisher met.
    met: ArcSwapOption<Closed>,
    /// Why roll-back is not watched.
    unwatched: ArcSwapOption<String>,
}

impl Lag {
    pub(in crate::audit) fn new() -> Self {
        Self {
            born: Instant::now(),
            since: AtomicU64::new(0),
            too_much: AtomicBool::new(false),
            met: ArcSwapOption::empty(),
            unwatched: ArcSwapOption::empty(),
        }
    }

    /// Why deletions are refused for it, where they are: what was found in the files counts at once,
    /// what cannot be written once an entry has waited for too long.
    pub(in crate::audit) fn closed(&self) -> Option<Closed> {
        let met = self.met.load();
        if let Some(met) = met.as_ref().filter(|met| met.cause.is_custody()) {
            return Some(Closed::clone(met));
        }
        let since = self.since.load(Ordering::Acquire);
        let waited = self
            .born
            .elapsed()
            .saturating_sub(Duration::from_micros(since));
        let too_long = since != 0 && waited > LONGEST_WAIT;
        if !too_long && !self.too_much.load(Ordering::Acquire) {
            return None;
        }
        let hangs = || closed(Cause::SyncLate, "no checkpoint covers the newest entries");
        Some(met.as_ref().map_or_else(hangs, |met| Closed::clone(met)))
    }

    /// Tells since when an entry waits, where none older does, and whether too much waits.
    pub(super) fn waits(&self, since: Instant, too_much: bool) {
        let micros = self.micros(since);
        let (set, seen) = (Ordering::AcqRel, Ordering::Acquire);
        // An error says that an older one waits.
        let _ = self.since.compare_exchange(0, micros, set, seen);
        self.too_much.store(too_much, Ordering::Release);
    }

    /// Tells since when the oldest entry waits that is not published, if there is one.
    pub(super) fn published(&self, since: Option<Instant>, too_much: bool) {
        let micros = since.map_or(0, |since| self.micros(since));
        self.since.store(micros, Ordering::Release);
        self.too_much.store(too_much, Ordering::Release);
    }

    /// Tells what the publisher met; `None` where it works.
    pub(in crate::audit) fn met(&self, met: Option<Closed>) {
        self.met.store(met.map(std::sync::Arc::new));
    }

    /// Tells why roll-back is not watched; `None` where it is.
    pub(in crate::audit) fn unwatched(&self, why: Option<String>) {
        self.unwatched.store(why.map(std::sync::Arc::new));
    }

    fn micros(&self, since: Instant) -> u64 {
        let after = since.saturating_duration_since(self.born);
        u64::try_from(after.as_micros()).unwrap_or(0) + 1
    }

    /// Why roll-back is not watched, where it is not.
    pub(in crate::audit) fn why_unwatched(&self) -> Option<String> {
        self.unwatched.load().as_ref().map(|why| String::clone(why))
    }
}
