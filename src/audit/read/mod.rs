//! Reads the log: checkpoint, tiles and bundles, from a folder or from any place that serves them.
//! From a folder it also reads the journal's entries beyond the checkpoint.
//!
//! 1. `reader` reads the files from their source, and returns only tiles and entries that it
//!    verified under the checkpoint;
//! 2. `log` opens a log at its [`Location`]. It reads the bundles, two at a time, then the journal's
//!    entries beyond the checkpoint, and finds an entry without reading the log before it.
//!
//! [`query`] joins entries into deletions, [`verify`] checks a whole log, [`prove`](mod@prove) makes
//! a proof of an entry.
//!
//! Takes no lock and may run beside a writer.

pub(crate) mod prove;
pub mod query;
pub mod verify;

mod log;
mod missing;
mod reader;

pub use log::Location;
pub(crate) use log::{Found, Log};
pub(crate) use missing::Missing;
pub use reader::Files;
pub(crate) use reader::{FolderFiles, MAX_TILE_BYTES, OnDamage, Raw, Reader, TileFile};

pub(crate) use crate::audit::disk::names::CHECKPOINT;

use std::{fmt, io};

use crate::audit::disk::is_no_file_of_a_log;
use crate::audit::journal::{self, ReadError};
use crate::audit::log::tiles::FULL;

/// How many entries a full bundle has, and how many hashes a full tile.
pub(crate) const WIDTH: u64 = FULL as u64;

/// The kind of a fault in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no log, or a part of it is missing.
    Missing,
    /// A part was altered or contradicts another.
    Damaged,
    /// A part is unreadable.
    Unreadable,
}

impl Trouble {
    /// For an error of reading a file that exists.
    fn of_file(kind: io::ErrorKind) -> Self {
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

/// A part of the log that a reader needs and cannot get, so an answer without it would be
/// incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRange {
    /// The kind of the fault.
    pub trouble: Trouble,
    /// The first entry of the part, if known.
    pub index: Option<u64>,
    /// The index after the last entry of the part, if known.
    pub end: Option<u64>,
    /// The faulty file, relative to the folder, if there is one.
    pub file: Option<String>,
    /// A description of the fault.
    pub what: String,
}

impl MissingRange {
    pub(crate) fn new(trouble: Trouble, what: impl Into<String>) -> Self {
        Self {
            trouble,
            index: None,
            end: None,
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

    /// The part ends before this entry.
    pub(crate) fn until(mut self, end: u64) -> Self {
        self.end = Some(end);
        self
    }

    /// The part is only this entry.
    pub(crate) fn only(self, index: u64) -> Self {
        self.at(index).until(index + 1)
    }

    /// Whether this entry is in the part.
    fn hides(&self, index: u64) -> bool {
        self.index.is_some_and(|first| first <= index) && self.end.is_none_or(|end| index < end)
    }

    pub(crate) fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    fn unread(path: &str, error: &io::Error) -> Self {
        Self::new(Trouble::of_file(error.kind()), error.to_string()).in_file(path)
    }
}

impl std::error::Error for MissingRange {}

/// `entries 256 to 511: tile/entries/001: …`
impl fmt::Display for MissingRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.index, self.end) {
            (Some(index), Some(end)) if end <= index + 1 => write!(f, "entry {index}: ")?,
            (Some(index), Some(end)) => write!(f, "entries {index} to {}: ", end - 1)?,
            (Some(index), None) => write!(f, "from entry {index} on: ")?,
            (None, _) => {}
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
