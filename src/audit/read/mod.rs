//! The log as its readers have it: checkpoint, tiles and bundles, from a folder or from any place that
//! serves them, and in a folder also what the journal holds beyond the checkpoint.
//!
//! 1. [`files`] says where files come from;
//! 2. [`log`] opens a log under its checkpoint, and gives bundles whose every entry is under it;
//! 3. [`scan`] reads many bundles, two at a time, in the order asked for.
//!
//! Takes no lock, and may run beside a writer.

pub mod prove;
pub mod query;
pub mod verify;

pub mod files;
pub mod log;
mod scan;
mod tree;

pub use files::{Files, FolderFiles};
pub use log::{Log, Reader};

use std::fmt;
use std::io;

use crate::audit::disk::is_no_file_of_a_log;

/// What kind of hole it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no log.
    Missing,
    /// A part is missing, altered, or contradicts another.
    Damaged,
    /// A part could not be read.
    Unreadable,
}

/// Why a part of the log cannot be read: an answer must not be taken over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// What kind it is.
    pub fault: Fault,
    /// The first entry that cannot be had, where that is known.
    pub index: Option<u64>,
    /// Where it is, and what is wrong there.
    pub what: String,
}

impl Hole {
    pub(crate) fn damaged(index: Option<u64>, what: impl Into<String>) -> Self {
        Self {
            fault: Fault::Damaged,
            index,
            what: what.into(),
        }
    }

    /// A file that could not be read, or is none that the log has.
    fn unread(index: Option<u64>, path: &str, error: &io::Error) -> Self {
        let what = format!("{path}: {error}");
        match is_no_file_of_a_log(error.kind()) {
            true => Self::damaged(index, what),
            false => Self::unreadable(index, what),
        }
    }

    fn unreadable(index: Option<u64>, what: impl Into<String>) -> Self {
        Self {
            fault: Fault::Unreadable,
            index,
            what: what.into(),
        }
    }
}

impl std::error::Error for Hole {}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "from entry {index} on: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
