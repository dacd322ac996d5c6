//! The sources of a log's files, such as an audit folder, and the content of a tile's or a bundle's
//! file.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{MissingRange, Trouble};
use crate::audit::disk::{Disk, Folder, RealDisk, folder_below, if_exists, read_whole};
use crate::audit::log::FormatError;
use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{FULL, decode_bundle, decode_tile};

/// The length of a full tile in bytes.
pub(crate) const MAX_TILE_BYTES: usize = FULL as usize * size_of::<Hash>();

/// A source of a log's files in tlog-tiles layout.
pub trait Files: Debug + Send + Sync {
    /// The whole file at a path such as `tile/0/000`; `None` if it does not exist.
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>>;
}

/// An open audit folder. Reads follow no symbolic link below the folder.
#[derive(Clone, Debug)]
pub(crate) struct FolderFiles(pub(crate) Arc<dyn Folder>);

impl FolderFiles {
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        RealDisk.folder(directory, None).map(Self)
    }

    pub(super) fn of_log(directory: &Path) -> Result<Self, MissingRange> {
        Self::open(directory).map_err(|error| {
            let trouble = match error.kind() {
                io::ErrorKind::NotFound => Trouble::Missing,
                _ => Trouble::Unreadable,
            };
            MissingRange::new(trouble, format!("{}: {error}", directory.display()))
        })
    }
}

impl Files for FolderFiles {
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        match if_exists(folder_below(&self.0, above))? {
            Some(folder) => read_whole(&*folder, name, max_bytes),
            None => Ok(None),
        }
    }
}

/// The file of a tile or of a bundle.
#[derive(Debug)]
pub(crate) struct TileFile {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    /// The number of hashes or entries that the file must have.
    pub(crate) width: u16,
}

impl TileFile {
    /// Reads the file at `path`. If a partial file is missing, reads the full file, which begins with the
    /// same content: the publisher removes a partial file after the full file exists (C2SP tlog-tiles).
    /// Returns `None` if neither file exists.
    pub(crate) fn read<E>(
        path: String,
        width: u16,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Option<Self>, E> {
        if let Some(bytes) = read(&path)? {
            return Ok(Some(Self { path, bytes, width }));
        }
        let Some((full, _)) = path.split_once(".p/") else {
            return Ok(None);
        };
        let bytes = read(full)?;
        Ok(bytes.map(|bytes| Self {
            path: full.to_owned(),
            bytes,
            width: FULL,
        }))
    }

    /// The first `count` hashes of a tile.
    pub(crate) fn hashes(&self, count: u16) -> Result<Vec<Hash>, FormatError> {
        let mut hashes = decode_tile(&self.bytes, self.width)?;
        hashes.truncate(count.into());
        Ok(hashes)
    }

    /// Compares the tile's hashes with `hashes`, beginning with the first of each. Returns the position
    /// of the first difference.
    pub(crate) fn first_wrong(&self, hashes: &[Hash]) -> Result<Option<u64>, FormatError> {
        let found = decode_tile(&self.bytes, self.width)?;
        let mut pairs = (0..).zip(found.iter().zip(hashes));
        let wrong = pairs.find(|(_, (found, right))| found != right);
        Ok(wrong.map(|(place, _)| place))
    }

    /// The first `count` entries of a bundle.
    pub(crate) fn entries(&self, count: u16) -> Result<Vec<&[u8]>, FormatError> {
        let mut entries = decode_bundle(&self.bytes, self.width)?;
        entries.truncate(count.into());
        Ok(entries)
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
