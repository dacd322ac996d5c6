//! The publisher's thread.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Publisher;
use super::queue::PublishQueue;
use crate::audit::journal::Synced;
use crate::audit::status::availability::Availability;
use crate::audit::status::closed;
use crate::audit::status::{Cause, Unavailable};

/// An entry waits this long for others that then share its checkpoint: twice a second.
const GATHER: Duration = Duration::from_millis(450);
/// How often an idle publisher checks the published checkpoints.
const IDLE: Duration = Duration::from_secs(60);
/// The pause after an error.
const AGAIN: Duration = Duration::from_millis(500);

/// The writer's handle to the publisher.
#[derive(Debug)]
pub(crate) struct Publishing {
    queue: Arc<PublishQueue>,
    availability: Arc<Availability>,
    /// `None` once the thread owns it.
    publisher: Option<Publisher>,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    by_hand: Option<ByHand>,
}

impl Publishing {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            queue: Arc::default(),
            availability: Arc::clone(&publisher.availability),
            publisher: Some(publisher),
            thread: None,
            #[cfg(test)]
            by_hand: None,
        }
    }

    /// Queues a batch that is synced and has passed the integrity check.
    pub(crate) fn hand_over(&self, batch: Synced) {
        self.queue.batch(batch, &self.availability.lag);
    }

    /// Every intent below this index has an outcome among the queued entries.
    pub(crate) fn settled(&self, index: u64) {
        self.queue.settled(index);
    }

    /// Starts the thread; at a start, only once all queued entries are published.
    pub(crate) fn begin(&mut self, is_start: bool) -> Result<(), Unavailable> {
        let Some(mut publisher) = self.publisher.take() else {
            return Ok(());
        };
        if is_start {
            let queue = self.queue.take(Duration::ZERO, Duration::ZERO);
            publisher.take(queue.batches);
            publisher.settled(queue.settled);
            publisher.publish()?;
            self.queue.published(&self.availability.lag);
        }
        // Clears the error of an earlier publisher.
        self.availability.lag.publisher_error(None);
        let run = Run {
            works: true,
            publisher,
            queue: Arc::clone(&self.queue),
            availability: Arc::clone(&self.availability),
        };
        #[cfg(test)]
        if crate::audit::by_hand::is_wanted() {
            self.by_hand = Some(ByHand(run));
            return Ok(());
        }
        self.start(run)
    }

    /// Makes the thread publish the remaining entries, once, and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        self.queue.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing to report.
            let _ = thread.join();
        }
    }

    fn start(&mut self, mut run: Run) -> Result<(), Unavailable> {
        let thread = std::thread::Builder::new().name("audit-publisher".into());
        let spawned = thread.spawn(move || run.serve());
        self.thread = Some(spawned.map_err(|e| {
            closed(
                Cause::SyncFailed,
                format!("cannot start the publisher: {e}"),
            )
        })?);
        Ok(())
    }
}

/// The writer releases the lock after this drop, so the thread must have ended.
impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
struct Run {
    publisher: Publisher,
    queue: Arc<PublishQueue>,
    availability: Arc<Availability>,
    /// Whether the last attempt worked.
    works: bool,
}

impl Run {
    fn serve(&mut self) {
        loop {
            let queue = match self.works {
                true => self.queue.take(GATHER, IDLE),
                false => self.queue.take(AGAIN, AGAIN),
            };
            self.publisher.take(queue.batches);
            self.publisher.settled(queue.settled);
            self.works = self.publish();
            if queue.stop {
                return;
            }
        }
    }

    fn publish(&mut self) -> bool {
        let result = self.publisher.publish();
        let works = result.is_ok();
        self.availability.lag.publisher_error(result.err());
        if works {
            self.queue.published(&self.availability.lag);
        }
        works
    }
}

#[cfg(test)]
pub(crate) use by_hand::ByHand;

#[cfg(test)]
mod by_hand {
    use std::time::Duration;

    use super::{Publishing, Run};

    /// The publisher without a thread, for a test that decides when to publish.
    #[derive(Debug)]
    pub(crate) struct ByHand(pub(super) Run);

    impl ByHand {
        /// Publishes once, unless the publisher was stopped; returns whether that worked.
        pub(crate) fn publish(&mut self) -> bool {
            self.0.queue.has_stopped() || self.publish_the_rest()
        }

        /// Publishes the remaining entries, as the thread does at its end.
        pub(crate) fn publish_the_rest(&mut self) -> bool {
            let run = &mut self.0;
            let queue = run.queue.take(Duration::ZERO, Duration::ZERO);
            run.publisher.take(queue.batches);
            run.publisher.settled(queue.settled);
            run.publish()
        }
    }

    impl Publishing {
        pub(crate) fn by_hand(&mut self) -> Option<ByHand> {
            self.by_hand.take()
        }
    }
}
