//! Verifies and counts the entries one by one: their order, their times, and whether the entries of
//! each deletion fit together. At most one outcome may close an intent, and this outcome must
//! contain the leaf hashes of all parts of the intent. A read-back must belong to a deletion whose
//! outcome leaves doubt, and must give the worst of its users' results.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::{Failure, Others};
use crate::audit::entry::{
    EntryHead, EntrySummary, Found, IntentSummary, OutcomeSummary, Reconciled, Verdict,
};
use crate::audit::log::merkle::Hash;
use crate::audit::log::to_base64;
use crate::clock::Time;

#[derive(Debug, Default)]
pub(super) struct Checker {
    first: Option<Time>,
    newest: Option<Time>,
    clock_stepped: bool,
    deletions: Deletions,
    summary: Summary,
}

impl Checker {
    /// Verifies the next entry. `leaf` must be the RFC 6962 leaf hash of the entry's bytes. After
    /// an error, the checker must not be used.
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

    /// Returns the summary of the whole trail. Fails if a split intent lacks parts, because the
    /// writer writes all parts together.
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

    /// Checks that an entry's time is not before the time of the previous entry. An earlier time is
    /// allowed only right after a `trouble` entry that reports a clock step.
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

/// Counts over the whole trail. A split deletion counts once.
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
    /// Refused deletions that have an entry of their own.
    pub refused: u64,
    /// The number of attempts that the `turned_away` entries report.
    pub turned_away: u64,
    /// Whether an interrupted write follows the last entry. The gateway told no caller that the
    /// entries of this write are durable.
    pub cut_off: bool,
    /// Files of other programs in the folder. They are not a part of the log.
    pub other_files: Others,
    /// How many entries the checkpoint covers; `None` if there is no checkpoint yet.
    pub covered: Option<u64>,
    /// The checkpoint's root in base64.
    pub root: Option<String>,
    /// The index of the first entry that the journal still holds. Only the bundles hold earlier
    /// entries.
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

/// The state of the deletions after the entries so far.
#[derive(Debug, Default)]
struct Deletions {
    /// The open deletions, by the index of the intent, or of its first part if the intent was
    /// split.
    open: BTreeMap<u64, Open>,
    /// The groups of split intents that still lack parts, each with the index of its first part.
    incomplete: HashMap<String, u64>,
    /// The indexes of the intents whose outcome leaves doubt. For a split intent, the index of its
    /// first part.
    in_doubt: BTreeSet<u64>,
    /// The next part that a split read-back needs, and the worst result of the earlier parts.
    next_part: Option<(Part, Found)>,
}

#[derive(Debug)]
struct Open {
    request_id: String,
    /// The number of parts; 1 if the intent was not split.
    parts: u32,
    /// The leaf hashes of the parts so far, in base64 as in an outcome.
    leaves: Vec<String>,
}

/// Identifies a part of a read-back.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    index: u64,
    intent: u64,
    part: u32,
    parts: u32,
}

impl Deletions {
    /// Adds an intent, or one part of a split intent.
    fn begin(&mut self, index: u64, intent: &IntentSummary<'_>, leaf: &Hash) -> Result<(), String> {
        let leaf = to_base64(leaf);
        let (part, parts) = match (&intent.group, intent.part, intent.parts) {
            (None, None, None) => (1, 1),
            (Some(_), Some(part), Some(parts)) if (1..=parts).contains(&part) => (part, parts),
            _ => return Err("`group`, `part` and `parts` do not go together".into()),
        };
        let group = intent.group.as_ref();
        let first = group.and_then(|group| self.incomplete.get(group));
        match first.and_then(|first| self.open.get_mut(first)) {
            Some(open) if open.parts == parts && open.leaves.len() + 1 == part as usize => {
                if open.request_id != intent.request_id {
                    return Err("a part of another request's group".into());
                }
                open.leaves.push(leaf);
            }
            None if part == 1 => {
                let open = Open {
                    request_id: intent.request_id.clone().into_owned(),
                    parts,
                    leaves: vec![leaf],
                };
                self.open.insert(index, open);
                self.incomplete
                    .extend(group.map(|group| (group.clone(), index)));
            }
            _ => return Err(format!("part {part} of {parts} is out of order")),
        }
        if let Some(group) = group.filter(|_| part == parts) {
            self.incomplete.remove(group);
        }
        Ok(())
    }

    /// Fails if the deletion of this intent is open and lacks parts.
    fn must_be_whole(&self, first: u64) -> Result<(), Failure> {
        let Some(open) = self.open.get(&first) else {
            return Ok(());
        };
        let (there, parts) = (open.leaves.len(), open.parts);
        if there == parts as usize {
            return Ok(());
        }
        Err(Failure::damaged(format!("it has only {there} of its {parts} parts")).at(first))
    }

    /// Closes a deletion with its outcome. All parts of the intent must be there.
    fn close(&mut self, outcome: &OutcomeSummary<'_>) -> Result<(), String> {
        let first = outcome.intent;
        let wrong = |what| Err(format!("closes entry {first}{what}"));
        let Some(open) = self.open.remove(&first) else {
            return wrong(", which is not an intent, or was closed before");
        };
        if open.leaves != outcome.leaves {
            return wrong(" by a leaf hash that is not that entry's");
        }
        if open.request_id != outcome.request_id {
            return wrong(", which is another request's");
        }
        if outcome.verdict.leaves_doubt(outcome.sent) {
            self.in_doubt.insert(first);
        }
        Ok(())
    }

    /// Verifies a read-back, or one part of a split read-back. The parts must be consecutive
    /// entries.
    fn read_back(&mut self, index: u64, entry: &Reconciled) -> Result<(), String> {
        let intent = entry.intent;
        if !self.in_doubt.contains(&intent) {
            return Err(format!(
                "reads back entry {intent}, which is no deletion in doubt"
            ));
        }
        let worst = entry.users.iter().map(|user| user.result).max();
        let worst = worst.ok_or("reads back no user")?;
        let (part, parts) = match (entry.part, entry.parts) {
            (None, None) => (1, 1),
            (Some(part), Some(parts)) if parts > 1 && (1..=parts).contains(&part) => (part, parts),
            _ => return Err("`part` and `parts` do not go together".into()),
        };
        let here = Part {
            index,
            intent,
            part,
            parts,
        };
        let worst = match self.next_part.take() {
            _ if part == 1 => worst,
            Some((next, before)) if next == here => worst.max(before),
            _ => return Err(format!("part {part} of {parts} is out of order")),
        };
        if worst > entry.result || (part == parts && worst != entry.result) {
            return Err("its result is not the worst of its users'".into());
        }
        if part < parts {
            let next = Part {
                index: index + 1,
                part: part + 1,
                ..here
            };
            self.next_part = Some((next, worst));
        }
        Ok(())
    }

    /// Returns how many intents are open at the end of the trail.
    fn finish(&self) -> Result<u64, Failure> {
        if let Some(first) = self.incomplete.values().min() {
            self.must_be_whole(*first)?;
        }
        Ok(self.open.len() as u64)
    }
}

#[cfg(test)]
mod tests;
