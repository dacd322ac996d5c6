//! The log as its readers have it: checkpoint, tiles and bundles, from a folder or from any place that
//! serves them, and in a folder also what the journal holds beyond the checkpoint.
//!
//! 1. [`files`] says where files come from, [`Location`] where a log is;
//! 2. `tiles` reads a tile or a bundle by its place, `tree` judges a tile under the checkpoint;
//! 3. [`log`] opens a log under its checkpoint, and gives bundles whose every entry is under it;
//! 4. `place` finds an entry without reading what stands before it, `scan` reads many bundles, two at a time, in
//!    the order asked for.
//!
//! Takes no lock, and may run beside a writer.

pub mod prove;
pub mod query;
pub mod verify;

pub mod files;
mod location;
pub mod log;
mod place;
mod scan;
pub(crate) mod tiles;
mod tree;

pub use files::{Files, FolderFiles};
pub use location::Location;
pub use log::{CHECKPOINT, Log, Reader};

use std::fmt;
use std::io;

use crate::audit::disk::is_no_file_of_a_log;
use crate::audit::journal::{self, ReadError};

/// What kind of trouble a part of the log gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no log, or a part of it is gone.
    Missing,
    /// A part is altered, or contradicts another.
    Damaged,
    /// A part could not be read.
    Unreadable,
}

impl Trouble {
    /// Of a file that is there and could not be read.
    #[must_use]
    pub fn of_file(kind: io::ErrorKind) -> Self {
        match is_no_file_of_a_log(kind) {
            true => Self::Damaged,
            false => Self::Unreadable,
        }
    }
}

impl From<journal::Fault> for Trouble {
    fn from(fault: journal::Fault) -> Self {
        match fault {
            journal::Fault::Missing => Self::Missing,
            journal::Fault::Io(kind) => Self::of_file(kind),
            journal::Fault::Newer => Self::Unreadable,
            journal::Fault::Damaged | journal::Fault::Foreign => Self::Damaged,
        }
    }
}

/// A part of the log that cannot be had: no answer must be taken over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRange {
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// The first entry that cannot be had, if that is known.
    pub index: Option<u64>,
    /// The file below the folder, if one is at fault.
    pub file: Option<String>,
    /// What is wrong there.
    pub what: String,
}

impl MissingRange {
    /// That names no place yet.
    pub(crate) fn new(trouble: Trouble, what: impl Into<String>) -> Self {
        Self {
            trouble,
            index: None,
            file: None,
            what: what.into(),
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::new(Trouble::Damaged, what)
    }

    pub(crate) fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    pub(crate) fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Of a file that could not be read.
    fn unread(path: &str, error: &io::Error) -> Self {
        Self::new(Trouble::of_file(error.kind()), error.to_string()).in_file(path)
    }
}

impl std::error::Error for MissingRange {}

/// `from entry 256 on: tile/0/001.p/44: …`
impl fmt::Display for MissingRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "from entry {index} on: ")?;
        }
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl From<ReadError> for MissingRange {
    fn from(error: ReadError) -> Self {
        Self::new(error.fault.into(), error.to_string())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
