//! Retraces the log from the journal and holds it against what was published: no tree is signed
//! that does not go on from the newest checkpoint, in the folder and in the seen file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::audit::checkpoint::Checkpoint;
use crate::audit::custody::{closed, trouble};
use crate::audit::disk::{Disk, Folder};
use crate::audit::merkle::leaf;
use crate::audit::publish::{CHECKPOINT, Piece, Seen, Shelf, Tree, read_whole};
use crate::audit::verifier_key::VerifierKey;
use crate::audit::{Cause, Closed};

/// What was published, and the tree as far as it was retraced.
#[derive(Debug)]
pub(super) struct Retrace {
    pub(super) shelf: Shelf,
    pub(super) seen: Seen,
    /// The folder's own newest checkpoint, and its bytes.
    checkpoint: Option<(Checkpoint, Vec<u8>)>,
    /// That of the seen file.
    newest_seen: Option<Checkpoint>,
    tree: Tree,
    /// The tree at the folder's checkpoint.
    published: Tree,
    /// Whether a published file is missing, which the journal can make again.
    pub(super) is_missing: bool,
}

impl Retrace {
    /// Reads both checkpoints; nothing is judged yet but that they are this log's own.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        root: &Arc<dyn Folder>,
        seen_file: &Path,
        key: &VerifierKey,
    ) -> Result<Self, Closed> {
        let shelf = Shelf::open(root).map_err(|e| trouble(&e, "cannot open the log's tiles"))?;
        let found = read_whole(&**root, CHECKPOINT)
            .map_err(|e| trouble(&e, "cannot read the checkpoint"))?;
        let checkpoint = match found {
            None => None,
            Some(bytes) => match Checkpoint::open(&bytes, key) {
                Ok(checkpoint) => Some((checkpoint, bytes)),
                Err(error) => {
                    let what = format!("`checkpoint` in the trail's folder: {error}");
                    return Err(closed(Cause::Damaged, what));
                }
            },
        };
        let (seen, found) = Seen::open(disk, seen_file);
        let newest_seen = match found.map(|bytes| Checkpoint::open(&bytes, key)).transpose() {
            Ok(newest_seen) => newest_seen,
            Err(error) => {
                let what = format!("the seen file {}: {error}", seen_file.display());
                return Err(closed(Cause::RolledBack, what));
            }
        };
        Ok(Self {
            shelf,
            seen,
            checkpoint,
            newest_seen,
            tree: Tree::default(),
            published: Tree::default(),
            is_missing: false,
        })
    }

    /// Takes the next entry of the journal.
    pub(super) fn push(&mut self, entry: &[u8]) -> Result<(), Closed> {
        let published = self.checkpoint.as_ref().map_or(0, |(c, _)| c.size);
        let mut full = Vec::new();
        let keep = |piece| -> io::Result<()> {
            full.push(piece);
            Ok(())
        };
        self.tree
            .push(entry, leaf(entry), keep)
            .map_err(|e| trouble(&e, "cannot retrace the log"))?;
        if self.tree.size() <= published {
            for piece in &full {
                self.compare(piece)?;
            }
        }
        self.judge()
    }

    /// The journal has ended: both checkpoints must lie within it.
    pub(super) fn finish(&mut self) -> Result<(), Closed> {
        let size = self.tree.size();
        if let Some(seen) = self.newest_seen.as_ref().filter(|seen| seen.size > size) {
            let what = format!(
                "the seen file knows {} entries, the trail holds {size}",
                seen.size
            );
            return Err(closed(Cause::RolledBack, what));
        }
        match &self.checkpoint {
            Some((checkpoint, _)) if checkpoint.size > size => {
                let what = format!(
                    "entry {size} is missing in the journal: its checkpoint covers {}",
                    checkpoint.size
                );
                Err(closed(Cause::Damaged, what))
            }
            _ => Ok(()),
        }
    }

    /// What was published, for the publisher to go on from.
    pub(super) fn into_published(self) -> (Shelf, Seen, Tree, Option<Vec<u8>>) {
        let bytes = self.checkpoint.map(|(_, bytes)| bytes);
        (self.shelf, self.seen, self.published, bytes)
    }

    /// Holds the tree against the checkpoints of its size.
    fn judge(&mut self) -> Result<(), Closed> {
        let size = self.tree.size();
        let is_other = |c: &Checkpoint, tree: &Tree| c.size == size && c.root != tree.root();
        let seen = self.newest_seen.as_ref();
        if seen.is_some_and(|seen| is_other(seen, &self.tree)) {
            let what = format!(
                "the first {size} entries are not those that the seen file has a checkpoint of"
            );
            return Err(closed(Cause::RolledBack, what));
        }
        let Some((checkpoint, _)) = &self.checkpoint else {
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

    /// A published file never changes; one that is missing is made again.
    fn compare(&mut self, piece: &Piece) -> Result<(), Closed> {
        let found = self
            .shelf
            .read(&piece.path)
            .map_err(|e| trouble(&e, &format!("cannot read {}", piece.path)))?;
        match found {
            None => self.is_missing = true,
            Some(bytes) if bytes == piece.bytes => {}
            Some(_) => {
                let what = format!("{} does not hold what the journal says", piece.path);
                return Err(closed(Cause::Damaged, what));
            }
        }
        Ok(())
    }
}
