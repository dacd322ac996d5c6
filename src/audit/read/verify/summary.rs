//! What a sound trail holds, in numbers.

use std::time::Duration;

use serde::Serialize;

use super::others::Others;
use crate::audit::entry::{EntrySummary, Verdict};
use crate::clock::Time;

/// Counts over the whole trail; deletions are counted, not their parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Entries of any kind.
    pub entries: u64,
    /// Deletions closed as `deleted`.
    pub deleted: u64,
    /// Unavailable as `not_found`.
    pub not_found: u64,
    /// Unavailable as `rejected`.
    pub rejected: u64,
    /// Unavailable as `failed`.
    pub failed: u64,
    /// Unavailable as `unknown`.
    pub unknown: u64,
    /// In flight: with an intent and no outcome yet.
    pub open: u64,
    /// Refused, each with an entry of its own.
    pub refused: u64,
    /// Attempts that were summed up.
    pub turned_away: u64,
    /// Whether a write that a crash cut off stands behind the last entry; nobody was answered for it.
    pub cut_off: bool,
    /// Files of other programs in the folder, which are no part of the log.
    pub other_files: Others,
    /// How many entries the checkpoint covers; `None` where there is none yet.
    pub covered: Option<u64>,
    /// The root it signs, base64.
    pub root: Option<String>,
    /// The first entry that the journal still holds; those before stand in the bundles alone.
    pub journal: Option<u64>,
    /// Time of the first entry, RFC 3339.
    pub first_time: Option<String>,
    /// Time of the newest entry, RFC 3339.
    pub last_time: Option<String>,
}

impl Summary {
    /// Deletions with an intent, closed or open.
    #[must_use]
    pub fn deletions(&self) -> u64 {
        self.deleted + self.not_found + self.rejected + self.failed + self.unknown + self.open
    }

    /// From the first entry's time to the newest's.
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
