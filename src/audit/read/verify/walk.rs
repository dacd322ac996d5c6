//! Verifies a folder in one pass: the entries under the checkpoint, the checkpoint itself, and the
//! entries that only the journal has.

use std::path::Path;
use std::time::Duration;

use super::checker::{Checker, Summary};
use super::listing::{Listing, entries};
use super::tree::Tree;
use super::{Failure, Job, Trouble};
use crate::audit::disk::names::{CHECKPOINT, JOURNAL, LOCK};
use crate::audit::entry::Entry;
use crate::audit::journal::{self, Place, Read, ReadError};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::merkle;
use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{MAX_BUNDLE_BYTES, bundles_at};

/// A log publishes within a second, and refuses deletions if its checkpoint is 10 seconds late.
const YOUNG: Duration = Duration::from_secs(10);

/// One pass through a folder.
pub(super) struct Walk<'f, 'j, S> {
    job: &'f Job<'j>,
    listing: &'f Listing,
    journal: Journal<'j>,
    tree: Tree<'f>,
    checker: Checker,
    /// The first inconsistency of the entries. Reported at the end only, because the tree may name
    /// the damage that caused it.
    fault: Option<Failure>,
    /// The root at the size of the kept checkpoint.
    kept: Option<Hash>,
    seen: S,
}

impl<'f, 'j, S: FnMut(u64, &[u8], &Hash)> Walk<'f, 'j, S> {
    /// Starts a pass.
    pub(super) fn new(
        job: &'f Job<'j>,
        listing: &'f Listing,
        journal: Journal<'j>,
        seen: S,
    ) -> Self {
        let mut walk = Self {
            job,
            listing,
            journal,
            tree: Tree::new(listing),
            checker: Checker::default(),
            fault: None,
            kept: None,
            seen,
        };
        walk.keep();
        walk
    }

    /// Takes the entries under the checkpoint.
    pub(super) fn covered(&mut self, size: u64) -> Result<(), Failure> {
        let mut index = 0;
        for wanted in bundles_at(size) {
            let file = self
                .listing
                .read(wanted.path(), wanted.width, MAX_BUNDLE_BYTES)?;
            if file.width == wanted.width {
                self.tree.take(wanted);
            }
            for entry in entries(self.listing, &file, wanted)? {
                let leaf = merkle::leaf(entry);
                if let Some(read) = self.journal.take(index)
                    && read.bytes != entry
                {
                    let what = "the journal holds another entry here than the log";
                    let failure = Failure::damaged(what).placed(Some(read.place));
                    self.tree.suspect(0, index, failure);
                }
                self.entry(index, entry, leaf, None)?;
                index += 1;
            }
        }
        Ok(())
    }

    /// Compares the tree with the checkpoint and with the kept one.
    pub(super) fn judge(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        if self.tree.root() != checkpoint.root {
            self.tree.judge_edge()?;
            return Err(self.tree.not_as_signed(checkpoint.size));
        }
        self.tree.agrees()?;
        if let (Some(kept), Some(root)) = (self.job.against, self.kept)
            && kept.root != root
        {
            let what = format!(
                "another history: its first {} entries are not those of the checkpoint that was kept",
                kept.size
            );
            return Err(Failure::damaged(what).in_file(CHECKPOINT));
        }
        Ok(())
    }

    /// Takes the entries that only the journal has.
    pub(super) fn behind(&mut self, size: u64) -> Result<(), Failure> {
        let mut index = size;
        while let Some(read) = self.journal.take(index) {
            let leaf = merkle::leaf(&read.bytes);
            // Under a checkpoint the tree proves every bit of an entry; beyond it, only the exact
            // encoding does.
            if self.fault.is_none()
                && let Err(what) = Entry::decode_exact(&read.bytes)
            {
                self.fault = Some(Failure::damaged(what).at(index).placed(Some(read.place)));
            }
            self.entry(index, &read.bytes, leaf, Some(read.place))?;
            index += 1;
        }
        Ok(())
    }

