//! Removes partial tiles and bundles once the full one stands: readers of an older checkpoint then
//! take its first hashes or entries (C2SP tlog-tiles).

use std::collections::BTreeSet;
use std::io;

use super::tile_writer::TileWriter;
use super::tree::{Piece, Tree};
use crate::audit::log::tiles::{Bundle, FULL, LEVELS, Tile, hashes_at};

/// Folders of partial files, such as `tile/0/000.p`, that nothing needs any more.
#[derive(Debug, Default)]
pub(super) struct Outgrown(BTreeSet<String>);

impl Outgrown {
    /// Finds what an earlier process was about to remove: it stands beside the newest full files.
    pub(super) fn find(shelf: &TileWriter, size: u64) -> io::Result<Self> {
        let mut found = Self::default();
        for level in 0..LEVELS {
            let full = hashes_at(level, size) / u64::from(FULL);
            for index in beside(full) {
                let (width, tile) = (FULL, level);
                let level = Tile {
                    level,
                    index,
                    width,
                };
                found.look(shelf, &level.path(), |path| {
                    Tile::parse_path(path).is_some_and(|t| t.level == tile && t.index < full)
                })?;
                if tile == 0 {
                    let bundle = Bundle { index, width };
                    found.look(shelf, &bundle.path(), |path| {
                        Bundle::parse_path(path).is_some_and(|bundle| bundle.index < full)
                    })?;
                }
            }
        }
        Ok(found)
    }

    /// Takes note of what is full now and was not before.
    pub(super) fn note(&mut self, before: &Tree, now: &Tree) {
        let still: BTreeSet<String> = now.partial().iter().filter_map(folder_of).collect();
        let was = before.partial();
        let outgrown = was.iter().filter_map(folder_of);
        self.0
            .extend(outgrown.filter(|folder| !still.contains(folder)));
    }

    /// Removes them; what fails is tried again next time.
    pub(super) fn remove(&mut self, shelf: &mut TileWriter) -> io::Result<()> {
        while let Some(folder) = self.0.first() {
            shelf.remove_folder(folder)?;
            self.0.pop_first();
        }
        Ok(())
    }

    fn look(
        &mut self,
        shelf: &TileWriter,
        full: &str,
        is_outgrown: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let (group, _) = full.rsplit_once('/').unwrap_or_default();
        let names = shelf.names(group)?.into_iter();
        let folders = names.map(|name| format!("{group}/{name}"));
        let outgrown = folders.filter(|f| f.ends_with(".p") && is_outgrown(&format!("{f}/1")));
        self.0.extend(outgrown);
        Ok(())
    }
}

/// Full files of which one stands in each of the two newest groups of a thousand.
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
    fn a_file_of_each_of_the_two_newest_thousands_is_looked_beside() {
        let of = |full| beside(full).collect::<Vec<_>>();
        assert!(of(0).is_empty());
        assert_eq!(of(1), [0]);
        assert_eq!(of(1_000), [999]);
        assert_eq!(of(1_001), [1_000, 999]);
        assert_eq!(of(3_500), [3_499, 2_999]);
    }
}
