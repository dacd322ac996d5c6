//! The trail's interface for the rest of the program: hand in an entry, learn when it is durable.

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

/// Stops the writer when the last clone is dropped.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
    timeout: Duration,
}

/// The outcome was not durable in time. The writer keeps it and writes it when a sync succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The cause.
    pub cause: Cause,
    /// The receipt of the intent.
    pub receipt: Receipt,
}

/// A durable intent without an outcome. If it is dropped without [`OpenIntent::close`], the writer
/// closes it as `unknown`, `internal`.
#[derive(Debug)]
pub struct OpenIntent {
    intent: DurableIntent,
    shared: Arc<Shared>,
    timeout: Duration,
}

impl OpenIntent {
    /// The index of the (first) intent.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.intent.index
    }

    /// Writes the outcome and waits until it is durable, at most `sync_timeout`.
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
    /// Starts the writer. Its thread opens, recovers and reads the folder, so this neither waits
    /// nor fails. [`Trail::state`] shows a fault, and the writer tries again if the cause can end
    /// by itself.
    #[must_use]
    pub fn open(settings: Settings, clock: Clock, metrics: Metrics) -> Self {
        Self::open_on(Arc::new(RealDisk), settings, clock, metrics)
    }

    /// [`Self::open`] on any disk.
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

    /// A trail without a writer; the caller runs one.
    fn of(shared: Arc<Shared>, stopped: watch::Receiver<bool>, timeout: Duration) -> Self {
        Self {
            owner: Arc::new(Owner {
                shared,
                stopped,
                timeout,
            }),
        }
    }

    /// Writes the intent of a deletion, split if one entry is too small, and waits until it is
    /// durable. `intent.users` holds all users; this function sets `group`, `part` and `parts` and
    /// cuts long texts.
    ///
    /// # Errors
    /// If the intent is not durable within `sync_timeout`; the caller must send nothing then. If
    /// the caller drops the future after the hand-in, the writer closes the intent as `failed`,
    /// `sent: no`.
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
            // The writer sees that nobody waits and closes the intent, if it has written it.
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

    /// Records a known caller's refused deletion. Never waits; sums up refusals past the rate
    /// limit.
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

    /// Counts an attempt at a deletion by an unknown caller, by refusal code.
    pub fn turned_away(&self, code: &'static str) {
        let shared = self.shared();
        shared.floods().unknown(code, shared.clock.now());
    }

    /// Sets the config in force; the writer records it before the first intent that names its hash.
    pub fn config(&self, config: ConfigInForce) {
        self.shared().queue.config(config);
    }

    /// The present state; cheap, and takes no lock that a sync holds.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared().availability.state()
    }

    /// Waits until the writer has opened the trail, or refuses deletions for a cause other than
    /// `recovering`.
    pub async fn opened(&self) {
        self.shared().availability.settled().await;
    }

    /// Writes the summed refusals and `stopped`, and releases the lock. Waits at most
    /// `sync_timeout`.
    pub async fn stop(&self) {
        self.shared().queue.stop();
        let mut stopped = self.owner.stopped.clone();
        // If the writer hangs, this leaves it; the next start closes the open intents.
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

/// Stops waiting. An answer that came at the last moment still counts; after this the writer sees
/// that nobody waits.
fn late<T>(answer: &mut oneshot::Receiver<T>) -> Option<T> {
    answer.close();
    answer.try_recv().ok()
}

#[cfg(test)]
pub(crate) mod tests;
