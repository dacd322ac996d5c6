//! Verifies a log in one pass: the entries that the checkpoint covers, the checkpoint itself, and
//! the entries that only the journal has.

use std::path::Path;

use super::checker::{Checker, Summary};
use super::listing::{Listed, Listing};
use super::tree::Tree;
use super::{Failure, Job};
use crate::audit::disk::names::{CHECKPOINT, JOURNAL, LOCK};
use crate::audit::entry::Entry;
use crate::audit::journal::{self, Place, Read, ReadError, segment};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::to_base64;
use crate::audit::read::{FolderFiles, Trouble};

/// The longest time that entries may span without a checkpoint. The gateway refuses deletions if
/// its checkpoint is 10 seconds late.
const YOUNG_MICROS: i64 = 10_000_000;

/// One pass through a log.
struct Walk<'f, 'j, S> {
    job: &'f Job<'j>,
    journal: Journal<'j>,
    tree: Tree<'f>,
    checker: Checker,
    /// The first inconsistency of the entries. The walk reports this fault only at the end, because
    /// the tree may find the damage that caused it.
    fault: Option<Failure>,
    /// The failure if the log does not extend the checkpoint that the caller kept: at that
    /// checkpoint's size, the log has another root.
    fork: Option<Failure>,
    seen: S,
}

/// Verifies the log in one pass. The checkpoint, the listing and the journal must belong to the
/// same state of the log.
pub(super) fn walk(
    job: &Job<'_>,
    checkpoint: Option<&Checkpoint>,
    listing: &Listing,
    journal: Journal<'_>,
    seen: impl FnMut(u64, &[u8], &Hash),
) -> Result<Summary, Failure> {
    let mut walk = Walk {
        job,
        journal,
        tree: Tree::new(listing),
        checker: Checker::default(),
        fault: None,
        fork: None,
        seen,
    };
    if let Some(checkpoint) = checkpoint {
        walk.covered(checkpoint)?;
    }
    walk.behind()?;
    let covered = checkpoint.map(|checkpoint| checkpoint.size);
    Ok(Summary {
        covered,
        root: checkpoint.map(|checkpoint| to_base64(&checkpoint.root)),
        other_files: listing.others.clone(),
        ..walk.end(covered.unwrap_or(0))?
    })
}

impl<S: FnMut(u64, &[u8], &Hash)> Walk<'_, '_, S> {
    /// Verifies the entries that the checkpoint covers. Compares their root with that of the
    /// checkpoint. If the caller kept an earlier checkpoint, also compares the root at the size of
    /// that checkpoint.
    fn covered(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        for bundle in Listed::bundles_at(checkpoint.size) {
            let file = self.tree.read(bundle)?;
            for entry in self.tree.entries(&file, bundle)? {
                let index = self.tree.frontier.size();
                if let Some(read) = self.journal.take(index)
                    && read.bytes != entry
                {
                    let what = "the journal holds another entry here than the log";
                    let failure = Failure::damaged(what).placed(Some(read.place));
                    self.tree.suspect(0, index, failure);
                }
                self.entry(entry, None)?;
            }
        }
        self.tree.must_have_root(checkpoint)?;
        self.compare_kept();
        self.fork.take().map_or(Ok(()), Err)
    }

    /// Verifies the entries that only the journal has.
    fn behind(&mut self) -> Result<(), Failure> {
        while let Some(read) = self.journal.take(self.tree.frontier.size()) {
            // No checkpoint proves the bits of these entries, so each entry must be encoded exactly
            // as the gateway encodes it.
            if self.fault.is_none()
                && let Err(what) = Entry::decode_exact(&read.bytes)
            {
                let failure = Failure::damaged(what).at(read.index);
                self.fault = Some(failure.placed(Some(read.place)));
            }
            self.entry(&read.bytes, Some(read.place))?;
        }
        Ok(())
    }

