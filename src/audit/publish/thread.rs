//! The publisher's thread and its queue. The writer queues batches that are synced and have passed
//! the integrity check.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Publisher;
use crate::audit::journal::Synced;
use crate::audit::status::availability::Availability;
use crate::audit::status::{Unavailable, trouble};

/// How long the publisher collects entries for one checkpoint: it publishes about twice a second.
const GATHER: Duration = Duration::from_millis(450);
/// How often an idle publisher checks the published checkpoints.
const IDLE: Duration = Duration::from_secs(60);
/// The pause after an error, before the publisher tries again.
const AGAIN: Duration = Duration::from_millis(500);
/// While the queue holds more bytes than this, the gateway refuses deletions. The queue still
/// accepts the outcomes of open intents, which are few.
const MOST_BYTES: usize = 64 << 20;

/// The writer's handle to the publisher.
#[derive(Debug)]
pub(crate) struct Publishing {
    queue: Arc<PublishQueue>,
    availability: Arc<Availability>,
    /// The publisher; `None` after [`Self::begin`] has moved it to its thread.
    publisher: Option<Publisher>,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    by_hand: Option<ByHand>,
}

impl Publishing {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            queue: Arc::clone(&publisher.queue),
            availability: Arc::clone(&publisher.availability),
            publisher: Some(publisher),
            thread: None,
            #[cfg(test)]
            by_hand: None,
        }
    }

    /// Queues a batch that is synced and has passed the integrity check.
    pub(crate) fn hand_over(&self, batch: Synced) {
        let mut queued = self.queue.lock();
        queued.bytes += batch.entries.iter().map(Vec::len).sum::<usize>();
        queued.batches.push(batch);
        let is_first = queued.since.is_none();
        let since = *queued.since.get_or_insert_with(Instant::now);
        let too_much = queued.bytes > MOST_BYTES;
        self.availability.lag.waits(since, too_much);
        drop(queued);
        // Only the first batch in an empty queue wakes the publisher. The publisher then collects
        // batches for a fixed time.
        if is_first {
            self.queue.wake.notify_one();
        }
    }

    /// Tells the publisher that every intent below this index has an outcome that is already queued
    /// or published.
    pub(crate) fn settled(&self, index: u64) {
        self.queue.lock().settled = index;
    }

    /// Starts the thread. If the gateway is starting (`is_start`), first publishes all queued
    /// entries.
    pub(crate) fn begin(&mut self, is_start: bool) -> Result<(), Unavailable> {
        let Some(mut publisher) = self.publisher.take() else {
            return Ok(());
        };
        if is_start {
            let queued = self.queue.take(Duration::ZERO, Duration::ZERO);
            publisher.publish_queued(queued)?;
        }
        // The error and the waiting entries of an earlier publisher no longer count.
        self.availability.lag.publisher_error(None);
        let queued = self.queue.lock();
        let too_much = queued.bytes > MOST_BYTES;
        self.availability.lag.published(queued.since, too_much);
        drop(queued);
        #[cfg(test)]
        if crate::audit::by_hand::is_wanted() {
            self.by_hand = Some(ByHand(publisher));
            return Ok(());
        }
        let thread = std::thread::Builder::new().name("audit-publisher".into());
        let spawned = thread.spawn(move || publisher.serve());
        self.thread = Some(spawned.map_err(|e| trouble(&e, "cannot start the publisher"))?);
        Ok(())
    }

    /// Tells the thread to try once more to publish the remaining entries, and then to end. Waits
    /// until the thread has ended.
    pub(crate) fn stop(&mut self) {
        self.queue.lock().stop = true;
        self.queue.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing to report.
            let _ = thread.join();
        }
    }
}

