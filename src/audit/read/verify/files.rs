//! Every tile and bundle that stands in the folder, the partial ones too.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::failure::{Failure, Trouble};
use super::others::Others;
use crate::audit::disk::names::TILES;
use crate::audit::log::tiles::{Bundle, FULL, Form, Tile, bundles_at, form, tiles_at};

/// Folders within folders: a level, six groups of digits, a partial tile's own.
const MAX_DEPTH: usize = 10;

/// What stands there, as it was listed; 24 bytes a file.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    tiles: Vec<Tile>,
    bundles: Vec<Bundle>,
    /// What other programs have left in the folder.
    pub(super) others: Others,
}

impl Files {
    /// Lists them; none where there is no such folder.
    pub(super) fn list(directory: &Path) -> Result<Self, Failure> {
        let mut files = Self {
            directory: directory.to_owned(),
            tiles: Vec::new(),
            bundles: Vec::new(),
            others: Others::default(),
        };
        files.others.look(directory);
        files.walk(TILES, 0)?;
        files.tiles.sort_unstable();
        files.bundles.sort_unstable();
        Ok(files)
    }

    /// The bundles at a place: the partial ones by width, the full one last.
    pub(super) fn bundles(&self, index: u64) -> &[Bundle] {
        let from = self.bundles.partition_point(|bundle| bundle.index < index);
        let rest = self.bundles.get(from..).unwrap_or_default();
        let count = rest.partition_point(|bundle| bundle.index == index);
        rest.get(..count).unwrap_or_default()
    }

    /// The bundle that is read where this one is wanted.
    pub(super) fn bundle_of(&self, wanted: Bundle) -> Bundle {
        let width = match self.bundles(wanted.index).contains(&wanted) {
            true => wanted.width,
            false => FULL,
        };
        Bundle { width, ..wanted }
    }

    /// The tiles at a place, in the same order.
    pub(super) fn tiles(&self, level: u8, index: u64) -> &[Tile] {
        let here = (level, index);
        let from = self
            .tiles
            .partition_point(|tile| (tile.level, tile.index) < here);
        let rest = self.tiles.get(from..).unwrap_or_default();
        let count = rest.partition_point(|tile| (tile.level, tile.index) == here);
        rest.get(..count).unwrap_or_default()
    }

    /// The first tile on a level at or behind a place.
    pub(super) fn behind(&self, level: u8, index: u64) -> Option<Tile> {
        let from = self
            .tiles
            .partition_point(|tile| (tile.level, tile.index) < (level, index));
        self.tiles
            .get(from)
            .copied()
            .filter(|tile| tile.level == level)
    }

    /// The first bundle at or behind a place.
    pub(super) fn bundle_behind(&self, index: u64) -> Option<Bundle> {
        let from = self.bundles.partition_point(|bundle| bundle.index < index);
        self.bundles.get(from).copied()
    }

    /// Whether all that a checkpoint of this size implies stands here: itself, or the full one.
    pub(super) fn complete(&self, size: u64) -> Result<(), Failure> {
        let missing = |path: String, index: u64| {
            Failure::new(Trouble::Missing, "is missing; the checkpoint implies it")
                .in_file(path)
                .at(index)
        };
        for bundle in bundles_at(size) {
            let here = self.bundles(bundle.index);
            if !here
                .iter()
                .any(|b| b.width == bundle.width || b.width == FULL)
            {
                return Err(missing(bundle.path(), bundle.index * u64::from(FULL)));
            }
        }
        for tile in tiles_at(size) {
            let here = self.tiles(tile.level, tile.index);
            if !here
                .iter()
                .any(|t| t.width == tile.width || t.width == FULL)
            {
                return Err(missing(tile.path(), first_entry(tile.level, tile.index, 0)));
            }
        }
        Ok(())
    }

    /// Reads a file of at most so many bytes; `None` where a partial one is gone because the full one
    /// has come meanwhile.
    pub(super) fn read(
        &self,
        path: &str,
        full: &str,
        most: usize,
    ) -> Result<Option<Vec<u8>>, Failure> {
        match self.read_at_most(path, most) {
            Ok(bytes) if bytes.len() > most => {
                let what = format!("has more than {most} bytes");
                Err(Failure::new(Trouble::Damaged, what).in_file(path))
            }
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != full => {
                match self.directory.join(full).try_exists() {
                    Ok(true) => Ok(None),
                    Ok(false) => Err(Failure::unreadable(path, &error)),
                    Err(error) => Err(Failure::unreadable(full, &error)),
                }
            }
            Err(error) => Err(Failure::unreadable(path, &error)),
        }
    }

    fn read_at_most(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.directory.join(path))?;
        let mut bytes = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn walk(&mut self, folder: &str, depth: usize) -> Result<(), Failure> {
        let items = match fs::read_dir(self.directory.join(folder)) {
            Ok(items) => items,
            // Nothing is published yet, or a partial tile's folder has gone since it was listed.
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
                    self.walk(&path, depth + 1)?;
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

/// It has a name as the log gives them: whoever reads the log by its names would take it for a part.
fn not_the_logs(path: String) -> Failure {
    let what = "is neither a tile nor a bundle, and has a name like theirs";
    Failure::new(Trouble::Damaged, what).in_file(path)
}

/// The first entry below a hash of a tile.
pub(super) fn first_entry(level: u8, index: u64, hash: u64) -> u64 {
    let place = index.saturating_mul(u64::from(FULL)).saturating_add(hash);
    place
        .checked_shl(8 * u32::from(level))
        .filter(|first| first >> (8 * u32::from(level)) == place)
        .unwrap_or(u64::MAX)
}
