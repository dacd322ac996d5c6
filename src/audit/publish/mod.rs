//! The publisher: turns synced entries into tiles, bundles and signed checkpoints, off the path of
//! whoever waits for a deletion.
//!
//! Its order of steps: bundles and tiles, whole and durable, at their places; then the old checkpoint
//! is read back; then the new one; then the seen file; then what is needed no more goes. Whatever
//! step fails or is the last before a crash, no checkpoint names what is not durable.

pub(crate) mod replay_check;

mod checkpoint_file;
mod partial_tiles;
mod prune;
mod queue;
mod rollback_guard;
mod thread;
mod tile_writer;
mod tree;

use super::disk::names::CHECKPOINT;
pub(crate) use super::journal::Synced;
pub(crate) use checkpoint_file::CheckpointFile;
pub use rollback_guard::unwatched;
pub(crate) use rollback_guard::{Seen, folder_of};
#[cfg(test)]
pub(crate) use thread::ByHand;
pub(crate) use thread::Publishing;
pub(crate) use tile_writer::TileWriter;
pub(crate) use tree::{Piece, Tree};

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::integrity::Integrity;
use super::journal::batch::Link;
use super::log::checkpoint::Checkpoint;
use super::log::key::Key;
use super::status::Unavailable;
use super::status::availability::Availability;
use super::status::trouble;
use crate::metrics::Metrics;
use partial_tiles::Outgrown;
use prune::Segments;

/// Holds what is published and what is to be.
#[derive(Debug)]
pub(crate) struct Publisher {
    key: Arc<Key>,
    shelf: TileWriter,
    checkpoint: CheckpointFile,
    seen: Seen,
    /// The log as the newest checkpoint has it.
    published: Tree,
    /// Entries behind it.
    waiting: Vec<Synced>,
    segments: Segments,
    outgrown: Outgrown,
    /// Every intent below this index is closed by an entry that was taken.
    settled: u64,
    availability: Arc<Availability>,
    metrics: Metrics,
}

impl Publisher {
    /// Goes on from what was published; `checkpoint` holds its bytes.
    pub(crate) fn new(
        key: &Arc<Key>,
        integrity: &Integrity,
        shelf: TileWriter,
        (published, checkpoint): (Tree, Option<Vec<u8>>),
        seen: Seen,
        (availability, metrics): (&Arc<Availability>, &Metrics),
    ) -> Self {
        let passing = Arc::clone(shelf.passing());
        // What cannot be looked for now is found at the next start.
        let outgrown = Outgrown::find(&shelf, published.size()).unwrap_or_default();
        Self {
            key: Arc::clone(key),
            shelf,
            checkpoint: CheckpointFile::new(
                Arc::clone(&integrity.root),
                CHECKPOINT,
                passing,
                CHECKPOINT,
                checkpoint,
            ),
            seen,
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

    /// Takes entries that the next checkpoint is to cover.
    pub(crate) fn take(&mut self, batches: impl IntoIterator<Item = Synced>) {
        for batch in batches {
            self.segments.note(batch.link);
            if !batch.entries.is_empty() {
                self.waiting.push(batch);
            }
        }
    }

    /// The journal begins behind this batch.
    pub(crate) fn begins(&mut self, before: Link) {
        self.segments.begin(before);
    }

    /// Every intent below this index is closed by an entry that was taken.
    fn settled(&mut self, index: u64) {
        self.settled = index;
    }

    /// Publishes all that it has taken, or, where that is nothing, looks whether what is published
    /// still stands. After an error all of it is to be published still.
    pub(crate) fn publish(&mut self) -> Result<(), Unavailable> {
        let began = Instant::now();
        let next = self
            .lay_out()
            .map_err(|e| trouble(&e, "cannot publish the log's tiles"))?;
        let verifier = self.key.verifier();
        self.checkpoint.compare(verifier)?;
        self.seen.compare(verifier)?;
        let signed = Checkpoint {
            origin: self.key.origin().to_owned(),
            size: next.size(),
            root: next.root(),
        }
        .sign(&self.key);
        if self.checkpoint.known() != Some(&signed) {
            self.checkpoint
                .replace(&signed)
                .map_err(|e| trouble(&e, "cannot write the checkpoint"))?;
            let took = began.elapsed().as_secs_f64();
            self.metrics.audit_publish_seconds.observe(took);
        }
        if !self.seen.holds(&signed) {
            self.seen.keep(&signed);
            let trouble = self.seen.trouble().map(str::to_owned);
            self.availability.lag.unwatched(trouble);
        }
        self.outgrown.note(&self.published, &next);
        self.published = next;
        self.waiting.clear();
        self.clear_up();
        let size = i64::try_from(self.published.size()).unwrap_or(i64::MAX);
        self.metrics.audit_checkpoint_entries.set(size);
        let now = self.availability.now().seconds();
        self.metrics.audit_checkpoint_time.set(now);
        Ok(())
    }

    /// Removes what is needed no more. What cannot go is tried again next time: it is only space.
    fn clear_up(&mut self) {
        let _ = self.outgrown.remove(&mut self.shelf);
        let until = self.settled.min(self.published.size());
        let _ = self.segments.prune(until, &self.key);
    }

    /// Puts files at their places that a checkpoint of `covered` entries has already signed, and
    /// publishes what is behind them.
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

    /// Puts the files of the next size at their places.
    fn lay_out(&mut self) -> io::Result<Tree> {
        let mut next = self.published.clone();
        if self.waiting.is_empty() {
            return Ok(next);
        }
        self.shelf.begin()?;
        self.checkpoint.pass_through(self.shelf.passing());
        for batch in &self.waiting {
            for (entry, leaf) in batch.entries.iter().zip(&batch.leaves) {
                next.push(entry, *leaf, |piece| self.shelf.put(&piece))?;
            }
        }
        let there: BTreeSet<String> = self
            .published
            .partial()
            .into_iter()
            .map(|piece| piece.path)
            .collect();
        for piece in next
            .partial()
            .into_iter()
            .filter(|p| !there.contains(&p.path))
        {
            self.shelf.put(&piece)?;
        }
        self.shelf.settle()?;
        Ok(next)
    }
}

#[cfg(test)]
pub(crate) mod tests;
