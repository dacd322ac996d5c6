//! The intents without an outcome.

use std::collections::BTreeMap;

use crate::audit::entry::EntrySummary;
use crate::audit::log::merkle::{Hash, leaf};

/// What the outcome repeats of its intent.
#[derive(Debug)]
pub(super) struct IntentParts {
    pub(super) request_id: String,
    /// One for each part, in order.
    pub(super) leaves: Vec<Hash>,
}

#[derive(Debug, Default)]
pub(super) struct OpenIntents {
    /// By the index of the first part.
    open: BTreeMap<u64, IntentParts>,
    /// The index of the first replayed entry. Pruned entries are before it; all their intents are closed.
    begins: u64,
    /// Closings that may not be synced yet: the index of each, and of its intent.
    closing: BTreeMap<u64, u64>,
}

impl OpenIntents {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn indexes(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// Begins at this index. All intents before it are closed.
    pub(super) fn begin(&mut self, index: u64) {
        self.begins = index;
    }

    pub(super) fn open(&mut self, first: u64, intent: IntentParts) {
        self.open.insert(first, intent);
    }

    /// `None` if the intent is not open.
    pub(super) fn close(&mut self, first: u64) -> Option<IntentParts> {
        self.open.remove(&first)
    }

    /// The entry with this index closes the intent.
    pub(super) fn closed_by(&mut self, index: u64, first: u64) {
        self.closing.insert(index, first);
    }

    /// The index below which an entry below `durable` closes every intent.
    pub(super) fn settled(&mut self, durable: u64) -> u64 {
        self.closing = self.closing.split_off(&durable);
        let open = self.open.keys().next();
        let closing = self.closing.values().min();
        [open, closing]
            .into_iter()
            .flatten()
            .fold(durable, |a, b| a.min(*b))
    }

    /// Replays an entry of the journal. Fails if it contradicts those before it.
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
