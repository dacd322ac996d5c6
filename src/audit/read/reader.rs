//! Reads tiles and bundles of a log, and verifies each of them under the checkpoint before its use.
//!
//! The partial tiles must give the checkpoint's root. The root of each full tile must be a hash in the
//! tile above it. The hash of each entry must be in the tile of level 0.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::files::{Files, MAX_TILE_BYTES, TileFile};
use super::{MissingRange, WIDTH};
use crate::audit::entry::{Entry, EntryHead};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{self, Hash, HashReader, leaf, root_of};
use crate::audit::log::tiles::{
    Bundle, FULL, Frontier, LEVELS, MAX_BUNDLE_BYTES, Tile, first_entry, hashes_at,
};

/// The index and the bytes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Raw {
    pub(crate) fn leaf(&self) -> Hash {
        leaf(&self.bytes)
    }

    /// Decodes the entry. Fails if this version cannot decode it.
    pub(crate) fn decode(&self) -> Result<Entry, MissingRange> {
        Entry::decode(&self.bytes).map_err(|what| MissingRange::damaged(what).only(self.index))
    }

    /// The index of the deletion's first intent, if the entry is an intent, an outcome or a read-back.
    pub(crate) fn deletion(&self) -> Option<u64> {
        let head = EntryHead::decode(&self.bytes).ok()?;
        head.summary.deletion(self.index)
    }
}

/// The index and the bytes of a verified entry, or a range of entries that is altered or missing.
pub(super) type Part<'b> = Result<(u64, &'b [u8]), MissingRange>;

type Hashes = Arc<Vec<Hash>>;

/// A reader of the entries under one checkpoint.
#[derive(Debug)]
pub(crate) struct Reader {
    files: Arc<dyn Files>,
    size: u64,
    /// The hashes of each level's partial tile. Together, they give the checkpoint's root.
    partial: Vec<Hashes>,
    /// For each level: the index and the hashes of the full tile that was read last.
    full: Mutex<HashMap<u8, (u64, Hashes)>>,
    on_damage: OnDamage,
    /// The faults of the tiles that the reader mended (see [`OnDamage::Mend`]).
    mended: Mutex<Vec<MissingRange>>,
    /// The faults of the tiles above level 0 that nothing could mend, by level and index. Without them, the
    /// reader would try to mend such a tile for every bundle below it.
    failed: Mutex<HashMap<(u8, u64), MissingRange>>,
}

/// The most tiles in [`Reader::failed`].
const MOST_FAILED_TILES: usize = 1_024;

/// What a [`Reader`] does about a tile that is missing, altered or unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDamage {
    /// Every use of the tile fails.
    Fail,
    /// Computes the tile's hashes from the level below, and verifies them as if the tile's file held
    /// them.
    Mend,
}

