//! Verifies the entries one by one: their order and times, and with [`Deletions`] and [`Commands`]
//! that they are consistent. Counts them.

use std::time::Duration;

use serde::Serialize;

use super::commands::Commands;
use super::deletions::Deletions;
use super::{Failure, Others};
use crate::audit::entry::{EntryHead, EntrySummary, Verdict};
use crate::audit::log::merkle::Hash;
use crate::clock::Time;

/// Takes every entry from the first on, and reports the first fault.
#[derive(Debug, Default)]
pub(super) struct Checker {
    next_index: u64,
    first: Option<Time>,
    newest: Option<Time>,
    clock_stepped: bool,
    deletions: Deletions,
    commands: Commands,
    summary: Summary,
}

impl Checker {
    /// Verifies the next entry; `leaf` is the RFC 6962 leaf hash of its bytes. After an error, the
    /// checker must not be used.
    pub(super) fn push(&mut self, index: u64, bytes: &[u8], leaf: &Hash) -> Result<(), Failure> {
        if index != self.next_index {
            let what = format!("found where {} belongs", self.next_index);
            return Err(Failure::damaged(what).at(index));
        }
        self.next_index += 1;
        let head = EntryHead::decode(bytes).map_err(|what| Failure::damaged(what).at(index))?;
        let time = self.check_time(index, &head.time)?;
        match &head.summary {
            EntrySummary::Intent(intent) => self.deletions.begin(index, intent, leaf)?,
            EntrySummary::Outcome(outcome) => self.deletions.close(index, outcome)?,
            EntrySummary::Unknown(kind) => {
                let what = format!("not an entry that this version knows: its kind is `{kind}`");
                return Err(Failure::damaged(what).at(index));
            }
            _ => {}
        }
        self.commands.push(index, &head.summary)?;
        self.first.get_or_insert(time);
        self.summary.count(&head.summary);
        self.clock_stepped = matches!(head.summary, EntrySummary::ClockStep);
        Ok(())
    }

    /// The summary of the trail, at its end. A split deletion with missing parts is an error: the
    /// writer writes all of them together.
    pub(super) fn finish(mut self) -> Result<Summary, Failure> {
        self.deletions.finish()?;
        self.summary.open = self.deletions.open();
        self.summary.first_time = self.first.map(|time| time.to_string());
        self.summary.last_time = self.newest.map(|time| time.to_string());
        Ok(self.summary)
    }

    /// The time from the first entry to the newest.
    pub(super) fn span(&self) -> Duration {
        let micros = |time: Option<Time>| time.map_or(0, Time::micros);
        let micros = micros(self.newest).saturating_sub(micros(self.first));
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// A time may equal the one before. It may be earlier only right after the `trouble` entry that
    /// reports the step.
    fn check_time(&mut self, index: u64, text: &str) -> Result<Time, Failure> {
        let what = "its time is not RFC 3339 in UTC with microseconds";
        let time = Time::parse(text)
            .filter(|time| time.to_string() == text)
            .ok_or_else(|| Failure::damaged(what).at(index))?;
        if let Some(before) = self.newest
            && time < before
            && !self.clock_stepped
        {
            let what = format!(
                "its time {time} lies before {before} of the entry before it, and no `trouble` entry says that the clock was set back"
            );
            return Err(Failure::damaged(what).at(index));
        }
        self.newest = Some(time);
        Ok(time)
    }
}

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
    pub(crate) fn deletions(&self) -> u64 {
        self.deleted + self.not_found + self.rejected + self.failed + self.unknown + self.open
    }

    fn count(&mut self, summary: &EntrySummary<'_>) {
        self.entries += 1;
        match summary {
            EntrySummary::Outcome(outcome) => match outcome.verdict {
                Verdict::Deleted => self.deleted += 1,
                Verdict::NotFound => self.not_found += 1,
                Verdict::Rejected => self.rejected += 1,
                Verdict::Failed => self.failed += 1,
                Verdict::Unknown => self.unknown += 1,
            },
            EntrySummary::Refused => self.refused += 1,
            EntrySummary::TurnedAway(attempts) => {
                self.turned_away = self.turned_away.saturating_add(*attempts);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
