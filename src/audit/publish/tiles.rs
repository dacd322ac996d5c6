//! Makes the published tiles and bundles from the entries, writes them into the log's folder, and
//! removes partial files after the full file exists.
//!
//! A reader never sees a file that is incomplete or not durable: [`TileWriter`] creates each file
//! under a temporary name outside `tile/`, syncs the file, and then moves it to its path.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::audit::disk::names::{FILE_MODE, FOLDER_MODE, TEMPORARY, is_number, is_own_temporary};
use crate::audit::disk::{Access, File, Folder, folder_below, if_exists};
use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{
    Bundle, FULL, Form, Frontier, LEVELS, Tile, encode_tile, form, hashes_at, push_entry,
};

/// How many files [`TileWriter`] writes before it syncs them. The sync of the first file usually
/// flushes the other files too, so that their own syncs are short.
const GROUP: usize = 64;
const MOST_OPEN: usize = 128;

/// The right edge of the log, from which the publisher makes the next tiles, the next bundle and
/// the next root. Holds at most 255 entries and 255 hashes on each level, whatever the log's size.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) frontier: Frontier,
    /// The entries after the last full bundle, encoded as a bundle.
    pub(super) bundle: Vec<u8>,
}

/// A tile or a bundle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The path relative to the log's folder.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

impl Tree {
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds the next entry. Returns the files that this entry fills.
    pub(super) fn push(&mut self, entry: &[u8], leaf: Hash) -> io::Result<Vec<Piece>> {
        push_entry(&mut self.bundle, entry).map_err(io::Error::other)?;
        let tiles = self.frontier.push(leaf);
        let size = self.size();
        if !size.is_multiple_of(u64::from(FULL)) {
            return Ok(Vec::new());
        }
        let bundle = Bundle::at(size / u64::from(FULL) - 1, size);
        Ok(pieces(bundle, std::mem::take(&mut self.bundle), tiles))
    }

    pub(super) fn partial(&self) -> Vec<Piece> {
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

/// Writes tiles and bundles into the log's folder.
#[derive(Debug)]
pub(super) struct TileWriter {
    root: Arc<dyn Folder>,
    pub(super) temporary: Arc<dyn Folder>,
    /// The open folders, by path relative to the log's folder.
    open: BTreeMap<String, Arc<dyn Folder>>,
    /// Files that are written but not moved to their paths yet: the file, its temporary name and
    /// its path.
    written: Vec<(Arc<dyn File>, String, String)>,
    /// Folders that got new files and are not synced yet.
    touched: BTreeSet<String>,
    /// The number of temporary names used so far.
    names_used: u64,
    /// Folders of partial files, such as `tile/0/000.p`, that can be removed after their full file
    /// (`tile/0/000`) is durable.
    outgrown: BTreeSet<String>,
}

impl TileWriter {
    /// Opens the folder for temporary files, or creates this folder if it is missing. `size` is the
    /// number of published entries.
    pub(super) fn open(root: &Arc<dyn Folder>, size: u64) -> io::Result<Self> {
        Ok(Self {
            root: Arc::clone(root),
            temporary: root.folder(TEMPORARY, Some(FOLDER_MODE))?,
            open: BTreeMap::new(),
            written: Vec::new(),
            touched: BTreeSet::new(),
            names_used: 0,
            // If the search for these folders fails, the next start searches again.
            outgrown: find_outgrown(root, size).unwrap_or_default(),
        })
    }

    /// Removes the temporary files of an earlier process.
    pub(super) fn clear(&self) -> io::Result<()> {
        let left = self.temporary.list()?;
        for name in left.iter().filter(|name| is_own_temporary(name)) {
            self.temporary.remove(name)?;
        }
        Ok(())
    }

    /// Begins an attempt to publish. Removes the temporary files of a failed earlier attempt,
    /// because this attempt writes all files again under new names. If someone removed the folder
    /// for temporary files, creates it again: that folder holds no part of the log.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        for (_, name, _) in self.written.drain(..) {
            // A file that remains does no harm: the next start removes it.
            let _ = self.temporary.remove(&name);
        }
        self.open.clear();
        self.touched.clear();
        self.temporary = self.root.folder(TEMPORARY, Some(FOLDER_MODE))?;
        Ok(())
    }

    /// Writes a file under a temporary name. After [`Self::settle`] has succeeded, the file is
    /// durable at its path.
    pub(super) fn put(&mut self, piece: &Piece) -> io::Result<()> {
        self.names_used += 1;
        let name = self.names_used.to_string();
        let file = self.temporary.open(&name, Access::Create(FILE_MODE))?;
        if let Err(error) = file.write_at(&piece.bytes, 0) {
            // A file that a full disk leaves empty still takes an inode. The caller gets the first error.
            let _ = self.temporary.remove(&name);
            return Err(error);
        }
        self.written.push((file, name, piece.path.clone()));
        if !piece.path.contains(".p/") {
            self.outgrown.insert(format!("{}.p", piece.path));
        }
        if self.written.len() < GROUP {
            return Ok(());
        }
        self.move_written()
    }