impl Reader {
    /// Reads the partial tiles and compares their root with the checkpoint's. Without a checkpoint,
    /// the reader has no entries.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        checkpoint: Option<&Checkpoint>,
        on_damage: OnDamage,
    ) -> Result<Self, MissingRange> {
        let mut reader = Self {
            files,
            size: checkpoint.map_or(0, |checkpoint| checkpoint.size),
            partial: Vec::new(),
            full: Mutex::default(),
            on_damage,
            mended: Mutex::default(),
            failed: Mutex::default(),
        };
        let right = |partial: &[Vec<Hash>]| {
            let root = Frontier::of(reader.size, partial.iter().cloned()).root();
            checkpoint.is_none_or(|checkpoint| checkpoint.root == root)
        };
        let found = reader
            .partial(|tile| reader.hashes(tile))
            .and_then(|found| {
                let what = "the tiles do not have the root that the checkpoint signs";
                right(&found)
                    .then_some(found)
                    .ok_or_else(|| MissingRange::damaged(what))
            });
        let below = |fault: &MissingRange| {
            let below = reader.partial(|tile| reader.below(tile).ok_or_else(|| fault.clone()));
            below.ok().filter(|below| right(below))
        };
        let partial = reader.or_mend(found, below)?;
        reader.partial = partial.into_iter().map(Arc::new).collect();
        Ok(reader)
    }

    /// The hashes of each level's partial tile, lowest level first.
    fn partial(
        &self,
        hashes: impl Fn(Tile) -> Result<Vec<Hash>, MissingRange>,
    ) -> Result<Vec<Vec<Hash>>, MissingRange> {
        let at = |level| Tile::at(level, hashes_at(level, self.size) / WIDTH, self.size);
        let levels = (0..LEVELS).map(|level| at(level).map_or(Ok(Vec::new()), &hashes));
        levels.collect()
    }

    /// Returns `found` if it is no fault. If it is a fault and this reader mends tiles, calls `below`;
    /// if that succeeds, notes the fault and returns the mended value.
    fn or_mend<T>(
        &self,
        found: Result<T, MissingRange>,
        below: impl FnOnce(&MissingRange) -> Option<T>,
    ) -> Result<T, MissingRange> {
        found.or_else(|fault| {
            let mended = match self.on_damage {
                OnDamage::Fail => None,
                OnDamage::Mend => below(&fault),
            };
            let mended = mended.ok_or_else(|| fault.clone())?;
            let faults = &mut *self.mended.lock().unwrap_or_else(PoisonError::into_inner);
            // The fault hides no entry, because the tile was mended.
            let (index, end) = (None, None);
            faults.push(MissingRange {
                index,
                end,
                ..fault
            });
            Ok(mended)
        })
    }

    /// Takes the faults that were mended since the last call.
    pub(super) fn take_mended(&self) -> Vec<MissingRange> {
        std::mem::take(&mut *self.mended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Computes the hashes of a tile of level 0 from the entries, and the hashes of any other tile from
    /// the tiles below it. Does not verify the hashes.
    fn below(&self, tile: Tile) -> Option<Vec<Hash>> {
        let Some(level) = tile.level.checked_sub(1) else {
            let bundle = Bundle::at(tile.index, self.size)?;
            let first = bundle.first_entry();
            let file = self.file(bundle.path(), bundle.width, MAX_BUNDLE_BYTES, first);
            let file = file.ok()?;
            let entries = file.entries(bundle.width).ok()?;
            return Some(entries.into_iter().map(leaf).collect());
        };
        let first = tile.index.checked_mul(WIDTH)?;
        let children = (first..).take(tile.width.into());
        let root = |index| {
            Some(root_of(
                &self.hashes(Tile::at(level, index, self.size)?).ok()?,
            ))
        };
        children.map(root).collect()
    }

    /// Verifies a bundle against the tree and passes its parts to `each` in order. A part is an entry whose
    /// hash is in the tree, or a range of entries that is altered or missing. If the bundle's leaf hashes or
    /// its file cannot be read, the error names all entries of the bundle.
    pub(super) fn parts<T>(
        &self,
        index: u64,
        each: impl FnOnce(Vec<Part<'_>>) -> T,
    ) -> Result<T, MissingRange> {
        let first = index.saturating_mul(WIDTH);
        let bundle = Bundle::at(index, self.size).ok_or_else(|| not_covered(first))?;
        let end = first + u64::from(bundle.width);
        let all = |missing: MissingRange| missing.at(first).until(end);
        let hashes = self.tile(0, index).map_err(all)?;
        let file = self.file(bundle.path(), bundle.width, MAX_BUNDLE_BYTES, first);
        let file = file.map_err(all)?;
        let damaged = |what: &str| MissingRange::damaged(what).in_file(&file.path);
        let mut rest = &*file.bytes;
        let mut parts = Vec::with_capacity(hashes.len());
        for (place, hash) in (first..).zip(&*hashes) {
            let Some((entry, behind)) = first_entry(rest) else {
                parts.push(Err(damaged("the bundle ends too early")
                    .at(place)
                    .until(end)));
                break;
            };
            rest = behind;
            parts.push(match leaf(entry) == *hash {
                true => Ok((place, entry)),
                false => {
                    let what = "altered: it is not the entry whose hash is in the tree";
                    Err(damaged(what).only(place))
                }
            });
        }
        if let Err(error) = file.entries(bundle.width)
            && parts.iter().all(Result::is_ok)
        {
            // The fault is after the last entry and hides no entry.
            parts.push(Err(damaged(&error.to_string())));
        }
        Ok(each(parts))
    }

    /// Like [`Self::parts`], for callers that need all entries of the bundle. Fails with the first
    /// missing range.
    pub(crate) fn bundle<T>(
        &self,
        index: u64,
        each: impl FnOnce(&[&[u8]]) -> T,
    ) -> Result<T, MissingRange> {
        self.parts(index, |parts| {
            let entries = parts.into_iter().map(|part| part.map(|(_, entry)| entry));
            let entries: Vec<&[u8]> = entries.collect::<Result<_, _>>()?;
            Ok(each(&entries))
        })?
    }

    pub(crate) fn entry(&self, index: u64) -> Result<Raw, MissingRange> {
        self.parts(index / WIDTH, |parts| {
            for part in parts {
                match part {
                    Ok((place, entry)) if place == index => {
                        let bytes = entry.to_vec();
                        return Ok(Raw { index, bytes });
                    }
                    Err(missing) if missing.hides(index) => return Err(missing),
                    _ => {}
                }
            }
            Err(not_covered(index))
        })?
    }

    /// The root of the log at an earlier size.
    pub(crate) fn root_at(&self, size: u64) -> Result<Hash, MissingRange> {
        merkle::root_at(size, self).map_err(unproved)
    }

    /// The partial tiles of the log at an earlier size.
    pub(crate) fn frontier(&self, size: u64) -> Result<Frontier, MissingRange> {
        Frontier::read(size, self).map_err(unproved)
    }

    /// The path from an entry to the checkpoint's root.
    pub(super) fn inclusion(&self, index: u64) -> Result<Vec<Hash>, MissingRange> {
        merkle::inclusion(index, self.size, self).map_err(unproved)
    }

    /// The verified hashes of a tile. [`Self::open`] verified the partial tiles. A full tile is
    /// verified against the tile above it.
    fn tile(&self, level: u8, index: u64) -> Result<Hashes, MissingRange> {
        let none = || MissingRange::damaged("the log has no such tile");
        let tile = Tile::at(level, index, self.size).ok_or_else(none)?;
        if tile.width < FULL {
            let partial = self.partial.get(usize::from(level));
            return partial.map(Arc::clone).ok_or_else(none);
        }
        let full = || self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hashes)) = full().get(&level).filter(|(at, _)| *at == index) {
            return Ok(Arc::clone(hashes));
        }
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = failed().get(&(level, index)) {
            return Err(fault.clone());
        }
        let above = self.tile(level + 1, index / WIDTH)?;
        let root = above.get((index % WIDTH) as usize);
        let right = |hashes: &Vec<Hash>| root == Some(&root_of(hashes));
        let found = self.hashes(tile).and_then(|hashes| {
            let what = "altered: its root is not in the tile above";
            let altered = || MissingRange::damaged(what).in_file(tile.path());
            let altered = || altered().at(tile.first_entry(0));
            right(&hashes).then_some(hashes).ok_or_else(altered)
        });
        let below = |_: &MissingRange| self.below(tile).filter(right);
        let mended = self.or_mend(found, below).inspect_err(|fault| {
            let mut failed = failed();
            if level > 0 && failed.len() < MOST_FAILED_TILES {
                failed.insert((level, index), fault.clone());
            }
        });
        let hashes = Arc::new(mended?);
        full().insert(level, (index, Arc::clone(&hashes)));
        Ok(hashes)
    }

    /// Reads a tile's hashes from its file. Does not verify them.
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
            bytes.map_err(|error| MissingRange::unread(path, &error).at(first))
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

/// Converts the error of a hash computation into the fault of the tile that could not be read.
fn unproved(error: io::Error) -> MissingRange {
    let other = |error: io::Error| MissingRange::damaged(error.to_string());
    error.downcast().unwrap_or_else(other)
}

fn not_covered(index: u64) -> MissingRange {
    MissingRange::damaged("the checkpoint does not cover it").at(index)
}
