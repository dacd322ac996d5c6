//! Removes segments of the journal that a checkpoint covers and that hold nothing open: all of their
//! entries stand in bundles by then. Oldest first, never past one that stays; before the first goes,
//! `floor` says where the journal will begin, so that no other segment can be taken away unnoticed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::audit::disk::Folder;
use crate::audit::integrity;
use crate::audit::journal::batch::Link;
use crate::audit::journal::segment;
use crate::audit::journal::start::JournalStart;
use crate::audit::log::key::Key;

/// A segment of the chain.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u64,
    /// What its first batch goes on from.
    before: Link,
    /// The index behind its last entry.
    end: u64,
}

/// The segments of the chain that stand in the journal, oldest first.
#[derive(Debug)]
pub(super) struct Segments {
    folder: Arc<dyn Folder>,
    /// Who would take a segment that goes for one that was unlinked.
    watched: Arc<integrity::Segments>,
    known: VecDeque<Known>,
    last: Link,
    /// Whether what an earlier process was about to remove has been looked for.
    is_swept: bool,
}

impl Segments {
    pub(super) fn new(folder: Arc<dyn Folder>, watched: Arc<integrity::Segments>) -> Self {
        Self {
            folder,
            watched,
            known: VecDeque::new(),
            last: Link::default(),
            is_swept: false,
        }
    }

    /// Begins behind this batch.
    pub(super) fn begin(&mut self, before: Link) {
        self.last = before;
    }

    /// Takes note of the next batch.
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

    /// Removes what ends at or before this index; the newest segment always stays.
    pub(super) fn prune(&mut self, until: u64, key: &Key) -> io::Result<()> {
        let finished = self.known.len().saturating_sub(1);
        let gone = self.known.iter().take(finished);
        let gone = gone.take_while(|segment| segment.end <= until).count();
        let Some(first) = self.known.get(gone).copied() else {
            return Ok(());
        };
        // One that begins behind others was pruned to before, by whoever left them.
        let is_left = !self.is_swept && first.before.sequence > 0;
        if gone == 0 && !is_left {
            self.is_swept = true;
            return Ok(());
        }
        let floor = JournalStart {
            segment: first.number,
            before: first.before,
        };
        floor.write(&*self.folder, key)?;
        for number in segment::numbers(&*self.folder)? {
            if number < first.number {
                self.watched.forget(number);
                self.folder.remove(&segment::name(number))?;
                self.folder.sync()?;
            }
        }
        self.known.drain(..gone);
        self.is_swept = true;
        Ok(())
    }
}
