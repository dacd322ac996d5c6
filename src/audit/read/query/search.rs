//! Entries themselves, from one on, told from their bytes first.

use std::ops::ControlFlow;

use crate::audit::entry::Entry;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::read::log::BUNDLE;
use crate::audit::read::{Hole, Log};

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
    pub fn decode(&self) -> Result<Entry, Hole> {
        decode(self.index, &self.bytes)
    }
}

/// Decodes an entry.
pub(super) fn decode(index: u64, bytes: &[u8]) -> Result<Entry, Hole> {
    Entry::decode(bytes).map_err(|what| Hole::damaged(Some(index), what))
}

/// Gives the entries from an index on that pass, in order, until `each` breaks off.
///
/// # Errors
/// Where a part that had to be read is a hole.
pub fn search(
    log: &mut Log,
    from: u64,
    passes: impl Fn(u64, &[u8]) -> bool + Sync,
    mut each: impl FnMut(Raw) -> ControlFlow<()>,
) -> Result<(), Hole> {
    let bundles: Vec<u64> = (from / BUNDLE..log.bundles()).collect();
    let mut flow = ControlFlow::Continue(());
    let sift = |first: u64, entries: &[&[u8]]| -> Vec<Raw> {
        let entries = (first..).zip(entries);
        let wanted = entries.filter(|(index, bytes)| *index >= from && passes(*index, bytes));
        wanted
            .map(|(index, bytes)| Raw {
                index,
                bytes: bytes.to_vec(),
            })
            .collect()
    };
    log.scan(&bundles, sift, |some| {
        flow = some.into_iter().try_for_each(&mut each);
        flow
    })?;
    if flow.is_break() {
        return Ok(());
    }
    let ended = log.tail(|index, bytes| {
        if index < from || !passes(index, &bytes) {
            return Ok(());
        }
        match each(Raw { index, bytes }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Ended::Enough),
        }
    });
    match ended {
        Err(Ended::Hole(hole)) => Err(hole),
        Ok(()) | Err(Ended::Enough) => Ok(()),
    }
}

enum Ended {
    Enough,
    Hole(Hole),
}

impl From<Hole> for Ended {
    fn from(hole: Hole) -> Self {
        Self::Hole(hole)
    }
}
