//! Joins intents with their closing entries in one pass.

use std::collections::{BTreeMap, HashMap};

use super::{Deletion, Progress};
use crate::audit::entry::{Entry, Kind, Outcome};

/// Takes entries in order and returns deletions in the order of their index.
///
/// Holds only the deletions from the oldest open one on: the gateway limits how long a deletion
/// stays open, and recovery closes the ones that a crash left open.
#[derive(Debug, Default)]
pub struct Joiner {
    held: BTreeMap<u64, Deletion>,
    pub(super) groups: HashMap<String, u64>,
    strays: u64,
}

impl Joiner {
    /// Takes the next entry; ignores kinds that belong to no deletion.
    pub fn push(&mut self, index: u64, entry: Entry) {
        match entry.kind {
            Kind::Intent(intent) => {
                if let Some(group) = &intent.group {
                    let known = self.groups.get(group).copied();
                    if let Some(deletion) = known.and_then(|first| self.held.get_mut(&first)) {
                        deletion.users.extend(intent.users);
                        return;
                    }
                    // The first part precedes the part of the log that is read.
                    if intent.part.is_some_and(|part| part > 1) {
                        return;
                    }
                    self.groups.insert(group.clone(), index);
                }
                self.held
                    .insert(index, Deletion::of_intent(index, entry.time, intent));
            }
            Kind::Outcome(outcome) => self.close(index, outcome),
            Kind::Refused(refused) => {
                self.held
                    .insert(index, Deletion::of_refused(index, entry.time, refused));
            }
            _ => {}
        }
    }

    /// Removes the oldest deletion, if it is closed.
    pub fn next_closed(&mut self) -> Option<Deletion> {
        let oldest = self.held.first_entry()?;
        if oldest.get().outcome == Progress::Open {
            return None;
        }
        Some(oldest.remove())
    }

    /// Removes a deletion, open or closed.
    pub(super) fn take(&mut self, index: u64) -> Option<Deletion> {
        let deletion = self.held.remove(&index)?;
        if let Some(group) = &deletion.group {
            self.groups.remove(group);
        }
        Some(deletion)
    }

    /// All remaining deletions at the end of the trail, open ones included, oldest first.
    pub fn rest(self) -> impl Iterator<Item = Deletion> {
        self.held.into_values()
    }

    /// Whether the joiner holds an intent, and so needs its closing entry.
    pub(super) fn holds(&self, intent: u64) -> bool {
        self.held.contains_key(&intent)
    }

    /// How many closing entries named no open intent: none in a sound trail.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays
    }

    fn close(&mut self, index: u64, outcome: Outcome) {
        match self.held.get_mut(&outcome.intent) {
            Some(deletion) if deletion.outcome == Progress::Open => {
                if let Some(group) = &deletion.group {
                    self.groups.remove(group);
                }
                deletion.close(index, outcome);
            }
            _ => self.strays += 1,
        }
    }
}
