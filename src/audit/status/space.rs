//! The free space on the trail's disk, and two levels that warn before it is full.

use std::sync::{Mutex, PoisonError};

use crate::clock::Time;
use crate::metrics::Metrics;

/// The levels, in free bytes, below which the gateway warns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Below this, an operator should act; 0 turns the warning off.
    pub warn: u64,
    /// Below this, deletions will soon be refused; 0 turns the warning off.
    pub low: u64,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            warn: 1 << 30,
            low: 256 << 20,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Above both levels, or not measured yet.
    #[default]
    Enough,
    /// Below `free_space_warn`.
    Warn,
    /// Below `free_space_low`.
    Low,
}

/// The free space at the last measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    pub level: Level,
    /// Bytes that the gateway may use; `None` before the first measurement.
    pub free_bytes: Option<u64>,
    /// When the level last changed, in microseconds since 1970.
    pub since: i64,
}

/// The last measurement. Any task can read it.
#[derive(Debug)]
pub(crate) struct Gauge {
    levels: Levels,
    now: Mutex<Space>,
}

impl Gauge {
    pub(crate) fn new(levels: Levels) -> Self {
        Self {
            levels,
            now: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Space {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a measurement, and logs a change of the level.
    pub(crate) fn show(&self, free_bytes: u64, time: Time, metrics: &Metrics) {
        let level = match free_bytes {
            free if free < self.levels.low => Level::Low,
            free if free < self.levels.warn => Level::Warn,
            _ => Level::Enough,
        };
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.level != level || now.free_bytes.is_none() {
            now.since = time.0;
            log(level, now.level, free_bytes);
        }
        now.level = level;
        now.free_bytes = Some(free_bytes);
        let gauge = i64::try_from(free_bytes).unwrap_or(i64::MAX);
        metrics.audit_free_bytes.set(gauge);
        metrics.audit_space_level.set(level as i64);
    }
}

fn log(level: Level, before: Level, free_bytes: u64) {
    match level {
        Level::Low => tracing::error!(
            free_bytes,
            "the trail's disk is nearly full: deletions will be refused when no segment can be made"
        ),
        Level::Warn => tracing::warn!(free_bytes, "the trail's disk is filling up"),
        Level::Enough if before != Level::Enough => {
            tracing::info!(free_bytes, "the trail's disk has space again");
        }
        Level::Enough => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_its_own_start_time() {
        let gauge = Gauge::new(Levels { warn: 100, low: 10 });
        let metrics = Metrics::new();
        let steps = [
            (100, Level::Enough, 1),
            (99, Level::Warn, 2),
            (50, Level::Warn, 2),
        ];
        for (at, (free, level, since)) in (1..).zip(steps) {
            gauge.show(free, Time(at), &metrics);
            let now = gauge.now();
            assert_eq!(
                (now.level, now.since, now.free_bytes),
                (level, since, Some(free))
            );
        }
        gauge.show(9, Time(9), &metrics);
        assert_eq!((gauge.now().level, gauge.now().since), (Level::Low, 9));
        assert_eq!(metrics.audit_space_level.get(), 2);
        assert_eq!(metrics.audit_free_bytes.get(), 9);
    }
}
