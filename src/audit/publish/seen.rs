//! The seen file: the newest checkpoint, kept apart from the log's folder, so that a folder that was
//! set back to an older state is noticed. Where it cannot be kept, that is noted and no more.

use std::path::Path;
use std::sync::Arc;

use super::kept::Kept;
use super::shelf::read_whole;
use crate::audit::disk::{Disk, Folder};
use crate::audit::verifier_key::VerifierKey;
use crate::audit::{Cause, Closed};

/// The file, where its folder is there.
#[derive(Debug)]
pub(in crate::audit) struct Seen {
    kept: Option<Kept>,
    /// Why roll-back is not watched.
    trouble: Option<String>,
    path: String,
}

impl Seen {
    /// Opens it, and gives what it holds.
    pub(in crate::audit) fn open(disk: &Arc<dyn Disk>, path: &Path) -> (Self, Option<Vec<u8>>) {
        let shown = path.display().to_string();
        let opened = folder_of(disk, path).and_then(|(folder, name)| {
            let bytes = read_whole(&*folder, &name)?;
            let passing = format!("{name}.new");
            let kept = Kept::new(Arc::clone(&folder), &name, folder, &passing, bytes.clone());
            Ok((kept, bytes))
        });
        let (kept, bytes, trouble) = match opened {
            Ok((kept, bytes)) => (Some(kept), bytes, None),
            Err(error) => (None, None, Some(not_watched(&shown, &error))),
        };
        let seen = Self {
            kept,
            trouble,
            path: shown,
        };
        (seen, bytes)
    }

    /// Why roll-back is not watched, where it is not.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether it holds these bytes.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        let known = self.kept.as_ref().and_then(Kept::known);
        known == Some(bytes) && self.trouble.is_none()
    }

    /// Somebody else's checkpoint there is another writer of the same log; any other fault is mended
    /// by the next write.
    pub(super) fn compare(&mut self, key: &VerifierKey) -> Result<(), Closed> {
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

fn folder_of(disk: &Arc<dyn Disk>, path: &Path) -> std::io::Result<(Arc<dyn Folder>, String)> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Err(std::io::ErrorKind::InvalidFilename.into());
    };
    // Never made: a disk that is not mounted must not be stood in for by a folder that does not last.
    let above = if above.as_os_str().is_empty() {
        Path::new(".")
    } else {
        above
    };
    Ok((disk.folder(above, None)?, name.to_owned()))
}

fn not_watched(path: &str, error: &std::io::Error) -> String {
    format!("roll-back is not watched: the seen file {path} cannot be kept: {error}")
}
