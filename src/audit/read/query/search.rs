//! Entries themselves, from one on, told from their bytes first.

use std::ops::ControlFlow;

use crate::audit::entry::Entry;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::read::{Log, MissingRange};

/// An entry as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Raw {
    /// Its RFC 6962 leaf hash.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf(&self.bytes)
    }

    /// What it says.
    ///
    /// # Errors
    /// If this version does not know such an entry.
    pub fn decode(&self) -> Result<Entry, MissingRange> {
        decode(self.index, &self.bytes)
    }
}

/// Decodes an entry.
pub(super) fn decode(index: u64, bytes: &[u8]) -> Result<Entry, MissingRange> {
    Entry::decode(bytes).map_err(|what| MissingRange::damaged(what).at(index))
}

/// Gives the entries from an index on that pass, in order, until `each` breaks off. Returns the index behind
/// the last entry that was read.
///
/// # Errors
/// If a part that had to be read is missing.
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
