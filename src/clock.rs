//! The only source of wall-clock time, so that tests can set it.
//!
//! Durations use [`std::time::Instant`], which no operator can change.

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

/// RFC 3339 in UTC with exactly six digits after the second.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.in_four_digit_years() {
            return f.write_str(std::str::from_utf8(&text).unwrap_or_default());
        }
        let timestamp =
            jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{timestamp:.6}")
    }
}

impl Time {
    /// The text if the year has four digits. Every log line and entry contains a time, so this
    /// function avoids the formatter. Its calendar years begin in March, so that the leap day is
    /// the last day of the year.
    fn in_four_digit_years(self) -> Option<[u8; 27]> {
        const DAYS_OF_400_YEARS: u64 = 146_097;
        // The days from 0000-03-01 to 1970-01-01.
        const EPOCH_DAYS: u64 = 719_468;
        let micros = u64::try_from(self.0).ok()?;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let days = seconds / 86_400 + EPOCH_DAYS;
        let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // From March, months have 31, 30, 31, 30 and 31 days, repeatedly.
        let march_based = (5 * day + 2) / 153;
        let day = day - (153 * march_based + 2) / 5 + 1;
        let month = if march_based < 10 {
            march_based + 3
        } else {
            march_based - 9
        };
        let year = 400 * era + year + u64::from(month < 3);
        if year > 9_999 {
            return None;
        }
        let second = seconds % 86_400;
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], month);
        write_digits(&mut text[8..10], day);
        write_digits(&mut text[11..13], second / 3_600);
        write_digits(&mut text[14..16], second / 60 % 60);
        write_digits(&mut text[17..19], second % 60);
        write_digits(&mut text[20..26], micros);
        Some(text)
    }
}

/// Formats times and computes the calendar date only once per second, because many log lines share
/// one.
#[derive(Debug)]
pub struct Stamp {
    /// The second of `text`.
    second: Option<i64>,
    text: String,
}

impl Stamp {
    /// A stamp without a cached second; `const` for `thread_local!`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            second: None,
            text: String::new(),
        }
    }

    /// The text of the time.
    pub fn show(&mut self, time: Time) -> &str {
        const UP_TO_THE_DOT: usize = "0000-00-00T00:00:00.".len();
        if self.second == Some(time.seconds()) {
            let mut digits = [0; 6];
            write_digits(&mut digits, time.0.rem_euclid(1_000_000).unsigned_abs());
            self.text.truncate(UP_TO_THE_DOT);
            self.text
                .push_str(std::str::from_utf8(&digits).unwrap_or_default());
            self.text.push('Z');
        } else {
            self.text = time.to_string();
            let is_usual = self.text.len() == UP_TO_THE_DOT + "000000Z".len();
            self.second = is_usual.then(|| time.seconds());
        }
        &self.text
    }
}

impl Default for Stamp {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes the last digits of a number, as many as fit.
fn write_digits(room: &mut [u8], mut number: u64) {
    for place in room.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A source of the time. It is cheap to clone, and all clones agree.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Set only by tests; `None` asks the system.
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
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_stamp_shows_what_the_time_shows() {
        let mut stamp = Stamp::new();
        let day = 86_400_000_000;
        for micros in [
            0,
            1,
            999_999,
            1_000_000,
            day,
            day + 7,
            -1,
            -2,
            i64::MAX,
            day,
        ] {
            assert_eq!(stamp.show(Time(micros)), Time(micros).to_string());
        }
    }

    #[test]
    fn the_calendar_is_the_librarys() {
        let day = 86_400_000_000_i64;
        // Every day of 800 years, each at another time of day.
        let days = (-5_000..292_200_i64).map(|n| n * day + (n * 7_777_777_777).rem_euclid(day));
        for micros in days.chain([253_402_300_799_999_999, -1, 951_782_400_000_000]) {
            let timestamp = jiff::Timestamp::from_microsecond(micros);
            let theirs = timestamp.map_or_else(|_| String::new(), |t| format!("{t:.6}"));
            if !theirs.is_empty() {
                assert_eq!(Time(micros).to_string(), theirs, "{micros}");
            }
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
