//! Where the published files of a log come from.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::audit::disk::{Access, Disk, Folder, RealDisk, read_exact};

/// A place with the files of a log in tlog-tiles layout.
pub trait Files: Debug + Send + Sync {
    /// The whole file at a path such as `tile/0/000`; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read; `InvalidData` where it is longer than `max_bytes`.
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>>;
}

/// An audit folder; no link is followed below it.
#[derive(Clone, Debug)]
pub struct FolderFiles {
    root: Arc<dyn Folder>,
}

impl FolderFiles {
    /// Holds the folder open.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let root = RealDisk.folder(directory, None)?;
        Ok(Self { root })
    }

    /// Of a folder that is held open.
    pub(crate) fn held(root: Arc<dyn Folder>) -> Self {
        Self { root }
    }

    /// The held folder.
    #[must_use]
    pub fn root(&self) -> &Arc<dyn Folder> {
        &self.root
    }

    fn read(&self, path: &str, max_bytes: usize) -> io::Result<Vec<u8>> {
        let mut folder = Arc::clone(&self.root);
        let mut rest = path;
        while let Some((name, behind)) = rest.split_once('/') {
            folder = folder.folder(name, None)?;
            rest = behind;
        }
        let file = folder.open(rest, Access::Read)?;
        let length = usize::try_from(file.identity()?.bytes).unwrap_or(usize::MAX);
        if length > max_bytes {
            let what = format!("it has {length} bytes, more than {max_bytes}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let mut bytes = vec![0; length];
        read_exact(&*file, &mut bytes, 0)?;
        Ok(bytes)
    }
}

impl Files for FolderFiles {
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        match self.read(path, max_bytes) {
            Ok(bytes) => Ok(Some(bytes)),
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
    fn a_file_that_is_too_long_or_no_file_or_a_link_is_an_error() {
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
