//! Writing to the journal: one write and one sync a batch, each batch going on from the one before.

use std::io;
use std::sync::Arc;

use super::batch::{self, BLOCK, Link};
use super::spare::Prepared;
use super::{Place, segment};
use crate::audit::disk::{File, Identity, read_exact};
use crate::audit::log::key::Key;

/// The segment that is written to.
#[derive(Debug)]
pub struct Current {
    number: u64,
    bytes: u64,
    file: Arc<dyn File>,
    identity: Identity,
    /// Where the next batch goes.
    offset: u64,
    /// The last block written to it, to be found again as it was written.
    last_block: Option<(u64, Vec<u8>)>,
}

impl Current {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        segment::name(self.number)
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its number and what it was when it was taken into use.
    #[must_use]
    pub fn known(&self) -> (u64, Identity) {
        (self.number, self.identity)
    }

    /// Where the next batch goes; all behind it is zero.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What it was when it was taken into use.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it is now, by its open handle.
    ///
    /// # Errors
    /// Where the system says so.
    pub fn identity_now(&self) -> io::Result<Identity> {
        self.file.identity()
    }

    /// How many names its file has.
    ///
    /// # Errors
    /// Where the system says so.
    pub fn names(&self) -> io::Result<u64> {
        self.file.names()
    }

    /// Whether the last block written is found as it was written.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn last_block_holds(&self) -> io::Result<bool> {
        let Some((offset, block)) = &self.last_block else {
            return Ok(true);
        };
        let mut found = vec![0; block.len()];
        read_exact(&*self.file, &mut found, *offset)?;
        Ok(found == *block)
    }
}

/// The end of the journal that is written to.
#[derive(Debug)]
pub struct Appender {
    key: Arc<Key>,
    current: Option<Current>,
    /// The last batch whose waiters may be answered.
    last: Link,
}

impl Appender {
    /// Goes on from a batch; [`Self::take`] must give it a segment first.
    #[must_use]
    pub fn new(key: Arc<Key>, last: Link) -> Self {
        Self {
            key,
            current: None,
            last,
        }
    }

    /// The segment in use; none at first and after a fault.
    #[must_use]
    pub fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// The last batch whose waiters may be answered.
    #[must_use]
    pub fn last(&self) -> &Link {
        &self.last
    }

    /// Whether a batch of this length fits in the segment in use.
    #[must_use]
    pub fn has_room(&self, length: usize) -> bool {
        self.current
            .as_ref()
            .is_some_and(|c| c.bytes - c.offset >= length as u64)
    }

    /// Writes to this segment from now on.
    ///
    /// # Errors
    /// Where the system would not say what it is.
    pub fn take(&mut self, prepared: Prepared) -> io::Result<()> {
        self.current = None;
        self.current = Some(Current {
            number: prepared.number,
            bytes: prepared.bytes,
            // As long as it was made, whatever became of it since.
            identity: Identity {
                bytes: prepared.bytes,
                ..prepared.file.identity()?
            },
            file: prepared.file,
            offset: 0,
            last_block: None,
        });
        Ok(())
    }

    /// Never writes to the segment in use again: what it holds behind the last batch is not known.
    pub fn give_up(&mut self) -> Option<Current> {
        self.current.take()
    }

    /// Writes and syncs one batch; [`Self::accept`] then makes it the one to go on from. After an
    /// error the segment is given up.
    ///
    /// # Errors
    /// Where the write or the sync fails, or there is no room.
    pub fn write(&mut self, entries: &[Vec<u8>]) -> io::Result<Link> {
        let result = self.write_and_sync(entries);
        if result.is_err() {
            self.give_up();
        }
        result
    }

    /// The batch is durable and its custody was found in order.
    pub fn accept(&mut self, link: Link) {
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
