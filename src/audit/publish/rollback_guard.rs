//! The seen file: a copy of the newest checkpoint outside the log's folder, which shows that
//! someone set the folder back to an older state. If the gateway cannot write it, it only reports
//! that.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Access;

use super::checkpoint_file::CheckpointFile;
use crate::audit::disk::{Disk, Folder, folder_above, is_lack, read_log_file};
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::status::{Cause, Unavailable};

#[derive(Debug)]
pub(crate) struct RollbackGuard {
    /// `None` if it cannot be opened.
    file: Option<CheckpointFile>,
    pub(super) trouble: Option<String>,
    path: String,
}

impl RollbackGuard {
    /// Opens the file and returns its content.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<(Self, Option<Vec<u8>>)> {
        let shown = path.display().to_string();
        let opened = folder_of(&**disk, path).and_then(|(folder, name)| {
            let bytes = read_log_file(&*folder, &name)?;
            let temporary = format!("{name}.new");
            let file = CheckpointFile::new(folder, name, temporary, bytes.clone());
            Ok((file, bytes))
        });
        let (file, bytes, trouble) = match opened {
            Ok((file, bytes)) => (Some(file), bytes, None),
            Err(error) if is_lack(&error) => return Err(error),
            Err(error) => (None, None, Some(detection_is_off(&shown, &error))),
        };
        let guard = Self {
            file,
            trouble,
            path: shown,
        };
        Ok((guard, bytes))
    }

    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        let known = self.file.as_ref().and_then(|file| file.known.as_deref());
        known == Some(bytes) && self.trouble.is_none()
    }

    /// A foreign checkpoint in the file means a second writer. The next write repairs any other
    /// fault.
    pub(super) fn compare(&mut self, key: &VerifierKey) -> Result<(), Unavailable> {
        match self.file.as_mut().map(|file| file.compare(key)) {
            Some(Err(found)) if found.cause == Cause::SecondWriter => Err(found),
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file {
            let folder = Arc::clone(&file.folder);
            let error = file.replace(&*folder, bytes).err();
            self.trouble = error.map(|error| detection_is_off(&self.path, &error));
        }
    }
}

/// Why roll-back detection would not work for this process's user; `None` if it would. It needs a
/// folder that accepts new names, and a file that the user can read.
pub(crate) fn unwatched(path: &Path) -> Option<String> {
    let may = |path: &Path, access| rustix::fs::access(path, access).map_err(io::Error::from);
    let folder = may(folder_above(path), Access::WRITE_OK | Access::EXEC_OK);
    let file = match may(path, Access::READ_OK) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let error = folder.and(file).err()?;
    Some(detection_is_off(&path.display().to_string(), &error))
}

/// Opens a file's folder; also returns the file's name.
pub(crate) fn folder_of(disk: &dyn Disk, path: &Path) -> io::Result<(Arc<dyn Folder>, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(io::ErrorKind::InvalidFilename)?;
    // Never creates the folder: it could take the place of a disk that is not mounted.
    Ok((disk.folder(folder_above(path), None)?, name.to_owned()))
}

fn detection_is_off(path: &str, error: &io::Error) -> String {
    format!("roll-back detection is off: the seen file {path} cannot be used: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::RealDisk;
    use crate::audit::test_folder;

    #[test]
    fn a_missing_folder_is_reported_and_never_created() {
        let folder = test_folder("seen");
        let path = folder.path().join("not/there.seen");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (mut guard, found) = RollbackGuard::open(&disk, &path).unwrap();
        assert_eq!(found, None);
        guard.write(b"checkpoint");
        assert!(guard.trouble.unwrap().contains("not/there.seen"));
        assert!(unwatched(&path).unwrap().contains("detection is off"));
        assert!(!folder.path().join("not").exists());
        assert_eq!(unwatched(&folder.path().join("new.seen")), None);
    }

    #[test]
    fn a_written_checkpoint_is_read_again() {
        let folder = test_folder("seen");
        let path = folder.path().join("audit.key.seen");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (mut guard, _) = RollbackGuard::open(&disk, &path).unwrap();
        for text in [b"one".as_slice(), b"two"] {
            guard.write(text);
            assert!(guard.holds(text));
            let (_, found) = RollbackGuard::open(&disk, &path).unwrap();
            assert_eq!(found.as_deref(), Some(text));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
