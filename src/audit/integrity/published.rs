//! Reads the published files for the integrity checks.

use std::sync::Arc;

use super::unread::{is_no_folder, unread};
use crate::audit::disk::names::CHECKPOINT;
use crate::audit::disk::{Folder, read_log_file};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::status::{Cause, Unavailable, closed};

/// The log's folder, and the key that must have signed its checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    root: Arc<dyn Folder>,
    key: Arc<Key>,
}

impl Published {
    pub(crate) fn new(root: &Arc<dyn Folder>, key: &Arc<Key>) -> Self {
        Self {
            root: Arc::clone(root),
            key: Arc::clone(key),
        }
    }

    /// The present checkpoint.
    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, Unavailable> {
        let Some(bytes) = self.read(CHECKPOINT)? else {
            return Err(unlinked(CHECKPOINT));
        };
        Checkpoint::open(&bytes, self.key.verifier())
            .map_err(|e| altered(CHECKPOINT, &e.to_string()))
    }

    /// A file's present content; `None` if the file is missing.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.folder(above)? else {
            return Ok(None);
        };
        read_log_file(&*folder, name).map_err(|error| unread(&error, path))
    }

    /// A folder below the log's; `None` if it is missing.
    fn folder(&self, path: &str) -> Result<Option<Arc<dyn Folder>>, Unavailable> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let found = parts.try_fold(Arc::clone(&self.root), |above, part| {
            above.folder(part, None)
        });
        match found {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if is_no_folder(&error) => Ok(None),
            Err(error) => Err(unread(&error, path)),
        }
    }
}

pub(crate) fn unlinked(path: &str) -> Unavailable {
    closed(Cause::Unlinked, format!("{path} was unlinked"))
}

pub(crate) fn altered(path: &str, what: &str) -> Unavailable {
    closed(Cause::Altered, format!("{path}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::log::key::test_key;
    use crate::audit::test_folder;

    #[test]
    fn a_replaced_file_differs_from_a_missing_one() {
        let outer = test_folder("published");
        let at = |name: &str| outer.path().join(name);
        std::fs::create_dir_all(at("tile/0/001")).unwrap();
        std::fs::write(at("tile/0/000"), b"hash").unwrap();
        std::os::unix::fs::symlink("000", at("tile/0/002")).unwrap();
        let long = std::fs::File::create(at("tile/0/003")).unwrap();
        long.set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("0", at("tile/1")).unwrap();
        std::fs::write(at("tile/2"), b"").unwrap();
        let root = RealDisk.folder(outer.path(), None).unwrap();
        let published = Published::new(&root, &Arc::new(test_key()));
        assert_eq!(published.read("tile/0/000").unwrap().unwrap(), b"hash");
        for none in ["tile/0/004", "tile/1/000", "tile/2/000", "tile/3/000"] {
            assert_eq!(published.read(none), Ok(None), "{none}");
        }
        let cause = |path: &str| published.read(path).unwrap_err().cause;
        assert_eq!(cause("tile/0/001"), Cause::Replaced);
        assert_eq!(cause("tile/0/002"), Cause::Replaced);
        assert_eq!(cause("tile/0/003"), Cause::Altered);
    }
}
