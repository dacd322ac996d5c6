//! The journal's segments: finds them by number, and reads their batches.

pub(crate) use crate::audit::disk::names::{segment_name as name, segment_number as number};
use std::io;
use std::sync::Arc;

use super::batch::{self, BLOCK, Batch, MAX_BATCH};
use super::{Fault, Place, ReadError};
use crate::audit::disk::{Access, File, Folder, if_exists, read_exact};

pub(crate) fn numbers(folder: &dyn Folder) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = folder.list()?.iter().filter_map(|n| number(n)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    file: Arc<dyn File>,
}

impl Segment {
    /// Opens a segment for reading; `None` if it does not exist.
    pub(crate) fn open(folder: &dyn Folder, number: u64) -> Result<Option<Self>, ReadError> {
        let place = Place {
            segment: number,
            offset: 0,
        };
        let fault = |error: io::Error| ReadError::io(place, &error);
        let file = if_exists(folder.open(&name(number), Access::Read)).map_err(fault)?;
        let Some(file) = file else {
            return Ok(None);
        };
        let bytes = file.identity().map_err(fault)?.bytes;
        Ok(Some(Self {
            number,
            bytes,
            file,
        }))
    }

    pub(crate) fn place(&self, offset: u64) -> Place {
        Place {
            segment: self.number,
            offset,
        }
    }

    /// The batch at this offset, and its bytes. `None` if no whole batch is there; an error if a newer
    /// program's batch is there.
    pub(crate) fn batch_at(&self, offset: u64) -> Result<Option<(Batch, Vec<u8>)>, ReadError> {
        let room = self.bytes.saturating_sub(offset);
        if room < BLOCK as u64 {
            return Ok(None);
        }
        let mut block = vec![0; BLOCK];
        self.read(&mut block, offset)?;
        let Some(version) = batch::newer_version(&block) else {
            return self.whole_batch(block, offset, room);
        };
        // If the batch is valid with our version number, then only the version number was altered, and no
        // newer program wrote the batch.
        batch::set_own_version(&mut block);
        match self.whole_batch(block, offset, room)? {
            Some(_) => Ok(None),
            None => {
                let place = self.place(offset);
                Err(ReadError::newer(place, "the batch", version.into()))
            }
        }
    }

    /// Like [`Self::batch_at`], but returns `None` for a newer program's batch.
    pub(crate) fn own_batch_at(&self, offset: u64) -> Result<Option<(Batch, Vec<u8>)>, ReadError> {
        match self.batch_at(offset) {
            Err(error) if error.fault == Fault::Newer => Ok(None),
            found => found,
        }
    }

    /// The batch that begins with this block; `None` if the batch is not whole.
    fn whole_batch(
        &self,
        mut bytes: Vec<u8>,
        offset: u64,
        room: u64,
    ) -> Result<Option<(Batch, Vec<u8>)>, ReadError> {
        let Some(length) = batch::length_of(&bytes).filter(|l| *l as u64 <= room) else {
            return Ok(None);
        };
        bytes.resize(length, 0);
        self.read(&mut bytes[BLOCK..], offset + BLOCK as u64)?;
        Ok(batch::decode(&bytes, self.place(offset)).map(|batch| (batch, bytes)))
    }

    /// The offset of the first non-zero byte at or after `offset`.
    pub(crate) fn first_nonzero(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        let zeros = vec![0; MAX_BATCH];
        let mut buffer = vec![0; MAX_BATCH];
        let mut at = offset;
        while at < self.bytes {
            let part = MAX_BATCH.min(usize::try_from(self.bytes - at).unwrap_or(MAX_BATCH));
            self.read(&mut buffer[..part], at)?;
            if buffer[..part] != zeros[..part] {
                let first = buffer.iter().position(|b| *b != 0).unwrap_or(0);
                return Ok(Some(at + first as u64));
            }
            at += part as u64;
        }
        Ok(None)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), ReadError> {
        read_exact(&*self.file, buffer, offset).map_err(|e| ReadError::io(self.place(offset), &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_one_name() {
        assert_eq!(name(42), "0000000042");
        assert_eq!(number("0000000042"), Some(42));
        for bad in [
            "42",
            "0000000000",
            "+000000042",
            "0000000042.new",
            "00000000042",
            "",
        ] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!(number("12345678901"), Some(12_345_678_901));
    }
}
