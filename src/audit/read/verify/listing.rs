//! Lists every tile and bundle of the log, partial ones included. Also lists files of other
//! programs, which do not belong to the log and are no fault.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::Failure;
use crate::audit::disk::if_exists;
use crate::audit::disk::names::{
    JOURNAL, TEMPORARY, TILES, is_own, is_own_in_journal, is_own_temporary,
};
use crate::audit::log::tiles::{Bundle, FULL, Form, MAX_BUNDLE_BYTES, Tile, form, tiles_at};
use crate::audit::read::{Files, Location};
use crate::audit::read::{MAX_TILE_BYTES, TileFile};

/// The maximum depth of folders below `tile/`. A valid path needs a depth of 8: the level, six
/// groups of digits, and the folder of a partial tile.
const MAX_DEPTH: usize = 10;
/// The maximum number of other programs' files in [`Others::first`].
const MOST_NAMED: usize = 10;

/// The name of a tile or a bundle. Bundles sort before tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    is_tile: bool,
    /// The tile itself, or the leaf tile over the bundle's entries.
    pub(super) tile: Tile,
}

impl Listed {
    pub(super) fn tile(tile: Tile) -> Self {
        Self {
            is_tile: true,
            tile,
        }
    }

    /// The bundle with the entries of a leaf tile.
    pub(super) fn bundle(tile: Tile) -> Self {
        Self {
            is_tile: false,
            tile,
        }
    }

    /// All bundles of a log of this size.
    pub(super) fn bundles_at(size: u64) -> impl Iterator<Item = Self> {
        let leaves = tiles_at(size).take_while(|tile| tile.level == 0);
        leaves.map(Self::bundle)
    }

    pub(super) fn path(&self) -> String {
        let Tile { index, width, .. } = self.tile;
        match self.is_tile {
            true => self.tile.path(),
            false => Bundle { index, width }.path(),
        }
    }

    pub(super) fn first_entry(&self) -> u64 {
        self.tile.first_entry(0)
    }

    fn parse_path(path: &str) -> Option<Self> {
        let Some(Bundle { index, width }) = Bundle::parse_path(path) else {
            return Tile::parse_path(path).map(Self::tile);
        };
        let leaf_tile = Tile {
            level: 0,
            index,
            width,
        };
        Some(Self::bundle(leaf_tile))
    }

    /// All tiles and bundles of a log of this size.
    fn all_at(size: u64) -> impl Iterator<Item = Self> {
        Self::bundles_at(size).chain(tiles_at(size).map(Self::tile))
    }

    fn place(&self) -> (bool, u8, u64) {
        (self.is_tile, self.tile.level, self.tile.index)
    }
}

/// The tiles and bundles of a log. Needs 24 bytes for each of them.
#[derive(Debug)]
pub(super) struct Listing {
    files: Arc<dyn Files>,
    /// The tiles and bundles, in ascending order.
    pub(super) found: Vec<Listed>,
    /// Other programs' files in the folder.
    pub(super) others: Others,
}

impl Listing {
    /// Lists the files in a folder. A location that is not a folder cannot be listed. For such a
    /// location, lists the files that a checkpoint of this size implies.
    pub(super) fn of(
        location: &Location,
        files: Arc<dyn Files>,
        size: u64,
    ) -> Result<Self, Failure> {
        let mut listing = Self {
            files,
            found: Vec::new(),
            others: Others::default(),
        };
        match location.folder() {
            Some(directory) => {
                listing.others.look(directory);
                listing.walk(directory, TILES, 0)?;
            }
            None => listing.found.extend(Listed::all_at(size)),
        }
        listing.found.sort_unstable();
        Ok(listing)
    }

    /// All files with this file's level and index: the partial ones by width, then the full one.
    pub(super) fn at(&self, file: Listed) -> &[Listed] {
        let place = file.place();
        let from = self.found.partition_point(|other| other.place() < place);
        let to = self.found.partition_point(|other| other.place() <= place);
        self.found.get(from..to).unwrap_or_default()
    }

    /// The wanted file if it exists; otherwise the full file with the same level and index.
    pub(super) fn stand_in(&self, wanted: Listed) -> Option<Listed> {
        let widths = [wanted.tile.width, FULL];
        let mut there = self.at(wanted).iter().copied();
        there.find(|file| widths.contains(&file.tile.width))
    }

    /// Checks that the folder has every file that a checkpoint of this size implies, or the full
    /// file in place of a partial one.
    pub(super) fn complete(&self, size: u64) -> Result<(), Failure> {
        match Listed::all_at(size).find(|wanted| self.stand_in(*wanted).is_none()) {
            Some(wanted) => Err(missing(wanted).at(wanted.first_entry())),
            None => Ok(()),
        }
    }

    /// Reads a file. If a partial file was removed meanwhile, reads the full one.
    pub(super) fn read(&self, wanted: Listed) -> Result<TileFile, Failure> {
        let most = match wanted.is_tile {
            true => MAX_TILE_BYTES,
            false => MAX_BUNDLE_BYTES,
        };
        let read = |path: &str| {
            let bytes = self.files.file(path, most);
            bytes.map_err(|error| Failure::unreadable(path, &error))
        };
        TileFile::read(wanted.path(), wanted.tile.width, read)?.ok_or_else(|| missing(wanted))
    }

    fn walk(&mut self, directory: &Path, folder: &str, depth: usize) -> Result<(), Failure> {
        let failed = |error| Failure::unreadable(folder, &error);
        // A missing folder is no fault: nothing is published yet, or the publisher removed a folder
        // of partial tiles meanwhile.
        let items = if_exists(fs::read_dir(directory.join(folder))).map_err(failed)?;
        for item in items.into_iter().flatten() {
            let item = item.map_err(failed)?;
            let path = format!("{folder}/{}", item.file_name().to_string_lossy());
            let Some(form) = form(&path) else {
                self.others.note(path);
                continue;
            };
            let kind = item
                .file_type()
                .map_err(|error| Failure::unreadable(&path, &error))?;
            match (form, Listed::parse_path(&path)) {
                (Form::Folder, _) if kind.is_dir() && depth < MAX_DEPTH => {
                    self.walk(directory, &path, depth + 1)?;
                }
                (Form::File, Some(file)) if !kind.is_dir() => self.found.push(file),
                // Other readers look only at the name, and would take this file for a part of the
                // log.
                _ => {
                    let what = "has a name like a tile's, but is neither a tile nor a bundle";
                    return Err(Failure::damaged(what).in_file(path));
                }
            }
        }
        Ok(())
    }
}

fn missing(file: Listed) -> Failure {
    Failure::missing("is missing; the checkpoint implies it").in_file(file.path())
}

/// The files of other programs. A folder of another program counts as one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Others {
    /// The number of these files.
    pub count: u64,
    /// The first ten paths in ascending order, relative to the audit folder.
    pub first: Vec<String>,
}

impl Others {
    fn note(&mut self, path: String) {
        self.count += 1;
        let at = self.first.partition_point(|other| *other < path);
        self.first.insert(at, path);
        self.first.truncate(MOST_NAMED);
    }

    /// Notes the files of other programs outside the folder of tiles. Skips a folder that cannot be
    /// listed, because the readers of that folder report the error.
    fn look(&mut self, directory: &Path) {
        let folders = [
            ("", is_own as fn(&str) -> bool),
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
