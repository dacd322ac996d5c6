//! Durations (`500ms`, `2s`, `1h`) and sizes (`256KiB`) in the notation of the config.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use crate::strict_toml::{Table, whole};

const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Table<'_> {
    /// Reads a size in bytes within `range`: `"256KiB"`, or a whole number of bytes.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        let expected = "a size such as \"256KiB\" or \"8MiB\"";
        let read = |value: &DeValue<'_>| value.as_str().map_or_else(|| whole(value), size);
        self.within(key, expected, read, default, range, |size| show_size(*size))
    }

    /// Reads a duration within `range`: `"500ms"`, `"2s"`, `"1h"`, `"1d"`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let expected = "a duration such as \"500ms\", \"2s\" or \"1h\"";
        let read = |value: &DeValue<'_>| value.as_str().and_then(duration);
        self.within(key, expected, read, default, range, |duration| {
            show_duration(*duration)
        })
    }
}

/// Parses an integer with a unit: `ms`, `s`, `m`, `h` or `d`. Returns `None` for any other text.
fn duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// Parses an integer with a unit: `B`, `KiB`, `MiB` or `GiB`. Returns `None` for any other text.
fn size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// Formats a duration so that [`duration`] can parse it, in the largest unit that divides it.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    show(millis, &DURATIONS)
}

/// Formats a size so that [`size`] can parse it, in the largest unit that divides it.
pub(super) fn show_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    show(bytes, &SIZES)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, factor)| amount.is_multiple_of(*factor))
        .map_or_else(String::new, |(name, factor)| {
            format!("{}{name}", amount / factor)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_is_a_whole_number_and_its_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Some(Duration::from_secs(2)));
        assert_eq!(duration("1d"), Some(Duration::from_secs(86_400)));
        for text in [
            "",
            "2",
            "s",
            "2 s",
            "1.5s",
            "-1s",
            "+1s",
            "2S",
            "2sec",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_whole_number_and_its_unit() {
        assert_eq!(size("256KiB"), Some(262_144));
        assert_eq!(size("1B"), Some(1));
        for text in ["", "1", "1kB", "1MB", "1 MiB", "18446744073709551615GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_value_is_read_back(millis in 0_u64..u64::MAX / 2, bytes: u64) {
            let shown = show_duration(Duration::from_millis(millis));
            prop_assert_eq!(duration(&shown), Some(Duration::from_millis(millis)));
            prop_assert_eq!(size(&show_size(bytes)), Some(bytes));
        }
    }
}
