//! Computes the tree from the entries, and compares every tile and bundle with it.
//!
//! If two of them differ, the root at the checkpoint's size decides which one is wrong. Until the
//! pass reaches that size, the tree keeps the difference as a [`Suspect`]. Holds at most one
//! bundle.

use super::Failure;
use super::listing::Listing;
use crate::audit::disk::names::CHECKPOINT;
use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{
    Bundle, FULL, Frontier, MAX_BUNDLE_BYTES, Tile, hashes_at, push_entry,
};
use crate::audit::read::WIDTH;
use crate::audit::read::files::MAX_TILE_BYTES;

/// A file or an entry that differs from the entries that were read.
#[derive(Debug)]
struct Suspect {
    /// The level of the hash, 0 for leaves and entries. The lowest level is nearest to the fault.
    level: u8,
    /// The first entry under the hash.
    index: u64,
    /// The failure, if the entries are right.
    failure: Failure,
}

/// The tree over the entries so far.
#[derive(Debug)]
pub(super) struct Tree<'f> {
    listing: &'f Listing,
    frontier: Frontier,
    /// The bundle that the entries fill, in its encoding on disk.
    bundle: Vec<u8>,
    /// The end of each of its entries.
    ends: Vec<usize>,
    suspect: Option<Suspect>,
    /// The bundle from which the next entries were read, so a comparison with it is not needed.
    taken: Option<Bundle>,
}

