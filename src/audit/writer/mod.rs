//! The writer: one thread that opens the trail and runs the commit loop.

pub(crate) mod accept_loss;
pub(crate) mod ledger;
pub(crate) mod open;
mod settings;
pub(crate) mod shared;
pub(crate) mod store;
pub(crate) mod write_queue;

mod commit_loop;
mod outage;
mod retry;

pub use settings::Settings;
pub use shared::Held;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::disk::Disk;
use super::entry::{Kind, Started, Trouble};
use super::status::closed;
use super::status::{Cause, Unavailable};
use crate::clock::Time;
use crate::metrics::Metrics;
use commit_loop::CommitLoop;
use shared::Shared;
use write_queue::Work;

/// The first pause after the trail did not open.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
/// The longest pause after a failed sync: each try may use up a segment.
const SYNC_AGAIN_AT_MOST: Duration = Duration::from_secs(60);
/// The longest pause after another cause that can come after the first write.
const OPEN_AGAIN_AT_MOST: Duration = Duration::from_secs(15);

/// The parts that the thread starts with.
#[derive(Debug)]
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    settings: Settings,
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// Tells the handles that the thread has ended, also after a panic.
struct Stopping(watch::Sender<bool>, Arc<Shared>);

impl Drop for Stopping {
    fn drop(&mut self) {
        let availability = &self.1.availability;
        let now = availability.state().closed;
        if now.is_none_or(|closed| closed.cause == Cause::Recovering) {
            availability.close(closed(Cause::SyncFailed, "the trail has stopped"));
        }
        turn_away(&self.1, self.1.queue.take_all_but_configs(), None);
        self.1.lets_go();
        self.0.send_replace(true);
    }
}

impl Writer {
    /// Starts the thread. The receiver turns `true` when the thread has ended.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        settings: Settings,
        shared: Arc<Shared>,
        metrics: Metrics,
    ) -> watch::Receiver<bool> {
        let (sender, stopped) = watch::channel(false);
        let writer = Self {
            disk,
            settings,
            shared: Arc::clone(&shared),
            metrics,
        };
        let stopping = Stopping(sender, Arc::clone(&shared));
        let run = move || {
            let _stopping = stopping;
            writer.run();
        };
        let thread = std::thread::Builder::new().name("audit-writer".into());
        if let Err(error) = thread.spawn(run) {
            let what = format!("cannot start the writer's thread: {error}");
            shared.availability.close(closed(Cause::SyncFailed, what));
        }
        stopped
    }

    fn run(&self) {
        let mut trouble: Option<(Cause, Time)> = None;
        let mut pause = OPEN_AGAIN;
        loop {
            match self.open(trouble) {
                Ok(mut commit_loop) => {
                    self.shared.holds();
                    commit_loop.serve();
                    return;
                }
                Err(found) => {
                    let since = self.shared.clock.now();
                    pause = next_pause(found.cause, pause);
                    trouble = trouble
                        .filter(|(cause, _)| *cause == found.cause)
                        .or(Some((found.cause, since)));
                    self.shared.availability.close(found);
                }
            }
            if self.wait_closed(pause) {
                return;
            }
        }
    }

    /// Refuses all work until the pause is over. Returns `true` if the writer must stop.
    fn wait_closed(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let closed = self.shared.availability.closed();
            let work = self.shared.queue.take_all_but_configs();
            let stop = work.stop;
            turn_away(&self.shared, work, closed.as_ref());
            let left = until.saturating_duration_since(Instant::now());
            if stop || left.is_zero() {
                return stop;
            }
            self.shared.queue.pause(left);
        }
    }

    fn open(&self, trouble: Option<(Cause, Time)>) -> Result<CommitLoop, Unavailable> {
        let shared = &self.shared;
        let (availability, clock) = (&shared.availability, &shared.clock);
        let (store, mut ledger) = open::open(
            &self.disk,
            &self.settings,
            clock,
            availability,
            &self.metrics,
            None,
        )?;
        let recovered = ledger.close_after_crash();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        ledger.note(&Kind::Started(Started { version, recovered }));
        let refused = trouble.map_or(0, |_| availability.take_refused());
        if let Some((cause, since)) = trouble {
            let ended = Trouble {
                cause: cause.as_str().to_owned(),
                state: "ended".into(),
                since: since.to_string(),
                refused,
                detail: "the trail was opened after this".into(),
            };
            ledger.note(&Kind::Trouble(ended));
        }
        let mut commit_loop = CommitLoop::new(Arc::clone(shared), store, ledger, &self.settings);
        // The next opening records the refusals that this one could not.
        commit_loop
            .begin()
            .inspect_err(|_| availability.give_back_refused(refused))?;
        Ok(commit_loop)
    }
}

/// The pause before the next opening, by the cause of the failed one.
fn next_pause(cause: Cause, pause: Duration) -> Duration {
    let at_most = match cause {
        // These come before the first write.
        Cause::Locked | Cause::KeyUnusable | Cause::RolledBack | Cause::Damaged => OPEN_AGAIN,
        Cause::SyncFailed | Cause::SyncLate => SYNC_AGAIN_AT_MOST,
        _ => OPEN_AGAIN_AT_MOST,
    };
    at_most.min(pause * 2)
}

/// Refuses the work that came while no log is open.
fn turn_away(shared: &Shared, work: Work, why: Option<&Unavailable>) {
    let stopped = || closed(Cause::SyncFailed, "the trail has stopped");
    for intent in work.intents {
        let why = why.cloned().unwrap_or_else(stopped);
        // The waiter may be gone.
        let _ = intent.answer.send(Err(why));
    }
    for note in work.notes {
        let why = why.cloned().unwrap_or_else(stopped);
        let _ = note.answer.send(Err(why));
    }
    for closing in work.closings {
        if let Some(answer) = closing.answer {
            let cause = why.map_or(Cause::SyncFailed, |c| c.cause);
            let _ = answer.send(Err(cause));
        }
    }
    for _ in work.refused {
        shared.availability.count_refused();
    }
}

#[cfg(test)]
mod tests;
