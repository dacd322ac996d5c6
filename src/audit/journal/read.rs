//! Reads the journal entry by entry, without a lock.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::chain::Chain;
use super::{Fault, Place, ReadError};
use crate::audit::disk::names::JOURNAL;
use crate::audit::disk::{Disk, Folder, RealDisk};
use crate::audit::log::key::Key;

/// An entry in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Its index in the log.
    pub(crate) index: u64,
    /// Its bytes: one JSON object.
    pub(crate) bytes: Vec<u8>,
    /// The location of its batch.
    pub(crate) place: Place,
}

/// The entries in order; holds one batch (1 MiB) at a time, and ends after the first error.
#[derive(Debug)]
pub(crate) struct Entries<'k> {
    chain: Chain<'k>,
    batch: std::vec::IntoIter<Vec<u8>>,
    index: u64,
}

/// Reads the journal of the audit folder at `directory`. Takes no lock and may run beside a writer;
/// a torn write is the end. Checks digests and order, and tags if it has the key.
pub(crate) fn read<'k>(directory: &Path, key: Option<&'k Key>) -> Result<Entries<'k>, ReadError> {
    let folder = RealDisk
        .folder(directory, None)
        .and_then(|root| root.folder(JOURNAL, None))
        .map_err(|error| {
            let fault = match error.kind() {
                io::ErrorKind::NotFound => Fault::Missing,
                kind => Fault::Io(kind),
            };
            let what = format!("{}: {error}", directory.join(JOURNAL).display());
            ReadError::new(fault, Place::default(), what)
        })?;
    read_folder(folder, key)
}

/// Like [`read`], for an open folder that holds the segments.
pub(crate) fn read_folder<'k>(
    folder: Arc<dyn Folder>,
    key: Option<&'k Key>,
) -> Result<Entries<'k>, ReadError> {
    Ok(Entries {
        chain: Chain::new(folder, key)?,
        batch: Vec::new().into_iter(),
        index: 0,
    })
}

impl Entries<'_> {
    /// Whether the reader has reached the end and found a torn write there.
    pub(crate) fn is_torn(&self) -> bool {
        self.chain.is_torn()
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Read, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(bytes) = self.batch.next() {
                let index = self.index;
                self.index += 1;
                return Some(Ok(Read {
                    index,
                    bytes,
                    place: self.chain.last().place,
                }));
            }
            match self.chain.next_batch() {
                Ok(Some(batch)) => {
                    self.index = batch.first_index;
                    self.batch = batch.entries.into_iter();
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
