//! The journal: the log's entries in batches. The writer makes each batch durable with one write
//! and one sync.
//!
//! A segment is a file that the gateway fills with zeros before it writes batches to the file. A batch
//! begins on a 4,096-byte boundary and holds the digest of the batch before it. After a failed sync or a
//! crash, the writer begins a new segment. The first batch of the new segment continues from the last
//! batch that is known to be synced, and every later batch in the older segments is void. After a
//! checkpoint covers the oldest segments, the gateway can remove them. The file `floor` then proves where
//! the journal begins. Readers take no lock and need no key. With the key, they also check the tag of
//! each batch.

pub(crate) mod append;
pub(crate) mod batch;
pub(crate) mod chain;
pub(crate) mod floor;
mod plan;
pub(crate) mod segment;
pub(crate) mod spare;

#[cfg(test)]
mod tests;

use std::fmt;

use super::disk::names::JOURNAL;
pub(crate) use append::Synced;
pub(crate) use chain::{Entries, Read, read, read_folder};

/// The location of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The segment's number, from 1; 0 before the first batch, or if a fault concerns the whole journal.
    pub segment: u64,
    /// The offset in the segment, in bytes.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, offset } = self;
        match segment {
            0 => f.write_str(JOURNAL),
            _ => write!(f, "{JOURNAL} segment {segment:010}, offset {offset}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Missing,
    /// The disk returned an error of this kind.
    Io(std::io::ErrorKind),
    /// Bytes were altered, or a part of the journal is missing.
    Damaged,
    /// A batch or the file `floor` has the correct form, but was written with another key.
    Foreign,
    /// A newer program wrote a batch or the file `floor` in a format that this program does not know.
    Newer,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ReadError {
    pub place: Place,
    pub what: String,
    pub fault: Fault,
}

impl ReadError {
    fn new(fault: Fault, place: Place, what: impl Into<String>) -> Self {
        Self {
            place,
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
