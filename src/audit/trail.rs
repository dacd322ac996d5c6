//! The trail as the rest of the program sees it: hand an entry in, learn when it is durable.

use super::status::{State, Unavailable};
use super::writer::shared::{DurableIntent, Shared};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Receipt;
use super::disk::{Disk, RealDisk};
use super::entry::compose;
use super::entry::unknown;
use super::entry::{ConfigInForce, Ending, Intent, Kind, Reason, Refused};
use super::status::Cause;
use super::status::closed;
use super::writer::Settings;
use super::writer::Writer;
use super::writer::write_queue::NewIntent;
use crate::clock::Clock;
use crate::metrics::Metrics;

mod commands;

/// The trail; cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct Trail {
    owner: Arc<Owner>,
}

/// Stops the writer when the last clone is gone.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
    timeout: Duration,
}

/// The outcome could not be put on record in time; it is kept and written when a sync works again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The cause.
    pub cause: Cause,
    /// Receipt of the intent.
    pub receipt: Receipt,
}

/// An intent on stable storage that is not closed yet; dropped without [`OpenIntent::close`] it is
/// closed as `unknown`, `internal`.
#[derive(Debug)]
pub struct OpenIntent {
    granted: DurableIntent,
    timeout: Duration,
}

impl OpenIntent {
    /// Index of the (first) intent.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.granted.index
    }

    /// Writes the outcome and waits until it is durable, at most `sync_timeout`.
    ///
    /// # Errors
    /// Where it is not on record in time.
    pub async fn close(mut self, ending: Ending) -> Result<Receipt, Unconfirmed> {
        let (sender, mut answer) = oneshot::channel();
        self.granted.on_drop = None;
        self.granted.hand_in(ending, Some(sender));
        let result = match tokio::time::timeout(self.timeout, &mut answer).await {
            Ok(result) => result.unwrap_or(Err(Cause::SyncFailed)),
            Err(_) => late(&mut answer).unwrap_or_else(|| Err(self.cause_of_lateness())),
        };
        let granted = &self.granted;
        let leaf = *result.as_ref().unwrap_or(&granted.leaf);
        let receipt = Receipt::sign(&granted.key, granted.index, &leaf);
        match result {
            Ok(_) => Ok(receipt),
            Err(cause) => Err(Unconfirmed { cause, receipt }),
        }
    }

    fn cause_of_lateness(&self) -> Cause {
        let closed = self.granted.shared.availability.closed();
        closed.map_or(Cause::SyncLate, |closed| closed.cause)
    }
}

impl Trail {
    /// Starts the writer; the folder is opened, recovered and read in its thread, so this never waits
    /// and never fails: what is wrong shows in [`Trail::state`], and is tried again as product.md §5 says.
    #[must_use]
    pub fn open(settings: Settings, clock: Clock, metrics: Metrics) -> Self {
        Self::open_on(Arc::new(RealDisk), settings, clock, metrics)
    }

