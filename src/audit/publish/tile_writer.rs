//! Puts files into the log's folder, so that none is ever seen there that is not whole and durable:
//! each is written under a passing name outside `tile/`, synced, and then moved to its place.

use crate::audit::disk::read_log_file;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::tree::Piece;
use crate::audit::disk::names::FILE_MODE;
use crate::audit::disk::names::{PASSING, is_number, is_own_in_passing};
use crate::audit::disk::{Access, File, Folder};

const FOLDER_MODE: u32 = 0o750;
/// So many files are written before they are synced one after the other: most of them then find
/// their sync done by the first one's.
const GROUP: usize = 64;
/// So many folders are held open.
const MOST_OPEN: usize = 128;

/// The folder, and what is being put into it.
#[derive(Debug)]
pub(crate) struct TileWriter {
    root: Arc<dyn Folder>,
    passing: Arc<dyn Folder>,
    /// By path below the root.
    open: BTreeMap<String, Arc<dyn Folder>>,
    /// Written and not yet at their places: file, passing name, path.
    written: Vec<(Arc<dyn File>, String, String)>,
    /// Folders with new names that are not synced.
    touched: BTreeSet<String>,
    /// Passing names given so far.
    given: u64,
}

impl TileWriter {
    /// Opens it.
    pub(crate) fn open(root: &Arc<dyn Folder>) -> io::Result<Self> {
        let passing = root.folder(PASSING, Some(FOLDER_MODE))?;
        Ok(Self {
            root: Arc::clone(root),
            passing,
            open: BTreeMap::new(),
            written: Vec::new(),
            touched: BTreeSet::new(),
            given: 0,
        })
    }

    /// Removes what an earlier process left under passing names.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let left = self.passing.list()?;
        for name in left.iter().filter(|name| is_own_in_passing(name)) {
            self.passing.remove(name)?;
        }
        Ok(())
    }

    /// Forgets what a failed attempt began: it is written again under other names. The folder of
    /// passing names holds nothing of the log, so one that was removed is made again.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        for (_, name, _) in self.written.drain(..) {
            // A name that stays does no harm: it is removed at the next start.
            let _ = self.passing.remove(&name);
        }
        self.open.clear();
        self.touched.clear();
        self.passing = self.root.folder(PASSING, Some(FOLDER_MODE))?;
        Ok(())
    }

    /// Writes a file; it stands at its place once [`Self::settle`] has returned.
    pub(super) fn put(&mut self, piece: &Piece) -> io::Result<()> {
        let (file, name) = self.write(&piece.bytes)?;
        self.written.push((file, name, piece.path.clone()));
        if self.written.len() < GROUP {
            return Ok(());
        }
        self.move_written()
    }

    /// Makes all that was put durable at its place.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.move_written()?;
        for path in std::mem::take(&mut self.touched) {
            self.folder(&path)?.sync()?;
        }
        Ok(())
    }

    /// The folder of passing names.
    pub(super) fn passing(&self) -> &Arc<dyn Folder> {
        &self.passing
    }

    /// The names in a folder; none where there is none.
    pub(super) fn names(&self, path: &str) -> io::Result<Vec<String>> {
        match self.look(path).and_then(|folder| folder.list()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Removes a folder of partial files, where it is there; it stays where another program has put
    /// something in it.
    pub(super) fn remove_folder(&mut self, path: &str) -> io::Result<()> {
        self.open.remove(path);
        let (above, name) = split(path);
        let held = match self.look(path) {
            Ok(held) => held,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for file in held.list()?.iter().filter(|name| is_number(name)) {
            held.remove(file)?;
        }
        match self.look(above)?.remove_folder(name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed,
        }
    }

    /// Reads a file of the log's folder whole; `None` where there is none.
    pub(crate) fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let (folder, name) = split(path);
        match self.look(folder) {
            Ok(folder) => read_log_file(&*folder, name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<(Arc<dyn File>, String)> {
        self.given += 1;
        let name = self.given.to_string();
        let file = self.passing.open(&name, Access::Create(FILE_MODE))?;
        file.write_at(bytes, 0)?;
        Ok((file, name))
    }

    fn move_written(&mut self) -> io::Result<()> {
        for (file, _, _) in &self.written {
            file.sync_all()?;
        }
        for (_, passing, path) in std::mem::take(&mut self.written) {
            let (folder, name) = split(&path);
            let held = self.folder(folder)?;
            self.passing.move_into(&passing, &*held, name)?;
            self.touched.insert(folder.to_owned());
        }
        Ok(())
    }

    /// A folder below the root, made where it is missing, its name durable.
    fn folder(&mut self, path: &str) -> io::Result<Arc<dyn Folder>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some(held) = self.open.get(path) {
            return Ok(Arc::clone(held));
        }
        let (above, name) = split(path);
        let held = self.folder(above)?.folder(name, Some(FOLDER_MODE))?;
        if self.open.len() >= MOST_OPEN {
            self.open.clear();
        }
        self.open.insert(path.to_owned(), Arc::clone(&held));
        Ok(held)
    }

    /// A folder below the root that is there.
    fn look(&self, path: &str) -> io::Result<Arc<dyn Folder>> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        parts.try_fold(Arc::clone(&self.root), |above, name| {
            above.folder(name, None)
        })
    }
}

/// The folder and the name in it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::test_folder;

    #[test]
    fn what_other_programs_left_is_not_removed_and_no_hindrance() {
        let outer = test_folder("shelf");
        let path = |name: &str| outer.path().join(name);
        for folder in ["tmp/lost+found", "tile/0/000.p/lost+found"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        for file in ["tmp/7", "tmp/checkpoint", "tmp/.DS_Store", "tile/0/000.p/7"] {
            std::fs::write(path(file), b"").unwrap();
        }
        let root = RealDisk.folder(outer.path(), None).unwrap();
        let mut shelf = TileWriter::open(&root).unwrap();
        shelf.clear().unwrap();
        assert!(!path("tmp/7").exists() && !path("tmp/checkpoint").exists());
        assert!(path("tmp/.DS_Store").exists() && path("tmp/lost+found").exists());
        shelf.remove_folder("tile/0/000.p").unwrap();
        assert!(!path("tile/0/000.p/7").exists());
        std::fs::remove_dir(path("tile/0/000.p/lost+found")).unwrap();
        shelf.remove_folder("tile/0/000.p").unwrap();
        assert!(!path("tile/0/000.p").exists());
    }
}
