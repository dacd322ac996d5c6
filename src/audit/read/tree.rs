//! The log's tree, hash tile by hash tile, each found right under the checkpoint before it is used.
//!
//! The hashes of the partial tiles give the root. A full tile's own root is a hash of the tile above it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::Hole;
use super::files::Files;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, root_of};
use crate::audit::log::proof::{HashReader, root_at};
use crate::audit::log::tiles;
use crate::audit::log::tiles::{FULL, LEVELS, Tile, decode_tile, hashes_at};

/// A full tile's bytes.
const TILE_BYTES: usize = FULL as usize * 32;
const TILE: u64 = FULL as u64;

/// The tree of one checkpoint; clones have caches of their own.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    files: Arc<dyn Files>,
    size: u64,
    /// The partial tile of each level, where it has one: judged by the root.
    partial: Arc<Vec<Option<Vec<Hash>>>>,
    /// The full tile of each level that was used last.
    full: HashMap<u8, (u64, Arc<Vec<Hash>>)>,
}

impl Tree {
    /// Reads the partial tiles and compares their root with the checkpoint's.
    pub(super) fn open(files: Arc<dyn Files>, checkpoint: &Checkpoint) -> Result<Self, Hole> {
        let size = checkpoint.size;
        let mut partial = vec![None; usize::from(LEVELS)];
        for level in 0..LEVELS {
            let hashes = hashes_at(level, size);
            if !hashes.is_multiple_of(TILE)
                && let Some(tile) = Tile::at(level, hashes / TILE, size)
            {
                let read = read(&*files, tile)?;
                if let Some(place) = partial.get_mut(usize::from(level)) {
                    *place = Some(read);
                }
            }
        }
        let frontier = Frontier(&partial);
        let root = root_at(size, &frontier).map_err(|e| Hole::damaged(None, e.to_string()))?;
        if root != checkpoint.root {
            let what = "the tiles do not have the root that the checkpoint signs";
            return Err(Hole::damaged(None, what));
        }
        Ok(Self {
            files,
            size,
            partial: Arc::new(partial),
            full: HashMap::new(),
        })
    }

    /// The hashes of a tile of this log, found right.
    pub(super) fn tile(&mut self, level: u8, index: u64) -> Result<Arc<Vec<Hash>>, Hole> {
        let tile = Tile::at(level, index, self.size);
        let tile = tile.ok_or_else(|| Hole::damaged(None, "the log has no such tile"))?;
        if tile.width < FULL {
            let partial = self.partial.get(usize::from(level)).cloned().flatten();
            return partial
                .map(Arc::new)
                .ok_or_else(|| Hole::damaged(None, format!("{} was not read", tile.path())));
        }
        if let Some((_, hashes)) = self.full.get(&level).filter(|(at, _)| *at == index) {
            return Ok(Arc::clone(hashes));
        }
        let hashes = read(&*self.files, tile)?;
        let above = self.tile(level + 1, index / TILE)?;
        let wanted = usize::try_from(index % TILE)
            .ok()
            .and_then(|at| above.get(at));
        if wanted != Some(&root_of(&hashes)) {
            let what = format!(
                "{}: altered: its root is not in the tile above",
                tile.path()
            );
            return Err(Hole::damaged(first_entry(tile), what));
        }
        let hashes = Arc::new(hashes);
        self.full.insert(level, (index, Arc::clone(&hashes)));
        Ok(hashes)
    }
}

impl Tree {
    /// The root of the log when it had so many entries.
    pub(super) fn root_at(&mut self, size: u64) -> Result<Hash, Hole> {
        self.earlier(|tree| root_at(size, tree))
    }

    /// The partial tiles of the log when it had so many entries.
    pub(super) fn frontier(&mut self, size: u64) -> Result<tiles::Frontier, Hole> {
        self.earlier(|tree| tiles::Frontier::read(size, tree))
    }

    fn earlier<T>(
        &mut self,
        make: impl FnOnce(&dyn HashReader) -> io::Result<T>,
    ) -> Result<T, Hole> {
        let earlier = Earlier(RefCell::new((self, None)));
        let made = make(&earlier);
        match (made, earlier.0.into_inner().1) {
            (Ok(made), _) => Ok(made),
            (Err(_), Some(hole)) => Err(hole),
            (Err(error), None) => Err(Hole::damaged(None, error.to_string())),
        }
    }
}

/// The tree as the makers of proofs read it; keeps the hole that was met.
struct Earlier<'t>(RefCell<(&'t mut Tree, Option<Hole>)>);

impl HashReader for Earlier<'_> {
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash> {
        let (tree, met) = &mut *self.0.borrow_mut();
        let none = || io::Error::other(format!("there is no hash {index} of level {level}"));
        match tree.tile(level, index / TILE) {
            Ok(hashes) => {
                let at = usize::try_from(index % TILE).map_err(|_| none())?;
                hashes.get(at).copied().ok_or_else(none)
            }
            Err(hole) => {
                *met = Some(hole);
                Err(none())
            }
        }
    }
}

/// The first entry under a tile.
fn first_entry(tile: Tile) -> Option<u64> {
    let first = tile.index.checked_mul(TILE)?;
    first.checked_mul(TILE.checked_pow(u32::from(tile.level))?)
}

/// A tile's hashes as they stand in its file; of the full one where the partial one is gone.
fn read(files: &dyn Files, tile: Tile) -> Result<Vec<Hash>, Hole> {
    let full = Tile {
        width: FULL,
        ..tile
    };
    for candidate in [tile, full] {
        let path = candidate.path();
        let bytes = files
            .file(&path, TILE_BYTES)
            .map_err(|error| Hole::unread(first_entry(tile), &path, &error))?;
        let Some(bytes) = bytes else { continue };
        let mut hashes = decode_tile(&bytes, candidate.width)
            .map_err(|error| Hole::damaged(first_entry(tile), format!("{path}: {error}")))?;
        hashes.truncate(usize::from(tile.width));
        return Ok(hashes);
    }
    let what = format!("{} is missing", tile.path());
    Err(Hole::damaged(first_entry(tile), what))
}

/// The hashes that make the root: they stand in the partial tiles alone.
struct Frontier<'p>(&'p [Option<Vec<Hash>>]);

impl HashReader for Frontier<'_> {
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash> {
        let partial = self.0.get(usize::from(level)).and_then(Option::as_ref);
        let at = usize::try_from(index % TILE).unwrap_or(usize::MAX);
        let hash = partial.and_then(|hashes| hashes.get(at));
        hash.copied().ok_or_else(|| {
            io::Error::other(format!(
                "hash {index} of level {level} is not in a partial tile"
            ))
        })
    }
}