    /// The summary of the trail, at its end.
    pub(super) fn end(mut self, size: u64) -> Result<Summary, Failure> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let folder = self.job.location.folder();
        let is_copy = match folder {
            Some(folder) => size > 0 && is_no_gateways(folder)?,
            None => true,
        };
        match self.journal.fault.take() {
            Some(fault) if fault.fault == journal::Fault::Missing && is_copy => {}
            Some(fault) => return Err(fault.into()),
            None if !is_copy && self.journal.end < size => {
                let what =
                    format!("the journal ends before this entry, and the checkpoint covers {size}");
                return Err(Failure::damaged(what).at(self.journal.end));
            }
            None => {}
        }
        self.tree.judge_edge()?;
        self.tree.agrees()?;
        self.tree.ends_here()?;
        let span = self.checker.span();
        let mut summary = self.checker.finish()?;
        if size == 0 && span > YOUNG {
            let what = "is missing: the log is too old to have no checkpoint";
            return Err(Failure::new(Trouble::Missing, what).in_file(CHECKPOINT));
        }
        if let Some(folder) = folder
            && self.journal.first.is_none()
            && size == 0
        {
            segments_must_be_there(folder)?;
        }
        summary.journal = self.journal.first;
        summary.cut_off = self.journal.is_torn();
        Ok(summary)
    }

    fn entry(
        &mut self,
        index: u64,
        bytes: &[u8],
        leaf: Hash,
        place: Option<Place>,
    ) -> Result<(), Failure> {
        if self.fault.is_none() {
            match self.checker.push(index, bytes, &leaf) {
                Ok(()) => (self.seen)(index, bytes, &leaf),
                Err(fault) => self.fault = Some(fault.placed(place)),
            }
        }
        self.tree.push(bytes, leaf)?;
        self.keep();
        Ok(())
    }

    fn keep(&mut self) {
        if self
            .job
            .against
            .is_some_and(|kept| kept.size == self.tree.size())
        {
            self.kept = Some(self.tree.root());
        }
    }
}

/// Whether the folder has only copies of checkpoint and tiles. A gateway's folder has a lock file.
fn is_no_gateways(directory: &Path) -> Result<bool, Failure> {
    for name in [LOCK, JOURNAL] {
        let is_there = directory.join(name).try_exists();
        if is_there.map_err(|error| Failure::unreadable(name, &error))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks that the journal has a segment: even a young trail without entries has one.
fn segments_must_be_there(directory: &Path) -> Result<(), Failure> {
    let folder = directory.join(JOURNAL);
    let unlisted = |error: std::io::Error| {
        let what = format!("cannot list {}: {error}", folder.display());
        Failure::new(Trouble::Unreadable, what)
    };
    for item in std::fs::read_dir(&folder).map_err(unlisted)? {
        let name = item.map_err(unlisted)?.file_name();
        if name.to_str().and_then(journal::segment::number).is_some() {
            return Ok(());
        }
    }
    let what = format!("{} holds no journal segment", folder.display());
    Err(Failure::new(Trouble::Missing, what))
}

/// The journal, entry by entry, up to its end or its first fault.
#[derive(Debug)]
pub(super) struct Journal<'k> {
    entries: Option<journal::Entries<'k>>,
    next: Option<Read>,
    /// The fault at which it ended, if any.
    pub(super) fault: Option<ReadError>,
    /// The index of its first entry.
    pub(super) first: Option<u64>,
    /// The index after the last entry taken.
    pub(super) end: u64,
}

impl<'k> Journal<'k> {
    /// Starts at the first entry of the journal in this folder, if the location is a folder.
    pub(super) fn open(directory: Option<&Path>, key: Option<&'k Key>) -> Self {
        let mut journal = Self {
            entries: None,
            next: None,
            fault: None,
            first: None,
            end: 0,
        };
        match directory.map(|directory| journal::read(directory, key)) {
            Some(Ok(entries)) => journal.entries = Some(entries),
            Some(Err(fault)) => journal.fault = Some(fault),
            None => {}
        }
        journal.advance();
        journal.first = journal.next.as_ref().map(|read| read.index);
        journal
    }

    /// The entry with this index, if the journal has it. The indexes must ascend.
    pub(super) fn take(&mut self, index: u64) -> Option<Read> {
        if self.next.as_ref()?.index != index {
            return None;
        }
        let read = self.next.take();
        self.end = index + 1;
        self.advance();
        read
    }

    /// Whether a write that a crash interrupted follows the last batch.
    pub(super) fn is_torn(&self) -> bool {
        self.entries.as_ref().is_some_and(journal::Entries::is_torn)
    }

    fn advance(&mut self) {
        match self.entries.as_mut().and_then(Iterator::next) {
            Some(Ok(read)) => self.next = Some(read),
            Some(Err(fault)) => self.fault = Some(fault),
            None => {}
        }
    }
}
