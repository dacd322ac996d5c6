//! Reads tiles and bundles of a log, and verifies each under the checkpoint before its use.
//!
//! The hashes of the partial tiles give the checkpoint's root. The root of a full tile is a hash of
//! the tile above it. The leaf tile has the hash of each entry of its bundle.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::files::{Files, MAX_TILE_BYTES, TileFile};
use super::{MissingRange, WIDTH};
use crate::audit::entry::EntryHead;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, leaf, root_of};
use crate::audit::log::proof::{self, HashReader};
use crate::audit::log::tiles::{Bundle, FULL, Frontier, LEVELS, MAX_BUNDLE_BYTES, Tile, hashes_at};
use crate::clock::Time;

/// The hashes of a tile.
type Hashes = Arc<Vec<Hash>>;

/// A reader of the entries under one checkpoint; each thread uses its own.
#[derive(Debug)]
pub(crate) struct Reader {
    files: Arc<dyn Files>,
    size: u64,
    /// The partial tile of each level. Their root is the checkpoint's.
    partial: Vec<Hashes>,
    /// The most recently used full tile of each level.
    full: RefCell<HashMap<u8, (u64, Hashes)>>,
}

/// Another reader of the same log, with a cache of its own.
impl Clone for Reader {
    fn clone(&self) -> Self {
        Self {
            files: Arc::clone(&self.files),
            size: self.size,
            partial: self.partial.clone(),
            full: RefCell::default(),
        }
    }
}

