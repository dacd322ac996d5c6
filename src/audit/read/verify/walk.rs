//! Verifies a folder in one pass: the entries under the checkpoint, the checkpoint itself, and the
//! entries that only the journal has.

use std::path::Path;
use std::time::Duration;

use super::failure::Failure;
use super::job::Job;
use super::listing::Listing;
use super::source::{Journal, entries};
use super::tree::Tree;
use super::{Checker, Fault, Summary};
use crate::audit::entry::Entry;
use crate::audit::journal::{self, Place};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle;
use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{MAX_BUNDLE_BYTES, bundles_at};
use crate::audit::read::{CHECKPOINT, Trouble};

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
    fault: Option<(Fault, Option<Place>)>,
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
                    let failure = Failure::new(Trouble::Damaged, what).at(index);
                    self.tree
                        .suspect_entry(index, failure.placed(Some(read.place)));
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
            return Err(not_as_signed(&self.tree, checkpoint));
        }
        if let Some(suspect) = self.tree.suspect() {
            return Err(suspect.failure.clone());
        }
        if let (Some(kept), Some(root)) = (self.job.against, self.kept)
            && kept.root != root
        {
            let what = format!(
                "another history: its first {} entries are not those of the checkpoint that was kept",
                kept.size
            );
            return Err(Failure::new(Trouble::Damaged, what).in_file(CHECKPOINT));
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
                self.fault = Some((Fault { index, what }, Some(read.place)));
            }
            self.entry(index, &read.bytes, leaf, Some(read.place))?;
            index += 1;
        }
        Ok(())
    }

    /// The summary of the trail, at its end.
    pub(super) fn end(mut self, size: u64) -> Result<Summary, Failure> {
        if let Some((fault, place)) = self.fault {
            return Err(Failure::of(fault, place));
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
                return Err(cut_off(self.journal.end, size));
            }
            None => {}
        }
        self.tree.judge_edge()?;
        if let Some(suspect) = self.tree.suspect() {
            return Err(suspect.failure.clone());
        }
        self.tree.ends_here()?;
        let finished = self.checker.finish();
        let mut summary = finished.map_err(|fault| Failure::of(fault, None))?;
        if size == 0 && summary.span() > YOUNG {
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
                Err(fault) => self.fault = Some((fault, place)),
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

/// The entries do not give the signed root: finds the first difference with the help of the tiles.
fn not_as_signed(tree: &Tree<'_>, checkpoint: &Checkpoint) -> Failure {
    let damaged = |what: String| Failure::new(Trouble::Damaged, what);
    match tree.suspect() {
        Some(suspect) => {
            let witness = suspect.failure.file.as_deref().unwrap_or("the journal");
            let what = format!(
                "the entry is not the one that was signed: {witness} disagrees, and the entries do not give the checkpoint's root"
            );
            damaged(what)
                .in_file(tree.bundle_of(suspect.index, checkpoint.size))
                .at(suspect.index)
        }
        None => damaged(format!(
            "its root is not that of the {} entries, which agree with all tiles",
            checkpoint.size
        ))
        .in_file(CHECKPOINT),
    }
}

fn cut_off(end: u64, size: u64) -> Failure {
    let what = format!("the journal ends before this entry, and the checkpoint covers {size}");
    Failure::new(Trouble::Damaged, what).at(end)
}

/// Whether the folder has only copies of checkpoint and tiles. A gateway's folder has a lock file.
fn is_no_gateways(directory: &Path) -> Result<bool, Failure> {
    for name in ["lock", crate::audit::disk::names::JOURNAL] {
        let is_there = directory.join(name).try_exists();
        if is_there.map_err(|error| Failure::unreadable(name, &error))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks that the journal has a segment: even a young trail without entries has one.
fn segments_must_be_there(directory: &Path) -> Result<(), Failure> {
    let folder = directory.join(crate::audit::disk::names::JOURNAL);
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
