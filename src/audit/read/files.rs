//! Sources of a log's published files.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{MissingRange, Trouble};
use crate::audit::disk::{Disk, Folder, RealDisk, read_whole};

/// A source of a log's files in tlog-tiles layout.
pub trait Files: Debug + Send + Sync {
    /// The whole file at a path such as `tile/0/000`; `None` if it does not exist.
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>>;
}

/// An audit folder; follows no link below it.
#[derive(Clone, Debug)]
pub struct FolderFiles {
    root: Arc<dyn Folder>,
}

impl FolderFiles {
    /// Opens the folder and keeps it open.
    ///
    /// # Errors
    /// If the folder cannot be opened.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let root = RealDisk.folder(directory, None)?;
        Ok(Self { root })
    }

    /// [`Self::open`] for readers of the log.
    pub(crate) fn of_log(directory: &Path) -> Result<Self, MissingRange> {
        Self::open(directory).map_err(|error| {
            let trouble = match error.kind() {
                io::ErrorKind::NotFound => Trouble::Missing,
                _ => Trouble::Unreadable,
            };
            MissingRange::new(trouble, format!("{}: {error}", directory.display()))
        })
    }

    /// Reads from a folder that is already open.
    pub(crate) fn held(root: Arc<dyn Folder>) -> Self {
        Self { root }
    }

    /// The open folder.
    #[must_use]
    pub fn root(&self) -> &Arc<dyn Folder> {
        &self.root
    }
}

impl Files for FolderFiles {
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut names = above.split('/').filter(|name| !name.is_empty());
        let folder = names.try_fold(Arc::clone(&self.root), |folder, name| {
            folder.folder(name, None)
        });
        match folder {
            Ok(folder) => read_whole(&*folder, name, max_bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::test_folder;

    #[test]
    fn a_file_is_read_whole_or_is_not_there() {
        let folder = test_folder("files");
        std::fs::create_dir_all(folder.path().join("tile/0")).unwrap();
        std::fs::write(folder.path().join("tile/0/000"), b"hash").unwrap();
        let files = FolderFiles::open(folder.path()).unwrap();
        assert_eq!(files.file("tile/0/000", 4).unwrap().unwrap(), b"hash");
        for none in ["tile/0/001", "tile/1/000", "checkpoint"] {
            assert_eq!(files.file(none, 4).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn a_long_file_a_folder_or_a_link_is_an_error() {
        let folder = test_folder("files");
        let path = folder.path();
        std::fs::create_dir_all(path.join("tile/0")).unwrap();
        std::fs::write(path.join("tile/0/000"), b"hash").unwrap();
        std::os::unix::fs::symlink("000", path.join("tile/0/001")).unwrap();
        std::os::unix::fs::symlink("0", path.join("tile/1")).unwrap();
        let files = FolderFiles::open(path).unwrap();
        assert!(files.file("tile/0/000", 3).is_err());
        assert!(files.file("tile/0", 1 << 20).is_err());
        assert!(files.file("tile/0/001", 4).is_err());
        assert!(files.file("tile/1/000", 4).is_err());
    }
}
