//! Removes partial tiles and bundles once the full file exists. Readers of an older checkpoint then
//! use the beginning of the full file (C2SP tlog-tiles).

use std::collections::BTreeSet;
use std::io;

use super::tile_writer::TileWriter;
use super::tree::{Piece, Tree};
use crate::audit::log::tiles::{Bundle, FULL, LEVELS, Tile, hashes_at};

/// Folders of partial files, such as `tile/0/000.p`, that are no longer needed.
#[derive(Debug, Default)]
pub(super) struct Outgrown(BTreeSet<String>);

impl Outgrown {
    /// Finds folders that an earlier process left, next to the newest full files.
    pub(super) fn find(tiles: &TileWriter, size: u64) -> io::Result<Self> {
        let mut found = Self::default();
        for level in 0..LEVELS {
            let full = hashes_at(level, size) / u64::from(FULL);
            for index in beside(full) {
                let width = FULL;
                let tile = Tile {
                    level,
                    index,
                    width,
                };
                found.look(tiles, &tile.path(), |path| {
                    Tile::parse_path(path).is_some_and(|t| t.level == level && t.index < full)
                })?;
                if level == 0 {
                    let bundle = Bundle { index, width };
                    found.look(tiles, &bundle.path(), |path| {
                        Bundle::parse_path(path).is_some_and(|bundle| bundle.index < full)
                    })?;
                }
            }
        }
        Ok(found)
    }

    /// Adds the folders whose full file is new.
    pub(super) fn note(&mut self, before: &Tree, now: &Tree) {
        let still: BTreeSet<String> = now.partial().iter().filter_map(folder_of).collect();
        let was = before.partial();
        let outgrown = was.iter().filter_map(folder_of);
        self.0
            .extend(outgrown.filter(|folder| !still.contains(folder)));
    }

    /// Removes the folders. The next call retries a failed removal.
    pub(super) fn remove(&mut self, tiles: &mut TileWriter) -> io::Result<()> {
        while let Some(folder) = self.0.first() {
            tiles.remove_folder(folder)?;
            self.0.pop_first();
        }
        Ok(())
    }

    fn look(
        &mut self,
        tiles: &TileWriter,
        full: &str,
        is_outgrown: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let (group, _) = full.rsplit_once('/').unwrap_or_default();
        let names = tiles.names(group)?.into_iter();
        let folders = names.map(|name| format!("{group}/{name}"));
        let outgrown = folders.filter(|f| f.ends_with(".p") && is_outgrown(&format!("{f}/1")));
        self.0.extend(outgrown);
        Ok(())
    }
}

/// The newest full file, and the last one of the thousand before: one for each of the two newest
/// folders.
fn beside(full: u64) -> impl Iterator<Item = u64> {
    let newest = full.checked_sub(1);
    let before = newest.and_then(|newest| (newest / 1_000 * 1_000).checked_sub(1));
    newest.into_iter().chain(before)
}

fn folder_of(piece: &Piece) -> Option<String> {
    let (folder, _) = piece.path.rsplit_once('/')?;
    Some(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_covers_the_two_newest_folders() {
        let of = |full| beside(full).collect::<Vec<_>>();
        assert!(of(0).is_empty());
        assert_eq!(of(1), [0]);
        assert_eq!(of(1_000), [999]);
        assert_eq!(of(1_001), [1_000, 999]);
        assert_eq!(of(3_500), [3_499, 2_999]);
    }
}
