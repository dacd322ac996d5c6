//! What the writer hands to the publisher: batches that are synced and found in order, no others.

use crate::audit::journal::Synced;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::audit::status::checkpoint_lag::CheckpointLag;

/// While more than this waits, deletions are refused. What is begun by then is still handed over:
/// the outcomes of open intents, which are few.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// What has been handed over and not been taken.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) batches: Vec<Synced>,
    pub(super) bytes: usize,
    /// When the oldest of them came.
    pub(super) since: Option<Instant>,
    /// Every intent below this index is closed by an entry that was handed over before.
    pub(super) settled: u64,
    pub(super) stop: bool,
}

/// The queue between the two threads.
#[derive(Debug, Default)]
pub(crate) struct PublishQueue {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl PublishQueue {
    /// Hands a batch over, and tells how the publisher is behind.
    pub(crate) fn batch(&self, batch: Synced, lag: &CheckpointLag) {
        let mut queue = self.lock();
        queue.bytes += batch.entries.iter().map(Vec::len).sum::<usize>();
        queue.batches.push(batch);
        let is_first = queue.since.is_none();
        let since = *queue.since.get_or_insert_with(Instant::now);
        lag.waits(since, queue.bytes > MOST_BYTES);
        drop(queue);
        // The publisher looks at the clock by itself once something waits.
        if is_first {
            self.wake.notify_one();
        }
    }

    /// Every intent below this index is closed by an entry that was handed over.
    pub(crate) fn settled(&self, index: u64) {
        self.lock().settled = index;
    }

    /// Nothing more comes.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_one();
    }

    #[cfg(test)]
    pub(super) fn has_stopped(&self) -> bool {
        self.lock().stop
    }

    /// Waits until something has waited for `patience`, it is told to stop, or `idle` is over; then
    /// takes all there is.
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

    /// All that was taken is published: what waits now came later.
    pub(super) fn published(&self, lag: &CheckpointLag) {
        let queue = self.lock();
        lag.published(queue.since, queue.bytes > MOST_BYTES);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