    /// Makes all written files durable at their paths.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.move_written()?;
        for path in std::mem::take(&mut self.touched) {
            self.folder(&path)?.sync()?;
        }
        Ok(())
    }

    /// Removes the partial files whose full file exists. Readers of an older checkpoint then use
    /// the beginning of the full file (C2SP tlog-tiles). After an error, the next call tries again.
    pub(super) fn remove_outgrown(&mut self) -> io::Result<()> {
        while let Some(folder) = self.outgrown.first().cloned() {
            self.remove_folder(&folder)?;
            self.outgrown.remove(&folder);
        }
        Ok(())
    }

    /// Removes a folder of partial files, if it exists. The folder stays if another program has put
    /// something into it.
    fn remove_folder(&mut self, path: &str) -> io::Result<()> {
        self.open.remove(path);
        let (above, name) = split(path);
        let Some(folder) = if_exists(folder_below(&self.root, path))? else {
            return Ok(());
        };
        for file in folder.list()?.iter().filter(|name| is_number(name)) {
            folder.remove(file)?;
        }
        match folder_below(&self.root, above)?.remove_folder(name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed,
        }
    }

    fn move_written(&mut self) -> io::Result<()> {
        for (file, _, _) in &self.written {
            file.sync_all()?;
        }
        // After an error, the files that were not moved stay in the list, so that the next attempt removes them.
        while let Some((_, temporary, path)) = self.written.first().cloned() {
            let (folder, name) = split(&path);
            let target = self.folder(folder)?;
            self.temporary.move_into(&temporary, &*target, name)?;
            self.touched.insert(folder.to_owned());
            self.written.remove(0);
        }
        Ok(())
    }

    /// Opens a folder below the log's folder, or creates it durably if it is missing.
    fn folder(&mut self, path: &str) -> io::Result<Arc<dyn Folder>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some(folder) = self.open.get(path) {
            return Ok(Arc::clone(folder));
        }
        let (above, name) = split(path);
        let folder = self.folder(above)?.folder(name, Some(FOLDER_MODE))?;
        if self.open.len() >= MOST_OPEN {
            self.open.clear();
        }
        self.open.insert(path.to_owned(), Arc::clone(&folder));
        Ok(folder)
    }
}

/// Finds folders of partial files, next to the newest full files, that an earlier process did not
/// remove.
fn find_outgrown(root: &Arc<dyn Folder>, size: u64) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for level in 0..LEVELS {
        for index in beside(hashes_at(level, size) / u64::from(FULL)) {
            let tile = Tile::at(level, index, size).map(|tile| tile.path());
            let bundle = Bundle::at(index, size).filter(|_| level == 0);
            for full in tile.into_iter().chain(bundle.map(|bundle| bundle.path())) {
                let (group, newest) = split(&full);
                let names = if_exists(folder_below(root, group).and_then(|group| group.list()))?;
                let is_old = |name: &String| name.strip_suffix(".p").is_some_and(|n| n <= newest);
                let old = names.into_iter().flatten().filter(is_old);
                let paths = old.map(|name| format!("{group}/{name}"));
                found.extend(paths.filter(|path| form(path) == Some(Form::Folder)));
            }
        }
    }
    Ok(found)
}

/// Returns the index of the newest full file, and the index of the last file in the previous
/// folder. Each folder holds a thousand full files.
fn beside(full: u64) -> impl Iterator<Item = u64> {
    let newest = full.checked_sub(1);
    let before = newest.and_then(|newest| (newest / 1_000 * 1_000).checked_sub(1));
    newest.into_iter().chain(before)
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::log::merkle::{leaf, root_of};
    use crate::audit::log::tiles::{bundles_at, decode_bundle, tiles_at};
    use crate::audit::test_folder;

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
        let (mut tree, mut files) = (Tree::default(), Files::new());
        grow(&mut tree, 600, &mut files);
        let leaves = (0..600).map(|index| leaf(format!("entry {index}").as_bytes()));
        assert_eq!(tree.root(), root_of(&leaves.collect::<Vec<_>>()));
        let bundle = &files["tile/entries/001"];
        let entries = decode_bundle(bundle, FULL).unwrap();
        assert_eq!(entries[3], b"entry 259");
        assert_eq!(tree.partial()[0].path, "tile/entries/002.p/88");
    }

    #[test]
    fn the_search_covers_the_two_newest_folders() {
        let of = |full| beside(full).collect::<Vec<_>>();
        assert!(of(0).is_empty());
        assert_eq!(of(1), [0]);
        assert_eq!(of(1_000), [999]);
        assert_eq!(of(1_001), [1_000, 999]);
        assert_eq!(of(3_500), [3_499, 2_999]);
    }

    #[test]
    fn files_of_other_programs_stay_and_do_no_harm() {
        let outer = test_folder("tile-writer");
        let path = |name: &str| outer.path().join(name);
        for folder in ["tmp/lost+found", "tile/0/000.p/lost+found"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        for file in ["tmp/7", "tmp/checkpoint", "tmp/.DS_Store", "tile/0/000.p/7"] {
            std::fs::write(path(file), b"").unwrap();
        }
        let root = RealDisk.folder(outer.path(), None).unwrap();
        let mut tiles = TileWriter::open(&root, 0).unwrap();
        tiles.clear().unwrap();
        assert!(!path("tmp/7").exists() && !path("tmp/checkpoint").exists());
        assert!(path("tmp/.DS_Store").exists() && path("tmp/lost+found").exists());
        tiles.remove_folder("tile/0/000.p").unwrap();
        assert!(!path("tile/0/000.p/7").exists());
        std::fs::remove_dir(path("tile/0/000.p/lost+found")).unwrap();
        tiles.remove_folder("tile/0/000.p").unwrap();
        assert!(!path("tile/0/000.p").exists());
    }
}
