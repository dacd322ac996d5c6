//! A tree in memory, for tests, with each level's hashes by definition.

use super::super::tiles::{FULL, Tile};
use super::*;

/// The first leaves of the published vectors; entry `i` is the text `entry i`.
pub(crate) fn leaves(size: u64) -> impl Iterator<Item = Hash> {
    (0..size).map(|i| leaf(format!("entry {i}").as_bytes()))
}

/// All hashes, by level.
pub(crate) struct Tree(Vec<Vec<Hash>>);

impl Tree {
    /// The tree of the first `size` leaves.
    pub(crate) fn of(size: u64) -> Self {
        let mut levels = vec![leaves(size).collect::<Vec<_>>()];
        while let Some(below) = levels.last().filter(|below| below.len() >= 256) {
            let full = below.as_chunks::<{ FULL as usize }>().0;
            levels.push(full.iter().map(|tile| root_of(tile)).collect());
        }
        Self(levels)
    }

    /// The leaves.
    pub(crate) fn leaves(&self) -> &[Hash] {
        &self.0[0]
    }

    /// A tile's hashes.
    pub(crate) fn tile(&self, tile: Tile) -> Vec<Hash> {
        let first = tile.index as usize * 256;
        self.0[usize::from(tile.level)][first..first + usize::from(tile.width)].to_vec()
    }
}

impl HashReader for Tree {
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash> {
        self.0
            .get(usize::from(level))
            .and_then(|hashes| hashes.get(index as usize))
            .copied()
            .ok_or_else(|| io::Error::other(format!("no hash {index} on level {level}")))
    }
}
