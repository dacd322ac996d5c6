//! The place of a log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Files, FolderFiles, Log, MissingRange};
use crate::audit::log::verifier_key::VerifierKey;

/// The place of a log, for readers that open it repeatedly.
#[derive(Clone, Debug)]
pub enum Location {
    /// An audit folder, including its journal.
    Folder(PathBuf),
    /// Any source of the published files.
    Published(Arc<dyn Files>),
}

impl Location {
    /// Opens the present state of the log; for a folder, with the journal's entries beyond the
    /// checkpoint.
    ///
    /// # Errors
    /// Same as [`Log::folder`] and [`Log::published`].
    pub fn open(&self, key: Option<&VerifierKey>) -> Result<Log, MissingRange> {
        match self {
            Self::Folder(directory) => Log::folder(directory, key),
            Self::Published(files) => Log::published(Arc::clone(files), key),
        }
    }

    /// [`Self::open`] for proofs: an unreadable journal does not prevent proofs of the entries under
    /// the checkpoint.
    pub(super) fn open_for_proof(&self, key: &VerifierKey) -> Result<Log, MissingRange> {
        match self {
            Self::Folder(directory) => Log::covered_part(directory, Some(key)),
            Self::Published(_) => self.open(Some(key)),
        }
    }

    /// Opens the published part of the log: the entries under the checkpoint.
    ///
    /// # Errors
    /// Same as [`Log::published`], and if the folder cannot be opened.
    pub fn open_published(&self, key: Option<&VerifierKey>) -> Result<Log, MissingRange> {
        Log::published(self.files()?, key)
    }

    /// The log's published files.
    ///
    /// # Errors
    /// If the folder cannot be opened.
    pub fn files(&self) -> Result<Arc<dyn Files>, MissingRange> {
        match self {
            Self::Folder(directory) => Ok(Arc::new(FolderFiles::of_log(directory)?)),
            Self::Published(files) => Ok(Arc::clone(files)),
        }
    }

    /// The path of an audit folder.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(directory) => Some(directory),
            Self::Published(_) => None,
        }
    }
}
