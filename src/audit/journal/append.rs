//! The entries that wait for a sync, and the segment to which the writer appends these entries in
//! batches. Each batch takes one write and one sync, and continues from the batch before it.

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use super::batch::{self, BLOCK, FRAME, Link, MAX_BATCH};
use super::spare::Prepared;
use super::{Place, segment};
use crate::audit::disk::{File, Identity, read_exact};
use crate::audit::log::key::Key;
use crate::audit::log::merkle::{Hash, leaf};

/// The segment to which the writer appends batches.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
    /// The file's identity after our last write. `changed` is [`i128::MIN`] if the time of change could
    /// not be read.
    pub(crate) identity: Identity,
    /// The offset of the next batch. All bytes from this offset on are zero, unless `has_failed`.
    pub(crate) offset: u64,
    /// The last block that the writer wrote, and its offset. The integrity check compares the file with
    /// this block.
    last_block: Option<(u64, Vec<u8>)>,
    /// Whether a write or a sync failed. If so, the bytes from `offset` on are unknown.
    pub(crate) has_failed: bool,
}

impl Current {
    pub(crate) fn name(&self) -> String {
        segment::name(self.number)
    }

    /// Notes the file's time of change after our write. If the file has another time of change before our
    /// next write, another program has changed the file.
    pub(crate) fn note_change(&mut self) {
        let now = self.file.identity();
        self.identity.changed = now.map_or(i128::MIN, |now| now.changed);
    }

    /// Whether the file still holds the last block as written.
    pub(crate) fn last_block_holds(&self) -> io::Result<bool> {
        let Some((offset, block)) = &self.last_block else {
            return Ok(true);
        };
        let mut found = vec![0; block.len()];
        read_exact(&*self.file, &mut found, *offset)?;
        Ok(found == *block)
    }
}

#[derive(Debug)]
pub(crate) struct Appender {
    key: Arc<Key>,
    /// The segment in use; `None` until [`Self::take`] provides a segment.
    pub(crate) current: Option<Current>,
    /// The last batch that is durable and has passed the integrity check. The next batch continues from
    /// this batch.
    pub(crate) last: Link,
}

impl Appender {
    pub(crate) fn new(key: Arc<Key>, last: Link) -> Self {
        Self {
            key,
            current: None,
            last,
        }
    }

    /// Whether a batch of this length fits into the segment in use.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.current
            .as_ref()
            .is_some_and(|c| !c.has_failed && c.identity.bytes - c.offset >= length as u64)
    }

    /// Makes this segment the one in use.
    pub(crate) fn take(&mut self, prepared: Prepared) {
        self.current = Some(Current {
            number: prepared.number,
            file: prepared.file,
            identity: prepared.identity,
            offset: 0,
            last_block: None,
            has_failed: false,
        });
    }

    /// Writes and syncs one batch. After an error, the segment in use takes no more batches.
    pub(crate) fn write(&mut self, entries: &[Vec<u8>]) -> io::Result<Link> {
        let Some(current) = &mut self.current else {
            return Err(io::Error::other("no segment is in use"));
        };
        current.has_failed = true;
        let place = Place {
            segment: current.number,
            offset: current.offset,
        };
        let Some((bytes, link)) = batch::encode(entries, &self.last, place, &self.key) else {
            return Err(io::Error::other("the batch is too long"));
        };
        if bytes.len() as u64 > current.identity.bytes - current.offset {
            return Err(io::Error::other("the segment is full"));
        }
        current.file.write_at(&bytes, current.offset)?;
        current.file.sync_data()?;
        current.has_failed = false;
        let block = bytes.len() - BLOCK;
        current.last_block = Some((current.offset + block as u64, bytes[block..].to_vec()));
        current.offset += bytes.len() as u64;
        Ok(link)
    }
}

/// A synced batch, which the writer hands to the publisher.
#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) link: Link,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) leaves: Vec<Hash>,
}

impl Synced {
    pub(crate) fn of(link: Link, entries: Vec<Vec<u8>>) -> Self {
        Self {
            link,
            leaves: entries.iter().map(|entry| leaf(entry)).collect(),
            entries,
        }
    }
}

/// The entries that are not synced yet, in order: at most what the writer takes from the write queue at
/// one time, plus the outcomes of all open intents.
#[derive(Debug, Default)]
pub(crate) struct PendingEntries {
    entries: Vec<Vec<u8>>,
    leaves: Vec<Hash>,
    /// For each entry, whether the entry must be in the same batch as the entry before it, so that the
    /// parts of one deletion stay together.
    joined: Vec<bool>,
}

impl Deref for PendingEntries {
    type Target = [Vec<u8>];

    fn deref(&self) -> &[Vec<u8>] {
        &self.entries
    }
}

impl PendingEntries {
    /// Takes the entries of a batch that the writer must write again as one batch.
    pub(crate) fn of_batch(entries: Vec<Vec<u8>>) -> Self {
        Self {
            leaves: entries.iter().map(|entry| leaf(entry)).collect(),
            joined: (0..entries.len()).map(|at| at > 0).collect(),
            entries,
        }
    }

    /// Adds an entry. If `joined`, the entry must be in the same batch as the entry before it.
    pub(crate) fn push(&mut self, entry: Vec<u8>, leaf: Hash, joined: bool) {
        self.entries.push(entry);
        self.leaves.push(leaf);
        self.joined.push(joined);
    }

    /// The number of entries that the next batch takes: at least one, if any entry waits.
    pub(crate) fn fitting(&self) -> usize {
        let mut bytes = FRAME;
        let fits = |entry: &&Vec<u8>| {
            bytes += entry.len() + 2;
            bytes <= MAX_BATCH
        };
        let count = self.entries.iter().take_while(fits).count().max(1);
        let parts = self.joined.get(..=count).unwrap_or_default();
        let begins_run = parts.iter().rposition(|joined| !joined).unwrap_or(0);
        // The parts of one deletion always fit into a batch. A longer run of joined entries would be
        // split.
        if begins_run == 0 { count } else { begins_run }
    }

    /// Removes the first `count` entries, which are synced now, and returns them for the publisher.
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
