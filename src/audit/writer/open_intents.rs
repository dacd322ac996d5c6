//! Keeps the intents that have no outcome yet.

use std::collections::BTreeMap;

use crate::audit::entry::EntrySummary;
use crate::audit::log::merkle::{Hash, leaf};

/// The data of an intent that its outcome repeats.
#[derive(Debug)]
pub(super) struct IntentParts {
    pub(super) request_id: String,
    /// The leaf hash of each part, in order.
    pub(super) leaves: Vec<Hash>,
}

#[derive(Debug, Default)]
pub(super) struct OpenIntents {
    /// The open intents, by the index of their first part.
    open: BTreeMap<u64, IntentParts>,
    /// The index of the first replayed entry. All intents before this index are closed; their entries
    /// may be pruned.
    begins: u64,
    /// Outcomes that may not be synced yet: the index of each outcome, and the index of its intent.
    closing: BTreeMap<u64, u64>,
}

impl OpenIntents {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn indexes(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// Starts at this index, before a replay. All intents before this index are closed.
    pub(super) fn begin(&mut self, index: u64) {
        self.begins = index;
    }

    pub(super) fn open(&mut self, first: u64, intent: IntentParts) {
        self.open.insert(first, intent);
    }

    /// Removes the intent. Returns `None` if it is not open.
    pub(super) fn close(&mut self, first: u64) -> Option<IntentParts> {
        self.open.remove(&first)
    }

    /// Notes that the entry `index` closes the intent `first`.
    pub(super) fn closed_by(&mut self, index: u64, first: u64) {
        self.closing.insert(index, first);
    }

    /// Returns an index. Each intent before that index has an outcome before the index `durable`.
    pub(super) fn settled(&mut self, durable: u64) -> u64 {
        self.closing = self.closing.split_off(&durable);
        let open = self.open.keys().next();
        let closing = self.closing.values().min();
        [open, closing]
            .into_iter()
            .flatten()
            .fold(durable, |a, b| a.min(*b))
    }

    /// Replays an entry of the journal. Fails if the entry contradicts an earlier entry.
    pub(super) fn replay(
        &mut self,
        index: u64,
        summary: EntrySummary<'_>,
        bytes: &[u8],
    ) -> Result<(), String> {
        match summary {
            EntrySummary::Intent(intent) => {
                let first = intent.first(index);
                let open = self.open.entry(first).or_insert_with(|| IntentParts {
                    request_id: intent.request_id.into_owned(),
                    leaves: Vec::new(),
                });
                open.leaves.push(leaf(bytes));
            }
            EntrySummary::Outcome(outcome) => {
                let intent = outcome.intent;
                if intent >= self.begins && self.open.remove(&intent).is_none() {
                    return Err(format!("entry {index} closes {intent}, which is not open"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
