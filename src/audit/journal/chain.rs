//! Reads the journal batch by batch or entry by entry, without a lock. Checks the digest, the tag and the
//! order of the batches.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::batch::{self, Batch, Link};
use super::plan::{self, Plan, Tail};
use super::{Fault, Place, ReadError};
use crate::audit::disk::names::JOURNAL;
use crate::audit::disk::{Disk, Folder, RealDisk};
use crate::audit::log::key::Key;

/// Reads the batches of the journal in order. Holds one batch in memory at a time.
#[derive(Debug)]
pub(crate) struct Chain<'k> {
    folder: Arc<dyn Folder>,
    key: Option<&'k Key>,
    plan: Plan,
    span: usize,
    /// The offset of the next batch in the present span.
    offset: u64,
    /// The last batch that was read. Before any batch is read, the batch that the first batch continues
    /// from: the default, unless the journal was pruned.
    pub(crate) last: Link,
    until: Option<Link>,
    done: bool,
    /// Whether the journal ends with a torn write.
    torn: bool,
}

impl<'k> Chain<'k> {
    /// Reads the segments in `folder` from the first batch on. If `until` is a batch, ends after this
    /// batch and reads nothing beyond it.
    pub(crate) fn new(
        folder: Arc<dyn Folder>,
        key: Option<&'k Key>,
        until: Option<Link>,
    ) -> Result<Self, ReadError> {
        let plan = Plan::of(&*folder, key, until.map(|last| last.place.segment))?;
        Ok(Self {
            last: plan.before,
            folder,
            key,
            plan,
            span: 0,
            offset: 0,
            until,
            done: false,
            torn: false,
        })
    }

    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>, ReadError> {
        if self.done || self.until == Some(self.last) {
            return Ok(None);
        }
        let next = self.step();
        self.done = !matches!(next, Ok(Some(_)));
        next
    }

    fn step(&mut self) -> Result<Option<Batch>, ReadError> {
        while let Some(span) = self.plan.spans.get(self.span) {
            if span.last.is_some_and(|last| self.offset > last) {
                self.span += 1;
                self.offset = 0;
                continue;
            }
            let place = span.segment.place(self.offset);
            let Some((batch, bytes)) = span.segment.own_batch_at(self.offset)? else {
                if span.last.is_some() {
                    let what =
                        "the batch is damaged, and a later segment continues from a batch after it";
                    return Err(ReadError::new(Fault::Damaged, place, what));
                }
                if self.end()? {
                    return Ok(None);
                }
                continue;
            };
            self.check(&batch, &bytes)?;
            self.offset += batch.length as u64;
            self.last = batch.link;
            return Ok(Some(batch));
        }
        self.end_of_empty()
    }

    fn check(&self, batch: &Batch, bytes: &[u8]) -> Result<(), ReadError> {
        let place = batch.link.place;
        if self.key.is_some_and(|k| !batch::tag_holds(bytes, batch, k)) {
            let what = "the batch was not written with this key";
            return Err(ReadError::new(Fault::Foreign, place, what));
        }
        if batch.before != self.last {
            let what = "the batch does not continue from the one before it";
            return Err(ReadError::new(Fault::Damaged, place, what));
        }
        Ok(())
    }

    /// Whether the journal ends here. `false` if a writer has added a batch or a segment in the meantime.
    fn end(&mut self) -> Result<bool, ReadError> {
        let Some(span) = self.plan.spans.get(self.span) else {
            return Ok(true);
        };
        let tail = plan::judge(&span.segment, self.offset, &self.plan.behind)?;
        let Tail::Damaged(damage) = tail else {
            self.torn = tail == Tail::Torn;
            return Ok(true);
        };
        // Looks here again: a writer may have written the later bytes after the first look. Because a
        // writer writes in order, it has then written a batch here before those bytes.
        if span.segment.own_batch_at(self.offset)?.is_some() {
            return Ok(false);
        }
        let newer = Plan::of(&*self.folder, self.key, None)?;
        let newest = |plan: &Plan| plan.spans.last().map(|s| s.segment.number);
        if newest(&newer) == newest(&self.plan) {
            return Err(ReadError::damaged_before(
                span.segment.place(self.offset),
                damage,
            ));
        }
        // Finds the present segment in the new plan: the gateway may have pruned earlier segments in the
        // meantime.
        let mut spans = newer.spans.iter();
        let here = spans.position(|s| s.segment.number == span.segment.number);
        let goes_on = here.is_some_and(|at| newer.spans[at].last == Some(self.last.place.offset));
        self.span = here.unwrap_or(self.span);
        self.plan = newer;
        // If the writer has discarded an unsynced batch that this reader has read, this reader ends here.
        // Only a new reader reads the later batches.
        Ok(!goes_on)
    }

    fn end_of_empty(&mut self) -> Result<Option<Batch>, ReadError> {
        let Some((first, behind)) = self.plan.behind.split_first() else {
            return Ok(None);
        };
        if !self.plan.spans.is_empty() {
            return Ok(None);
        }
        match plan::judge(first, 0, behind)? {
            Tail::Damaged(damage) if Plan::of(&*self.folder, self.key, None)?.spans.is_empty() => {
                Err(ReadError::damaged_before(first.place(0), damage))
            }
            tail => {
                self.torn = tail == Tail::Torn;
                Ok(None)
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) place: Place,
}

/// Iterates over the entries in order. Holds one batch (at most 1 MiB) in memory at a time, and ends
/// after the first error.
#[derive(Debug)]
pub(crate) struct Entries<'k> {
    chain: Chain<'k>,
    /// The remaining entries of the last batch, with their indexes.
    left: std::iter::Zip<std::vec::IntoIter<Vec<u8>>, std::ops::RangeFrom<u64>>,
}

/// Reads the journal of the audit folder at `directory`. Takes no lock, and works while a writer writes.
/// Ends at a torn write. Checks the digests and the order of the batches, and with a key also the tags.
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

/// Like [`read`], but for an open folder that holds the segments.
pub(crate) fn read_folder<'k>(
    folder: Arc<dyn Folder>,
    key: Option<&'k Key>,
) -> Result<Entries<'k>, ReadError> {
    Ok(Entries {
        chain: Chain::new(folder, key, None)?,
        left: Vec::new().into_iter().zip(0..),
    })
}

impl Entries<'_> {
    /// Whether the reader has reached the end and found a torn write there.
    pub(crate) fn is_torn(&self) -> bool {
        self.chain.torn
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Read, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((bytes, index)) = self.left.next() {
                let place = self.chain.last.place;
                return Some(Ok(Read {
                    index,
                    bytes,
                    place,
                }));
            }
            match self.chain.next_batch().transpose()? {
                Ok(batch) => self.left = batch.entries.into_iter().zip(batch.before.next_index..),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
