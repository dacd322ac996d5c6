//! The tree of one checkpoint. Verifies each tile under the checkpoint before its use.
//!
//! The hashes of the partial tiles give the root. The root of a full tile is a hash of the tile
//! above it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::MissingRange;
use super::tiles::TileReader;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, root_of};
use crate::audit::log::proof;
use crate::audit::log::proof::HashReader;
use crate::audit::log::tiles::{FULL, Frontier, LEVELS, Tile, hashes_at};

const TILE: u64 = FULL as u64;

/// The tree; each clone has its own cache.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    tiles: TileReader,
    /// The partial tiles, whose root is the checkpoint's.
    edge: Arc<Frontier>,
    /// The most recently used full tile of each level.
    full: HashMap<u8, (u64, Arc<Vec<Hash>>)>,
}

impl Tree {
    /// Reads the partial tiles and compares their root with the checkpoint's.
    pub(super) fn open(tiles: TileReader, checkpoint: &Checkpoint) -> Result<Self, MissingRange> {
        let size = checkpoint.size;
        let mut partial = Vec::new();
        for level in 0..LEVELS {
            let tile = Tile::at(level, hashes_at(level, size) / TILE, size);
            let hashes = tile.map(|tile| tiles.hashes(tile)).transpose()?;
            partial.push(hashes.unwrap_or_default());
        }
        let edge = Frontier::of(size, partial.into_iter());
        if edge.root() != checkpoint.root {
            let what = "the tiles do not have the root that the checkpoint signs";
            return Err(MissingRange::damaged(what));
        }
        Ok(Self {
            tiles,
            edge: Arc::new(edge),
            full: HashMap::new(),
        })
    }

    /// The hashes of a tile of this log.
    pub(super) fn tile(&mut self, level: u8, index: u64) -> Result<Arc<Vec<Hash>>, MissingRange> {
        let tile = Tile::at(level, index, self.edge.size())
            .ok_or_else(|| MissingRange::damaged("the log has no such tile"))?;
        if tile.width < FULL {
            return Ok(Arc::new(self.edge.level(level).to_vec()));
        }
        if let Some((_, hashes)) = self.full.get(&level).filter(|(at, _)| *at == index) {
            return Ok(Arc::clone(hashes));
        }
        let hashes = Arc::new(self.tiles.hashes(tile)?);
        let above = self.tile(level + 1, index / TILE)?;
        let wanted = usize::try_from(index % TILE)
            .ok()
            .and_then(|at| above.get(at));
        if wanted != Some(&root_of(&hashes)) {
            let what = "altered: its root is not in the tile above";
            let altered = MissingRange::damaged(what).in_file(tile.path());
            return Err(altered.at(tile.first_entry(0)));
        }
        self.full.insert(level, (index, Arc::clone(&hashes)));
        Ok(hashes)
    }

    /// The root of the log at an earlier size.
    pub(super) fn root_at(&mut self, size: u64) -> Result<Hash, MissingRange> {
        self.prove(|tree| proof::root_at(size, tree))
    }

    /// The partial tiles of the log at an earlier size.
    pub(super) fn frontier(&mut self, size: u64) -> Result<Frontier, MissingRange> {
        self.prove(|tree| Frontier::read(size, tree))
    }

    /// The path from an entry to the root.
    pub(super) fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, MissingRange> {
        let size = self.edge.size();
        self.prove(|tree| proof::inclusion(index, size, tree))
    }

    fn prove<T>(
        &mut self,
        make: impl FnOnce(&dyn HashReader) -> io::Result<T>,
    ) -> Result<T, MissingRange> {
        let hashes = Hashes(RefCell::new((self, None)));
        let made = make(&hashes);
        let met = hashes.0.into_inner().1;
        made.map_err(|error| met.unwrap_or_else(|| MissingRange::damaged(error.to_string())))
    }
}

/// The tree as a [`HashReader`]; keeps the first fault of a tile.
struct Hashes<'t>(RefCell<(&'t mut Tree, Option<MissingRange>)>);

impl HashReader for Hashes<'_> {
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
        let (tree, met) = &mut *self.0.borrow_mut();
        let tile = tree.tile(level, first / TILE).map_err(|missing| {
            let error = io::Error::other(missing.to_string());
            *met = Some(missing);
            error
        })?;
        let at = (first % TILE) as usize;
        let hashes = tile.get(at..at + count as usize);
        hashes
            .map(<[Hash]>::to_vec)
            .ok_or_else(|| io::Error::other(format!("there is no hash {first} of level {level}")))
    }
}
