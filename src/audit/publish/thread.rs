//! The publisher's thread: when it publishes, and what it says when it cannot.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Publisher;
use super::queue::PublishQueue;
use crate::audit::journal::Synced;
use crate::audit::status::availability::Availability;
use crate::audit::status::closed;
use crate::audit::status::{Cause, Unavailable};

/// An entry waits so long for others, which then share its checkpoint: twice a second.
const GATHER: Duration = Duration::from_millis(450);
/// How often what is published is looked at while nothing comes.
const IDLE: Duration = Duration::from_secs(60);
/// How long it waits after what it met.
const AGAIN: Duration = Duration::from_millis(500);

/// The writer's end of the publisher.
#[derive(Debug)]
pub(crate) struct Publishing {
    handover: Arc<PublishQueue>,
    availability: Arc<Availability>,
    /// Until the thread has it.
    publisher: Option<Publisher>,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    by_hand: Option<ByHand>,
}

impl Publishing {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            handover: Arc::default(),
            availability: Arc::clone(&publisher.availability),
            publisher: Some(publisher),
            thread: None,
            #[cfg(test)]
            by_hand: None,
        }
    }

    /// Hands over a batch that is synced and found in order.
    pub(crate) fn hand_over(&self, batch: Synced) {
        self.handover.batch(batch, &self.availability.lag);
    }

    /// Every intent below this index is closed by an entry that was handed over.
    pub(crate) fn settled(&self, index: u64) {
        self.handover.settled(index);
    }

    /// Publishes what was handed over so far, then leaves the rest to a thread.
    pub(crate) fn begin(&mut self) -> Result<(), Unavailable> {
        let Some(mut publisher) = self.publisher.take() else {
            return Ok(());
        };
        let queue = self.handover.take(Duration::ZERO, Duration::ZERO);
        publisher.take(queue.batches);
        publisher.settled(queue.settled);
        publisher.publish()?;
        self.handover.published(&self.availability.lag);
        // Of what another met before this one, nothing is left.
        self.availability.lag.met(None);
        let run = Run {
            works: true,
            publisher,
            handover: Arc::clone(&self.handover),
            availability: Arc::clone(&self.availability),
        };
        #[cfg(test)]
        if crate::audit::by_hand::is_wanted() {
            self.by_hand = Some(ByHand(run));
            return Ok(());
        }
        self.start(run)
    }

    /// Publishes what is left, once, and waits until that is done or has failed.
    pub(crate) fn stop(&mut self) {
        self.handover.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has published nothing since.
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

/// The lock is given back after this, so it must not be dropped while the thread writes.
impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
struct Run {
    publisher: Publisher,
    handover: Arc<PublishQueue>,
    availability: Arc<Availability>,
    /// Whether it worked the last time.
    works: bool,
}

impl Run {
    fn serve(&mut self) {
        loop {
            let queue = match self.works {
                true => self.handover.take(GATHER, IDLE),
                false => self.handover.take(AGAIN, AGAIN),
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
        self.availability.lag.met(result.err());
        if works {
            self.handover.published(&self.availability.lag);
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

    /// The publisher without a thread, so that a test says when it publishes.
    #[derive(Debug)]
    pub(crate) struct ByHand(pub(super) Run);

    impl ByHand {
        /// What the thread does at a time, unless it has ended; says whether that worked.
        pub(crate) fn publish(&mut self) -> bool {
            self.0.handover.has_stopped() || self.publish_the_rest()
        }

        /// What it does at its end.
        pub(crate) fn publish_the_rest(&mut self) -> bool {
            let run = &mut self.0;
            let queue = run.handover.take(Duration::ZERO, Duration::ZERO);
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
