//! Writes files into the log's folder. A reader never sees one that is incomplete or not durable:
//! the writer creates each under a temporary name outside `tile/`, syncs it, and then moves it to
//! its path.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::tree::Piece;
use crate::audit::disk::names::{FILE_MODE, FOLDER_MODE, TEMPORARY, is_number, is_own_temporary};
use crate::audit::disk::{Access, File, Folder, if_exists, read_log_file};

/// Files that are written before the first of them is synced. The first sync usually flushes the
/// others too, so their own syncs are short.
const GROUP: usize = 64;
const MOST_OPEN: usize = 128;

/// The log's folder, and the files that are being written.
#[derive(Debug)]
pub(crate) struct TileWriter {
    root: Arc<dyn Folder>,
    /// The folder for temporary files.
    pub(super) temporary: Arc<dyn Folder>,
    /// Open folders by path below the root.
    open: BTreeMap<String, Arc<dyn Folder>>,
    /// Files that are written but not moved yet: file, temporary name, path.
    written: Vec<(Arc<dyn File>, String, String)>,
    /// Folders with new names that are not synced.
    touched: BTreeSet<String>,
    /// Temporary names used so far.
    names_used: u64,
}

impl TileWriter {
    /// Opens the folder for temporary files; creates it if it is missing.
    pub(crate) fn open(root: &Arc<dyn Folder>) -> io::Result<Self> {
        let temporary = root.folder(TEMPORARY, Some(FOLDER_MODE))?;
        Ok(Self {
            root: Arc::clone(root),
            temporary,
            open: BTreeMap::new(),
            written: Vec::new(),
            touched: BTreeSet::new(),
            names_used: 0,
        })
    }

    /// Removes the temporary files of an earlier process.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let left = self.temporary.list()?;
        for name in left.iter().filter(|name| is_own_temporary(name)) {
            self.temporary.remove(name)?;
        }
        Ok(())
    }

    /// Forgets a failed attempt; the next one writes all files again under other names. Creates the
    /// folder for temporary files again if it was removed, because it holds nothing of the log.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        for (_, name, _) in self.written.drain(..) {
            // A name that remains does no harm: the next start removes it.
            let _ = self.temporary.remove(&name);
        }
        self.open.clear();
        self.touched.clear();
        self.temporary = self.root.folder(TEMPORARY, Some(FOLDER_MODE))?;
        Ok(())
    }

    /// Writes a file; it is at its path once [`Self::settle`] has returned.
    pub(super) fn put(&mut self, piece: &Piece) -> io::Result<()> {
        self.names_used += 1;
        let name = self.names_used.to_string();
        let file = self.temporary.open(&name, Access::Create(FILE_MODE))?;
        file.write_at(&piece.bytes, 0)?;
        self.written.push((file, name, piece.path.clone()));
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

    /// The names in a folder; none if the folder is missing.
    pub(super) fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let names = if_exists(self.look(path).and_then(|folder| folder.list()))?;
        Ok(names.unwrap_or_default())
    }

    /// Removes a folder of partial files, if it exists. The folder stays if another program has put
    /// something into it.
    pub(super) fn remove_folder(&mut self, path: &str) -> io::Result<()> {
        self.open.remove(path);
        let (above, name) = split(path);
        let Some(folder) = if_exists(self.look(path))? else {
            return Ok(());
        };
        for file in folder.list()?.iter().filter(|name| is_number(name)) {
            folder.remove(file)?;
        }
        match self.look(above)?.remove_folder(name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed,
        }
    }

    /// Reads a whole file of the log's folder; `None` if it is missing.
    pub(crate) fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let (folder, name) = split(path);
        match if_exists(self.look(folder))? {
            Some(folder) => read_log_file(&*folder, name),
            None => Ok(None),
        }
    }

    fn move_written(&mut self) -> io::Result<()> {
        for (file, _, _) in &self.written {
            file.sync_all()?;
        }
        for (_, temporary, path) in std::mem::take(&mut self.written) {
            let (folder, name) = split(&path);
            let target = self.folder(folder)?;
            self.temporary.move_into(&temporary, &*target, name)?;
            self.touched.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Opens a folder below the root; creates it durably if it is missing.
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

    /// Opens an existing folder below the root.
    fn look(&self, path: &str) -> io::Result<Arc<dyn Folder>> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        parts.try_fold(Arc::clone(&self.root), |above, name| {
            above.folder(name, None)
        })
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::test_folder;

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
        let mut tiles = TileWriter::open(&root).unwrap();
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
