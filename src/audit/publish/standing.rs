//! Judges what is published as it stands: every tile and bundle under the checkpoint is made again
//! from the entries and compared with the file that is there.

use std::sync::Arc;

use super::{Piece, Tree};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::custody::{Published, altered, closed, grown};
use crate::audit::disk::Folder;
use crate::audit::key::Key;
use crate::audit::merkle::leaf;
use crate::audit::tiles::{Bundle, FULL, decode_bundle};
use crate::audit::{Cause, Closed};

/// The folder that is read, and whose checkpoint must stand in it.
#[derive(Debug)]
pub(in crate::audit) struct Standing(Published);

impl Standing {
    pub(in crate::audit) fn new(root: &Arc<dyn Folder>, key: &Arc<Key>) -> Self {
        Self(Published::new(root, key))
    }

    /// Its checkpoint.
    pub(in crate::audit) fn checkpoint(&self) -> Result<Checkpoint, Closed> {
        self.0.checkpoint()
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
        let bundle = Bundle::at(index, checkpoint.size).ok_or_else(grown)?;
        let path = bundle.path();
        let bytes = self.0.there(&path, checkpoint.size)?;
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
            if self.0.there(&path, checkpoint.size)? != bytes {
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
}
