//! The commit loop: it writes everything that waits as one batch, syncs it, and answers the waiters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::outage::Outage;
use crate::audit::entry::Kind;
use crate::audit::entry::not_sent;
use crate::audit::log::merkle::Hash;
use crate::audit::status::closed;
use crate::audit::status::{Cause, Unavailable};
use crate::audit::writer::Settings;
use crate::audit::writer::ledger::Ledger;
use crate::audit::writer::shared::Shared;
use crate::audit::writer::store::Store;
use crate::audit::writer::write_queue::{Closing, DurableIntent, NewIntent, NewNote, Work};

/// The bytes of one round at most: the bound of a batch, less the error of the estimates.
pub(super) const ROUND_BYTES: usize = 880 << 10;
/// The time between two rounds if nothing comes.
const IDLE: Duration = Duration::from_millis(400);
const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// An open trail and the callers that wait for it.
#[derive(Debug)]
pub(super) struct CommitLoop {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Store,
    pub(super) ledger: Ledger,
    /// Why the loop cannot write now.
    pub(super) outage: Option<Outage>,
    /// Why the publisher is late. The loop still closes open intents, and takes no new ones.
    pub(super) no_checkpoint: Option<Outage>,
    /// Why there is no spare segment. The loop still closes open intents, and takes no new ones.
    pub(super) no_spare: Option<Outage>,
    waiters: Vec<Waiter>,
    /// The time of the last summary of refusals.
    summed_up: Instant,
    /// The time of the last batch.
    written: Instant,
    heartbeat: Duration,
    pub(super) settings: Settings,
    /// The time of the last integrity check between batches.
    judged: Instant,
}

#[derive(Debug)]
enum Waiter {
    Intent {
        first: u64,
        leaf: Hash,
        /// The index of its last part.
        last: u64,
        answer: oneshot::Sender<Result<DurableIntent, Unavailable>>,
    },
    Outcome {
        index: u64,
        leaf: Hash,
        answer: oneshot::Sender<Result<Hash, Cause>>,
    },
    Note {
        first: u64,
        /// The index of its last entry.
        last: u64,
        answer: oneshot::Sender<Result<u64, Unavailable>>,
    },
}

impl CommitLoop {
    pub(super) fn new(
        shared: Arc<Shared>,
        store: Store,
        ledger: Ledger,
        settings: &Settings,
    ) -> Self {
        Self {
            shared,
            store,
            ledger,
            outage: None,
            no_checkpoint: None,
            no_spare: None,
            waiters: Vec::new(),
            summed_up: Instant::now(),
            written: Instant::now(),
            heartbeat: settings.heartbeat,
            settings: settings.clone(),
            judged: Instant::now(),
        }
    }

    /// Writes the entries that recovery composed, then takes deletions. A thread makes the spare meanwhile.
    pub(super) fn begin(&mut self) -> Result<(), Unavailable> {
        let configs = self.shared.queue.take_configs();
        for config in &configs {
            self.ledger.note(&Kind::Config(config.clone()));
        }
        if let Err(failed) = self.store.flush(&mut self.ledger.pending) {
            // This loop ends with its entries; the next one begins with the configs.
            self.shared.queue.give_back_configs(configs);
            return Err(failed.found);
        }
        self.show();
        self.tell_settled();
        self.store.begin()?;
        self.shared.availability.open();
        Ok(())
    }

    /// Runs until [`WriteQueue::stop`](super::write_queue::WriteQueue::stop).
    pub(super) fn serve(&mut self) {
        loop {
            let work = if self.outage.is_some() {
                self.serve_halted()
            } else {
                self.shared.queue.take(ROUND_BYTES, IDLE)
            };
            let stop = work.stop && work.is_empty();
            self.round(work);
            if stop {
                self.stop();
                return;
            }
            self.tend_integrity();
            // In an outage each try would use up a spare.
            if self.outage.is_none() {
                self.tend_spare();
                self.tend_publisher();
                self.tend_time();
            }
        }
    }

    /// Composes the entries of a round and writes them.
    pub(super) fn round(&mut self, work: Work) {
        for config in work.configs {
            self.ledger.note(&Kind::Config(config));
        }
        for intent in work.intents {
            self.take_intent(intent);
        }
        for closing in work.closings {
            self.take_closing(closing);
        }
        for body in work.refused {
            self.ledger.push(&body);
        }
        for note in work.notes {
            self.take_note(note);
        }
        if self.outage.is_none() && !self.ledger.pending.is_empty() {
            self.settle();
        }
        self.show();
    }

    /// Writes and syncs the composed entries, and answers their waiters.
    pub(super) fn settle(&mut self) {
        let result = self.store.flush(&mut self.ledger.pending);
        self.written = Instant::now();
        self.tell_settled();
        match result {
            Ok(false) => self.answer(None, false),
            Ok(true) => self.late(),
            Err(failed) => self.failed(failed),
        }
    }

