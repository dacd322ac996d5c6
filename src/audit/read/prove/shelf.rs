//! The tiles and bundles that a checkpoint's size implies, read one by one; the journal behind them.

use std::io;

use super::Log;
use crate::audit::journal;
use crate::audit::log::merkle::Hash;
use crate::audit::log::note::MAX_NOTE_BYTES;
use crate::audit::log::proof::HashReader;
use crate::audit::log::tiles::{Bundle, FULL, MAX_BUNDLE_BYTES, Tile, decode_bundle, decode_tile};
use crate::audit::read::verify::{CHECKPOINT, Failure, Trouble};

const WIDTH: u64 = FULL as u64;

/// A log of one size.
#[derive(Debug)]
pub(super) struct Shelf<'l> {
    log: &'l Log<'l>,
    size: u64,
}

/// The bytes of the newest checkpoint; `None` where there is none.
pub(super) fn checkpoint(log: &Log<'_>) -> Result<Option<Vec<u8>>, Failure> {
    log.files
        .file(CHECKPOINT, MAX_NOTE_BYTES)
        .map_err(|error| Failure::unreadable(CHECKPOINT, &error))
}

impl<'l> Shelf<'l> {
    pub(super) fn new(log: &'l Log<'l>, size: u64) -> Self {
        Self { log, size }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Shows the entries from an index on, in order, until `each` is content.
    pub(super) fn entries(
        &self,
        from: u64,
        mut each: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), Failure> {
        for bundle in (from / WIDTH..).map_while(|index| Bundle::at(index, self.size)) {
            let (path, bytes, width) = self.bundle(bundle)?;
            let entries = decode_bundle(&bytes, width)
                .map_err(|error| Failure::new(Trouble::Damaged, error.to_string()).in_file(path))?;
            let covered = (bundle.index * WIDTH..self.size).zip(entries);
            for (index, entry) in covered.filter(|(index, _)| *index >= from) {
                if each(index, entry) {
                    return Ok(());
                }
            }
        }
        let from = from.max(self.size);
        let Some(directory) = self.log.journal else {
            return Ok(());
        };
        let entries = match journal::read(directory, None) {
            Ok(entries) => entries,
            // A copy of checkpoint and tiles alone.
            Err(error) if error.fault == journal::Fault::Missing && self.size > 0 => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            if entry.index >= from && each(entry.index, &entry.bytes) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn bundle(&self, wanted: Bundle) -> Result<(String, Vec<u8>, u16), Failure> {
        let full = Bundle {
            width: FULL,
            ..wanted
        };
        let unreadable = |error| Failure::unreadable(&wanted.path(), &error);
        match self.read(&wanted.path(), MAX_BUNDLE_BYTES) {
            Ok(bytes) => Ok((wanted.path(), bytes, wanted.width)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self
                .read(&full.path(), MAX_BUNDLE_BYTES)
                .map(|bytes| (full.path(), bytes, FULL))
                .map_err(unreadable),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn read(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        let file = self.log.files.file(path, most)?;
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn tile(&self, wanted: Tile) -> io::Result<Vec<Hash>> {
        let full = Tile {
            width: FULL,
            ..wanted
        };
        let most = usize::from(FULL) * size_of::<Hash>();
        let (bytes, width) = match self.read(&wanted.path(), most) {
            Ok(bytes) => (bytes, wanted.width),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (self.read(&full.path(), most)?, FULL)
            }
            Err(error) => return Err(error),
        };
        decode_tile(&bytes, width).map_err(|error| {
            let what = format!("{}: {error}", wanted.path());
            io::Error::new(io::ErrorKind::InvalidData, what)
        })
    }
}

impl HashReader for Shelf<'_> {
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash> {
        let hashes = self.hashes(level, index, 1)?;
        hashes
            .first()
            .copied()
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn hashes(&self, level: u8, first: u64, count: u64) -> io::Result<Vec<Hash>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let none = || io::Error::from(io::ErrorKind::NotFound);
        let tile = Tile::at(level, first / WIDTH, self.size).ok_or_else(none)?;
        let hashes = self.tile(tile)?;
        let place = (first % WIDTH) as usize;
        let wanted = hashes.get(place..place + count as usize);
        wanted.map(<[Hash]>::to_vec).ok_or_else(none)
    }
}