    /// As [`Self::open`], on any disk.
    #[must_use]
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let timeout = settings.sync_timeout;
        let shared = Shared::new(&settings, clock, &metrics);
        let stopped = Writer::start(disk, settings, Arc::clone(&shared), metrics);
        Self::of(shared, stopped, timeout)
    }

    /// A trail whose writer is somebody else's affair.
    fn of(shared: Arc<Shared>, stopped: watch::Receiver<bool>, timeout: Duration) -> Self {
        Self {
            owner: Arc::new(Owner {
                shared,
                stopped,
                timeout,
            }),
        }
    }

    /// Puts a deletion on record (split where one entry is too small) and waits until it is durable.
    /// `intent.users` holds all users; `group`, `part` and `parts` are set here; texts are cut here.
    ///
    /// # Errors
    /// Where it is not durable in `sync_timeout`: nothing may be sent then. Dropping the future after
    /// the intent was handed in closes it as `failed`, `sent: no`.
    pub async fn begin(&self, intent: Intent) -> Result<OpenIntent, Unavailable> {
        let availability = &self.shared().availability;
        availability.pass()?;
        let result = self.hand_in(intent).await;
        if let Err(closed) = &result {
            availability.count(closed.cause);
        }
        result
    }

    async fn hand_in(&self, intent: Intent) -> Result<OpenIntent, Unavailable> {
        let parts = compose::intents(intent);
        let request_id = parts.first().map(|p| p.request_id.clone());
        let bodies = parts.into_iter().map(|p| compose::body(&Kind::Intent(p)));
        let (sender, mut answer) = oneshot::channel();
        let new = NewIntent {
            request_id: request_id.unwrap_or_default(),
            bodies: bodies.collect(),
            answer: sender,
        };
        if !self.shared().queue.intent(new) {
            return Err(closed(
                Cause::SyncLate,
                "too many deletions wait for the disk",
            ));
        }
        let timeout = self.owner.timeout;
        let result = match tokio::time::timeout(timeout, &mut answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(closed(Cause::SyncFailed, "the trail has stopped")),
            // The writer finds nobody waiting and closes the intent, if it has written it.
            Err(_) => late(&mut answer).unwrap_or_else(|| {
                let what = "the record was not durable in `sync_timeout`";
                let now = self.shared().availability.closed();
                Err(now.unwrap_or_else(|| closed(Cause::SyncLate, what)))
            }),
        };
        let mut granted = result?;
        granted.on_drop = Some(unknown(Reason::Internal));
        Ok(OpenIntent { granted, timeout })
    }

    /// Records a known caller's refused deletion; never waits; floods are summed up.
    pub fn refused(&self, mut refused: Refused) {
        let shared = self.shared();
        if shared.availability.closed().is_some() {
            shared.availability.count_refused();
            return;
        }
        compose::refused(&mut refused);
        let time = shared.clock.now();
        let mut floods = shared.floods();
        if floods.admits(&refused.caller, &refused.code, Instant::now(), time) {
            drop(floods);
            let (caller, code) = (refused.caller.clone(), refused.code.clone());
            let body = compose::body(&Kind::Refused(refused));
            if !shared.queue.refused(body) {
                shared.floods().sum_up(&caller, &code, time);
            }
        }
    }

    /// Counts an attempt at a deletion by a caller who is not known, by refusal code.
    pub fn turned_away(&self, code: &'static str) {
        let shared = self.shared();
        shared.floods().unknown(code, shared.clock.now());
    }

    /// Tells the config in force; it is written before the first intent that names its hash.
    pub fn config(&self, config: ConfigInForce) {
        self.shared().queue.config(config);
    }

    /// How it is now; cheap, takes no lock that a sync holds.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared().availability.state()
    }

    /// Waits until the trail has been opened or found closed for a cause other than `recovering`.
    pub async fn opened(&self) {
        self.shared().availability.settled().await;
    }

    /// Writes what is summed up and `stopped`, gives the lock back. Blocks at most `sync_timeout`.
    pub async fn stop(&self) {
        self.shared().queue.stop();
        let mut stopped = self.owner.stopped.clone();
        // A writer that hangs is left behind: the next start closes what it left open.
        let _ = tokio::time::timeout(self.owner.timeout, stopped.wait_for(|s| *s)).await;
    }

    /// A trail without a writer's thread: whoever made it writes by hand.
    #[cfg(test)]
    pub(crate) fn by_hand(settings: &Settings, clock: Clock, metrics: &Metrics) -> Self {
        let (_, stopped) = watch::channel(false);
        let shared = Shared::new(settings, clock, metrics);
        Self::of(shared, stopped, settings.sync_timeout)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.queue.stop();
    }
}

/// Gives up waiting: an answer that came in the last moment still counts, and from here on the
/// writer sees that nobody waits.
fn late<T>(answer: &mut oneshot::Receiver<T>) -> Option<T> {
    answer.close();
    answer.try_recv().ok()
}

#[cfg(test)]
pub(crate) mod tests;
