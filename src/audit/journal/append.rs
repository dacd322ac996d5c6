//! Writes to the journal: each batch takes one write and one sync and continues from the one
//! before.

use std::io;
use std::sync::Arc;

use super::batch::{self, BLOCK, Link};
use super::spare::Prepared;
use super::{Place, segment};
use crate::audit::disk::{File, Identity, read_exact};
use crate::audit::log::key::Key;

/// The segment in use.
#[derive(Debug)]
pub(crate) struct Current {
    number: u64,
    bytes: u64,
    file: Arc<dyn File>,
    identity: Identity,
    /// The offset of the next batch.
    offset: u64,
    /// The last block written, for comparison with the file.
    last_block: Option<(u64, Vec<u8>)>,
    has_failed: bool,
}

impl Current {
    /// Its name.
    pub(crate) fn name(&self) -> String {
        segment::name(self.number)
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a write or sync failed, so that the bytes from [`Self::offset`] on are unknown.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// The offset of the next batch; all bytes from there on are zero unless [`Self::has_failed`].
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Its identity when it was taken into use.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The present identity of the open file.
    pub(crate) fn identity_now(&self) -> io::Result<Identity> {
        self.file.identity()
    }

    /// The number of the file's hard links.
    pub(crate) fn names(&self) -> io::Result<u64> {
        self.file.names()
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

/// Appends batches to the journal.
#[derive(Debug)]
pub(crate) struct Appender {
    key: Arc<Key>,
    current: Option<Current>,
    /// The last batch whose waiters may get an answer.
    last: Link,
}

impl Appender {
    /// Continues from a batch; [`Self::take`] must provide a segment first.
    pub(crate) fn new(key: Arc<Key>, last: Link) -> Self {
        Self {
            key,
            current: None,
            last,
        }
    }

    /// The segment in use; `None` until [`Self::take`].
    pub(crate) fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// The last batch whose waiters may get an answer.
    pub(crate) fn last(&self) -> &Link {
        &self.last
    }

    /// Whether a batch of this length fits into the segment in use.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.current
            .as_ref()
            .is_some_and(|c| !c.has_failed && c.bytes - c.offset >= length as u64)
    }

    /// Writes to this segment from now on.
    pub(crate) fn take(&mut self, prepared: Prepared) -> io::Result<()> {
        self.current = None;
        self.current = Some(Current {
            number: prepared.number,
            bytes: prepared.bytes,
            // The length when it was made, even if the file has changed since.
            identity: Identity {
                bytes: prepared.bytes,
                ..prepared.file.identity()?
            },
            file: prepared.file,
            offset: 0,
            last_block: None,
            has_failed: false,
        });
        Ok(())
    }

    /// Stops using the segment.
    pub(crate) fn give_up(&mut self) -> Option<Current> {
        self.current.take()
    }

    /// Writes and syncs one batch; the next continues from it after [`Self::accept`]. After an error the
    /// segment takes no more batches.
    pub(crate) fn write(&mut self, entries: &[Vec<u8>]) -> io::Result<Link> {
        let result = self.write_and_sync(entries);
        if let Some(current) = &mut self.current {
            current.has_failed |= result.is_err();
        }
        result
    }

    /// Notes that the batch is durable and has passed the integrity check.
    pub(crate) fn accept(&mut self, link: Link) {
        self.last = link;
    }

    fn write_and_sync(&mut self, entries: &[Vec<u8>]) -> io::Result<Link> {
        let Some(current) = &mut self.current else {
            return Err(io::Error::other("no segment is in use"));
        };
        let place = Place {
            segment: current.number,
            offset: current.offset,
        };
        let Some((bytes, link)) = batch::encode(entries, &self.last, place, &self.key) else {
            return Err(io::Error::other("the batch is too long"));
        };
        if bytes.len() as u64 > current.bytes - current.offset {
            return Err(io::Error::other("the segment is full"));
        }
        current.file.write_at(&bytes, current.offset)?;
        current.file.sync_data()?;
        let block = bytes.len() - BLOCK;
        current.last_block = Some((current.offset + block as u64, bytes[block..].to_vec()));
        current.offset += bytes.len() as u64;
        Ok(link)
    }
}
