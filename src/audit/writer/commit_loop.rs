//! The commit loop: writes all waiting work as one batch, syncs the batch, and answers the waiters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::incident::Incident;
use crate::audit::entry::{Kind, not_sent};
use crate::audit::log::merkle::Hash;
use crate::audit::status::{Cause, Unavailable, closed};
use crate::audit::writer::composer::Composer;
use crate::audit::writer::shared::Shared;
use crate::audit::writer::store::{Failed, Store, was_late};
use crate::audit::writer::write_queue::{Closing, DurableIntent, NewIntent, NewNote, Work};

/// The maximum size of one round in bytes, by the queue's estimate. It is below the limit of a batch,
/// because the estimate may be too low.
pub(super) const ROUND_BYTES: usize = 880 << 10;
/// The time between two rounds if no work arrives.
pub(super) const IDLE: Duration = Duration::from_millis(400);

/// An open log and the callers that wait for it.
#[derive(Debug)]
pub(super) struct CommitLoop {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Store,
    pub(super) composer: Composer,
    /// Set while the publisher is late. The availability then refuses new intents; the loop still closes
    /// open ones.
    pub(super) no_checkpoint: Option<Incident>,
    /// Set while no spare segment can be made. The availability then refuses new intents; the loop still
    /// closes open ones.
    pub(super) no_spare: Option<Incident>,
    /// The time of the next try to make a spare segment.
    pub(super) spare_again: Instant,
    /// Whether [`Self::begin`] has succeeded before in this process.
    has_begun: bool,
    /// The number of intents that recovery closed; 0 after the log message about them.
    pub(super) recovered: u64,
    waiters: Vec<Waiter>,
    /// The time of the last summary of refusals.
    pub(super) summed_up: Instant,
    /// The time of the last batch.
    pub(super) written: Instant,
    pub(super) heartbeat: Duration,
    /// The time of the last integrity check between batches.
    pub(super) checked: Instant,
}

#[derive(Debug)]
enum Waiter {
    Intent {
        first: u64,
        leaf: Hash,
        /// The index of the intent's last part.
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
        /// The index of the note's last entry.
        last: u64,
        answer: oneshot::Sender<Result<u64, Unavailable>>,
    },
}

