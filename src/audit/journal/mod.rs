//! The journal: the entries in order, in batches that each went to disk with one write and one sync.
//!
//! A segment is a file written full of zeros beforehand; a batch begins on a 4,096-byte
//! boundary and names the digest of the batch before. The first batch of a segment may go
//! on from an earlier place than the newest: what stands behind that place in earlier
//! segments is void. Segments that a checkpoint covers may be pruned, oldest first: the chain then
//! begins with the oldest that is left, and `floor` says that it may. Readers take no lock and need no key; with the key they also check
//! each batch's tag.

pub(crate) mod pending;

pub mod append;
pub mod batch;
pub mod chain;
mod plan;
mod read;
pub(crate) mod reserve;
pub mod segment;
pub mod spare;
pub(crate) mod start;
mod tail;

#[cfg(test)]
mod tests;

use super::disk::names::JOURNAL;
pub(crate) use pending::Synced;
pub use read::{Entries, Read, read, read_folder};

/// Where a batch stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The segment's number; the first is 1.
    pub segment: u64,
    /// Bytes from the segment's beginning to the batch's.
    pub offset: u64,
}

/// What kind of fault a reader met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no journal.
    Missing,
    /// The disk would not say, by an error of this kind.
    Io(std::io::ErrorKind),
    /// What stands there was not written so, or something that stood there is gone.
    Damaged,
    /// A batch with a right digest that this key did not write.
    Foreign,
    /// A newer program wrote it, in a format that this one does not know.
    Newer,
}

/// A fault of the journal, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", shown(*segment, *offset))]
pub struct ReadError {
    /// The segment's number; 0 where none is meant.
    pub segment: u64,
    /// Bytes from the segment's beginning.
    pub offset: u64,
    /// What was found, for people.
    pub what: String,
    /// What kind of fault it is.
    pub fault: Fault,
}

impl ReadError {
    fn new(fault: Fault, place: Place, what: impl Into<String>) -> Self {
        Self {
            segment: place.segment,
            offset: place.offset,
            what: what.into(),
            fault,
        }
    }

    fn io(place: Place, error: &std::io::Error) -> Self {
        Self::new(Fault::Io(error.kind()), place, error.to_string())
    }

    fn damaged_before(place: Place, sign: Place) -> Self {
        let what = format!(
            "records are damaged or missing here: segment {:010}, offset {} was written later",
            sign.segment, sign.offset
        );
        Self::new(Fault::Damaged, place, what)
    }

    fn newer(place: Place, which: &str, version: u64) -> Self {
        let what = format!(
            "{which} has format version {version}, and this program reads version 1: run the newer program that wrote it"
        );
        Self::new(Fault::Newer, place, what)
    }
}

fn shown(segment: u64, offset: u64) -> String {
    match segment {
        0 => JOURNAL.to_owned(),
        _ => format!("{JOURNAL} segment {segment:010}, offset {offset}"),
    }
}
