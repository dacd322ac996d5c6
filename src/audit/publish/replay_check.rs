//! Rebuilds the tree from the journal and compares it with the published log. The gateway signs a
//! new tree only if that tree extends the checkpoint in the folder and the checkpoint in the seen
//! file.

use std::path::Path;
use std::sync::Arc;

use super::checkpoint_file::{CheckpointFile, RollbackGuard};
use super::tiles::{Piece, Tree};
use crate::audit::disk::names::CHECKPOINT;
use crate::audit::disk::{Disk, Folder};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::VerifierKey;
use crate::audit::log::merkle::leaf;
use crate::audit::log::tiles::{MAX_BUNDLE_BYTES, push_entry};
use crate::audit::read::{Files, FolderFiles, MissingRange, OnDamage, Reader, Trouble, WIDTH};
use crate::audit::status::{Cause, Unavailable, closed, trouble, unread_at_opening};

/// The published checkpoints, and the tree rebuilt so far.
#[derive(Debug)]
pub(crate) struct ReplayCheck {
    files: Arc<FolderFiles>,
    pub(super) checkpoint_file: CheckpointFile,
    pub(super) rollback_guard: RollbackGuard,
    /// The checkpoint in the folder.
    checkpoint: Option<Checkpoint>,
    /// The checkpoint in the seen file.
    newest_seen: Option<Checkpoint>,
    tree: Tree,
    /// The tree over the entries before the journal's first entry.
    start: Tree,
    /// The tree at the size of the checkpoint in the folder.
    published: Tree,
    /// Whether a published file is missing. The publisher can restore this file from the journal.
    is_missing: bool,
}

impl ReplayCheck {
    /// Reads the checkpoint in the folder and the one in the seen file. Checks that this log's key
    /// signed both.
    pub(crate) fn open(
        disk: &dyn Disk,
        root: &Arc<dyn Folder>,
        seen_file: &Path,
        key: &VerifierKey,
    ) -> Result<Self, Unavailable> {
        let checkpoint_file = CheckpointFile::open(Arc::clone(root), CHECKPOINT.to_owned())
            .map_err(|e| unread_at_opening(&e, "cannot read the checkpoint"))?;
        let open = |bytes: Option<&[u8]>| bytes.map(|b| Checkpoint::open(b, key)).transpose();
        let checkpoint = open(checkpoint_file.known.as_deref()).map_err(|error| {
            let what = format!("`checkpoint` in the trail's folder: {error}");
            closed(Cause::Damaged, what)
        })?;
        let (rollback_guard, newest_seen) = newest_seen(disk, seen_file, key)?;
        if let (Some(checkpoint), None) = (&checkpoint, &newest_seen) {
            tracing::warn!(
                "no seen file at {} though the log holds a checkpoint of {} entries: a roll-back before now would not be noticed; compare it with a checkpoint kept elsewhere (`lychgate audit verify --against`)",
                seen_file.display(),
                checkpoint.size
            );
        }
        Ok(Self {
            files: Arc::new(FolderFiles(Arc::clone(root))),
            checkpoint_file,
            rollback_guard,
            checkpoint,
            newest_seen,
            tree: Tree::default(),
            start: Tree::default(),
            published: Tree::default(),
            is_missing: false,
        })
    }

    /// Starts at the journal's first entry, which has this index. Reads the tree over the earlier
    /// entries from the tiles, and checks these tiles against the checkpoint.
    pub(crate) fn begin(&mut self, index: u64) -> Result<(), Unavailable> {
        if index == 0 {
            return Ok(());
        }
        let covered = self.covered();
        let seen = self.newest_seen.as_ref();
        if covered < index {
            let cause = match seen.is_some_and(|seen| seen.size > covered) {
                true => Cause::RolledBack,
                false => Cause::Damaged,
            };
            let what = format!(
                "the checkpoint covers {covered} entries, and the journal begins with entry {index}"
            );
            return Err(closed(cause, what));
        }
        // Fail on a damaged tile instead of computing its hashes from the entries: the gateway must
        // not sign a tree that extends damaged tiles.
        let (files, checkpoint) = (self.files.clone(), self.checkpoint.as_ref());
        let reader = Reader::open(files, checkpoint, OnDamage::Fail).map_err(missing)?;
        if let Some(seen) = seen.filter(|seen| seen.size <= index)
            && reader.root_at(seen.size).map_err(missing)? != seen.root
        {
            return Err(self.other_history(seen.size));
        }
        self.start = before(&reader, index)?;
        self.tree = self.start.clone();
        self.check()
    }

    pub(crate) fn push(&mut self, entry: &[u8]) -> Result<(), Unavailable> {
        let full = self.tree.push(entry, leaf(entry));
        let full = full.map_err(|e| trouble(&e, "cannot rebuild the tree"))?;
        if self.tree.size() <= self.covered() {
            for piece in &full {
                self.compare(piece)?;
            }
        }
        self.check()
    }

    /// Checks at the journal's end that the tree is at least as large as both checkpoints.
    pub(crate) fn finish(&self) -> Result<(), Unavailable> {
        let size = self.tree.size();
        if let Some(seen) = self.newest_seen.as_ref().filter(|seen| seen.size > size) {
            return Err(too_old(&self.rollback_guard, seen, size));
        }
        match &self.checkpoint {
            Some(checkpoint) if checkpoint.size > size => {
                let what = format!(
                    "entry {size} is missing in the journal: its checkpoint covers {}",
                    checkpoint.size
                );
                Err(closed(Cause::Damaged, what))
            }
            _ => Ok(()),
        }
    }

