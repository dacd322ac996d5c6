//! Statistics of a sound trail.

use std::time::Duration;

use serde::Serialize;

use super::others::Others;
use crate::audit::entry::{EntrySummary, Verdict};
use crate::clock::Time;

/// Counts over the whole trail; a split deletion counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Entries of any kind.
    pub entries: u64,
    /// Deletions closed as `deleted`.
    pub deleted: u64,
    /// Deletions closed as `not_found`.
    pub not_found: u64,
    /// Deletions closed as `rejected`.
    pub rejected: u64,
    /// Deletions closed as `failed`.
    pub failed: u64,
    /// Deletions closed as `unknown`.
    pub unknown: u64,
    /// Deletions in flight: an intent without an outcome.
    pub open: u64,
    /// Refused deletions with entries of their own.
    pub refused: u64,
    /// Attempts that `turned_away` entries sum up.
    pub turned_away: u64,
    /// Whether a write that a crash interrupted follows the last entry; no caller had an answer
    /// that depends on it.
    pub cut_off: bool,
    /// Other programs' files in the folder, which are not a part of the log.
    pub other_files: Others,
    /// How many entries the checkpoint covers; `None` if there is no checkpoint yet.
    pub covered: Option<u64>,
    /// The checkpoint's root in base64.
    pub root: Option<String>,
    /// The first entry that the journal still holds; only the bundles hold earlier ones.
    pub journal: Option<u64>,
    /// The time of the first entry, RFC 3339.
    pub first_time: Option<String>,
    /// The time of the newest entry, RFC 3339.
    pub last_time: Option<String>,
}

impl Summary {
    /// Deletions with an intent, closed or open.
    #[must_use]
    pub fn deletions(&self) -> u64 {
        self.deleted + self.not_found + self.rejected + self.failed + self.unknown + self.open
    }

    /// The time from the first entry to the newest.
    pub(super) fn span(&self) -> Duration {
        let time = |text: &Option<String>| text.as_deref().and_then(Time::parse);
        match (time(&self.first_time), time(&self.last_time)) {
            (Some(first), Some(last)) => {
                let micros = last.micros().saturating_sub(first.micros());
                Duration::from_micros(u64::try_from(micros).unwrap_or(0))
            }
            _ => Duration::ZERO,
        }
    }

    pub(super) fn count(&mut self, summary: &EntrySummary<'_>, time: Time) {
        self.entries += 1;
        let time = time.to_string();
        self.first_time.get_or_insert_with(|| time.clone());
        self.last_time = Some(time);
        match summary {
            EntrySummary::Outcome(outcome) => *self.of(outcome.verdict) += 1,
            EntrySummary::Refused => self.refused += 1,
            EntrySummary::TurnedAway(attempts) => {
                self.turned_away = self.turned_away.saturating_add(*attempts);
            }
            _ => {}
        }
    }

    fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Deleted => &mut self.deleted,
            Verdict::NotFound => &mut self.not_found,
            Verdict::Rejected => &mut self.rejected,
            Verdict::Failed => &mut self.failed,
            Verdict::Unknown => &mut self.unknown,
        }
    }
}
