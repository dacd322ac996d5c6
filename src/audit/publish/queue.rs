//! The queue from the writer to the publisher, for batches that are synced and have passed the
//! integrity check.

use crate::audit::journal::Synced;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::audit::status::checkpoint_lag::CheckpointLag;

/// Deletions are refused while more bytes than this wait. The queue still accepts the outcomes of
/// open intents, which are few.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// The queue's content.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) batches: Vec<Synced>,
    pub(super) bytes: usize,
    /// When the oldest batch arrived.
    pub(super) since: Option<Instant>,
    /// Every intent below this index has an outcome among the entries queued so far.
    pub(super) settled: u64,
    pub(super) stop: bool,
}

#[derive(Debug, Default)]
pub(crate) struct PublishQueue {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl PublishQueue {
    /// Queues a batch and updates the checkpoint lag.
    pub(crate) fn batch(&self, batch: Synced, lag: &CheckpointLag) {
        let mut queue = self.lock();
        queue.bytes += batch.entries.iter().map(Vec::len).sum::<usize>();
        queue.batches.push(batch);
        let is_first = queue.since.is_none();
        let since = *queue.since.get_or_insert_with(Instant::now);
        lag.waits(since, queue.bytes > MOST_BYTES);
        drop(queue);
        // Only the first batch wakes the publisher, which then waits for a set time.
        if is_first {
            self.wake.notify_one();
        }
    }

    /// Every intent below this index has an outcome among the entries queued so far.
    pub(crate) fn settled(&self, index: u64) {
        self.lock().settled = index;
    }

    /// Tells the publisher to end.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_one();
    }

    #[cfg(test)]
    pub(super) fn has_stopped(&self) -> bool {
        self.lock().stop
    }

    /// Waits until a batch has waited for `patience`, `idle` has passed or the publisher must end;
    /// then takes all batches.
    pub(super) fn take(&self, patience: Duration, idle: Duration) -> Queue {
        let until = Instant::now() + idle;
        let mut queue = self.lock();
        loop {
            let due = queue
                .since
                .map_or(until, |since| until.min(since + patience));
            let left = due.saturating_duration_since(Instant::now());
            if queue.stop || left.is_zero() {
                break;
            }
            queue = self
                .wake
                .wait_timeout(queue, left)
                .map_or_else(|e| e.into_inner().0, |(queue, _)| queue);
        }
        let (settled, stop) = (queue.settled, queue.stop);
        std::mem::replace(
            &mut *queue,
            Queue {
                settled,
                stop,
                ..Queue::default()
            },
        )
    }

    /// Updates the checkpoint lag after all taken batches are published.
    pub(super) fn published(&self, lag: &CheckpointLag) {
        let queue = self.lock();
        lag.published(queue.since, queue.bytes > MOST_BYTES);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