    fn other_history(&self, size: u64) -> Unavailable {
        let what = format!(
            "the trail's first {size} entries are not those that {} knows",
            self.rollback_guard.describe()
        );
        closed(Cause::RolledBack, what)
    }

    /// The number of entries that the checkpoint in the folder covers.
    pub(super) fn covered(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |c| c.size)
    }

    /// The tree from which the publisher continues: all of its files exist.
    pub(super) fn continues_from(&self) -> &Tree {
        match self.is_missing {
            true => &self.start,
            false => &self.published,
        }
    }

    /// Compares the tree with each checkpoint that has the same size.
    fn check(&mut self) -> Result<(), Unavailable> {
        let size = self.tree.size();
        let is_other = |c: &Checkpoint, tree: &Tree| c.size == size && c.root != tree.root();
        let seen = self.newest_seen.as_ref();
        if seen.is_some_and(|seen| is_other(seen, &self.tree)) {
            return Err(self.other_history(size));
        }
        let Some(checkpoint) = &self.checkpoint else {
            return Ok(());
        };
        if is_other(checkpoint, &self.tree) {
            let what =
                format!("the first {size} entries of the journal are not those of the checkpoint");
            return Err(closed(Cause::Damaged, what));
        }
        if checkpoint.size == size {
            self.published = self.tree.clone();
            for piece in self.published.partial() {
                self.compare(&piece)?;
            }
        }
        Ok(())
    }

    /// Compares a published file with the tree. Fails if the file has other bytes. Only notes a
    /// missing file, because the publisher can restore it.
    fn compare(&mut self, piece: &Piece) -> Result<(), Unavailable> {
        let found = self.files.file(&piece.path, MAX_BUNDLE_BYTES);
        match found.map_err(|e| unread_at_opening(&e, &format!("cannot read {}", piece.path)))? {
            None => self.is_missing = true,
            Some(bytes) if bytes == piece.bytes => {}
            Some(_) => {
                let what = format!("{} differs from the journal", piece.path);
                return Err(closed(Cause::Damaged, what));
            }
        }
        Ok(())
    }
}

/// Reads the tree over the first `index` entries from the published files. The checkpoint must
/// cover these entries.
fn before(reader: &Reader, index: u64) -> Result<Tree, Unavailable> {
    let frontier = reader.frontier(index).map_err(missing)?;
    let partial = (index % WIDTH) as usize;
    let mut bundle = Vec::new();
    if partial > 0 {
        reader
            .bundle(index / WIDTH, |entries| {
                for entry in entries.iter().take(partial) {
                    // An entry from one bundle always fits into another.
                    let _ = push_entry(&mut bundle, entry);
                }
            })
            .map_err(missing)?;
    }
    Ok(Tree { frontier, bundle })
}

/// Reads the seen file. Fails if the file's content is not a checkpoint of this log.
fn newest_seen(
    disk: &dyn Disk,
    seen_file: &Path,
    key: &VerifierKey,
) -> Result<(RollbackGuard, Option<Checkpoint>), Unavailable> {
    let guard = RollbackGuard::open(disk, seen_file)
        .map_err(|e| trouble(&e, "cannot read the seen file"))?;
    let known = guard.known().map(|bytes| Checkpoint::open(bytes, key));
    match known.transpose() {
        Ok(newest_seen) => Ok((guard, newest_seen)),
        Err(error) => {
            let (file, bytes) = (seen_file.display(), guard.known().unwrap_or_default());
            let what = match Checkpoint::unverified(bytes) {
                Ok(Checkpoint { origin, size, .. }) => format!(
                    "the seen file {file} holds a checkpoint of {origin} with {size} entries: {error}; if it is of another log, name that log's `key_file` and `origin` in [audit], or another `seen_file` for this log"
                ),
                Err(_) => format!(
                    "the seen file {file} holds no checkpoint: {error}; put a copy of it back, or compare the log with a checkpoint kept elsewhere (`lychgate audit verify --against`) and then move the seen file away"
                ),
            };
            Err(closed(Cause::RolledBack, what))
        }
    }
}

/// Checks the seen file for a log that has no entries yet: the seen file's checkpoint must cover no
/// entry.
pub(crate) fn begins(
    disk: &dyn Disk,
    seen_file: &Path,
    key: &VerifierKey,
) -> Result<(), Unavailable> {
    let (guard, seen) = newest_seen(disk, seen_file, key)?;
    match seen.filter(|seen| seen.size > 0) {
        Some(seen) => Err(too_old(&guard, &seen, 0)),
        None => Ok(()),
    }
}

/// The error for a log that holds fewer entries than the seen file's checkpoint covers.
fn too_old(guard: &RollbackGuard, seen: &Checkpoint, size: u64) -> Unavailable {
    let (guard, known) = (guard.describe(), seen.size);
    let what = format!("{guard} knows {known} entries, and the trail holds {size}");
    closed(Cause::RolledBack, what)
}

fn missing(missing: MissingRange) -> Unavailable {
    let cause = match missing.trouble {
        Trouble::Unreadable => Cause::SyncFailed,
        _ => Cause::Damaged,
    };
    closed(cause, missing.to_string())
}
