//! Removes the oldest journal segments that a checkpoint covers and that hold no open intent;
//! bundles hold all of their entries. Before it removes the first, it writes the file `floor`,
//! which names the new start of the journal, so that a start detects any other missing segment.

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
    /// The batch before its first one.
    before: Link,
    /// The index after its last entry.
    end: u64,
}

#[derive(Debug)]
pub(super) struct Segments {
    folder: Arc<dyn Folder>,
    /// The integrity check, which must forget a segment before its removal.
    watched: Arc<integrity::Segments>,
    known: VecDeque<Known>,
    last: Link,
    /// Whether segments that an earlier process failed to remove are gone.
    is_cleaned_up: bool,
}

impl Segments {
    /// `before` is the batch before the first one in the journal.
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

    /// Removes segments that end at or before this index, but never the newest.
    pub(super) fn prune(&mut self, until: u64, key: &Key) -> io::Result<()> {
        let finished = self.known.len().saturating_sub(1);
        let gone = self.known.iter().take(finished);
        let gone = gone.take_while(|segment| segment.end <= until).count();
        let Some(first) = self.known.get(gone).copied() else {
            return Ok(());
        };
        // If the journal was pruned before, an earlier process may have left segments.
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
