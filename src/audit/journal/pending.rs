//! Entries that are not synced yet, in order. The parts of one deletion stay in one batch.

use std::ops::Deref;

use super::batch::{FRAME, Link, MAX_BATCH};
use crate::audit::log::merkle::{Hash, leaf};

#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) link: Link,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) leaves: Vec<Hash>,
}

impl Synced {
    pub(crate) fn of(link: Link, entries: Vec<Vec<u8>>) -> Self {
        let leaves = entries.iter().map(|entry| leaf(entry)).collect();
        Self {
            link,
            entries,
            leaves,
        }
    }
}

/// The entries. Their number is bounded by one round of the queue plus the outcomes of all open
/// intents.
#[derive(Debug, Default)]
pub(crate) struct PendingEntries {
    entries: Vec<Vec<u8>>,
    leaves: Vec<Hash>,
    /// Whether each entry must be in the same batch as the one before it.
    joined: Vec<bool>,
}

impl Deref for PendingEntries {
    type Target = [Vec<u8>];

    fn deref(&self) -> &[Vec<u8>] {
        &self.entries
    }
}

impl PendingEntries {
    /// The entries of one batch, which stay in one batch.
    pub(crate) fn of_batch(entries: Vec<Vec<u8>>) -> Self {
        let joined = (0..entries.len()).map(|at| at > 0).collect();
        let leaves = entries.iter().map(|entry| leaf(entry)).collect();
        Self {
            entries,
            leaves,
            joined,
        }
    }

    /// Adds an entry; `joined` puts it into the same batch as the one before it.
    pub(crate) fn push(&mut self, entry: Vec<u8>, leaf: Hash, joined: bool) {
        self.entries.push(entry);
        self.leaves.push(leaf);
        self.joined.push(joined);
    }

    /// The number of entries in the next batch; at least one if there are any.
    pub(crate) fn fitting(&self) -> usize {
        let mut bytes = FRAME;
        let fits = |entry: &&Vec<u8>| {
            bytes += entry.len() + 2;
            bytes <= MAX_BATCH
        };
        let count = self.entries.iter().take_while(fits).count().max(1);
        let parts = self.joined.get(..=count).unwrap_or_default();
        let begins_run = parts.iter().rposition(|joined| !joined).unwrap_or(0);
        // No deletion is longer than a batch; a longer run would be split.
        if begins_run == 0 { count } else { begins_run }
    }

    /// Removes the synced entries, and returns them for the publisher.
    pub(crate) fn synced(&mut self, count: usize, link: Link) -> Synced {
        self.joined.drain(..count);
        Synced {
            link,
            entries: self.entries.drain(..count).collect(),
            leaves: self.leaves.drain(..count).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::journal::batch::padded;

    fn of(entries: &[(usize, bool)]) -> PendingEntries {
        let mut pending = PendingEntries::default();
        for (bytes, joined) in entries {
            pending.push(vec![0; *bytes], [0; 32], *joined);
        }
        pending
    }

    #[test]
    fn a_batch_takes_as_many_entries_as_fit() {
        let mut entries = of(&[(48_000, false); 30]);
        let count = entries.fitting();
        assert_eq!(count, 21);
        assert!(padded(&entries[..count]) <= MAX_BATCH);
        assert!(padded(&entries[..=count]) > MAX_BATCH);
        entries.synced(count, Link::default());
        assert_eq!((entries.len(), entries.fitting()), (9, 9));
    }

    #[test]
    fn p1_the_parts_of_a_deletion_stay_in_one_batch() {
        // The limit falls between the parts, whatever the length of the entry before them.
        for before in (900_000..1_040_000).step_by(7_000) {
            let group = [(40_000, false), (40_000, true), (40_000, true)];
            let mut entries = of(&[&[(before, false)], &group[..], &[(10, false)]].concat());
            let first = entries.fitting();
            assert!([1, 4, 5].contains(&first), "{before}: {first}");
            entries.synced(first, Link::default());
            assert!(entries.is_empty() || entries.fitting() == entries.len());
        }
    }

    #[test]
    fn a_batch_that_is_written_again_stays_one_batch() {
        let again = PendingEntries::of_batch(vec![vec![0; 300_000]; 3]);
        assert_eq!(again.fitting(), 3);
        assert_eq!(
            PendingEntries::of_batch(vec![vec![0; 300_000]; 4]).fitting(),
            3
        );
    }
}
