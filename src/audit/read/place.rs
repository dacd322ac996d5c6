//! Finds a place in a log without reading what stands before it.

use std::ops::ControlFlow;

use super::MissingRange;
use super::log::{BUNDLE, Log, Reader};

impl Reader {
    /// The entry with this index.
    ///
    /// # Errors
    /// If its bundle is missing, altered or unreadable, or the checkpoint does not cover it.
    pub fn entry(&mut self, index: u64) -> Result<Vec<u8>, MissingRange> {
        let at = usize::try_from(index % BUNDLE).unwrap_or(usize::MAX);
        let entry = |entries: &[&[u8]], _: &[_]| entries.get(at).map(|entry| entry.to_vec());
        self.bundle(index / BUNDLE, entry)?
            .ok_or_else(|| MissingRange::damaged("the checkpoint does not cover it").at(index))
    }
}

impl Log {
    /// The entry with this index, under the checkpoint or else from the journal; `None` if the log ends before
    /// it.
    ///
    /// # Errors
    /// If what it stands in is missing, altered or unreadable.
    pub fn entry(&mut self, index: u64) -> Result<Option<Vec<u8>>, MissingRange> {
        if index < self.size() {
            return self.reader().entry(index).map(Some);
        }
        let mut found = None;
        self.tail(|at, bytes| {
            if at < index {
                return ControlFlow::Continue(());
            }
            found = Some(bytes);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
}
