//! The seen file: the newest checkpoint, kept apart from the log's folder, so that a folder that was
//! set back to an older state is noticed. Where it cannot be kept, that is noted and no more.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Access;

use super::checkpoint_file::CheckpointFile;
use crate::audit::disk::read_log_file;
use crate::audit::disk::{Disk, Folder, is_lack};
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::status::{Cause, Unavailable};

/// The file, where its folder is there.
#[derive(Debug)]
pub(crate) struct Seen {
    kept: Option<CheckpointFile>,
    /// Why roll-back is not watched.
    trouble: Option<String>,
    path: String,
}

impl Seen {
    /// Opens it, and gives what it holds.
    ///
    /// # Errors
    /// Where descriptors or memory are lacking: a log must not go unwatched for that until it is restarted.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<(Self, Option<Vec<u8>>)> {
        let shown = path.display().to_string();
        let opened = folder_of(&**disk, path).and_then(|(folder, name)| {
            let bytes = read_log_file(&*folder, &name)?;
            let passing = format!("{name}.new");
            let kept =
                CheckpointFile::new(Arc::clone(&folder), &name, folder, &passing, bytes.clone());
            Ok((kept, bytes))
        });
        let (kept, bytes, trouble) = match opened {
            Ok((kept, bytes)) => (Some(kept), bytes, None),
            Err(error) if is_lack(&error) => return Err(error),
            Err(error) => (None, None, Some(not_watched(&shown, &error))),
        };
        let seen = Self {
            kept,
            trouble,
            path: shown,
        };
        Ok((seen, bytes))
    }

    /// Why roll-back is not watched, where it is not.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether it holds these bytes.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        let known = self.kept.as_ref().and_then(CheckpointFile::known);
        known == Some(bytes) && self.trouble.is_none()
    }

    /// Somebody else's checkpoint there is another writer of the same log; any other fault is mended
    /// by the next write.
    pub(super) fn compare(&mut self, key: &VerifierKey) -> Result<(), Unavailable> {
        match self.kept.as_mut().map(|kept| kept.compare(key)) {
            Some(Err(found)) if found.cause == Cause::SecondWriter => Err(found),
            _ => Ok(()),
        }
    }

    /// Keeps a new checkpoint.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if let Some(kept) = &mut self.kept {
            let kept = kept.replace(bytes);
            self.trouble = kept.err().map(|error| not_watched(&self.path, &error));
        }
    }
}

/// Why roll-back would not be watched by this process's user, where it would not: the seen file's
/// folder takes no new names, or the file cannot be read.
#[must_use]
pub fn unwatched(path: &Path) -> Option<String> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let may = |path: &Path, access| rustix::fs::access(path, access).map_err(io::Error::from);
    let folder = may(
        above.unwrap_or(Path::new(".")),
        Access::WRITE_OK | Access::EXEC_OK,
    );
    let file = match may(path, Access::READ_OK) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let error = folder.and(file).err()?;
    Some(not_watched(&path.display().to_string(), &error))
}

/// A file's folder, opened, and its name in it.
pub(crate) fn folder_of(disk: &dyn Disk, path: &Path) -> io::Result<(Arc<dyn Folder>, String)> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    // Never made: a disk that is not mounted must not be stood in for by a folder that does not last.
    let above = if above.as_os_str().is_empty() {
        Path::new(".")
    } else {
        above
    };
    Ok((disk.folder(above, None)?, name.to_owned()))
}

fn not_watched(path: &str, error: &io::Error) -> String {
    format!("roll-back is not watched: the seen file {path} cannot be kept: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::RealDisk;
    use crate::audit::test_folder;

    #[test]
    fn a_seen_file_whose_folder_is_not_there_is_noted_and_never_made() {
        let folder = test_folder("seen");
        let path = folder.path().join("not/there.seen");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (mut seen, found) = Seen::open(&disk, &path).unwrap();
        assert_eq!(found, None);
        seen.keep(b"checkpoint");
        assert!(seen.trouble().unwrap().contains("not/there.seen"));
        assert!(unwatched(&path).unwrap().contains("not watched"));
        assert!(!folder.path().join("not").exists());
        assert_eq!(unwatched(&folder.path().join("new.seen")), None);
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let folder = test_folder("seen");
        let path = folder.path().join("audit.key.seen");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (mut seen, _) = Seen::open(&disk, &path).unwrap();
        for text in [b"one".as_slice(), b"two"] {
            seen.keep(text);
            assert!(seen.holds(text));
            let (_, found) = Seen::open(&disk, &path).unwrap();
            assert_eq!(found.as_deref(), Some(text));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
