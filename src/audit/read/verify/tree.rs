//! Computes the tree from the entries, and compares every tile and bundle with it.
//!
//! If a file differs from the entries, the root at the checkpoint's size decides which of the two
//! is wrong. Until the pass reaches that size, [`Tree`] keeps the difference.

use super::Failure;
use super::listing::{Listed, Listing};
use crate::audit::disk::names::CHECKPOINT;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::tiles::{FULL, Frontier, Tile, first_entry, hashes_at};
use crate::audit::read::{TileFile, WIDTH};

/// The tree over the entries so far.
#[derive(Debug)]
pub(super) struct Tree<'f> {
    listing: &'f Listing,
    pub(super) frontier: Frontier,
    /// The difference nearest to the fault: its level (0 for entries), its first entry, and the
    /// failure to report if the entries have the right root.
    suspect: Option<((u8, u64), Failure)>,
    /// The bundle that the latest entries come from. It needs no comparison with them.
    source: Option<Listed>,
}

impl<'f> Tree<'f> {
    pub(super) fn new(listing: &'f Listing) -> Self {
        Self {
            listing,
            frontier: Frontier::default(),
            suspect: None,
            source: None,
        }
    }

    /// Reads a bundle. The caller must push its entries next.
    pub(super) fn read(&mut self, bundle: Listed) -> Result<TileFile, Failure> {
        let file = self.listing.read(bundle)?;
        if file.width == bundle.tile.width {
            self.source = Some(bundle);
        }
        Ok(file)
    }

    /// The entries of a bundle's file, up to the width of the bundle.
    pub(super) fn entries<'b>(
        &self,
        file: &'b TileFile,
        bundle: Listed,
    ) -> Result<Vec<&'b [u8]>, Failure> {
        file.entries(bundle.tile.width).map_err(|error| {
            let widest = self.listing.at(Listed::tile(bundle.tile)).last();
            let leaves = widest.and_then(|tile| self.listing.read(*tile).ok());
            let leaves = leaves.and_then(|file| file.hashes(FULL).ok());
            let same = same_entries(&file.bytes, &leaves.unwrap_or_default());
            let index = bundle.first_entry() + same;
            Failure::damaged(error).in_file(&file.path).at(index)
        })
    }

    /// Adds the next entry, and compares the files that this entry completes.
    pub(super) fn push(&mut self, leaf: Hash) -> Result<(), Failure> {
        let filled = self.frontier.push(leaf);
        self.compare(filled)
    }

    /// Notes a difference. Of all differences, keeps only the one on the lowest level, and of those
    /// on that level, only the one at the earliest entry.
    pub(super) fn suspect(&mut self, level: u8, index: u64, failure: Failure) {
        let place = (level, index);
        let first = self.suspect.as_ref();
        if first.is_none_or(|(first, _)| place < *first) {
            self.suspect = Some((place, failure.at(index)));
        }
    }

    /// Checks that the entries have the root that the checkpoint signs, and that no file differs
    /// from the entries.
    pub(super) fn must_have_root(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        if self.frontier.root() == checkpoint.root {
            return self.must_agree();
        }
        self.compare(self.frontier.partial())?;
        let size = checkpoint.size;
        let Some(((_, index), difference)) = &self.suspect else {
            let what =
                format!("its root is not that of the {size} entries, which agree with all tiles");
            return Err(Failure::damaged(what).in_file(CHECKPOINT));
        };
        let witness = difference.file.as_deref().unwrap_or("the journal");
        let what = format!(
            "the entry is not the one that was signed: {witness} disagrees, and the entries do not give the checkpoint's root"
        );
        let bundle = Tile::at(0, index / WIDTH, size).map(Listed::bundle);
        let read = bundle.and_then(|bundle| self.listing.stand_in(bundle));
        let mut failure = Failure::damaged(what).at(*index);
        failure.file = read.map(|bundle| bundle.path());
        Err(failure)
    }

    /// Compares the partial files at the right edge. Checks that no file differs from the entries,
    /// and that no file continues past the last entry.
    pub(super) fn must_end_here(&mut self) -> Result<(), Failure> {
        self.compare(self.frontier.partial())?;
        self.must_agree()?;
        let size = self.frontier.size();
        let is_beyond = |file: &&Listed| {
            let Tile {
                level,
                index,
                width,
            } = file.tile;
            let end = index.saturating_mul(WIDTH).saturating_add(width.into());
            end > hashes_at(level, size)
        };
        let Some(beyond) = self.listing.found.iter().find(is_beyond) else {
            return Ok(());
        };
        let what = format!("reaches beyond the last entry: the log has {size} entries");
        let failure = Failure::damaged(what).in_file(beyond.path());
        Err(failure.at(beyond.first_entry().max(size)))
    }

    fn must_agree(&mut self) -> Result<(), Failure> {
        let suspect = self.suspect.take();
        suspect.map_or(Ok(()), |(_, failure)| Err(failure))
    }

    /// Compares every file at the place of each tile with the hashes of that tile.
    fn compare(&mut self, tiles: Vec<(Tile, Vec<Hash>)>) -> Result<(), Failure> {
        let (listing, source) = (self.listing, self.source);
        for (tile, hashes) in tiles {
            for file in listing.at(Listed::tile(tile)) {
                self.compare_tile(file, &hashes)?;
            }
            let leaves = Some(tile).filter(|tile| tile.level == 0);
            let bundles = leaves.map_or(&[][..], |tile| listing.at(Listed::bundle(tile)));
            for file in bundles.iter().filter(|file| Some(**file) != source) {
                self.compare_bundle(file, &hashes)?;
            }
        }
        Ok(())
    }

    fn compare_tile(&mut self, listed: &Listed, hashes: &[Hash]) -> Result<(), Failure> {
        let file = self.listing.read(*listed)?;
        let wrong = file.first_wrong(hashes).map_err(|error| {
            let failure = Failure::damaged(error).in_file(&file.path);
            failure.at(listed.first_entry())
        })?;
        if let Some(hash) = wrong {
            let tile = listed.tile;
            let what = match tile.level {
                0 => format!("its hash {hash} is not this entry's leaf hash"),
                _ => format!("its hash {hash} is not the root of the tile below"),
            };
            let failure = Failure::damaged(what).in_file(file.path);
            self.suspect(tile.level, tile.first_entry(hash), failure);
        }
        Ok(())
    }

    fn compare_bundle(&mut self, listed: &Listed, leaves: &[Hash]) -> Result<(), Failure> {
        let file = self.listing.read(*listed)?;
        let (width, known) = (u64::from(file.width), leaves.len() as u64);
        let same = same_entries(&file.bytes, leaves);
        let what = match file.entries(FULL) {
            // The leaves so far do not show whether the bundle's further entries are right.
            _ if same == known && width > known => return Ok(()),
            Ok(_) if same >= width => return Ok(()),
            Ok(_) => "holds another entry here".to_owned(),
            Err(error) => error.to_string(),
        };
        // If all known entries are right, the fault is at the bundle's end: report the last entry.
        let index = listed.first_entry() + same.min(known.saturating_sub(1));
        self.suspect(0, index, Failure::damaged(what).in_file(file.path));
        Ok(())
    }
}

/// How many entries at the start of a bundle have these leaf hashes.
fn same_entries(bundle: &[u8], leaves: &[Hash]) -> u64 {
    let mut rest = bundle;
    let entries = std::iter::from_fn(|| {
        let (entry, behind) = first_entry(rest)?;
        rest = behind;
        Some(entry)
    });
    let same = entries.zip(leaves);
    same.take_while(|(entry, hash)| leaf(entry) == **hash)
        .count() as u64
}
