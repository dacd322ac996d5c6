//! The two files that hold the newest checkpoint: `checkpoint` in the log's folder, and the seen
//! file.
//!
//! The seen file is a copy outside the log's folder. With this copy, the gateway detects that
//! someone set the log's folder back to an older state. If the gateway cannot write the seen file,
//! it reports that and continues.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Access;

use crate::audit::disk::{Disk, Folder, folder_above, is_lack, read_log_file, write_synced};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::VerifierKey;
use crate::audit::status::{Cause, Unavailable, closed, unread};
use crate::clock::Time;

/// A file that holds a checkpoint, and the bytes that this process expects in the file.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    folder: Arc<dyn Folder>,
    name: String,
    /// The content that the file should have; `None` before the first checkpoint.
    pub(super) known: Option<Vec<u8>>,
    /// The content of the last write, if that write failed. The file can hold this content
    /// nevertheless.
    attempted: Option<Vec<u8>>,
}

impl CheckpointFile {
    pub(super) fn open(folder: Arc<dyn Folder>, name: String) -> io::Result<Self> {
        Ok(Self {
            known: read_log_file(&*folder, &name)?,
            attempted: None,
            folder,
            name,
        })
    }

    /// Reads the file and checks that it still holds the checkpoint that this process last read or
    /// wrote.
    pub(super) fn compare(&mut self, key: &VerifierKey) -> Result<(), Unavailable> {
        let found = read_log_file(&*self.folder, &self.name)
            .map_err(|e| unread(&e, &format!("cannot read {}", self.name)))?;
        if found == self.known {
            return Ok(());
        }
        if found.is_some() && found == self.attempted {
            self.known = self.attempted.take();
            return Ok(());
        }
        let name = &self.name;
        let found = found.ok_or_else(|| closed(Cause::Unlinked, format!("{name} was unlinked")))?;
        let Checkpoint { size, .. } = Checkpoint::open(&found, key)
            .map_err(|e| closed(Cause::Altered, format!("{name}: {e}")))?;
        let what = format!("{name} holds a checkpoint of {size} entries, not ours");
        Err(closed(Cause::SecondWriter, what))
    }

    /// Replaces the file's content durably. First writes the content to a temporary file with the
    /// name `temporary` in `folder`.
    pub(super) fn replace(
        &mut self,
        folder: &dyn Folder,
        temporary: &str,
        bytes: &[u8],
    ) -> io::Result<()> {
        write_synced(folder, temporary, bytes)?;
        self.attempted = Some(bytes.to_vec());
        folder.move_into(temporary, &*self.folder, &self.name)?;
        self.folder.sync()?;
        self.known = self.attempted.take();
        Ok(())
    }
}

/// Uses the seen file to detect a roll-back of the log's folder.
#[derive(Debug)]
pub(super) struct RollbackGuard {
    /// The seen file; `None` if it cannot be opened.
    file: Option<CheckpointFile>,
    /// Why roll-back detection does not work; `None` if it works.
    pub(super) trouble: Option<String>,
    path: String,
}

impl RollbackGuard {
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file =
            folder_of(disk, path).and_then(|(above, name)| CheckpointFile::open(above, name));
        let path = path.display().to_string();
        let (file, trouble) = match file {
            Ok(file) => (Some(file), None),
            Err(error) if is_lack(&error) => return Err(error),
            Err(error) => (None, Some(detection_is_off(&path, &error))),
        };
        Ok(Self {
            file,
            trouble,
            path,
        })
    }

    /// Describes the seen file for messages: its path and the time of its last change.
    pub(super) fn describe(&self) -> String {
        let looked = self.file.as_ref().map(|file| file.folder.look(&file.name));
        let micros = looked.and_then(|found| i64::try_from(found.ok()?.changed / 1_000).ok());
        let since =
            micros.map_or_else(String::new, |micros| format!(", written {},", Time(micros)));
        format!("the seen file {}{since}", self.path)
    }

    /// The content of the seen file; `None` if the file is missing or cannot be read.
    pub(super) fn known(&self) -> Option<&[u8]> {
        self.file.as_ref()?.known.as_deref()
    }

    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        self.known() == Some(bytes) && self.trouble.is_none()
    }

    /// Checks the seen file. Fails only if another program wrote a checkpoint into the file. The
    /// next write repairs any other fault.
    pub(super) fn compare(&mut self, key: &VerifierKey) -> Result<(), Unavailable> {
        match self.file.as_mut().map(|file| file.compare(key)) {
            Some(Err(found)) if found.cause == Cause::SecondWriter => Err(found),
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file {
            let (folder, temporary) = (Arc::clone(&file.folder), format!("{}.new", file.name));
            let error = file.replace(&*folder, &temporary, bytes).err();
            self.trouble = error.map(|error| detection_is_off(&self.path, &error));
        }
    }
}

/// Why roll-back detection would not work for this process's user; `None` if it would work. The
/// user must be able to read the seen file and to create files in the folder of the seen file.
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
    // Never creates a missing folder, because the folder may be on a disk that is not mounted yet.
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
        let mut guard = RollbackGuard::open(&RealDisk, &path).unwrap();
        assert_eq!(guard.known(), None);
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
        let mut guard = RollbackGuard::open(&RealDisk, &path).unwrap();
        for text in [b"one".as_slice(), b"two"] {
            guard.write(text);
            assert!(guard.holds(text));
            let again = RollbackGuard::open(&RealDisk, &path).unwrap();
            assert_eq!(again.known(), Some(text));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
