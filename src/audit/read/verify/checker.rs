//! Verifies the entries one by one: their order and times, and with [`Deletions`] that they are
//! consistent. Counts them.

use serde::Serialize;

use super::deletions::Deletions;
use super::{Failure, Others};
use crate::audit::entry::{EntryHead, EntrySummary, Verdict};
use crate::audit::log::merkle::Hash;
use crate::clock::Time;

/// Takes every entry from the first on, and reports the first fault.
#[derive(Debug, Default)]
pub(super) struct Checker {
    first: Option<Time>,
    newest: Option<Time>,
    clock_stepped: bool,
    deletions: Deletions,
    summary: Summary,
}

impl Checker {
    /// Verifies the next entry; `leaf` is the RFC 6962 leaf hash of its bytes. After an error, the
    /// checker must not be used.
    pub(super) fn push(&mut self, index: u64, bytes: &[u8], leaf: &Hash) -> Result<(), Failure> {
        let damaged = |what: String| Failure::damaged(what).at(index);
        let next = self.summary.entries;
        if index != next {
            return Err(damaged(format!("found where {next} belongs")));
        }
        let head = EntryHead::decode(bytes).map_err(damaged)?;
        self.check_time(&head.time).map_err(damaged)?;
        let checked = match &head.summary {
            EntrySummary::Intent(intent) => self.deletions.begin(index, intent, leaf),
            EntrySummary::Outcome(outcome) => {
                self.deletions.must_be_whole(outcome.intent)?;
                self.deletions.close(outcome)
            }
            EntrySummary::Reconciled(read_back) => self.deletions.read_back(index, read_back),
            EntrySummary::LossAccepted if index > 0 => {
                Err("an accepted loss that is not the log's first entry".into())
            }
            EntrySummary::Unknown(kind) => Err(format!(
                "not an entry that this version knows: its kind is `{kind}`"
            )),
            _ => Ok(()),
        };
        checked.map_err(damaged)?;
        self.clock_stepped = matches!(head.summary, EntrySummary::ClockStep);
        self.summary.count(&head.summary);
        Ok(())
    }

    /// The summary of the trail, at its end. A split deletion with missing parts is an error: the
    /// writer writes all of them together.
    pub(super) fn finish(mut self) -> Result<Summary, Failure> {
        self.summary.open = self.deletions.finish()?;
        self.summary.first_time = self.first.map(|time| time.to_string());
        self.summary.last_time = self.newest.map(|time| time.to_string());
        Ok(self.summary)
    }

    /// The microseconds from the first entry to the newest.
    pub(super) fn span(&self) -> i64 {
        let ends = self.first.zip(self.newest);
        ends.map_or(0, |(first, newest)| newest.micros() - first.micros())
    }

    /// A time may equal the one before. It may be earlier only right after the `trouble` entry that
    /// reports the step.
    fn check_time(&mut self, text: &str) -> Result<(), String> {
        let time = Time::parse(text)
            .filter(|time| time.to_string() == text)
            .ok_or("its time is not RFC 3339 in UTC with microseconds")?;
        let before = self.newest.replace(time).unwrap_or(time);
        if time < before && !self.clock_stepped {
            return Err(format!(
                "its time {time} lies before {before} of the entry before it, and no `trouble` entry says that the clock was set back"
            ));
        }
        self.first.get_or_insert(time);
        Ok(())
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
