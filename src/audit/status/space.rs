//! The free space on the trail's disk, and the two levels below which the gateway warns.

use std::path::Path;

use crate::clock::Time;
use crate::metrics::Metrics;
use crate::trouble::Trouble;

/// The levels, in free bytes, below which the gateway warns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// If fewer bytes are free, an operator should act. 0 turns the warning off.
    pub warn: u64,
    /// If fewer bytes are free, deletions will soon be refused. 0 turns the warning off.
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
    /// The free bytes that the gateway may use; `None` before the first measurement.
    pub free_bytes: Option<u64>,
    /// When the level last changed, in microseconds since 1970.
    pub since: i64,
}

impl Space {
    /// Stores a measurement.
    pub(super) fn measure(
        &mut self,
        free_bytes: u64,
        levels: Levels,
        time: Time,
        metrics: &Metrics,
    ) {
        let level = match free_bytes {
            free if free < levels.low => Level::Low,
            free if free < levels.warn => Level::Warn,
            _ => Level::Enough,
        };
        if self.level != level || self.free_bytes.is_none() {
            self.since = time.0;
        }
        self.level = level;
        self.free_bytes = Some(free_bytes);
        let gauge = i64::try_from(free_bytes).unwrap_or(i64::MAX);
        metrics.audit_free_bytes.set(gauge);
        metrics.audit_space_level.set(level as i64);
    }

    /// The config key of the level that the free space is below; `None` if there is enough space.
    pub(crate) fn key(self) -> Option<&'static str> {
        match self.level {
            Level::Enough => None,
            Level::Warn => Some("free_space_warn"),
            Level::Low => Some("free_space_low"),
        }
    }

    /// Logs that the free space is below a level, or that there is enough space again.
    pub(super) fn log(self, trouble: &Trouble, directory: &Path) {
        let (directory, free_bytes) = (directory.display(), self.free_bytes);
        let Some(below) = self.key() else {
            if trouble.ends().is_some() {
                tracing::info!(%directory, free_bytes, "the trail's disk has space again");
            }
            return;
        };
        if trouble.occurs(below, "", 1).is_none() {
            return;
        }
        let remedy = REMEDY;
        match self.level {
            Level::Low => {
                tracing::error!(%directory, free_bytes, below, remedy, "the trail's disk is nearly full: deletions will soon be refused");
            }
            _ => {
                tracing::warn!(%directory, free_bytes, below, remedy, "the trail's disk is filling up");
            }
        }
    }
}

/// What an operator can do if the space runs out.
pub(crate) const REMEDY: &str = "free space on the disk of the audit folder, but delete no file of the folder (docs/operations.md, \"Free space\")";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_its_own_start_time() {
        let levels = Levels { warn: 100, low: 10 };
        let (mut now, metrics) = (Space::default(), Metrics::new());
        let steps = [
            (100, Level::Enough, 1),
            (99, Level::Warn, 2),
            (50, Level::Warn, 2),
        ];
        for (at, (free, level, since)) in (1..).zip(steps) {
            now.measure(free, levels, Time(at), &metrics);
            assert_eq!(
                (now.level, now.since, now.free_bytes),
                (level, since, Some(free))
            );
        }
        now.measure(9, levels, Time(9), &metrics);
        assert_eq!((now.level, now.since), (Level::Low, 9));
        assert_eq!(metrics.audit_space_level.get(), 2);
        assert_eq!(metrics.audit_free_bytes.get(), 9);
    }
}
