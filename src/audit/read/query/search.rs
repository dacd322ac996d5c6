//! Searches entries by their bytes before it decodes them.

use std::ops::ControlFlow;

use crate::audit::entry::Entry;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::read::{Log, MissingRange};

/// An entry's bytes with their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The entry's index.
    pub index: u64,
    /// The entry's bytes.
    pub bytes: Vec<u8>,
}

impl Raw {
    /// Its RFC 6962 leaf hash.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf(&self.bytes)
    }

    /// Decodes the entry.
    ///
    /// # Errors
    /// If this version does not know the entry.
    pub fn decode(&self) -> Result<Entry, MissingRange> {
        decode(self.index, &self.bytes)
    }
}

/// Decodes an entry.
pub(super) fn decode(index: u64, bytes: &[u8]) -> Result<Entry, MissingRange> {
    Entry::decode(bytes).map_err(|what| MissingRange::damaged(what).at(index))
}

/// Passes the entries from an index on to `each` if they meet `passes`, in order, until that
/// breaks. Returns the index after the last entry that was read.
///
/// # Errors
/// If a needed part of the log is missing.
pub fn search(
    log: &mut Log,
    from: u64,
    passes: impl Fn(u64, &[u8]) -> bool + Sync,
    each: impl FnMut(Raw) -> ControlFlow<()>,
) -> Result<u64, MissingRange> {
    let raw = |index, bytes: &[u8]| {
        let raw = || Raw {
            index,
            bytes: bytes.to_vec(),
        };
        passes(index, bytes).then(raw)
    };
    log.scan_from(from, raw, each)
}