/// Waits until the thread has ended, because the writer then releases its lock on the audit folder.
impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug, Default)]
pub(super) struct PublishQueue {
    queued: Mutex<Queued>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queued {
    batches: Vec<Synced>,
    bytes: usize,
    /// When the oldest queued batch arrived; `None` if the queue is empty.
    since: Option<Instant>,
    /// Every intent below this index has an outcome that is already queued or published.
    settled: u64,
    stop: bool,
}

impl PublishQueue {
    /// Waits until the oldest batch has waited for `patience`, until `idle` has passed, or until
    /// the publisher must end. Then takes all batches.
    fn take(&self, patience: Duration, idle: Duration) -> Queued {
        let until = Instant::now() + idle;
        let mut queued = self.lock();
        loop {
            let since = queued.since;
            let due = since.map_or(until, |since| until.min(since + patience));
            let left = due.saturating_duration_since(Instant::now());
            if queued.stop || left.is_zero() {
                break;
            }
            let woken = self.wake.wait_timeout(queued, left);
            queued = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let rest = Queued {
            settled: queued.settled,
            stop: queued.stop,
            ..Queued::default()
        };
        std::mem::replace(&mut *queued, rest)
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher {
    fn serve(&mut self) {
        let mut works = true;
        loop {
            let queued = match works {
                true => self.queue.take(GATHER, IDLE),
                false => self.queue.take(AGAIN, AGAIN),
            };
            let stop = queued.stop;
            works = self.publish_and_report(queued);
            if stop {
                return;
            }
        }
    }

    /// Publishes and reports an error, if any. Returns whether publishing worked.
    fn publish_and_report(&mut self, queued: Queued) -> bool {
        let error = self.publish_queued(queued).err();
        let works = error.is_none();
        self.availability.lag.publisher_error(error);
        works
    }

    fn publish_queued(&mut self, queued: Queued) -> Result<(), Unavailable> {
        self.take(queued.batches);
        self.settled = queued.settled;
        self.publish()?;
        let left = self.queue.lock();
        let too_much = left.bytes > MOST_BYTES;
        self.availability.lag.published(left.since, too_much);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) use by_hand::ByHand;

#[cfg(test)]
mod by_hand {
    use std::time::Duration;

    use super::{Publisher, Publishing};

    /// The publisher without a thread, for a test that decides when to publish.
    #[derive(Debug)]
    pub(crate) struct ByHand(pub(super) Publisher);

    impl ByHand {
        /// Publishes once, unless the publisher was stopped; returns whether that worked.
        pub(crate) fn publish(&mut self) -> bool {
            let has_stopped = self.0.queue.lock().stop;
            has_stopped || self.publish_the_rest()
        }

        /// Publishes the remaining entries, as the thread does at its end.
        pub(crate) fn publish_the_rest(&mut self) -> bool {
            let queued = self.0.queue.take(Duration::ZERO, Duration::ZERO);
            self.0.publish_and_report(queued)
        }
    }

    impl Publishing {
        pub(crate) fn by_hand(&mut self) -> Option<ByHand> {
            self.by_hand.take()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::fake::FakeDisk;
    use crate::audit::trail::tests::settings;
    use crate::audit::writer::{Settings, Writer, open};
    use crate::audit::{Trail, test_folder};
    use crate::clock::Clock;
    use crate::metrics::Metrics;

    #[test]
    fn p3_a_new_publisher_is_not_late_for_an_outage() {
        crate::audit::by_hand::want();
        let folder = test_folder("outage");
        let settings = Settings {
            directory: "/audit".into(),
            seen_file: "/kept/audit.key.seen".into(),
            ..settings(folder.path())
        };
        let (disk, metrics) = (FakeDisk::default(), Metrics::new());
        disk.mount("/kept");
        let trail = Trail::by_hand(&settings, Clock::system(), &metrics);
        let writer = Writer {
            disk: Arc::new(disk),
            settings,
            shared: Arc::clone(trail.shared()),
            metrics,
        };
        let (mut store, _) = open::open(&writer, None).unwrap();
        let lag = &writer.shared.availability.lag;
        let long_ago = Instant::now().checked_sub(Duration::from_secs(11)).unwrap();
        lag.waits(long_ago, false);
        assert!(lag.closed().is_some());
        store.publishing.as_mut().unwrap().begin(false).unwrap();
        assert_eq!(lag.closed(), None);
    }
}