    /// Answers all waiters: `Ok` if their entries are durable, else `found`. If the disk was late, no
    /// intent gets `Ok`.
    pub(super) fn answer(&mut self, found: Option<&Unavailable>, late: bool) {
        let durable = self.store.appender.last().next_index;
        // A caller that asks for the state after its answer must find the new one.
        self.show();
        for waiter in std::mem::take(&mut self.waiters) {
            match waiter {
                Waiter::Outcome {
                    index,
                    leaf,
                    answer,
                } => {
                    let cause = found.filter(|_| index >= durable).map(|f| f.cause);
                    // The outcome is or will be written, even if its caller is gone.
                    let _ = answer.send(cause.map_or(Ok(leaf), Err));
                }
                Waiter::Note {
                    first,
                    last,
                    answer,
                } => {
                    let found = found.filter(|_| last >= durable).cloned();
                    // The entries are or will be written, even if the command is gone.
                    let _ = answer.send(found.map_or(Ok(first), Err));
                }
                Waiter::Intent {
                    first,
                    leaf,
                    last,
                    answer,
                } => match found {
                    Some(found) if last >= durable || late => {
                        self.ledger.close(first, not_sent());
                        let _ = answer.send(Err(found.clone()));
                    }
                    // If the caller is gone, the drop closes the intent.
                    _ => drop(answer.send(Ok(DurableIntent::new(
                        first,
                        leaf,
                        &self.store.key,
                        &self.shared.queue,
                    )))),
                },
            }
        }
    }

    pub(super) fn show(&self) {
        let durable = self.store.appender.last().next_index;
        self.shared
            .availability
            .show(durable, self.ledger.open_intents());
    }

    /// Tells the publisher which part of the journal holds no open intent.
    pub(super) fn tell_settled(&mut self) {
        let durable = self.store.appender.last().next_index;
        let settled = self.ledger.settled(durable);
        if let Some(publishing) = &self.store.publishing {
            publishing.settled(settled);
        }
    }

    fn take_intent(&mut self, new: NewIntent) {
        // The caller is gone and nothing was written, so there is nothing to close.
        if new.answer.is_closed() {
            return;
        }
        let (first, leaf) = self.ledger.intent(new.request_id, &new.bodies);
        self.waiters.push(Waiter::Intent {
            first,
            leaf,
            last: self.ledger.next_index() - 1,
            answer: new.answer,
        });
    }

    fn take_note(&mut self, note: NewNote) {
        if note.answer.is_closed() {
            return;
        }
        let (first, _) = self.ledger.row(&note.bodies);
        self.waiters.push(Waiter::Note {
            first,
            last: self.ledger.next_index() - 1,
            answer: note.answer,
        });
    }

    /// Composes a closing. In an outage its waiter gets the cause at once.
    pub(super) fn take_closing(&mut self, closing: Closing) {
        let Some((index, leaf)) = self.ledger.close(closing.intent, closing.ending) else {
            return;
        };
        if let Some(answer) = closing.answer {
            if let Some(outage) = &self.outage {
                let _ = answer.send(Err(outage.cause()));
                return;
            }
            self.waiters.push(Waiter::Outcome {
                index,
                leaf,
                answer,
            });
        }
    }

    /// Checks the files between batches, at most once per [`IDLE`].
    fn tend_integrity(&mut self) {
        if self.judged.elapsed() < IDLE {
            return;
        }
        self.judged = Instant::now();
        // The spare takes precedence over the reserve.
        let may_reserve = self.outage.is_none() && self.no_spare.is_none();
        self.store
            .tend_space(may_reserve && self.store.spares.ready().is_some());
        if self.outage.is_none()
            && let Err(found) = self.store.look_after()
        {
            self.halt(found);
        }
    }

    fn tend_time(&mut self) {
        if self.summed_up.elapsed() >= SUMMARY_EVERY {
            self.sum_up();
        }
        if self.written.elapsed() >= self.heartbeat {
            self.ledger.note(&Kind::Alive {});
        }
        if !self.ledger.pending.is_empty() {
            self.settle();
            self.show();
        }
    }

    fn sum_up(&mut self) {
        self.summed_up = Instant::now();
        if let Some(sum) = self.shared.summary() {
            self.ledger.note(&Kind::TurnedAway(sum));
        }
    }

    pub(super) fn stop(&mut self) {
        if self.outage.is_some() {
            self.try_again();
        }
        if self.outage.is_none() {
            self.sum_up();
            self.ledger.note(&Kind::Stopped {});
            self.settle();
        }
        self.show();
        if let Some(publishing) = &mut self.store.publishing {
            publishing.stop();
        }
        self.shared
            .availability
            .close(closed(Cause::SyncFailed, "the trail has stopped"));
    }
}
