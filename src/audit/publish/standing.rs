//! Judges what is published as it stands: every tile and bundle under the checkpoint is made again
//! from the entries and compared with the file that is there.

use std::io;
use std::sync::Arc;

use super::{CHECKPOINT, Piece, Tree, read_whole};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::custody::closed;
use crate::audit::disk::Folder;
use crate::audit::key::Key;
use crate::audit::merkle::leaf;
use crate::audit::tiles::{Bundle, FULL, decode_bundle};
use crate::audit::{Cause, Closed};

/// The folder that is read, and whose checkpoint must stand in it.
#[derive(Debug)]
pub(in crate::audit) struct Standing {
    root: Arc<dyn Folder>,
    key: Arc<Key>,
}

impl Standing {
    pub(in crate::audit) fn new(root: &Arc<dyn Folder>, key: &Arc<Key>) -> Self {
        Self {
            root: Arc::clone(root),
            key: Arc::clone(key),
        }
    }

    /// Its checkpoint.
    pub(in crate::audit) fn checkpoint(&self) -> Result<Checkpoint, Closed> {
        let Some(bytes) = self.read(CHECKPOINT)? else {
            let what = format!("{CHECKPOINT} was unlinked");
            return Err(closed(Cause::Unlinked, what));
        };
        Checkpoint::open(&bytes, self.key.verifier())
            .map_err(|e| altered(CHECKPOINT, &e.to_string()))
    }

    /// Judges all of it, at once.
    pub(in crate::audit) fn judge(&self) -> Result<(), Closed> {
        let checkpoint = self.checkpoint()?;
        let mut tree = Tree::default();
        for index in 0..Self::bundles(&checkpoint) {
            (tree, _) = self.next(&tree, index, &checkpoint)?;
        }
        Self::whole(&tree, &checkpoint)
    }

    /// How many bundles a checkpoint covers.
    pub(in crate::audit) fn bundles(checkpoint: &Checkpoint) -> u64 {
        checkpoint.size.div_ceil(u64::from(FULL))
    }

    /// The tree with this bundle's entries, where all files that they imply are right, and how much
    /// was read.
    pub(in crate::audit) fn next(
        &self,
        before: &Tree,
        index: u64,
        checkpoint: &Checkpoint,
    ) -> Result<(Tree, u64), Closed> {
        let (mut tree, mut pieces) = (before.clone(), Vec::new());
        let bundle = Bundle::at(index, checkpoint.size).ok_or_else(unread)?;
        let path = bundle.path();
        let bytes = self.there(&path, checkpoint)?;
        let entries = decode_bundle(&bytes, bundle.width);
        for entry in entries.map_err(|e| altered(&path, &e.to_string()))? {
            let keep = |piece| {
                pieces.push(piece);
                Ok(())
            };
            let pushed = tree.push(entry, leaf(entry), keep);
            pushed.map_err(|e| altered(&path, &e.to_string()))?;
        }
        if tree.size() == checkpoint.size {
            pieces.extend(tree.partial());
        }
        let mut read = bytes.len() as u64;
        for Piece { path, bytes } in pieces {
            if self.there(&path, checkpoint)? != bytes {
                return Err(altered(&path, "it is not what the entries make"));
            }
            read += bytes.len() as u64;
        }
        Ok((tree, read))
    }

    /// That the tree of all bundles is the one under the checkpoint.
    pub(in crate::audit) fn whole(tree: &Tree, checkpoint: &Checkpoint) -> Result<(), Closed> {
        if tree.root() == checkpoint.root {
            return Ok(());
        }
        let what = "the tree that the bundles make is not the one under the checkpoint";
        Err(closed(Cause::Altered, what))
    }

    /// A file that must be there, unless the log has grown meanwhile.
    fn there(&self, path: &str, checkpoint: &Checkpoint) -> Result<Vec<u8>, Closed> {
        if let Some(found) = self.read(path)? {
            return Ok(found);
        }
        // Partial files of a newer checkpoint have other names.
        match self.checkpoint()?.size == checkpoint.size {
            true => Err(closed(Cause::Unlinked, format!("{path} was unlinked"))),
            false => Err(unread()),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Closed> {
        let unread = |e: io::Error| closed(Cause::SyncFailed, e.to_string());
        let mut folder = Arc::clone(&self.root);
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return read_whole(&*folder, part).map_err(unread);
            }
            folder = match folder.folder(part, None) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                found => found.map_err(unread)?,
            };
        }
        Ok(None)
    }
}

fn altered(path: &str, what: &str) -> Closed {
    closed(Cause::Altered, format!("{path}: {what}"))
}

/// Nothing is wrong, but it could not be judged.
fn unread() -> Closed {
    closed(Cause::SyncFailed, "the log has grown meanwhile")
}
