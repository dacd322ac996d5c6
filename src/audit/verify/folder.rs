//! A whole audit folder, from its first batch to its last entry.

use std::fmt;
use std::path::Path;

use super::{Checker, Fault, Summary, tail};
use crate::audit::entry::Entry;
use crate::audit::journal::{self, Place, ReadError};
use crate::audit::key::Key;
use crate::audit::merkle::{self, Hash};

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no trail.
    Missing,
    /// The trail is damaged or contradicts itself.
    Damaged,
    /// It could not be read.
    Unreadable,
}

/// Why a trail does not verify: the first thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is.
    pub trouble: Trouble,
    /// The entry, where one is at fault.
    pub index: Option<u64>,
    /// Where the batch stands, where that is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
}

impl std::error::Error for Failure {}

/// `entry 5 (journal segment 0000000001, offset 4096): …`
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.map(|place| {
            format!(
                "journal segment {:010}, offset {}",
                place.segment, place.offset
            )
        });
        match (self.index, place) {
            (Some(index), Some(place)) => write!(f, "entry {index} ({place}): {}", self.what),
            (Some(index), None) => write!(f, "entry {index}: {}", self.what),
            (None, Some(place)) => write!(f, "{place}: {}", self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let place = Place {
            segment: error.segment,
            offset: error.offset,
        };
        Self {
            trouble: match error.fault {
                journal::Fault::Missing => Trouble::Missing,
                journal::Fault::Io => Trouble::Unreadable,
                journal::Fault::Damaged | journal::Fault::Foreign => Trouble::Damaged,
            },
            index: None,
            place: (place.segment != 0).then_some(place),
            what: match error.fault {
                journal::Fault::Missing => format!("there is no journal: {}", error.what),
                _ => error.what,
            },
        }
    }
}

/// Verifies the trail in a folder: digests, chain, with the key the tags, and every entry. Each
/// entry that passes is shown to `seen` with its index and RFC 6962 leaf hash.
///
/// Takes no lock and may run beside a writer: open intents are counted, not a fault.
///
/// # Errors
/// The first thing that is wrong.
pub fn folder(
    directory: &Path,
    key: Option<&Key>,
    mut seen: impl FnMut(u64, &Entry, &Hash),
) -> Result<Summary, Failure> {
    let mut checker = Checker::default();
    let mut last = None;
    for read in journal::read(directory, key)? {
        let read = read?;
        last = Some(read.place);
        let leaf = merkle::leaf(&read.bytes);
        let entry = checker
            .push(read.index, &read.bytes, &leaf)
            .map_err(|fault| at(fault, Some(read.place)))?;
        seen(read.index, &entry, &leaf);
    }
    let mut summary = checker.finish().map_err(|fault| at(fault, None))?;
    if summary.entries == 0 {
        segments_must_be_there(directory)?;
    }
    summary.cut_off = tail::is_cut_off(directory, last)?;
    Ok(summary)
}

fn at(fault: Fault, place: Option<Place>) -> Failure {
    Failure {
        trouble: Trouble::Damaged,
        index: Some(fault.index),
        place,
        what: fault.what,
    }
}

/// A young trail has a segment without entries; one without segments is gone.
fn segments_must_be_there(directory: &Path) -> Result<(), Failure> {
    let folder = directory.join(journal::FOLDER);
    let failure = |trouble, what| Failure {
        trouble,
        index: None,
        place: None,
        what,
    };
    let names = std::fs::read_dir(&folder).map_err(|error| {
        let what = format!("cannot list {}: {error}", folder.display());
        failure(Trouble::Unreadable, what)
    })?;
    let is_segment = |name: &std::ffi::OsStr| {
        let number = name.to_str().and_then(journal::segment::number);
        number.is_some()
    };
    if names.flatten().any(|item| is_segment(&item.file_name())) {
        return Ok(());
    }
    let what = format!("{} holds no journal segment", folder.display());
    Err(failure(Trouble::Missing, what))
}

#[cfg(test)]
mod tests;
