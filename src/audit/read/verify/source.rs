//! The entries under the checkpoint, from the bundles, and the journal that is read in parallel.

use std::path::Path;

use super::failure::Failure;
use super::listing::Listing;
use crate::audit::journal::{self, Read, ReadError};
use crate::audit::log::key::Key;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::tiles::{Bundle, FULL};
use crate::audit::read::Trouble;
use crate::audit::read::tiles::{MAX_TILE_BYTES, TileFile};

/// The entries of a bundle's file, up to the wanted width.
pub(super) fn entries<'f>(
    listing: &Listing,
    file: &'f TileFile,
    wanted: Bundle,
) -> Result<Vec<&'f [u8]>, Failure> {
    file.entries(wanted.width).map_err(|error| {
        let index = wanted.first_entry() + first_wrong(listing, file, wanted);
        let failure = Failure::new(Trouble::Damaged, error.to_string());
        failure.in_file(&file.path).at(index)
    })
}

/// The first place in a broken bundle that differs from the leaf tile.
fn first_wrong(listing: &Listing, file: &TileFile, wanted: Bundle) -> u64 {
    let leaves = leaves_of(listing, wanted.index).unwrap_or_default();
    let mut rest = file.bytes.as_slice();
    let entries = std::iter::from_fn(|| {
        let (length, behind) = rest.split_first_chunk()?;
        let (entry, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
        rest = behind;
        Some(entry)
    });
    let same = entries.zip(&leaves);
    same.take_while(|(entry, hash)| leaf(entry) == **hash)
        .count() as u64
}

/// The hashes of the widest leaf tile at this index.
fn leaves_of(listing: &Listing, index: u64) -> Option<Vec<Hash>> {
    let tile = listing.tiles(0, index).last()?;
    let file = listing.read(tile.path(), tile.width, MAX_TILE_BYTES).ok()?;
    file.hashes(FULL).ok()
}

/// The journal, entry by entry, up to its end or its first fault.
#[derive(Debug)]
pub(super) struct Journal<'k> {
    entries: Option<journal::Entries<'k>>,
    next: Option<Read>,
    /// The fault at which it ended, if any.
    pub(super) fault: Option<ReadError>,
    /// The index of its first entry.
    pub(super) first: Option<u64>,
    /// The index after the last entry taken.
    pub(super) end: u64,
}

impl<'k> Journal<'k> {
    /// Starts at the first entry of the journal in this folder, if the location is a folder.
    pub(super) fn open(directory: Option<&Path>, key: Option<&'k Key>) -> Self {
        let mut journal = Self {
            entries: None,
            next: None,
            fault: None,
            first: None,
            end: 0,
        };
        match directory.map(|directory| journal::read(directory, key)) {
            Some(Ok(entries)) => journal.entries = Some(entries),
            Some(Err(fault)) => journal.fault = Some(fault),
            None => {}
        }
        journal.advance();
        journal.first = journal.next.as_ref().map(|read| read.index);
        journal
    }

    /// The entry with this index, if the journal has it. The indexes must ascend.
    pub(super) fn take(&mut self, index: u64) -> Option<Read> {
        if self.next.as_ref()?.index != index {
            return None;
        }
        let read = self.next.take();
        self.end = index + 1;
        self.advance();
        read
    }

    /// Whether a write that a crash interrupted follows the last batch.
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