impl Reader {
    /// Reads the partial tiles and compares their root with the checkpoint's. Without a checkpoint,
    /// the reader has no entries.
    pub(super) fn open(
        files: Arc<dyn Files>,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self, MissingRange> {
        let mut reader = Self {
            files,
            size: checkpoint.map_or(0, |checkpoint| checkpoint.size),
            partial: Vec::new(),
            full: RefCell::default(),
        };
        let Some(checkpoint) = checkpoint else {
            return Ok(reader);
        };
        let mut partial = Vec::new();
        for level in 0..LEVELS {
            let index = hashes_at(level, reader.size) / WIDTH;
            let tile = Tile::at(level, index, reader.size);
            let hashes = tile.map(|tile| reader.hashes(tile)).transpose()?;
            partial.push(hashes.unwrap_or_default());
        }
        let edge = Frontier::of(reader.size, partial.iter().cloned());
        if edge.root() != checkpoint.root {
            let what = "the tiles do not have the root that the checkpoint signs";
            return Err(MissingRange::damaged(what));
        }
        reader.partial = partial.into_iter().map(Arc::new).collect();
        Ok(reader)
    }

    /// Verifies all entries of a bundle against the tree, and passes them to `each` with their
    /// hashes. An error names the first entry that is missing, altered or unreadable.
    pub(crate) fn bundle<T>(
        &self,
        index: u64,
        each: impl FnOnce(&[&[u8]], &[Hash]) -> T,
    ) -> Result<T, MissingRange> {
        let bundle = Bundle::at(index, self.size).ok_or_else(|| {
            MissingRange::damaged("the checkpoint does not cover it").at(index * WIDTH)
        })?;
        let hashes = self.tile(0, index)?;
        let first = bundle.first_entry();
        let file = self.file(bundle.path(), bundle.width, MAX_BUNDLE_BYTES, first)?;
        let damaged = |what: &str, index| MissingRange::damaged(what).at(index).in_file(&file.path);
        let entries = file
            .entries(bundle.width)
            .map_err(|error| damaged(&error.to_string(), first))?;
        for (place, (entry, hash)) in (first..).zip(entries.iter().zip(&*hashes)) {
            if leaf(entry) != *hash {
                let what = "altered: it is not the entry whose hash is in the tree";
                return Err(damaged(what, place));
            }
        }
        Ok(each(&entries, &hashes))
    }

    /// The entry with this index.
    pub(crate) fn entry(&self, index: u64) -> Result<Vec<u8>, MissingRange> {
        let at = usize::try_from(index % WIDTH).unwrap_or(usize::MAX);
        let entry = |entries: &[&[u8]], _: &[_]| entries.get(at).map(|entry| entry.to_vec());
        self.bundle(index / WIDTH, entry)?
            .ok_or_else(|| MissingRange::damaged("the checkpoint does not cover it").at(index))
    }

    /// The time of a bundle's first entry; `None` if the bundle is unreadable.
    pub(super) fn begins_at(&self, bundle: u64) -> Option<Time> {
        let time = |entries: &[&[u8]], _: &[_]| {
            let head = EntryHead::decode(entries.first()?).ok()?;
            Time::parse(&head.time)
        };
        self.bundle(bundle, time).ok()?
    }

    /// The root of the log at an earlier size.
    pub(crate) fn root_at(&self, size: u64) -> Result<Hash, MissingRange> {
        proof::root_at(size, self).map_err(unproved)
    }

    /// The partial tiles of the log at an earlier size.
    pub(crate) fn frontier(&self, size: u64) -> Result<Frontier, MissingRange> {
        Frontier::read(size, self).map_err(unproved)
    }

    /// The path from an entry to the checkpoint's root.
    pub(super) fn inclusion(&self, index: u64) -> Result<Vec<Hash>, MissingRange> {
        proof::inclusion(index, self.size, self).map_err(unproved)
    }

    /// The hashes of a tile of this log, verified by the tile above it.
    fn tile(&self, level: u8, index: u64) -> Result<Hashes, MissingRange> {
        let none = || MissingRange::damaged("the log has no such tile");
        let tile = Tile::at(level, index, self.size).ok_or_else(none)?;
        if tile.width < FULL {
            let partial = self.partial.get(usize::from(level));
            return partial.map(Arc::clone).ok_or_else(none);
        }
        if let Some((_, hashes)) = self
            .full
            .borrow()
            .get(&level)
            .filter(|(at, _)| *at == index)
        {
            return Ok(Arc::clone(hashes));
        }
        let hashes = Arc::new(self.hashes(tile)?);
        let above = self.tile(level + 1, index / WIDTH)?;
        let wanted = usize::try_from(index % WIDTH)
            .ok()
            .and_then(|at| above.get(at));
        if wanted != Some(&root_of(&hashes)) {
            let what = "altered: its root is not in the tile above";
            let altered = MissingRange::damaged(what).in_file(tile.path());
            return Err(altered.at(tile.first_entry(0)));
        }
        let mut full = self.full.borrow_mut();
        full.insert(level, (index, Arc::clone(&hashes)));
        Ok(hashes)
    }

    /// A tile's hashes, not verified.
    fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, MissingRange> {
        let first = tile.first_entry(0);
        let file = self.file(tile.path(), tile.width, MAX_TILE_BYTES, first)?;
        file.hashes(tile.width).map_err(|error| {
            MissingRange::damaged(error.to_string())
                .at(first)
                .in_file(file.path)
        })
    }

    fn file(
        &self,
        path: String,
        width: u16,
        max_bytes: usize,
        first: u64,
    ) -> Result<TileFile, MissingRange> {
        let read = |path: &str| {
            let bytes = self.files.file(path, max_bytes);
            bytes.map_err(|error: io::Error| MissingRange::unread(path, &error).at(first))
        };
        let missing = || MissingRange::damaged("is missing").at(first).in_file(&path);
        TileFile::read(path.clone(), width, read)?.ok_or_else(missing)
    }
}

impl HashReader for Reader {
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash> {
        let tile = self.tile(level, index / WIDTH).map_err(io::Error::other)?;
        let hash = tile.get((index % WIDTH) as usize).copied();
        hash.ok_or_else(|| io::Error::other(format!("there is no hash {index} of level {level}")))
    }
}

/// The fault of the tile that made a proof fail.
fn unproved(error: io::Error) -> MissingRange {
    let other = |error: io::Error| MissingRange::damaged(error.to_string());
    error.downcast().unwrap_or_else(other)
}