    /// Makes the checks that need all entries, and returns the summary.
    fn end(mut self, size: u64) -> Result<Summary, Failure> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let folder = self.job.location.folder();
        let is_copy = match folder {
            Some(folder) => size > 0 && is_no_gateways(folder)?,
            None => true,
        };
        match self.journal.fault {
            Some(fault) if fault.fault == journal::Fault::Missing && is_copy => {}
            Some(fault) => return Err(of_journal(fault)),
            None if !is_copy && self.journal.end < size => {
                let what =
                    format!("the journal ends before this entry, and the checkpoint covers {size}");
                return Err(Failure::damaged(what).at(self.journal.end));
            }
            None => {}
        }
        self.tree.must_end_here()?;
        let span = self.checker.span();
        let summary = self.checker.finish()?;
        if size == 0 && span > YOUNG_MICROS {
            let what = "is missing: the log is too old to have no checkpoint";
            return Err(Failure::missing(what).in_file(CHECKPOINT));
        }
        if let Some(folder) = folder
            && self.journal.first.is_none()
            && size == 0
        {
            must_have_segment(&folder.join(JOURNAL))?;
        }
        let entries = self.journal.entries.as_ref();
        Ok(Summary {
            journal: self.journal.first,
            cut_off: entries.is_some_and(journal::Entries::is_torn),
            ..summary
        })
    }

    /// Verifies the next entry and adds it to the tree. `place` is the entry's place in the
    /// journal, if only the journal has the entry.
    fn entry(&mut self, bytes: &[u8], place: Option<Place>) -> Result<(), Failure> {
        self.compare_kept();
        let (index, leaf) = (self.tree.frontier.size(), leaf(bytes));
        if self.fault.is_none() {
            match self.checker.push(index, bytes, &leaf) {
                Ok(()) => (self.seen)(index, bytes, &leaf),
                Err(fault) => self.fault = Some(fault.placed(place)),
            }
        }
        self.tree.push(leaf)
    }

    fn compare_kept(&mut self) {
        let size = self.tree.frontier.size();
        let kept = self.job.against.filter(|kept| kept.size == size);
        if kept.is_some_and(|kept| kept.root != self.tree.frontier.root()) {
            let what = format!(
                "another history: its first {size} entries are not those of the checkpoint that was kept"
            );
            self.fork = Some(Failure::damaged(what).in_file(CHECKPOINT));
        }
    }
}

/// Whether the folder is a copy of the published files only. A gateway's own folder also has a lock
/// file and a journal.
fn is_no_gateways(directory: &Path) -> Result<bool, Failure> {
    for name in [LOCK, JOURNAL] {
        let is_there = directory.join(name).try_exists();
        if is_there.map_err(|error| Failure::unreadable(name, &error))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks that the journal has a segment. Even a trail without entries has a segment.
fn must_have_segment(journal: &Path) -> Result<(), Failure> {
    let folder = journal.display();
    let numbers = FolderFiles::open(journal).and_then(|files| segment::numbers(&*files.0));
    Err(match numbers {
        Ok(numbers) if !numbers.is_empty() => return Ok(()),
        Ok(_) => Failure::missing(format!("{folder} holds no journal segment")),
        Err(error) => Failure::new(
            Trouble::Unreadable,
            format!("cannot list {folder}: {error}"),
        ),
    })
}

fn of_journal(error: ReadError) -> Failure {
    let place = error.place;
    let what = match error.fault {
        journal::Fault::Missing => format!("there is no journal: {}", error.what),
        _ => error.what,
    };
    Failure::new(error.fault.into(), what).placed((place.segment != 0).then_some(place))
}

/// Reads the journal entry by entry, up to the end or the first fault.
#[derive(Debug)]
pub(super) struct Journal<'k> {
    entries: Option<journal::Entries<'k>>,
    next: Option<Read>,
    /// The fault that ended the reading of the journal, if any.
    fault: Option<ReadError>,
    /// The index of the journal's first entry; `None` if the journal is empty.
    first: Option<u64>,
    /// The index after the last entry that [`Journal::take`] returned.
    end: u64,
}

impl<'k> Journal<'k> {
    /// Opens the journal of this folder. Without a folder, the journal is empty.
    pub(super) fn open(directory: Option<&Path>, key: Option<&'k Key>) -> Self {
        let entries = directory.map(|directory| journal::read(directory, key));
        let (entries, fault) = match entries.transpose() {
            Ok(entries) => (entries, None),
            Err(fault) => (None, Some(fault)),
        };
        let mut journal = Self {
            entries,
            next: None,
            fault,
            first: None,
            end: 0,
        };
        journal.advance();
        journal.first = journal.next.as_ref().map(|read| read.index);
        journal
    }

    /// Checks that no entry is missing between the last entry under the checkpoint and the
    /// journal's first entry.
    pub(super) fn must_reach(&self, size: u64) -> Result<(), Failure> {
        let Some(first) = self.first.filter(|first| *first > size) else {
            return Ok(());
        };
        let what = format!(
            "the journal begins with entry {first}, and the checkpoint covers {size}: those between are missing"
        );
        Err(Failure::missing(what).at(size))
    }

    /// The entry with this index, if the journal has it. Each call must ask for a higher index.
    fn take(&mut self, index: u64) -> Option<Read> {
        let read = self.next.take_if(|next| next.index == index)?;
        self.end = index + 1;
        self.advance();
        Some(read)
    }

    fn advance(&mut self) {
        match self.entries.as_mut().and_then(Iterator::next) {
            Some(Ok(read)) => self.next = Some(read),
            Some(Err(fault)) => self.fault = Some(fault),
            None => {}
        }
    }
}
