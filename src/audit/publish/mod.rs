//! The publisher: turns synced entries into tiles, bundles and signed checkpoints on a thread of
//! its own, so that no deletion waits for it.
//!
//! It makes the bundles and tiles durable, reads the old checkpoint back, writes the new one,
//! updates the seen file, and then removes files that are no longer needed. So no checkpoint names
//! a file that is not durable, even if a step fails or the process crashes.

pub(crate) mod replay_check;

mod checkpoint_file;
mod partial_tiles;
mod prune;
mod rollback_guard;
mod thread;
mod tile_writer;
mod tree;

use super::disk::names::CHECKPOINT;
pub(crate) use super::journal::Synced;
pub(crate) use checkpoint_file::CheckpointFile;
pub(crate) use rollback_guard::{RollbackGuard, folder_of, unwatched};
#[cfg(test)]
pub(crate) use thread::ByHand;
pub(crate) use thread::Publishing;
pub(crate) use tile_writer::TileWriter;
pub(crate) use tree::{Piece, Tree};

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::integrity::Integrity;
use super::journal::batch::Link;
use super::log::checkpoint::Checkpoint;
use super::log::key::Key;
use super::status::availability::Availability;
use super::status::{Unavailable, trouble};
use crate::metrics::Metrics;
use partial_tiles::Outgrown;
use prune::Segments;

/// The published log, and the entries that wait for the next checkpoint.
#[derive(Debug)]
pub(crate) struct Publisher {
    key: Arc<Key>,
    tiles: TileWriter,
    checkpoint: CheckpointFile,
    rollback_guard: RollbackGuard,
    /// The log at the newest checkpoint.
    published: Tree,
    /// Synced entries after the newest checkpoint.
    waiting: Vec<Synced>,
    segments: Segments,
    outgrown: Outgrown,
    /// Every intent below this index has an outcome among the entries taken so far.
    settled: u64,
    availability: Arc<Availability>,
    metrics: Metrics,
}

impl Publisher {
    /// Continues from a published log; `checkpoint` holds the checkpoint's bytes.
    pub(crate) fn new(
        key: &Arc<Key>,
        integrity: &Integrity,
        tiles: TileWriter,
        (published, checkpoint): (Tree, Option<Vec<u8>>),
        rollback_guard: RollbackGuard,
        (availability, metrics): (&Arc<Availability>, &Metrics),
    ) -> Self {
        // If the search fails, the next start finds these folders.
        let outgrown = Outgrown::find(&tiles, published.size()).unwrap_or_default();
        Self {
            key: Arc::clone(key),
            tiles,
            checkpoint: CheckpointFile::new(
                Arc::clone(&integrity.root),
                CHECKPOINT.to_owned(),
                CHECKPOINT.to_owned(),
                checkpoint,
            ),
            rollback_guard,
            published,
            waiting: Vec::new(),
            segments: Segments::new(
                Arc::clone(&integrity.journal),
                Arc::clone(&integrity.segments),
            ),
            outgrown,
            settled: 0,
            availability: Arc::clone(availability),
            metrics: metrics.clone(),
        }
    }

    pub(crate) fn take(&mut self, batches: impl IntoIterator<Item = Synced>) {
        for batch in batches {
            self.segments.note(batch.link);
            if !batch.entries.is_empty() {
                self.waiting.push(batch);
            }
        }
    }

    /// Sets the batch before the first one in the journal.
    pub(crate) fn begins(&mut self, before: Link) {
        self.segments.begin(before);
    }

    /// Publishes all entries taken so far; if there are none, only checks the published
    /// checkpoints. After an error all entries are still waiting.
    pub(crate) fn publish(&mut self) -> Result<(), Unavailable> {
        let began = Instant::now();
        let next = self
            .lay_out()
            .map_err(|e| trouble(&e, "cannot publish the log's tiles"))?;
        let verifier = self.key.verifier();
        self.checkpoint.compare(verifier)?;
        self.rollback_guard.compare(verifier)?;
        let signed = Checkpoint {
            origin: self.key.origin().to_owned(),
            size: next.size(),
            root: next.root(),
        }
        .sign(&self.key);
        if self.checkpoint.known.as_ref() != Some(&signed) {
            self.checkpoint
                .replace(&*self.tiles.temporary, &signed)
                .map_err(|e| trouble(&e, "cannot write the checkpoint"))?;
            let took = began.elapsed().as_secs_f64();
            self.metrics.audit_publish_seconds.observe(took);
        }
        if !self.rollback_guard.holds(&signed) {
            self.rollback_guard.write(&signed);
            let trouble = self.rollback_guard.trouble.clone();
            self.availability.unwatched(trouble);
        }
        self.outgrown.note(&self.published, &next);
        self.published = next;
        self.waiting.clear();
        // The next call retries a failed removal.
        let _ = self.outgrown.remove(&mut self.tiles);
        let until = self.settled.min(self.published.size());
        let _ = self.segments.prune(until, &self.key);
        let size = i64::try_from(self.published.size()).unwrap_or(i64::MAX);
        self.metrics.audit_checkpoint_entries.set(size);
        let now = self.availability.clock.now().seconds();
        self.metrics.audit_checkpoint_time.set(now);
        Ok(())
    }

    /// Writes files again that a checkpoint of `covered` entries already covers; also publishes if
    /// there are newer entries.
    pub(crate) fn make_again(&mut self, covered: u64) -> Result<(), Unavailable> {
        let taken: usize = self.waiting.iter().map(|batch| batch.entries.len()).sum();
        if self.published.size() + taken as u64 > covered {
            return self.publish();
        }
        self.published = self
            .lay_out()
            .map_err(|e| trouble(&e, "cannot publish the log's tiles"))?;
        self.waiting.clear();
        Ok(())
    }

    /// Writes the tiles and bundles of the next size.
    fn lay_out(&mut self) -> io::Result<Tree> {
        let mut next = self.published.clone();
        if self.waiting.is_empty() {
            return Ok(next);
        }
        self.tiles.begin()?;
        for batch in &self.waiting {
            for (entry, leaf) in batch.entries.iter().zip(&batch.leaves) {
                for piece in next.push(entry, *leaf)? {
                    self.tiles.put(&piece)?;
                }
            }
        }
        let published = self.published.partial();
        for piece in next.partial() {
            if !published.iter().any(|old| old.path == piece.path) {
                self.tiles.put(&piece)?;
            }
        }
        self.tiles.settle()?;
        Ok(next)
    }
}

#[cfg(test)]
pub(crate) mod tests;