impl CommitLoop {
    pub(super) fn new(
        shared: Arc<Shared>,
        store: Store,
        composer: Composer,
        heartbeat: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            store,
            composer,
            no_checkpoint: None,
            no_spare: None,
            spare_again: now,
            has_begun: false,
            recovered: 0,
            waiters: Vec::new(),
            summed_up: now,
            written: now,
            heartbeat,
            checked: now,
        }
    }

    /// Writes the entries that recovery composed or an outage kept, records the end of the outage, and
    /// takes deletions. Does not wait for a spare segment.
    pub(super) fn begin(&mut self, incident: &mut Option<Incident>) -> Result<(), Unavailable> {
        for config in self.shared.queue.take_configs() {
            self.composer.note(&Kind::Config(config));
        }
        self.store.flush(&mut self.composer.pending)?;
        self.show();
        self.tell_settled();
        self.store.begin(!self.has_begun)?;
        self.log_recovery();
        if let Some(ended) = incident.take() {
            let refused = self.shared.availability.take_refused();
            self.composer.note(&ended.ended(refused));
            self.store.flush(&mut self.composer.pending)?;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            self.shared.holds();
        }
        self.open_gate();
        Ok(())
    }

    fn log_recovery(&mut self) {
        let closed = std::mem::take(&mut self.recovered);
        if closed > 0 {
            let remedy = "list them with `lychgate audit unresolved --config FILE`; once they are 5 minutes old (or with --now), settle them with `lychgate audit reconcile --config FILE --reason TEXT`, which needs a token for upstream: [credentials] token_file or [audit] reconcile_token_file (docs/operations.md, \"Stop\")";
            tracing::warn!(
                closed,
                remedy,
                "a process ended without closing its deletions: they are recorded as unknown (crash)"
            );
        }
    }

    /// Runs until [`WriteQueue::stop`](super::write_queue::WriteQueue::stop) and returns `None`. If the
    /// loop fails before the stop, returns the reason; the log must then be opened again.
    pub(super) fn run(&mut self) -> Option<Unavailable> {
        loop {
            let work = self.shared.queue.take(ROUND_BYTES, IDLE);
            if work.stop && work.is_empty() {
                self.stop();
                return None;
            }
            if let Err(found) = self.round(work).and_then(|()| self.tend()) {
                return Some(found);
            }
        }
    }

    /// Composes the entries of a round and writes them.
    pub(super) fn round(&mut self, work: Work) -> Result<(), Unavailable> {
        for config in work.configs {
            self.composer.note(&Kind::Config(config));
        }
        for intent in work.intents {
            self.take_intent(intent);
        }
        for closing in work.closings {
            self.take_closing(closing);
        }
        for body in work.refused {
            self.composer.push(&body);
        }
        for note in work.notes {
            self.take_note(note);
        }
        self.settle()
    }

    /// Writes and syncs the composed entries, and answers their waiters. After a late sync the entries
    /// are durable, but their intents are refused and closed.
    pub(super) fn settle(&mut self) -> Result<(), Unavailable> {
        if self.composer.pending.is_empty() {
            return Ok(());
        }
        let result = self.store.flush(&mut self.composer.pending);
        self.written = Instant::now();
        self.tell_settled();
        match result {
            Ok(false) => {
                self.answer(None, false);
                Ok(())
            }
            Ok(true) => {
                self.answer(Some(&was_late()), true);
                self.close_late_intents()
            }
            Err(Failed { found, late }) => {
                self.shared.availability.close(found.clone());
                self.answer(Some(&found), late);
                if late {
                    let late = Incident::new(was_late(), self.shared.clock.now());
                    self.composer.note(&late.began());
                    self.composer.note(&late.ended(0));
                }
                Err(found)
            }
        }
    }

    /// Records the late sync, and writes the outcomes of its intents before the loop takes new intents.
    fn close_late_intents(&mut self) -> Result<(), Unavailable> {
        let late = Incident::new(was_late(), self.shared.clock.now());
        self.composer.note(&late.began());
        let written = self.store.flush(&mut self.composer.pending);
        let refused = self.shared.availability.take_refused();
        self.composer.note(&late.ended(refused));
        written.and_then(|_| self.store.flush(&mut self.composer.pending))?;
        self.tell_settled();
        self.open_gate();
        Ok(())
    }

    /// Answers all waiters: `Ok` if their entries are durable, else `found`. If `late`, every intent
    /// gets `found`. An intent that gets an error also gets an outcome, `failed` and not sent. Both stay
    /// in memory until the log is open again and takes them.
    pub(super) fn answer(&mut self, found: Option<&Unavailable>, late: bool) {
        let durable = self.store.appender.last.next_index;
        // Comes before the answers: a caller that has its answer and asks for the state must see the new
        // state.
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
                        self.composer.close(first, not_sent());
                        let _ = answer.send(Err(found.clone()));
                    }
                    // If the caller is gone, the drop of this value closes the intent.
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
        let durable = self.store.appender.last.next_index;
        self.shared
            .availability
            .show(durable, self.composer.open_intents());
    }

    /// Tells the publisher which part of the journal holds no open intent.
    pub(super) fn tell_settled(&mut self) {
        let durable = self.store.appender.last.next_index;
        let settled = self.composer.settled(durable);
        if let Some(publishing) = &self.store.publishing {
            publishing.settled(settled);
        }
    }

    fn take_intent(&mut self, new: NewIntent) {
        // If the caller is gone, nothing was written yet, so there is nothing to close.
        if new.answer.is_closed() {
            return;
        }
        let (first, leaf) = self.composer.intent(new.request_id, &new.bodies);
        self.waiters.push(Waiter::Intent {
            first,
            leaf,
            last: self.composer.next_index() - 1,
            answer: new.answer,
        });
    }

    fn take_note(&mut self, note: NewNote) {
        if note.answer.is_closed() {
            return;
        }
        let (first, _) = self.composer.row(&note.bodies);
        self.waiters.push(Waiter::Note {
            first,
            last: self.composer.next_index() - 1,
            answer: note.answer,
        });
    }

    fn take_closing(&mut self, closing: Closing) {
        let Some((index, leaf)) = self.composer.close(closing.intent, closing.ending) else {
            return;
        };
        if let Some(answer) = closing.answer {
            self.waiters.push(Waiter::Outcome {
                index,
                leaf,
                answer,
            });
        }
    }

    pub(super) fn stop(&mut self) {
        self.sum_up();
        self.composer.note(&Kind::Stopped {});
        // No caller waits for these entries.
        let _ = self.settle();
        if let Some(publishing) = &mut self.store.publishing {
            publishing.stop();
        }
        self.shared
            .availability
            .stop(closed(Cause::SyncFailed, "the trail has stopped"));
    }
}
