//! Where a log is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Files, FolderFiles, Log, MissingRange};
use crate::audit::log::verifier_key::VerifierKey;

/// Where a log is, for those who open it as often as they read it.
#[derive(Clone, Debug)]
pub enum Location {
    /// An audit folder: the journal is read too.
    Folder(PathBuf),
    /// Any place that serves what is published.
    Published(Arc<dyn Files>),
}

impl Location {
    /// Opens the log as it is now, that of a folder with what the journal holds beyond the checkpoint.
    ///
    /// # Errors
    /// As [`Log::folder`] and [`Log::published`].
    pub fn open(&self, key: Option<&VerifierKey>) -> Result<Log, MissingRange> {
        match self {
            Self::Folder(directory) => Log::folder(directory, key),
            Self::Published(files) => Log::published(Arc::clone(files), key),
        }
    }

    /// As [`Self::open`], for proofs: a journal that cannot be read takes none from what the checkpoint covers.
    ///
    /// # Errors
    /// As [`Self::open`], but for the journal.
    pub(super) fn open_for_proof(&self, key: &VerifierKey) -> Result<Log, MissingRange> {
        match self {
            Self::Folder(directory) => Log::covered_part(directory, Some(key)),
            Self::Published(_) => self.open(Some(key)),
        }
    }

    /// Opens what of the log is published: all that its checkpoint covers.
    ///
    /// # Errors
    /// As [`Log::published`], and if there is no folder.
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

    /// The audit folder, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(directory) => Some(directory),
            Self::Published(_) => None,
        }
    }
}
