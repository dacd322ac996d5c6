//! The trail's interface for the rest of the program: the caller hands in an entry, and learns when
//! the entry is durable.

use super::writer::shared::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Receipt;
use super::disk::{Disk, RealDisk};
use super::entry::{ConfigInForce, Ending, Intent, Kind, Reason, Refused, compose, unknown};
use super::status::{Cause, State, Unavailable, closed};
use super::writer::write_queue::{DurableIntent, NewIntent};
use super::writer::{Settings, Writer};
use crate::clock::Clock;
use crate::metrics::Metrics;

mod commands;

/// A handle to the trail; cheap to clone.
#[derive(Clone, Debug)]
pub struct Trail {
    owner: Arc<Owner>,
}

/// Stops the writer when the caller drops the last clone of the [`Trail`].
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
    timeout: Duration,
}

/// The outcome of a deletion was not durable in time. The writer keeps the outcome and writes it
/// when a sync succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// Why the outcome was not durable in time.
    pub cause: Cause,
    /// A receipt for the deletion, with the leaf hash of the intent.
    pub receipt: Receipt,
}

/// A durable intent without an outcome. If the caller drops this value without calling
/// [`OpenIntent::close`], the writer closes the intent as `unknown` with the reason `internal`.
#[derive(Debug)]
pub struct OpenIntent {
    intent: DurableIntent,
    shared: Arc<Shared>,
    timeout: Duration,
}

impl OpenIntent {
    /// The index of the intent. If the intent was split, the index of its first part.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.intent.index
    }

    /// Writes the outcome and waits until the outcome is durable, but at most `sync_timeout`.
    ///
    /// # Errors
    /// If the outcome is not durable in time.
    pub async fn close(mut self, ending: Ending) -> Result<Receipt, Unconfirmed> {
        let (sender, mut answer) = oneshot::channel();
        self.intent.on_drop = None;
        self.intent.hand_in(ending, Some(sender));
        let result = match tokio::time::timeout(self.timeout, &mut answer).await {
            Ok(result) => result.unwrap_or(Err(Cause::SyncFailed)),
            Err(_) => late(&mut answer).unwrap_or_else(|| Err(self.cause_of_lateness())),
        };
        let intent = &self.intent;
        let leaf = *result.as_ref().unwrap_or(&intent.leaf);
        let receipt = Receipt::sign(&intent.key, intent.index, &leaf);
        match result {
            Ok(_) => Ok(receipt),
            Err(cause) => Err(Unconfirmed { cause, receipt }),
        }
    }

    fn cause_of_lateness(&self) -> Cause {
        self.shared.availability.tell();
        let closed = self.shared.availability.closed();
        closed.map_or(Cause::SyncLate, |closed| closed.cause)
    }
}

impl Trail {
    /// Starts the writer and returns at once. The writer's thread then opens, reads and recovers
    /// the folder. If that fails, [`Trail::state`] shows the cause, and the writer tries again if
    /// the cause can end by itself.
    #[must_use]
    pub fn open(settings: Settings, clock: Clock, metrics: Metrics) -> Self {
        Self::open_on(Arc::new(RealDisk), settings, clock, metrics)
    }

    /// Like [`Self::open`], but on any [`Disk`].
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let timeout = settings.sync_timeout;
        let shared = Shared::new(&settings, clock, &metrics);
        let writer = Writer {
            disk,
            settings,
            shared: Arc::clone(&shared),
            metrics,
        };
        let stopped = writer.start();
        Self::of(shared, stopped, timeout)
    }

    /// Makes a handle without starting a writer. The caller runs the writer.
    fn of(shared: Arc<Shared>, stopped: watch::Receiver<bool>, timeout: Duration) -> Self {
        Self {
            owner: Arc::new(Owner {
                shared,
                stopped,
                timeout,
            }),
        }
    }

    /// Writes the intent of a deletion and waits until the intent is durable. If the intent does
    /// not fit into one entry, splits it over several. The caller puts all users into
    /// `intent.users`. This function sets `group`, `part` and `parts`, and truncates long texts.
    ///
    /// # Errors
    /// If the trail refuses deletions, or the intent is not durable within `sync_timeout`. The
    /// caller must then send nothing to the origin. If the caller drops the future, the writer
    /// discards an intent that is still queued, and closes an intent that is already written as
    /// `failed`, `sent: no`.
    pub async fn begin(&self, intent: Intent) -> Result<OpenIntent, Unavailable> {
        let availability = &self.shared().availability;
        availability.pass()?;
        let result = self.hand_in(intent).await;
        if let Err(closed) = &result {
            availability.refuses(closed);
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
            // If the writer has written the intent, it finds that nobody waits and closes the
            // intent.
            Err(_) => late(&mut answer).unwrap_or_else(|| {
                let what = "the record was not durable in `sync_timeout`";
                let now = self.shared().availability.closed();
                Err(now.unwrap_or_else(|| closed(Cause::SyncLate, what)))
            }),
        };
        let mut intent = result?;
        intent.on_drop = Some(unknown(Reason::Internal));
        let shared = Arc::clone(self.shared());
        Ok(OpenIntent {
            intent,
            shared,
            timeout,
        })
    }

    /// Records the refused deletion of a known caller. Never waits. Refusals past the rate limit
    /// get no entry of their own: a later entry gives their number.
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

    /// Counts a deletion attempt by an unknown caller, under its refusal code.
    pub fn turned_away(&self, code: &'static str) {
        let shared = self.shared();
        shared.floods().unknown(code, shared.clock.now());
    }

    /// Sets the config in force. The writer records this config before the first intent that names
    /// the config's hash.
    pub fn config(&self, config: ConfigInForce) {
        self.shared().queue.config(config);
    }

    /// The trail's current state. The call is cheap and never waits for a sync.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared().availability.state()
    }

    /// Waits until the writer has opened the trail, or until the trail refuses deletions for a
    /// cause other than `recovering`.
    pub async fn opened(&self) {
        self.shared().availability.settled().await;
    }

    /// Tells the writer to stop, and waits for it at most `sync_timeout`. Before the writer ends,
    /// it records the counted refusals and a `stopped` entry, and releases its lock on the audit
    /// folder.
    pub async fn stop(&self) {
        self.shared().queue.stop();
        let mut stopped = self.owner.stopped.clone();
        // If the writer hangs, its open intents stay open. The next start closes them.
        let _ = tokio::time::timeout(self.owner.timeout, stopped.wait_for(|s| *s)).await;
    }

    /// A trail without a writer's thread: the test runs the writer.
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

/// Stops waiting: closes the channel, so that the writer finds that nobody waits. Returns the
/// answer if it arrived before the channel was closed.
fn late<T>(answer: &mut oneshot::Receiver<T>) -> Option<T> {
    answer.close();
    answer.try_recv().ok()
}

#[cfg(test)]
pub(crate) mod tests;
