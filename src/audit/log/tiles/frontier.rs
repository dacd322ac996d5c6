//! The right edge of the log's tiles, to append to: the partial tile of each level.

use std::io;

use super::super::merkle::{Hash, Root, root_of, root_over};
use super::super::proof::HashReader;
use super::{FULL, LEVELS, Tile, hashes_at};

/// The partial tiles at one size: at most 8 levels of 255 hashes, 64 KiB in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    /// Each level's hashes after its last full tile, at most 255.
    levels: [Vec<Hash>; LEVELS as usize],
}

impl Frontier {
    /// Reads the frontier from the tiles of a log of this size.
    pub(crate) fn read(size: u64, reader: &dyn HashReader) -> io::Result<Self> {
        let partial = (0..LEVELS).map(|level| {
            let all = hashes_at(level, size);
            let partial = all % u64::from(FULL);
            reader.hashes(level, all - partial, partial)
        });
        let partial: Vec<_> = partial.collect::<io::Result<_>>()?;
        Ok(Self::of(size, partial.into_iter()))
    }

    /// Builds the frontier from the hashes of each level's partial tile, lowest level first.
    pub(crate) fn of(size: u64, mut partial: impl Iterator<Item = Vec<Hash>>) -> Self {
        let levels = std::array::from_fn(|_| partial.next().unwrap_or_default());
        Self { size, levels }
    }

    /// The frontier at an earlier size. If a tile that was partial then is full now, its hashes are
    /// gone and the result is wrong.
    pub(crate) fn back_to(&self, size: u64) -> Self {
        let partial = (0..LEVELS).zip(&self.levels).map(|(level, hashes)| {
            let held = hashes_at(level, size) % u64::from(FULL);
            let held = usize::try_from(held).unwrap_or(usize::MAX);
            hashes.iter().take(held).copied().collect()
        });
        Self::of(size, partial)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf. Returns the tiles that it fills, lowest level first.
    pub(crate) fn push(&mut self, leaf: Hash) -> Vec<(Tile, Vec<Hash>)> {
        self.size += 1;
        let mut filled = Vec::new();
        let mut hash = leaf;
        for (level, hashes) in (0..LEVELS).zip(&mut self.levels) {
            hashes.push(hash);
            if hashes.len() < usize::from(FULL) {
                break;
            }
            let index = hashes_at(level + 1, self.size).saturating_sub(1);
            let full = std::mem::take(hashes);
            hash = root_of(&full);
            filled.extend(Tile::at(level, index, self.size).map(|tile| (tile, full)));
        }
        filled
    }

    /// The partial tiles, lowest level first.
    pub(crate) fn partial(&self) -> Vec<(Tile, Vec<Hash>)> {
        let partial = |(level, hashes): (u8, &Vec<Hash>)| {
            let index = hashes_at(level, self.size) / u64::from(FULL);
            Some((Tile::at(level, index, self.size)?, hashes.clone()))
        };
        (0..LEVELS).zip(&self.levels).filter_map(partial).collect()
    }

    pub(crate) fn root(&self) -> Hash {
        // Lower levels are to the right of higher ones.
        let subtrees = self.levels.iter().flat_map(|hashes| {
            let mut level = Root::default();
            for hash in hashes {
                level.push(*hash);
            }
            level.into_peaks().into_iter().rev()
        });
        root_over(subtrees)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::proof::test_tree::{Tree, leaves};

    #[test]
    fn the_root_is_that_of_all_leaves_at_each_size() {
        let mut frontier = Frontier::default();
        let mut root = Root::default();
        assert_eq!(frontier.root(), root.root());
        for leaf in leaves(70_000) {
            frontier.push(leaf);
            root.push(leaf);
            if frontier.size() < 1_030
                || frontier.size() % 509 == 0
                || frontier.size() > 65_530 && frontier.size() < 65_540
            {
                assert_eq!(frontier.root(), root.root(), "{} leaves", frontier.size());
            }
        }
    }

    #[test]
    fn every_tile_of_the_size_is_seen_once() {
        let tree = Tree::of(66_000);
        let mut frontier = Frontier::default();
        let mut seen: Vec<(Tile, Vec<Hash>)> = leaves(66_000)
            .flat_map(|leaf| frontier.push(leaf))
            .collect();
        seen.extend(frontier.partial());
        seen.sort_unstable();
        let wanted: Vec<_> = super::super::tiles_at(66_000)
            .map(|tile| (tile, tree.tile(tile)))
            .collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn it_goes_back_while_no_partial_tile_has_filled() {
        let at = |size| Frontier::read(size, &Tree::of(size)).unwrap();
        for (now, before) in [
            (66_000, &[0, 65_536, 65_792, 65_999][..]),
            (65_535, &[0, 256, 65_280, 65_534]),
        ] {
            let frontier = at(now);
            for size in before {
                assert_eq!(frontier.back_to(*size), at(*size), "{now} to {size}");
            }
        }
    }

    #[test]
    fn it_is_read_back_from_tiles() {
        let mut frontier = Frontier::default();
        for (size, leaf) in (1..=1_100).zip(leaves(1_100)) {
            frontier.push(leaf);
            assert_eq!(
                Frontier::read(size, &Tree::of(size)).unwrap(),
                frontier,
                "{size}"
            );
        }
    }
}
