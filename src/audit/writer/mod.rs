//! The writer: one thread that opens the trail, writes rounds of entries, and minds its troubles.

pub(crate) mod inbox;
pub(crate) mod ledger;
pub mod loss;
pub(crate) mod recover;
mod settings;
pub(crate) mod shared;
pub(crate) mod store;

mod desk;
mod halt;

pub use settings::Settings;
pub use shared::Held;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::disk::Disk;
use super::entry::{Kind, Started, Trouble};
use super::status::closed;
use super::status::{Cause, Closed};
use crate::clock::Time;
use crate::metrics::Metrics;
use desk::Desk;
use inbox::Work;
use shared::Shared;

/// How often a trail that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
/// While syncs fail each try may use up a segment, so the pauses grow up to this.
const SYNC_AGAIN_AT_MOST: Duration = Duration::from_secs(60);
/// As above for other causes, which may also be met behind the first write.
const OPEN_AGAIN_AT_MOST: Duration = Duration::from_secs(15);

/// What the thread is started with.
#[derive(Debug)]
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    settings: Settings,
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// Tells that the thread has ended, however it ended.
struct Stopping(watch::Sender<bool>, Arc<Shared>);

impl Drop for Stopping {
    fn drop(&mut self) {
        let gate = &self.1.gate;
        let now = gate.state().closed;
        if now.is_none_or(|closed| closed.cause == Cause::Recovering) {
            gate.close(closed(Cause::SyncFailed, "the trail has stopped"));
        }
        turn_away(&self.1, self.1.inbox.take_all_but_configs(), None);
        self.1.lets_go();
        self.0.send_replace(true);
    }
}

impl Writer {
    /// Starts the thread; what is given back turns true when it has ended.
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
            shared.gate.close(closed(Cause::SyncFailed, what));
        }
        stopped
    }

    fn run(&self) {
        let mut trouble: Option<(Cause, Time)> = None;
        let mut pause = OPEN_AGAIN;
        loop {
            match self.open(trouble) {
                Ok(mut desk) => {
                    self.shared.holds();
                    desk.serve();
                    return;
                }
                Err(found) => {
                    let since = self.shared.clock.now();
                    pause = next_pause(found.cause, pause);
                    trouble = trouble
                        .filter(|(cause, _)| *cause == found.cause)
                        .or(Some((found.cause, since)));
                    self.shared.gate.close(found);
                }
            }
            if self.wait_closed(pause) {
                return;
            }
        }
    }

    /// Waits to try again, turning away what comes; true where it was told to stop.
    fn wait_closed(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let closed = self.shared.gate.closed();
            let work = self.shared.inbox.take_all_but_configs();
            let stop = work.stop;
            turn_away(&self.shared, work, closed.as_ref());
            let left = until.saturating_duration_since(Instant::now());
            if stop || left.is_zero() {
                return stop;
            }
            self.shared.inbox.pause(left);
        }
    }

    fn open(&self, trouble: Option<(Cause, Time)>) -> Result<Desk, Closed> {
        let shared = &self.shared;
        let (gate, clock) = (&shared.gate, &shared.clock);
        let (store, mut ledger) =
            recover::open(&self.disk, &self.settings, clock, gate, &self.metrics, None)?;
        let recovered = ledger.close_after_crash();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        ledger.note(&Kind::Started(Started { version, recovered }));
        let refused = trouble.map_or(0, |_| gate.take_refused());
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
        let mut desk = Desk::new(Arc::clone(shared), store, ledger, &self.settings);
        // What could not be told is told by the next one that opens.
        desk.begin()
            .inspect_err(|_| gate.give_back_refused(refused))?;
        Ok(desk)
    }
}

/// How long the next try of an opening that failed for this cause waits.
fn next_pause(cause: Cause, pause: Duration) -> Duration {
    let at_most = match cause {
        // Met before anything is written.
        Cause::Locked | Cause::KeyUnusable | Cause::RolledBack | Cause::Damaged => OPEN_AGAIN,
        Cause::SyncFailed | Cause::SyncLate => SYNC_AGAIN_AT_MOST,
        _ => OPEN_AGAIN_AT_MOST,
    };
    at_most.min(pause * 2)
}

/// Answers what came while the trail is closed and knows of no open intent.
fn turn_away(shared: &Shared, work: Work, why: Option<&Closed>) {
    let stopped = || closed(Cause::SyncFailed, "the trail has stopped");
    for intent in work.intents {
        let why = why.cloned().unwrap_or_else(stopped);
        // A waiter that is gone needs no answer.
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
        shared.gate.count_refused();
    }
}

#[cfg(test)]
mod tests;
