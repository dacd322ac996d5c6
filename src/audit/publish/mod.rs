//! The publisher turns synced entries into tiles, bundles and signed checkpoints. It runs on its
//! own thread, so that no deletion waits for it.
//!
//! The publisher makes the bundles and tiles durable, checks that nobody changed the old
//! checkpoint, writes the new one, updates the seen file (a copy of the checkpoint outside the
//! folder), and then removes files that are no longer needed. In this order, no checkpoint covers a
//! file that is not durable, even if a step fails or the process crashes.

pub(crate) mod replay_check;

mod checkpoint_file;
mod prune;
mod thread;
mod tiles;

pub(crate) use checkpoint_file::{folder_of, unwatched};
#[cfg(test)]
pub(crate) use thread::ByHand;
pub(crate) use thread::Publishing;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::disk::names::CHECKPOINT;
use super::integrity::Integrity;
use super::journal::Synced;
use super::journal::batch::Link;
use super::log::checkpoint::Checkpoint;
use super::log::key::Key;
use super::status::availability::Availability;
use super::status::{Unavailable, trouble};
use crate::metrics::Metrics;
use checkpoint_file::{CheckpointFile, RollbackGuard};
use prune::Segments;
use replay_check::ReplayCheck;
use thread::PublishQueue;
use tiles::{TileWriter, Tree};

/// The published log, and the entries that wait for the next checkpoint.
#[derive(Debug)]
pub(crate) struct Publisher {
    key: Arc<Key>,
    tiles: TileWriter,
    checkpoint: CheckpointFile,
    rollback_guard: RollbackGuard,
    /// How many entries the checkpoint covered when the log was opened.
    pub(crate) covered: u64,
    /// The right edge of the published log. While the gateway restores missing files at a start,
    /// this edge can be before the checkpoint's last entry.
    published: Tree,
    /// Synced batches that are not published yet.
    waiting: Vec<Synced>,
    segments: Segments,
    /// Every intent below this index has an outcome that is published or waits for the next
    /// checkpoint.
    settled: u64,
    queue: Arc<PublishQueue>,
    availability: Arc<Availability>,
    metrics: Metrics,
}

impl Publisher {
    /// Creates a publisher that continues from the published log. `before` links to the batch
    /// before the journal's first batch.
    pub(crate) fn new(
        replayed: ReplayCheck,
        key: &Arc<Key>,
        integrity: &Integrity,
        before: Link,
        availability: &Arc<Availability>,
        metrics: &Metrics,
    ) -> Result<Self, Unavailable> {
        let published = replayed.continues_from().clone();
        let tiles = TileWriter::open(&integrity.root, published.size())
            .map_err(|e| trouble(&e, "cannot open the log's tiles"))?;
        tiles
            .clear()
            .map_err(|e| trouble(&e, "cannot clear what was not published"))?;
        Ok(Self {
            key: Arc::clone(key),
            tiles,
            covered: replayed.covered(),
            checkpoint: replayed.checkpoint_file,
            rollback_guard: replayed.rollback_guard,
            published,
            waiting: Vec::new(),
            segments: Segments::new(integrity, before),
            settled: 0,
            queue: Arc::default(),
            availability: Arc::clone(availability),
            metrics: metrics.clone(),
        })
    }

    /// The number of entries whose tiles and bundles exist.
    pub(crate) fn size(&self) -> u64 {
        self.published.size()
    }

    pub(crate) fn take(&mut self, batches: impl IntoIterator<Item = Synced>) {
        for batch in batches {
            self.segments.note(batch.link);
            if !batch.entries.is_empty() {
                self.waiting.push(batch);
            }
        }
    }

    /// Publishes all waiting entries. If no entry waits, checks the checkpoint and the seen file,
    /// and writes the seen file again if it is outdated. After an error, keeps all entries for the
    /// next call.
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
                .replace(&*self.tiles.temporary, CHECKPOINT, &signed)
                .map_err(|e| trouble(&e, "cannot write the checkpoint"))?;
            let took = began.elapsed().as_secs_f64();
            self.metrics.audit_publish_seconds.observe(took);
        }
        if !self.rollback_guard.holds(&signed) {
            self.rollback_guard.write(&signed);
            let trouble = self.rollback_guard.trouble.as_deref();
            self.availability.unwatched(trouble);
        }
        self.published = next;
        self.waiting.clear();
        // The next call retries a failed removal.
        let _ = self.tiles.remove_outgrown();
        let until = self.settled.min(self.published.size());
        let _ = self.segments.prune(until, &self.key);
        let size = i64::try_from(self.published.size()).unwrap_or(i64::MAX);
        self.metrics.audit_checkpoint_entries.set(size);
        let now = self.availability.clock.now().seconds();
        self.metrics.audit_checkpoint_time.set(now);
        Ok(())
    }

    /// Restores missing files: writes the files of all waiting entries. If some of these entries
    /// are newer than the checkpoint, also publishes a new checkpoint.
    pub(crate) fn make_again(&mut self) -> Result<(), Unavailable> {
        let taken: usize = self.waiting.iter().map(|batch| batch.entries.len()).sum();
        if self.published.size() + taken as u64 > self.covered {
            return self.publish();
        }
        self.published = self
            .lay_out()
            .map_err(|e| trouble(&e, "cannot publish the log's tiles"))?;
        self.waiting.clear();
        Ok(())
    }

    /// Writes the tiles and bundles of the waiting entries. Returns the right edge of the log with
    /// these entries.
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
