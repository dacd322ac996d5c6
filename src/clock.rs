//! The only source of wall-clock time, so that tests can set the time.
//!
//! Durations come from [`std::time::Instant`], which no change of the system's time affects.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Parses an RFC 3339 time; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        Some(Self(timestamp.as_microsecond()))
    }
}

/// Formats the time as RFC 3339 in UTC, with exactly six decimals of a second.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        write!(f, "{timestamp:.6}")
    }
}

/// A source of the time. All clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The time of a manual clock, which only tests use. `None` for the system's clock.
    manual: Option<Arc<AtomicI64>>,
    /// The sum of all advances of a manual clock, without the effects of `set`.
    passed: Arc<AtomicI64>,
    born: Instant,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self {
            manual: None,
            passed: Arc::default(),
            born: Instant::now(),
        }
    }

    /// A clock that changes only on [`Clock::set`] and [`Clock::advance`].
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self {
            manual: Some(Arc::new(AtomicI64::new(start.0))),
            ..Self::system()
        }
    }

    /// The time now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn now(&self) -> Time {
        if let Some(manual) = &self.manual {
            return Time(manual.load(Ordering::Relaxed));
        }
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Time(micros)
    }

    /// The time since the creation of the clock, independent of any change to the wall clock.
    #[must_use]
    pub fn passed(&self) -> Duration {
        match &self.manual {
            None => self.born.elapsed(),
            Some(_) => {
                let micros = self.passed.load(Ordering::Relaxed);
                Duration::from_micros(u64::try_from(micros).unwrap_or(0))
            }
        }
    }

    /// [`Self::now`] and [`Self::passed`] at the same moment. A thread that pauses between the two readings
    /// reads them again, at most three times.
    #[must_use]
    pub fn both(&self) -> (Time, Duration) {
        const PAUSE: Duration = Duration::from_millis(100);
        let mut passed = self.passed();
        for _ in 0..3 {
            let (now, after) = (self.now(), self.passed());
            if after.saturating_sub(passed) < PAUSE {
                return (now, passed);
            }
            passed = after;
        }
        (self.now(), passed)
    }

    /// Advances a manual clock; no effect on the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            manual.fetch_add(by, Ordering::Relaxed);
            self.passed.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Sets a manual clock; no effect on the system's clock.
    pub fn set(&self, to: Time) {
        if let Some(manual) = &self.manual {
            manual.store(to.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_with_six_digits_and_read_back() {
        let time = Time(1_764_000_000_000_005);
        assert_eq!(time.to_string(), "2025-11-24T16:00:00.000005Z");
        assert_eq!(Time::parse(&time.to_string()), Some(time));
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (253_402_207_199_999_999, "9999-12-30T21:59:59.999999Z"),
            // Beyond the range of the calendar.
            (i64::MAX, "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(Time(micros).to_string(), text);
        }
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Time(5));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Time(1_000_005));
        clock.set(Time(7));
        assert_eq!(clock.now(), Time(7));
        assert_eq!(clock.passed(), Duration::from_secs(1));
    }
}
