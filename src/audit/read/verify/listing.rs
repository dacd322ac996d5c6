//! Lists every tile and bundle in the folder, partial ones included. It also lists files of other
//! programs: they do not belong to the log and are no fault.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use serde::Serialize;

use super::{Failure, Trouble};
use crate::audit::disk::names::{
    JOURNAL, TEMPORARY, TILES, is_own, is_own_in_journal, is_own_temporary,
};
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::tiles::{Bundle, FULL, Form, Tile, bundles_at, first_entry, form, tiles_at};
use crate::audit::read::files::{MAX_TILE_BYTES, TileFile};
use crate::audit::read::{Files, Location};

/// The maximum depth of folders. A valid path needs 8: the level, six groups of digits, and the folder of a
/// partial tile.
const MAX_DEPTH: usize = 10;
/// How many of other programs' files the list names.
const MOST_NAMED: usize = 10;

/// The listed files; 24 bytes each.
#[derive(Debug)]
pub(super) struct Listing {
    files: Arc<dyn Files>,
    /// By level, index and width.
    pub(super) tiles: Vec<Tile>,
    /// By index and width.
    pub(super) bundles: Vec<Bundle>,
    /// Other programs' files in the folder.
    pub(super) others: Others,
}

impl Listing {
    /// Lists a folder; an unpublished log gives an empty list. Other locations cannot be listed, so
    /// the list has the files that a checkpoint of this size implies.
    pub(super) fn of(
        location: &Location,
        files: &Arc<dyn Files>,
        size: u64,
    ) -> Result<Self, Failure> {
        let mut listing = Self {
            files: Arc::clone(files),
            tiles: Vec::new(),
            bundles: Vec::new(),
            others: Others::default(),
        };
        match location.folder() {
            Some(directory) => {
                listing.others.look(directory);
                listing.walk(directory, TILES, 0)?;
            }
            None => {
                listing.tiles.extend(tiles_at(size));
                listing.bundles.extend(bundles_at(size));
            }
        }
        listing.tiles.sort_unstable();
        listing.bundles.sort_unstable();
        Ok(listing)
    }

    /// The bundles at this index: the partial ones by width, then the full one.
    pub(super) fn bundles(&self, index: u64) -> &[Bundle] {
        let from = self.bundles.partition_point(|bundle| bundle.index < index);
        let rest = self.bundles.get(from..).unwrap_or_default();
        let count = rest.partition_point(|bundle| bundle.index == index);
        rest.get(..count).unwrap_or_default()
    }

    /// The bundle to read for this one: itself if it exists, or else the full one.
    pub(super) fn bundle_of(&self, wanted: Bundle) -> Bundle {
        let width = match self.bundles(wanted.index).contains(&wanted) {
            true => wanted.width,
            false => FULL,
        };
        Bundle { width, ..wanted }
    }

    /// The tiles at this place, in the same order.
    pub(super) fn tiles(&self, level: u8, index: u64) -> &[Tile] {
        let here = (level, index);
        let from = self
            .tiles
            .partition_point(|tile| (tile.level, tile.index) < here);
        let rest = self.tiles.get(from..).unwrap_or_default();
        let count = rest.partition_point(|tile| (tile.level, tile.index) == here);
        rest.get(..count).unwrap_or_default()
    }

    /// Checks that the folder has every file that a checkpoint of this size implies, or the full
    /// file in place of a partial one.
    pub(super) fn complete(&self, size: u64) -> Result<(), Failure> {
        for bundle in bundles_at(size) {
            let is_it = |there: &Bundle| there.width == bundle.width || there.width == FULL;
            if !self.bundles(bundle.index).iter().any(is_it) {
                return Err(missing(bundle.path()).at(bundle.first_entry()));
            }
        }
        for tile in tiles_at(size) {
            let is_it = |there: &Tile| there.width == tile.width || there.width == FULL;
            if !self.tiles(tile.level, tile.index).iter().any(is_it) {
                return Err(missing(tile.path()).at(tile.first_entry(0)));
            }
        }
        Ok(())
    }

    /// Reads a file; if a partial file was removed meanwhile, the full one.
    pub(super) fn read(&self, path: String, width: u16, most: usize) -> Result<TileFile, Failure> {
        let read = |path: &str| {
            let bytes = self.files.file(path, most);
            bytes.map_err(|error| Failure::unreadable(path, &error))
        };
        let missing = || missing(path.clone());
        TileFile::read(path.clone(), width, read)?.ok_or_else(missing)
    }

