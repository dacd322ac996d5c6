//! Decides when the gateway logs a lasting trouble: when it begins, then at most once a minute with a count,
//! and when it ends.
//!
//! A trouble that begins and ends repeatedly is logged each time, but at most five times a minute.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Time};

/// The shortest time between two lines about the same cause.
const PAUSE: Duration = Duration::from_secs(60);
/// How many beginnings of trouble are logged within [`PAUSE`].
const MOST_BEGINNINGS: u32 = 5;

/// Tracks the trouble of one part of the gateway.
#[derive(Debug)]
pub(crate) struct Trouble {
    clock: Clock,
    /// Whether there is trouble now. If not, [`Self::ends`] takes no lock.
    is_there: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    present: Option<Present>,
    /// Whether a line about the present trouble was logged.
    is_logged: bool,
    /// When the present [`PAUSE`] began, and how many beginnings were logged in it.
    beginnings: (Duration, u32),
    /// The occurrences of each cause. The map stays small, because causes are constants of the program.
    causes: BTreeMap<&'static str, Occurrences>,
}

#[derive(Debug)]
struct Occurrences {
    /// The value of [`Clock::passed`] when the caller was last told to log this cause.
    logged: Duration,
    /// The number of occurrences since the last line.
    unlogged: u64,
}

/// The trouble at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) cause: &'static str,
    pub(crate) detail: String,
    pub(crate) since: Time,
}

/// The content of a line that the caller should log now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// When the trouble began.
    pub(crate) since: Time,
    /// How often the cause occurred since the last line about it. At the end of the trouble, the sum over all
    /// causes.
    pub(crate) count: u64,
}

impl State {
    /// Whether a line about another beginning may be logged now. If so, counts it.
    fn may_begin(&mut self, passed: Duration) -> bool {
        let (began, logged) = &mut self.beginnings;
        if passed.saturating_sub(*began) >= PAUSE {
            (*began, *logged) = (passed, 0);
        }
        let may = *logged < MOST_BEGINNINGS;
        *logged += u32::from(may);
        may
    }
}

impl Trouble {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            is_there: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Notes that the cause occurred `count` times. Returns `Some` if the caller should log the trouble now.
    pub(crate) fn occurs(&self, cause: &'static str, detail: &str, count: u64) -> Option<Due> {
        let (now, passed) = (self.clock.now(), self.clock.passed());
        let mut state = self.state();
        self.is_there.store(true, Ordering::Relaxed);
        let begins = state.present.is_none() && state.may_begin(passed);
        let since = state.present.as_ref().map_or(now, |present| present.since);
        state.present = Some(Present {
            cause,
            detail: detail.to_owned(),
            since,
        });
        let is_new = !state.causes.contains_key(cause);
        let occurrences = state.causes.entry(cause).or_insert(Occurrences {
            logged: passed,
            unlogged: 0,
        });
        occurrences.unlogged += count;
        if !is_new && !begins && passed.saturating_sub(occurrences.logged) < PAUSE {
            return None;
        }
        occurrences.logged = passed;
        let count = std::mem::take(&mut occurrences.unlogged);
        state.is_logged = true;
        Some(Due { since, count })
    }

    /// Notes that there is no trouble. Returns `Some` if the caller should log the end of a logged trouble.
    pub(crate) fn ends(&self) -> Option<Due> {
        // Each answered request calls this function, so it only reads a flag if there is no trouble.
        if !self.is_there.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state();
        self.is_there.store(false, Ordering::Relaxed);
        let since = state.present.take()?.since;
        let causes = state.causes.values_mut();
        let count = causes
            .map(|cause| std::mem::take(&mut cause.unlogged))
            .sum();
        let is_logged = std::mem::take(&mut state.is_logged);
        is_logged.then_some(Due { since, count })
    }

    /// The trouble at this moment, if any.
    pub(crate) fn present(&self) -> Option<Present> {
        self.state().present.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble() -> (Trouble, Clock) {
        let clock = Clock::manual(Time(5));
        (Trouble::new(clock.clone()), clock)
    }

    #[test]
    fn a_lasting_trouble_is_due_once_a_minute_with_a_count() {
        let (trouble, clock) = trouble();
        let due = |count| {
            Some(Due {
                since: Time(5),
                count,
            })
        };
        assert_eq!(trouble.occurs("full", "a", 0), due(0));
        for _ in 0..1_000 {
            assert_eq!(trouble.occurs("full", "b", 1), None);
        }
        clock.advance(PAUSE);
        assert_eq!(trouble.occurs("full", "c", 1), due(1_001));
        assert_eq!(trouble.occurs("full", "d", 1), None);
        assert_eq!(trouble.present().unwrap().detail, "d");
        assert_eq!(trouble.ends(), due(1));
        assert_eq!((trouble.ends(), trouble.present()), (None, None));
    }

    #[test]
    fn another_cause_is_due_at_once() {
        let (trouble, clock) = trouble();
        assert!(trouble.occurs("late", "", 1).is_some());
        clock.advance(Duration::from_secs(1));
        // The trouble is the same, so it keeps its start.
        assert_eq!(trouble.occurs("full", "", 1).unwrap().since, Time(5));
        assert_eq!(trouble.occurs("late", "", 1), None);
    }

    #[test]
    fn a_trouble_that_comes_and_goes_is_logged_five_times_a_minute() {
        let (trouble, clock) = trouble();
        let (mut begun, mut ended) = (0, 0);
        for _ in 0..180 {
            begun += usize::from(trouble.occurs("lost", "", 1).is_some());
            ended += usize::from(trouble.ends().is_some());
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!((begun, ended), (15, 15));
    }
}
