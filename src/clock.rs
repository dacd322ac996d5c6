//! The one door by which wall-clock time comes in, so that tests can set it.
//!
//! Durations are measured with [`std::time::Instant`], which no operator can step.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

    /// Reads an RFC 3339 time; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        Some(Self(timestamp.as_microsecond()))
    }
}

/// RFC 3339 in UTC with exactly six digits behind the second.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp =
            jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{timestamp:.6}")
    }
}

/// Tells the time; cheap to clone, all clones agree.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Set by tests alone; `None` asks the system.
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { manual: None }
    }

    /// A clock that stands still until it is set or advanced.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self {
            manual: Some(Arc::new(AtomicI64::new(start.0))),
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

    /// Moves a manual clock on; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            manual.fetch_add(
                i64::try_from(by.as_micros()).unwrap_or(i64::MAX),
                Ordering::Relaxed,
            );
        }
    }

    /// Sets a manual clock; the system's clock is left alone.
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
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Time(5));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Time(1_000_005));
        clock.set(Time(7));
        assert_eq!(clock.now(), Time(7));
    }
}
