//! The writer is one thread. It opens the log and runs the commit loop. If the loop fails, the writer
//! opens the log again.
//!
//! 1. `write_queue` holds the work that callers hand in;
//! 2. `commit_loop` writes the work in batches, syncs each batch and answers the callers; `upkeep` is
//!    the loop's work between batches;
//! 3. [`composer`] gives entries their indexes and closes intents; `open_intents` knows which intents
//!    are open;
//! 4. [`store`] is the open log: one write and one sync for each batch;
//! 5. `outage` begins when a write, a sync or a check fails, and refuses work until the log is open
//!    again; `incident` records in the trail when deletions are refused, and why;
//! 6. [`open`] opens the log, at a start, after a crash and after an outage;
//! 7. [`accept_loss`] abandons a log that cannot be opened; [`preflight`] finds why an opening would fail.

pub(crate) mod accept_loss;
pub(crate) mod composer;
pub(crate) mod open;
pub(crate) mod preflight;
mod settings;
pub(crate) mod shared;
pub(crate) mod store;
pub(crate) mod write_queue;

mod commit_loop;
mod incident;
mod open_intents;
mod outage;
mod upkeep;

pub use settings::Settings;
pub use shared::Held;
use std::sync::Arc;

use tokio::sync::watch;

use super::disk::Disk;
use super::entry::{Kind, Started};
use super::status::{Cause, Unavailable, closed};
use crate::metrics::Metrics;
use commit_loop::CommitLoop;
use outage::Outage;
use shared::Shared;

/// The parts that the writer's thread needs to open a log.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) settings: Settings,
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Metrics,
}

/// When dropped, tells the handles that the writer's thread has ended, even after a panic.
struct Stopping(watch::Sender<bool>, Arc<Shared>);

impl Drop for Stopping {
    fn drop(&mut self) {
        let availability = &self.1.availability;
        let now = availability.state().closed;
        let stopped = closed(Cause::SyncFailed, "the trail has stopped");
        if now.is_none_or(|closed| closed.cause == Cause::Recovering) {
            match std::thread::panicking() {
                true => availability.close(stopped.clone()),
                false => availability.stop(stopped.clone()),
            }
        }
        let work = self.1.queue.take_all_but_configs();
        // A dropped closing tells its caller that the outcome is not confirmed.
        drop(work.refuse(availability, &stopped));
        self.1.lets_go();
        self.0.send_replace(true);
    }
}

impl Writer {
    /// Starts the thread. The returned receiver turns `true` when the thread has ended.
    pub(crate) fn start(self) -> watch::Receiver<bool> {
        let (sender, stopped) = watch::channel(false);
        let shared = Arc::clone(&self.shared);
        let stopping = Stopping(sender, Arc::clone(&shared));
        let run = move || {
            let _stopping = stopping;
            self.run();
        };
        let thread = std::thread::Builder::new().name("audit-writer".into());
        if let Err(error) = thread.spawn(run) {
            let what = format!("cannot start the writer's thread: {error}");
            shared.availability.close(closed(Cause::SyncFailed, what));
        }
        stopped
    }

    fn run(&self) {
        let mut outage = Outage::at_start();
        while let Some(mut commit_loop) = outage.end(self) {
            match commit_loop.run() {
                None => return,
                Some(found) => outage = Outage::of(commit_loop, found),
            }
        }
    }

    /// Opens the log at a start. Composes an outcome for each intent that a crash left open, and the
    /// entry `started`.
    fn open(&self) -> Result<CommitLoop, Unavailable> {
        let (store, mut composer) = open::open(self, None)?;
        let recovered = composer.close_after_crash();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        composer.note(&Kind::Started(Started { version, recovered }));
        let shared = Arc::clone(&self.shared);
        let mut commit_loop = CommitLoop::new(shared, store, composer, self.settings.heartbeat);
        commit_loop.recovered = recovered;
        Ok(commit_loop)
    }
}

#[cfg(test)]
mod tests;
