//! The entries under the checkpoint, read from the bundles, and the journal that runs beside them.

use std::path::Path;

use super::failure::{Failure, Trouble};
use super::files::Files;
use crate::audit::journal::{self, Read, ReadError};
use crate::audit::log::key::Key;
use crate::audit::log::merkle::leaf;
use crate::audit::log::tiles::{Bundle, FULL, MAX_BUNDLE_BYTES, Tile, decode_bundle, decode_tile};

/// A bundle as it was read.
#[derive(Debug)]
pub(super) struct Source {
    /// The file it was read from.
    pub(super) path: String,
    bytes: Vec<u8>,
    width: u16,
}

impl Source {
    /// Reads the bundle that a size implies: its own where it stands, else the full one.
    pub(super) fn read(files: &Files, wanted: Bundle) -> Result<Self, Failure> {
        let full = Bundle {
            width: FULL,
            ..wanted
        };
        for bundle in [files.bundle_of(wanted), full] {
            let path = bundle.path();
            if let Some(bytes) = files.read(&path, &full.path(), MAX_BUNDLE_BYTES)? {
                return Ok(Self {
                    path,
                    bytes,
                    width: bundle.width,
                });
            }
        }
        let what = "is missing; the checkpoint implies it";
        Err(Failure::new(Trouble::Missing, what).in_file(wanted.path()))
    }

    /// Its entries, as many as the size has of them.
    pub(super) fn entries(&self, files: &Files, wanted: Bundle) -> Result<Vec<&[u8]>, Failure> {
        match decode_bundle(&self.bytes, self.width) {
            Ok(mut entries) => {
                entries.truncate(usize::from(wanted.width));
                Ok(entries)
            }
            Err(error) => {
                let index = wanted.index * u64::from(FULL) + self.first_wrong(files, wanted);
                let failure = Failure::new(Trouble::Damaged, error.to_string());
                Err(failure.in_file(&self.path).at(index))
            }
        }
    }

    /// Where a bundle that cannot be read to its end begins to differ from the tile of its leaves.
    fn first_wrong(&self, files: &Files, wanted: Bundle) -> u64 {
        let mut entries = Vec::new();
        let mut rest = self.bytes.as_slice();
        while let Some((length, behind)) = rest.split_first_chunk()
            && let Some((entry, behind)) =
                behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        {
            entries.push(entry);
            rest = behind;
        }
        let leaves = leaves_of(files, wanted.index).unwrap_or_default();
        let same = entries.iter().zip(&leaves);
        same.take_while(|(entry, hash)| leaf(entry) == **hash)
            .count() as u64
    }
}

/// The hashes of the widest tile of leaves at a place.
fn leaves_of(files: &Files, index: u64) -> Option<Vec<[u8; 32]>> {
    let tile: &Tile = files.tiles(0, index).last()?;
    let bytes = files
        .read(&tile.path(), "", usize::from(FULL) * 32)
        .ok()??;
    decode_tile(&bytes, tile.width).ok()
}

/// The journal, entry by entry, up to its end or its first fault.
#[derive(Debug)]
pub(super) struct Journal<'k> {
    entries: Option<journal::Entries<'k>>,
    next: Option<Read>,
    /// Why it ended, where that was no end.
    pub(super) fault: Option<ReadError>,
    /// The first index that stands in it.
    pub(super) first: Option<u64>,
    /// The index behind the last entry taken.
    pub(super) end: u64,
}

impl<'k> Journal<'k> {
    /// Begins at its first entry.
    pub(super) fn open(directory: &Path, key: Option<&'k Key>) -> Self {
        let mut journal = Self {
            entries: None,
            next: None,
            fault: None,
            first: None,
            end: 0,
        };
        match journal::read(directory, key) {
            Ok(entries) => journal.entries = Some(entries),
            Err(fault) => journal.fault = Some(fault),
        }
        journal.advance();
        journal.first = journal.next.as_ref().map(|read| read.index);
        journal
    }

    /// The entry with this index, where it stands in the journal; indexes are asked for in order.
    pub(super) fn take(&mut self, index: u64) -> Option<Read> {
        if self.next.as_ref()?.index != index {
            return None;
        }
        let read = self.next.take();
        self.end = index + 1;
        self.advance();
        read
    }

    /// Whether a write that a crash cut off stands behind its end.
    pub(super) fn is_torn(&self) -> bool {
        self.entries.as_ref().is_some_and(journal::Entries::is_torn)
    }

    fn advance(&mut self) {
        match self.entries.as_mut().and_then(Iterator::next) {
            Some(Ok(read)) => self.next = Some(read),
            Some(Err(fault)) => self.fault = Some(fault),
            None => {}
        }
    }
}
