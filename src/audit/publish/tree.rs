//! The right edge of the log, from which the publisher makes the next tiles, the next bundle and
//! the next root.
//!
//! Its size does not depend on the log's: at most 255 hashes a level and 255 entries.

use std::io;

use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{Bundle, FULL, Frontier, Tile, encode_tile, push_entry};

#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    frontier: Frontier,
    /// The entries after the last full bundle, encoded as a bundle.
    bundle: Vec<u8>,
}

/// A file of the log's folder: a tile or a bundle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Below the log's folder.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

impl Tree {
    /// Restores the edge from the tiles; `bundle` holds the entries after the last full bundle.
    pub(crate) fn at(frontier: Frontier, bundle: Vec<u8>) -> Self {
        Self { frontier, bundle }
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds the next entry. Returns the files that it fills.
    pub(crate) fn push(&mut self, entry: &[u8], leaf: Hash) -> io::Result<Vec<Piece>> {
        push_entry(&mut self.bundle, entry).map_err(io::Error::other)?;
        let tiles = self.frontier.push(leaf);
        let size = self.size();
        if !size.is_multiple_of(u64::from(FULL)) {
            return Ok(Vec::new());
        }
        let bundle = Bundle::at(size / u64::from(FULL) - 1, size);
        Ok(pieces(bundle, std::mem::take(&mut self.bundle), tiles))
    }

    pub(crate) fn partial(&self) -> Vec<Piece> {
        let bundle = Bundle::at(self.size() / u64::from(FULL), self.size());
        pieces(bundle, self.bundle.clone(), self.frontier.partial())
    }
}

fn pieces(bundle: Option<Bundle>, bytes: Vec<u8>, tiles: Vec<(Tile, Vec<Hash>)>) -> Vec<Piece> {
    let bundle = bundle.map(|bundle| Piece {
        path: bundle.path(),
        bytes,
    });
    let tiles = tiles.into_iter().map(|(tile, hashes)| Piece {
        path: tile.path(),
        bytes: encode_tile(&hashes),
    });
    bundle.into_iter().chain(tiles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::merkle::{Root, leaf};
    use crate::audit::log::tiles::{bundles_at, decode_bundle, tiles_at};
    use std::collections::BTreeMap;

    type Files = BTreeMap<String, Vec<u8>>;

    fn grow(tree: &mut Tree, to: u64, files: &mut Files) {
        while tree.size() < to {
            let entry = format!("entry {}", tree.size()).into_bytes();
            let hash = leaf(&entry);
            for piece in tree.push(&entry, hash).unwrap() {
                assert_eq!(files.insert(piece.path, piece.bytes), None);
            }
        }
    }

    #[test]
    fn p4_a_tree_has_exactly_the_files_that_its_size_implies() {
        for size in [0, 1, 255, 256, 257, 513, 65_535, 65_536, 70_000] {
            let (mut tree, mut files) = (Tree::default(), Files::new());
            grow(&mut tree, size, &mut files);
            let partial = tree.partial().into_iter().map(|p| (p.path, p.bytes));
            files.extend(partial);
            let tiles = tiles_at(size).map(|tile| tile.path());
            let mut expected: Vec<String> = bundles_at(size).map(|b| b.path()).collect();
            expected.extend(tiles);
            expected.sort();
            assert_eq!(
                files.keys().collect::<Vec<_>>(),
                expected.iter().collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn p4_bundles_hold_the_entries_that_the_root_covers() {
        let (mut tree, mut files, mut root) = (Tree::default(), Files::new(), Root::default());
        grow(&mut tree, 600, &mut files);
        for index in 0..600 {
            root.push(leaf(format!("entry {index}").as_bytes()));
        }
        assert_eq!(tree.root(), root.root());
        let bundle = &files["tile/entries/001"];
        let entries = decode_bundle(bundle, FULL).unwrap();
        assert_eq!(entries[3], b"entry 259");
        assert_eq!(tree.partial()[0].path, "tile/entries/002.p/88");
    }
}
