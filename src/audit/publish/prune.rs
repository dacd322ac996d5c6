//! Removes the oldest journal segments that a checkpoint covers and that hold no open intent. The
//! bundles keep all entries of these segments. Before the first removal, writes the new start of
//! the journal into the file `floor`. At its next start, the gateway reads from this file which
//! segments must exist.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::audit::disk::Folder;
use crate::audit::integrity::{self, Integrity};
use crate::audit::journal::batch::Link;
use crate::audit::journal::floor::PruningFloor;
use crate::audit::journal::segment;
use crate::audit::log::key::Key;

/// A segment in the journal.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u64,
    /// The batch before the segment's first batch.
    before: Link,
    /// The index after the segment's last entry.
    end: u64,
}

#[derive(Debug)]
pub(super) struct Segments {
    folder: Arc<dyn Folder>,
    /// The segments that the integrity check watches. The check must forget a segment before the
    /// segment is removed.
    watched: Arc<integrity::Segments>,
    known: VecDeque<Known>,
    last: Link,
    /// Whether this process has removed the segments that an earlier process failed to remove.
    is_cleaned_up: bool,
}

impl Segments {
    /// `before` links to the batch before the journal's first batch.
    pub(super) fn new(integrity: &Integrity, before: Link) -> Self {
        Self {
            folder: Arc::clone(&integrity.journal),
            watched: Arc::clone(&integrity.segments),
            known: VecDeque::new(),
            last: before,
            is_cleaned_up: false,
        }
    }

    pub(super) fn note(&mut self, link: Link) {
        if link.sequence == self.last.sequence {
            return;
        }
        match self.known.back_mut() {
            Some(newest) if newest.number == link.place.segment => newest.end = link.next_index,
            _ => self.known.push_back(Known {
                number: link.place.segment,
                before: self.last,
                end: link.next_index,
            }),
        }
        self.last = link;
    }

    /// Removes the segments whose entries are all before index `until`. Never removes the newest
    /// segment.
    pub(super) fn prune(&mut self, until: u64, key: &Key) -> io::Result<()> {
        let finished = self.known.len().saturating_sub(1);
        let gone = self.known.iter().take(finished);
        let gone = gone.take_while(|segment| segment.end <= until).count();
        let Some(first) = self.known.get(gone).copied() else {
            return Ok(());
        };
        // If an earlier process pruned the journal, it may have failed to remove some segments.
        let may_be_left = !self.is_cleaned_up && first.before.sequence > 0;
        if gone > 0 || may_be_left {
            let floor = PruningFloor {
                segment: first.number,
                before: first.before,
            };
            floor.write(&*self.folder, key)?;
            let numbers = segment::numbers(&*self.folder)?.into_iter();
            for number in numbers.filter(|number| *number < first.number) {
                self.watched.forget(number);
                self.folder.remove(&segment::name(number))?;
                self.folder.sync()?;
            }
            self.known.drain(..gone);
        }
        self.is_cleaned_up = true;
        Ok(())
    }
}