    fn walk(&mut self, directory: &Path, folder: &str, depth: usize) -> Result<(), Failure> {
        let items = match fs::read_dir(directory.join(folder)) {
            Ok(items) => items,
            // The log is unpublished, or the publisher removed a partial tile's folder since the
            // listing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Failure::unreadable(folder, &error)),
        };
        for item in items {
            let item = item.map_err(|error| Failure::unreadable(folder, &error))?;
            let path = format!("{folder}/{}", item.file_name().to_string_lossy());
            let Some(form) = form(&path) else {
                self.others.note(path);
                continue;
            };
            let kind = item
                .file_type()
                .map_err(|error| Failure::unreadable(&path, &error))?;
            match form {
                Form::Folder if kind.is_dir() && depth < MAX_DEPTH => {
                    self.walk(directory, &path, depth + 1)?;
                }
                Form::File if !kind.is_dir() => self.take(path)?,
                _ => return Err(not_the_logs(path)),
            }
        }
        Ok(())
    }

    fn take(&mut self, path: String) -> Result<(), Failure> {
        if let Some(bundle) = Bundle::parse_path(&path) {
            self.bundles.push(bundle);
        } else if let Some(tile) = Tile::parse_path(&path) {
            self.tiles.push(tile);
        } else {
            return Err(not_the_logs(path));
        }
        Ok(())
    }
}

/// The entries of a bundle's file, up to the wanted width.
pub(super) fn entries<'f>(
    listing: &Listing,
    file: &'f TileFile,
    wanted: Bundle,
) -> Result<Vec<&'f [u8]>, Failure> {
    file.entries(wanted.width).map_err(|error| {
        let index = wanted.first_entry() + first_wrong(listing, file, wanted);
        let failure = Failure::damaged(error.to_string());
        failure.in_file(&file.path).at(index)
    })
}

/// The first place in a broken bundle that differs from the leaf tile.
fn first_wrong(listing: &Listing, file: &TileFile, wanted: Bundle) -> u64 {
    let leaves = leaves_of(listing, wanted.index).unwrap_or_default();
    let mut rest = file.bytes.as_slice();
    let entries = std::iter::from_fn(|| {
        let (entry, behind) = first_entry(rest)?;
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

/// A reader that goes by names would take this file for a part of the log.
fn not_the_logs(path: String) -> Failure {
    let what = "has a name like a tile's, but is neither a tile nor a bundle";
    Failure::damaged(what).in_file(path)
}

fn missing(path: String) -> Failure {
    Failure::new(Trouble::Missing, "is missing; the checkpoint implies it").in_file(path)
}

/// Other programs' files; a folder counts as one, with all its contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Others {
    /// How many there are.
    pub count: u64,
    /// The first ten paths in order, relative to the audit folder.
    pub first: Vec<String>,
}

impl Others {
    fn note(&mut self, path: String) {
        self.count += 1;
        let at = self.first.partition_point(|other| *other < path);
        self.first.insert(at, path);
        self.first.truncate(MOST_NAMED);
    }

    /// Notes the files outside the folder of tiles. Skips a folder that it cannot list: the readers
    /// of that folder report the error.
    fn look(&mut self, directory: &Path) {
        type IsOwn = fn(&str) -> bool;
        let folders: [(&str, IsOwn); 3] = [
            ("", is_own),
            (JOURNAL, is_own_in_journal),
            (TEMPORARY, is_own_temporary),
        ];
        for (folder, is_own) in folders {
            let Ok(items) = fs::read_dir(directory.join(folder)) else {
                continue;
            };
            for item in items.flatten() {
                let name = item.file_name().to_string_lossy().into_owned();
                if !is_own(&name) {
                    let path = Path::new(folder).join(name);
                    self.note(path.to_string_lossy().into_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ten_are_named_in_order_and_all_are_counted() {
        let mut others = Others::default();
        for number in (10..40).rev() {
            others.note(format!("tile/.{number}.swp"));
        }
        assert_eq!((others.count, others.first.len()), (30, MOST_NAMED));
        let ends = (others.first.first(), others.first.last());
        assert_eq!(ends.0.unwrap(), "tile/.10.swp");
        assert_eq!(ends.1.unwrap(), "tile/.19.swp");
    }
}
