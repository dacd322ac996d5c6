//! Lists every tile and bundle in the folder, also the partial ones.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use super::others::Others;
use crate::audit::disk::names::TILES;
use crate::audit::log::tiles::{Bundle, FULL, Form, Tile, bundles_at, form, tiles_at};
use crate::audit::read::tiles::TileFile;
use crate::audit::read::{Files, Location, Trouble};

/// The maximal depth of folders: a level, six groups of digits, a partial tile's own.
const MAX_DEPTH: usize = 10;

/// The listed files; 24 bytes each.
#[derive(Debug)]
pub(super) struct Listing {
    files: Arc<dyn Files>,
    tiles: Vec<Tile>,
    bundles: Vec<Bundle>,
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

    /// The first tile of a level from this index on.
    pub(super) fn behind(&self, level: u8, index: u64) -> Option<Tile> {
        let from = self
            .tiles
            .partition_point(|tile| (tile.level, tile.index) < (level, index));
        self.tiles
            .get(from)
            .copied()
            .filter(|tile| tile.level == level)
    }

    /// The first bundle from this index on.
    pub(super) fn bundle_behind(&self, index: u64) -> Option<Bundle> {
        let from = self.bundles.partition_point(|bundle| bundle.index < index);
        self.bundles.get(from).copied()
    }

    /// Checks that the folder has every file that a checkpoint of this size implies, or the full
    /// file in place of a partial one.
    pub(super) fn complete(&self, size: u64) -> Result<(), Failure> {
        for bundle in bundles_at(size) {
            let here = self.bundles(bundle.index);
            if !here
                .iter()
                .any(|b| b.width == bundle.width || b.width == FULL)
            {
                return Err(missing(bundle.path()).at(bundle.first_entry()));
            }
        }
        for tile in tiles_at(size) {
            let here = self.tiles(tile.level, tile.index);
            if !here
                .iter()
                .any(|t| t.width == tile.width || t.width == FULL)
            {
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

/// A reader that goes by names would take this file for a part of the log.
fn not_the_logs(path: String) -> Failure {
    let what = "has a name like a tile's, but is neither a tile nor a bundle";
    Failure::new(Trouble::Damaged, what).in_file(path)
}

fn missing(path: String) -> Failure {
    Failure::new(Trouble::Missing, "is missing; the checkpoint implies it").in_file(path)
}