impl<'f> Tree<'f> {
    pub(super) fn new(listing: &'f Listing) -> Self {
        Self {
            listing,
            frontier: Frontier::default(),
            bundle: Vec::new(),
            ends: Vec::new(),
            suspect: None,
            taken: None,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Checks that no file differs from the entries, if their root is right.
    pub(super) fn agrees(&self) -> Result<(), Failure> {
        match &self.suspect {
            Some(suspect) => Err(suspect.failure.clone()),
            None => Ok(()),
        }
    }

    /// The failure if the entries do not give the root that the checkpoint of this size signs: the
    /// first difference from the tiles.
    pub(super) fn not_as_signed(&self, size: u64) -> Failure {
        let Some(Suspect { index, failure, .. }) = &self.suspect else {
            let what =
                format!("its root is not that of the {size} entries, which agree with all tiles");
            return Failure::damaged(what).in_file(CHECKPOINT);
        };
        let witness = failure.file.as_deref().unwrap_or("the journal");
        let what = format!(
            "the entry is not the one that was signed: {witness} disagrees, and the entries do not give the checkpoint's root"
        );
        let bundle = Bundle::at(index / WIDTH, size);
        let path = bundle.map_or_else(String::new, |read| self.listing.bundle_of(read).path());
        Failure::damaged(what).in_file(path).at(*index)
    }

    /// Announces that the next entries are exactly those of this bundle.
    pub(super) fn take(&mut self, bundle: Bundle) {
        self.taken = Some(bundle);
    }

    /// Keeps a difference at an entry: the one with the lowest level, and of these the one with the
    /// first entry.
    pub(super) fn suspect(&mut self, level: u8, index: u64, failure: Failure) {
        let now = self.suspect.as_ref().map(|s| (s.level, s.index));
        if now.is_none_or(|now| (level, index) < now) {
            self.suspect = Some(Suspect {
                level,
                index,
                failure: failure.at(index),
            });
        }
    }

    /// Adds the next entry, and compares the tiles and the bundle that it fills.
    pub(super) fn push(&mut self, entry: &[u8], leaf: Hash) -> Result<(), Failure> {
        let index = self.frontier.size();
        push_entry(&mut self.bundle, entry)
            .map_err(|error| Failure::damaged(error.to_string()).at(index))?;
        self.ends.push(self.bundle.len());
        for (tile, hashes) in self.frontier.push(leaf) {
            self.judge_tile(tile, &hashes)?;
        }
        if self.ends.len() as u64 == WIDTH {
            self.judge_bundle(index / WIDTH)?;
            self.bundle.clear();
            self.ends.clear();
        }
        Ok(())
    }

    /// Compares the partial tiles and the partial bundle at the right edge, as far as the entries
    /// reach.
    pub(super) fn judge_edge(&mut self) -> Result<(), Failure> {
        for (tile, hashes) in self.frontier.partial() {
            self.judge_tile(tile, &hashes)?;
        }
        if !self.ends.is_empty() {
            self.judge_bundle(self.frontier.size() / WIDTH)?;
        }
        Ok(())
    }

    /// Checks that no tile or bundle continues past the last entry.
    pub(super) fn ends_here(&self) -> Result<(), Failure> {
        let size = self.frontier.size();
        let beyond = |path: String, first: u64| {
            let what = format!("reaches beyond the last entry: the log has {size} entries");
            Err(Failure::damaged(what).in_file(path).at(first.max(size)))
        };
        let end = |index: u64, width: u16| index.saturating_mul(WIDTH).saturating_add(width.into());
        let mut bundles = self.listing.bundles.iter();
        if let Some(bundle) = bundles.find(|b| end(b.index, b.width) > size) {
            return beyond(bundle.path(), bundle.first_entry());
        }
        let mut tiles = self.listing.tiles.iter();
        if let Some(tile) = tiles.find(|t| end(t.index, t.width) > hashes_at(t.level, size)) {
            return beyond(tile.path(), tile.first_entry(0));
        }
        Ok(())
    }

    /// Compares every tile at this place with the right hashes.
    fn judge_tile(&mut self, place: Tile, hashes: &[Hash]) -> Result<(), Failure> {
        let listing = self.listing;
        for tile in listing.tiles(place.level, place.index) {
            let file = listing.read(tile.path(), tile.width, MAX_TILE_BYTES)?;
            let wrong = file.first_wrong(hashes).map_err(|error| {
                Failure::damaged(error.to_string())
                    .in_file(&file.path)
                    .at(tile.first_entry(0))
            })?;
            if let Some(hash) = wrong {
                let what = match tile.level {
                    0 => format!("its hash {hash} is not this entry's leaf hash"),
                    _ => format!("its hash {hash} is not the root of the tile below"),
                };
                let failure = Failure::damaged(what).in_file(file.path);
                self.suspect(tile.level, tile.first_entry(hash), failure);
            }
        }
        Ok(())
    }

    /// Compares every bundle at this index with the right entries.
    fn judge_bundle(&mut self, place: u64) -> Result<(), Failure> {
        let (listing, taken) = (self.listing, self.taken);
        let others = listing.bundles(place).iter();
        for bundle in others.filter(|bundle| Some(**bundle) != taken) {
            let file = listing.read(bundle.path(), bundle.width, MAX_BUNDLE_BYTES)?;
            let known = self.ends.len().min(usize::from(file.width));
            let end = self.ends.get(known.saturating_sub(1)).copied().unwrap_or(0);
            let is_whole = usize::from(file.width) > known || file.bytes.len() == end;
            if is_whole && file.bytes.get(..end) == self.bundle.get(..end) {
                continue;
            }
            let same = self.same_entries(&file.bytes);
            let failure = match file.entries(FULL) {
                Err(error) => Failure::damaged(error.to_string()),
                Ok(_) => Failure::damaged("holds another entry here"),
            };
            self.suspect(0, place * WIDTH + same as u64, failure.in_file(&file.path));
        }
        Ok(())
    }

    /// How many entries at the start of these bytes equal those of the bundle that the entries
    /// fill.
    fn same_entries(&self, bytes: &[u8]) -> usize {
        let mut from = 0;
        let is_other = |end: &usize| {
            let same = bytes.get(from..*end) == self.bundle.get(from..*end);
            from = *end;
            !same
        };
        let first = self.ends.iter().position(is_other);
        first.unwrap_or(self.ends.len().saturating_sub(1))
    }
}
